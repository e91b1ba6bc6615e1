"""Splits that are there already: found where nothing has changed, drawn anew where they have."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from tasks.context import Context
from tasks.prepare import is_in_place, prepare_benchmark, prepare_key
from tasks.workspace import Workspace
from w4s.config import load_params

PARAMS = Path(__file__).resolve().parents[2] / "params.yaml"


def context(folder: Path, *settings: str) -> Context:
    params = load_params(PARAMS, settings=("benchmarks.test=2", *settings))
    return cast(Context, SimpleNamespace(params=params, workspace=Workspace(folder)))


def test_a_result_stands_for_the_files_that_it_wrote(tmp_path: Path) -> None:
    """A file that was lost or changed is noticed: a found result writes none."""
    here = context(tmp_path)
    body = prepare_benchmark.fn
    result = asyncio.run(body(here, key="prepare/1", benchmark="chain_sum"))
    assert is_in_place(here, "chain_sum", result)
    file = here.workspace.splits / "chain_sum" / "private.jsonl"
    kept = file.read_bytes()
    file.write_bytes(kept + b"\n")
    assert not is_in_place(here, "chain_sum", result)
    file.unlink()
    assert not is_in_place(here, "chain_sum", result)
    assert asyncio.run(body(here, key="prepare/1", benchmark="chain_sum")) == result
    assert file.read_bytes() == kept


def test_other_rows_sizes_or_seeds_are_other_splits(tmp_path: Path) -> None:
    """Rows are told by the benchmark's version: those of one's own by their content."""
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"question": "How much is 1 + 1?", "answer": "2"}\n')
    task = tmp_path / "task.yaml"
    task.write_text(f"data: {rows}\ndescription: Add two numbers.\nscorer: exact\n")
    name = str(task)
    first = prepare_key(context(tmp_path), name)
    assert prepare_key(context(tmp_path), name) == first
    others = [
        prepare_key(context(tmp_path, "seed=7"), name),
        prepare_key(context(tmp_path, "benchmarks.public=1"), name),
        prepare_key(context(tmp_path), "chain_sum"),
    ]
    rows.write_text('{"question": "How much is 1 + 2?", "answer": "3"}\n')
    others.append(prepare_key(context(tmp_path), name))
    assert len({first, *others}) == 5
