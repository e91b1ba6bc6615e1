"""Train a policy on trajectories, or clone replies: the two ways into this package.

Writes the adapter (or whole model) and, beside it, a line of metrics for each step. Knows
nothing of how trajectories came about, and of tracking.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from accelerate import PartialState  # type: ignore[import-untyped]  # has no stubs

from w4s.config import Objective, PolicyParams, TrainParams, WarmStartParams
from w4s.files import atomic_write_text
from w4s.policy.local_model import adapter_digest, load_tokenizer, model_identity, resolve_device
from w4s.training.checkpoints import fingerprint, remove_checkpoint
from w4s.training.examples import Example, write_examples
from w4s.training.memory import check_memory
from w4s.training.metrics import StepMetrics
from w4s.training.models import load_trainable, save_trained
from w4s.training.samples import Sample, pair_samples, trajectory_samples
from w4s.training.schedule import Settings
from w4s.training.trainer import OnStep, Saving, fit
from w4s.training.weights import effective_sample_size, sample_weights
from w4s.types import Message, Trajectory

CHECKPOINT_SECONDS = 60.0
_WARMUP_RATIO = 0.05
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """What a training made. `sha256` is the adapter's, None for a whole model."""

    out: Path
    metrics: Path
    sha256: str | None
    samples: int
    steps: int
    effective_samples: float
    truncated: int
    seconds: float
    rows: tuple[StepMetrics, ...]
    rewards: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Resources:
    """What both ways of training need: the policy, where to start, where to write, the seed."""

    policy: PolicyParams
    out: Path
    seed: int
    start: Path | None = None
    checkpoint_seconds: float = CHECKPOINT_SECONDS


def train(
    trajectories: Sequence[Trajectory],
    *,
    params: TrainParams,
    objective: Objective,
    resources: Resources,
    min_accuracy: float | None = None,
    held_out: Sequence[tuple[Sequence[Message], str]] = (),
    on_step: OnStep | None = None,
) -> TrainingResult:
    """Train on the trajectories' samples by `objective` (METHOD.md; arXiv 2504.04785, section 3).

    `held_out` states, with replies to them, measure the KL to the starting policy; without them
    training states do.
    A training that was killed goes on from its checkpoint beside `resources.out`.

    Raises TrainingError, WeightsError.
    """
    samples = trajectory_samples(trajectories, objective=objective, min_accuracy=min_accuracy)
    rewards = [sample.reward for sample in samples]
    if objective == "rwr" and len(set(rewards)) == 1:
        _log.warning(
            "all %d samples have the reward %g: the weights do nothing, rwr is sft here",
            len(samples),
            rewards[0],
        )
    weights = sample_weights(rewards, objective=objective, temperature=params.temperature)
    probe = pair_samples(held_out) if held_out else []
    settings = Settings(
        epochs=params.epochs,
        learning_rate=params.learning_rate,
        warmup_ratio=params.warmup_ratio,
        batch_tokens=params.batch_tokens,
        accumulation=params.accumulation,
        lora=params.lora,
        rank=params.rank,
        gradient_checkpointing=params.gradient_checkpointing,
    )
    return _train(samples, weights, probe, settings=settings, resources=resources, on_step=on_step)


def clone(
    pairs: Sequence[tuple[Sequence[Message], str]],
    *,
    params: WarmStartParams,
    resources: Resources,
    on_step: OnStep | None = None,
) -> TrainingResult:
    """Clone behaviour: raise the likelihood of each reply to its messages, all weighted alike.

    Raises TrainingError, WeightsError.
    """
    settings = Settings(
        epochs=params.epochs,
        learning_rate=params.learning_rate,
        warmup_ratio=_WARMUP_RATIO,
        batch_tokens=params.batch_tokens,
        lora=True,
        rank=params.rank,
        gradient_checkpointing=True,  # 2 GB instead of 5 for the embedded policy, a quarter slower
    )
    samples = pair_samples(pairs)
    weights = [1.0] * len(samples)
    return _train(samples, weights, [], settings=settings, resources=resources, on_step=on_step)


def _train(
    samples: Sequence[Sample],
    weights: Sequence[float],
    probe: Sequence[Sample],
    *,
    settings: Settings,
    resources: Resources,
    on_step: OnStep | None,
) -> TrainingResult:
    began = time.monotonic()
    policy, out = resources.policy, resources.out
    # before any weights: under `accelerate launch` it tells each process its own device
    processes = PartialState(cpu=resolve_device(policy.device).type == "cpu")
    check_memory(policy, settings)
    tokenizer = load_tokenizer(policy.model)
    trained = load_trainable(
        policy,
        lora=settings.lora,
        rank=settings.rank,
        start=resources.start,
        checkpointing=settings.gradient_checkpointing,
        seed=resources.seed,
    )
    context = int(trained.base.config.max_position_embeddings)
    examples = write_examples(samples, weights, tokenizer=tokenizer, context=context)
    held_out = write_examples(probe, [1.0] * len(probe), tokenizer=tokenizer, context=context)
    start = model_identity(policy.model, adapter=resources.start)
    # the plan of steps depends on the number of processes, the arithmetic on the number format
    setting = (trained.autocast, processes.num_processes, resources.seed)
    inputs = fingerprint(examples, settings, start, *setting)
    saving = Saving(out.with_name(f".{out.name}.checkpoint"), resources.checkpoint_seconds, inputs)
    rows = fit(
        trained,
        examples,
        settings,
        seed=resources.seed,
        saving=saving,
        probe=held_out,
        on_step=on_step,
    )
    metrics = out.with_name(f"{out.name}.metrics.jsonl")
    if processes.is_main_process:
        save_trained(trained, out, policy=policy, tokenizer=tokenizer)
        atomic_write_text(metrics, "".join(json.dumps(asdict(row)) + "\n" for row in rows))
        remove_checkpoint(saving.path)
    processes.wait_for_everyone()
    return _result(resources, metrics, settings, examples, rows, time.monotonic() - began)


def _result(
    resources: Resources,
    metrics: Path,
    settings: Settings,
    examples: Sequence[Example],
    rows: Sequence[StepMetrics],
    seconds: float,
) -> TrainingResult:
    return TrainingResult(
        out=resources.out,
        metrics=metrics,
        sha256=adapter_digest(resources.out) if settings.lora else None,
        samples=len(examples),
        steps=len(rows),
        effective_samples=effective_sample_size([example.weight for example in examples]),
        truncated=sum(example.truncated for example in examples),
        seconds=seconds,
        rows=tuple(rows),
        rewards=tuple(example.reward for example in examples),
    )
