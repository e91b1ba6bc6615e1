"""How a zygote is started: a fresh interpreter with an empty environment, maybe in bubblewrap."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from w4s.sandbox import bubblewrap

_FOLDER = Path(__file__).resolve().parent
_CHILD_NAMES = """
audit calls channel extract handle kernel landlock lockdown plain privileges program seccomp wire
worker zygote
"""
# the packages' own __init__ files stay out: the child must not import the program
_BOOT = """
import os, sys, types
# what modules do after a fork is for locks that are held and threads that run: here are none
os.register_at_fork = lambda **_: None
package, sandbox, descriptor = sys.argv[1:]
for name, folder in (("w4s", package), ("w4s.sandbox", sandbox)):
    module = sys.modules[name] = types.ModuleType(name)
    module.__path__ = [folder]
from w4s.sandbox.zygote import main
main(int(descriptor))
"""
ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "HOME": "/",
    "LANG": "C.UTF-8",
    "MALLOC_ARENA_MAX": "2",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",  # the same order of sets in every run
}


def command(descriptor: int, bound: Sequence[str] | None) -> list[str]:
    """Return what to execute for a zygote that is controlled over `descriptor`.

    With `bound`, bubblewrap is around it, and shows just those paths.
    """
    interpreter = os.path.realpath(sys.executable)
    # no site, no user folder, no working directory on the path, no .pyc files; but the
    # environment counts, for the hash seed
    line = [interpreter, "-s", "-P", "-S", "-B", "-c", _BOOT]
    line += [str(_FOLDER.parent), str(_FOLDER), str(descriptor)]
    if bound is None:
        return line
    modules = [str(_FOLDER / f"{name}.py") for name in _CHILD_NAMES.split()]
    outer = bubblewrap.command(
        [interpreter, *bound, *modules], environment=ENVIRONMENT, root=os.geteuid() == 0
    )
    return [*outer, *line]
