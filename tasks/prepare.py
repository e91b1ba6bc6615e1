"""Tasks of preparation: the splits of each benchmark on disk."""

from __future__ import annotations

from prefect import task

from tasks.context import Context
from w4s.benchmarks.registry import get_benchmark
from w4s.benchmarks.splits import make_splits, write_splits

CODE = ("benchmarks", "files", "types")


# drawing and writing takes no longer than finding a cached result
@task(name="prepare", tags=["w4s", "prepare"], task_run_name="{benchmark}")
def prepare_benchmark(context: Context, benchmark: str) -> str:
    """Draw the splits of `benchmark`, write them, and say how large they are."""
    sizes = context.params.benchmarks
    splits = make_splits(
        get_benchmark(benchmark, data_dir=sizes.data_dir),
        private=sizes.private,
        public=sizes.public,
        test=sizes.test,
        seed=context.params.seed,
    )
    write_splits(splits, context.workspace.splits)
    note = f"{len(splits.private)} private, {len(splits.public)} public, {len(splits.test)} test"
    pairs = len(splits.similar)
    return f"{note}; {pairs} pairs across splits nearly the same" if pairs else note
