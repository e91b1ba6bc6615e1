"""`w4s init` and `w4s check`: begin a task of one's own, and try it before anything is spent."""

from __future__ import annotations

import asyncio
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from tasks.options import Options
from w4s.benchmarks.base import Benchmark
from w4s.benchmarks.custom import TASK_SUFFIXES, read_task
from w4s.benchmarks.registry import get_benchmark
from w4s.config import Params
from w4s.errors import W4SError
from w4s.starter import write_starter
from w4s.task_check import (
    EVERY,
    ROWS,
    Finding,
    all_problems,
    check_decimals,
    check_endpoint,
    check_options,
    check_policy,
    check_scorer,
    check_sizes,
)
from w4s.types import Problem

OWN_TASK = "own_task"


def begin_task(folder: str, *, options: Options) -> None:
    """Write the files to start from and say what to do next. Raises ConfigError."""
    options.load()  # outside a project no command could use what is written
    starter = write_starter(Path(folder), project=options.project)
    profile = os.path.relpath(starter.profile)
    task, name = shlex.quote(str(starter.task)), starter.profile.stem
    sys.stdout.write(
        f"Wrote {starter.data}, {starter.task} and {profile}.\n"
        f"1. Put your questions and answers into {starter.data}, and say in {starter.task}\n"
        f"   what is asked and how answers are scored. Name your executor in {profile}.\n"
        f"2. Try it on {ROWS} rows: w4s check {task} --profile {name}\n"
        f"3. Search:          w4s search --task {task} --profile {name}\n"
    )


def check_task(task: str, *, options: Options) -> bool:
    """Print what holds and what does not; return whether everything does."""
    findings = asyncio.run(_check(task, options))
    bad = sum(not finding.good for finding in findings)
    found = "1 problem found.\n" if bad == 1 else f"{bad} problems found.\n"
    sys.stdout.write(found if bad else "Everything is ready to search.\n")
    return not bad


async def _check(task: str, options: Options) -> list[Finding]:
    """Look at one part after another; a part that fails as a whole ends the check."""
    params = options.load()
    sizes = params.benchmarks
    most = EVERY if task.endswith(TASK_SUFFIXES) else sizes.private + sizes.public + sizes.test
    findings: list[Finding] = []
    try:
        problems = await asyncio.to_thread(
            lambda: all_problems(get_benchmark(task, data_dir=sizes.data_dir), most=most)
        )
        _show(findings, [check_sizes(problems, params.benchmarks)])
        if task.endswith(TASK_SUFFIXES):
            own = read_task(Path(task))
            _show(findings, [*check_options(own, problems), *check_decimals(own, problems)])
        await _check_parts(task, problems, params, findings, folder=options.workspace(params).root)
    except W4SError as error:
        _show(findings, [Finding("task" if not findings else "next", False, str(error))])
    return findings


async def _check_parts(
    task: str, problems: Sequence[Problem], params: Params, findings: list[Finding], *, folder: Path
) -> None:
    from w4s.runtime import check_judges, open_workbench

    check_judges(params, [task])
    async with open_workbench(params, workspace=folder) as workbench:
        benchmark: Benchmark = get_benchmark(
            task,
            data_dir=params.benchmarks.data_dir,
            sandbox=workbench.sandbox,
            executor=workbench.executor,
        )
        _show(findings, await check_scorer(benchmark, problems))
        price = params.executor.prices.get(params.executor.model)
        _show(findings, await check_endpoint(benchmark, problems, workbench=workbench, price=price))
    if params.policy.base_url is not None:
        from w4s.policy.load import load_policy

        policy, temperature = load_policy(params.policy), params.search.temperature
        _show(findings, [await check_policy(policy, temperature=temperature)])


def _show(findings: list[Finding], new: Sequence[Finding]) -> None:
    findings.extend(new)
    for finding in new:
        mark = "ok " if finding.good else "BAD"
        sys.stdout.write(f"{mark} {finding.part}: {finding.text}\n")
