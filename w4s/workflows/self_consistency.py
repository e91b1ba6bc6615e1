# Self-consistency: a majority vote over five chains of thought (Wang et al., 2022).
from collections import Counter


def workflow(agent, task):
    replies = agent.call_llm([{"role": "user", "content": task}], temperature=0.7, num_of_response=5, agent_role="assistant", instructions="Think step by step, then write the final answer in \\boxed{}.")
    answers = [agent.extract_answer_str(reply) for reply in replies]
    return {"answer": Counter(answers).most_common(1)[0][0]}
