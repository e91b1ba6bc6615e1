"""Random sampling: every candidate is written in the first state, none learns from another."""

from __future__ import annotations

from w4s.proposals import Proposer
from w4s.rollout import OnTurn
from w4s.search import SearchPlan, SearchResult
from w4s.searches.ledger import open_ledger
from w4s.types import Draw

NAME = "random"


async def random_search(
    proposer: Proposer,
    *,
    example: str,
    plan: SearchPlan,
    draw: Draw,
    on_turn: OnTurn = lambda _: None,
) -> SearchResult:
    """Sample `plan.samples` candidates after the example, and return the best one."""
    ledger = await open_ledger(
        NAME, proposer, example=example, plan=plan, draw=draw, on_turn=on_turn
    )
    state = proposer.environment.reset(example=ledger.first)
    for _ in range(plan.samples):
        await ledger.iterate(state)
    return ledger.result()
