"""The training loop: AdamW with a cosine schedule over planned steps, resumable bit for bit.

Runs on one process or, by `accelerate launch`, on several. Knows neither trajectories nor files
of policies.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator  # type: ignore[import-untyped]  # has no stubs
from accelerate.utils import gather_object  # type: ignore[import-untyped]
from transformers import get_scheduler

from w4s.heap import return_freed_memory
from w4s.training.checkpoints import read_checkpoint, save_checkpoint
from w4s.training.examples import Example
from w4s.training.loss import ActionLikelihood, example_sums
from w4s.training.metrics import Scored, StepMetrics, batch_figures
from w4s.training.models import Trainable
from w4s.training.packing import Batch, path_batch, tree_batch
from w4s.training.probe import KlProbe
from w4s.training.schedule import Settings, Step, plan_steps

GRADIENT_CLIP = 1.0
OnStep = Callable[[StepMetrics, int], None]
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Saving:
    """Where the checkpoint lies, how often it is written, and the digest of the inputs."""

    path: Path
    seconds: float
    inputs: str


def fit(
    trained: Trainable,
    examples: Sequence[Example],
    settings: Settings,
    *,
    seed: int,
    saving: Saving,
    probe: Sequence[Example] = (),
    on_step: OnStep | None = None,
) -> list[StepMetrics]:
    """Train in place; return the metrics of all steps, those before a resumption included.

    `on_step` gets each new step's metrics and the number of steps.
    """
    device = trained.base.device
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)  # for models with dropout
        loop = _Loop(trained, examples, settings, seed, probe)
        loop.restore(read_checkpoint(saving.path, inputs=saving.inputs))
        saved = time.monotonic()
        while loop.done < len(loop.steps):
            metrics = loop.step()
            if loop.main and time.monotonic() - saved >= saving.seconds:
                save_checkpoint(saving.path, loop.state(saving.inputs))
                saved = time.monotonic()
            if loop.main and on_step is not None:
                on_step(metrics, len(loop.steps))
    return loop.rows


@dataclass(frozen=True, slots=True)
class _Part:
    """One batch of a step, by its place: its examples' log-likelihoods and its size."""

    place: int
    sums: list[float]
    tokens: int


class _Loop:
    """The state of a training: weights, optimiser, schedule and the place in the plan."""

    def __init__(
        self,
        trained: Trainable,
        examples: Sequence[Example],
        settings: Settings,
        seed: int,
        probe: Sequence[Example],
    ) -> None:
        self.trained = trained
        self.accelerator = Accelerator(cpu=trained.base.device.type == "cpu")
        self.steps = plan_steps(
            examples,
            settings,
            seed=seed,
            processes=self.accelerator.num_processes,
            share=trained.on_trees,
        )
        self.mean_reward = sum(example.reward for example in examples) / len(examples)
        self.probe = KlProbe(
            trained.base, probe or examples, trees=trained.on_trees, autocast=trained.autocast
        )
        optimizer = torch.optim.AdamW(
            trained.parameters.values(), lr=settings.learning_rate, weight_decay=0.0
        )
        # begun at its second value: the first is a rate of nought, a step wasted
        for group in optimizer.param_groups:
            group["initial_lr"] = settings.learning_rate
        self.schedule = get_scheduler(
            "cosine",
            optimizer,
            num_warmup_steps=round(settings.warmup_ratio * len(self.steps)),
            num_training_steps=len(self.steps) + 1,
            scheduler_specific_kwargs={"last_epoch": 0},
        )
        scorer = ActionLikelihood(trained.base, plain_head=trained.on_trees)
        self.scorer, self.optimizer = self.accelerator.prepare(scorer, optimizer)
        self.done = 0
        self.rows: list[StepMetrics] = []

    @property
    def main(self) -> bool:
        """Whether this process writes files and reports."""
        return bool(self.accelerator.is_main_process)

    def step(self) -> StepMetrics:
        """Take the next optimiser step."""
        began = time.monotonic()
        step = self.steps[self.done]
        parts = self._accumulate(step)
        norm = self.accelerator.clip_grad_norm_(self.trained.parameters.values(), GRADIENT_CLIP)
        rate = self.schedule.get_last_lr()[0]
        self.optimizer.step()
        self.schedule.step()
        self.optimizer.zero_grad()
        return_freed_memory()
        self.done += 1
        metrics = self._metrics(step, parts, rate=rate, norm=float(norm), began=began)
        self.rows.append(metrics)
        return metrics

    def _accumulate(self, step: Step) -> list[_Part]:
        """Run this process's batches backwards; return what all processes' batches gave."""
        processes, rank = self.accelerator.num_processes, self.accelerator.process_index
        count = -(-len(step.batches) // processes)
        parts: list[_Part] = []
        for turn in range(count):
            place = turn * processes + rank
            idle = place >= len(step.batches)  # the last step may not have a batch for everyone
            batch = self._batch(step.batches[0 if idle else place])
            scale = 0.0 if idle else processes / step.action_tokens
            last = turn + 1 == count
            with nullcontext() if last else self.accelerator.no_sync(self.scorer):
                with torch.autocast(
                    batch.tokens.device.type, torch.bfloat16, enabled=self.trained.autocast
                ):
                    out = self.scorer(batch)
                self.accelerator.backward(out.loss * scale)
            if not idle:
                sums = example_sums(batch, out.entries)
                parts.append(_Part(place, sums, batch.tokens.numel()))
        if processes > 1:
            parts = sorted(gather_object(parts), key=lambda part: part.place)
        return parts

    def _batch(self, examples: Sequence[Example]) -> Batch:
        lay_out = tree_batch if self.trained.on_trees else path_batch
        return lay_out(examples).to(self.accelerator.device)

    def _metrics(
        self,
        step: Step,
        parts: Sequence[_Part],
        *,
        rate: float,
        norm: float,
        began: float,
    ) -> StepMetrics:
        scored = [
            Scored(example, log_likelihood)
            for part in parts
            for example, log_likelihood in zip(step.batches[part.place], part.sums, strict=True)
        ]
        tokens = sum(len(item.example.action) for item in scored)
        weighted = sum(item.example.weight * item.log_likelihood for item in scored)
        seconds = time.monotonic() - began
        figures: dict[str, Any] = batch_figures(scored, mean_reward=self.mean_reward)
        metrics = StepMetrics(
            step=self.done,
            epoch=step.epoch,
            loss=-weighted / tokens,
            learning_rate=rate,
            gradient_norm=norm,
            samples=len(scored),
            action_tokens=tokens,
            packed_tokens=sum(part.tokens for part in parts),
            seconds=seconds,
            tokens_per_second=sum(len(item.example.path) for item in scored) / seconds,
            **figures,
        )
        ends_epoch = self.done == len(self.steps) or self.steps[self.done].epoch != step.epoch
        return replace(metrics, kl=self.probe.measure(self.trained.base)) if ends_epoch else metrics

    def state(self, inputs: str) -> dict[str, Any]:
        """Return everything that the next step depends on."""
        device = self.trained.base.device
        return {
            "inputs": inputs,
            "done": self.done,
            "weights": {n: p.detach() for n, p in self.trained.parameters.items()},
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "rng": torch.get_rng_state(),
            "cuda_rng": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
            "rows": [asdict(row) for row in self.rows],
        }

    def restore(self, state: dict[str, Any] | None) -> None:
        """Go on from a saved state, where there is one."""
        if state is None:
            return
        with torch.no_grad():
            for name, parameter in self.trained.parameters.items():
                parameter.copy_(state["weights"][name])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        torch.set_rng_state(state["rng"])
        if state["cuda_rng"] is not None:
            torch.cuda.set_rng_state(state["cuda_rng"], self.trained.base.device)
        self.done = state["done"]
        self.rows = [StepMetrics(**row) for row in state["rows"]]
        _log.info("training goes on after step %d of %d", self.done, len(self.steps))
