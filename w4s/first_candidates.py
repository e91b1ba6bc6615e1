"""How good are the workflows that a policy writes at once, before any feedback on its own?

The measure by which a trained policy is compared with the one that it started from.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from w4s.proposals import Proposer
from w4s.rollout import evaluate_candidates
from w4s.types import Candidate, Draw


@dataclass(frozen=True, slots=True)
class FirstCandidates:
    """Validation accuracies of candidates sampled in the first state (0 for one that never ran)."""

    benchmark: str
    policy: str
    accuracies: tuple[float, ...]
    broken: int

    @property
    def mean(self) -> float:
        """Mean accuracy over all candidates, broken ones included."""
        return math.fsum(self.accuracies) / len(self.accuracies)


async def sample_first_candidates(
    proposer: Proposer, *, example: str, count: int, draw: Draw
) -> FirstCandidates:
    """Sample `count` candidates after the workflow `example` and evaluate each."""
    environment = proposer.environment
    state = environment.reset(example=await environment.example(example, seed=draw.seed))
    proposals = await proposer.propose(state, count=count, draw=draw)
    candidates = await evaluate_candidates(environment, state, proposals, draw=draw)
    return FirstCandidates(
        benchmark=environment.benchmark.name,
        policy=proposer.policy.identity,
        accuracies=tuple(_accuracy(candidate) for candidate in candidates),
        broken=sum(not candidate.valid for candidate in candidates),
    )


def _accuracy(candidate: Candidate) -> float:
    return candidate.feedback.accuracy if candidate.feedback is not None else 0.0
