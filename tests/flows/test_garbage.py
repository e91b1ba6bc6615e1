"""What modules make is not looked through for garbage, and everything else still is."""

import gc

import pytest

from flows.garbage import no_collection


class Knot:
    """Something that only the collector can free."""

    def __init__(self) -> None:
        self.me = self


def _import_without_collection() -> None:
    with no_collection():
        assert not gc.isenabled()
        raise ImportError("no such module")


def test_nothing_is_collected_within_and_what_was_made_is_left_alone_after() -> None:
    """Also where the import fails: the collector is on again."""
    assert gc.isenabled()
    before = gc.get_freeze_count()
    try:
        with pytest.raises(ImportError):
            _import_without_collection()
        assert gc.isenabled()
        assert gc.get_freeze_count() > before
        Knot()
        assert gc.collect() > 0
    finally:
        gc.unfreeze()
