"""The transfer matrix: every cell measured, unchanged workflows, executors by name."""

import asyncio
import csv
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from flows.cli_transfer import make_plan
from tasks.context import Context
from tasks.keys import executor_facts
from tasks.progress import Silent
from tasks.transfer import (
    TransferPlan,
    _code,
    check_executors,
    choose_executor,
    run_transfer,
    with_executor,
)
from tasks.workspace import Workspace
from tests.fakes import FakeExecutor, FakeSandbox
from w4s.agent import CallLimits
from w4s.config import Params, Price, load_params
from w4s.errors import BudgetError, ConfigError, DataError, EndpointError
from w4s.evaluation import Workbench
from w4s.sandbox.base import Limits
from w4s.workflow import Workflow

PARAMS = Path(__file__).resolve().parents[2] / "params.yaml"
ASKS = (
    "def workflow(agent, task):\n"
    '    messages = [{"role": "user", "content": task}]\n'
    '    return {"answer": agent.call_llm(messages=messages, temperature=0)[0]}'
)
FIXED = 'def workflow(agent, task):\n    return {"answer": "7"}'


def params(*settings: str) -> Params:
    return load_params(PARAMS, settings=settings)


class FakeTracker:
    """Keeps names and metrics of runs."""

    def __init__(self) -> None:
        self.runs: dict[str, dict[str, float]] = {}
        self.artifacts: list[Path] = []

    @contextmanager
    def run(self, name: str, **_: Any) -> Any:
        self.runs[name] = {}
        yield name

    def metrics(self, run_id: str, points: Any) -> None:
        self.runs[run_id] = {point.name: point.value for point in points}

    def artifact(self, run_id: str, path: Path, folder: str) -> None:
        self.artifacts.append(path)


def task_file(folder: Path) -> str:
    """A task of 12 questions whose answers are all 7."""
    rows = "".join(f"What is {i} plus {7 - i}?,7\n" for i in range(12))
    (folder / "data.csv").write_text("question,answer\n" + rows)
    text = "data: data.csv\ndescription: Add two small numbers.\nscorer: numeric\n"
    (folder / "seven.yaml").write_text(text)
    return str(folder / "seven.yaml")


def run(folder: Path, workflows: dict[str, str], executors: list[str]) -> tuple[Any, Context]:
    """Executors are fakes that reply with the name of their model."""
    small = ("benchmarks.private=4", "benchmarks.public=2", "benchmarks.test=50")
    given = params(*small)
    prices = {"7": Price(prompt=1, completion=2)}
    given = given.model_copy(
        update={"executor": given.executor.model_copy(update={"prices": prices})}
    )
    tracker = FakeTracker()
    fake = SimpleNamespace(
        params=given,
        workspace=Workspace(folder / "out"),
        tracker=tracker,
        run_id="run",
        progress=Silent(),
    )
    context = cast(Context, fake)

    @asynccontextmanager
    async def opening(chosen: Params) -> AsyncIterator[Workbench]:
        if chosen.executor.model == "down":
            raise EndpointError("has not answered")
        executor = FakeExecutor(answer=lambda request, draw: chosen.executor.model)
        yield Workbench(executor, FakeSandbox(), Limits(), CallLimits(8, 1000, 50), Limits())

    plan = TransferPlan(
        tuple(Workflow(name, code) for name, code in workflows.items()),
        tuple(choose_executor(name, given) for name in executors),
        (task_file(folder),),
    )
    return asyncio.run(run_transfer(context, plan, open_bench=opening)), context


def test_every_cell_is_measured_on_the_held_out_problems(tmp_path: Path) -> None:
    """Accuracy depends on the executor where the workflow asks it, and only there."""
    rows, _ = run(tmp_path, {"asks": ASKS, "fixed": FIXED}, ["7", "8"])
    found = {(row.workflow, row.executor): (row.accuracy, row.problems, row.calls) for row in rows}
    assert found == {
        ("asks", "7"): (1.0, 6, 6),
        ("asks", "8"): (0.0, 6, 6),
        ("fixed", "7"): (1.0, 6, 0),
        ("fixed", "8"): (1.0, 6, 0),
    }


def test_cost_is_told_where_the_price_is_known(tmp_path: Path) -> None:
    """10 prompt and 5 completion tokens a call, at 1 and 2 USD a million."""
    rows, _ = run(tmp_path, {"asks": ASKS}, ["7", "8"])
    assert rows[0].usd == pytest.approx(6 * 20e-6)
    assert rows[1].usd is None


def test_the_matrix_is_written_and_tracked(tmp_path: Path) -> None:
    """Markdown to read, CSV and JSON in full, a run for each cell."""
    rows, context = run(tmp_path, {"asks": ASKS}, ["7", "8"])
    folder = context.workspace.root / "transfer"
    text = (folder / "transfer.md").read_text()
    assert "| 7 | 1.00 [0.61, 1.00]; 1.0 calls, 15 tokens, 0.000020 USD |" in text
    assert "| 8 | 0.00 [0.00, 0.39]; 1.0 calls, 15 tokens |" in text
    table = list(csv.DictReader(io.StringIO((folder / "transfer.csv").read_text())))
    assert [line["executor"] for line in table] == ["7", "8"]
    assert len(json.loads((folder / "transfer.json").read_text())) == len(rows)
    tracker = cast(FakeTracker, context.tracker)
    assert [one["transfer/accuracy"] for one in tracker.runs.values()] == [1.0, 0.0]
    assert tracker.artifacts == [folder]


def test_an_executor_that_is_down_does_not_take_the_others_cells(tmp_path: Path) -> None:
    """The matrix is written without it, and the error says whose cells are missing."""
    with pytest.raises(EndpointError, match=r"^down: has not answered\nThe matrix without"):
        run(tmp_path, {"asks": ASKS}, ["7", "down", "8"])
    text = (tmp_path / "out" / "transfer" / "transfer.csv").read_text()
    assert [line["executor"] for line in csv.DictReader(io.StringIO(text))] == ["7", "8"]
    alone = tmp_path / "alone"
    alone.mkdir()
    with pytest.raises(EndpointError, match=r"^down: has not answered$"):
        run(alone, {"asks": ASKS}, ["down"])
    assert not (alone / "out" / "transfer").exists()


def test_executors_are_named_by_model_and_address() -> None:
    """Without an address it is the configured one; the embedded server has none."""
    given = params("executor.base_url=http://here/v1")
    assert choose_executor("big@http://there/v1", given).base_url == "http://there/v1"
    assert choose_executor("big", given).base_url == "http://here/v1"
    assert choose_executor("embedded", given).base_url is None


@pytest.mark.parametrize(
    ("text", "label", "model", "base_url"),
    [
        ("chat@001", "chat@001", "chat@001", None),
        ("chat-3-5@v1.5-pro", "chat-3-5@v1.5-pro", "chat-3-5@v1.5-pro", None),
        ("@cf/meta/llama-3-8b", "@cf/meta/llama-3-8b", "@cf/meta/llama-3-8b", None),
        ("chat@001@https://h/v1", "chat@001@https://h/v1", "chat@001", "https://h/v1"),
        ("q@http://me:pass@h/v1", "q@http://h/v1", "q", "http://me:pass@h/v1"),
        ("q@HTTP://h:8000/v1", "q@HTTP://h:8000/v1", "q", "HTTP://h:8000/v1"),
    ],
)
def test_names_and_addresses_may_hold_an_at_sign(
    text: str, label: str, model: str, base_url: str | None
) -> None:
    """A password in an address shows in no table."""
    found = choose_executor(text, params())
    assert (found.label, found.model, found.base_url) == (label, model, base_url)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "q@h:8000/v1",
        "q@localhost",
        "q@host.org",
        "q@me.example.com",
        "@localhost",
        "q@h.org/v1",
        "q@ftp://me:pass@h/v1",
        "q@me:pass@h:8000/v1",
        "q@me:pass@h",
        "@http://h/v1",
        "@http://me:pass@h/v1",
    ],
)
def test_an_address_that_is_none_is_not_taken_for_a_model(text: str) -> None:
    """It would be asked for at the configured endpoint; the message says how to write it."""
    with pytest.raises(ConfigError, match=r"--executors .*MODEL@BASE_URL.*http://") as caught:
        choose_executor(text, params())
    assert "pass" not in str(caught.value)


def test_every_executor_is_looked_at_before_the_first_is_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A missing key of the last one costs nothing."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    given = params()
    chosen = [choose_executor(name, given) for name in ("embedded", "q@http://h/v1", "gpt-4o")]
    check_executors(chosen[:2], given)
    with pytest.raises(EndpointError, match="'gpt-4o', but OPENAI_API_KEY is not set"):
        check_executors(chosen, given)
    check_executors(chosen, params("executor.replay=true"))
    priced = params("budget.usd=1")
    check_executors(chosen[:1], priced)
    with pytest.raises(BudgetError, match="the price of 'q' is not known"):
        check_executors(chosen[:2], priced)


def test_the_configured_executor_judges_whoever_answers() -> None:
    """Else the cells of a matrix could not be compared."""
    given = params("executor.model=old", "executor.base_url=http://here/v1")
    other = with_executor(given, choose_executor("new@http://there/v1", given))
    assert (other.executor.model, other.executor.base_url) == ("new", "http://there/v1")
    assert other.judging == given.executor
    assert with_executor(other, choose_executor("newer", given)).judging == given.executor


def test_a_key_tells_where_a_judge_is_asked_and_only_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same judge at another address is another one; without one nobody's verdict counts."""
    task = tmp_path / "task.yaml"
    task.write_text(
        "data: d.csv\ndescription: Name the capital.\nscorer: judge\njudge: {model: big}\n"
    )
    given = params("executor.model=embedded")
    other = with_executor(given, choose_executor("new@http://there/v1", given))
    plain = given.model_copy(update={"judging": other.executor})
    assert executor_facts(plain, ["gsm8k"]) == executor_facts(given, ["gsm8k"])
    for address in ("http://one/v1", "http://two/v1"):
        monkeypatch.setenv("OPENAI_BASE_URL", address)
        for executor in (given, other):
            assert executor_facts(executor, [str(task)])["judges"] == [["big", address]]


def test_the_small_model_alone_is_the_policys_own_model() -> None:
    """Behind its endpoint, or embedded; a local model has no address."""
    served = choose_executor("policy", params("policy.model=q", "policy.base_url=http://p/v1"))
    assert (served.label, served.model, served.base_url) == ("policy (q)", "q", "http://p/v1")
    assert choose_executor("policy", params()).model == "embedded"
    with pytest.raises(ConfigError, match="Serve it"):
        choose_executor("policy", params("policy.model=Qwen/Qwen2.5-Coder-7B-Instruct"))


def test_a_plan_names_what_it_cannot_find(tmp_path: Path) -> None:
    """Before anything is opened."""
    given = params()
    with pytest.raises(ConfigError, match="no such workflow file"):
        make_plan(["nowhere"], executors=None, benchmarks=None, params=given)
    with pytest.raises(ConfigError, match="unknown benchmark 'gsm9k'"):
        make_plan(["direct"], executors=None, benchmarks="gsm9k", params=given)
    with pytest.raises(ConfigError, match="share a name"):
        make_plan(["direct", "direct"], executors=None, benchmarks=None, params=given)
    broken = tmp_path / "broken.py"
    broken.write_text("x = 1\n")
    with pytest.raises(DataError, match="not a workflow"):
        make_plan([str(broken)], executors=None, benchmarks=None, params=given)
    comma = tmp_path / "one, two"
    comma.mkdir()
    names = f"gcd,{task_file(comma)},lcm"
    plan = make_plan(["direct"], executors=None, benchmarks=names, params=given)
    assert plan.benchmarks == ("gcd", task_file(comma), "lcm")
    assert _code(plan.workflows[0], "gcd") != _code(plan.workflows[0], "humaneval")
    assert _code(Workflow("direct", FIXED), "humaneval") == FIXED
    plan = make_plan(["direct"], executors="a, b,a", benchmarks=None, params=given)
    assert [choice.model for choice in plan.executors] == ["a", "b"]
    assert plan.benchmarks == given.benchmarks.all
