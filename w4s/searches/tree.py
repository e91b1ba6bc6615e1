"""AFlow-style search: pick a workflow of the tree by soft mixed probability, and modify it.

After Zhang et al., "AFlow: Automating Agentic Workflow Generation", arXiv 2410.10762: the pool
holds the initial workflow and the best others; the policy sees the chosen one with its case
studies and with what became of earlier changes to it. As in all searches here every candidate is
evaluated once (AFlow averages five runs), and a search has its number of candidates (AFlow may stop
early, where the best ones have not changed for some rounds).

Paper and public code agree on the rule and differ in its constants: λ = 0.2 and α = 0.4 in the
paper, 0.3 and 0.2 in the code. Here they are the paper's. The paper does not say on which scale its
scores are; the code multiplies them by 100, and so does this module: on [0, 1] an α of 0.4 would
hardly tell a workflow that is always right from one that never is.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from w4s.environment import Environment, State
from w4s.errors import ConfigError
from w4s.prompts.state import Attempt, PromptBudget, window_state
from w4s.prompts.texts import TEXTS
from w4s.proposals import Proposer
from w4s.rollout import OnTurn
from w4s.search import SearchPlan, SearchResult
from w4s.searches.ledger import open_ledger
from w4s.seeds import derive_seed
from w4s.types import Draw, Message

NAME = "aflow"
POOL = 4  # the initial workflow and the three best others, as in the authors' code
UNIFORM_SHARE = 0.2  # λ
SHARPNESS = 0.4  # α, for accuracies in percent
_HEADING = "# Changes tried on this workflow: try another one"
_CHANGE_CHARACTERS = 240
_EXPERIENCE = 6  # most changes that a state tells of, the newest


@dataclass(frozen=True, slots=True)
class Node:
    """A workflow of the tree: what came of it, and by which change of which parent it was made."""

    attempt: Attempt
    parent: int | None = None
    change: str = ""

    @property
    def accuracy(self) -> float:
        """The validation accuracy."""
        return self.attempt.feedback.accuracy


async def tree_search(
    proposer: Proposer,
    *,
    example: str,
    plan: SearchPlan,
    draw: Draw,
    on_turn: OnTurn = lambda _: None,
) -> SearchResult:
    """Grow a tree by `plan.samples` workflows from the example."""
    ledger = await open_ledger(
        NAME, proposer, example=example, plan=plan, draw=draw, on_turn=on_turn
    )
    tree = [Node(ledger.first)]
    for index in range(plan.samples):
        chosen = select(tree, seed=derive_seed(ledger.draw.path, "select", index))
        tried = await ledger.iterate(_state(proposer.environment, tree, chosen))
        if tried is not None:
            tree.append(Node(tried.attempt, chosen, tried.analysis))
    return ledger.result()


def select(tree: Sequence[Node], *, seed: int) -> int:
    """Return the index of the node to modify: drawn from the pool by mixed probability."""
    others = sorted(range(1, len(tree)), key=lambda index: (-tree[index].accuracy, index))
    pool = [0, *others[: POOL - 1]]
    weights = mixed_probabilities([tree[index].accuracy for index in pool])
    return random.Random(seed).choices(pool, weights)[0]


def mixed_probabilities(accuracies: Sequence[float]) -> list[float]:
    """Return λ/n + (1-λ) softmax(α·100·(s - max s)) for each accuracy s of n (paper, section 3).

    Raises ValueError for no accuracies.
    """
    if not accuracies:
        raise ValueError("there is nothing to select from")
    best = max(accuracies)
    weights = [math.exp(SHARPNESS * 100 * (accuracy - best)) for accuracy in accuracies]
    total = math.fsum(weights)
    uniform = UNIFORM_SHARE / len(accuracies)
    return [uniform + (1 - UNIFORM_SHARE) * weight / total for weight in weights]


def _state(environment: Environment, tree: Sequence[Node], chosen: int) -> State:
    """Show a node with what became of changes to it: of these the oldest go where room is short."""
    node = tree[chosen]
    budget = environment.budget
    lines = _experience(tree, chosen)
    while True:
        told = "\n".join([_HEADING, *lines, "", ""]) if lines else ""
        try:
            messages = window_state(
                description=environment.benchmark.description,
                attempts=(node.attempt,),
                budget=_leaving_room(budget, told),
            )
            break
        except ConfigError:
            if not lines:
                raise
            lines = lines[1:]
    ask = TEXTS[budget.wording].ask
    content = f"{messages[-1].content.removesuffix(ask)}{told}{ask}"
    return State((*messages[:-1], Message("user", content)), (node.accuracy,), node.attempt)


def _experience(tree: Sequence[Node], chosen: int) -> list[str]:
    """Return a line for each of the newest changes made to a node, oldest first."""
    before = tree[chosen].accuracy
    children = [node for node in tree if node.parent == chosen][-_EXPERIENCE:]
    return [
        f"- {'better' if node.accuracy > before else 'not better'}, {before:.2f} -> "
        f"{node.accuracy:.2f}: {_shortened(node.change)}"
        for node in children
    ]


def _shortened(change: str) -> str:
    flat = " ".join(change.split()) or "(no words about it)"
    if len(flat) <= _CHANGE_CHARACTERS:
        return flat
    return flat[: _CHANGE_CHARACTERS - 1] + "…"


def _leaving_room(budget: PromptBudget, text: str) -> PromptBudget:
    """Return the budget of a state that `text` is put into; none of it is kept for later turns."""
    return replace(budget, reserve=budget.count([Message("user", text)]) if text else 0)
