"""`w4s trace`: what was asked and answered, as traces on MLflow's pages."""

from __future__ import annotations

import sys

from tasks.options import Options, tracking_uri
from tasks.traces import find_calls, log_traces
from tasks.tracking import Tracker
from w4s.errors import DataError
from w4s.llm.open import record_path
from w4s.policy.recorded import RECORD_FILE


def trace_calls(draw: str, *, most: int, options: Options) -> None:
    """Log the newest `most` calls whose address begins with `draw`. Raises DataError for none."""
    params = options.load()
    root = options.workspace(params).root
    file = root / RECORD_FILE if draw.startswith("policy") else record_path(root)
    calls = find_calls(file, draw, most=most) if file.exists() else []
    if not calls:
        raise DataError(
            f"{file}: no recorded call has an address that begins with {draw!r}. "
            "`w4s calls --last 20` shows addresses."
        )
    tracker = Tracker(
        uri=tracking_uri(params, options.project),
        experiment=params.tracking.experiment,
        artifacts=options.project / "mlartifacts",
        workspace=root,
    )
    traces = log_traces(tracker, calls)
    experiment = f"{params.tracking.experiment}/traces"
    sys.stdout.write(
        f"{traces} traces of {len(calls)} calls in the experiment {experiment}. Look: w4s ui\n"
    )
