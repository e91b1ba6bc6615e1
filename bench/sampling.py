"""Seconds to sample the candidates of a state: this project's decoding against transformers'.

python -m bench.sampling --candidates 5 --benchmarks chain_sum,lcm

The baseline is `model.generate` with num_return_sequences = m on the same model, state,
temperature and stop: the library's way, a cache for each row. Beside it the shared reading alone,
and with guesses read ahead. Ratios are to the baseline, in tokens a second, since each way draws
tokens of its own.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from transformers import PreTrainedModel, StoppingCriteria

from w4s.benchmarks.registry import get_benchmark
from w4s.benchmarks.splits import make_splits
from w4s.config import load_params
from w4s.policy.local import CODE_ENDS
from w4s.policy.local_chat import end_of_turn_id, prompt_ids
from w4s.policy.local_decoding import DecodingLimits, Prompt, decode
from w4s.policy.local_lookup import Lookup
from w4s.policy.local_model import load_model, load_tokenizer, resolve_device, resolve_dtype
from w4s.policy.warm_start import likely_replies
from w4s.prompts.state import Attempt, PromptBudget, window_state
from w4s.types import CaseStudy, Feedback, Message, Usage
from w4s.workflow import builtin_workflow


@dataclass(frozen=True)
class State:
    """A state to answer: its tokens, and how a row of it ends."""

    ids: list[int]
    candidates: int
    temperature: float
    limits: DecodingLimits


class Ends(StoppingCriteria):
    """The same ends for `generate`: each row by itself."""

    def __init__(self, state: State) -> None:
        self._state = state

    def __call__(self, input_ids: torch.Tensor, *_: object, **__: object) -> torch.Tensor:
        """Return which rows are done, [rows]."""
        start, limits = len(self._state.ids), self._state.limits
        rows = input_ids[:, start:].tolist()
        done = [row[-1] in limits.end_ids or limits.finished(row) for row in rows]
        return torch.tensor(done, device=input_ids.device)


def main() -> None:
    """Time the three ways on each benchmark's first state and print them."""
    options = _options()
    params = load_params(options.params)
    device = resolve_device(params.policy.device)
    dtype = resolve_dtype(params.policy.dtype, device)
    tokenizer = load_tokenizer(params.policy.model)
    model = load_model(params.policy.model, dtype=dtype, device=device, adapter=options.adapter)
    likely = Lookup([tokenizer.encode(text, add_special_tokens=False) for text in likely_replies()])
    ends = frozenset({end_of_turn_id(tokenizer), int(tokenizer.eos_token_id)})

    def finished(ids: list[int]) -> bool:
        if "`" not in tokenizer.decode(ids[-1:]):
            return False
        return CODE_ENDS.search(str(tokenizer.decode(ids))) is not None

    print(f"{dtype}, {torch.get_num_threads()} threads, {options.candidates} candidates")
    for name in options.benchmarks.split(","):
        messages = _state(name, tokens=lambda texts: len(prompt_ids(tokenizer, texts)))
        limits = DecodingLimits(params.policy.action_tokens, ends, finished)
        ids = prompt_ids(tokenizer, messages)
        state = State(ids, options.candidates, params.search.temperature, limits)
        rates = {
            "generate": _rate(partial(_generate, model, state)),
            "shared": _rate(partial(_decode, model, state, None)),
            "shared, guesses of the grammar": _rate(partial(_decode, model, state, likely)),
        }
        for way, (rate, seconds) in rates.items():
            ratio = rate / rates["generate"][0]
            print(
                f"{name:20} {len(ids):5} tokens  {way:32}{seconds:6.1f} s"
                f"{rate:8.0f} tokens/s  {ratio:5.2f} x generate"
            )


def _rate(sample: Callable[[], int]) -> tuple[float, float]:
    sample()  # warm
    start = time.perf_counter()
    tokens = sample()
    seconds = time.perf_counter() - start
    return tokens / seconds, seconds


def _decode(model: PreTrainedModel, state: State, likely: Lookup | None) -> int:
    prompt = Prompt(state.ids, state.candidates, 0)
    (rows,) = decode(
        model, [prompt], temperature=state.temperature, limits=state.limits, likely=likely
    )
    return sum(len(row.ids) for row in rows)


@torch.inference_mode()
def _generate(model: PreTrainedModel, state: State) -> int:
    torch.manual_seed(0)
    out = model.generate(  # type: ignore[operator]
        torch.tensor([state.ids], device=model.device),
        attention_mask=torch.ones(1, len(state.ids), device=model.device),
        do_sample=True,
        temperature=state.temperature,
        top_k=0,
        top_p=1.0,
        num_return_sequences=state.candidates,
        max_new_tokens=state.limits.tokens,
        eos_token_id=sorted(state.limits.end_ids),
        pad_token_id=_padding(model),
        stopping_criteria=[Ends(state)],
    )
    rows = out[:, len(state.ids) :]
    return int((rows != _padding(model)).sum())


def _padding(model: PreTrainedModel) -> int:
    return int(model.config.vocab_size) - 1  # a token that no reply of these has


def _state(name: str, *, tokens: Callable[[Sequence[Message]], int]) -> tuple[Message, ...]:
    benchmark = get_benchmark(name)
    public = make_splits(benchmark, private=10, public=3, test=1, seed=0).public
    cases = tuple(
        CaseStudy(problem.question, "0", problem.answer, correct=False) for problem in public
    )
    feedback = Feedback(0.1, 10, cases, {}, 0.0, Usage())
    return window_state(
        description=benchmark.description,
        attempts=[Attempt(builtin_workflow("chain_of_thought").code, feedback)],
        budget=PromptBudget(1400, tokens, "compact", 600),
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--benchmarks", default="chain_sum,lcm")
    parser.add_argument("--candidates", type=int, default=5)
    parser.add_argument("--adapter", type=Path, default=Path("adapters/warm_start"))
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
