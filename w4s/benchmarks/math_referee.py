r"""Decide whether two mathematical answers are equal, with math-verify in a child process.

In a child, because sympy may need for ever (`9**9**9`), and its time-outs only work in a main
thread; and because parsing an untrusted answer is nothing for the program's own process.

Source of the comparison: https://github.com/huggingface/Math-Verify
"""

from __future__ import annotations

import re

from w4s.benchmarks.answers import announced, boxed, squeezed, unfenced, unwrap
from w4s.benchmarks.child import ANSWER_SECONDS, LineChild
from w4s.benchmarks.plain_math import as_latex
from w4s.types import Score

MAX_CHARACTERS = 4_000
_TEXT = re.compile(r"\\(?:text|mathrm|textbf|mbox)\s*\{([^{}]*)\}")
_DELIMITER = re.compile(r"(?<!\\)\\[\[\]()]")  # not the "\\[2pt]" of a matrix
_ROW_GAP = re.compile(r"\\\\\[\s*-?[\d.]+\s*(?:pt|em|ex|mm|cm)\s*\]")
_FORMULA = re.compile(r"\$[^$]+\$(?=\s+[a-z]{2,})(?!\s+(?:and|or)\b)")
_ASSIGNED = re.compile(r"^[A-Za-z]\s*=\s*(?!.*=)", re.DOTALL)
_FULL_STOP = re.compile(r"(?<=[\w)}\]])\.$")
_WORD = re.compile(r"(?<!\\)\b[^\W\d_]{3,}")
_ENVIRONMENT = re.compile(r"\\(?:begin|end)\{\w+\}")
_UNIT_AT_END = re.compile(r"(?<=[\d})])\s+[A-Za-z]{3,}(?:\s[A-Za-z]{3,})?$")
_OR = re.compile(r"(?<!\{)\s+(?:and|or)\s+(?!\})")
_SPACING = re.compile(r"\\[,;! ]|\s|\\left|\\right|\$|\{\}")


class MathReferee:
    """Compares answers, one at a time, in a child that is started when first needed."""

    def __init__(self, *, answer_seconds: float = ANSWER_SECONDS) -> None:
        self._child = LineChild("w4s.benchmarks.math_child", answer_seconds=answer_seconds)

    def score(self, reference: str, answer: str) -> Score:
        r"""Judge an answer: its last `\boxed{}`, else what "the answer is" announces. Blocks."""
        answer = squeezed(answer)
        inner = boxed(answer)
        part = inner if inner is not None else _first_formula(announced(answer))
        whole = _bare(answer if part is None else part, reference)
        for text in (whole, _without_words(whole)):
            if _plain(text) == _plain(reference):
                return Score(1.0, text, "the same text as the reference")
        if len(text) > MAX_CHARACTERS:
            text = text[-MAX_CHARACTERS:]
        given = text if inner is None else f"${text}$"
        reply = self._child.ask({"reference": reference, "answer": given})
        latex = as_latex(text)
        if not reply.get("equal") and latex != text:
            again = self._child.ask({"reference": reference, "answer": f"${latex}$"})
            reply = again if again.get("equal") else reply
        if "error" in reply:
            return Score(0.0, text, f"math-verify gave up: {reply['error']}")
        if reply["parsed"] is None:
            return Score(0.0, None, f"no mathematical expression in {text[-80:]!r}")
        if reply["equal"]:
            return Score(1.0, reply["parsed"], f"equal to {reference}")
        return Score(0.0, reply["parsed"], f"{reply['parsed']} is not {reference}")

    def close(self) -> None:
        """End the child, if any; it starts again when needed."""
        self._child.close()


def _first_formula(said: str | None) -> str | None:
    """Return "$5$" of "$5$ because $x=3$": what is announced is what begins there."""
    formula = _FORMULA.match(said or "")
    return formula.group() if formula and "$" in formula.string[formula.end() :] else said


def _bare(text: str, reference: str) -> str:
    r"""Take off what is no part of the expression: `\[…\]`, bold, dollars, a leading "x ="."""
    text = _DELIMITER.sub("$", _ROW_GAP.sub(r"\\\\ ", text)).replace("$$", "$")
    text = _FULL_STOP.sub("", unwrap(unfenced(text).strip()))
    return text if "=" in reference else _ASSIGNED.sub("", text)


def _without_words(text: str) -> str:
    """Return "1, -2" for "1 and -2", "3x" for "3x units"; a text with other words as it is."""
    shorter = _UNIT_AT_END.sub("", _OR.sub(", ", text))
    return text if _WORD.search(_ENVIRONMENT.sub("", shorter)) else shorter


def _plain(text: str) -> str:
    return _SPACING.sub("", _TEXT.sub(r"\1", text)).removesuffix(".")
