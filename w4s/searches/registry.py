"""Searches by name."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from w4s.errors import ConfigError
from w4s.search import search
from w4s.searches import archive, random_sampling, tree
from w4s.searches.ledger import SearchMethod

W4S = "w4s"
SEARCHES: Mapping[str, SearchMethod] = {
    W4S: search,
    random_sampling.NAME: random_sampling.random_search,
    archive.NAME: archive.archive_search,
    tree.NAME: tree.tree_search,
}


def get_search(name: str) -> SearchMethod:
    """Return a search. Raises ConfigError, with the known names, for another."""
    if name not in SEARCHES:
        close = difflib.get_close_matches(name, SEARCHES, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ConfigError(f"unknown search {name!r}.{hint} Known: {', '.join(SEARCHES)}.")
    return SEARCHES[name]
