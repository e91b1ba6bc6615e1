"""The fixed texts of the policy's prompts, in a full and in a compact wording.

The compact one is for models of a few hundred million parameters, whose states must be short.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Wording = Literal["full", "compact"]


@dataclass(frozen=True, slots=True)
class Texts:
    """The fixed parts of a state."""

    system: str
    ask: str
    correct: str


_INTERFACE = '''\
def workflow(agent, task: str) -> dict:
    """Solve `task` (the question's text). The dict must hold the key "answer"."""

`agent` is the only way to the strong model and to code execution:
- agent.call_llm(messages=[{"role": "user", "content": ...}], temperature=0.7, \
num_of_response=1, agent_role="math expert", instructions="...") -> list of str
- agent.call_json_format_llm(messages=..., temperature=..., num_of_response=1, agent_role=..., \
return_dict_keys=["reasoning", "answer"], instructions="...") -> list of dict with those keys
- agent.execute_code(code) -> the value of solution() defined by the Python text; raises on errors
- agent.test_on_public_test(task, solution, entry_point, test_loop=3) -> dict with "result", \
"solution", "feedback" (code benchmarks only)
- agent.extract_answer_str(text) -> the last \\boxed{}, else the last number, else the last sentence
- agent.extract_code_block(text, entry_point="solution") -> the fenced code that defines entry_point
'''

_FULL = Texts(
    system=(
        "You design workflows: Python functions that call a strong language model to solve a task "
        "as accurately as possible.\n\nInterface:\n" + _INTERFACE + "\n"
        "Techniques to choose from and to combine: chain of thought, self-consistency (several "
        "replies, majority vote), few-shot examples, reflection and refinement, debate between "
        "roles, step-back abstraction, decomposition, role assignment, ensembles of different "
        "prompts, writing code and executing it, checking an answer in a second way, fall-backs "
        "when a step fails. Prompts, temperatures, number of calls and control flow are yours.\n\n"
        "You only see a few public problems; the workflow is judged on many hidden ones, so never "
        "write answers of particular problems into it except as examples in a prompt."
    ),
    ask=(
        "First analyse what the feedback shows and what to change. Then give the complete code of "
        "a new, better workflow in one ```python block."
    ),
    correct=(
        "The workflow failed.\n{error}\n"
        "Say what was wrong, then give the complete corrected code in one ```python block."
    ),
)

_COMPACT = Texts(
    system=(
        "You design Python workflows that call a language model to solve a task.\n"
        'Interface: def workflow(agent, task: str) -> dict with the key "answer".\n'
        "agent.call_llm(messages, temperature, num_of_response, agent_role, instructions) -> list "
        "of str\n"
        "agent.call_json_format_llm(messages, temperature, num_of_response, agent_role, "
        "return_dict_keys, instructions) -> list of dict\n"
        "agent.execute_code(code) -> value of solution()\n"
        "agent.extract_answer_str(text), agent.extract_code_block(text, entry_point)\n"
        "Techniques: chain of thought, self-consistency, few-shot examples, code execution, "
        "refinement, decomposition, roles, fall-backs."
    ),
    ask="Analyse, then write a better workflow in one ```python block.",
    correct="The workflow failed.\n{error}\nWrite the corrected workflow in one ```python block.",
)

TEXTS: dict[Wording, Texts] = {"full": _FULL, "compact": _COMPACT}
