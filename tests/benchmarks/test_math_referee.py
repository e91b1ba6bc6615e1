"""Mathematical answers are compared by value, in a child that may hang or die."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from w4s.benchmarks.math_referee import MathReferee


@pytest.fixture(scope="module")
def referee() -> Iterator[MathReferee]:
    """One child for the module: it takes a second to start."""
    referee = MathReferee()
    yield referee
    referee.close()


@pytest.mark.parametrize(
    ("reference", "answer"),
    [
        (r"\frac{1}{2}", "0.5"),
        (r"\frac{1}{2}", r"The answer is $\frac{2}{4}$."),
        (r"\frac{1}{2}", r"\dfrac12"),
        (r"2\sqrt{3}", r"\boxed{\sqrt{12}}"),
        ("8n^2 + 4n + 1", "4n(2n+1)+1"),
        ("3R^2", "The answer is 3R^2."),
        ("1,000", "1000"),
        ("10", "10 inches"),
        ("x=5", "5"),
        (r"90^\circ", "90"),
        (r"\text{Evelyn}", "Evelyn"),
        (r"\left( 3, \frac{\pi}{2} \right)", r"(3,\pi/2)"),
        ("6 - 5i", r"\boxed{-5i+6}"),
        ("-2,1", r"\boxed{1,-2}"),
        (r"x \in [-2,7]", "[-2,7]"),
        ("13", r"\[13\]"),
        ("3R^2", r"So the answer is \(3R^2\)."),
        (r"-\sqrt{3}", r"**-\sqrt{3}**"),
        ("-2 + 7i", "**7i - 2**"),
        (r"10,\!080", "x = 10,080"),
        (r"\frac{1}{2}", "1/2."),
        (r"\frac{7}{2}", "The answer is **7/2**."),
        (r"3\sqrt{13}", r"3\sqrt{13} units"),
        ("1,-2", "1 and -2"),
        ("1,-2", r"x=1 \text{ or } x=-2"),
        (r"\frac{3}{4}", r"\boxed{\boxed{\frac{3}{4}}}"),
        (r"11,\! 111,\! 111,\! 100", "11,111,111,100"),
        (r"\text{(C)}", r"\boxed{C}"),
        ("-3", "−3"),
        ("52_8", "52_{8}"),
        (r"2\sqrt{13}", "2*sqrt(13)"),
        (r"\frac{\sqrt{3}}{3}", "sqrt(3)/3"),
        (r"\frac{1+\sqrt5}{2}", "(1+√5)/2"),
        ("6 - 5i", "6 - 5*I"),
        ("x^3-1", "x**3 - 1"),
        ("x^2+1", "x² + 1"),
        (r"-\sqrt{3}", "−√3"),
        (r"(-\infty,3]", "(−∞, 3]"),
        (r"\frac{3}{2}", "1 1/2"),
        (r"\frac12", "½"),
        ("2k+2", "```\n2k+2\n```"),
        ("2k+2", "We add.\n\n### Final Answer\n\n2k + 2"),
        ("10^{6}", "1e6"),
        (r"\pi", "pi"),
        ("5", "The answer is $5$ because $x=3$."),
        (r"\frac{270}7\text{ degrees}", r"\frac{270}{7}^\circ"),
        (
            r"\begin{pmatrix} -1/3 \\ 2/3 \end{pmatrix}",
            r"\begin{pmatrix} -\frac{1}{3} \\ \frac{2}{3} \end{pmatrix}",
        ),
        (
            r"\begin{pmatrix} -2 \\ 7 \end{pmatrix}",
            r"v = \begin{pmatrix} -2 \\[2pt] 7 \end{pmatrix}",
        ),
    ],
)
def test_equal_expressions_are_right(referee: MathReferee, reference: str, answer: str) -> None:
    """Other spellings of the same value score 1."""
    assert referee.score(reference, answer).value == 1.0


@pytest.mark.parametrize(
    ("reference", "answer"),
    [
        (r"\frac{1}{2}", r"\frac{1}{3}"),
        ("1", "8n^2 + 4n + 1"),
        ("3R^2", "3R^3"),
        ("13", r"\[31\]"),
        ("y = 2x", "y = 3x"),
        ("(3, 4)", "(4, 3)"),
        ("6 - 5i", "6 + 5i"),
        (r"\text{Evelyn}", "Anna"),
        ("9", r"\boxed{8} because 9 is odd"),
        ("3", r"3\sqrt{13} units"),
        ("1,2,3", "1 and 2"),
        ("52_8", "53_8"),
        ("3", "−3"),
        ("(0,1]", "[0,1]"),
        (r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}", r"\begin{pmatrix} 2 \\ 1 \end{pmatrix}"),
        ("4", "four"),
    ],
)
def test_other_expressions_are_wrong(referee: MathReferee, reference: str, answer: str) -> None:
    """Other values score 0 and say what was read."""
    verdict = referee.score(reference, answer)
    assert verdict.value == 0.0
    assert verdict.reason


def test_code_in_an_answer_is_not_run(referee: MathReferee, tmp_path: Path) -> None:
    """An answer that is Python with an effect has none."""
    target = tmp_path / "touched"
    for answer in (f"__import__('os').system('touch {target}')", f"open('{target}', 'w')"):
        referee.score("1", answer)
    assert not target.exists()


@pytest.mark.parametrize("blank", ["\t", "\n", " \n"])
def test_a_long_gap_in_a_reply_takes_no_time(referee: MathReferee, blank: str) -> None:
    """What is read outside the child has no limit there."""
    started = time.process_time()
    referee.score("5", f"5{blank * 100_000}x")
    assert time.process_time() - started < 10


def test_an_answer_that_never_ends_is_cut_off() -> None:
    """A tower of powers costs the time-out, and the next answer is judged as ever."""
    referee = MathReferee(answer_seconds=3)
    assert referee.score("1", "2").value == 0.0
    start = time.monotonic()
    assert referee.score("9", r"\boxed{9^{9^{9^{9}}}}").value == 0.0
    assert time.monotonic() - start < 30
    assert referee.score(r"\frac12", "0.5").value == 1.0
    referee.close()


def test_an_answer_after_the_childs_death_is_judged() -> None:
    """The kernel may kill a large process while nobody asks it."""
    referee = MathReferee()
    assert referee.score("1", "2").value == 0.0
    child = referee._child._child  # the process is the subject
    assert child is not None
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert referee.score(r"\frac12", "0.5").value == 1.0
    referee.close()


def test_the_child_gets_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """The child's environment holds no key of the program's."""
    monkeypatch.setenv("OPENAI_API_KEY", "secret-of-the-test")
    referee = MathReferee()
    assert referee.score(r"\frac12", "0.5").value == 1.0
    child = referee._child._child  # the process is the subject
    assert child is not None
    environment = Path(f"/proc/{child.pid}/environ")
    if not environment.exists():
        pytest.skip("no /proc on this system")
    assert b"secret-of-the-test" not in environment.read_bytes()
    referee.close()
    with pytest.raises(ProcessLookupError):
        os.kill(child.pid, 0)
