import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tasks.workspace import Workspace, WorkspaceBusy

HOLD = """
import sys, time
from pathlib import Path
from tasks.workspace import Workspace
with Workspace(Path(sys.argv[1])).held("collect"):
    print("held", flush=True)
    time.sleep(60)
"""


def _holder(root: Path) -> subprocess.Popen[str]:
    project = Path(__file__).resolve().parents[2]
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(root)], cwd=project, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_process_is_refused_and_told_who_is_first(tmp_path: Path) -> None:
    """The message names the process and the command that hold the workspace."""
    first = _holder(tmp_path)
    try:
        workspace = Workspace(tmp_path)
        assert workspace.holder() == f"process {first.pid} (w4s collect)"
        with pytest.raises(WorkspaceBusy, match=str(tmp_path)), workspace.held("search"):
            pass
    finally:
        first.kill()
        first.wait()


def test_a_killed_holder_leaves_the_workspace_free(tmp_path: Path) -> None:
    """Nobody has to remove a lock file after SIGKILL."""
    first = _holder(tmp_path)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    deadline = time.monotonic() + 5
    while True:
        try:
            with Workspace(tmp_path).held("search"):
                owner = json.loads((tmp_path / ".lock").read_text())
            break
        except WorkspaceBusy:
            assert time.monotonic() < deadline
    assert owner == {"pid": os.getpid(), "command": "search"}


def test_a_workspace_is_free_again_after_use(tmp_path: Path) -> None:
    """Holding ends with the block, also when it fails."""
    workspace = Workspace(tmp_path)
    with pytest.raises(ZeroDivisionError), workspace.held("run"):
        raise ZeroDivisionError
    assert workspace.holder() is None
    with workspace.held("run"):
        pass


def test_what_a_killed_process_was_writing_is_removed(tmp_path: Path) -> None:
    """Partial files and folders of `w4s.files` go, whatever else there is stays."""
    program = """
import os, sys
from pathlib import Path
from w4s.files import atomic_folder, atomic_write_bytes
root = Path(sys.argv[1])
atomic_write_bytes(root / "whole.json", b"{}")
os.fsync = lambda _: os._exit(9)
with atomic_folder(root / "sub" / "folder") as folder:
    atomic_write_bytes(folder / "file.json", b"{}")
"""
    project = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], cwd=project, check=False)
    assert done.returncode == 9
    assert len(list(tmp_path.rglob("*.tmp"))) == 2
    (tmp_path / ".notes.tmp").write_text("somebody's own")
    with Workspace(tmp_path).held("run"):
        left = {path.name for path in tmp_path.rglob("*")}
    assert left == {"whole.json", "sub", ".notes.tmp", ".lock"}
