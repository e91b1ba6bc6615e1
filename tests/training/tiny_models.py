"""Tiny random models of the tested architectures, for tests of training."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from w4s.config import PolicyParams

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


CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def byte_tokenizer(*, template: str | None = CHAT_TEMPLATE) -> PreTrainedTokenizerFast:
    """Return a tokeniser with one token a byte, the two ChatML tokens, and one merge: two newlines.

    Tokens 0 and 1 are <|im_start|> and <|im_end|>.
    """
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {"<|im_start|>": 0, "<|im_end|>": 1}
    vocabulary |= {letter: index + 2 for index, letter in enumerate(letters)}
    vocabulary["ĊĊ"] = len(vocabulary)
    tokenizer = Tokenizer(BPE(vocabulary, [("Ċ", "Ċ")]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|im_start|>", "<|im_end|>"])
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>")
    fast.chat_template = template
    return fast


def tiny_policy(folder: Path, *, name: str = "llama", context: int = 512) -> PolicyParams:
    """Write a tiny random policy with a byte tokeniser to `folder`; return its parameters."""
    tokenizer = byte_tokenizer()
    config_class, model_class = ARCHITECTURES[name]
    shape = _SHAPE | {"vocab_size": len(tokenizer), "max_position_embeddings": context}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = model_class(config_class(**shape, eos_token_id=1, bos_token_id=0, pad_token_id=1))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return PolicyParams(
        model=str(folder), prompt="compact", prompt_tokens=256, action_tokens=32, device="cpu"
    )
