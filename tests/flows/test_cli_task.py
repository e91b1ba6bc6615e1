"""`w4s init`, `w4s check` and the settings of `w4s search --task`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from flows.cli_task import check_task
from flows.cli_transfer import transfer
from tasks.opening import check_names
from tasks.options import Options
from tasks.own_task import own_task_settings
from tests.endpoint import ScriptedEndpoint
from w4s.config import Params, load_params
from w4s.errors import ConfigError, DataError, EndpointError

PROJECT = Path(__file__).resolve().parents[2]


def w4s(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "flows.cli", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(PROJECT), "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "params.yaml").write_text((PROJECT / "params.yaml").read_text())
    return tmp_path


def test_init_writes_and_says_what_is_next(folder: Path) -> None:
    """The commands that it names carry the names that it wrote."""
    done = w4s(folder, "init", "boxes")
    assert done.returncode == 0, done.stderr
    assert "w4s search --task boxes/task.yaml --profile boxes" in done.stdout
    for name in ("boxes/data.csv", "boxes/task.yaml", "profiles/boxes.yaml"):
        assert (folder / name).is_file()


def test_init_writes_nothing_outside_a_project(tmp_path: Path) -> None:
    """The commands that it names would not find params.yaml."""
    done = w4s(tmp_path, "init", "boxes")
    assert done.returncode == 2
    assert "params.yaml: no such parameter file. Run in the project folder" in done.stderr
    assert not (tmp_path / "boxes").exists()


def test_check_lists_bad_rows_and_exits_with_2(folder: Path) -> None:
    """Nothing is opened and nothing is asked before the rows are good."""
    w4s(folder, "init", "boxes")
    (folder / "boxes/data.csv").write_text("question,answer\none,1\ntwo,zwei\n,3\n")
    done = w4s(folder, "check", "boxes/task.yaml", "--profile", "boxes")
    assert done.returncode == 2, done.stderr
    assert "BAD task: boxes/task.yaml: 2 of 3 rows are bad" in done.stdout
    assert "data.csv:3: column 'answer' is no number: 'zwei'" in done.stdout
    assert "Traceback" not in done.stderr
    assert not (folder / "runs").exists()


def test_check_reads_a_benchmarks_rows_from_the_local_folder(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where `benchmarks.data_dir` is set the hub is not asked."""
    (folder / "rows" / "gsm8k").mkdir(parents=True)
    (folder / "rows/gsm8k/test.jsonl").write_text('{"question": "1+1?", "answer": "two"}\n')
    settings = (f"benchmarks.data_dir={folder / 'rows'}",)
    options = Options(params=str(folder / "params.yaml"), settings=settings)
    assert not check_task("gsm8k", options=options)
    assert "test.jsonl:1: column 'answer' does not end in" in capsys.readouterr().out


def test_check_draws_what_a_search_takes_of_a_benchmark_that_makes_its_problems(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It has no last one, and would be drawn from for hours."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    settings = ("executor.model=big", "benchmarks.private=4", "benchmarks.test=6")
    options = Options(
        params=str(folder / "params.yaml"), settings=(*settings, "benchmarks.public=2")
    )
    assert not check_task("chain_sum", options=options)
    said = capsys.readouterr().out
    assert "ok  data: 12 different questions" in said
    assert "4 private, 2 public, 6 for the test" in said
    assert "OPENAI_API_KEY is not set" in said


def own_params(folder: Path, *settings: str, task: str, policy: str | None = None) -> Params:
    """The parameters that `w4s search --task` runs with in `folder`."""
    options = Options(params=str(folder / "params.yaml"), settings=settings)
    own = own_task_settings(task, options=options, policy=policy)
    return load_params(folder / "params.yaml", settings=(*own, *settings))


def own_task(folder: Path) -> str:
    """A task file with a comma in its path."""
    (folder / "my, tasks").mkdir()
    text = "data: d.csv\ndescription: Name a capital city.\nscorer: exact\n"
    (folder / "my, tasks/capitals.yaml").write_text(text)
    rows = "".join(f"Capital of country {i}?,City {i}\n" for i in range(20))
    (folder / "my, tasks/d.csv").write_text("question,answer\n" + rows)
    return str(folder / "my, tasks/capitals.yaml")


def test_a_search_on_a_task_sees_that_task_alone_and_trains_nothing(folder: Path) -> None:
    """The settings make valid parameters, with a workspace of the task's own."""
    task = own_task(folder)
    params = own_params(folder, task=task, policy="adapters/rwr")
    assert params.benchmarks.all == (task,)
    assert params.train.objectives == ()
    assert params.workspace == Path("runs/capitals")
    assert params.warm_start.adapter == Path("adapters/rwr").resolve()


def test_the_embedded_policy_starts_from_the_adapter_of_the_project(folder: Path) -> None:
    """Where there is one, and where nothing else is asked for."""
    task = own_task(folder)
    assert own_params(folder, task=task).warm_start.adapter is None
    (folder / "adapters/warm_start").mkdir(parents=True)
    shipped = Path("adapters/warm_start")
    assert own_params(folder, task=task).warm_start.adapter == shipped
    own = own_params(folder, "warm_start.adapter=mine", task=task)
    assert own.warm_start.adapter == Path("mine")
    assert own_params(folder, "policy.model=big", task=task).warm_start.adapter is None
    served = own_params(folder, "policy.base_url=http://here/v1", task=task)
    assert served.warm_start.adapter is None


def test_an_adapter_for_a_policy_behind_an_endpoint_is_refused(folder: Path) -> None:
    """It would be ignored otherwise."""
    with pytest.raises(ConfigError, match=r"--policy a/b: policy\.base_url is set"):
        own_params(folder, "policy.base_url=http://here/v1", task=own_task(folder), policy="a/b")


def test_a_search_on_too_few_rows_is_refused(folder: Path) -> None:
    """With the figures of the splits, before anything starts."""
    task = own_task(folder)
    (folder / "my, tasks/d.csv").write_text("question,answer\na,1\nb,2\n")
    with pytest.raises(DataError, match=r"capitals\.yaml: 2 different questions, but \d+ private"):
        own_params(folder, task=task)


def test_a_profile_keeps_its_workspace(folder: Path) -> None:
    """`--profile` decides where the run is written."""
    (folder / "profiles").mkdir()
    (folder / "profiles/boxes.yaml").write_text("workspace: elsewhere\n")
    options = Options(params=str(folder / "params.yaml"), profile="boxes")
    settings = own_task_settings(own_task(folder), options=options, policy=None)
    assert not any(setting.startswith("workspace") for setting in settings)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("search", "--task", "nowhere.yaml"), "nowhere.yaml: cannot be read as a task file"),
        (("search", "--policy", "adapters/rwr"), "--policy: goes with --task"),
    ],
)
def test_a_wrong_search_on_a_task_is_refused(
    folder: Path, arguments: tuple[str, ...], said: str
) -> None:
    """Before anything starts, with exit code 2."""
    done = w4s(folder, *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert not (folder / "runs").exists()


def test_a_judge_out_of_reach_is_refused_before_a_row_is_asked(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`judge.model` beside the embedded executor is a model of an endpoint, not the embedded one.

    A search says so, and so does a transfer; with an address of its own it is found.
    """
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    own = Path(own_task(folder))
    task = str(own.parent.rename(folder / "tasks") / own.name)  # no comma, as in a list
    text = Path(task).read_text().replace("exact", "judge")
    Path(task).write_text(text + "judge: {model: gpt-4o-mini}\n")
    said = r"judge\.model is 'gpt-4o-mini', but OPENAI_API_KEY is not set"
    with pytest.raises(EndpointError, match=said):
        check_names(own_params(folder, task=task))
    options = Options(params=str(folder / "params.yaml"))
    with pytest.raises(EndpointError, match=said):
        transfer(["direct"], executors=None, benchmarks=task, options=options)
    assert not (folder / "outputs").exists()
    Path(task).write_text(text + "judge: {model: gpt-4o-mini, base_url: 'http://here/v1'}\n")
    check_names(own_params(folder, task=task))


def test_a_transfer_is_left_with_ctrl_c_like_a_run(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a word on what is kept, the same exit code, and a log of what happened until then."""

    async def interrupted(*_: object) -> str:
        raise KeyboardInterrupt

    logs: list[Path] = []
    monkeypatch.setattr("flows.cli_transfer.log_to", logs.append)  # it would log for all tests
    monkeypatch.setattr("flows.cli_transfer._fill", interrupted)
    options = Options(params=str(folder / "params.yaml"))
    with pytest.raises(SystemExit) as left:
        transfer(["direct"], executors=None, benchmarks="gcd", options=options)
    assert left.value.code == 130
    assert "Answered calls are kept" in capsys.readouterr().err
    assert logs == [folder / "outputs" / "w4s.log"]


@pytest.mark.slow
def test_check_asks_three_rows_of_a_real_endpoint(folder: Path) -> None:
    """With the real sandbox and engine: what came back, what it costs, exit code 0."""
    w4s(folder, "init", "boxes")
    with ScriptedEndpoint(answer=lambda body, index: "The answer is 7.") as endpoint:
        done = w4s(
            folder,
            *("check", "boxes/task.yaml", "--profile", "boxes"),
            *("--set", "executor.model=big", "--set", f"executor.base_url={endpoint.base_url}"),
        )
        asked = endpoint.counters.calls
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ok  data: 30 different questions of up to " in done.stdout
    assert "characters: 12 private, 4 public, 14 for the test\n" in done.stdout
    assert "ok  scorer: right and wrong answers told apart on 3 rows" in done.stdout
    assert done.stdout.count("-> '7'") == 3
    assert "ok  cost: 1.0 calls, 15 tokens a row" in done.stdout
    assert asked == 3
