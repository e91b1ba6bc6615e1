"""Multi-persona debate: two rounds of three personas, then a judge (Du et al., 2023).

In the second round everybody reads what the others said in the first, not in the second.
"""

from typing import Any

PERSONAS = ("math professor", "careful school teacher", "sceptical engineer")
INSTRUCTIONS = "Think step by step, then write the final answer in \\boxed{}."


def workflow(agent: Any, task: str) -> dict[str, Any]:
    """Let the personas answer, read each other and answer again; a judge decides."""
    first = [ask(agent, task, persona) for persona in PERSONAS]
    answers = []
    for index, persona in enumerate(PERSONAS):
        others = "\n\n".join(first[:index] + first[index + 1 :])
        content = f"Other experts said:\n{others}\n\nGive your updated answer."
        answers.append(ask(agent, task, persona, before=first[index], content=content))
    solutions = "\n\n".join(answers)
    verdict = ask(agent, f"{task}\n\nProposed solutions:\n{solutions}", "judge who decides")
    return {"answer": agent.extract_answer_str(verdict)}


def ask(agent: Any, task: str, role: str, *, before: str = "", content: str = "") -> str:
    """Return one reply of the executor in `role`, after its own answer `before` to the task."""
    messages = [{"role": "user", "content": task}]
    if before:
        messages += [
            {"role": "assistant", "content": before},
            {"role": "user", "content": content},
        ]
    elif content:  # an empty reply is no turn
        messages[0]["content"] += f"\n\n{content}"
    replies: list[str] = agent.call_llm(
        messages=messages, temperature=0.5, agent_role=role, instructions=INSTRUCTIONS
    )
    return replies[0]
