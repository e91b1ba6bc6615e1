"""The command line that starts a zygote inside bubblewrap's namespaces.

An optional outer layer: it hides the machine's files, processes and network altogether, where
Landlock leaves metadata visible. Needs the `bwrap` program.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

_PARENTS_THERE = {"/", "/usr", "/tmp", "/dev", "/proc"}
_THERE_ALREADY = ("/usr/", "/lib", "/dev/")


def program() -> str | None:
    """Return the path of bubblewrap, or None."""
    return shutil.which("bwrap")


def command(bound: Sequence[str], *, environment: Mapping[str, str], root: bool) -> list[str]:
    """Return the arguments before those of the zygote; nothing but `bound` and /usr is visible.

    Real root gets no user namespace: it would map uid 0 alone, and
    workers could not change users.
    """
    binary = program()
    if binary is None:
        raise FileNotFoundError("bwrap is not installed")
    separate = (
        ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
        if root
        else ["--unshare-all", "--unshare-user", "--disable-userns"]
    )
    arguments = [binary, *separate, "--die-with-parent", "--new-session", "--clearenv"]
    for name, value in environment.items():
        arguments += ["--setenv", name, value]
    arguments += ["--hostname", "sandbox", "--proc", "/proc", "--dev", "/dev"]
    arguments += ["--dir", "/tmp", "--chdir", "/"]  # inside, and read-only
    arguments += _binds(["/usr", *bound])
    for name in ("lib", "lib64", "bin"):
        if Path("/", name).is_symlink():
            arguments += ["--symlink", os.readlink(f"/{name}"), f"/{name}"]  # noqa: PTH115
    arguments += ["--remount-ro", "/dev", "--remount-ro", "/"]
    if root:
        arguments += ["--cap-drop", "ALL"]
        for capability in ("SETUID", "SETGID", "KILL", "DAC_READ_SEARCH"):
            arguments += ["--cap-add", f"CAP_{capability}"]
    return [*arguments, "--"]


def _binds(paths: Sequence[str]) -> list[str]:
    arguments: list[str] = []
    seen = set(_PARENTS_THERE)
    for path in dict.fromkeys(paths):
        if path.startswith(_THERE_ALREADY):
            continue
        # missing parents would be made with mode 0700, which another user cannot pass
        for parent in reversed(Path(path).parents):
            if str(parent) not in seen:
                seen.add(str(parent))
                arguments += ["--dir", str(parent)]
        arguments += ["--ro-bind-try", path, path]
    return arguments
