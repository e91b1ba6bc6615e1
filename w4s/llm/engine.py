"""The executor engine: answers requests from the record, asks for what is missing, pays once.

It decides what to ask; how to ask is `w4s.llm.caller`'s, what to keep is `w4s.llm.record`'s.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

from w4s.concurrency import gather
from w4s.config import ExecutorParams
from w4s.errors import DataError, ReplayError
from w4s.llm.base import ChatReply, ChatRequest
from w4s.llm.budget import Budget
from w4s.llm.caller import Caller, Timing
from w4s.llm.completion import Choice, Completion
from w4s.llm.endpoint import Endpoint
from w4s.llm.record import Record, RecordedReply
from w4s.llm.replay import missing_message
from w4s.llm.replies import find_json_object
from w4s.llm.request import ResolvedRequest, resolve
from w4s.llm.totals import Group, Totals
from w4s.types import Usage

_RETRY_SEED_STEP = 7919  # a JSON retry draws anew


@dataclass(slots=True)
class _Flight:
    """A request that is being answered, and how many wait for it."""

    task: asyncio.Task[list[RecordedReply]]
    waiters: int = 0


class Engine:
    """An executor over one endpoint. Use it as an async context manager, within one event loop.

    Without an endpoint it replays `record`. It does not close the record.
    """

    def __init__(
        self,
        params: ExecutorParams,
        endpoint: Endpoint | None,
        *,
        record: Record | None = None,
        budget: Budget | None = None,
        timing: Timing | None = None,
    ) -> None:
        self._params = params
        self._endpoint = endpoint
        self._record = record
        self._budget = budget or Budget()
        self._timing = timing or Timing(time.monotonic, asyncio.sleep, random.Random(0))
        self._caller: Caller | None = None
        self._flights: dict[tuple[str, str], _Flight] = {}
        self.totals = Totals(params.prices)

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
        tasks = [flight.task for flight in self._flights.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
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
        wanted = resolve(
            request,
            draw=draw,
            model=self._params.model,
            max_tokens=self._params.max_tokens,
            reasoning_effort=self._params.reasoning_effort,
        )
        held = [] if self._record is None else self._record.read(wanted.key, wanted.draw)
        replayed = len(held)
        if replayed < wanted.n:
            held, shared = await self._fly(wanted, held)
            replayed = wanted.n if shared else replayed
        else:
            self._count(wanted, held, replayed=True)
        return _reply(request, held, replayed=replayed)

    async def _fly(
        self, wanted: ResolvedRequest, held: Sequence[RecordedReply]
    ) -> tuple[list[RecordedReply], bool]:
        """Get what is missing, together with everybody who wants the same.

        Returns the replies, and whether somebody else had asked for them.
        """
        address = (wanted.key, wanted.draw)
        flight = self._flights.get(address)
        shared = flight is not None
        if flight is None:
            flight = _Flight(asyncio.create_task(self._complete(wanted, held)))
            self._flights[address] = flight
            flight.task.add_done_callback(lambda _: self._land(address, flight))
        flight.waiters += 1
        try:
            replies = await asyncio.shield(flight.task)
        finally:
            flight.waiters -= 1
            if flight.waiters == 0:  # nobody wants it any more: free the slot
                self._land(address, flight)
                flight.task.cancel()
        if shared:
            self._count(wanted, replies, replayed=True)
        return replies, shared

    def _land(self, address: tuple[str, str], flight: _Flight) -> None:
        if self._flights.get(address) is flight:
            del self._flights[address]

    async def _complete(
        self, wanted: ResolvedRequest, held: Sequence[RecordedReply]
    ) -> list[RecordedReply]:
        """Return all choices: those held, and those asked for now."""
        if self._caller is None:
            raise self._not_recorded(wanted)
        self._count(wanted, held, replayed=True)
        replies = {reply.choice: reply for reply in held}
        while missing := [choice for choice in range(wanted.n) if choice not in replies]:
            size = self._caller.most_choices(wanted.model) or len(missing)
            chunks = [missing[i : i + size] for i in range(0, len(missing), size)]
            if len(chunks) == 1:
                answered = [await self._ask(wanted, chunks[0])]
            else:
                answered = await gather(self._ask(wanted, chunk) for chunk in chunks)
            replies.update({reply.choice: reply for some in answered for reply in some})
        return [replies[choice] for choice in range(wanted.n)]

    async def _ask(
        self, wanted: ResolvedRequest, choices: Sequence[int]
    ) -> Sequence[RecordedReply]:
        """Ask for `choices` once, and record what came back before anybody sees it."""
        begun = self._timing.clock()
        completion = await self._paid(wanted, choices)
        self._note(completion)
        texts = list(completion.choices[: len(choices)])
        prompt_tokens, completion_tokens = completion.prompt_tokens, completion.completion_tokens
        unusable = [i for i, choice in enumerate(texts) if not _usable(choice, wanted)]
        if unusable:
            self.totals.events["json_retry"] += 1
            seed = None if wanted.seed is None else wanted.seed + _RETRY_SEED_STEP
            again = await self._paid(replace(wanted, seed=seed), [choices[i] for i in unusable])
            self._note(again)
            prompt_tokens += again.prompt_tokens
            completion_tokens += again.completion_tokens
            for index, choice in zip(unusable, again.choices, strict=False):
                texts[index] = choice
            bad = sum(not _usable(choice, wanted) for choice in texts)
            self.totals.events["json_unusable"] += bad
        seconds = self._timing.clock() - begun
        replies = [
            RecordedReply(
                choice=number,
                text=choice.text,
                finish_reason=choice.finish_reason,
                prompt_tokens=_share(prompt_tokens, index, 1),
                completion_tokens=_share(completion_tokens, index, len(texts)),
                seconds=seconds / len(texts),
            )
            for index, (number, choice) in enumerate(zip(choices, texts, strict=False))
        ]
        return await self._recorded(wanted, replies)

    async def _paid(self, wanted: ResolvedRequest, choices: Sequence[int]) -> Completion:
        """Ask within the budget and count what it cost."""
        assert self._caller is not None
        n = len(choices)
        most = Usage(n, wanted.prompt_tokens, n * wanted.max_tokens)
        reserved = self._budget.amount(wanted.model, most)
        await self._budget.reserve(reserved)
        spent = Usage()
        try:
            completion = await self._caller.ask(wanted, choices)
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
        self, wanted: ResolvedRequest, replies: Sequence[RecordedReply]
    ) -> Sequence[RecordedReply]:
        if self._record is None:
            return replies
        try:
            return await self._record.write(wanted, replies)
        except (sqlite3.Error, OSError) as error:
            raise DataError(
                f"{self._record.path}: replies cannot be recorded: {error}. "
                "Free some disk space or mend the file, then start again."
            ) from error

    # ------------------------------------------------------------ counting

    def _count(
        self, wanted: ResolvedRequest, replies: Sequence[RecordedReply], *, replayed: bool
    ) -> None:
        if replies and replayed:
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

    def _not_recorded(self, wanted: ResolvedRequest) -> ReplayError:
        if self._record is None:
            return ReplayError("There is neither an endpoint nor a record: nothing can be asked.")
        return ReplayError(missing_message(wanted, self._record))


def _usable(choice: Choice, wanted: ResolvedRequest) -> bool:
    """Whether a JSON reply holds an object; a refusal would only be refused again."""
    if wanted.json_keys is None or choice.refused:
        return True
    return find_json_object(choice.text, wanted.json_keys) is not None


def _share(total: int, index: int, parts: int) -> int:
    """Return the index-th of `parts` shares of `total`; the first one holds the remainder."""
    if parts == 1:
        return total if index == 0 else 0
    return total // parts + (total % parts if index == 0 else 0)


def _reply(request: ChatRequest, held: Sequence[RecordedReply], *, replayed: int) -> ChatReply:
    """Put recorded texts together. At temperature 0 one text stands for all `n`."""
    copies = request.n if request.temperature == 0 else 1
    chosen = held[:1] if request.temperature == 0 else held[: request.n]
    return ChatReply(
        texts=tuple(reply.text for reply in chosen) * copies,
        finish_reasons=tuple(reply.finish_reason for reply in chosen) * copies,
        usage=Usage(
            calls=len(chosen),
            prompt_tokens=sum(reply.prompt_tokens for reply in chosen),
            completion_tokens=sum(reply.completion_tokens for reply in chosen),
            cached=replayed,
        ),
    )
