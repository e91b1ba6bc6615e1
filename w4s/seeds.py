"""Seeds derived from names, never from time or order of completion."""

from __future__ import annotations

import hashlib


def derive_seed(*parts: object) -> int:
    """Return a seed in [0, 2**31) that depends on `parts` (by their text) and on nothing else."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1
