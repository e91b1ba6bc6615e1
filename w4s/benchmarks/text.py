"""Normalise question and answer texts, and find near-duplicates among questions.

Knows nothing of benchmarks or splits.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# punctuation that carries no meaning; operators, brackets and decimal points do
_PUNCTUATION = re.compile(r"(?<!\d)[.,;:!?\"'`’‘“”]|[.,;:!?\"'`’‘“”](?!\d)")
_TOKEN = re.compile(r"\d+(?:[.,]\d+)*|\w+|[^\w\s]")
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Pair:
    """Two texts by their positions, and how alike they are in [0, 1]."""

    first: int
    second: int
    similarity: float


def normalise_question(text: str) -> str:
    """Return the text without case, spacing and sentence punctuation.

    Operators, brackets, signs and digits stay: "5 - 3" and "5 + 3" are different questions.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    return _SPACE.sub(" ", _PUNCTUATION.sub(" ", folded)).strip()


def near_duplicates(texts: Sequence[str], *, threshold: float) -> list[Pair]:
    """Return the pairs of texts at least `threshold` alike, most alike first.

    The measure is the Jaccard index over tokens, each weighted by its rarity among `texts`:
    instructions that all questions share weigh nothing, numbers and names weigh most.
    """
    bags = [set(_TOKEN.findall(normalise_question(text))) for text in texts]
    counts = Counter(token for bag in bags for token in bag)
    columns = {token: column for column, token in enumerate(sorted(counts))}
    weights = np.array([np.log((1 + len(texts)) / counts[token]) for token in sorted(counts)])
    present = np.zeros((len(texts), len(columns)), dtype=np.float32)
    for row, bag in enumerate(bags):
        present[row, [columns[token] for token in bag]] = 1.0
    shared = (present * weights.astype(np.float32)) @ present.T
    own = np.diagonal(shared)
    union = own[:, None] + own[None, :] - shared
    similarity = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    firsts, seconds = np.nonzero(np.triu(similarity >= threshold, k=1))
    pairs = [
        Pair(int(i), int(j), round(float(similarity[i, j]), 4))
        for i, j in zip(firsts, seconds, strict=True)
    ]
    return sorted(pairs, key=lambda pair: (-pair.similarity, pair.first, pair.second))
