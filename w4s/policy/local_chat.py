"""Write chats as tokens, in the one way that sampling and training share.

A prompt is the chat template's text, tokenised whole. A reply's tokens are the template's text
between the prompt and the end of the turn, tokenised apart, because that is what a sampler
conditions on: the prompt's tokens are never changed by what follows them. Samples nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from transformers import PreTrainedTokenizerBase

from w4s.errors import WeightsError
from w4s.types import Message

_MARK = "reply"


def prompt_ids(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message]) -> list[int]:
    """Return the tokens of a prompt that asks for the assistant's reply to `messages`."""
    return _encode(tokenizer, _render(tokenizer, messages, ask=True))


def reply_ids(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], reply: str
) -> list[int]:
    """Return the tokens of `reply` to `messages`, its end-of-turn token included, nothing after.

    Raises WeightsError where the template writes a reply's beginning unlike a prompt's end.
    """
    prompt = _render(tokenizer, messages, ask=True)
    whole = _render(tokenizer, (*messages, Message("assistant", reply)), ask=False)
    if not whole.startswith(prompt):
        raise WeightsError(
            "The tokenizer's chat template writes a reply's beginning unlike the prompt's end "
            f"({prompt[-40:]!r}): samples cannot be written exactly. Choose another policy model."
        )
    ids = _encode(tokenizer, whole[len(prompt) :])
    end = end_of_turn_id(tokenizer)
    if end in ids:
        return ids[: len(ids) - ids[::-1].index(end)]
    return [*ids, end]


@lru_cache(maxsize=8)
def end_of_turn_id(tokenizer: PreTrainedTokenizerBase) -> int:
    """Return the token with which the chat template ends a turn; without one, the EOS token.

    Raises WeightsError where there is neither.
    """
    chat = (Message("system", "x"), Message("user", "x"), Message("assistant", _MARK))
    tail = _render(tokenizer, chat, ask=False).rpartition(_MARK)[2]
    special = set(tokenizer.all_special_ids) | set(tokenizer.get_added_vocab().values())
    for token in _encode(tokenizer, tail):
        if token in special:
            return token
    if tokenizer.eos_token_id is None:
        raise WeightsError(
            f"{tokenizer.name_or_path}: the tokenizer has no end-of-sequence token. "
            "Choose an instruction-tuned policy model."
        )
    return int(tokenizer.eos_token_id)


def _render(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], *, ask: bool) -> str:
    if tokenizer.chat_template is None:
        raise WeightsError(
            f"{tokenizer.name_or_path}: the tokenizer has no chat template. Choose an "
            "instruction-tuned model (policy.model), or put chat_template.jinja in its folder."
        )
    chat = [{"role": message.role, "content": message.content} for message in messages]
    text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=ask)
    return str(text)


def _encode(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    ids: list[int] = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
    return ids
