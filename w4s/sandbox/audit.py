"""Count what a program tries that the sandbox refuses, as Python's audit events tell it.

The kernel refuses; this only reports, once for each attempt, over the channel, at the moment of
the attempt: a later success at hiding it comes too late. A program that calls the kernel
without Python's help is refused as well, but not counted here.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

_EVENTS = """
socket.__new__ socket.connect socket.bind socket.getaddrinfo socket.gethostbyname
os.fork os.forkpty os.exec os.posix_spawn os.spawn os.startfile os.system subprocess.Popen
pty.spawn os.kill os.killpg signal.pthread_kill
os.remove os.rename os.mkdir os.rmdir os.link os.symlink os.truncate os.chmod os.chown
os.utime os.setxattr os.removexattr shutil.rmtree resource.setrlimit resource.prlimit
"""
_ALWAYS = frozenset(_EVENTS.split())
_LISTING = frozenset({"os.listdir", "os.scandir"})
_AF_UNIX = 1
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


Report = Callable[[str], None]


def prepare(*, readable: frozenset[str]) -> Callable[[Report], None]:
    """Return what begins to report every attempt, in all threads, to the function it is given.

    `readable` are the paths that may be read, with symbolic links resolved. To be called once,
    before the fork: everything is made then that a program shall not find by a name.
    """
    real = os.path.realpath
    told: list[Report] = []

    def within(path: Any) -> bool:
        text = real(os.fsdecode(path))
        while text not in readable:
            parent, _, _ = text.rpartition("/")
            if not parent:
                return False
            text = parent
        return True

    def away(path: Any) -> bool:
        """Whether a read is an attempt on the machine's files; a missing relative one is a slip."""
        text = os.fsdecode(path)
        return (text.startswith("/") or os.path.lexists(text)) and not within(text)

    def opened(path: Any, flags: Any) -> bool:
        if isinstance(path, int) or path is None:
            return False
        if isinstance(flags, int) and flags & _WRITING:
            return real(os.fsdecode(path)) != "/dev/null"
        return away(path)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            refused = opened(arguments[0], arguments[2])
        elif event in _LISTING:
            path = arguments[0]
            refused = path is not None and not isinstance(path, int) and away(path)
        elif event == "socket.__new__":
            refused = arguments[1] != _AF_UNIX
        else:
            refused = event in _ALWAYS
        if refused:
            told[0](f"{event} {str(arguments[0])[:200] if arguments else ''}".strip())

    def begin(report: Report) -> None:
        told.append(report)
        sys.addaudithook(hook)

    return begin
