"""Replies as models give them."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from w4s.llm.replies import find_json_object, parse_json_reply, strip_thinking

KEYS = st.text(min_size=1, max_size=8)
LEAVES = st.text(max_size=20) | st.integers() | st.booleans() | st.none()
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)
OBJECTS = st.dictionaries(KEYS, VALUES, min_size=1, max_size=4)


@given(OBJECTS)
def test_a_plain_object_comes_back_as_it_is(value: dict[str, Any]) -> None:
    """A whole JSON reply is never changed by the repair."""
    assert parse_json_reply(json.dumps(value), list(value)) == value


@given(OBJECTS, st.sampled_from(["```json\n{}\n```", "Sure!\n```\n{}\n```\nDone.", "Here: {} ok"]))
def test_fences_and_prose_around_an_object_are_ignored(value: dict[str, Any], frame: str) -> None:
    """The object is found wherever a model puts it."""
    text = frame.replace("{}", json.dumps(value), 1)
    assert parse_json_reply(text, list(value)) == value


@given(st.text(), st.lists(KEYS, unique=True, max_size=3))
def test_any_text_gives_every_key(text: str, keys: list[str]) -> None:
    """Whatever a model says, the workflow gets a dict that holds its keys, without an error."""
    assert set(keys) <= parse_json_reply(text, keys).keys()


@given(st.dictionaries(st.sampled_from("abc"), st.text(max_size=30), min_size=1), st.data())
def test_a_truncated_object_keeps_its_whole_pairs(
    value: dict[str, str], data: st.DataObject
) -> None:
    """Truncation costs at most the pair that it cuts, and invents none."""
    text = json.dumps(value)
    cut = data.draw(st.integers(min_value=1, max_value=len(text)))
    found = find_json_object(text[:cut], list(value))
    assert found is not None
    whole = [key for key in value if json.dumps({key: value[key]})[1:-1] in text[:cut]]
    assert {key: found[key] for key in whole} == {key: value[key] for key in whole}
    assert found.keys() <= value.keys()
    assert all(value[key].startswith(found[key]) for key in found)


def test_an_unusable_reply_is_kept_under_its_own_key() -> None:
    """Prose stands under JSONDecodeError and the keys hold placeholders."""
    assert parse_json_reply("I think it is 4.", ["answer"]) == {
        "JSONDecodeError": "I think it is 4.",
        "answer": "NO answer IN DICTIONARY",
    }


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<think>first {1}</think> 42", "42"),
        ("hm, the template opened it</think>\n42", "42"),
        ("42<think>and now I am cut o", "42"),
        ("<THINKING>x</THINKING>42", "42"),
        ("42", "42"),
    ],
)
def test_thinking_is_no_part_of_an_answer(text: str, answer: str) -> None:
    """Closed, half-open and cut-off thinking is taken out."""
    assert strip_thinking(text) == answer


def test_a_long_runaway_reply_is_read_quickly() -> None:
    """Brackets without end cost no quadratic time."""
    begun = time.perf_counter()
    assert find_json_object("{" * 500_000, ["a"]) is None
    find_json_object('{"a": [' * 100_000, ["b"])
    assert time.perf_counter() - begun < 10
