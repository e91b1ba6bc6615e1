"""One chat completion over HTTP, with manners: slots, limits, time-outs, tries, adaptation.

Neither records nor budgets.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from w4s.config import ExecutorParams
from w4s.errors import EndpointError
from w4s.llm import abilities as able
from w4s.llm.base import CallFailed
from w4s.llm.completion import Completion, read_completion
from w4s.llm.endpoint import Address, Endpoint
from w4s.llm.faults import CALL_ERRORS, Fault, MalformedReply, Remedy, classify
from w4s.llm.flights import Abandoned, Trip
from w4s.llm.known import KnownAbilities
from w4s.llm.outage import Outage
from w4s.llm.rate import Clock, Concurrency, MinuteLimit, Sleep
from w4s.llm.record import Record
from w4s.llm.request import ResolvedRequest
from w4s.llm.totals import Totals
from w4s.llm.transport import ChatClient, chat_client

_FIRST_BACKOFF_SECONDS = 0.25
_LONGEST_BACKOFF_SECONDS = 20.0
_LONGEST_PROBE_SECONDS = 5.0
_LONGEST_TEXT = 400  # characters of a fault
_MOST_ADAPTATIONS = 16  # of one call: an endpoint that refuses everything ends it

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Timing:
    """Clock, sleep and random generator, so that tests own time."""

    clock: Clock
    sleep: Sleep
    rng: random.Random


@dataclass(slots=True)
class _Tries:
    """What one call has been through."""

    failed: int = 0
    refused: int = 0
    adapted: int = 0


class Caller:
    """Asks one endpoint. `record` only remembers what was found out about it."""

    def __init__(
        self,
        params: ExecutorParams,
        endpoint: Endpoint,
        *,
        record: Record | None,
        totals: Totals,
        timing: Timing,
    ) -> None:
        clock, sleep = timing.clock, timing.sleep
        self._params = params
        self._endpoint = endpoint
        self._totals = totals
        self._timing = timing
        self._slots = Concurrency(params.concurrency, clock=clock, sleep=sleep)
        self._requests = MinuteLimit(params.requests_per_minute, clock=clock, sleep=sleep)
        self._tokens = MinuteLimit(params.tokens_per_minute, clock=clock, sleep=sleep)
        self._outage = Outage(params.outage_seconds, clock=clock)
        self._known = KnownAbilities(record, name=endpoint.name)
        self._address: Address | None = None
        self._client: ChatClient | None = None
        self._opening = asyncio.Lock()
        self._fatal: str | None = None

    @property
    def in_flight(self) -> int:
        """How many requests are with the endpoint now."""
        return self._slots.in_flight

    @property
    def refused(self) -> bool:
        """Whether the endpoint will never answer: key, model or quota."""
        return self._fatal is not None

    async def open(self) -> None:
        """Start the endpoint and the client, once."""
        if self._client is not None:
            return
        async with self._opening:
            if self._client is None:
                self._address = await self._endpoint.open()
                self._client = chat_client(
                    self._address,
                    connections=self._params.concurrency,
                    connect_seconds=self._params.connect_timeout,
                    seconds=self._params.request_timeout,
                )

    async def close(self) -> None:
        """Close the connections and end the endpoint."""
        self._slots.close()
        if self._client is not None:
            await self._client.close()
        await self._endpoint.close()

    def most_choices(self, model: str) -> int | None:
        """Return how many choices one request may ask for; None where no limit is known."""
        return self._known.of(model).most_n

    async def ask(
        self, request: ResolvedRequest, choices: Sequence[int], *, trip: Trip
    ) -> Completion:
        """Return a completion for the first of `choices`: as many as the endpoint gives at once.

        Raises EndpointError where the endpoint cannot be used, CallFailed where this call
        cannot be answered, Abandoned where it is to be sent and nobody waits for it any more.
        """
        await self.open()
        tries = _Tries()
        while True:
            await self._requests.take(1)
            await self._tokens.take(request.prompt_tokens + len(choices) * request.max_tokens)
            epoch = await self._slots.acquire(again=tries.failed + tries.refused > 0)
            body: dict[str, Any] = {}
            try:
                if trip.abandoned:
                    raise Abandoned
                body = self._body(request, choices)
                completion = await self._attempt(request, body, trip)
            except CALL_ERRORS as error:
                fault = self._scrubbed(classify(error))
                own_pause = self._hold_back(fault, epoch=epoch, refused=tries.refused + 1)
            else:
                self._succeeded(request, completion, asked=body.get("n", 1))
                return completion
            finally:
                self._slots.release()
            await self._remedy(fault, request=request, body=body, own_pause=own_pause, tries=tries)

    def _body(self, request: ResolvedRequest, choices: Sequence[int]) -> dict[str, Any]:
        """Return what to send, by what is known once there is a slot."""
        if self._fatal is not None:
            raise EndpointError(self._fatal)
        known = self._known.of(request.model)
        n = min(len(choices), known.most_n or len(choices))
        return able.parameters(request, known, n=n, first_choice=choices[0])

    async def _attempt(
        self, request: ResolvedRequest, body: dict[str, Any], trip: Trip
    ) -> Completion:
        assert self._client is not None
        assert self._address is not None
        self._totals.events["request"] += 1
        self._totals.in_flight += 1
        trip.paid += 1
        try:
            content = await self._client.post(body)
        finally:
            trip.paid -= 1
            self._totals.in_flight -= 1
        try:
            payload = json.loads(content)
        except (ValueError, RecursionError) as error:
            told = self._address.scrub(content.decode("utf-8", "replace"))
            raise MalformedReply(f"no JSON: {told[:80]!r}") from error
        characters = sum(len(message.content) for message in request.messages)
        return read_completion(payload, prompt_characters=characters)

    def _scrubbed(self, fault: Fault) -> Fault:
        """Return `fault` shortened and without the key: its text is logged.

        A key that the endpoint quotes goes first: cut in two it would not be known again.
        """
        assert self._address is not None
        return replace(fault, text=self._address.scrub(fault.text)[:_LONGEST_TEXT])

    def _succeeded(self, request: ResolvedRequest, completion: Completion, *, asked: int) -> None:
        if self._outage.ended():
            self._slots.back()
        self._slots.succeeded()
        got = len(completion.choices)
        if got < asked:
            self._learn(request.model, n=got)

    async def _remedy(
        self,
        fault: Fault,
        *,
        request: ResolvedRequest,
        body: dict[str, Any],
        own_pause: float,
        tries: _Tries,
    ) -> None:
        """Do what makes another try worthwhile, or raise."""
        match fault.remedy:
            case Remedy.STOP:
                self._fatal = self._stop_message(fault, request.model)
                raise EndpointError(self._fatal)
            case Remedy.ADAPT:
                tries.adapted += 1
                self._adapt(fault, request.model, body, times=tries.adapted)
            case Remedy.RETRY:
                tries.failed += 1
                if tries.failed > self._params.retries:
                    self._totals.events["failed"] += 1
                    raise CallFailed(f"{fault.text} (after {tries.failed} tries)")
                self._totals.events["retry"] += 1
                await self._timing.sleep(self._backoff(tries.failed))
            case Remedy.SLOW_DOWN | Remedy.WAIT:
                tries.refused += 1
                await self._wait(fault, own_pause=own_pause)

    def _hold_back(self, fault: Fault, *, epoch: int, refused: int) -> float:
        """Hold everybody back where the endpoint is overloaded or down, before a slot is free.

        Returns the seconds that the call itself is to wait beside that.
        """
        if fault.remedy not in (Remedy.SLOW_DOWN, Remedy.WAIT):
            return 0.0
        own = self._backoff(refused)
        if fault.status is None:
            self._slots.down(pause_seconds=min(own, _LONGEST_PROBE_SECONDS))
            return 0.0
        pause = fault.retry_after_seconds
        self._slots.overloaded(epoch, pause_seconds=pause or 0.0)
        return own if pause is None else 0.0

    async def _wait(self, fault: Fault, *, own_pause: float) -> None:
        assert self._address is not None
        throttled = fault.remedy is Remedy.SLOW_DOWN
        self._totals.events["throttled" if throttled else "outage"] += 1
        trouble = self._endpoint.trouble()
        if trouble is not None:
            self._fatal = f"{trouble} Every reply so far is kept; start again to go on."
            raise EndpointError(self._fatal)
        self._outage.goes_on(fault, where=self._address.shown)
        await self._timing.sleep(own_pause)

    def _backoff(self, attempt: int) -> float:
        """Return exponential seconds with jitter for the attempt-th failure."""
        longest = min(_LONGEST_BACKOFF_SECONDS, _FIRST_BACKOFF_SECONDS * 2.0 ** (attempt - 1))
        return longest * (0.5 + 0.5 * self._timing.rng.random())

    def _stop_message(self, fault: Fault, model: str) -> str:
        assert self._address is not None
        advice = {
            401: "Check OPENAI_API_KEY.",
            403: "Check that the key may use this model.",
            404: f"Check executor.model ({model!r}) and executor.base_url.",
        }.get(fault.status or 0, "The account's quota is used up: raise it or use another key.")
        return (
            f"The endpoint {self._address.shown} refuses to answer: {fault.text}. {advice} "
            "Every reply so far is kept; start again to go on."
        )

    # ------------------------------------------------------------ what was found out

    def _adapt(self, fault: Fault, model: str, body: dict[str, Any], *, times: int) -> None:
        known = self._known.of(model)
        less = able.lesser(known, fault, body)
        if less is None or times > _MOST_ADAPTATIONS:
            self._totals.events["failed"] += 1
            raise CallFailed(fault.text)
        if less != known:
            self._totals.events["adapted"] += 1
            logger.info("Asking %s differently from now on: %s", model, fault.text)
            self._known.keep(model, less)

    def _learn(self, model: str, *, n: int) -> None:
        known = self._known.of(model)
        if known.most_n is None or n < known.most_n:
            self._totals.events["adapted"] += 1
            self._known.keep(model, able.with_most_n(known, n))
