"""A policy in the environment of a benchmark, with a line to whoever waits for it."""

from __future__ import annotations

from dataclasses import replace

from tasks.context import Context
from tasks.policies import PolicyChoice
from w4s.llm.base import Executor
from w4s.proposals import Proposer, SamplingRule
from w4s.rollout import OnTurn, Progress
from w4s.runtime import make_environment


async def make_proposer(
    context: Context,
    *,
    benchmark: str,
    policy: PolicyChoice,
    turns: int,
    rule: SamplingRule,
    executor: Executor | None = None,
) -> Proposer:
    """Return `policy` in the environment of `benchmark`, over `executor` where one is given."""
    workbench = await context.resources.workbench()
    if executor is not None:
        workbench = replace(workbench, executor=executor)
    loaded = await context.resources.policy(policy.adapter)
    environment = make_environment(
        context.params,
        benchmark,
        splits=context.workspace.splits,
        workbench=workbench,
        policy=loaded,
        turns=turns,
    )
    return Proposer(policy=loaded, environment=environment, rule=rule)


def turn_listener(context: Context, item: str) -> OnTurn:
    """Return a listener that passes the turns of `item` on to the progress display."""

    def listen(turn: Progress) -> None:
        last = "no valid candidate" if turn.accuracy is None else f"accuracy {turn.accuracy:.2f}"
        note = f"{last}, best {turn.best:.2f}"
        context.progress.step(item, turn.turn + 1, turn.turns, note)

    return listen
