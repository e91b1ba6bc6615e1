"""Training on a tree is training on its paths."""

from __future__ import annotations

import copy
import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import LoraConfig, get_peft_model

from tests.training.tiny_models import ARCHITECTURES, VOCABULARY, tiny_model
from w4s.training.attention import TREE_ATTENTION
from w4s.training.examples import Example
from w4s.training.loss import ActionLikelihood
from w4s.training.packing import Batch, path_batch, plan_batches, tree_batch


def random_examples(seed: int, *, turns: int, width: int, trees: int = 1) -> list[Example]:
    """Return the examples of random windows: each turn's state extends a branch of the last."""
    draw = random.Random(seed)

    def some(low: int, high: int) -> tuple[int, ...]:
        return tuple(draw.randrange(VOCABULARY) for _ in range(draw.randint(low, high)))

    examples = []
    for tree in range(trees):
        state = some(1, 40)
        for _ in range(turns):
            actions = [some(1, 30) for _ in range(width)]
            examples += [Example(state, a, draw.random() * 4, 0.0, str(tree)) for a in actions]
            state = state + draw.choice(actions) + some(0, 20)
    return examples


def random_forest(seed: int) -> list[Example]:
    """Return examples of trees of any depth: actions repeated, one within another, of one token,
    states of one token, turns without feedback, weights of nought and far apart."""
    draw = random.Random(seed)
    examples: list[Example] = []

    def some(low: int, high: int) -> tuple[int, ...]:
        return tuple(draw.randrange(VOCABULARY) for _ in range(draw.randint(low, high)))

    def grow(state: tuple[int, ...], depth: int, tree: str) -> None:
        actions = [some(1, draw.choice([1, 40])) for _ in range(draw.randint(1, 3))]
        first = actions[0]
        actions += draw.sample([first, first[: len(first) // 2 + 1], first + some(1, 5)], 1)
        weights = [draw.choice([0.0, 1e-30, 1.0, 40.0]) for _ in actions]
        examples.extend(
            Example(state, *pair, 0.0, tree) for pair in zip(actions, weights, strict=True)
        )
        if depth:
            for action in draw.sample(actions, draw.randint(1, 2)):
                grow(state + action + some(0, draw.choice([0, 20])), depth - 1, tree)

    for tree in range(draw.randint(1, 3)):
        grow(some(1, draw.choice([1, 60])), draw.randint(0, 3), str(tree))
    return [*examples, Example(some(1, 1), some(1, 1), 1.0, 0.0, "last")]


def gradients(model: torch.nn.Module, batches: list[Batch]) -> dict[str, torch.Tensor]:
    model.zero_grad()
    inner = model.get_base_model() if hasattr(model, "peft_config") else model
    scorer = ActionLikelihood(inner)
    for batch in batches:
        scorer(batch).loss.backward()
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


def relative_error(found: dict[str, torch.Tensor], due: dict[str, torch.Tensor]) -> float:
    assert found.keys() == due.keys()
    difference = sum(float((found[n] - due[n]).square().sum()) for n in due) ** 0.5
    return difference / sum(float(g.square().sum()) for g in due.values()) ** 0.5


def with_lora(model: torch.nn.Module) -> torch.nn.Module:
    torch.manual_seed(0)
    wrapped = get_peft_model(model, LoraConfig(r=4, target_modules="all-linear"))
    for name, parameter in wrapped.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    return wrapped


def naive_gradients(model: torch.nn.Module, examples: list[Example]) -> dict[str, torch.Tensor]:
    """Gradients of one path at a time, by transformers' own attention and full logits."""
    model.zero_grad()
    for example in examples:
        logits = model(torch.tensor([example.path])).logits[0]
        start = len(example.prompt) - 1
        scores = torch.log_softmax(logits[start:-1], -1)
        picked = scores[torch.arange(len(example.action)), torch.tensor(example.action)]
        (-example.weight * picked.sum()).backward()
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("lora", [False, True], ids=["full", "lora"])
@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
@given(seed=st.integers(0, 10**6), turns=st.integers(1, 3), width=st.integers(1, 5))
@settings(max_examples=8, deadline=None)
def test_tree_gives_the_gradient_of_its_paths(
    name: str, lora: bool, seed: int, turns: int, width: int
) -> None:
    """The relative error against naive paths is at most 1e-4 in single precision."""
    examples = random_examples(seed, turns=turns, width=width, trees=1 + seed % 2)
    model = tiny_model(name, seed=seed % 3, tied=seed % 2 == 1)
    model = with_lora(model) if lora else model
    due = naive_gradients(model, examples)
    inner = model.get_base_model() if lora else model
    inner.set_attn_implementation(TREE_ATTENTION)
    assert relative_error(gradients(model, [tree_batch(examples)]), due) <= 1e-4


@pytest.mark.parametrize("name", ["llama", "qwen2"])
@given(seed=st.integers(0, 10**6), budget=st.sampled_from([1, 40, 150, 10**6]))
@settings(max_examples=8, deadline=None)
def test_any_trees_in_batches_of_any_budget_give_the_gradient_of_their_paths(
    name: str, seed: int, budget: int
) -> None:
    """Trees that are cut to the budget too; the sum over the batches is the naive gradient."""
    examples = random_forest(seed)
    model = tiny_model(name, seed=seed % 3)
    due = naive_gradients(model, examples)
    model.set_attn_implementation(TREE_ATTENTION)
    planned = plan_batches(examples, budget=budget, seed=seed)
    assert relative_error(gradients(model, [tree_batch(some) for some in planned]), due) <= 1e-4


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_padded_paths_give_the_gradient_of_single_ones(name: str) -> None:
    """Padding bears no loss and is attended to by nothing."""
    examples = random_examples(3, turns=2, width=3)
    model = tiny_model(name)
    due = naive_gradients(model, examples)
    assert relative_error(gradients(model, [path_batch(examples, length=120)]), due) <= 1e-4


def test_checkpointed_tree_gives_the_same_gradient() -> None:
    """Gradient checkpointing carries the tree's layout through its second pass."""
    examples = random_examples(5, turns=2, width=4)
    model = tiny_model("llama")
    due = naive_gradients(model, examples)
    model.set_attn_implementation(TREE_ATTENTION)
    model.gradient_checkpointing_enable({"use_reentrant": False})
    model.train()
    assert relative_error(gradients(model, [tree_batch(examples)]), due) <= 1e-4


def test_plain_forward_of_other_models_scores_alike() -> None:
    """The way for unknown architectures gives the likelihoods of the chunked one."""
    examples = random_examples(7, turns=2, width=2)
    model = tiny_model("qwen2")
    batch = path_batch(examples)
    one = ActionLikelihood(copy.deepcopy(model), plain_head=False)(batch)
    two = ActionLikelihood(model)(batch)
    torch.testing.assert_close(one.entries, two.entries)
    torch.testing.assert_close(one.loss, two.loss)
