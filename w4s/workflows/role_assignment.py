"""Dynamic role assignment: choose the expert for the task, then let that expert answer."""

from typing import Any

ROLES = ("math professor", "school teacher", "physicist", "programmer", "linguist", "historian")


def workflow(agent: Any, task: str) -> dict[str, Any]:
    """Choose a role by the executor's own word; the first role where it names none."""
    choice = agent.call_llm(
        messages=[{"role": "user", "content": task}],
        temperature=0.0,
        agent_role="coordinator",
        instructions=f"Do not solve the task. Who should solve it? Choose one: {', '.join(ROLES)}.",
    )[0].lower()
    role = next((name for name in ROLES if name in choice), ROLES[0])
    reply = agent.call_llm(
        messages=[{"role": "user", "content": task}],
        temperature=0.0,
        agent_role=role,
        instructions="Think step by step, then write the final answer in \\boxed{}.",
    )[0]
    return {"answer": agent.extract_answer_str(reply)}
