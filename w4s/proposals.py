"""From a state to actions that run: sampling, parsing, and self-correction.

Evaluates nothing beyond the one trial problem.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from w4s.concurrency import gather
from w4s.environment import Environment, State
from w4s.parsing import last_code, parse_action
from w4s.policy.base import Policy
from w4s.seeds import derive_seed
from w4s.types import Action, Draw, Failure


@dataclass(frozen=True, slots=True)
class Proposal:
    """An action that passed its trial, or None; with the failures of all attempts before."""

    action: Action | None
    failures: tuple[Failure, ...]


@dataclass(frozen=True, slots=True)
class SamplingRule:
    """How the policy is asked: temperature, and how often a failed reply may be corrected."""

    temperature: float
    corrections: int


@dataclass(frozen=True, slots=True)
class Proposer:
    """A policy in an environment: proposes actions and corrects the ones that fail."""

    policy: Policy
    environment: Environment
    rule: SamplingRule

    async def propose(self, state: State, *, count: int, draw: Draw) -> list[Proposal]:
        """Return `count` proposals in `state`.

        `draw` addresses the turn; candidate i is addressed by `replace(draw, candidate=i)`.
        """
        replies = await self.policy.sample(
            state.messages,
            n=count,
            temperature=self.rule.temperature,
            seed=derive_seed(draw.path, "action"),
        )
        return await gather(
            self._settle(state, reply.text, replace(draw, candidate=index))
            for index, reply in enumerate(replies)
        )

    async def _settle(self, state: State, reply: str, draw: Draw) -> Proposal:
        failures: tuple[Failure, ...] = ()
        while True:
            outcome = await self._try(reply, draw)
            if isinstance(outcome, Action):
                return Proposal(outcome, failures)
            failures = (*failures, outcome)
            if len(failures) > self.rule.corrections:
                return Proposal(None, failures)
            reply = await self._correct(state, reply, outcome, draw, len(failures))

    async def _try(self, reply: str, draw: Draw) -> Action | Failure:
        parsed = parse_action(reply)
        if isinstance(parsed, Failure):
            return parsed
        return await self.environment.trial(parsed, draw) or parsed

    async def _correct(
        self, state: State, reply: str, failure: Failure, draw: Draw, attempt: int
    ) -> str:
        corrected = self.environment.correction(
            state, reply=reply, failure=failure, code=last_code(reply)
        )
        replies = await self.policy.sample(
            corrected.messages,
            n=1,
            temperature=self.rule.temperature,
            seed=derive_seed(draw.path, "correction", attempt),
        )
        return replies[0].text
