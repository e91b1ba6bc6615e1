"""The decision process of one benchmark: states, evaluation of actions, rewards, transitions.

Holds no policy: `rollout` and `search` bring policy and environment together, and a notebook can
step it by hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from w4s.benchmarks.base import Benchmark
from w4s.benchmarks.custom import benchmark_label
from w4s.evaluation import Workbench, evaluate, run_problem
from w4s.prompts.state import Attempt, PromptBudget, correction_state, next_state, window_state
from w4s.racing import Entrant, race
from w4s.rewards import RewardRule, reward
from w4s.types import Action, Draw, Failure, FailureKind, Feedback, Message, ValidationSplits

# what a correction can mend; limits and troubles of the endpoint are left to the evaluation
_BROKEN = frozenset(
    {
        FailureKind.NO_WORKFLOW,
        FailureKind.SYNTAX,
        FailureKind.RUNTIME,
        FailureKind.NO_ANSWER,
        FailureKind.FORBIDDEN,
        FailureKind.CRASHED,
        FailureKind.PROTOCOL,
    }
)


@dataclass(frozen=True, slots=True)
class State:
    """What the policy sees, and what rewards are measured against.

    `accuracies` are those of the state's workflows, oldest first; `latest` is the last of them.
    """

    messages: tuple[Message, ...]
    accuracies: tuple[float, ...]
    latest: Attempt


@dataclass(frozen=True, slots=True)
class Step:
    """What a step of the environment returns."""

    feedback: Feedback
    reward: float
    state: State


@dataclass(frozen=True, slots=True)
class Environment:
    """One benchmark as a decision process (paper, section 3)."""

    benchmark: Benchmark
    splits: ValidationSplits
    workbench: Workbench
    budget: PromptBudget
    rule: RewardRule

    async def example(self, code: str, *, seed: int) -> Attempt:
        """Evaluate an example workflow W_0, at an address that all episodes and searches share."""
        label = benchmark_label(self.benchmark.name)
        draw = Draw(seed=seed, stage="example", benchmark=label)
        return Attempt(code, await self._evaluate(code, draw))

    def reset(self, *, example: Attempt, latest: Attempt | None = None) -> State:
        """Return the first state of a window: the example workflow, and the latest if another."""
        attempts = (example,) if latest is None or latest == example else (example, latest)
        messages = window_state(
            description=self.benchmark.description, attempts=attempts, budget=self.budget
        )
        accuracies = tuple(attempt.feedback.accuracy for attempt in attempts)
        return State(messages, accuracies, attempts[-1])

    async def trial(self, action: Action, draw: Draw) -> Failure | None:
        """Run the action's workflow on one public problem; return what a correction should mend.

        The problem is a public one, because its text may show up in the error.
        """
        result = await run_problem(
            action.code,
            self.splits.public[0],
            benchmark=self.benchmark,
            workbench=self.workbench,
            draw=f"{draw.path}/trial",
        )
        failure = result.failure
        return failure if failure is not None and failure.kind in _BROKEN else None

    def correction(self, state: State, *, reply: str, failure: Failure, code: str) -> State:
        """Return `state` with a failed reply and its error behind it."""
        messages = correction_state(
            state.messages, reply=reply, failure=failure, code=code, budget=self.budget
        )
        return State(messages, state.accuracies, state.latest)

    async def evaluate(self, action: Action, draw: Draw) -> Feedback:
        """Run the action's workflow on all private and public validation problems."""
        return await self._evaluate(action.code, draw)

    async def race(self, actions: Sequence[Action], draws: Sequence[Draw]) -> list[Feedback]:
        """Evaluate the actions of a turn as a race: who can no longer win stops early."""
        return await race(
            [Entrant(a.code, draw.path) for a, draw in zip(actions, draws, strict=True)],
            self.splits,
            benchmark=self.benchmark,
            workbench=self.workbench,
        )

    def reward(self, state: State, feedback: Feedback) -> float:
        """Return the reward of `feedback` after the workflows in `state`."""
        return reward(
            self.rule,
            accuracy=feedback.accuracy,
            previous=state.accuracies[-1],
            best=max(state.accuracies),
            violation_rate=feedback.violation_rate,
        )

    def advance(self, state: State, action: Action, feedback: Feedback) -> State:
        """Return the state after `action`: the same messages, then the action and its feedback."""
        messages = next_state(
            state.messages,
            reply=action.text,
            feedback=feedback,
            previous_accuracy=state.accuracies[-1],
            budget=self.budget,
        )
        return replace(self.conclude(state, action, feedback), messages=messages)

    def conclude(self, state: State, action: Action, feedback: Feedback) -> State:
        """Return the state after the last turn of a window: the policy is not asked in it."""
        accuracies = (*state.accuracies, feedback.accuracy)
        return State(state.messages, accuracies, Attempt(action.code, feedback))

    async def step(self, state: State, action: Action, draw: Draw) -> Step:
        """Evaluate `action` in `state`: feedback, reward, next state."""
        feedback = await self.evaluate(action, draw)
        return Step(feedback, self.reward(state, feedback), self.advance(state, action, feedback))

    async def _evaluate(self, code: str, draw: Draw) -> Feedback:
        return await evaluate(
            code,
            self.splits,
            benchmark=self.benchmark,
            workbench=self.workbench,
            draw=draw.path,
        )
