"""Refuse answers that one of reasoning-gym's verifiers would run as code.

Some verifiers call `eval` or sympy's `parse_expr` (which evaluates Python) on the answer, and
an answer comes from generated code. Only plain literals or plain formulas reach those.
"""

from __future__ import annotations

import ast
import re

MAX_CHARACTERS = 20_000
MAX_FORMULA_CHARACTERS = 400
LITERAL_ANSWERS = frozenset({"string_insertion", "spiral_matrix", "binary_matrix", "n_queens"})
ARITHMETIC_ANSWERS = frozenset({"puzzle24", "countdown"})
FORMULA_ANSWERS = frozenset(
    {"simple_integration", "intermediate_integration", "polynomial_multiplication"}
)
_ARITHMETIC = re.compile(r"[\d\s+\-*/().]*")
_FORMULA = re.compile(r"[\w\s+\-*/().]*")
_WORDS = re.compile(r"[^\W\d]\w*")
_TRIGONOMETRY = ["sin", "cos", "tan", "sec", "csc", "cot", "asin", "acos", "atan"]
_FUNCTIONS = frozenset(["exp", "log", "ln", "sqrt", "sinh", "cosh", "tanh", "pi", *_TRIGONOMETRY])
# a power of anything but one small whole number could take for ever to multiply out
_POWER = re.compile(
    r"\*\*(?!\s*(?:\d{1,2}|\(\s*-?\d{1,2}(?:\s*/\s*\d{1,2})?\s*\)|\(?-?\w\)?)(?![\w.]|\s*\*\*))"
)
_ATTRIBUTE = re.compile(r"\.\s*[^\W\d]|[\w)]\s*\.\s*\(")


def unsafe_reason(dataset: str, answer: str) -> str | None:
    """Return why the answer must not reach the verifier of `dataset`, or None."""
    if len(answer) > MAX_CHARACTERS:
        return f"longer than {MAX_CHARACTERS} characters"
    if dataset in LITERAL_ANSWERS and not _is_harmless_literal(answer):
        return "not a plain text or list: this verifier evaluates it"
    if dataset in ARITHMETIC_ANSWERS and not _is_arithmetic(answer):
        return "not plain arithmetic: this verifier evaluates it"
    if dataset in FORMULA_ANSWERS and not _is_formula(answer):
        return "not a plain formula: this verifier evaluates it"
    return None


def _is_harmless_literal(answer: str) -> bool:
    """Whether `eval` of it yields a literal or fails at once on a name or on syntax."""
    try:
        ast.literal_eval(answer)
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        # plain text such as "1 2 3" or "ABCD" is compared as it is
        return re.fullmatch(r"[\w\s,.Q-]*", answer) is not None and "__" not in answer
    return True


def _is_arithmetic(answer: str) -> bool:
    short = len(answer) <= MAX_FORMULA_CHARACTERS
    return short and _ARITHMETIC.fullmatch(answer) is not None and "**" not in answer


def _is_formula(answer: str) -> bool:
    if len(answer) > MAX_FORMULA_CHARACTERS or _FORMULA.fullmatch(answer) is None:
        return False
    words = {word for word in _WORDS.findall(answer) if len(word) > 1}
    if not words <= _FUNCTIONS or _ATTRIBUTE.search(answer):
        return False
    return _POWER.search(answer) is None
