"""Find the numbers, texts and arithmetic that a question holds.

Reads text only: arithmetic is computed from its syntax tree, no code is ever run.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable

Number = int | float

_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?![\w]|\.\d)")
_QUOTED = re.compile(r'"([^"]+)"')
_WORD = re.compile(r"[A-Za-z]+")
_ARITHMETIC = re.compile(r"[-(\d][-+*/%().\d ]*[\d)]")
_OPERATORS: dict[type[ast.operator], Callable[[Number, Number], Number]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def numbers(question: str) -> list[Number]:
    """Return the numbers of `question` in order."""
    found = [match.group() for match in _NUMBER.finditer(question)]
    return [float(text) if "." in text else int(text) for text in found]


def quoted(question: str) -> list[str]:
    """Return the texts in double quotes, in order."""
    return _QUOTED.findall(question)


def last_word(question: str) -> str | None:
    """Return the last word of letters, or None."""
    words = _WORD.findall(question)
    return words[-1] if words else None


def arithmetic(question: str) -> str | None:
    """Return the longest piece of arithmetic with an operator, as written, or None."""
    pieces = sorted((m.group() for m in _ARITHMETIC.finditer(question)), key=len, reverse=True)
    return next((piece for piece in pieces if calculate(piece) is not None), None)


def calculate(expression: str) -> Number | None:
    """Return the value of arithmetic with at least one of + - * /, or None where it is none."""
    try:
        tree = ast.parse(expression, mode="eval").body
        operators = any(isinstance(node, ast.BinOp) for node in ast.walk(tree))
        return _value(tree) if operators else None
    except (SyntaxError, ValueError, ZeroDivisionError, OverflowError, RecursionError):
        return None


def _value(node: ast.expr) -> Number:
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        value = node.value
        assert isinstance(value, (int, float))  # what the line above said, for the type checker
        return value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_value(node.operand)
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        return _OPERATORS[type(node.op)](_value(node.left), _value(node.right))
    raise ValueError("not arithmetic")
