"""The child process of `math_referee`: answers one JSON line with one JSON line.

Run as `python -m w4s.benchmarks.math_child`. A line {"reference", "answer"} is answered by
{"equal", "parsed"} or {"error"}. Imports math-verify (about a second) before the first line.
"""

from __future__ import annotations

import json
import re
import resource
import sys

MEMORY_BYTES = 2 * 1024**3
PARSE_SECONDS = 5
_WORD = re.compile(r"(?<!\\)\b[^\W\d_]{3,}")
_ENVIRONMENT = re.compile(r"\\(?:begin|end)\{\w+\}")


def compare(reference: str, answer: str) -> dict[str, object]:
    """Return math-verify's verdict on two LaTeX or plain expressions."""
    from math_verify import parse, verify

    due = parse(f"${reference}$", parsing_timeout=PARSE_SECONDS)
    # outside dollars only the last number of "8n^2 + 4n + 1" would count
    wrapped = [f"${answer}$", answer] if _is_formula(answer) else [answer, f"${answer}$"]
    readings = (parse(text, parsing_timeout=PARSE_SECONDS) for text in wrapped)
    given = next(filter(None, readings), None)
    parsed = str(given[-1]) if given else None
    equal = bool(given) and verify(due, given, timeout_seconds=PARSE_SECONDS)
    return {"equal": bool(equal), "parsed": parsed}


def _is_formula(answer: str) -> bool:
    plain = not any(mark in answer for mark in ("$", "\n", "**"))
    return plain and _WORD.search(_ENVIRONMENT.sub("", answer)) is None


def main() -> None:
    """Serve until the input ends."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    replies = sys.stdout
    sys.stdout = sys.stderr
    compare("1", "1")
    for line in sys.stdin:
        request = json.loads(line)
        try:
            reply = compare(request["reference"], request["answer"])
        except Exception as error:  # noqa: BLE001  # sympy raises anything; the parent is told
            reply = {"error": f"{type(error).__name__}: {error!s:.200}"}
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


if __name__ == "__main__":
    main()
