"""`w4s experiment`: the paper's experiments by name."""

from __future__ import annotations

import csv
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from flows.cli_run import run_command
from flows.cli_tables import Sheet, first_places, show_sheet, wide_console
from tasks.options import Options
from w4s.experiments.plan import EXPERIMENTS, check_experiment, get_experiment
from w4s.report.rows import chance

COMMAND = "experiment"
FOLDER = "experiments"


def list_experiments() -> None:
    """Print the name and the question of every experiment."""
    width = max(len(name) for name in EXPERIMENTS)
    for one in EXPERIMENTS.values():
        sys.stdout.write(f"{one.name:<{width}}  {one.question}\n")


def run_experiment(name: str, *, options: Options) -> None:
    """Run the experiment, then print its table. Raises W4SError."""
    params = options.load()
    check_experiment(get_experiment(name), params)
    run_command(
        COMMAND,
        profile=options.profile,
        params=options.params,
        settings=list(options.settings),
        arguments={"name": name},
    )
    show_experiment(options.workspace(params).root / FOLDER / name)


def show_experiment(folder: Path) -> None:
    """Print the table of the experiment in `folder` in the terminal's width."""
    with (folder / "table.csv").open(encoding="utf-8", newline="") as stream:
        lines = list(csv.DictReader(stream))
    starts = first_places([line["benchmark"] for line in lines])
    varied = any(line["variant"] for line in lines)
    console = wide_console()
    show_sheet(
        console,
        Sheet(
            get_experiment(folder.name).question,
            texts=("benchmark", *(("variant",) if varied else ()), "method"),
            figures=("accuracy [95 %]", "gap", "difference [95 %]", "p", "calls", "USD"),
            rows=[_row(line, first=i in starts, varied=varied) for i, line in enumerate(lines)],
            keep=2,
            whole="table.md",
            sections=starts[1:],
        ),
    )
    sys.stdout.write(
        "Gap: validation minus test. Difference: the reference, which table.md names, minus this\n"
        f"method on the same problems. Calls and USD: of one question.\n{_failed(lines)}"
        f"Files: {folder}\n"
    )


def _failed(lines: Sequence[Mapping[str, str]]) -> str:
    """Return a sentence where a method gave no answer to a question."""
    share, name = max((float(line["failed"]), line["label"]) for line in lines)
    if share == 0:
        return ""
    return f"No answer, counted as wrong: up to {share:.0%} ({name}); column failed of table.md.\n"


def _row(line: Mapping[str, str], *, first: bool, varied: bool) -> tuple[str, ...]:
    spread = f" ± {float(line['deviation']):.2f}" if int(line["seeds"]) > 1 else ""
    difference = [line[name] for name in ("difference", "difference_low", "difference_high")]
    return (
        line["benchmark"] if first else "",
        *((line["variant"],) if varied else ()),
        line["label"],
        "{:.2f}{} [{:.2f}, {:.2f}]".format(
            float(line["accuracy"]), spread, float(line["low"]), float(line["high"])
        ),
        f"{float(line['gap']):+.2f}" if line["gap"] else "",
        "{:+.2f} [{:+.2f}, {:+.2f}]".format(*map(float, difference)) if all(difference) else "",
        chance(float(line["p_bootstrap"])) if line["p_bootstrap"] else "",
        f"{float(line['calls']):.1f}",
        f"{float(line['usd']):.6f}" if line["usd"] else "",
    )
