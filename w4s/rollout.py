"""Episodes of collection: m candidates a turn, the best one moves the state on.

Makes trajectories; it neither trains nor writes files.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from w4s.concurrency import gather
from w4s.environment import Environment, State
from w4s.prompts.state import Attempt
from w4s.proposals import Proposal, Proposer
from w4s.types import Candidate, Draw, Feedback, Trajectory, Turn


@dataclass(frozen=True, slots=True)
class Progress:
    """One finished turn, for a progress line."""

    benchmark: str
    turn: int
    turns: int
    accuracy: float | None  # of the chosen candidate; None where none was valid
    best: float


OnTurn = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class EpisodePlan:
    """The shape of one episode: windows of `turns` turns, `candidates` a turn, raced or not."""

    windows: int
    turns: int
    candidates: int
    racing: bool = False


async def collect_episode(
    proposer: Proposer,
    *,
    example: str,
    plan: EpisodePlan,
    draw: Draw,
    on_turn: OnTurn = lambda _: None,
) -> list[Trajectory]:
    """Play one episode from the workflow `example` and return a trajectory for each window.

    `draw` addresses the episode.
    """
    environment = proposer.environment
    first = await environment.example(example, seed=draw.seed)
    latest = first
    trajectories = []
    for window in range(plan.windows):
        player = _Window(proposer, plan, replace(draw, window=window), on_turn)
        turns, latest = await player.play(environment.reset(example=first, latest=latest))
        trajectories.append(
            Trajectory(
                benchmark=environment.benchmark.name,
                episode=draw.episode,
                window=window,
                seed=draw.seed,
                policy=proposer.policy.identity,
                turns=turns,
            )
        )
    return trajectories


@dataclass(frozen=True, slots=True)
class _Window:
    """Plays one window."""

    proposer: Proposer
    plan: EpisodePlan
    draw: Draw
    on_turn: OnTurn

    async def play(self, state: State) -> tuple[tuple[Turn, ...], Attempt]:
        turns: list[Turn] = []
        for index in range(self.plan.turns):
            draw = replace(self.draw, turn=index)
            proposals = await self.proposer.propose(state, count=self.plan.candidates, draw=draw)
            candidates = await evaluate_candidates(
                self.proposer.environment, state, proposals, draw=draw, racing=self.plan.racing
            )
            chosen = choose(candidates)
            turns.append(Turn(index, state.messages, candidates, chosen))
            state = self._advance(state, turns[-1])
            self._report(index, candidates, chosen, state)
        return tuple(turns), state.latest

    def _advance(self, state: State, turn: Turn) -> State:
        if turn.chosen is None:
            return state
        candidate = turn.candidates[turn.chosen]
        if candidate.action is None or candidate.feedback is None:
            raise ValueError(f"candidate {turn.chosen} was chosen without feedback")
        environment = self.proposer.environment
        last = turn.index == self.plan.turns - 1
        move = environment.conclude if last else environment.advance
        return move(state, candidate.action, candidate.feedback)

    def _report(
        self, index: int, candidates: Sequence[Candidate], chosen: int | None, state: State
    ) -> None:
        feedback = candidates[chosen].feedback if chosen is not None else None
        self.on_turn(
            Progress(
                benchmark=self.proposer.environment.benchmark.name,
                turn=self.draw.window * self.plan.turns + index,
                turns=self.plan.windows * self.plan.turns,
                accuracy=feedback.accuracy if feedback else None,
                best=max(state.accuracies),
            )
        )


async def evaluate_candidates(
    environment: Environment,
    state: State,
    proposals: Sequence[Proposal],
    *,
    draw: Draw,
    racing: bool = False,
) -> tuple[Candidate, ...]:
    """Evaluate all valid proposals of a turn together and reward them against `state`."""
    draws = [replace(draw, candidate=index) for index in range(len(proposals))]
    pairs = [(p.action, own) for p, own in zip(proposals, draws, strict=True) if p.action]
    if racing:
        found = await environment.race([action for action, _ in pairs], [d for _, d in pairs])
    else:
        found = await gather(environment.evaluate(action, own) for action, own in pairs)
    feedbacks = {own.candidate: feedback for (_, own), feedback in zip(pairs, found, strict=True)}
    return tuple(
        _candidate(environment, state, proposal, index=index, feedback=feedbacks.get(index))
        for index, proposal in enumerate(proposals)
    )


def _candidate(
    environment: Environment,
    state: State,
    proposal: Proposal,
    *,
    index: int,
    feedback: Feedback | None,
) -> Candidate:
    reward = environment.reward(state, feedback) if feedback is not None else None
    return Candidate(index, proposal.action, proposal.failures, feedback, reward)


def choose(candidates: Sequence[Candidate]) -> int | None:
    """Return the index of the most accurate candidate: of equals the cheapest, then the first."""
    valid = [(c.feedback, c.index) for c in candidates if c.feedback and not c.feedback.skipped]
    if not valid:
        return None
    return min(valid, key=lambda pair: (-pair[0].accuracy, pair[0].usage.tokens, pair[1]))[1]
