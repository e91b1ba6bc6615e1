"""`w4s experiment`: the paper's experiments by name."""

from __future__ import annotations

import sys

from flows.cli_run import run_command
from tasks.options import Options
from w4s.experiments.plan import EXPERIMENTS, check_experiment, get_experiment

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
    folder = options.workspace(params).root / FOLDER / name
    sys.stdout.write(f"\n{(folder / 'table.md').read_text(encoding='utf-8')}\nFiles: {folder}\n")
