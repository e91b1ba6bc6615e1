# Chain of thought: reason step by step before the answer (Wei et al., 2022).
def workflow(agent, task):
    reply = agent.call_llm([{"role": "user", "content": task}], temperature=0.0, agent_role="assistant", instructions="Think step by step, then write the final answer in \\boxed{}.")[0]
    return {"answer": agent.extract_answer_str(reply)}
