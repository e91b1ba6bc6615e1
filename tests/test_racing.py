import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes import AdderBenchmark, adder_splits, fake_workbench
from w4s.racing import Entrant, RaceRule, race

PROBLEMS = 12


def knows(solved: frozenset[int]) -> str:
    """A workflow that solves the private problems with these numbers."""
    return (
        "def workflow(agent, task):\n"
        "    number = int(task.split()[0]) - 100\n"
        f"    known = {sorted(solved)}\n"
        "    return {'answer': 2 * (number + 100) if number in known else 'no'}"
    )


def run(codes: list[str], rule: RaceRule):
    return asyncio.run(
        race(
            [Entrant(code, f"c{i}") for i, code in enumerate(codes)],
            adder_splits(PROBLEMS, 2),
            benchmark=AdderBenchmark(),
            workbench=fake_workbench(),
            rule=rule,
        )
    )


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.frozensets(st.integers(0, PROBLEMS - 1)), min_size=1, max_size=4),
    st.integers(1, PROBLEMS),
)
def test_the_winner_of_a_race_is_the_winner_of_a_full_evaluation(
    solved: list[frozenset[int]], blocks: int
) -> None:
    """Stopping those that cannot win any more never changes the choice, nor its accuracy."""
    feedbacks = run([knows(numbers) for numbers in solved], RaceRule(blocks=blocks))
    best = max(len(numbers) for numbers in solved)
    for numbers, feedback in zip(solved, feedbacks, strict=True):
        if feedback.skipped == 0:
            assert feedback.accuracy == len(numbers) / PROBLEMS
        else:
            assert len(numbers) < best
    assert max(f.accuracy for f in feedbacks if not f.skipped) == best / PROBLEMS


def test_a_hopeless_candidate_stops_early() -> None:
    """The calls that racing saves are counted as skipped problems."""
    feedbacks = run(
        [knows(frozenset(range(PROBLEMS))), knows(frozenset())], RaceRule(blocks=PROBLEMS)
    )
    assert [feedback.skipped for feedback in feedbacks] == [0, 5]
    assert feedbacks[1].problems == 7
    assert feedbacks[1].case_studies == ()


def test_a_margin_stops_earlier() -> None:
    """An interval that lies below the best one's ends the race for a candidate."""
    feedbacks = run(
        [knows(frozenset(range(PROBLEMS))), knows(frozenset())],
        RaceRule(blocks=PROBLEMS, margin=0.8),
    )
    assert feedbacks[1].skipped > 5


def test_a_race_without_entrants_is_over_at_once() -> None:
    """A turn whose candidates are all broken is no error."""
    assert run([], RaceRule()) == []
