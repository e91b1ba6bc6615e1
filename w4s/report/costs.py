"""What a run asked of the executor and what that cost, as rows: by stage, benchmark and model.

Each row holds what this run did, and what the record holds of all runs in the workspace.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from w4s.config import Price
from w4s.errors import DataError
from w4s.files import atomic_write_text
from w4s.llm.calls import GroupCost
from w4s.llm.totals import Group, cost_usd
from w4s.types import Usage

FILE = "costs.json"
ALL = "all"


@dataclass(frozen=True, slots=True)
class CostRow:
    """Replies paid for and replayed by this run, and all that are on record for the group.

    USD are None where a model that was paid for has no known price.
    """

    stage: str
    benchmark: str
    model: str
    calls: int
    replayed: int
    tokens: int
    usd: float | None
    recorded_calls: int
    recorded_tokens: int
    recorded_usd: float | None


_ADAPTER = TypeAdapter(list[CostRow])


def cost_rows(
    spent: Mapping[Group, Usage], recorded: Sequence[GroupCost], *, prices: Mapping[str, Price]
) -> list[CostRow]:
    """Return a row for each group that this run or the record knows, and a last one for all."""
    known = {cost.group: cost for cost in recorded}
    groups = sorted({*spent, *known}, key=lambda group: (group.stage, group.benchmark, group.model))
    rows = []
    for group in groups:
        usage = spent.get(group, Usage())
        held = known.get(group)
        rows.append(
            CostRow(
                stage=group.stage,
                benchmark=group.benchmark,
                model=group.model,
                calls=usage.calls - usage.cached,
                replayed=usage.cached,
                tokens=usage.tokens,
                usd=cost_usd(usage, prices.get(group.model)) if usage.tokens else 0.0,
                recorded_calls=held.usage.calls if held else 0,
                recorded_tokens=held.usage.tokens if held else 0,
                recorded_usd=held.usd if held else 0.0,
            )
        )
    return [*rows, _sum(rows)] if rows else []


def write_costs(folder: Path, rows: Sequence[CostRow]) -> None:
    """Write the rows as costs.json into `folder`."""
    text = json.dumps([asdict(row) for row in rows], indent=1)
    atomic_write_text(folder / FILE, text + "\n")


def read_costs(folder: Path) -> list[CostRow]:
    """Return the rows of costs.json in `folder`; none where it is not there.

    Raises DataError where it is not what was written.
    """
    file = folder / FILE
    try:
        return _ADAPTER.validate_json(file.read_bytes())
    except FileNotFoundError:
        return []
    except (OSError, ValidationError) as error:
        raise DataError(
            f"{file}: cannot be read ({error}). Delete it; the next run writes it."
        ) from error


def _sum(rows: Sequence[CostRow]) -> CostRow:
    return CostRow(
        stage=ALL,
        benchmark="",
        model="",
        calls=sum(row.calls for row in rows),
        replayed=sum(row.replayed for row in rows),
        tokens=sum(row.tokens for row in rows),
        usd=_known_sum([row.usd for row in rows]),
        recorded_calls=sum(row.recorded_calls for row in rows),
        recorded_tokens=sum(row.recorded_tokens for row in rows),
        recorded_usd=_known_sum([row.recorded_usd for row in rows]),
    )


def _known_sum(amounts: Sequence[float | None]) -> float | None:
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if len(known) == len(amounts) else None
