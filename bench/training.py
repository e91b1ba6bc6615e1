"""Time training on trajectories three ways, one after the other, each in a process of its own.

python -m bench.training                      the 135M policy, short states, minutes on two cores
python -m bench.training --full               states of 2,000, actions and feedback of 300 tokens
python -m bench.training --model qwen2.5-7b --dtype bfloat16 --full --state 4000 --trees 4
                                              random weights of that shape, for a GPU

tree      this package: what samples share is read once, the output layer on action tokens only
plain     rows padded to the longest of their batch, as TRL's SFT trainer lays them out; full logits
released  one sample at a time, padded to --max-length, as the released W4S code does; full logits

All ways train the same LoRA with AdamW on the same samples; `released` on the first --few of them.
On a shared machine compare the ratios of processor time.
Utilisation is the model's arithmetic (4 x weights a token, plus attention) over the speed of one
large matrix product on the same device.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any

WAYS = ("tree", "plain", "released")
_ACTIONS = 750  # the paper's: 5 tasks x 15 windows x 2 turns x 5 candidates
_EPOCHS = 4
_FULL = {"state": 2000, "action": 300, "feedback": 300, "max_length": 4096}
_QUICK = {"state": 500, "action": 100, "feedback": 100, "max_length": 2048}


@dataclass(frozen=True)
class Result:
    """One way: what it trained on, seconds, processor seconds, peak memory, utilisation."""

    way: str
    samples: int
    seconds: float
    processor_seconds: float
    peak_mib: float
    tokens: int
    utilisation: float

    @property
    def speed(self) -> float:
        """Samples a second."""
        return self.samples / self.seconds


def main() -> None:
    """Run the ways and print the table."""
    options = _options()
    if options.way:
        print(json.dumps(asdict(_measure(options.way, options))))
        return
    results = {way: _in_process(way) for way in options.ways}
    print(
        f"{options.model}, {options.dtype}: states of {options.state} tokens, actions of "
        f"{options.action}, feedback of {options.feedback}; T = 2, m = 5, {options.trees} trees"
    )
    print(f"{'way':10}{'samples/s':>11}{'ratio':>8}{'cpu ratio':>11}", end="")
    print(f"{'peak MiB':>10}{'tokens':>9}{'use':>7}")
    base = results[options.ways[0]]
    for result in results.values():
        print(
            f"{result.way:10}{result.speed:11.3f}{base.speed / result.speed:8.2f}"
            f"{_processor(result) / _processor(base):11.2f}"
            f"{result.peak_mib:10.0f}{result.tokens:9}{result.utilisation:7.0%}"
        )
    minutes = _ACTIONS * _EPOCHS / base.speed / 60
    print(f"{_ACTIONS} actions, {_EPOCHS} epochs by {base.way}: {minutes:.1f} minutes")


def _processor(result: Result) -> float:
    """Return the processor seconds of one sample: what a busy machine distorts less."""
    return result.processor_seconds / result.samples


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", choices=("embedded", "qwen2.5-7b"), default="embedded")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--full", action="store_true", help="the goal's shape")
    for name in _FULL:
        parser.add_argument(f"--{name.replace('_', '-')}", type=int)
    parser.add_argument("--trees", type=int, default=1)
    parser.add_argument("--rows", type=int, default=2, help="of a batch of the plain way")
    parser.add_argument("--few", type=int, default=2, help="samples of the released way")
    parser.add_argument("--checkpointing", action="store_true")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    for name, value in (_FULL if options.full else _QUICK).items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    return options


def _in_process(way: str) -> Result:
    command = [sys.executable, "-m", "bench.training", *sys.argv[1:], "--way", way]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=os.environ)
    return Result(**json.loads(done.stdout.splitlines()[-1]))


def _measure(way: str, options: argparse.Namespace) -> Result:
    """Train one epoch of the way's batches and time it, an untimed first batch apart."""
    import torch

    from w4s.policy.local_model import resolve_device

    device = resolve_device(options.device)
    low = options.dtype == "bfloat16"
    model, base = _model(options, device, torch.bfloat16 if low else torch.float32)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4)
    batches, samples = _batches(way, options, base.config.vocab_size)
    step = _tree_step if way == "tree" else _full_step
    began, used = 0.0, 0.0
    for turn, batch in enumerate([batches[0], *batches] if device.type == "cuda" else batches):
        if turn == (1 if device.type == "cuda" else 0):  # kernels are chosen in the first one
            began, used = _now(device), time.process_time()
        with torch.autocast(device.type, torch.bfloat16, enabled=low):
            step(base, batch, device).backward()
        optimizer.step()
        optimizer.zero_grad()
    seconds, used = _now(device) - began, time.process_time() - used
    work = sum(_arithmetic(base, batch) for batch in batches)
    use = work / seconds / _matrix_speed(device, torch.bfloat16 if low else torch.float32)
    tokens = sum(batch.tokens.numel() for batch in batches)
    return Result(way, samples, seconds, used, _peak_mib(device), tokens, use)


def _model(options: argparse.Namespace, device: Any, dtype: Any) -> tuple[Any, Any]:
    """Return the model with LoRA, and the model inside that holds the layers."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, Qwen2Config

    from w4s.policy.local_model import load_model
    from w4s.training.attention import TREE_ATTENTION

    if options.model == "embedded":
        base: Any = load_model("embedded", dtype=dtype, device=device)
    else:
        config = Qwen2Config(
            vocab_size=152064,
            hidden_size=3584,
            intermediate_size=18944,
            num_hidden_layers=28,
            num_attention_heads=28,
            num_key_value_heads=4,
            max_position_embeddings=32768,
        )
        with torch.device(device):
            base = AutoModelForCausalLM.from_config(config, dtype=dtype)
    if options.way == "tree":
        base.set_attn_implementation(TREE_ATTENTION)
    if options.checkpointing:
        base.activation_checkpointing_enable({"use_reentrant": False})
        base.enable_input_require_grads()
    model = get_peft_model(base, LoraConfig(r=16, lora_alpha=32, target_modules="all-linear"))
    model.train()
    return model, base


def _batches(way: str, options: argparse.Namespace, vocabulary: int) -> tuple[list[Any], int]:
    from w4s.training.packing import path_batch, tree_batch

    trees = [_tree(options, vocabulary, seed) for seed in range(options.trees)]
    if way == "tree":
        return [tree_batch(tree) for tree in trees], 10 * len(trees)
    samples = [example for tree in trees for example in tree]
    random.Random(0).shuffle(samples)
    if way == "released":
        chosen = samples[: options.few]
        return [path_batch([e], length=options.max_length) for e in chosen], len(chosen)
    rows = [samples[start : start + options.rows] for start in range(0, len(samples), options.rows)]
    return [path_batch(row) for row in rows], len(samples)


def _tree(options: argparse.Namespace, vocabulary: int, seed: int) -> list[Any]:
    """Return the ten examples of one window: two turns with five candidates each."""
    from w4s.training.examples import Example

    draw = random.Random(seed)

    def some(count: int) -> tuple[int, ...]:
        return tuple(draw.randrange(vocabulary) for _ in range(count))

    state, examples = some(options.state), []
    for _ in range(2):
        actions = [some(options.action) for _ in range(5)]
        examples += [Example(state, action, draw.random(), 0.0, str(seed)) for action in actions]
        state = state + actions[0] + some(options.feedback)
    return examples


def _tree_step(base: Any, batch: Any, device: Any) -> Any:
    from w4s.training.loss import ActionLikelihood

    return ActionLikelihood(base)(batch.to(device)).loss / len(batch.targets)


def _full_step(base: Any, batch: Any, device: Any) -> Any:
    """Return the loss as the other trainers compute it: logits of all tokens, mean over them."""
    tokens, mask = batch.tokens.to(device), batch.mask.to(device)
    labels = tokens.masked_fill(~mask, -100)
    return base(input_ids=tokens, attention_mask=mask.long(), labels=labels, use_cache=False).loss


def _arithmetic(base: Any, batch: Any) -> float:
    """Return the model's floating-point operations on a batch, forwards and back, under LoRA."""
    config, count = base.config, batch.tokens.numel()
    weights = sum(p.numel() for n, p in base.named_parameters() if "lora" not in n and p.dim() > 1)
    embeddings = base.get_input_embeddings().weight.numel()
    layers = weights - embeddings * (1 if config.tie_word_embeddings else 2)
    if batch.runs is None:
        rows, width = batch.tokens.shape
        pairs, scored = rows * width * width / 2, count
    else:
        scored = len(batch.sources.unique())
        pairs = sum(
            (r.end - r.start) * (sum(b - a for a, b in r.context) + (r.end - r.start) / 2)
            for r in batch.runs
        )
    attention = 12 * pairs * config.num_hidden_layers * config.hidden_size
    return float(4 * layers * count + 4 * embeddings * scored + attention)


def _matrix_speed(device: Any, dtype: Any) -> float:
    """Return the operations a second of one large matrix product."""
    import torch

    size = 8192 if device.type == "cuda" else 2048
    left, right = torch.randn(2, size, size, device=device, dtype=dtype)
    left @ right
    began, turns = _now(device), 10
    for _ in range(turns):
        left @ right
    return float(2 * size**3 * turns / (_now(device) - began))


def _now(device: Any) -> float:
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def _peak_mib(device: Any) -> float:
    import torch

    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    import w4s.policy  # noqa: F401  # sets how OpenMP waits, before torch is loaded

    main()
