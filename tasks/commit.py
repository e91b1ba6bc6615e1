"""Which commit the project folder is at."""

from __future__ import annotations

import subprocess
from pathlib import Path


def commit_of(project: Path) -> str:
    """Return the commit of the project folder, marked where files differ; "" outside git."""
    command = ["git", "-C", str(project), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ""  # no git here: the tag stays empty
    return found.stdout.strip()
