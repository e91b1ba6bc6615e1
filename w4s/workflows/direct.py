"""Direct answer: one question, one reply."""

from typing import Any


def workflow(agent: Any, task: str) -> dict[str, Any]:
    """Ask once, at temperature 0."""
    reply = agent.call_llm(
        messages=[{"role": "user", "content": task}],
        temperature=0.0,
        instructions="Answer the question. Give only the final answer.",
    )[0]
    return {"answer": agent.extract_answer_str(reply)}
