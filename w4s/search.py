"""One search: a policy improves a workflow for one benchmark, iteration by iteration.

Returns the workflow with the best validation accuracy. The test split is not within its reach.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from w4s.environment import State
from w4s.errors import SearchBudgetError
from w4s.prompts.state import Attempt
from w4s.proposals import Proposer
from w4s.rollout import OnTurn, Progress, choose, evaluate_candidates
from w4s.types import Candidate, Draw, Failure, Usage


@dataclass(frozen=True, slots=True)
class Iteration:
    """One iteration of a search: its best candidate, and the failures of all.

    `accuracy`, `reward` and `code` are None where no candidate ran; `sampled` has the accuracies
    of all candidates in their order, None for one that never ran.
    """

    index: int
    accuracy: float | None
    best: float
    reward: float | None
    failures: tuple[Failure, ...]
    code: str | None
    sampled: tuple[float | None, ...] = ()


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What a search found: the best workflow by validation accuracy, and the way there.

    `found` is the iteration that found it, None where no candidate beat the example workflow.
    `stopped` says why the search ended before its last iteration, if it did.
    """

    benchmark: str
    policy: str
    seed: int
    code: str
    accuracy: float
    found: int | None
    example_accuracy: float
    iterations: tuple[Iteration, ...]
    usage: Usage
    stopped: str | None = None


@dataclass(frozen=True, slots=True)
class SearchPlan:
    """How long to search: iterations in all, in windows of `turns`, best of `candidates` each."""

    iterations: int
    turns: int
    candidates: int = 1

    @property
    def samples(self) -> int:
        """Candidates of the whole search: what searches of another shape may sample too."""
        return self.iterations * self.candidates


async def search(
    proposer: Proposer,
    *,
    example: str,
    plan: SearchPlan,
    draw: Draw,
    on_turn: OnTurn = lambda _: None,
) -> SearchResult:
    """Search from the workflow `example` (METHOD, "Using the trained meta-agent").

    `draw` addresses the search: same address, policy and record give the same result. Its seed
    is the search's seed. Once the search's own budget is spent it ends with the whole iterations
    that it played.
    """
    environment = proposer.environment
    first = await environment.example(example, seed=draw.seed)
    run = _Run(proposer, plan, draw, on_turn, first)
    stopped = None
    for index in range(plan.iterations):
        try:
            await run.iterate(index)
        except SearchBudgetError as error:
            stopped = str(error)
            break
    return SearchResult(
        benchmark=environment.benchmark.name,
        policy=proposer.policy.identity,
        seed=draw.seed,
        code=run.best.code,
        accuracy=run.best.feedback.accuracy,
        found=run.found,
        example_accuracy=first.feedback.accuracy,
        iterations=tuple(run.iterations),
        usage=run.usage,
        stopped=stopped,
    )


class _Run:
    """The state of a search between iterations."""

    def __init__(
        self, proposer: Proposer, plan: SearchPlan, draw: Draw, on_turn: OnTurn, first: Attempt
    ) -> None:
        self._proposer = proposer
        self._plan = plan
        self._draw = draw
        self._on_turn = on_turn
        self._example = first
        self._state: State = proposer.environment.reset(example=first)
        self.best = first
        self.found: int | None = None
        self.iterations: list[Iteration] = []
        self.usage = first.feedback.usage

    async def iterate(self, index: int) -> None:
        """Play one iteration: sample candidates, evaluate those that run, go on with the best."""
        environment = self._proposer.environment
        window, turn = divmod(index, self._plan.turns)
        if turn == 0 and window > 0:
            self._state = environment.reset(example=self._example, latest=self._state.latest)
        draw = replace(self._draw, window=window, turn=turn)
        proposals = await self._proposer.propose(
            self._state, count=self._plan.candidates, draw=draw
        )
        self._take(index, await evaluate_candidates(environment, self._state, proposals, draw=draw))

    def _take(self, index: int, candidates: tuple[Candidate, ...]) -> None:
        for candidate in candidates:
            if candidate.feedback is not None:
                self.usage += candidate.feedback.usage
        chosen = choose(candidates)
        best_one = candidates[chosen] if chosen is not None else None
        action = best_one.action if best_one else None
        feedback = best_one.feedback if best_one else None
        if action is not None and feedback is not None:
            environment = self._proposer.environment
            last = (index + 1) % self._plan.turns == 0 or index + 1 == self._plan.iterations
            move = environment.conclude if last else environment.advance
            self._state = move(self._state, action, feedback)
            if feedback.accuracy > self.best.feedback.accuracy:
                self.best, self.found = Attempt(action.code, feedback), index
        best = self.best.feedback.accuracy
        self.iterations.append(
            Iteration(
                index=index,
                accuracy=feedback.accuracy if feedback else None,
                best=best,
                reward=best_one.reward if best_one else None,
                failures=tuple(f for candidate in candidates for f in candidate.failures),
                code=action.code if action else None,
                sampled=tuple(c.feedback.accuracy if c.feedback else None for c in candidates),
            )
        )
        self._on_turn(
            Progress(
                benchmark=self._proposer.environment.benchmark.name,
                turn=index,
                turns=self._plan.iterations,
                accuracy=feedback.accuracy if feedback else None,
                best=best,
            )
        )
