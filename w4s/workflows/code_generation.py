"""Code generation: write a program that computes the answer and run it (Gao et al., 2022)."""

from typing import Any

EXAMPLE_QUESTION = "What is 12 plus 30?"
EXAMPLE_CODE = "```python\ndef solution():\n    return 12 + 30\n```"


def workflow(agent: Any, task: str) -> dict[str, Any]:
    """Ask for `solution()` after one worked example; answer in words where the code fails."""
    reply = agent.call_llm(
        messages=[
            {"role": "user", "content": EXAMPLE_QUESTION},
            {"role": "assistant", "content": EXAMPLE_CODE},
            {"role": "user", "content": task},
        ],
        temperature=0.0,
        agent_role="programmer",
        instructions="Write Python code for the question.",
    )[0]
    try:
        code = agent.extract_code_block(reply, "solution") or reply  # it may come without a fence
        value = agent.execute_code(code)
        return {"answer": value if isinstance(value, float) else str(value)}
    except RuntimeError:  # the code failed; its text may still hold an answer
        return {"answer": agent.extract_answer_str(reply)}
