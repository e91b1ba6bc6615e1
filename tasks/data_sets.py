"""What MLflow says of the splits that a run read: the files of one split, by their hash."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.context import Context
from tasks.told import DataSet
from w4s.benchmarks.split_files import load_manifest, split_folder
from w4s.benchmarks.splits import load_validation


def validation_sets(context: Context, benchmarks: Sequence[str]) -> list[DataSet]:
    """Return the validation problems, private and public, of `benchmarks`."""
    splits = context.workspace.splits
    return [
        DataSet(
            f"{name} validation", load_validation(splits, name).sha256, split_folder(splits, name)
        )
        for name in benchmarks
    ]


def held_out_sets(context: Context, benchmarks: Sequence[str]) -> list[DataSet]:
    """Return the held-out problems of `benchmarks`: their hashes, not the problems."""
    splits = context.workspace.splits
    return [
        DataSet(
            f"{name} test",
            load_manifest(splits, name).splits["test"].sha256,
            split_folder(splits, name),
        )
        for name in benchmarks
    ]
