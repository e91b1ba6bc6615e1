"""The task of preparation: the splits of one benchmark on disk."""

from __future__ import annotations

from typing import Any

from tasks.cached import cached_task
from tasks.context import Context
from tasks.keys import cache_key, file_sha256
from w4s.benchmarks.registry import get_benchmark
from w4s.benchmarks.split_files import split_folder
from w4s.benchmarks.splits import Splits, make_splits, write_splits

CODE = ("benchmarks", "files", "parsing", "types", "tasks.prepare")


@cached_task("prepare")
async def prepare_benchmark(context: Context, *, key: str, benchmark: str) -> dict[str, Any]:
    """Draw the splits of `benchmark` and write them; the files' hash and a note on their sizes."""
    del key
    sizes = context.params.benchmarks
    splits = make_splits(
        get_benchmark(benchmark, data_dir=sizes.data_dir),
        private=sizes.private,
        public=sizes.public,
        test=sizes.test,
        seed=context.params.seed,
    )
    folder = write_splits(splits, context.workspace.splits)
    return {"sha256": file_sha256(folder), "note": _note(splits)}


def is_in_place(context: Context, benchmark: str, result: dict[str, Any]) -> bool:
    """Say whether the files of `benchmark` are those of a result: a found one writes none."""
    folder = split_folder(context.workspace.splits, benchmark)
    return file_sha256(folder) == str(result["sha256"])


def prepare_key(context: Context, benchmark: str) -> str:
    """Return the cache key of `prepare_benchmark`. Raises DataError where there are no rows."""
    params = context.params
    rows = get_benchmark(benchmark, data_dir=params.benchmarks.data_dir)
    return cache_key(
        "prepare",
        code=CODE,
        parameters={
            "benchmark": benchmark,
            "sizes": params.benchmarks.model_dump(include={"private", "public", "test"}),
            "seed": params.seed,
        },
        inputs={"rows": rows.version},
    )


def _note(splits: Splits) -> str:
    sizes = f"{len(splits.private)} private, {len(splits.public)} public, {len(splits.test)} test"
    pairs = len(splits.similar)
    return f"{sizes}; pairs across splits nearly the same: {pairs}" if pairs else sizes
