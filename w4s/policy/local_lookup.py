"""Guess a text's next tokens by looking up where its last ones stood before.

Prompt lookup decoding (Saxena 2023; `prompt_lookup_num_tokens` in transformers, there for one
row), over prompts, all rows and texts given beforehand.
"""

from __future__ import annotations

from collections.abc import Sequence

_GUESSES = {8: 12, 4: 6, 2: 3, 1: 1}  # tokens that agree: tokens guessed; the most agreement first


class Lookup:
    """What followed the spans of tokens where they stood last."""

    def __init__(self, texts: Sequence[Sequence[int]] = ()) -> None:
        self._follows: dict[tuple[int, ...], tuple[Sequence[int], int]] = {}
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
            found = self._follows.get(tuple(ids[-span:]))
            if found is not None and len(ids) >= span:
                source, place = found
                return list(source[place : place + most])
        return []
