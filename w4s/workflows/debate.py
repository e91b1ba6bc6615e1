"""Multi-persona debate: two rounds of three personas, then a judge (Du et al., 2023)."""

from typing import Any

PERSONAS = ("math professor", "careful school teacher", "sceptical engineer")
INSTRUCTIONS = "Think step by step, then write the final answer in \\boxed{}."


def workflow(agent: Any, task: str) -> dict[str, Any]:
    """Let the personas answer, read each other and answer again; a judge decides."""
    answers = [ask(agent, task, persona) for persona in PERSONAS]
    for index, persona in enumerate(PERSONAS):
        others = "\n\n".join(answers[:index] + answers[index + 1 :])
        content = f"{task}\n\nOther experts said:\n{others}\n\nGive your updated answer."
        answers[index] = ask(agent, content, persona)
    solutions = "\n\n".join(answers)
    verdict = ask(agent, f"{task}\n\nProposed solutions:\n{solutions}", "judge who decides")
    return {"answer": agent.extract_answer_str(verdict)}


def ask(agent: Any, content: str, role: str) -> str:
    """Return one reply of the executor in `role`."""
    replies: list[str] = agent.call_llm(
        messages=[{"role": "user", "content": content}],
        temperature=0.5,
        agent_role=role,
        instructions=INSTRUCTIONS,
    )
    return replies[0]
