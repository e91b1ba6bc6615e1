"""Scorers of texts: right answers in any wrapping score 1, near misses 0, with reasons."""

from __future__ import annotations

import time
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from w4s.benchmarks.answers import announced, boxed, decimal_value, unwrap
from w4s.benchmarks.scorers import contains, exact, f1, json_equal, multiple_choice, numeric

OPTIONS = ["Paris", "Rome", "Berlin", "A new town"]


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ("Paris", 1),
        ("  paris ", 1),
        ('"Paris"', 1),
        ("**Paris**", 1),
        (r"\boxed{Paris}", 1),
        ("Paris.", 1),
        ("The answer is Paris.", 1),
        ("The answer is not Paris.", 0),
        ("Paris, France", 0),
        ("Pari", 0),
        (".", 0),
    ],
)
def test_exact_ignores_wrapping_alone(answer: str, value: int) -> None:
    """Case, spaces, quotes, boxes, a full stop, "the answer is" do not count; words do."""
    assert exact("Paris", answer).value == value


@pytest.mark.parametrize(
    ("answer", "value"), [("It is Paris.", 1), ("PARIS", 1), ("comparison", 0), ("Parisian", 0)]
)
def test_contains_finds_whole_words(answer: str, value: int) -> None:
    """The reference counts as a word of the answer, not as a part of one."""
    assert contains("Paris", answer).value == value


@pytest.mark.parametrize(
    ("reference", "answer", "value"),
    [
        ("1,234", "1234", 1),
        ("0.75", "3/4", 1),
        ("-3", "It is -3.", 1),
        ("0.5", "50%", 1),
        ("10", "10.001", 0),
        ("10", "ten", 0),
    ],
)
def test_numeric_compares_values(reference: str, answer: str, value: int) -> None:
    """Spelling does not count, a thousandth does."""
    assert numeric(reference, answer).value == value


@pytest.mark.parametrize(
    ("reference", "answer", "value"),
    [
        ("5", "There are 5.", 1),
        ("5", "$5", 1),
        ("5", "3-5", 1),
        ("5", "15", 0),
        ("5", "-5", 0),
        ("5", "−5", 0),
        ("5", "5.5", 0),
        ("5", "2,5", 0),
        ("C++", "I use C++.", 1),
        ("東京", "首都は東京です", 1),
        ("กรุงเทพ", "เมืองหลวงคือกรุงเทพมหานคร", 1),
        ("東京", "大阪です", 0),
    ],
)
def test_contains_knows_numbers_and_scripts_without_spaces(
    reference: str, answer: str, value: int
) -> None:
    """A number is no part of another; Chinese, Japanese and Thai put no spaces between words."""
    assert contains(reference, answer).value == value


def test_numeric_tolerances_are_inclusive() -> None:
    """A tolerance allows its own size and no more, absolute or relative."""
    assert numeric("10", "10.1", absolute=Fraction(1, 10)).value == 1
    assert numeric("10", "10.11", absolute=Fraction(1, 10)).value == 0
    assert numeric("1000", "1001", relative=Fraction(1, 1000)).value == 1


def test_numeric_says_when_it_found_no_number() -> None:
    """A parse failure is visible: no answer, and the end of the text in the reason."""
    verdict = numeric("10", "I cannot tell")
    assert verdict.answer is None
    assert "no number" in verdict.reason
    assert "cannot tell" in verdict.reason


def test_numeric_refuses_a_reference_that_is_no_number() -> None:
    """A wrong reference is a bug of the data, not a wrong answer."""
    with pytest.raises(ValueError, match="'ten' is not a number"):
        numeric("ten", "10")


@pytest.mark.parametrize(
    ("answer", "letter"),
    [
        ("C", "C"),
        ("c", "C"),
        ("(C)", "C"),
        ("C.", "C"),
        ("C. Berlin", "C"),
        ("C) Berlin", "C"),
        ("(C) Berlin", "C"),
        ("c) Berlin", "C"),
        ("a) is wrong, b) too, so C", "C"),
        ("a) would be Rome, so C", "C"),
        ("a) Rivers first.\nb) Then hills.\nThat leaves C", "C"),
        (r"\boxed{C}", "C"),
        (r"\boxed{\text{C}}", "C"),
        ("**C**", "C"),
        ("The answer is C", "C"),
        ("The answer is (C).", "C"),
        ("The answer is: **C**", "C"),
        ("Answer: C", "C"),
        ("answer: option C", "C"),
        ("The correct option is B. Wait, the answer is C.", "C"),
        ("A comparison of A and B shows that it must be (C)", "C"),
        ("Berlin", "C"),
        ("berlin.", "C"),
        ("a new town", "D"),
        ("The answer is **Berlin**.", "C"),
        ("Answer: **C**", "C"),
        ("the answer is c)", "C"),
        (r"\boxed{\text{(C)}}", "C"),
        (r"The answer is $\boxed{\mathrm{C}}$", "C"),
        ("（C）", "C"),
        ("Ｃ", "C"),
        ("答案是C", "C"),
        ('{"answer": "C"}', "C"),
        ("Final Answer: The final answer is C. I hope it is correct.", "C"),
        ("Answer: C\nConfidence: 90%", "C"),
        ("The answer is:\n\n(C)", "C"),
        ("I choose (C), not A.", "C"),
        ("['C']", "C"),
        ("C\n\nExplanation: A is a bad option, and option B is too.", "C"),
        ("The correct answer is (C). Option A is wrong since it is small.", "C"),
        ("The correct option is (C) because option (A) has no river.", "C"),
        ("C is correct; A is a distractor.", "C"),
        ("Option A is wrong. Option C it is, then.", "C"),
        ("A. Paris is no capital of it. B. Nor is Rome. The answer is C", "C"),
        ("C, because A and B are false.", "C"),
        ("The answer is 'C'.", "C"),
        ("The answer is __C__", "C"),
        ("the correct option is c) Berlin", "C"),
        ("I think it is B", "B"),
        ("E", None),
        ("no idea", None),
        ("It's", None),
    ],
)
def test_letters_are_found_in_usual_replies(answer: str, letter: str | None) -> None:
    """The letter that a reply chooses is read, not just any capital letter."""
    verdict = multiple_choice("C", answer, options=OPTIONS)
    assert verdict.answer == letter
    assert verdict.value == float(letter == "C")


@pytest.mark.parametrize(
    "text", ["answer is ", "1,2", "1,23,", "\n", "(A) ", "option ", "**", r"\frac{1}", "10^"]
)
def test_a_reply_that_repeats_itself_is_scored_at_once(text: str) -> None:
    """Small models do so to their limit; a scorer that took seconds would hold everything up."""
    started = time.process_time()
    reply = text * (60_000 // len(text))
    numeric("1", reply, decimal_comma=True)
    multiple_choice("A", reply, options=OPTIONS)
    assert time.process_time() - started < 10


def test_f1_is_squads() -> None:
    """Two of three words shared both ways: F1 two thirds; articles and case do not count."""
    assert f1("the red small fox", "red big fox").value == pytest.approx(2 / 3)
    assert f1("The fox", "a FOX!").value == 1.0
    assert f1("fox", "").value == 0.0
    assert f1("fox", r"\boxed{\text{fox}}").value == 1.0
    assert f1("東京", "「東京」。").value == 1.0


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ('{"b": [1, 2.0], "a": "x"}', 1),
        ('```json\n{"a": "x", "b": [1, 2]}\n```', 1),
        ('```JSON\n{"a": "x", "b": [1, 2]}\n```\nThat is all.', 1),
        ('Here it is: {"a": "x", "b": [1, 2]}. That is all.', 1),
        ('Not {"a": 1} but {"a": "x", "b": [1, 2]}', 1),
        ('{"a": "x", "b": [1, 2]}, no: {"a": "y"}', 0),
        ('{"a": "x", "b": [2, 1]}', 0),
        ('{"a": "x"}', 0),
        ('{"a": "x", "b": [true, 2]}', 0),
        ("{a: x}", 0),
        ("[" * 100_000, 0),
    ],
)
def test_json_compares_values(answer: str, value: int) -> None:
    """Order of keys and 2 for 2.0 do not count; true is not 1; bad JSON is a visible zero."""
    verdict = json_equal('{"a": "x", "b": [1, 2]}', answer)
    assert verdict.value == value
    assert verdict.reason


@given(st.text(max_size=60), st.text(max_size=60))
def test_scorers_take_any_text(reference: str, answer: str) -> None:
    """No answer makes a scorer raise, and every score lies in [0, 1]."""
    for scorer in (exact, contains, f1):
        assert 0 <= scorer(reference, answer).value <= 1
    assert multiple_choice("A", answer, options=OPTIONS).value in (0, 1)
    assert numeric("1", answer).value in (0, 1)
    assert json_equal("1", answer).value in (0, 1)


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        (r"\boxed{1}", "1"),
        (r"\boxed{\frac{1}{2}} then", r"\frac{1}{2}"),
        (r"\boxed{1} or \boxed {2}", "2"),
        (r"\boxed{1} and \boxed{2", "1"),
        (r"\fbox{x}", "x"),
        ("none", None),
    ],
)
def test_the_last_whole_box_counts(text: str, inside: str | None) -> None:
    """Nested braces belong to the box; a box that never ends is passed over."""
    assert boxed(text) == inside


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("So the answer is 3/4.", "3/4"),
        ("Work.\nAnswer: x^2", "x^2"),
        ("**Final Answer:** 7", "7"),
        ("The answer is 3. No: the answer is 4.", "4"),
        ("The answer is **7/2**.", "7/2"),
        ("**Answer: x**", "x"),
        ("We add.\n\n### Final Answer\n\n**x + 1**", "x + 1"),
        ("**Answer**\nx\n\nI checked it.", "x"),
        ("Answer:\n- x\n- y\n\nThese are all.", "- x\n- y"),
        ("I answered it", None),
    ],
)
def test_announced_answers(text: str, said: str | None) -> None:
    """What follows "the answer is" is found, without its full stop."""
    assert announced(text) == said


@pytest.mark.parametrize(
    "answer", [r"$\boxed{\text{New York}}$", "```\nNew York\n```", "### Answer\nNew York."]
)
def test_words_in_a_box_a_fence_or_under_a_heading_are_the_words(answer: str) -> None:
    """What models put around words, asked for a box or a format, is no part of them."""
    assert exact("New York", answer).value == 1.0


@pytest.mark.parametrize(
    "text", ["\n", "\n*", "# ", "answer is ", "- ", "Answer: A\n", "Answer:\n"]
)
def test_a_long_reply_announces_at_once(text: str) -> None:
    """Repeated line breaks once made the search for announcements take minutes."""
    started = time.process_time()
    announced(text * (100_000 // len(text)))
    exact("x", f"```\n{text * (100_000 // len(text))}")
    assert time.process_time() - started < 10


@given(st.text(alphabet="ab'\"`* $", max_size=12))
def test_unwrapping_ends_and_keeps_content(text: str) -> None:
    """Unwrapping twice is unwrapping once for singly wrapped texts, and letters stay in order."""
    letters = [character for character in unwrap(text) if character in "ab"]
    assert letters == [character for character in text if character in "ab"]


@pytest.mark.parametrize("text", ["1,23", "1.2.3", "1e9999", "--1", "1 2", "٫", ""])
def test_no_decimal_in_odd_texts(text: str) -> None:
    """Only a whole number spelling is a number."""
    assert decimal_value(text) is None


@pytest.mark.parametrize(
    "answer",
    [
        "The answer is Paris.",
        "Final answer: (b)",
        "the answer is b",
        "B\n\nExplanation: A is Rome, C is Berlin.",
        "A is Rome and C is Berlin, so:\n\n**B**",
        "Option Z is not there. The answer is B.",
    ],
)
def test_a_choice_is_seen_in_a_sentence_or_on_a_line_of_its_own(answer: str) -> None:
    """An option's text behind "the answer is", small letters, a letter before its explanation."""
    options = ["Rome", "Paris", "Berlin", "a city"]
    assert multiple_choice("B", answer, options=options).value == 1.0


def test_the_article_is_no_choice() -> None:
    """ "The answer is a city" names an option by its text, not the letter A."""
    options = ["Rome", "Paris", "Berlin", "a city"]
    assert multiple_choice("D", "The answer is a city.", options=options).value == 1.0
    assert multiple_choice("D", "The answer is A new town.", options=OPTIONS).value == 1.0


@pytest.mark.parametrize(
    ("options", "answer", "letter"),
    [
        ([r"$\frac{1}{2}$", "2"], r"\frac{1}{2}", "A"),
        ([r"1 $\mathrm{~J}$", r"2 $\mathrm{~J}$"], r"\boxed{\text{2 $\mathrm{~J}$}}", "B"),
        (["3", "5"], "The answer is 5.", "B"),
        (["x", "y"], "The answer is y", "B"),
        (["B", "A"], "The answer is A.", "A"),
    ],
)
def test_an_options_text_is_told_from_a_letter(
    options: list[str], answer: str, letter: str
) -> None:
    """Formulas, figures and letters may be options themselves."""
    assert multiple_choice(letter, answer, options=options).value == 1.0


def test_typographic_quotes_and_composed_letters_are_the_same_text() -> None:
    """As keyboards and models write them."""
    assert exact("don't", "don’t").value == 1.0
    assert exact("café", "cafe\u0301").value == 1.0
    assert contains("it's", "It’s so.").value == 1.0
    assert f1("don't", "don’t").value == 1.0
    assert exact("東京", "東京。").value == 1.0
