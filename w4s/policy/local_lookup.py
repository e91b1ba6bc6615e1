"""Guess a text's next tokens by looking up where its last ones stood before.

Prompt lookup decoding (Saxena 2023; `prompt_lookup_num_tokens` in transformers, there for one
row), over prompts, all rows and texts given beforehand.
"""

from __future__ import annotations

from collections.abc import Sequence

_GUESSES = {8: 12, 4: 6, 2: 3, 1: 1}  # tokens that agree: tokens guessed; the most agreement first


class Lookup:
    """What followed the spans of tokens where they stood last: here, else in `below`."""

    def __init__(self, texts: Sequence[Sequence[int]] = (), *, below: Lookup | None = None) -> None:
        self._follows: dict[tuple[int, ...], tuple[Sequence[int], int]] = {}
        self._below = below
        for text in texts:
            self.add(text)

    def add(self, ids: Sequence[int]) -> None:
        """Remember a whole text."""
        for place in range(1, len(ids)):
            self.note(ids, place)

    def note(self, ids: Sequence[int], place: int) -> None:
        """Remember ids[place] as what follows the spans before it."""
        for span in _GUESSES:
            if place >= span:
                self._follows[tuple(ids[place - span : place])] = (ids, place)

    def guess(self, ids: Sequence[int]) -> list[int]:
        """Return tokens that may follow `ids`, none where its last token is new."""
        for span, most in _GUESSES.items():
            found = self._place(tuple(ids[-span:])) if len(ids) >= span else None
            if found is not None:
                source, place = found
                return list(source[place : place + most])
        return []

    def _place(self, span: tuple[int, ...]) -> tuple[Sequence[int], int] | None:
        found = self._follows.get(span)
        return self._below._place(span) if found is None and self._below else found
