"""ADAS-style search: the policy sees an archive of all workflows with their accuracies.

After Hu et al., "Automated Design of Agentic Systems", arXiv 2408.08435 (Meta Agent Search). The
two rounds of self-reflection before each evaluation are left out, so that every search asks its
policy as often; corrections of failing code are those of all searches, and so is the one example
that the archive starts with (Meta Agent Search starts with seven published workflows).
"""

from __future__ import annotations

from collections.abc import Sequence

from w4s.environment import State
from w4s.errors import ConfigError
from w4s.prompts.state import Attempt, PromptBudget
from w4s.prompts.texts import TEXTS
from w4s.proposals import Proposer
from w4s.rollout import OnTurn
from w4s.search import SearchPlan, SearchResult
from w4s.searches.ledger import open_ledger
from w4s.types import Draw, Message

NAME = "adas"
_TASTE = (
    "Learn from the archive: combine what works, and propose the next interesting workflow, one "
    "that was not tried yet."
)


async def archive_search(
    proposer: Proposer,
    *,
    example: str,
    plan: SearchPlan,
    draw: Draw,
    on_turn: OnTurn = lambda _: None,
) -> SearchResult:
    """Add `plan.samples` workflows to an archive that starts with the example."""
    ledger = await open_ledger(
        NAME, proposer, example=example, plan=plan, draw=draw, on_turn=on_turn
    )
    environment = proposer.environment
    archive = [ledger.first]
    for _ in range(plan.samples):
        messages = archive_state(
            description=environment.benchmark.description,
            archive=archive,
            budget=environment.budget,
        )
        accuracies = tuple(attempt.feedback.accuracy for attempt in archive)
        tried = await ledger.iterate(State(messages, accuracies, archive[-1]))
        if tried is not None:
            archive.append(tried.attempt)
    return ledger.result()


def archive_state(
    *, description: str, archive: Sequence[Attempt], budget: PromptBudget
) -> tuple[Message, ...]:
    """Return the state that shows `archive`, oldest first.

    Where it does not fit the budget the least accurate workflows are left out, of equals the
    oldest. Raises ConfigError where even one is too long.
    """
    kept = list(enumerate(archive))
    while True:
        state = _messages(description, kept, budget)
        tokens = budget.count(state)
        if tokens <= budget.tokens:
            return state
        if len(kept) == 1:
            raise ConfigError(
                f"A state with one workflow takes {tokens} tokens, more than policy.prompt_tokens "
                f"= {budget.tokens}. Raise it, or start from a shorter example."
            )
        kept.remove(min(kept, key=lambda entry: entry[1].feedback.accuracy))


def _messages(
    description: str, kept: Sequence[tuple[int, Attempt]], budget: PromptBudget
) -> tuple[Message, ...]:
    texts = TEXTS[budget.wording]
    entries = [
        f"## Workflow {number + 1}: validation accuracy {attempt.feedback.accuracy:.2f}\n"
        f"```python\n{attempt.code.strip()}\n```"
        for number, attempt in kept
    ]
    parts = [f"# Task\n{description}", "# Archive", *entries, f"{_TASTE} {texts.ask}"]
    return Message("system", texts.system), Message("user", "\n\n".join(parts))
