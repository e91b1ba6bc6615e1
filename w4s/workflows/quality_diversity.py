"""Quality-diversity: solve in different ways, then choose (the baseline of Hu et al., 2024)."""

from typing import Any

WAYS = 3
INSTRUCTIONS = "Think step by step, then write the final answer in \\boxed{}."


def workflow(agent: Any, task: str) -> dict[str, Any]:
    """Collect solutions, each asked to differ from those before; then choose the best answer."""
    solutions: list[str] = []
    for _ in range(WAYS):
        content = task
        if solutions:
            content += "\n\nEarlier attempts:\n" + "\n\n".join(solutions)
            content += "\n\nSolve it in another interesting way."
        solutions += agent.call_llm(
            messages=[{"role": "user", "content": content}],
            temperature=0.7,
            instructions=INSTRUCTIONS,
        )
    reply = agent.call_llm(
        messages=[{"role": "user", "content": task + "\n\n" + "\n\n".join(solutions)}],
        temperature=0.0,
        instructions="Compare the solutions above, then write the best answer in \\boxed{}.",
    )[0]
    return {"answer": agent.extract_answer_str(reply)}
