"""The executor engine: answers requests from the record, asks for what is missing, pays once.

It decides what to ask; how to ask is `w4s.llm.caller`'s, what to keep is `w4s.llm.record`'s.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

from w4s.concurrency import gather_to_the_end
from w4s.config import ExecutorParams
from w4s.errors import BudgetError, ReplayError
from w4s.llm.assembly import chat_reply, recorded_replies, usable
from w4s.llm.base import CallFailed, ChatReply, ChatRequest
from w4s.llm.budget import Budget
from w4s.llm.caller import Caller, Timing
from w4s.llm.completion import Completion
from w4s.llm.endpoint import Endpoint
from w4s.llm.flights import Flights, Trip
from w4s.llm.record import Record, RecordedReply
from w4s.llm.replay import missing_message
from w4s.llm.request import ResolvedRequest, resolve
from w4s.llm.totals import Group, Totals
from w4s.types import Usage

_RETRY_SEED_STEP = 7919  # a JSON retry draws anew
_GRACE_SECONDS = 5.0  # for a reply that is paid for and that nobody waits for any more


class Engine:
    """An executor over one endpoint. Use it as an async context manager, within one event loop.

    Without an endpoint it replays what `record` holds of the endpoint named `replayed`. It does
    not close the record. When it closes, replies that are on their way are waited for and
    recorded: for a few seconds, and after a spent budget for as long as a call may take.
    """

    def __init__(
        self,
        params: ExecutorParams,
        endpoint: Endpoint | None,
        *,
        record: Record | None = None,
        budget: Budget | None = None,
        timing: Timing | None = None,
        totals: Totals | None = None,
        replayed: str = "",
    ) -> None:
        self._params = params
        self._name = replayed if endpoint is None else endpoint.name
        self._endpoint = endpoint
        self._record = record
        self._budget = budget or Budget()
        self._timing = timing or Timing(time.monotonic, asyncio.sleep, random.Random(0))
        self._caller: Caller | None = None
        self._flights: Flights[list[RecordedReply]] = Flights(grace_seconds=_GRACE_SECONDS)
        self._stop: BudgetError | ReplayError | None = None
        self.totals = totals or Totals(params.prices)

    async def __aenter__(self) -> Self:
        if self._endpoint is not None:
            self._caller = Caller(
                self._params,
                self._endpoint,
                record=self._record,
                totals=self.totals,
                timing=self._timing,
            )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        ending = self._stop is not None or (self._caller is not None and self._caller.refused)
        try:
            await self._flights.drain(
                grace_seconds=self._params.request_timeout if ending else _GRACE_SECONDS
            )
        finally:
            if self._caller is not None:
                await self._caller.close()
                self._caller = None

    @property
    def in_flight(self) -> int:
        """How many requests are with the endpoint now."""
        return 0 if self._caller is None else self._caller.in_flight

    async def chat(self, request: ChatRequest, *, draw: str) -> ChatReply:
        """Return the reply to `request` (see `w4s.llm.base.Executor`).

        Raises EndpointError, BudgetError, ReplayError, DataError (the record cannot be written)
        and CallFailed.
        """
        wanted = self._resolved(request, draw)
        held = self._held(wanted)
        replayed = len(held)
        if replayed < wanted.n:
            held, replayed = await self._fly(wanted, held)
        else:
            self._count(wanted, held)
        return chat_reply(request, held, replayed=replayed)

    def holds(self, request: ChatRequest, *, draw: str) -> bool:
        """Whether the record answers all of `request`."""
        wanted = self._resolved(request, draw)
        return len(self._held(wanted)) >= wanted.n

    def end(self, error: BudgetError) -> None:
        """Ask nothing more, because of `error`; what is with the endpoint is waited for."""
        self._stop = self._stop or error

    def _resolved(self, request: ChatRequest, draw: str) -> ResolvedRequest:
        return resolve(
            request,
            draw=draw,
            model=self._params.model,
            max_tokens=self._params.max_tokens,
            endpoint=self._name,
            reasoning_effort=self._params.reasoning_effort,
        )

    def _held(self, wanted: ResolvedRequest) -> list[RecordedReply]:
        return [] if self._record is None else self._record.read(wanted)

    async def _fly(
        self, wanted: ResolvedRequest, held: list[RecordedReply]
    ) -> tuple[list[RecordedReply], int]:
        """Get what is missing, together with everybody who wants the same.

        Returns the replies, and how many were held or asked for by somebody else.
        """

        def begin(trip: Trip) -> Coroutine[Any, Any, list[RecordedReply]]:
            nonlocal held
            if trip.late:  # a flight that was given up recorded its part
                held = self._held(wanted)
            return self._complete(wanted, held, trip)

        replies, shared = await self._flights.join((wanted.key, wanted.draw), begin)
        if shared:
            self._count(wanted, replies)
        return replies, wanted.n if shared else len(held)

    async def _complete(
        self, wanted: ResolvedRequest, held: Sequence[RecordedReply], trip: Trip
    ) -> list[RecordedReply]:
        """Return all choices: those held, and those asked for now."""
        if self._caller is None:
            raise self._unanswered(wanted)
        self._count(wanted, held)
        replies = {reply.choice: reply for reply in held}
        while missing := [choice for choice in range(wanted.n) if choice not in replies]:
            size = self._caller.most_choices(wanted.model) or len(missing)
            chunks = [missing[i : i + size] for i in range(0, len(missing), size)]
            try:
                answered = await gather_to_the_end(
                    [self._ask(wanted, chunk, trip) for chunk in chunks]  # each is paid for
                )
            except CallFailed as error:
                if self._record is not None:
                    self._record.note_failure(wanted, str(error))
                raise
            replies.update({reply.choice: reply for some in answered for reply in some})
        return [replies[choice] for choice in range(wanted.n)]

    async def _ask(
        self, wanted: ResolvedRequest, choices: Sequence[int], trip: Trip
    ) -> Sequence[RecordedReply]:
        """Ask for `choices` once, and record what came back before anybody sees it."""
        begun = self._timing.clock()
        completion = await self._paid(wanted, choices, trip)
        self._note(completion)
        texts = list(completion.choices[: len(choices)])
        unusable = [i for i, choice in enumerate(texts) if not usable(choice, wanted)]
        if unusable:
            self.totals.events["json_retry"] += 1
            seed = None if wanted.seed is None else wanted.seed + _RETRY_SEED_STEP
            rest = [choices[i] for i in unusable]
            try:
                again = await self._paid(replace(wanted, seed=seed), rest, trip)
            except BaseException:  # the others are usable, and paid for
                some = recorded_replies(choices, texts, completion, self._timing.clock() - begun)
                await self._recorded(wanted, [r for r in some if r.choice not in rest], trip)
                raise
            self._note(again)
            completion = replace(
                completion,
                prompt_tokens=completion.prompt_tokens + again.prompt_tokens,
                completion_tokens=completion.completion_tokens + again.completion_tokens,
            )
            for index, choice in zip(unusable, again.choices, strict=False):
                texts[index] = choice
            self.totals.events["json_unusable"] += sum(not usable(c, wanted) for c in texts)
        replies = recorded_replies(choices, texts, completion, self._timing.clock() - begun)
        return await self._recorded(wanted, replies, trip)

    async def _paid(
        self, wanted: ResolvedRequest, choices: Sequence[int], trip: Trip
    ) -> Completion:
        """Ask within the budget and count what it cost. Once it is spent nothing more is asked."""
        assert self._caller is not None
        n = len(choices)
        most = Usage(n, wanted.prompt_tokens, n * wanted.max_tokens)
        try:
            reserved = self._budget.amount(wanted.model, most)
            await self._budget.reserve(reserved)
        except BudgetError as error:
            self._stop = self._stop or error
            raise
        spent = Usage()
        try:
            if self._stop is not None:
                raise BudgetError(str(self._stop))
            completion = await self._caller.ask(wanted, choices, trip=trip)
            spent = Usage(
                min(n, len(completion.choices)),
                completion.prompt_tokens,
                completion.completion_tokens,
            )
        finally:
            self._budget.settle(reserved, self._budget.amount(wanted.model, spent))
        self.totals.add(Group(wanted.stage, wanted.benchmark, wanted.model), spent)
        return completion

    async def _recorded(
        self, wanted: ResolvedRequest, replies: Sequence[RecordedReply], trip: Trip
    ) -> Sequence[RecordedReply]:
        if self._record is None or not replies:
            return replies
        trip.paid += 1
        try:
            return await self._record.write(wanted, replies)
        finally:
            trip.paid -= 1

    # ------------------------------------------------------------ counting

    def _count(self, wanted: ResolvedRequest, replies: Sequence[RecordedReply]) -> None:
        """Count replayed replies."""
        if replies:
            calls = len(replies)
            group = Group(wanted.stage, wanted.benchmark, wanted.model)
            self.totals.add(group, Usage(calls=calls, cached=calls))

    def _note(self, completion: Completion) -> None:
        events = self.totals.events
        events["estimated_usage"] += completion.estimated
        for choice in completion.choices:
            events["refused"] += choice.refused
            events["empty"] += not choice.text and not choice.refused
            events["truncated"] += choice.finish_reason == "length"

    def _unanswered(self, wanted: ResolvedRequest) -> Exception:
        """Return what a replay raises for a request without a recorded reply."""
        if self._record is None:
            return ReplayError("There is neither an endpoint nor a record: nothing can be asked.")
        failed = self._record.failure(wanted)
        if failed is not None:
            return CallFailed(failed)
        if self._stop is None:  # to look for the difference takes a while: once
            self._stop = ReplayError(missing_message(wanted, self._record))
        return ReplayError(str(self._stop))
