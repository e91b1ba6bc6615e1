"""The cost table: this run beside all runs, and prices that nobody knows."""

from pathlib import Path

import pytest

from w4s.config import Price
from w4s.errors import DataError
from w4s.llm.calls import GroupCost
from w4s.llm.totals import Group
from w4s.report.costs import FILE, cost_rows, read_costs, write_costs
from w4s.types import Usage

SEARCH, TEST = Group("search", "gcd", "priced"), Group("test", "gcd", "unpriced")
PRICES = {"priced": Price(prompt=1.0, completion=2.0)}


def test_rows_tell_this_run_from_all_runs() -> None:
    """Replayed calls are told apart, and cost nothing now."""
    spent = {SEARCH: Usage(5, 1000, 500, cached=2)}
    recorded = [GroupCost(SEARCH, Usage(9, 3000, 1500), 0.006, 1.0)]
    row, total = cost_rows(spent, recorded, prices=PRICES)
    assert (row.calls, row.replayed, row.tokens, row.usd) == (3, 2, 1500, 0.002)
    assert (row.recorded_calls, row.recorded_tokens, row.recorded_usd) == (9, 4500, 0.006)
    assert (total.stage, total.calls, total.usd) == ("all", 3, 0.002)


def test_an_unknown_price_makes_the_sum_unknown_where_it_was_paid() -> None:
    """A model that was only replayed adds nothing to what this run cost."""
    recorded = [GroupCost(TEST, Usage(4, 10, 10), None, 1.0)]
    paid = cost_rows({TEST: Usage(1, 10, 5)}, recorded, prices=PRICES)
    replayed = cost_rows({TEST: Usage(4, cached=4)}, recorded, prices=PRICES)
    assert paid[-1].usd is None
    assert (replayed[-1].usd, replayed[-1].recorded_usd) == (0.0, None)
    assert cost_rows({}, [], prices=PRICES) == []


def test_rows_come_back_as_they_were_written(tmp_path: Path) -> None:
    """Without a file there are none; a damaged one is said so."""
    rows = cost_rows({TEST: Usage(1, 10, 5)}, [], prices=PRICES)
    assert read_costs(tmp_path) == []
    write_costs(tmp_path, rows)
    assert read_costs(tmp_path) == rows
    (tmp_path / FILE).write_text("[{")
    with pytest.raises(DataError, match=r"costs\.json: cannot be read"):
        read_costs(tmp_path)
