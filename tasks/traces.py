"""Recorded calls as traces in MLflow: one for each workflow on each problem, a span for each call.

A call at temperature 0 belongs to everybody who asked the same, and is a trace of its own. Made
from the record, after the fact: a run is no slower for it, and any recorded call can be looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import mlflow
from mlflow.entities import SpanType

from tasks.tracking import Tracker
from w4s.llm.calls import CallFilter, RecordedCall, list_calls

EXPERIMENT = "traces"
_LOOKED_THROUGH = 100_000  # calls of a stage, for those at temperature 0
_SHOWN = 12  # characters of a request's key
_NANOSECONDS = 1_000_000_000


def log_traces(tracker: Tracker, calls: Sequence[RecordedCall]) -> int:
    """Write `calls` as traces into the experiment for traces; return how many traces."""
    found: dict[str, list[RecordedCall]] = {}
    for call in sorted(calls, key=lambda one: (one.created, one.draw, one.choice)):
        found.setdefault(address(call), []).append(call)
    mlflow.set_tracking_uri(tracker.uri)  # traces know no other way
    for name, own in found.items():
        _log_trace(tracker, name, own)
    mlflow.flush_trace_async_logging()
    return len(found)


def find_calls(record: Path, prefix: str, *, most: int) -> list[RecordedCall]:
    """Return the newest `most` calls of the file `record` whose address begins with `prefix`.

    Those at temperature 0 have the address `STAGE/BENCHMARK/fixed/KEY`, of who asked them first.
    """
    found = list_calls(record, CallFilter(draw=prefix), most=most)
    if prefix:  # without one they are among them
        stage, slash, _ = prefix.partition("/")
        chosen = CallFilter(stage=stage if slash else None)
        fixed = [
            call
            for call in list_calls(record, chosen, most=_LOOKED_THROUGH)
            if not call.draw and address(call).startswith(prefix)
        ]
        found = sorted((*found, *fixed), key=_newest_first)
    return found[:most]


def _newest_first(call: RecordedCall) -> tuple[float, str, int]:
    return -call.created, call.draw, call.choice


def address(call: RecordedCall) -> str:
    """Return what a call belongs to: its draw without the number of the call, or its request."""
    if not call.draw:
        return f"{call.group.stage}/{call.group.benchmark}/fixed/{call.key[:_SHOWN]}"
    place = call.draw
    head, _, last = place.rpartition("/")
    return head if head and last.isdigit() else place


def _log_trace(tracker: Tracker, name: str, calls: Sequence[RecordedCall]) -> None:
    client, group = tracker.client, calls[0].group
    root = client.start_trace(
        name,
        span_type=SpanType.CHAIN,
        inputs={"question": calls[0].question},
        tags={"stage": group.stage, "benchmark": group.benchmark, "executor": group.model},
        experiment_id=tracker.experiment_id(EXPERIMENT),
        start_time_ns=min(_start(call) for call in calls),
    )
    for number, call in enumerate(calls):
        span = client.start_span(
            f"call {number}",
            trace_id=root.trace_id,
            parent_id=root.span_id,
            span_type=SpanType.CHAT_MODEL,
            inputs={"messages": [{"role": "user", "content": call.question}]},
            attributes={
                "prompt_tokens": call.usage.prompt_tokens,
                "completion_tokens": call.usage.completion_tokens,
                "finish_reason": call.finish_reason,
                "draw": call.draw,
                "choice": call.choice,
            },
            start_time_ns=_start(call),
        )
        client.end_span(
            root.trace_id,
            span.span_id,
            outputs={"text": call.text},
            end_time_ns=int(call.created * _NANOSECONDS),
        )
    client.end_trace(
        root.trace_id,
        outputs={"text": calls[-1].text},
        end_time_ns=int(max(call.created for call in calls) * _NANOSECONDS),
    )


def _start(call: RecordedCall) -> int:
    return int((call.created - call.seconds) * _NANOSECONDS)
