"""Tiny random models of the tested architectures, for tests of training."""

from __future__ import annotations

import torch
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

VOCABULARY = 97
_SHAPE = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
}
ARCHITECTURES = {
    "llama": (LlamaConfig, LlamaForCausalLM),
    "qwen2": (Qwen2Config, Qwen2ForCausalLM),
    "qwen3": (Qwen3Config, Qwen3ForCausalLM),
}


def tiny_model(name: str, *, seed: int = 0, tied: bool = False) -> PreTrainedModel:
    """Return a random model with large enough weights that a wrong mask shows."""
    config_class, model_class = ARCHITECTURES[name]
    extra = {"head_dim": 8} if name == "qwen3" else {}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = model_class(config_class(**_SHAPE, **extra, tie_word_embeddings=tied))
        for parameter in model.parameters():
            if parameter.dim() > 1:
                torch.nn.init.normal_(parameter, std=0.2)
    return model
