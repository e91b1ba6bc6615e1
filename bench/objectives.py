"""Train rwr, sft and sft_best on the same trajectories from the same start, and compare.

python -m bench.objectives outputs/trajectories/trajectories.jsonl --start ADAPTER --out FOLDER

Prints, for each objective, the share of probability on a state's high-reward candidates (states
weighted alike) and how much more those gained than the others, with bootstrap intervals over
states; writes the same as objectives.png. Scores the trajectories that it trained on: what is
compared is where the probability went, not how good new workflows are.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import matplotlib as mpl

from w4s.config import Objective, Params, load_params
from w4s.statistics import Interval, bootstrap_interval
from w4s.training.likelihood import ActionScore, high_reward_shares, reward_gaps, score_actions
from w4s.training.samples import trajectory_samples
from w4s.training.train import Resources, train
from w4s.trajectories import read_trajectories
from w4s.types import Trajectory


@dataclass(frozen=True)
class Row:
    """One policy: probability on high-reward candidates, and their gain over the others'."""

    name: str
    share: Interval
    gap: Interval | None


def main() -> None:
    """Train, score, print the table and draw it."""
    options = _options()
    params = load_params(options.params, settings=tuple(options.set))
    trajectories = read_trajectories(options.trajectories)
    samples = trajectory_samples(
        trajectories, objective="sft", min_accuracy=params.collect.min_accuracy
    )
    before = score_actions(samples, policy=params.policy, adapter=options.start)
    rows = [Row("start", _interval(high_reward_shares(before)), None)]
    for objective in get_args(Objective):
        adapter = _trained(trajectories, params, objective, options)
        after = score_actions(samples, policy=params.policy, adapter=adapter)
        rows.append(_row(objective, before, after))
    print(f"{len(samples)} actions, {len(high_reward_shares(before))} states with unequal rewards")
    print(f"{'policy':10}{'share on high reward':>30}{'gain over the rest, nats/token':>36}")
    for row in rows:
        print(f"{row.name:10}{_text(row.share):>30}{_text(row.gap) if row.gap else '':>36}")
    _draw(rows, options.out / "objectives.png")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("trajectories", type=Path)
    parser.add_argument("--start", type=Path, help="adapter to start from")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    parser.add_argument("--set", action="append", default=[], help="section.key=value")
    return parser.parse_args()


def _trained(
    trajectories: list[Trajectory],
    params: Params,
    objective: Objective,
    options: argparse.Namespace,
) -> Path:
    made = train(
        trajectories,
        params=params.train,
        objective=objective,
        resources=Resources(params.policy, options.out / objective, params.seed, options.start),
        min_accuracy=params.collect.min_accuracy,
        on_step=lambda metrics, steps: print(
            f"{objective} {metrics.step}/{steps} loss {metrics.loss:.3f}", flush=True
        ),
    )
    return made.out


def _row(name: str, before: list[ActionScore], after: list[ActionScore]) -> Row:
    return Row(name, _interval(high_reward_shares(after)), _interval(reward_gaps(before, after)))


def _interval(values: list[float]) -> Interval:
    return bootstrap_interval(values, seed=0)


def _text(interval: Interval) -> str:
    return f"{interval.estimate:.3f} [{interval.low:.3f}, {interval.high:.3f}]"


def _draw(rows: list[Row], path: Path) -> None:
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
    estimates = [row.share.estimate for row in rows]
    low = [row.share.estimate - row.share.low for row in rows]
    high = [row.share.high - row.share.estimate for row in rows]
    axes.errorbar([row.name for row in rows], estimates, yerr=[low, high], fmt="o", capsize=4)
    axes.set_ylim(0, 1)
    axes.set_ylabel("probability on high-reward candidates")
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
