"""What was found out about the models of an endpoint, kept in the record for the next run."""

from __future__ import annotations

from w4s.llm import abilities as able
from w4s.llm.record import Record


class KnownAbilities:
    """The abilities of each model behind the endpoint `name`: all of them until told otherwise."""

    def __init__(self, record: Record | None, *, name: str) -> None:
        self._record = record
        self._name = name
        self._abilities: dict[str, able.Abilities] = {}

    def of(self, model: str) -> able.Abilities:
        """Return what is known of `model`."""
        known = self._abilities.get(model)
        if known is None:
            fact = None if self._record is None else self._record.fact(self._fact(model))
            known = able.Abilities() if fact is None else able.load(fact)
            self._abilities[model] = known
        return known

    def keep(self, model: str, abilities: able.Abilities) -> None:
        """Remember what was found out about `model`."""
        self._abilities[model] = abilities
        if self._record is not None:
            self._record.remember(self._fact(model), able.dump(abilities))

    def _fact(self, model: str) -> str:
        return f"abilities {self._name} {model}"
