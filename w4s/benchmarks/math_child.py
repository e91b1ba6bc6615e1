"""The child process of `math_referee`: answers one JSON line with one JSON line.

Run as `python -m w4s.benchmarks.math_child`. A line {"reference", "answer"} is answered by
{"equal", "parsed"} or {"error"}. Imports math-verify (about a second) before the first line.
"""

from __future__ import annotations

import json
import re
import signal
import sys
from collections.abc import Callable
from typing import Any, TypeVar

from w4s.benchmarks.child import begin_child

Found = TypeVar("Found")
STEP_SECONDS = 5
_WORD = re.compile(r"(?<!\\)\b[^\W\d_]{3,}")
_ENVIRONMENT = re.compile(r"\\(?:begin|end)\{\w+\}")


def compare(reference: str, answer: str) -> dict[str, object]:
    """Return math-verify's verdict on two LaTeX or plain expressions."""
    from math_verify import parse, verify

    def read(text: str) -> list[Any]:
        return _within(lambda: parse(text, parsing_timeout=None), otherwise=[])

    due = read(f"${reference}$")
    # outside dollars only the last number of "8n^2 + 4n + 1" would count
    wrapped = [f"${answer}$", answer] if _is_formula(answer) else [answer, f"${answer}$"]
    given = next(filter(None, map(read, wrapped)), None)
    parsed = str(given[-1]) if given else None
    equal = bool(given) and _within(
        lambda: verify(due, given, timeout_seconds=None), otherwise=False
    )
    return {"equal": bool(equal), "parsed": parsed}


def _within(call: Callable[[], Found], *, otherwise: Found) -> Found:
    """Return what `call` does, or `otherwise` after STEP_SECONDS of processor time.

    math-verify's own limits count the clock: where others keep the processors busy, they would
    make right answers wrong.
    """
    signal.setitimer(signal.ITIMER_PROF, STEP_SECONDS, 1.0)
    try:
        return call()
    except _TooLong:
        return otherwise
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


class _TooLong(BaseException):
    """The processor time of one step is used up; not for the library to catch."""


def _too_long(_: int, __: object) -> None:
    raise _TooLong


def _is_formula(answer: str) -> bool:
    plain = not any(mark in answer for mark in ("$", "\n", "**"))
    return plain and _WORD.search(_ENVIRONMENT.sub("", answer)) is None


def main() -> None:
    """Serve until the input ends."""
    send = begin_child()
    signal.signal(signal.SIGPROF, _too_long)
    compare(r"(1,\frac{\pi}{2})", r"(1,\pi/2)")  # loads and compiles what the first one needs
    for line in sys.stdin:
        request = json.loads(line)
        try:
            reply = compare(request["reference"], request["answer"])
        except Exception as error:  # noqa: BLE001  # sympy raises anything; the parent is told
            reply = {"error": f"{type(error).__name__}: {error!s:.200}"}
        send(reply)


if __name__ == "__main__":
    main()
