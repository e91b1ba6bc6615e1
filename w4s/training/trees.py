"""Merge token paths that begin alike into a tree, laid out as one sequence.

Every path can be read back exactly: only tokens with equal predecessors are shared, so the
model computes the same for them whichever path they are on. Knows no tensors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

MIN_SHARED = 16  # shorter common beginnings are not worth an attention call of their own


@dataclass(frozen=True, slots=True)
class Run:
    """A stretch of the sequence that attends to itself causally, and to all of `context` before.

    `context` are the stretches (start, end) of its ancestors, in the order of the path.
    """

    start: int
    end: int
    context: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class TokenTree:
    """Paths as one sequence. `places[i]` are the positions of path i's tokens in it."""

    tokens: tuple[int, ...]
    depths: tuple[int, ...]
    runs: tuple[Run, ...]
    places: tuple[tuple[int, ...], ...]


@dataclass(slots=True)
class _Node:
    tokens: list[int]
    children: list[_Node] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)  # the paths that end with this node
    height: int = 0  # tokens of the longest way down from here, its own included
    start: int = 0


def build_tree(paths: Sequence[Sequence[int]], *, min_shared: int = MIN_SHARED) -> TokenTree:
    """Merge `paths` (each of at least one token) into a tree.

    Common beginnings shorter than `min_shared` tokens are kept apart.
    """
    root = _Node([])
    for index, path in enumerate(paths):
        _insert(root, list(path), index, min_shared)
    _measure(root)
    layout = _Layout([()] * len(paths))
    for child in _longest_first(root):
        layout.place(child, (), ())
    return TokenTree(
        tuple(layout.tokens), tuple(layout.depths), tuple(layout.runs), tuple(layout.places)
    )


def tree_size(paths: Sequence[Sequence[int]]) -> int:
    """Return how many tokens the tree of `paths` has."""
    return len(build_tree(paths).tokens)


def _insert(node: _Node, path: list[int], index: int, min_shared: int) -> None:
    while True:
        if not path:
            node.ends.append(index)
            return
        child, common = _best_child(node, path)
        if child is None or common < min(min_shared, len(path), len(child.tokens)):
            node.children.append(_Node(path, ends=[index]))
            return
        if common < len(child.tokens):
            _split(child, common)
        node, path = child, path[common:]


def _best_child(node: _Node, path: list[int]) -> tuple[_Node | None, int]:
    shared = [(_common(child.tokens, path), -place) for place, child in enumerate(node.children)]
    if not shared:
        return None, 0
    common, place = max(shared)
    return (node.children[-place], common) if common else (None, 0)


def _common(left: list[int], right: list[int]) -> int:
    length = 0
    for a, b in zip(left, right, strict=False):
        if a != b:
            break
        length += 1
    return length


def _split(node: _Node, length: int) -> None:
    rest = _Node(node.tokens[length:], node.children, node.ends)
    node.tokens, node.children, node.ends = node.tokens[:length], [rest], []


def _measure(node: _Node) -> int:
    node.height = len(node.tokens) + max((_measure(child) for child in node.children), default=0)
    return node.height


def _longest_first(node: _Node) -> list[_Node]:
    return sorted(node.children, key=lambda child: -child.height)


class _Layout:
    """Lays nodes out so that the longest way down follows its parent: one run for each leaf."""

    def __init__(self, places: list[tuple[int, ...]]) -> None:
        self.tokens: list[int] = []
        self.depths: list[int] = []
        self.runs: list[Run] = []
        self.places = places

    def place(
        self, top: _Node, context: tuple[tuple[int, int], ...], path: tuple[int, ...]
    ) -> None:
        """Lay out the run that starts with `top`, then the runs that branch off it."""
        start = len(self.tokens)
        branches: list[tuple[_Node, int, tuple[int, ...]]] = []
        node: _Node | None = top
        while node is not None:
            first = len(self.tokens)
            self.tokens.extend(node.tokens)
            self.depths.extend(range(len(path), len(path) + len(node.tokens)))
            path = path + tuple(range(first, len(self.tokens)))
            for index in node.ends:
                self.places[index] = path
            children = _longest_first(node)
            branches.extend((child, len(self.tokens), path) for child in children[1:])
            node = children[0] if children else None
        self.runs.append(Run(start, len(self.tokens), context))
        for child, end, before in branches:
            self.place(child, (*context, (start, end)), before)
