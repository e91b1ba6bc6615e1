"""Files and folders are written whole or not at all."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from w4s.files import atomic_folder, atomic_write_bytes, atomic_write_text


def test_text_lands_whole_with_public_mode(tmp_path: Path) -> None:
    """The file holds the exact text, has mode 0644, and no temporary file is left."""
    target = tmp_path / "deep" / "a.txt"
    atomic_write_text(target, "é\r\n")
    assert target.read_bytes() == "é\r\n".encode()
    assert stat.S_IMODE(target.stat().st_mode) == 0o644
    assert [path.name for path in target.parent.iterdir()] == ["a.txt"]


def test_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rename that fails leaves the old content and no litter."""
    target = tmp_path / "a.bin"
    atomic_write_bytes(target, b"old")

    def refuse(self: Path, other: Path) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OSError, match="disk full"):
        atomic_write_bytes(target, b"new")
    assert target.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


def test_folder_appears_only_when_complete(tmp_path: Path) -> None:
    """Nothing lies at the target before the block ends."""
    target = tmp_path / "out"
    with atomic_folder(target) as folder:
        (folder / "x").write_text("1")
        assert not target.exists()
    assert (target / "x").read_text() == "1"
    assert stat.S_IMODE(target.stat().st_mode) == 0o755


def test_failing_block_keeps_the_old_folder(tmp_path: Path) -> None:
    """An exception inside the block leaves the old folder as it was and no litter."""
    target = tmp_path / "out"
    with atomic_folder(target) as folder:
        (folder / "x").write_text("1")
    with pytest.raises(ValueError, match="stop"), atomic_folder(target) as folder:  # noqa: PT012  # the block is the subject
        (folder / "x").write_text("2")
        raise ValueError("stop")
    assert (target / "x").read_text() == "1"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    """Files of the old folder that the new one lacks are gone."""
    target = tmp_path / "out"
    for name in ("x", "y"):
        with atomic_folder(target) as folder:
            (folder / name).write_text(name)
    assert [path.name for path in target.iterdir()] == ["y"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
