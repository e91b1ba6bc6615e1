"""Step-back: name the principles first, then solve with them (Zheng et al., 2023)."""

from typing import Any


def workflow(agent: Any, task: str) -> dict[str, Any]:
    """Ask for the concepts behind the task, then for the solution that uses them."""
    principles = agent.call_llm(
        messages=[{"role": "user", "content": task}],
        temperature=0.0,
        agent_role="expert",
        instructions="Name the concepts and rules needed for this task. Do not solve it.",
    )[0]
    reply = agent.call_llm(
        messages=[{"role": "user", "content": f"{task}\n\nUseful principles:\n{principles}"}],
        temperature=0.0,
        instructions="Think step by step, then write the final answer in \\boxed{}.",
    )[0]
    return {"answer": agent.extract_answer_str(reply)}
