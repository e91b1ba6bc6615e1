"""From parameters to things that run: the workbench, and the environment of a benchmark.

The only module that knows how the parts are put together; everything else takes parts.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

from w4s.agent import CallLimits
from w4s.benchmarks.custom import task_judge
from w4s.benchmarks.registry import get_benchmark
from w4s.benchmarks.splits import load_validation
from w4s.config import Params
from w4s.environment import Environment
from w4s.errors import WorkflowFailed
from w4s.evaluation import Workbench, run_workflow
from w4s.llm.open import check_judge, open_executor
from w4s.llm.totals import Totals
from w4s.policy.base import Policy
from w4s.prompts.state import PromptBudget
from w4s.rewards import RewardRule
from w4s.sandbox.base import Limits
from w4s.sandbox.host import ProcessSandbox
from w4s.seeds import derive_seed
from w4s.workflow import Workflow

_CODE_WALL_SECONDS = 10.0  # one execute_code; the authors give it 5
_FEEDBACK_TOKENS = 200  # kept free in a state for the feedback of a later turn


@asynccontextmanager
async def open_workbench(
    params: Params, *, workspace: Path, totals: Totals | None = None
) -> AsyncIterator[Workbench]:
    """Open the executor and the sandbox that `params` describe; close both at the end.

    What the executor is asked is counted on in `totals` where given.

    Raises SandboxError, WeightsError, EndpointError, and ReplayError where there is nothing to
    replay.
    """
    async with (
        ProcessSandbox(
            workers=params.sandbox.workers,
            disposable_machine=params.sandbox.disposable_machine,
        ) as sandbox,
        open_executor(params, workspace=workspace, totals=totals) as executor,
    ):
        yield Workbench(
            executor=executor,
            sandbox=sandbox,
            limits=run_limits(params),
            call_limits=CallLimits(
                calls=params.limits.calls,
                tokens=params.limits.tokens,
                reply_tokens=params.executor.max_tokens,
            ),
            code_limits=code_limits(params),
        )


def check_judges(params: Params, benchmarks: Iterable[str]) -> None:
    """Find out whether the judges of all `benchmarks` could be asked, before anything is spent.

    Raises ConfigError, EndpointError and BudgetError as `w4s.llm.open.check_judge` does.
    """
    for name in benchmarks:
        judge = task_judge(name)
        if judge is not None:
            check_judge(params, judge, environment=os.environ)


def run_limits(params: Params) -> Limits:
    """Return the sandbox's limits of one workflow on one problem."""
    limits = params.limits
    return Limits(
        wall_seconds=limits.wall_seconds,
        cpu_seconds=limits.cpu_seconds,
        memory_bytes=limits.memory_mb * 1024**2,
        output_bytes=limits.output_kb * 1024,
        calls=4 * limits.calls,  # executor calls and code executions together
    )


def code_limits(params: Params) -> Limits:
    """Return the sandbox's limits of one code execution inside a workflow."""
    limits = run_limits(params)
    return Limits(
        wall_seconds=min(_CODE_WALL_SECONDS, limits.wall_seconds),
        cpu_seconds=limits.cpu_seconds,
        memory_bytes=limits.memory_bytes,
        output_bytes=limits.output_bytes,
        calls=0,
    )


def prompt_budget(params: Params, policy: Policy, *, turns: int) -> PromptBudget:
    """Return how long the policy's states may be.

    `turns` is T: the state of a window's first turn leaves room for the later ones.
    """
    turn = params.policy.action_tokens + _FEEDBACK_TOKENS
    most = max(turn, params.policy.prompt_tokens // 2)  # later turns may drop the ones before them
    return PromptBudget(
        tokens=params.policy.prompt_tokens,
        count=policy.count_tokens,
        wording=params.policy.prompt,
        reserve=min((turns - 1) * turn, most),
    )


def make_environment(
    params: Params, name: str, *, splits: Path, workbench: Workbench, policy: Policy, turns: int
) -> Environment:
    """Return the decision process of benchmark `name`, with its validation splits under `splits`.

    `turns` is T: the state of a window's first turn leaves room for the later ones.
    """
    data_dir = params.benchmarks.data_dir
    return Environment(
        benchmark=get_benchmark(
            name, data_dir=data_dir, sandbox=workbench.sandbox, executor=workbench.executor
        ),
        splits=load_validation(splits, name),
        workbench=workbench,
        budget=prompt_budget(params, policy, turns=turns),
        rule=RewardRule(
            kind=params.reward.kind,
            low_accuracy_penalty=params.reward.low_accuracy_penalty,
            safety_weight=params.reward.safety_weight,
        ),
    )


async def solve(workflow: Workflow, question: str, *, workbench: Workbench, seed: int = 0) -> str:
    """Answer one question with a workflow. Raises WorkflowFailed where it gives no answer."""
    draw = f"solve/{workflow.name}/s{seed}"
    run = await run_workflow(
        workflow.code,
        question,
        workbench=workbench,
        draw=draw,
        seed=derive_seed(draw, question),
    )
    if run.failure is not None or run.answer is None:
        failure = run.failure
        where = f"{workflow.name}:{failure.line}" if failure and failure.line else workflow.name
        raise WorkflowFailed(f"{where}: {failure.message if failure else 'no answer'}")
    return run.answer
