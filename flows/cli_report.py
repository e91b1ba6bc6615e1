"""`w4s report`: one HTML file about what a workspace holds. Starts no server."""

from __future__ import annotations

import sys
from pathlib import Path

from tasks.options import Options
from tasks.report import write_report
from w4s.errors import DataError


def make_report(options: Options) -> Path:
    """Write the report and say where it is. Raises ConfigError, DataError."""
    params = options.load()
    workspace = options.workspace(params)
    if not workspace.root.is_dir():
        raise DataError(
            f"{workspace.root}: nothing to report on. Run something first (`w4s run`), or name a "
            "profile with --profile."
        )
    file = write_report(params, workspace, project=options.project)
    sys.stdout.write(f"Report: {file}\n")
    return file
