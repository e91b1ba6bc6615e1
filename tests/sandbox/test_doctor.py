"""What the doctor says of a machine."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from w4s.sandbox.doctor import diagnose, uncovered
from w4s.sandbox.stack import Stack, bare

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the sandbox is for Linux")


def test_a_safe_machine_is_described_by_its_layers() -> None:
    """Proves that the layers in use are told apart from those that are not."""
    diagnosis = asyncio.run(diagnose())
    active = {layer.name for layer in diagnosis.layers if layer.active}
    assert diagnosis.safe
    assert diagnosis.problem is None
    assert {"seccomp", "rlimits"} <= active
    assert active & {"landlock", "bubblewrap"}
    assert any("kernel" in text for text in diagnosis.uncovered)


def test_a_machine_without_layers_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proves that the problem names the missing layer and the way out."""
    monkeypatch.setattr("w4s.sandbox.stack.landlock.abi", lambda: 0)
    monkeypatch.setattr("w4s.sandbox.stack.bubblewrap.program", lambda: None)
    diagnosis = asyncio.run(diagnose())
    assert not diagnosis.safe
    assert diagnosis.problem is not None
    assert "landlock: this kernel does not offer it" in diagnosis.problem
    assert "apt-get install bubblewrap" in diagnosis.problem


def test_a_machine_without_libseccomp_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proves that no combination is left without the filter of system calls."""
    monkeypatch.setattr("w4s.sandbox.stack.seccomp.supported", lambda: "libseccomp is missing")
    diagnosis = asyncio.run(diagnose())
    assert not diagnosis.safe
    assert "seccomp: libseccomp is missing" in str(diagnosis.problem)


def test_fewer_layers_leave_more_open() -> None:
    """Proves that each missing layer adds what it would have covered."""
    full = Stack(namespaces=True, landlock=True, seccomp=True, own_users=True)
    plain = Stack(namespaces=False, landlock=True, seccomp=True, own_users=True)
    assert set(uncovered(full)) < set(uncovered(plain))
    assert "everything" in uncovered(bare())[0]


def test_a_failed_probe_leaves_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proves that what the probe managed to write is removed again."""
    monkeypatch.setattr("w4s.sandbox.landlock.restrict", lambda descriptor: None)
    hollow = Stack(namespaces=False, landlock=False, seccomp=True, own_users=False)
    monkeypatch.setattr("w4s.sandbox.host.candidates", lambda: ([hollow], []))
    diagnosis = asyncio.run(diagnose())
    assert "writing to /tmp" in str(diagnosis.problem)
    assert list(Path("/tmp").glob("w4s-probe*")) == []
    assert list(Path("/dev/shm").glob("w4s-probe*")) == []
