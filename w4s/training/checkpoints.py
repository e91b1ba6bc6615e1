"""Save the state of a training in one file, whole or not at all, and read it back."""

from __future__ import annotations

import hashlib
import logging
import os
import pickle
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from w4s.training.examples import Example
from w4s.training.schedule import Settings

_log = logging.getLogger(__name__)


def fingerprint(examples: Sequence[Example], settings: Settings, *others: object) -> str:
    """Return a digest of everything that decides a training's result."""
    digest = hashlib.sha256(repr((asdict(settings), others)).encode())
    for example in examples:
        digest.update(repr(example).encode())
    return digest.hexdigest()


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write `state` (tensors and plain values) to `path`: readers see the old one or the new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = _partial(path)
    with partial.open("wb") as stream:
        torch.save(state, stream)
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(path)


def read_checkpoint(path: Path, *, inputs: str) -> dict[str, Any] | None:
    """Return the state at `path`, or None where there is none of a training on `inputs`."""
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        return None
    except (OSError, EOFError, RuntimeError, pickle.UnpicklingError) as error:
        _log.warning("%s: the checkpoint cannot be read (%s): training starts anew", path, error)
        return None
    if state.get("inputs") != inputs:
        _log.info("%s: the checkpoint is of another training: this one starts anew", path)
        return None
    return state


def remove_checkpoint(path: Path) -> None:
    """Remove a checkpoint that is not wanted any more, and what a kill left of a newer one."""
    for file in (path, _partial(path)):
        file.unlink(missing_ok=True)


def _partial(path: Path) -> Path:
    return path.with_name(path.name + ".tmp")
