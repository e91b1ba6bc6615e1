# Direct answer: one question, one reply.
def workflow(agent, task):
    reply = agent.call_llm([{"role": "user", "content": task}], temperature=0.0, agent_role="assistant", instructions="Answer the question. Give only the final answer.")[0]
    return {"answer": agent.extract_answer_str(reply)}
