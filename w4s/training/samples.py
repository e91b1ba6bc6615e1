"""Choose the samples that trajectories give: states with an action and its reward.

Knows no tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from w4s.config import Objective
from w4s.errors import TrainingError
from w4s.types import Candidate, Message, Trajectory


@dataclass(frozen=True, slots=True)
class Sample:
    """A reply to a state. Samples of one `tree` share states and are packed together."""

    state: tuple[Message, ...]
    reply: str
    reward: float
    tree: str


def trajectory_samples(
    trajectories: Sequence[Trajectory], *, objective: Objective, min_accuracy: float | None = None
) -> list[Sample]:
    """Return all evaluated candidates, or under `sft_best` each turn's chosen one.

    Candidates at most `min_accuracy` accurate are dropped as broken.

    Raises TrainingError where none is left.
    """
    samples: list[Sample] = []
    seen = 0
    for trajectory in trajectories:
        tree = (
            f"{trajectory.benchmark}/s{trajectory.seed}/e{trajectory.episode}/w{trajectory.window}"
        )
        for turn in trajectory.turns:
            seen += len(turn.candidates)
            for candidate in turn.candidates:
                if objective == "sft_best" and candidate.index != turn.chosen:
                    continue
                if (found := _usable(candidate, min_accuracy)) is not None:
                    samples.append(Sample(turn.state, found.text, found.reward, tree))
    if not samples:
        raise TrainingError(
            f"No sample is left of {seen} candidates in {len(trajectories)} trajectories "
            f"(objective {objective}, min_accuracy {min_accuracy}). Collect more windows, lower "
            "collect.min_accuracy, or start from a policy that writes valid workflows."
        )
    return samples


def pair_samples(pairs: Sequence[tuple[Sequence[Message], str]]) -> list[Sample]:
    """Return samples of states and replies, all with the same reward; equal states share a tree.

    Raises TrainingError where there is none.
    """
    if not pairs:
        raise TrainingError("There is no example to clone. Raise warm_start.samples.")
    places: dict[tuple[Message, ...], int] = {}
    samples: list[Sample] = []
    for messages, reply in pairs:
        state = tuple(messages)
        place = places.setdefault(state, len(places))
        samples.append(Sample(state, reply, 0.0, f"pair-{place}"))
    return samples


@dataclass(frozen=True, slots=True)
class _Usable:
    text: str
    reward: float


def _usable(candidate: Candidate, min_accuracy: float | None) -> _Usable | None:
    if candidate.action is None or candidate.feedback is None or candidate.reward is None:
        return None
    if min_accuracy is not None and candidate.feedback.accuracy <= min_accuracy:
        return None
    return _Usable(candidate.action.text, candidate.reward)
