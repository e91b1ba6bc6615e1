"""Stage 8: one page about a run. `python -m flows.report`, or `w4s report`."""

from __future__ import annotations

from tasks.context import Context
from tasks.report import write_report


async def report_stage(context: Context) -> None:
    """Write the report and keep it with the run in MLflow."""
    context.progress.stage("report", 1)
    file = write_report(context.params, context.workspace, project=context.project)
    context.tracker.artifact(context.run_id, file, "report")
    context.progress.item("report", file.name, cached=False)


if __name__ == "__main__":
    from flows.cli import main

    main("report")
