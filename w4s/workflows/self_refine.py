"""Self-refine: criticise the answer and improve it, at most three times (Madaan et al., 2023)."""

from typing import Any

ROUNDS = 3


def workflow(agent: Any, task: str) -> dict[str, Any]:
    """Answer; then criticise and revise until the critic finds nothing wrong."""
    answer = agent.call_llm(
        messages=[{"role": "user", "content": task}],
        temperature=0.0,
        instructions="Think step by step, then write the final answer in \\boxed{}.",
    )[0]
    for _ in range(ROUNDS):
        review = agent.call_json_format_llm(
            messages=[{"role": "user", "content": f"{task}\n\nProposed solution:\n{answer}"}],
            temperature=0.0,
            agent_role="strict reviewer",
            return_dict_keys=["feedback", "correct"],
            instructions='Find mistakes. "correct" is "True" where there is none, else "False".',
        )[0]
        if str(review["correct"]).strip().lower() == "true":
            break
        answer = agent.call_llm(
            messages=[
                {"role": "user", "content": task},
                {"role": "assistant", "content": answer or "(no answer)"},  # "" is no turn
                {"role": "user", "content": f"{review['feedback']}\nCorrect the solution."},
            ],
            temperature=0.0,
            instructions="Think step by step, then write the final answer in \\boxed{}.",
        )[0]
    return {"answer": agent.extract_answer_str(answer)}
