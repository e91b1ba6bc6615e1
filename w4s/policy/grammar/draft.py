"""What the grammar draws: an analysis and a workflow, with the family that it is of."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Family(StrEnum):
    """The technique of a drafted workflow."""

    DIRECT = "direct"
    CHAIN_OF_THOUGHT = "chain_of_thought"
    SELF_CONSISTENCY = "self_consistency"
    FEW_SHOT = "few_shot"
    SELF_REFINE = "self_refine"
    DECOMPOSITION = "decomposition"
    GENERIC_CODE = "generic_code"  # worked examples of generic questions, code run
    PROGRAM = "program"  # worked examples of public questions, code run
    PROGRAM_VOTE = "program_vote"  # several programs, the most frequent value
    PROGRAM_THEN_THOUGHT = "program_then_thought"  # reasoning where the program fails


@dataclass(frozen=True, slots=True)
class WorkflowDraft:
    """A drafted action."""

    analysis: str
    code: str
    family: Family

    @property
    def text(self) -> str:
        """The reply that a policy would give."""
        return f"{self.analysis}\n\n```python\n{self.code.strip()}\n```"
