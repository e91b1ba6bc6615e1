"""Scorers of texts, numbers, choices and JSON: a reference and an answer in, a verdict out.

Pure functions. What needs a process of its own (mathematics, unit tests) or a model (a judge)
has its own module.
"""

from __future__ import annotations

import json
import re
import string
import unicodedata
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from fractions import Fraction
from itertools import islice
from typing import Any

from w4s.benchmarks.answers import announced, boxed, squeezed, unwrap_words
from w4s.benchmarks.numbers import exact_number, final_number
from w4s.types import Score

_ARTICLE = re.compile(r"\b(?:a|an|the)\b")
_FENCE = re.compile(r"```[A-Za-z]*\s*\n(.*?)```", re.DOTALL)
_MOST_BRACKETS = 200
_LETTER = "A-Z"
_ALONE = re.compile(rf"\(?([{_LETTER}])\)?[.):]?")
# a small one where its text is the whole answer: lists of steps begin with "a)" too, and so do
# words about several options
_LABELLED = re.compile(
    rf"(?:\(([{_LETTER}])\)|([{_LETTER}])[.):])\s|([{_LETTER}]),?\s+(?i:because|since)\b"
    r"|\(?([a-z])\)\s(?!(?i:is|are|was|think|guess|would)\b)(?!.*(?:\b[a-z]\)|\b[B-HJ-Z]\b))(?=.*\Z)"
)
_NOUN, _IS = r"(?i:answer|option|choice)\s*", r"(?i:is|:|=)"
_THEN = r"\s*(?i:option|choice)?\s*:?[\s*_\"'`\[]*"
# a small letter counts where it cannot be the article: in brackets, or at the end of a line
_SMALL = r"(?:\(([a-z])\)|([a-z])(?:\)\s|\)?[.*\s]*$))"
_SAID = (
    re.compile(rf"(?:{_NOUN}{_IS}|(?i:choose|pick|select)){_THEN}\(?([{_LETTER}])(?![A-Za-z0-9])"),
    re.compile(rf"{_NOUN}{_IS}{_THEN}{_SMALL}", re.MULTILINE),
)
# weaker: "C is correct", then "option C" without a verb, which may be said of a wrong one too
_CALLED_RIGHT = re.compile(
    rf"(?<!\w)\(?([{_LETTER}])\)?[.):]?\**\s+is\s+(?:the\s+)?(?i:correct|right|best)\b"
)
_NAMED = (
    re.compile(rf"{_NOUN}{_THEN}\(?([{_LETTER}])\b"),
    re.compile(rf"{_NOUN}{_THEN}{_SMALL}", re.MULTILINE),
)
_QUOTES = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"'})
# next to letters of other scripts a letter still stands alone: they do not put spaces there
_LAST = re.compile(rf"\(([{_LETTER}])\)|(?<![0-9A-Za-zÀ-ɏ_'’])([{_LETTER}])(?![0-9A-Za-zÀ-ɏ_'’])")


def exact(reference: str, answer: str) -> Score:
    """Compare texts without case, spacing and wrapping (quotes, boxes, a final full stop).

    "The answer is X" is X.
    """
    due = _bare(reference)
    if due in (_bare(answer), _bare(announced(answer) or answer)):
        return Score(1.0, unwrap_words(answer), "equal to the reference")
    return Score(0.0, unwrap_words(answer), f"not the reference {reference!r:.200}")


def contains(reference: str, answer: str) -> Score:
    """Look for the reference inside the answer, as whole words, without case and spacing.

    A number is no part of another one: 5 is not in "15", "-5" or "5.5". In scripts that put no
    spaces between words any place will do.
    """
    due = _bare(reference)
    if re.search(f"{_before(due)}{re.escape(due)}{_behind(due)}", _spaced(answer)):
        return Score(1.0, answer.strip(), "the answer holds the reference")
    return Score(0.0, answer.strip(), f"the answer does not hold {reference!r:.200}")


def numeric(
    reference: str,
    answer: str,
    *,
    absolute: Fraction = Fraction(0),
    relative: Fraction = Fraction(0),
    decimal_comma: bool = False,
) -> Score:
    """Compare the answer's final number with the reference, exactly but for a tolerance.

    Equal where |answer - reference| <= max(absolute, relative * |reference|). With
    `decimal_comma` both are written as in German; a spelling that may mean two things counts as
    either in an answer.
    Raises ValueError where the reference is no number.
    """
    due = exact_number(reference, decimal_comma=decimal_comma)
    if due is None:
        raise ValueError(f"the reference {reference!r} is not a number")
    reading = final_number(answer, decimal_comma=decimal_comma)
    if reading is None:
        return Score(0.0, None, f"no number in the answer {answer.strip()[-80:]!r}")
    tolerance = max(absolute, relative * abs(due))
    if any(abs(value - due) <= tolerance for value in reading.values):
        return Score(1.0, reading.text, f"equal to {reference}")
    return Score(0.0, reading.text, f"{reading.text} is not {reference}")


def multiple_choice(reference: str, answer: str, *, options: Sequence[str] = ()) -> Score:
    """Compare the letter that the answer chooses with the reference letter.

    Reads "C", "(C)", "C. Paris", "the answer is C", a box, the text of exactly one option, or
    else the last letter that stands alone. `options` are the texts behind the letters.
    """
    known = string.ascii_uppercase[: len(options)] if options else string.ascii_uppercase
    letter = _chosen(answer, known=known, options=options)
    if letter is None:
        return Score(0.0, None, f"no choice among {known[0]}-{known[-1]} in the answer")
    if letter == reference.strip().upper():
        return Score(1.0, letter, "the right choice")
    return Score(0.0, letter, f"chose {letter}, right is {reference.strip()}")


def f1(reference: str, answer: str) -> Score:
    """Return the F1 of the answer's words against the reference's, as SQuAD does.

    Without wrapping, case, articles and punctuation. Source: Rajpurkar et al., arXiv 1606.05250.
    """
    given, due = _words(unwrap_words(answer)), _words(reference)
    shared = sum((Counter(given) & Counter(due)).values())
    if not given or not due:
        return Score(float(given == due), " ".join(given), "no words to compare")
    value = 2 * shared / (len(given) + len(due))
    reason = f"{shared} words shared, {len(given)} given, {len(due)} due"
    return Score(value, " ".join(given), reason)


def json_equal(reference: str, answer: str) -> Score:
    """Compare JSON values; the order of keys and the spelling of numbers do not matter.

    The answer may stand in a fenced block; an object or a list may stand between sentences, where
    the last one counts. Raises ValueError where the reference is no JSON.
    """
    due = json.loads(reference)
    fenced = _FENCE.findall(answer)
    text = (fenced[-1] if fenced else answer).strip()
    try:
        given = json.loads(text)
    except (ValueError, RecursionError) as error:
        found = _between_sentences(text)
        if not found:
            return Score(0.0, None, f"the answer is not JSON: {error}")
        given = found[-1]
    if _same_json(given, due):
        return Score(1.0, text, "equal to the reference")
    return Score(0.0, text, "another JSON value than the reference")


def _between_sentences(text: str) -> list[Any]:
    """Return the JSON objects and lists in a text, from its first brackets on."""
    found: list[Any] = []
    end = 0
    for match in islice(re.finditer(r"[{[]", text), _MOST_BRACKETS):
        if match.start() < end:
            continue
        with suppress(ValueError, RecursionError):
            value, end = json.JSONDecoder().raw_decode(text, match.start())
            found.append(value)
    return found


def _before(due: str) -> str:
    """Return the pattern of what must not stand before `due`."""
    if not due or _unspaced(due[0]):
        return ""
    return r"(?<!\w)(?<!\d[.,])(?<!(?<!\w)[-−])" if due[0].isdecimal() else r"(?<!\w)"


def _behind(due: str) -> str:
    """Return the pattern of what must not stand behind `due`."""
    if not due or _unspaced(due[-1]):
        return ""
    return r"(?!\w|[.,]\d)" if due[-1].isdecimal() else r"(?!\w)"


def _unspaced(character: str) -> bool:
    """Tell whether the script of a letter puts no spaces between words."""
    name = unicodedata.name(character, "").partition(" ")[0]
    return name in {"CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR"}


def _bare(text: str) -> str:
    text = unwrap_words(unicodedata.normalize("NFKC", text).translate(_QUOTES))
    return _spaced(text if len(text) < 2 else text.removesuffix(".").removesuffix("。"))


def _spaced(text: str) -> str:
    plain = unicodedata.normalize("NFKC", text).translate(_QUOTES)
    return " ".join(plain.casefold().split())


def _words(text: str) -> list[str]:
    plain = unicodedata.normalize("NFKC", text).translate(_QUOTES).casefold()
    plain = "".join(one for one in plain if not _is_punctuation(one))
    return _ARTICLE.sub(" ", plain).split()


def _is_punctuation(character: str) -> bool:
    """Tell whether SQuAD leaves a character out, or would if it knew more scripts."""
    return character in string.punctuation or unicodedata.category(character).startswith("P")


def _chosen(answer: str, *, known: str, options: Sequence[str]) -> str | None:
    answer = squeezed(unicodedata.normalize("NFKC", answer))
    inner = boxed(answer)
    text = unwrap_words(answer if inner is None else inner)
    if letter := _alone(text.strip("[]'\" "), known):
        return letter
    # before the letters that are said: "A" may begin an option's text
    for part in (text, unwrap_words(announced(answer) or text)):
        same = [i for i, option in enumerate(options) if _bare(option) == _bare(part)]
        if len(same) == 1 and not _alone(part, known):
            return known[same[0]]
    if said := _last(_SAID, answer, known=known):
        return said
    if labelled := _LABELLED.match(text):
        label = str(next(filter(None, labelled.groups()))).upper()
        if label in known:
            return label
    lines = [line for line in text.splitlines() if line.strip()]
    for line in (lines[-1:] + lines[:1]) if len(lines) > 1 else []:
        if letter := _alone(unwrap_words(line), known):
            return letter
    for patterns in ((_CALLED_RIGHT,), _NAMED):
        if said := _last(patterns, answer, known=known):
            return said
    last = [one or two for one, two in _LAST.findall(answer) if (one or two) in known]
    return last[-1] if last else None


def _alone(text: str, known: str) -> str | None:
    """Return the one of the `known` letters that the text is, in any case: "C", "(c)", "C."."""
    match = _ALONE.fullmatch(text.upper())
    letter = str(match[1]) if match else ""
    return letter if letter and letter in known else None


def _last(patterns: Sequence[re.Pattern[str]], answer: str, *, known: str) -> str | None:
    """Return the last of the `known` letters that one of the patterns finds."""
    matches = (match for pattern in patterns for match in pattern.finditer(answer))
    found = [(m.start(), next(filter(None, m.groups())).upper()) for m in matches]
    return max((one for one in found if one[1] in known), default=(0, None))[1]


def _same_json(one: Any, two: Any) -> bool:
    if isinstance(one, bool) or isinstance(two, bool):
        return one is two
    if isinstance(one, dict) and isinstance(two, dict):
        return one.keys() == two.keys() and all(_same_json(one[key], two[key]) for key in one)
    if isinstance(one, list) and isinstance(two, list):
        return len(one) == len(two) and all(map(_same_json, one, two))
    return bool(one == two)
