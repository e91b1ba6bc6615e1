"""A seeded grammar of workflows, from which a small policy learns the interface.

It is never tied to a benchmark or to a reward: families are drawn with fixed weights, prompts and
settings at random. It only says what a workflow may look like; what works is left to learning.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from w4s.policy.grammar import wording
from w4s.policy.grammar.draft import Family, WorkflowDraft
from w4s.policy.grammar.families import BUILDERS
from w4s.types import CaseStudy

__all__ = ["Family", "WorkflowDraft", "sample_workflow"]

# uniform over the families but for the plainest program, which stands for a wide range of tasks
_WEIGHTS = {family: 3 if family is Family.PROGRAM else 1 for family in Family}


def sample_workflow(rng: random.Random, *, cases: Sequence[CaseStudy]) -> WorkflowDraft:
    """Draw a workflow, which may quote `cases`; the same for the same state of `rng`.

    Families that `cases` do not allow (no case at all, no operation that fits) are drawn again.
    """
    families = list(_WEIGHTS)
    weights = list(_WEIGHTS.values())
    while True:
        family = rng.choices(families, weights)[0]
        code = BUILDERS[family](rng, cases)
        if code is not None:
            return WorkflowDraft(wording.IDEAS[family], code + "\n", family)
