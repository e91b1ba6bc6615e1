"""Normalise question and answer texts, and find near-duplicates among questions.

Knows nothing of benchmarks or splits.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

# punctuation that carries no meaning; operators, brackets and decimal points (".5" too) do
_PUNCTUATION = re.compile(r"(?!(?<!\w)\.\d)(?<!\d)[.,;:!?\"'`’‘“”]|[.,;:!?\"'`’‘“”](?!\d)")
_DASH = re.compile("[−‐‑‒–—]")
_TOKEN = re.compile(r"\d+(?:[.,]\d+)*|\w+|[^\w\s]")
_SPACE = re.compile(r"\s+")
_ROUNDING = 1 - 1e-9  # sums of weights in another order differ by less


@dataclass(frozen=True, slots=True)
class Pair:
    """Two texts by their positions, and how alike they are in [0, 1]."""

    first: int
    second: int
    similarity: float


def normalise_question(text: str) -> str:
    """Return the text without case, spacing, sentence punctuation and signs that nobody sees.

    All dashes are one. Operators, brackets, signs and digits stay: "5 - 3" and "5 + 3" are
    different questions.
    """
    folded = _DASH.sub("-", unicodedata.normalize("NFKC", text).casefold())
    seen = "".join(one for one in folded if one.isascii() or unicodedata.category(one) != "Cf")
    return _SPACE.sub(" ", _PUNCTUATION.sub(" ", seen)).strip()


def near_duplicates(texts: Sequence[str], *, threshold: float) -> list[Pair]:
    """Return the pairs of texts at least `threshold` (above 0) alike, most alike first.

    The measure is the Jaccard index over tokens, each weighted by its rarity among `texts`:
    instructions that all questions share weigh nothing, numbers and names weigh most.

    Only texts that share one of their rarest tokens are compared: two that share none of the
    tokens that make up more than 1 - `threshold` of a text's weight cannot be alike enough.
    """
    bags = [set(_TOKEN.findall(normalise_question(text))) for text in texts]
    counts = Counter(token for bag in bags for token in bag)
    weights = {token: math.log((1 + len(texts)) / count) for token, count in counts.items()}
    rarest_first = [sorted(bag, key=lambda token: (counts[token], token)) for bag in bags]
    totals = [math.fsum(weights[token] for token in bag) for bag in bags]
    holders: dict[str, list[int]] = defaultdict(list)
    pairs = []
    for second, tokens in enumerate(rarest_first):
        left, least = totals[second], threshold * totals[second] * _ROUNDING
        candidates: set[int] = set()
        for token in tokens:
            if left < least:
                break
            candidates.update(holders[token])
            holders[token].append(second)
            left -= weights[token]
        for first in sorted(candidates):
            if not least <= totals[first] <= totals[second] / (threshold * _ROUNDING):
                continue
            shared = math.fsum(weights[token] for token in bags[first] & bags[second])
            similarity = shared / (totals[first] + totals[second] - shared)
            if similarity >= threshold * _ROUNDING:
                pairs.append(Pair(first, second, round(similarity, 4)))
    return sorted(pairs, key=lambda pair: (-pair.similarity, pair.first, pair.second))
