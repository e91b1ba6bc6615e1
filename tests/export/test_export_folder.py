"""The exported folder: complete, stand-alone, and honest about its figures."""

import ast
import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.endpoint import ScriptedEndpoint, Step
from w4s.config import ExecutorParams, load_params
from w4s.errors import ConfigError
from w4s.export.card import read_facts
from w4s.export.folder import export_workflow
from w4s.export.notes import executor_notes, found_with, read_notes
from w4s.report.rows import ResultRow
from w4s.workflow import Workflow, builtin_workflow, load_workflow, save_workflow

PROJECT = Path(__file__).resolve().parents[2]


def executor(**changes: object) -> ExecutorParams:
    params = load_params(PROJECT / "params.yaml").executor
    return params.model_copy(update={"model": "big", **changes})


def row(method: str, validation: float | None, accuracy: float) -> ResultRow:
    return ResultRow(
        "adder", True, method, accuracy, 0.7, 0.9, 50, validation, 100, 20_000, 9, 99, 12.0
    )


def results(folder: Path) -> Path:
    """A results folder as the evaluation leaves it; returns the workflow's path."""
    path = folder / "workflows" / "adder.py"
    path.parent.mkdir(parents=True)
    notes = {"benchmark": "adder", "found by": "rwr, seed 0", "validation": "0.900"}
    save_workflow(path, builtin_workflow("code_generation"), notes=notes)
    rows = [row("best example", 0.95, 0.1), row("search, a", 0.7, 0.2), row("search, b", 0.9, 0.8)]
    (folder / "table.json").write_text(json.dumps([asdict(r) for r in rows]))
    return path


def export(path: Path, folder: Path, **changes: object) -> Path:
    export_workflow(
        load_workflow(path), folder, facts=read_facts(path), executor=executor(**changes)
    )
    return folder


def test_the_card_holds_the_figures_of_the_search_that_found_it(tmp_path: Path) -> None:
    """Accuracy, interval, cost of a question, executor, date, and the notes of the file."""
    prices = {"big": {"prompt": 1.0, "completion": 2.0}}
    changed = ExecutorParams.model_validate({**executor().model_dump(), "prices": prices})
    path = results(tmp_path / "results")
    card = export(path, tmp_path / "out", prices=changed.prices) / "README.md"
    text = card.read_text()
    for due in (
        "| executor | big |",
        "| found by | rwr, seed 0 |",
        "| test accuracy | 0.800, 95 % interval [0.700, 0.900], 50 held-out problems |",
        "| cost of a question | 2.0 calls, 400 tokens, at most 0.000800 USD |",
        "| workflow written | 20",
        "**not** a sandbox",
    ):
        assert due in text


def test_the_executor_is_asked_as_in_the_search(tmp_path: Path) -> None:
    """Address, length of replies and effort come with the workflow, not with the parameters."""
    found = executor(base_url="http://u:p@host/v1?k=s", max_tokens=512, reasoning_effort="low")
    path = tmp_path / "adder.py"
    notes = {"benchmark": "adder", **executor_notes(found)}
    save_workflow(path, builtin_workflow("direct"), notes=notes)
    other = executor(model="other", base_url="http://elsewhere/v1", max_tokens=9)
    asked = found_with(read_notes(path), other)
    export_workflow(load_workflow(path), tmp_path / "out", facts=read_facts(path), executor=asked)
    answering, card = ((tmp_path / "out" / f).read_text() for f in ("answer.py", "README.md"))
    assert "os.environ.get(\"W4S_MODEL\", 'big')" in answering
    assert "os.environ.get(\"OPENAI_BASE_URL\") or 'http://host/v1'" in answering
    assert "model=MODEL, max_tokens=512, reasoning_effort='low')" in answering
    for row in ("| max tokens | 512 |", "| endpoint | http://host/v1 |", "| benchmark | adder |"):
        assert card.count(row) == 1
    assert "Agent(OpenAI(base_url='http://host/v1'), model='big', max_tokens=512, " in card


def test_a_workflow_without_results_has_no_figures(tmp_path: Path) -> None:
    """Nothing is invented."""
    path = tmp_path / "mine.py"
    path.write_text("def solver(agent, task):\n    return {'answer': task}\n")
    folder = export(path, tmp_path / "out")
    text = (folder / "README.md").read_text()
    assert "No test result lies beside the workflow." in text
    assert "test accuracy" not in text
    assert "from workflow import solver" in (folder / "answer.py").read_text()


def test_it_imports_the_standard_library_and_openai_alone(tmp_path: Path) -> None:
    """Every import of every file, so that requirements.txt is the whole truth."""
    folder = export(results(tmp_path / "results"), tmp_path / "out")
    allowed = {*sys.stdlib_module_names, "openai", "runtime", "workflow"}
    files = list(folder.rglob("*.py"))
    assert len(files) == 9
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            else:
                continue
            assert {name.partition(".")[0] for name in names} <= allowed, file


def test_it_answers_in_a_process_of_its_own(tmp_path: Path) -> None:
    """The whole folder, against an endpoint: the model's code is run, its value is the answer."""
    folder = export(results(tmp_path / "results"), tmp_path / "out")
    code = "```python\ndef solution():\n    return 6 * 7\n```"
    with ScriptedEndpoint(answer=lambda body, index: code) as endpoint:
        done = subprocess.run(
            [sys.executable, "answer.py", "What is 6 times 7?"],
            cwd=folder,
            env={"PATH": os.environ["PATH"], "OPENAI_BASE_URL": endpoint.base_url},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    assert done.stdout == "42\n", done.stderr


def test_an_export_overwrites_nothing(tmp_path: Path) -> None:
    """A folder that is there stays as it is."""
    (tmp_path / "out").mkdir()
    with pytest.raises(ConfigError, match="nothing is overwritten"):
        export_workflow(
            Workflow("w", builtin_workflow("direct").code),
            tmp_path / "out",
            facts=read_facts(PROJECT / "w4s" / "workflows" / "direct.py"),
            executor=executor(),
        )


@pytest.mark.parametrize(
    ("body", "printed"),
    [
        ("return {'answer': 42.0}", "42"),
        ("return {'answer': ['a', 1]}", '["a", 1]'),
        ("return {'answer': ' two '}", "two"),
    ],
)
@pytest.mark.parametrize("head", ["def workflow", "async def solver"])
def test_an_answer_is_spelled_as_it_was_measured(
    tmp_path: Path, head: str, body: str, printed: str
) -> None:
    """Whole floats, lists, and coroutine functions too."""
    path = tmp_path / "mine.py"
    path.write_text(f"{head}(agent, task):\n    {body}\n")
    assert run_answer(export(path, tmp_path / "out"), W4S_MODEL="m").stdout == f"{printed}\n"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return {'answer': [][0]}", "no answer: IndexError: list index out of range"),
        ("return {'reply': 1}", "no answer: KeyError: 'answer'"),
        ("return {'answer': None}", "no answer: the workflow gave None"),
    ],
)
def test_what_a_workflow_does_wrong_is_one_message(tmp_path: Path, body: str, said: str) -> None:
    """No traceback: nobody who uses the folder wrote the workflow."""
    path = tmp_path / "mine.py"
    path.write_text(f"def workflow(agent, task):\n    {body}\n")
    done = run_answer(export(path, tmp_path / "out"), W4S_MODEL="m")
    assert (done.returncode, done.stderr) == (1, f"{said}\n")


def run_answer(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "answer.py", "What is 6 times 7?"],
        cwd=folder,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_trouble_with_the_model_is_one_message(tmp_path: Path) -> None:
    """A wrong key and no model at all: what is wrong, and no traceback."""
    folder = export(results(tmp_path / "results"), tmp_path / "out")
    with ScriptedEndpoint(lambda _, __: Step(fault="401")) as endpoint:
        refused = run_answer(folder, OPENAI_BASE_URL=endpoint.base_url)
    assert refused.returncode == 1
    assert refused.stderr.startswith("no answer: ")
    assert "Traceback" not in refused.stderr
    embedded = export(tmp_path / "results/workflows/adder.py", tmp_path / "home", model="embedded")
    unnamed = run_answer(embedded)
    assert unnamed.returncode == 2
    assert unnamed.stderr.endswith("error: W4S_MODEL is not set: name the model to ask.\n")
