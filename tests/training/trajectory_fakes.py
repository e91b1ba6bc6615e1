"""Small trajectories with rewards, for tests of training."""

from __future__ import annotations

import random

from w4s.types import Action, Candidate, Feedback, Message, Trajectory, Turn, Usage


def feedback(accuracy: float) -> Feedback:
    return Feedback(accuracy, 4, (), {}, 0.0, Usage())


def candidate(index: int, text: str, reward: float, *, accuracy: float = 0.5) -> Candidate:
    return Candidate(index, Action("", text, text), (), feedback(accuracy), reward)


def broken(index: int) -> Candidate:
    return Candidate(index, None, (), None, None)


def windows(count: int, *, seed: int = 0, turns: int = 2, width: int = 3) -> list[Trajectory]:
    """Return windows whose second turn extends the first by its chosen action and feedback."""
    draw = random.Random(seed)

    def text(length: int) -> str:
        return "".join(draw.choice("abcdefgh ") for _ in range(length))

    made = []
    for window in range(count):
        state = (Message("system", "You design."), Message("user", text(40)))
        steps = []
        for turn in range(turns):
            found = tuple(
                candidate(i, text(20), draw.choice([0.0, 0.5, 1.0])) for i in range(width)
            )
            chosen = draw.randrange(width)
            steps.append(Turn(turn, state, found, chosen))
            action = found[chosen].action
            assert action is not None
            state = (*state, Message("assistant", action.text), Message("user", text(15)))
        made.append(
            Trajectory(
                benchmark="adder",
                episode=0,
                window=window,
                seed=0,
                policy="tiny",
                turns=tuple(steps),
            )
        )
    return made
