"""The experiments: which variants of the parameters each runs, and what it compares."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from w4s.config import Params
from w4s.errors import ConfigError
from w4s.small_model import SMALL_MODEL_ALONE

BASELINES = (
    "direct",
    "chain_of_thought",
    "self_consistency",
    "self_refine",
    "debate",
    "step_back",
    "quality_diversity",
    "role_assignment",
    "code_generation",
    SMALL_MODEL_ALONE,
)
BEST_EXAMPLE = "best_example"
# searches by the name of their policy: of those that are there the first is what others are
# compared with
TRAINED_FIRST = ("rwr", "sft", "sft_best", "endpoint", "warm_start", "untrained")
_FEEDBACK_TOKENS = 200  # of one more turn in a state, besides the action
Changes = Mapping[str, Mapping[str, Any]]
Shape = Literal["methods", "curve", "cost", "turns", "transfer"]


@dataclass(frozen=True, slots=True)
class Variant:
    """The parameters with some changes; the label is empty where there is one variant alone."""

    label: str
    changes: Changes = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Experiment:
    """One experiment: the question that it answers, what it runs, how its table is made.

    A method is compared with the first of `references` that is there, in the same variant; without
    references with itself in the variant `reference_variant` names. `unseen_only`: searches and
    tests leave out the benchmarks of the training. `first_candidates`: policies are compared by
    those too.
    """

    name: str
    question: str
    variants: Callable[[Params], tuple[Variant, ...]]
    shape: Shape = "methods"
    references: tuple[str, ...] = TRAINED_FIRST
    reference_variant: Callable[[Params], str] = lambda _: ""
    unseen_only: bool = False
    first_candidates: bool = False


def vary(params: Params, changes: Changes) -> Params:
    """Return `params` with the values of some sections changed, checked anew."""
    values = params.model_dump()
    for section, change in changes.items():
        values[section] = {**values[section], **change}
    return Params.model_validate(values)


def get_experiment(name: str) -> Experiment:
    """Return an experiment. Raises ConfigError, with the known names, for another."""
    if name not in EXPERIMENTS:
        close = difflib.get_close_matches(name, EXPERIMENTS, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ConfigError(f"unknown experiment {name!r}.{hint} Known: {', '.join(EXPERIMENTS)}.")
    return EXPERIMENTS[name]


def check_experiment(experiment: Experiment, params: Params) -> None:
    """Raise ConfigError where `params` leave the experiment nothing to compare."""
    if experiment.unseen_only and not params.benchmarks.unseen:
        raise ConfigError(
            f"experiment {experiment.name}: benchmarks.unseen is empty. Name benchmarks that the "
            "training does not see."
        )
    if experiment.name == "rlao-vs-sft" and params.policy.base_url is not None:
        raise ConfigError(
            f"experiment {experiment.name}: policy.base_url is set, and a policy behind an "
            "endpoint cannot be trained from here. Name a local model in policy.model."
        )
    for variant in experiment.variants(params):
        vary(params, variant.changes)


def _everything(_: Params) -> tuple[Variant, ...]:
    changes: Changes = {
        "search": {"rivals": ("random", "adas", "aflow")},
        "evaluate": {"baselines": BASELINES},
    }
    return (Variant("", changes),)


def _as_they_are(_: Params) -> tuple[Variant, ...]:
    return (Variant("", {"search": {"rivals": ()}}),)


def _objectives(_: Params) -> tuple[Variant, ...]:
    changes: Changes = {
        "train": {"objectives": ("rwr", "sft")},
        "search": {"rivals": ()},
        "evaluate": {"baselines": ()},
    }
    return (Variant("", changes),)


def _seeds(params: Params) -> tuple[Variant, ...]:
    changes: Changes = {
        "search": {"seeds": params.experiments.seeds, "rivals": ("random",)},
        "evaluate": {"baselines": ()},
    }
    return (Variant("", changes),)


def turns_label(turns: int) -> str:
    """Return the label of the variant with windows of `turns`."""
    return f"T = {turns}"


def _turns(params: Params) -> tuple[Variant, ...]:
    return tuple(
        Variant(turns_label(turns), _window_of(turns, params)) for turns in params.experiments.turns
    )


def _window_of(turns: int, params: Params) -> Changes:
    """Keep the turns of collection about as many; give longer windows room for their turns."""
    collect, policy = params.collect, params.policy
    played = collect.windows * collect.turns
    windows = max(1, round(played / turns))
    more = max(0, turns - params.search.turns) * (policy.action_tokens + _FEEDBACK_TOKENS)
    return {
        "collect": {
            "turns": turns,
            "windows": windows,
            "episodes": max(1, round(collect.episodes * played / (windows * turns))),
        },
        "search": {"turns": turns, "rivals": ()},
        "policy": {"prompt_tokens": policy.prompt_tokens + more},
        "evaluate": {"baselines": ()},
    }


EXPERIMENTS: Mapping[str, Experiment] = {
    experiment.name: experiment
    for experiment in (
        Experiment(
            "main-table",
            "How good is every method on every benchmark, seen in training or not?",
            _everything,
        ),
        Experiment(
            "unseen",
            "Does a policy trained on some benchmarks design better workflows for others?",
            _as_they_are,
            unseen_only=True,
            first_candidates=True,
        ),
        Experiment(
            "rlao-vs-sft",
            "Do rewards as weights teach more than equal weights on the same samples?",
            _objectives,
            first_candidates=True,
        ),
        Experiment(
            "transfer",
            "What are workflows worth with other executors, and on other benchmarks?",
            _as_they_are,
            shape="transfer",
            references=("chain_of_thought",),
        ),
        Experiment(
            "learning-curve",
            "How does accuracy grow with the iterations of a search, over several seeds?",
            _seeds,
            shape="curve",
        ),
        Experiment(
            "turns",
            "How long should a window of turns be, in training and in search?",
            _turns,
            shape="turns",
            references=(),
            reference_variant=lambda params: turns_label(params.search.turns),
        ),
        Experiment(
            "cost",
            "What does accuracy cost, in calls, tokens and money, of a search and of an answer?",
            _everything,
            shape="cost",
        ),
    )
}
