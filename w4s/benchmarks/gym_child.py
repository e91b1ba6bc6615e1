"""The child process of `gym`: answers one JSON line with one JSON line.

Run as `python -m w4s.benchmarks.gym_child`. A line {"dataset", "config", "question", "answer",
"metadata", "given"} is answered by {"mark"} or {"error"}. A verifier that takes too much
processor time ends the process: none of Python's own ways stops those that catch everything.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Mapping
from typing import Any

from w4s.benchmarks.child import begin_child
from w4s.benchmarks.gym_entries import make_dataset
from w4s.benchmarks.lossless import decode

ANSWER_CPU_SECONDS = 5


def mark(verifier: Any, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the data set `verifier` gives for an answer, or why it gives nothing."""
    entry = {
        "question": request["question"],
        "answer": decode(request["answer"]),
        "metadata": decode(request["metadata"]),
    }
    try:
        return {"mark": float(verifier.score_answer(request["given"], entry))}
    except Exception as error:  # noqa: BLE001  # verifiers raise anything on odd answers
        return {"error": f"the verifier could not read it: {error!r:.200}"}


def main() -> None:
    """Serve until the input ends."""
    send = begin_child()
    verifiers: dict[str, Any] = {}
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    for line in sys.stdin:
        request = json.loads(line)
        key = json.dumps([request["dataset"], request["config"]])
        if key not in verifiers:
            verifiers[key] = make_dataset(request["dataset"], request["config"], seed=0, size=1)
        signal.setitimer(signal.ITIMER_PROF, ANSWER_CPU_SECONDS)
        reply = mark(verifiers[key], request)
        signal.setitimer(signal.ITIMER_PROF, 0)
        send(reply)


if __name__ == "__main__":
    main()
