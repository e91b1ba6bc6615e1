"""One builder a family: draw prompts, temperatures, counts, roles and fall-backs; give the code.

Builders see case studies only. They know neither benchmarks nor accuracies.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence

from w4s.policy.grammar import wording
from w4s.policy.grammar.draft import Family
from w4s.policy.grammar.worked import Pair, listing, quoted_pairs, worked_pairs
from w4s.types import CaseStudy

Builder = Callable[[random.Random, Sequence[CaseStudy]], str | None]
"""The code of a workflow, or None where the case studies do not allow this family."""

_HEAD = "def workflow(agent, task):\n"
_ASK = '[{"role": "user", "content": task}]'
# other names for answers than for code: what follows is plain from the first word
_EXAMPLES = "EXAMPLES"
_PROGRAMS = "PROGRAMS"
_MOST_SAMPLES = (3, 5)
_RUN = 'agent.execute_code("import math\\n" + reply)'


def direct(rng: random.Random, _cases: Sequence[CaseStudy]) -> str:
    """Ask once."""
    call = _call(rng, wording.ROLES, wording.DIRECT_INSTRUCTIONS, temperature=_cool(rng))
    answer = rng.choice(("reply.strip()", "agent.extract_answer_str(reply)"))
    return f'{_HEAD}    reply = {call}[0]\n    return {{"answer": {answer}}}'


def chain_of_thought(rng: random.Random, _cases: Sequence[CaseStudy]) -> str:
    """Ask for reasoning, as text or as JSON, before the answer."""
    if rng.random() < 0.5:
        call = _call(rng, wording.ROLES, wording.THOUGHT_INSTRUCTIONS, temperature=_cool(rng))
        return (
            f"{_HEAD}    reply = {call}[0]\n"
            '    return {"answer": agent.extract_answer_str(reply)}'
        )
    call = _json_call(rng, ("reasoning", "answer"), wording.THOUGHT_INSTRUCTIONS[1:])
    return f'{_HEAD}    reply = {call}[0]\n    return {{"answer": reply["answer"]}}'


def self_consistency(rng: random.Random, _cases: Sequence[CaseStudy]) -> str:
    """Vote over several sampled answers."""
    instructions = rng.choice((wording.THOUGHT_INSTRUCTIONS, wording.DIRECT_INSTRUCTIONS))
    call = _call(
        rng,
        wording.ROLES,
        instructions,
        temperature=_warm(rng),
        count=rng.choice(_MOST_SAMPLES),
    )
    return (
        f"from collections import Counter\n\n\n{_HEAD}    replies = {call}\n"
        "    answers = [agent.extract_answer_str(reply) for reply in replies]\n"
        '    return {"answer": Counter(answers).most_common(1)[0][0]}'
    )


def few_shot(rng: random.Random, cases: Sequence[CaseStudy]) -> str | None:
    """Show public questions with their correct answers."""
    pairs = quoted_pairs(rng, cases, least=2, most=4)
    if not pairs:
        return None
    call = _call(
        rng,
        wording.ROLES,
        wording.EXAMPLE_INSTRUCTIONS,
        temperature=_cool(rng),
        messages=_after(_EXAMPLES),
    )
    return (
        f"{listing(_EXAMPLES, pairs)}\n\n\n{_HEAD}    reply = {call}[0]\n"
        '    return {"answer": reply.strip()}'
    )


def self_refine(rng: random.Random, _cases: Sequence[CaseStudy]) -> str:
    """Answer, then let the answer be checked."""
    first = _call(rng, wording.ROLES, wording.THOUGHT_INSTRUCTIONS, temperature=_cool(rng))
    second = _call(
        rng,
        wording.ROLES,
        wording.CHECK_INSTRUCTIONS,
        temperature=_cool(rng),
        messages='[{"role": "user", "content": task + "\\nAnswer: " + draft}]',
    )
    return (
        f"{_HEAD}    draft = {first}[0]\n    reply = {second}[0]\n"
        '    return {"answer": agent.extract_answer_str(reply)}'
    )


def decomposition(rng: random.Random, _cases: Sequence[CaseStudy]) -> str:
    """Make a plan, then follow it."""
    first = _call(rng, wording.ROLES, wording.SPLIT_INSTRUCTIONS, temperature=_cool(rng))
    second = _call(
        rng,
        wording.ROLES,
        wording.THOUGHT_INSTRUCTIONS,
        temperature=_cool(rng),
        messages='[{"role": "user", "content": task + "\\nPlan: " + plan}]',
    )
    return (
        f"{_HEAD}    plan = {first}[0]\n    reply = {second}[0]\n"
        '    return {"answer": agent.extract_answer_str(reply)}'
    )


def generic_code(rng: random.Random, _cases: Sequence[CaseStudy]) -> str:
    """Show how code answers a generic question; run the code written for this one."""
    chosen = rng.sample(wording.GENERIC_EXAMPLES, rng.randint(1, 2))
    return _program(rng, [Pair(question, expression) for question, expression in chosen])


def program(rng: random.Random, cases: Sequence[CaseStudy]) -> str | None:
    """Show how code answers public questions; run the code written for this one."""
    worked = worked_pairs(rng, cases, least=2, most=3)
    return _program(rng, worked) if worked else None


def program_vote(rng: random.Random, cases: Sequence[CaseStudy]) -> str | None:
    """Run several programs and take the most frequent value."""
    worked = worked_pairs(rng, cases, least=2, most=3)
    if not worked:
        return None
    call = _call(
        rng,
        wording.CODER_ROLES,
        wording.CODE_INSTRUCTIONS,
        temperature=_warm(rng),
        count=3,
        messages=_after(_PROGRAMS),
    )
    return (
        f"from collections import Counter\n\n{listing(_PROGRAMS, worked)}\n\n\n"
        f"{_HEAD}    values = []\n"
        f"    for reply in {call}:\n        try:\n"
        f"            values.append(str({_RUN}))\n"
        "        except Exception:\n"
        "            values.append(agent.extract_answer_str(reply))\n"
        '    return {"answer": Counter(values).most_common(1)[0][0]}'
    )


def program_then_thought(rng: random.Random, cases: Sequence[CaseStudy]) -> str | None:
    """Run a program; where it fails, ask for reasoning."""
    worked = worked_pairs(rng, cases, least=2, most=2)
    if not worked:
        return None
    retry = _call(rng, wording.ROLES, wording.THOUGHT_INSTRUCTIONS, temperature=_cool(rng))
    return _program(rng, worked, failed=f"agent.extract_answer_str({retry}[0])")


BUILDERS: dict[Family, Builder] = {
    Family.DIRECT: direct,
    Family.CHAIN_OF_THOUGHT: chain_of_thought,
    Family.SELF_CONSISTENCY: self_consistency,
    Family.FEW_SHOT: few_shot,
    Family.SELF_REFINE: self_refine,
    Family.DECOMPOSITION: decomposition,
    Family.GENERIC_CODE: generic_code,
    Family.PROGRAM: program,
    Family.PROGRAM_VOTE: program_vote,
    Family.PROGRAM_THEN_THOUGHT: program_then_thought,
}


def _program(rng: random.Random, worked: Sequence[Pair], *, failed: str | None = None) -> str:
    call = _call(
        rng,
        wording.CODER_ROLES,
        wording.CODE_INSTRUCTIONS,
        temperature=_cool(rng),
        messages=_after(_PROGRAMS),
    )
    otherwise = failed or "agent.extract_answer_str(reply)"
    return (
        f"{listing(_PROGRAMS, worked)}\n\n\n{_HEAD}    reply = {call}[0]\n"
        f'    try:\n        return {{"answer": {_RUN}}}\n'
        f'    except Exception:\n        return {{"answer": {otherwise}}}'
    )


def _after(name: str) -> str:
    """Return the messages of a listing, then the task."""
    return f"{name} + {_ASK}"


def _call(
    rng: random.Random,
    roles: Sequence[str],
    instructions: Sequence[str],
    *,
    temperature: float,
    count: int = 1,
    messages: str = _ASK,
) -> str:
    samples = f"num_of_response={count}, " if count > 1 else ""
    return (
        f"agent.call_llm({messages}, temperature={temperature}, {samples}"
        f'agent_role="{rng.choice(roles)}", instructions="{rng.choice(instructions)}")'
    )


def _json_call(rng: random.Random, keys: Sequence[str], instructions: Sequence[str]) -> str:
    return (
        f"agent.call_json_format_llm({_ASK}, temperature={_cool(rng)}, "
        f'agent_role="{rng.choice(wording.ROLES)}", return_dict_keys={json.dumps(keys)}, '
        f'instructions="{rng.choice(instructions)}")'
    )


def _cool(rng: random.Random) -> float:
    return rng.choice((0.0, 0.0, 0.5))


def _warm(rng: random.Random) -> float:
    return rng.choice((0.5, 0.8))
