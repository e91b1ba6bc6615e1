"""Chain of thought: reason step by step before the answer (Wei et al., 2022)."""

from typing import Any


def workflow(agent: Any, task: str) -> dict[str, Any]:
    """Ask for reasoning, then for the answer in a box."""
    reply = agent.call_llm(
        messages=[{"role": "user", "content": task}],
        temperature=0.0,
        instructions="Think step by step, then write the final answer in \\boxed{}.",
    )[0]
    return {"answer": agent.extract_answer_str(reply)}
