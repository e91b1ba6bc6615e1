"""Try a task of one's own on three rows before anything is spent: data, scorer, endpoint.

Finds what is wrong and says so; it neither writes splits nor searches.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from w4s.baselines import baseline
from w4s.benchmarks.base import Benchmark, TooFewProblems
from w4s.benchmarks.custom import TaskParams, benchmark_label, task_judge
from w4s.benchmarks.custom_rows import ANY_CODE
from w4s.benchmarks.splits import SIMILAR_FROM
from w4s.benchmarks.text import near_duplicates
from w4s.config import BenchmarkParams, Price
from w4s.errors import EndpointError
from w4s.evaluation import Workbench, run_problems, total_usage
from w4s.llm.totals import cost_usd
from w4s.policy.base import Policy
from w4s.types import FailureKind, Message, Problem, ProblemResult, Score

ROWS = 3
EVERY = 10**9  # problems: more than any file holds
_WORKFLOW = "direct"
_SHOWN = 60
_ONE_GROUP = re.compile(r"-?[1-9]\d{0,2}\.\d{3}")
_POINT = re.compile(r"-?[\d,]*\.\d+")  # and no group: "17.5", "0.125", "1,234.500"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at, whether it is good, and what was seen."""

    part: str
    good: bool
    text: str


def check_sizes(problems: Sequence[Problem], sizes: BenchmarkParams) -> Finding:
    """Say how the problems would be split, or why they cannot be."""
    held_out = len(problems) - sizes.private - sizes.public
    if held_out <= 0:
        return Finding(
            "data",
            False,
            f"{len(problems)} different questions, but {sizes.private} private and {sizes.public} "
            "public validation problems leave none for the test. Add rows, or lower "
            "benchmarks.private and benchmarks.public in the profile.",
        )
    test = min(held_out, sizes.test)
    longest = max(len(problem.question) for problem in problems)
    return Finding(
        "data",
        True,
        f"{len(problems):,} different questions of up to {longest:,} characters: {sizes.private} "
        f"private, {sizes.public} public, {test} for the test{_alike(problems)}",
    )


def all_problems(benchmark: Benchmark, *, most: int = EVERY) -> list[Problem]:
    """Return every problem of a benchmark whose size nobody knows, at most `most`.

    A benchmark that makes its problems needs a `most`: it might never run out of them.
    Raises DataError listing the rows that cannot be used.
    """
    try:
        return benchmark.problems(most, seed=0)
    except TooFewProblems as error:
        return benchmark.problems(error.available, seed=0)


def check_decimals(params: TaskParams, problems: Sequence[Problem]) -> list[Finding]:
    """Ask how numbers are written where the references leave it open: "2.000" may be 2 or 2000."""
    if params.scorer != "numeric" or params.decimal is not None:
        return []
    answers = [problem.answer.strip(" $€£¥₹") for problem in problems]
    unclear = [answer for answer in answers if _ONE_GROUP.fullmatch(answer)]
    points = [answer for answer in answers if _POINT.fullmatch(answer)]
    if not unclear or len(points) > len(unclear):
        return []
    text = (
        f"answers with a decimal point, or with a point between thousands, such as "
        f"{_cut(unclear[0])}: {len(unclear)}. Say which in the task file: decimal: point, or comma."
    )
    return [Finding("scorer", False, text)]


def check_options(params: TaskParams, problems: Sequence[Problem]) -> list[Finding]:
    """Say how many questions come without options: those of other columns are never shown."""
    if params.scorer != "multiple_choice":
        return []
    bare = [problem for problem in problems if "options" not in problem.data]
    if not bare:
        return []
    text = (
        f"questions without a column options, or A, B, …: {len(bare):,}, such as {bare[0].id}. "
        "Their options must stand in the question."
    )
    return [Finding("data", True, text)]


async def check_scorer(benchmark: Benchmark, problems: Sequence[Problem]) -> list[Finding]:
    """Score each reference answer, which must be right, and one that must be wrong.

    The wrong one is another row's reference. Rows of code may have none and are left out then.
    Raises ConfigError where the scorer itself is wrong, DataError where tests are.
    """
    known = [problem for problem in problems if problem.answer != ANY_CODE]
    chosen = known[:ROWS]
    if not chosen:
        text = "unit tests: nothing to try without solutions (a column answer may hold them)"
        return [Finding("scorer", True, text)]
    findings: list[Finding] = []
    for problem in chosen:
        score = await benchmark.score(problem, problem.answer)
        if score.value < 1.0:
            findings.append(_unscored(problem, score))
        wrong = next((p.answer for p in known if p.answer != problem.answer), None)
        if wrong is not None and (await benchmark.score(problem, wrong)).value >= 1.0:
            text = f"{problem.id}: {_cut(wrong)} counts as right, though {_cut(problem.answer)} is"
            findings.append(Finding("scorer", False, text))
    if findings:
        return findings
    if len({problem.answer for problem in known}) == 1:
        text = f"every row has the same answer, {_cut(known[0].answer)}: no wrong one to try"
        return [Finding("scorer", True, text)]
    return [Finding("scorer", True, f"right and wrong answers told apart on {len(chosen)} rows")]


async def check_endpoint(
    benchmark: Benchmark,
    problems: Sequence[Problem],
    *,
    workbench: Workbench,
    price: Price | None = None,
) -> list[Finding]:
    """Answer three problems directly with the executor; what came back, and what it cost.

    Raises EndpointError and BudgetError where the endpoint cannot be used at all.
    """
    chosen = problems[:ROWS]
    results = await run_problems(
        baseline(_WORKFLOW, benchmark=benchmark.name).code,
        chosen,
        benchmark=benchmark,
        workbench=workbench,
        draw=f"check/{benchmark_label(benchmark.name)}",
    )
    findings = [_answered(p, r) for p, r in zip(chosen, results, strict=True)]
    usage = total_usage(results)
    text = f"{usage.calls / len(chosen):.1f} calls, {usage.tokens / len(chosen):.0f} tokens"
    usd = cost_usd(usage, price)
    text += " a row" if usd is None else f", {usd / len(chosen):.6f} USD a row"
    if task_judge(benchmark.name) is not None:
        text += ", and a call of the judge"
    return [*findings, Finding("cost", True, text)]


async def check_policy(policy: Policy, *, temperature: float) -> Finding:
    """Ask a policy behind an endpoint for a word: a search asks when the examples are paid for."""
    greeting = Message("user", "Reply with the one word: ready")
    try:
        (reply,) = await policy.sample([greeting], n=1, temperature=temperature, seed=0)
    except EndpointError as error:
        return Finding("policy", False, str(error))
    cut = ", cut off at policy.action_tokens" if reply.truncated else ""
    text = f"{policy.identity} -> {_cut(reply.text)}{cut}"
    return Finding("policy", bool(reply.text.strip()), text)


def _alike(problems: Sequence[Problem]) -> str:
    pairs = near_duplicates([item.question for item in problems], threshold=SIMILAR_FROM)
    if not pairs:
        return ""
    one, two = problems[pairs[0].first].id, problems[pairs[0].second].id
    return f"; pairs of nearly the same question: {len(pairs)} (most alike: {one} and {two})"


def _unscored(problem: Problem, score: Score) -> Finding:
    text = f"{problem.id}: the reference answer {_cut(problem.answer)} does not score 1"
    return Finding("scorer", False, f"{text}: {score.reason}. Mend the row or the scorer.")


def _answered(problem: Problem, result: ProblemResult) -> Finding:
    question = f"{problem.id}: {_cut(problem.question)}"
    failure = result.failure
    if failure is not None:
        good = failure.kind is not FailureKind.EXECUTOR
        return Finding("endpoint", good, f"{question}: no answer ({failure.message})")
    verdict = f"score {result.score.value:.2g}, right is {_cut(problem.answer)}"
    return Finding("endpoint", True, f"{question} -> {_cut(str(result.answer))} ({verdict})")


def _cut(text: str) -> str:
    flat = " ".join(text.split())
    return repr(flat if len(flat) <= _SHOWN else flat[: _SHOWN - 1] + "…")
