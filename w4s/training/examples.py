"""Write samples as tokens: a prompt without loss, then the action's tokens with it.

The tokens are those that sampling uses (`w4s.policy.local_chat`). Packs nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from w4s.errors import TrainingError
from w4s.policy.local_chat import prompt_ids, reply_ids
from w4s.training.samples import Sample

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Example:
    """One sample as tokens. Only `action` bears loss; it holds its end-of-turn token."""

    prompt: tuple[int, ...]
    action: tuple[int, ...]
    weight: float
    reward: float
    tree: str
    truncated: bool = False

    @property
    def path(self) -> tuple[int, ...]:
        """Prompt and action, as the model reads them."""
        return self.prompt + self.action


def write_examples(
    samples: Sequence[Sample],
    weights: Sequence[float],
    *,
    tokenizer: PreTrainedTokenizerBase,
    context: int,
) -> list[Example]:
    """Return the samples' tokens. An action that passes the context is cut, with a warning.

    Raises TrainingError where a state leaves no room for an action.
    """
    examples = [
        _write(sample, weight, tokenizer, context)
        for sample, weight in zip(samples, weights, strict=True)
    ]
    cut = sum(example.truncated for example in examples)
    if cut:
        _log.warning(
            "%d of %d actions were cut at the model's context of %d tokens and keep no end; "
            "lower policy.prompt_tokens or policy.action_tokens",
            cut,
            len(examples),
            context,
        )
    return examples


def _write(
    sample: Sample, weight: float, tokenizer: PreTrainedTokenizerBase, context: int
) -> Example:
    prompt = prompt_ids(tokenizer, sample.state)
    if len(prompt) >= context:
        raise TrainingError(
            f"{sample.tree}: a state has {len(prompt)} tokens, {len(prompt) - context + 1} more "
            f"than the model's context of {context} allows. Lower policy.prompt_tokens and "
            "collect again, or choose a policy model with a longer context."
        )
    action = reply_ids(tokenizer, sample.state, sample.reply)
    room = context - len(prompt)
    return Example(
        prompt=tuple(prompt),
        action=tuple(action[:room]),
        weight=weight,
        reward=sample.reward,
        tree=sample.tree,
        truncated=len(action) > room,
    )
