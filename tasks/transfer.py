"""Run saved workflows unchanged with other executors and on other benchmarks.

Nothing is searched or trained. Replies are recorded, so a transfer that was interrupted goes on
without paying twice.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass
from pathlib import Path

from tasks.context import Context
from tasks.spending import current_totals
from tasks.told import Point
from w4s.baselines import baseline
from w4s.benchmarks.custom import benchmark_label
from w4s.benchmarks.held_out import load_test
from w4s.benchmarks.registry import get_benchmark
from w4s.benchmarks.split_files import MANIFEST, split_folder
from w4s.benchmarks.splits import make_splits, write_splits
from w4s.config import Params
from w4s.errors import ConfigError, EndpointError
from w4s.evaluation import Workbench
from w4s.files import atomic_folder, atomic_write_text
from w4s.final_test import run_test
from w4s.llm.endpoint import EMBEDDED_MODEL, Address
from w4s.llm.open import check_executor, known_prices
from w4s.llm.totals import cost_usd
from w4s.report.transfer import TransferRow, transfer_csv, transfer_markdown
from w4s.runtime import open_workbench
from w4s.types import Draw
from w4s.workflow import Workflow, builtin_workflow, builtin_workflows

POLICY = "policy"
FOLDER = "transfer"
_ADDRESS = re.compile(r"@(https?://.*)", re.IGNORECASE)
# an address without its beginning: a scheme of another kind, a port, the usual path, a password,
# a host's name (versions such as @20240620 or @v1.5 are parts of models' names)
_UNCLEAR = re.compile(
    r"@[^@]*(?:://|:\d+(?:/|$)|/v\d+/?$|:[^@]*@)|@localhost\b|@[a-z\d-]+(?:\.[a-z\d-]+)*\.[a-z]{2,}$"
)

OpenWorkbench = Callable[[Params], AbstractAsyncContextManager[Workbench]]


@dataclass(frozen=True, slots=True)
class ExecutorChoice:
    """An executor by its label in tables; `base_url` None is what the environment says."""

    label: str
    model: str
    base_url: str | None


@dataclass(frozen=True, slots=True)
class TransferPlan:
    """Every workflow with every executor on every benchmark."""

    workflows: tuple[Workflow, ...]
    executors: tuple[ExecutorChoice, ...]
    benchmarks: tuple[str, ...]


def choose_executor(text: str, params: Params) -> ExecutorChoice:
    """Return the executor that `text` names: MODEL, MODEL@BASE_URL, `embedded`, or `policy`.

    The address begins at "@http://" or "@https://": names of models may hold an @, as may an
    address. `policy` is the small model alone: the policy's model as its own executor. Raises
    ConfigError for what is none of these, or where that model cannot be asked over an endpoint.
    """
    if text == EMBEDDED_MODEL:
        return ExecutorChoice(text, text, None)
    if text == POLICY:
        return _policy_alone(params)
    model, base_url = _model_and_address(text)
    if base_url is None:
        return ExecutorChoice(model, model, params.executor.base_url)
    return ExecutorChoice(f"{model}@{Address(base_url).shown}", model, base_url)


def check_executors(executors: Sequence[ExecutorChoice], params: Params) -> None:
    """Find out whether every executor could be asked, before anything is spent on the first.

    Raises what `check_executor` does: ConfigError, EndpointError, BudgetError.
    """
    for choice in executors:
        check_executor(params, with_executor(params, choice).executor, environment=os.environ)


def _policy_alone(params: Params) -> ExecutorChoice:
    policy = params.policy
    if policy.base_url is None and policy.model != EMBEDDED_MODEL:
        raise ConfigError(
            f"--executors policy: {policy.model!r} is loaded into this program, and an executor is "
            "behind an endpoint. Serve it (vLLM, llama.cpp) and name it as MODEL@BASE_URL."
        )
    return ExecutorChoice(f"{POLICY} ({policy.model})", policy.model, policy.base_url)


def _model_and_address(text: str) -> tuple[str, str | None]:
    """Split MODEL@BASE_URL; None is no address. Raises ConfigError where it is not clear."""
    found = _ADDRESS.search(text)
    model, base_url = (text, None) if found is None else (text[: found.start()], found[1])
    if not model or _UNCLEAR.search(model):
        # a password may follow the @
        shown = f"{model[: max(model.find('@', 1), 0)]}@…" if text else text
        raise ConfigError(
            f"--executors (experiments.executors): {shown!r} is unclear. Write MODEL, or "
            "MODEL@BASE_URL with an address that begins with http:// or https://."
        )
    return model, base_url


async def run_transfer(
    context: Context, plan: TransferPlan, *, open_bench: OpenWorkbench | None = None
) -> list[TransferRow]:
    """Fill the matrix, executor by executor, and write it to the workspace.

    Splits that are not there yet are prepared with the sizes of the parameters. An executor that
    cannot be asked leaves its cells empty; once the others are done, EndpointError tells of it.
    """
    for benchmark in plan.benchmarks:
        _prepare(context, benchmark)
    cells = len(plan.workflows) * len(plan.executors) * len(plan.benchmarks)
    context.progress.stage(FOLDER, cells)
    opening = open_bench or _opening(context)
    rows: list[TransferRow] = []
    troubles: list[str] = []
    for executor in plan.executors:
        params = with_executor(context.params, executor)
        try:
            async with opening(params) as workbench:
                for benchmark in plan.benchmarks:
                    for workflow in plan.workflows:
                        row = await _cell(context, workflow, executor, benchmark, workbench)
                        rows.append(row)
        except EndpointError as error:
            context.progress.item(executor.label, "cannot be asked", cached=False)
            troubles.append(f"{executor.label}: {error}")
    if rows:
        folder = write_transfer(context, rows)
        troubles += [f"The matrix without what is missing: {folder}"] if troubles else []
    if troubles:
        raise EndpointError("\n".join(troubles))
    return rows


def write_transfer(context: Context, rows: Sequence[TransferRow]) -> Path:
    """Write the matrix as Markdown, CSV and JSON, whole or not at all; return the folder."""
    target = context.workspace.root / FOLDER
    with atomic_folder(target) as folder:
        atomic_write_text(folder / "transfer.md", transfer_markdown(rows))
        atomic_write_text(folder / "transfer.csv", transfer_csv(rows))
        data = [asdict(row) for row in rows]
        atomic_write_text(folder / "transfer.json", json.dumps(data, indent=1) + "\n")
    context.tracker.artifact(context.run_id, target, FOLDER)
    return target


async def _cell(
    context: Context,
    workflow: Workflow,
    executor: ExecutorChoice,
    benchmark: str,
    workbench: Workbench,
) -> TransferRow:
    params = context.params
    started = time.monotonic()
    result = await run_test(
        _code(workflow, benchmark),
        load_test(context.workspace.splits, benchmark),
        method=workflow.name,
        benchmark=get_benchmark(
            benchmark,
            data_dir=params.benchmarks.data_dir,
            sandbox=workbench.sandbox,
            executor=workbench.executor,
        ),
        workbench=workbench,
        # the address of the final test: what that asked is not asked again
        draw=Draw(seed=params.seed, stage="test", benchmark=benchmark_label(benchmark)),
    )
    price = known_prices(params.executor).get(executor.model)
    row = TransferRow(
        workflow=workflow.name,
        executor=executor.label,
        benchmark=benchmark_label(benchmark),
        accuracy=result.accuracy,
        low=result.interval.low,
        high=result.interval.high,
        problems=result.problems,
        failures=result.failures,
        calls=result.usage.calls,
        tokens=result.usage.tokens,
        usd=cost_usd(result.usage, price),
        seconds=time.monotonic() - started,
    )
    _track(context, row)
    return row


def _code(workflow: Workflow, benchmark: str) -> str:
    """Return the workflow's code; a built-in one has the reading that the benchmark needs."""
    if workflow.name in builtin_workflows() and workflow == builtin_workflow(workflow.name):
        return baseline(workflow.name, benchmark=benchmark).code
    return workflow.code


def _track(context: Context, row: TransferRow) -> None:
    name = f"{row.workflow}, {row.executor}, {row.benchmark}"
    context.progress.item(name, f"test accuracy {row.accuracy:.2f}", cached=False)
    tags = {"workflow": row.workflow, "executor": row.executor, "benchmark": row.benchmark}
    with context.tracker.run(name, stage=FOLDER, parent=context.run_id, tags=tags) as run_id:
        figures = {
            "accuracy": row.accuracy,
            "low": row.low,
            "high": row.high,
            "calls": row.calls,
            "tokens": row.tokens,
            **({} if row.usd is None else {"usd": row.usd}),
        }
        context.tracker.metrics(run_id, [Point(f"transfer/{k}", v) for k, v in figures.items()])


def _prepare(context: Context, benchmark: str) -> None:
    folder, sizes = context.workspace.splits, context.params.benchmarks
    if (split_folder(folder, benchmark) / MANIFEST).exists():
        return
    splits = make_splits(
        get_benchmark(benchmark, data_dir=sizes.data_dir),
        private=sizes.private,
        public=sizes.public,
        test=sizes.test,
        seed=context.params.seed,
    )
    write_splits(splits, folder)


def with_executor(params: Params, executor: ExecutorChoice) -> Params:
    """Return `params` with another executor; answers are judged by the one that it replaces."""
    changes = {"model": executor.model, "base_url": executor.base_url}
    return params.model_copy(
        update={
            "executor": params.executor.model_copy(update=changes),
            "judging": params.judging or params.executor,
        }
    )


def _opening(context: Context) -> OpenWorkbench:
    return lambda params: open_workbench(
        params, workspace=context.workspace.root, totals=current_totals()
    )
