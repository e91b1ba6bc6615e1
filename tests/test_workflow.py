import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fakes import FakeExecutor, fake_workbench
from w4s.errors import ConfigError, DataError
from w4s.evaluation import run_workflow
from w4s.llm.base import ChatRequest
from w4s.parsing import check_syntax
from w4s.solver import load_workflow as load_solver
from w4s.workflow import (
    Workflow,
    builtin_workflow,
    builtin_workflows,
    load_workflow,
    save_workflow,
)

CODE = 'def workflow(agent, task):\n    return {"answer": task}'


def test_a_saved_workflow_reads_back_and_keeps_its_notes(tmp_path: Path) -> None:
    """The file is the workflow, with what is known of it as comments."""
    path = tmp_path / "best.py"
    save_workflow(path, Workflow("best", CODE), notes={"accuracy": "0.95", "found\nby": "a\nb"})
    loaded = load_workflow(path)
    assert loaded.name == "best"
    assert check_syntax(loaded.code) is None
    assert "# accuracy" in loaded.code
    assert CODE in loaded.code


@pytest.mark.parametrize(
    ("text", "said"), [("def workflow(:", ":1: not a workflow"), ("x = 1", "No function")]
)
def test_a_file_that_is_no_workflow_is_refused(tmp_path: Path, text: str, said: str) -> None:
    """File and line, before anything is started."""
    path = tmp_path / "w.py"
    path.write_text(text)
    with pytest.raises(DataError, match=said):
        load_workflow(path)


def test_every_builtin_workflow_is_one() -> None:
    """The files that come with the package parse and define the function."""
    names = builtin_workflows()
    assert {"direct", "chain_of_thought", "self_consistency"} <= set(names)
    for name in names:
        assert check_syntax(builtin_workflow(name).code) is None


def debated(answer: Callable[[ChatRequest, str], str]) -> str | None:
    """Run the debate with an executor that gives `answer`; return what it comes to."""
    run = run_workflow(
        builtin_workflow("debate").code,
        "1 + 1?",
        workbench=fake_workbench(FakeExecutor(answer)),
        draw="test/x",
        seed=0,
    )
    return asyncio.run(run).answer


def test_the_second_round_of_a_debate_reads_the_first_round_alone() -> None:
    """Everybody sees its own answer and the others', as they were before anybody changed one."""
    asked: list[ChatRequest] = []

    def answer(request: ChatRequest, _: str) -> str:
        asked.append(request)
        return f"reply {len(asked)}"

    assert debated(answer) == "7"
    assert len(asked) == 7
    for index, request in enumerate(asked[3:6]):
        said = [message.content for message in request.messages[-2:]]
        assert said[0] == f"reply {index + 1}"
        others = [f"reply {number}" for number in (1, 2, 3) if number != index + 1]
        assert all(other in said[1] for other in others)
        assert not any(f"reply {number}" in said[1] for number in (4, 5, 6))


def test_a_debater_without_a_first_answer_reads_the_others_all_the_same() -> None:
    """An empty reply makes no turn of its own, and the round is not the first again."""
    asked: list[ChatRequest] = []

    def answer(request: ChatRequest, _: str) -> str:
        asked.append(request)
        return "" if len(asked) == 1 else f"reply {len(asked)}"

    debated(answer)
    last = asked[3].messages[-1].content
    assert last.startswith("1 + 1?")
    assert "reply 2\n\nreply 3" in last


def test_an_unknown_name_suggests_a_known_one() -> None:
    """A typo is mended by its message."""
    with pytest.raises(ConfigError, match="Did you mean 'direct'"):
        builtin_workflow("dirct")


def test_a_solver_records_beside_its_parameter_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever a program is started, its calls are kept in the workspace of the parameters."""
    shipped = Path(__file__).parent.parent / "params.yaml"
    params = tmp_path / "project" / "params.yaml"
    params.parent.mkdir()
    params.write_text(shipped.read_text())
    file = tmp_path / "w.py"
    file.write_text(CODE)
    monkeypatch.chdir(tmp_path)
    solver = load_solver(file, params="project/params.yaml")
    assert solver.folder == params.parent / "outputs" / "solve"


def test_a_workflow_asks_as_its_profile_says(tmp_path: Path) -> None:
    """What it was found with: `--profile` has the same meaning in Python."""
    (tmp_path / "profiles").mkdir()
    shipped = Path(__file__).parent.parent / "params.yaml"
    (tmp_path / "params.yaml").write_text(shipped.read_text())
    (tmp_path / "profiles" / "small.yaml").write_text(
        "workspace: runs/small\nexecutor: {max_tokens: 7}\n"
    )
    (tmp_path / "w.py").write_text(CODE)
    solver = load_solver(tmp_path / "w.py", params=tmp_path / "params.yaml", profile="small")
    assert solver.params.executor.max_tokens == 7
    assert solver.folder == tmp_path / "runs" / "small" / "solve"
    with pytest.raises(ConfigError, match=r"profiles/large\.yaml"):
        load_solver(tmp_path / "w.py", params=tmp_path / "params.yaml", profile="large")
