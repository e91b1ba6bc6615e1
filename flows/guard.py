"""Ends process groups whose starter was killed; also the way to end them otherwise.

Run as a script it reads from standard input the groups to watch, one a line, a minus before one
that has ended, and ends those that are left when the input does: the system closes it with the
process at its other end, however that dies. Imports nothing but the standard library.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

STOP_SECONDS = 30
_LOOK_SECONDS = 0.1


class Guard:
    """Tells the guarding process which groups there are."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    @contextmanager
    def watching(self, group: int) -> Iterator[None]:
        """End the group if this process is killed within the block."""
        self._say(group)
        try:
            yield
        finally:
            self._say(-group)

    def _say(self, number: int) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{number}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return  # somebody ended the guard: the services run on without one


@contextmanager
def open_guard(environment: Mapping[str, str]) -> Iterator[Guard]:
    """Start the guarding process; end it with the block."""
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", str(Path(__file__).resolve())],
        stdin=subprocess.PIPE,
        env=environment,
        text=True,
        start_new_session=True,  # Ctrl-C and the kill of a whole group are not for it
    )
    try:
        yield Guard(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait()


def end_groups(groups: Iterable[int], *, collect: Callable[[], object] = int) -> None:
    """End every process in the groups; kill what does not end in time.

    `collect` is called before each look: a child that nobody waits for counts as a member.
    """
    left = [group for group in groups if _signal_group(group, signal.SIGTERM)]
    deadline = time.monotonic() + STOP_SECONDS
    while left and time.monotonic() < deadline:
        collect()
        left = [group for group in left if _signal_group(group, 0)]
        if left:
            time.sleep(_LOOK_SECONDS)
    for group in left:
        _signal_group(group, signal.SIGKILL)


def _signal_group(group: int, number: int) -> bool:
    """Send a signal; return whether there is anybody to get it."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    return True


def _watch() -> None:
    groups: set[int] = set()
    for line in sys.stdin:
        number = int(line)
        if number > 0:
            groups.add(number)
        else:
            groups.discard(-number)
    end_groups(groups)


if __name__ == "__main__":
    _watch()
