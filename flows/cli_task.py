"""`w4s init` and `w4s check`: begin a task of one's own, and try it before anything is spent."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tasks.options import Options
from w4s.benchmarks.base import Benchmark
from w4s.benchmarks.custom import benchmark_label
from w4s.benchmarks.registry import get_benchmark
from w4s.config import Params
from w4s.errors import ConfigError, DataError, W4SError
from w4s.llm.endpoint import EMBEDDED_MODEL
from w4s.starter import write_starter
from w4s.task_check import (
    ROWS,
    Finding,
    all_problems,
    check_endpoint,
    check_scorer,
    check_sizes,
)
from w4s.types import Problem

OWN_TASK = "own_task"
SHIPPED_ADAPTER = Path("adapters") / "warm_start"


def begin_task(folder: str, *, options: Options) -> None:
    """Write the files to start from and say what to do next. Raises ConfigError."""
    starter = write_starter(Path(folder), project=options.project)
    profile = os.path.relpath(starter.profile)
    sys.stdout.write(
        f"Wrote {starter.data}, {starter.task} and {profile}.\n"
        f"1. Put your questions and answers into {starter.data}, and say in {starter.task}\n"
        "   what is asked and how answers are scored.\n"
        f"2. Try it on {ROWS} rows: w4s check {starter.task} --profile {starter.profile.stem}\n"
        f"3. Search:          w4s search --task {starter.task} --profile {starter.profile.stem}\n"
    )


def check_task(task: str, *, options: Options) -> bool:
    """Print what holds and what does not; return whether everything does."""
    findings = asyncio.run(_check(task, options))
    bad = sum(not finding.good for finding in findings)
    found = "1 problem found.\n" if bad == 1 else f"{bad} problems found.\n"
    sys.stdout.write(found if bad else "Everything is ready to search.\n")
    return not bad


def own_task_settings(task: str, *, options: Options, policy: str | None) -> list[str]:
    """Return the settings that make a run a search on `task` alone, without training.

    `policy` is a folder with a trained adapter; without one the embedded policy starts from the
    adapter that comes with the project. A profile decides the workspace where there is one.
    Raises ConfigError for a wrong task file or adapter, and DataError for rows that are wrong or
    too few, before anything is started.
    """
    path = Path(task)
    sizes = check_sizes(all_problems(get_benchmark(task)), options.load().benchmarks)
    if not sizes.good:
        raise DataError(f"{task}: {sizes.text}")
    settings = [f'benchmarks.seen=["{path.as_posix()}"]', "benchmarks.unseen=[]"]
    settings.append("train.objectives=[]")
    if options.profile is None:
        settings.append(f"workspace=runs/{benchmark_label(str(path))}")
    adapter = _adapter(policy, options=options)
    if adapter is not None:
        settings += ["warm_start.enabled=true", f"warm_start.adapter={json.dumps(str(adapter))}"]
    return settings


def _adapter(policy: str | None, *, options: Options) -> Path | None:
    """Return the adapter to start from, None where the parameters decide."""
    params = options.load()
    if policy is not None:
        if params.policy.base_url is not None:
            raise ConfigError(
                f"--policy {policy}: policy.base_url is set, so no adapter can be applied here. "
                "Let the server load it and name it in policy.model."
            )
        return Path(policy).resolve()
    warm_start, shipped = params.warm_start, options.project / SHIPPED_ADAPTER
    embedded = params.policy.base_url is None and params.policy.model == EMBEDDED_MODEL
    chosen = embedded and warm_start.enabled and warm_start.adapter is None and shipped.is_dir()
    return SHIPPED_ADAPTER if chosen else None


async def _check(task: str, options: Options) -> list[Finding]:
    """Look at one part after another; a part that fails as a whole ends the check."""
    params = options.load()
    findings: list[Finding] = []
    try:
        problems = await asyncio.to_thread(lambda: all_problems(get_benchmark(task)))
        _show(findings, [check_sizes(problems, params.benchmarks)])
        await _check_parts(task, problems, params, findings, folder=options.workspace(params).root)
    except W4SError as error:
        _show(findings, [Finding("task" if not findings else "next", False, str(error))])
    return findings


async def _check_parts(
    task: str, problems: Sequence[Problem], params: Params, findings: list[Finding], *, folder: Path
) -> None:
    from w4s.runtime import open_workbench

    async with open_workbench(params, workspace=folder) as workbench:
        benchmark: Benchmark = get_benchmark(
            task, sandbox=workbench.sandbox, executor=workbench.executor
        )
        _show(findings, await check_scorer(benchmark, problems))
        _show(findings, await check_endpoint(benchmark, problems, workbench=workbench))


def _show(findings: list[Finding], new: Sequence[Finding]) -> None:
    findings.extend(new)
    for finding in new:
        mark = "ok " if finding.good else "BAD"
        sys.stdout.write(f"{mark} {finding.part}: {finding.text}\n")
