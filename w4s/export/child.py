"""Run one piece of generated code, given as JSON on standard input, and print what it returned.

Limits processor time, memory and file size. It does not isolate: see `agent.execute_code`.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from w4s.sandbox.program import ProgramError, run_code

_MEMORY_BYTES = 1024**3
_FILE_BYTES = 1024**2


def main() -> None:
    """Read {"code", "seconds"}, run the code, print {"ok"} or {"error"} as the last line."""
    job = json.load(sys.stdin)
    _limit(int(job["seconds"]) + 1)
    with os.fdopen(os.dup(1), "w") as results:
        os.dup2(2, 1)  # what the code prints is no result
        outcome = _run(str(job["code"]))
        results.write("\n" + json.dumps(outcome) + "\n")


def _run(code: str) -> dict[str, Any]:
    try:
        return run_code(code, "solution", [[]])[0]
    except ProgramError as error:
        where = f" (line {error.line})" if error.line else ""
        return {"error": f"{error.text}{where}"}


def _limit(seconds: int) -> None:
    try:
        import resource
    except ImportError:  # Windows has none; the time-out of the parent still holds
        return
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_FSIZE, (_FILE_BYTES, _FILE_BYTES))
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
