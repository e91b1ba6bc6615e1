"""Test problems whose near twins training showed to the policy are told of."""

from pathlib import Path

import pytest

from tasks.evaluate import shown_in_training
from w4s.benchmarks.splits import Splits, write_splits
from w4s.config import Params, load_params
from w4s.types import PrivateProblem, PublicProblem, TestProblem

PROJECT = Path(__file__).resolve().parents[2]
STORY = "Janet's ducks lay 16 eggs. She eats three for breakfast and sells the rest at $2."


def prepare(folder: Path, name: str, *, public: str, private: str, test: tuple[str, ...]) -> None:
    """Write splits of these questions."""
    splits = Splits(
        benchmark=name,
        version="1",
        seed=0,
        private=(PrivateProblem("p", name, private, "1"),),
        public=(PublicProblem("q", name, public, "2"),),
        test=tuple(TestProblem(f"t{i}", name, text, "3") for i, text in enumerate(test)),
        similar=(),
    )
    write_splits(splits, folder)


@pytest.fixture
def params() -> Params:
    names = ('benchmarks.seen=["gsm_plus"]', 'benchmarks.unseen=["gsm8k", "svamp"]')
    return load_params(PROJECT / "params.yaml", settings=names)


def test_tests_alike_to_public_problems_of_training_are_counted(
    tmp_path: Path, params: Params
) -> None:
    """A private one was never shown; a benchmark that training saw is its own splits' business."""
    others = tuple(f"A train {n} leaves town {n} with {n} wagons." for n in range(20, 30))
    seen = "A man runs 5 miles a day."
    prepare(tmp_path, "gsm_plus", public=STORY, private=others[0], test=(f"{STORY} indeed",))
    twins = (STORY.replace("rest", "others"), *others)
    prepare(tmp_path, "gsm8k", public=seen, private=f"{seen} Twice.", test=twins)
    prepare(tmp_path, "svamp", public="How many?", private="Why?", test=others)
    (said,) = shown_in_training(params, tmp_path)
    assert said.startswith("gsm8k: 1 of 11 test problems are nearly the same question as a public")
    assert said.endswith("that training saw (gsm_plus).")


def test_where_nothing_is_trained_nothing_was_shown(tmp_path: Path, params: Params) -> None:
    """Every search has a policy of its own then, whatever it starts from."""
    untrained = params.model_copy(
        update={"train": params.train.model_copy(update={"objectives": ()})}
    )
    for name in untrained.benchmarks.all:
        prepare(tmp_path, name, public=STORY, private="Why?", test=(f"{STORY} indeed",))
    assert shown_in_training(untrained, tmp_path) == []
