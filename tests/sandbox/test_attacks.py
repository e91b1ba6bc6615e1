"""Every attack, as the user who runs the tests and, where that is root, as an ordinary one."""

from __future__ import annotations

import asyncio
import functools
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.attack_runner import run_attacks
from tests.sandbox.attacks import ATTACKS, Attack

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the sandbox is for Linux"),
    pytest.mark.skipif(
        platform.machine() != "x86_64", reason="the attacks use system call numbers of x86-64"
    ),
]
_ORDINARY_USER = 12_345
_RUNNER = Path(__file__).with_name("attack_runner.py")
_PLACES = ["plain", pytest.param("bubblewrap", marks=pytest.mark.slow)]


@pytest.fixture(scope="module", params=["own user", "ordinary user"])
def user(request: pytest.FixtureRequest) -> str:
    if request.param == "ordinary user" and os.geteuid() != 0:
        pytest.skip("only root can become another user")
    return str(request.param)


@pytest.fixture(scope="module", params=_PLACES)
def place(request: pytest.FixtureRequest) -> str:
    if request.param == "bubblewrap" and shutil.which("bwrap") is None:
        pytest.skip("bubblewrap is not installed")
    return str(request.param)


@pytest.fixture(scope="module")
def report(user: str, place: str) -> dict[str, Any]:
    return _report(user, place)


@functools.cache
def _report(user: str, place: str) -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        if place == "plain":
            patch.setattr("w4s.sandbox.bubblewrap.shutil.which", lambda name: None)
        if user == "ordinary user":
            return _as_another(place)
        patch.setenv("OPENAI_API_KEY", "")  # the run sets it
        with tempfile.TemporaryDirectory() as folder:
            return asyncio.run(run_attacks(Path(folder)))


def _as_another(place: str) -> dict[str, Any]:
    interpreter = _public_interpreter()
    if interpreter is None:
        pytest.skip("no interpreter of this version that another user can run")
    # a path without bwrap is a machine without it
    path = "/usr/bin:/bin" if place == "bubblewrap" else "/nonexistent"
    done = subprocess.run(
        [interpreter, "-B", str(_RUNNER)],
        env={"PATH": path, "PYTHONPATH": _site_packages()},
        cwd="/",
        user=_ORDINARY_USER,
        group=_ORDINARY_USER,
        extra_groups=[],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


@functools.cache
def _public_interpreter() -> str | None:
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for path in (
        os.path.realpath(sys.executable),
        f"/usr/bin/{version}",
        f"/usr/local/bin/{version}",
    ):
        try:
            subprocess.run(
                [path, "-c", "import w4s.types, pyseccomp, numpy, sympy"],
                env={"PYTHONPATH": f"{_RUNNER.parents[2]}:{_site_packages()}"},
                cwd="/",
                user=_ORDINARY_USER,
                group=_ORDINARY_USER,
                extra_groups=[],
                capture_output=True,
                check=True,
            )
        except (OSError, subprocess.CalledProcessError):
            continue
        return path
    return None


def _site_packages() -> str:
    return ":".join(path for path in sys.path if path.endswith("site-packages"))


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_an_attack_is_stopped_with_its_kind_of_failure(
    attack: Attack, report: dict[str, Any]
) -> None:
    """Proves that the program ends with the failure that names what stopped it, secret unread."""
    end = report["ends"][attack.name]
    assert end["kind"] in {kind.value for kind in attack.kinds}, end["text"]
    assert not end["secret"]


def test_attacks_leave_nothing_behind(report: dict[str, Any]) -> None:
    """Proves that no process, file or shared memory is left and that everything else lives on."""
    left = report["left"]
    assert left["children"] == 0
    assert left["files"] == []
    assert left["folder"] == ["answers.json", "socket"]
    assert left["answers"] == '{"answer": 42}'
    assert left["victim"] is None
    assert left["alive"] == [{"answer": "alive"}] * 2


def test_every_refusal_is_counted(report: dict[str, Any]) -> None:
    """Proves that each attack which was refused counts as a violation."""
    uncounted = [
        name
        for name, end in report["ends"].items()
        if end["kind"] in ("forbidden", "protocol", "calls", "wall_time", "cpu_time", "memory")
        and not end["violations"]
    ]
    assert uncounted == []


def test_the_layers_are_the_expected_ones(report: dict[str, Any], user: str, place: str) -> None:
    """Proves that the attacks met the layers that they were meant to meet."""
    assert ("bubblewrap" in report["stack"]) == (place == "bubblewrap")
    assert "seccomp" in report["stack"]
    if user == "ordinary user":
        assert "users" not in report["stack"]
