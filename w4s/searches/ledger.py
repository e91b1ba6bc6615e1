"""What all rival searches share: one candidate an iteration, evaluated once, and a record of it.

Which state the policy sees is each search's own business.
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass, replace
from typing import Protocol

from w4s.environment import State
from w4s.errors import SearchBudgetError
from w4s.prompts.state import Attempt
from w4s.proposals import Proposer
from w4s.rollout import OnTurn, Progress, evaluate_candidates
from w4s.search import Iteration, SearchPlan, SearchResult
from w4s.types import Candidate, Draw


class SearchMethod(Protocol):
    """A search: `plan.samples` candidates of a policy, each evaluated once."""

    def __call__(
        self,
        proposer: Proposer,
        *,
        example: str,
        plan: SearchPlan,
        draw: Draw,
        on_turn: OnTurn = ...,
    ) -> Awaitable[SearchResult]:
        """Search from the workflow `example`; the best one by validation accuracy wins."""
        ...


@dataclass(frozen=True, slots=True)
class Tried:
    """A candidate that ran: its workflow with feedback, and the policy's words about it."""

    attempt: Attempt
    analysis: str


class Ledger:
    """Plays the iterations of one search and keeps what came of them."""

    def __init__(
        self, proposer: Proposer, *, first: Attempt, plan: SearchPlan, draw: Draw, on_turn: OnTurn
    ) -> None:
        self.proposer = proposer
        self.first = first
        self.plan = plan
        self.draw = draw
        self._on_turn = on_turn
        self._best = first
        self._found: int | None = None
        self._iterations: list[Iteration] = []
        self._usage = first.feedback.usage
        self._stopped: str | None = None

    async def iterate(self, state: State) -> Tried | None:
        """Ask for one candidate in `state` and evaluate it; None where it never ran.

        Once the search's own budget is spent nothing is asked any more.
        """
        if self._stopped is None:
            try:
                return await self._iterate(state)
            except SearchBudgetError as error:
                self._stopped = str(error)
        return None

    async def _iterate(self, state: State) -> Tried | None:
        index = len(self._iterations)
        environment = self.proposer.environment
        draw = replace(self.draw, window=index)
        proposals = await self.proposer.propose(state, count=1, draw=draw)
        (candidate,) = await evaluate_candidates(environment, state, proposals, draw=draw)
        return self._take(index, candidate)

    def result(self) -> SearchResult:
        """Return what was found after the last iteration."""
        return SearchResult(
            benchmark=self.proposer.environment.benchmark.name,
            policy=self.proposer.policy.identity,
            seed=self.draw.seed,
            code=self._best.code,
            accuracy=self._best.feedback.accuracy,
            found=self._found,
            example_accuracy=self.first.feedback.accuracy,
            iterations=tuple(self._iterations),
            usage=self._usage,
            stopped=self._stopped,
        )

    def _take(self, index: int, candidate: Candidate) -> Tried | None:
        action, feedback = candidate.action, candidate.feedback
        tried = None
        if action is not None and feedback is not None:
            tried = Tried(Attempt(action.code, feedback), action.analysis)
            self._usage += feedback.usage
            if feedback.accuracy > self._best.feedback.accuracy:
                self._best, self._found = tried.attempt, index
        accuracy = tried.attempt.feedback.accuracy if tried else None
        best = self._best.feedback.accuracy
        code = action.code if action else None
        self._iterations.append(
            Iteration(index, accuracy, best, candidate.reward, candidate.failures, code)
        )
        benchmark = self.proposer.environment.benchmark.name
        self._on_turn(Progress(benchmark, index, self.plan.samples, accuracy, best))
        return tried


async def open_ledger(
    name: str,
    proposer: Proposer,
    *,
    example: str,
    plan: SearchPlan,
    draw: Draw,
    on_turn: OnTurn,
) -> Ledger:
    """Evaluate the example and return the ledger of the search `name`.

    The name becomes part of the draws' address: two searches with one policy are independent.
    """
    first = await proposer.environment.example(example, seed=draw.seed)
    own = replace(draw, policy=f"{draw.policy}+{name}")
    return Ledger(proposer, first=first, plan=plan, draw=own, on_turn=on_turn)
