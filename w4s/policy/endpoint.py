"""A policy behind an OpenAI-compatible endpoint (vLLM, or a hosted model).

Asks for all replies in one request, so that the server reads the prompt once. Keeps no record.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from openai import (
    APIConnectionError,
    APIStatusError,
    AsyncOpenAI,
    BadRequestError,
    DefaultAsyncHttpxClient,
    omit,
)
from openai.types.chat import ChatCompletionMessageParam
from openai.types.chat.chat_completion import Choice

from w4s.concurrency import gather
from w4s.errors import EndpointError
from w4s.llm.abilities import refused
from w4s.llm.endpoint import NO_KEY, Address
from w4s.llm.faults import Fault, Remedy
from w4s.llm.replies import strip_thinking
from w4s.policy.base import PolicyReply
from w4s.seeds import derive_seed
from w4s.types import Message

_BYTES_PER_TOKEN = 3  # of English text and code 3.5 to 4.5: the estimate errs on the long side
_TOKENS_PER_MESSAGE = 6
_TIMEOUT_SECONDS = 600.0
_RETRIES = 4
# what some models do not take; for the first one they take max_completion_tokens
_REFUSABLE = ("max_tokens", "temperature", "seed")


class EndpointPolicy:
    """A policy that a server samples. The key comes from OPENAI_API_KEY; local servers need none.

    `client` is for tests. Seeds are hints, which vLLM keeps and hosted models may not.
    """

    def __init__(
        self,
        model: str,
        *,
        base_url: str,
        action_tokens: int,
        client: AsyncOpenAI | None = None,
    ) -> None:
        self._model = model
        self._address = Address(base_url, os.environ.get("OPENAI_API_KEY") or NO_KEY)
        self._action_tokens = action_tokens
        self._refused: set[str] = set()
        self._client = client or AsyncOpenAI(
            base_url=base_url,
            api_key=self._address.api_key,
            timeout=_TIMEOUT_SECONDS,
            max_retries=_RETRIES,
            # the default one closes itself in whatever event loop runs when it is collected
            http_client=DefaultAsyncHttpxClient(),
        )

    @property
    def identity(self) -> str:
        """Names model and endpoint, without a password in its address: it stands in files."""
        return f"{self._model}@{self._address.shown}"

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Estimate the prompt's length in tokens, on the long side, without the tokeniser."""
        text = sum(len(message.content.encode()) for message in messages)
        return text // _BYTES_PER_TOKEN + _TOKENS_PER_MESSAGE * len(messages)

    async def sample(
        self, messages: Sequence[Message], *, n: int, temperature: float, seed: int
    ) -> list[PolicyReply]:
        """Return `n` replies from one request, or from `n` where the server gives one at a time.

        Raises EndpointError where the endpoint cannot be used.
        """
        try:
            choices = await self._ask(messages, n, temperature, seed)
        except BadRequestError as error:
            if n == 1:
                raise EndpointError(self._refusal(error)) from error
            choices = []
        rest = range(len(choices), n)
        singles = (self._single(messages, temperature, derive_seed(seed, i)) for i in rest)
        replies = [choice for found in await gather(singles) for choice in found]
        return [_reply(choice) for choice in (choices + replies)[:n]]

    async def _single(
        self, messages: Sequence[Message], temperature: float, seed: int
    ) -> list[_Sampled]:
        try:
            return await self._ask(messages, 1, temperature, seed)
        except BadRequestError as error:
            raise EndpointError(self._refusal(error)) from error

    async def _ask(
        self, messages: Sequence[Message], n: int, temperature: float, seed: int
    ) -> list[_Sampled]:
        chat: list[ChatCompletionMessageParam] = [_param(message) for message in messages]
        left_out = set(self._refused)
        short = "max_tokens" in left_out
        try:
            completion = await self._client.chat.completions.create(
                model=self._model,
                messages=chat,
                n=n,
                temperature=omit if "temperature" in left_out else temperature,
                seed=omit if "seed" in left_out else seed,
                max_tokens=omit if short else self._action_tokens,
                max_completion_tokens=self._action_tokens if short else omit,
            )
        except BadRequestError as error:
            sent = {name: None for name in _REFUSABLE if name not in left_out}
            fault = Fault(Remedy.ADAPT, str(error), parameter=error.param)
            named = refused(fault, {"messages": (), **sent})
            if named is None:
                raise
            self._refused.add(named)
            return await self._ask(messages, n, temperature, seed)
        except (APIStatusError, APIConnectionError) as error:
            raise EndpointError(self._refusal(error)) from error
        if not completion.choices:
            raise EndpointError(self._refusal("it sent no choices"))
        tokens = completion.usage.completion_tokens if completion.usage else 0
        each = tokens // len(completion.choices)
        return [(choice, each) for choice in completion.choices]

    def _refusal(self, error: object) -> str:
        return (
            f"{self._address.shown}: the policy {self._model!r} gave no reply: "
            f"{self._address.scrub(str(error)).rstrip('.')}. Check "
            "policy.base_url, policy.model and OPENAI_API_KEY, and that the server runs."
        )


_Sampled = tuple[Choice, int]  # a choice, and its share of the reply's tokens


def _reply(sampled: _Sampled) -> PolicyReply:
    choice, tokens = sampled
    text = strip_thinking(choice.message.content or "")  # no part of the analysis
    return PolicyReply(text, tokens, choice.finish_reason == "length")


def _param(message: Message) -> ChatCompletionMessageParam:
    if message.role == "system":
        return {"role": "system", "content": message.content}
    if message.role == "user":
        return {"role": "user", "content": message.content}
    return {"role": "assistant", "content": message.content}
