"""A task of one's own: a small file, a scorer by name, and errors that name lines."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.fakes import FakeExecutor
from w4s.benchmarks.base import Benchmark
from w4s.benchmarks.code_benchmark import CodeBenchmark
from w4s.benchmarks.custom import benchmark_label, load_task, task_judge
from w4s.benchmarks.judge import Judge
from w4s.benchmarks.registry import get_benchmark
from w4s.errors import ConfigError, DataError
from w4s.llm.base import CallFailed, ChatReply, ChatRequest, JudgeService
from w4s.sandbox.host import ProcessSandbox
from w4s.types import Problem

CAPITALS = "question,answer\nCapital of France?,Paris\nCapital of Italy?,Rome\n"


def task(folder: Path, *, scorer: str = "exact", data: str = CAPITALS, **more: Any) -> Path:
    """Write a task with its data, and return the task file."""
    suffix = "jsonl" if data.lstrip().startswith("{") else "csv"
    (folder / f"data.{suffix}").write_text(data, encoding="utf-8")
    params = {
        "data": f"data.{suffix}",
        "description": "Name a capital. The answer is a city.",
        "scorer": scorer,
        **more,
    }
    path = folder / "mine.yaml"
    path.write_text(json.dumps(params), encoding="utf-8")
    return path


def lines(*rows: dict[str, Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def value(benchmark: Benchmark, answer: str) -> float:
    problem = benchmark.problems(1, seed=0)[0]
    return asyncio.run(benchmark.score(problem, answer)).value


def test_a_task_file_is_a_benchmark_by_its_path(tmp_path: Path) -> None:
    """The registry takes the path as the name and finds the data beside the file."""
    path = task(tmp_path)
    benchmark = get_benchmark(str(path))
    assert benchmark.name == str(path)
    questions = {problem.question for problem in benchmark.problems(2, seed=0)}
    assert questions == {"Capital of France?", "Capital of Italy?"}


@pytest.mark.parametrize(
    ("scorer", "row", "right", "wrong"),
    [
        ("exact", {"answer": "Paris"}, "paris.", "Rome"),
        ("contains", {"answer": "Paris"}, "It is Paris, I think", "Parisian"),
        ("f1", {"answer": "Paris"}, "paris", "Rome"),
        ("numeric", {"answer": "1,000"}, "The answer is 1000", "100"),
        ("numeric", {"answer": 0.5}, "1/2", "2"),
        ("json", {"answer": '{"a": 1}'}, '{"a": 1.0}', '{"a": 2}'),
        ("json", {"answer": {"a": [1]}}, '{"a": [1]}', "[1]"),
        ("multiple_choice", {"answer": "b"}, "(B)", "A"),
        ("multiple_choice", {"answer": "B", "options": ["Rome", "Oslo"]}, "Oslo", "Rome"),
    ],
)
def test_scorers_by_name(
    tmp_path: Path, scorer: str, row: dict[str, Any], right: str, wrong: str
) -> None:
    """Each named scorer judges right and wrong answers of a row in its form."""
    benchmark = load_task(task(tmp_path, scorer=scorer, data=lines({"question": "q", **row})))
    assert value(benchmark, right) == 1.0
    assert value(benchmark, wrong) == 0.0


@pytest.mark.parametrize(
    ("scorer", "answers", "right", "half"),
    [
        ("exact", ["Paris", "the capital"], "The capital.", 0.0),
        ("contains", ["Paris", "the capital"], "it is the capital", 0.0),
        ("numeric", [5, "7.0"], "It is 7", 0.0),
        ("f1", ["Paris", "big old town"], "a big old town", 0.5),
    ],
)
def test_any_of_several_answers_is_right(
    tmp_path: Path, scorer: str, answers: list[Any], right: str, half: float
) -> None:
    """A list is no text of brackets and quotes, which no answer would ever equal."""
    row = {"question": "q", "answer": answers}
    benchmark = load_task(task(tmp_path, scorer=scorer, data=lines(row)))
    assert benchmark.problems(1, seed=0)[0].answer == str(answers[0])
    assert value(benchmark, str(answers[0])) == value(benchmark, right) == 1.0
    assert value(benchmark, "big 6") == pytest.approx(half, abs=0.1)
    for bad in ([], [answers[0], None]):
        rows = lines({**row, "answer": bad})
        wrong = load_task(task(tmp_path, scorer=scorer, data=rows))
        with pytest.raises(DataError, match=r"is an empty list|is missing or empty"):
            wrong.problems(1, seed=0)


def test_other_column_names_are_allowed(tmp_path: Path) -> None:
    """`question` and `answer` of the task file name the columns."""
    data = "frage,antwort\nHauptstadt?,Bern\n"
    benchmark = load_task(task(tmp_path, data=data, question="frage", answer="antwort"))
    assert benchmark.problems(1, seed=0)[0].answer == "Bern"


def test_bad_rows_are_listed_with_their_lines(tmp_path: Path) -> None:
    """A scorer that cannot use a row says so before anything is spent."""
    data = "question,answer\none,1\ntwo,zwei\n,3\nfour,4\n"
    with pytest.raises(DataError) as caught:
        load_task(task(tmp_path, scorer="numeric", data=data)).problems(1, seed=0)
    message = str(caught.value)
    assert "2 of 4 rows are bad" in message
    assert "data.csv:3: column 'answer' is no number: 'zwei'" in message
    assert "data.csv:4: column 'question' is missing or empty" in message


@pytest.mark.parametrize(
    ("scorer", "given", "answer"),
    [
        ("exact", 21.0, "21"),
        ("exact", 2.5, "2.5"),
        ("exact", False, "false"),
        ("json", {"é": [1]}, '{"é": [1]}'),
        ("multiple_choice", "(b).", "B"),
    ],
)
def test_answers_are_spelled_as_workflows_answer(
    tmp_path: Path, scorer: str, given: Any, answer: str
) -> None:
    """What JSON holds beside text: a workflow that returns the same value is right."""
    path = task(tmp_path, scorer=scorer, data=lines({"question": "q", "answer": given}))
    assert load_task(path).problems(1, seed=0)[0].answer == answer


def test_a_header_may_differ_in_case(tmp_path: Path) -> None:
    """Spreadsheets begin headings with a capital."""
    problem = load_task(task(tmp_path, data="ID,Question,ANSWER \n1,q,a\n")).problems(1, seed=0)[0]
    assert (problem.question, problem.answer) == ("q", "a")


def test_a_column_that_is_not_there_is_told_from_an_empty_one(tmp_path: Path) -> None:
    """The columns that are there are named, and how the task file names another."""
    with pytest.raises(DataError) as caught:
        load_task(task(tmp_path, data="question,reply\nq,a\n")).problems(1, seed=0)
    message = "there is no column 'answer', but 'question', 'reply'; where another one holds it"
    assert message in str(caught.value)


def test_options_may_stand_in_columns_of_their_letters(tmp_path: Path) -> None:
    """Else the executor would be asked to choose among options that it never sees."""
    data = "question,A,B,C,answer\nWhich?,one,two,,B\n"
    problem = load_task(task(tmp_path, scorer="multiple_choice", data=data)).problems(1, seed=0)[0]
    assert problem.question == "Which?\n\nA. one\nB. two"
    assert problem.data["options"] == ["one", "two"]
    named = task(
        tmp_path, scorer="multiple_choice", data="Q,A,B\nWhich?,B,x\n", question="Q", answer="A"
    )
    assert load_task(named).problems(1, seed=0)[0].question == "Which?"


@pytest.mark.parametrize(
    ("scorer", "row", "message"),
    [
        ("exact", {"question": {"text": "q"}, "answer": "a"}, "'question' is a dict, no text"),
        ("numeric", {"answer": "2,5"}, "write decimal: comma into the task file"),
        ("json", {"answer": "{a}"}, "no JSON"),
        ("multiple_choice", {"answer": "Paris"}, "no letter"),
        ("multiple_choice", {"answer": "C", "options": ["x", "y"]}, "no option C among 2"),
        ("multiple_choice", {"answer": "C", "A": "x", "B": "y"}, "no option C among 2"),
        ("multiple_choice", {"answer": "A", "options": "x, y"}, "no JSON list"),
        ("unit_tests", {"entry_point": "f g", "tests": "assert f()"}, "no name of a function"),
        ("unit_tests", {"entry_point": "f", "tests": "f()"}, "holds no assert"),
        ("unit_tests", {"entry_point": "f", "tests": "assert f("}, "no Python"),
    ],
)
def test_rows_that_a_scorer_cannot_use(
    tmp_path: Path, scorer: str, row: dict[str, Any], message: str
) -> None:
    """The column and what it holds are named, with the line."""
    benchmark = load_task(task(tmp_path, scorer=scorer, data=lines({"question": "q", **row})))
    with pytest.raises(DataError, match=rf"(?s)data\.jsonl:1: .*{message}"):
        benchmark.problems(1, seed=0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scorer": "exakt"}, "unknown scorer 'exakt'. Known: exact, numeric"),
        ({"scroer": "exact"}, "unknown parameter 'scroer'. Did you mean 'scorer'?"),
        ({"description": "short"}, "description: String should have at least"),
        ({"judge": {"calls": 0}}, "judge.calls: Input should be greater than 0"),
    ],
)
def test_wrong_task_files_are_explained(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    """The file, the key and what is wrong with it are in the message."""
    path = task(tmp_path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(ConfigError, match=r"mine\.yaml(:1)?: ") as caught:
        load_task(path)
    assert message in str(caught.value)


def test_a_missing_task_file_is_named() -> None:
    """A path that leads nowhere is a configuration error, not a traceback."""
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: cannot be read as a task file"):
        get_benchmark("nowhere.yaml")


def test_a_file_that_is_no_task_file_is_told_apart(tmp_path: Path) -> None:
    """A folder, or the data in the task's place: not "unknown benchmark" with forty names."""
    task(tmp_path)
    for path in (tmp_path, tmp_path / "data.csv"):
        with pytest.raises(ConfigError, match=r"no task file\. A YAML file that names data"):
            get_benchmark(str(path))


@pytest.mark.parametrize(
    "data",
    ["hub:", "hub:owner/name", "hub:a:b:c:d", "hub::test", "hub:owner/name@:test", "hub:@abc:test"],
)
def test_a_wrong_address_on_the_hub_is_refused(tmp_path: Path, data: str) -> None:
    """The form that is due is named, before the network is asked."""
    path = task(tmp_path)
    path.write_text(json.dumps({**json.loads(path.read_text()), "data": data}))
    with pytest.raises(ConfigError, match=r"hub:OWNER/NAME\[@REVISION\]\[:CONFIG\]:SPLIT is due"):
        load_task(path).problems(1, seed=0)


@pytest.mark.parametrize(
    ("data", "asked"),
    [
        ("hub:owner/name:test", ("owner/name", None, "test", "main")),
        ("hub:owner/name:main:train[:100]", ("owner/name", "main", "train[:100]", "main")),
        ("hub:owner/name@abc123:test[10:20]", ("owner/name", None, "test[10:20]", "abc123")),
    ],
)
def test_a_data_set_of_the_hub_is_asked_for_by_its_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: str, asked: tuple[str, ...]
) -> None:
    """Revision, configuration and slice reach the hub's client; a failure says what to do here."""
    path = task(tmp_path)
    path.write_text(json.dumps({**json.loads(path.read_text()), "data": data}))
    seen = []

    def load(hub: str, config: str | None, *, split: str, revision: str) -> None:
        seen.append((hub, config, split, revision))
        raise ConnectionError("no route to host")

    module = ModuleType("datasets")
    module.load_dataset = load  # type: ignore[attr-defined]  # a stand-in without the hub
    monkeypatch.setitem(sys.modules, "datasets", module)
    with pytest.raises(DataError, match="save the rows as a"):
        load_task(path).problems(1, seed=0)
    assert seen == [asked]


def test_two_answers_to_one_question_are_refused(tmp_path: Path) -> None:
    """Both rows are named; the same answer twice is one problem."""
    data = CAPITALS + "CAPITAL OF FRANCE,Paris\ncapital of Italy?,Milan\n"
    with pytest.raises(DataError) as caught:
        load_task(task(tmp_path, data=data)).problems(1, seed=0)
    assert "1 of 4 rows are bad" in str(caught.value)
    assert "data.csv:5: asks what data.csv:3 asks" in str(caught.value)
    assert "'Milan', not 'Rome'" in str(caught.value)


def test_two_lists_of_answers_to_one_question_are_told_apart(tmp_path: Path) -> None:
    """By all that they hold: their first answers may be the same."""
    path = task(tmp_path)
    (path.parent / "data.jsonl").write_text(
        '{"question": "A vowel?", "answer": ["a", "e"]}\n{"question": "a vowel", "answer": ["a"]}\n'
    )
    path.write_text(json.dumps({**json.loads(path.read_text()), "data": "data.jsonl"}))
    with pytest.raises(DataError, match=r"\['a'\], not \['a', 'e'\]; keep one"):
        load_task(path).problems(1, seed=0)


def test_an_odd_spreadsheet_is_read_as_it_is_meant(tmp_path: Path) -> None:
    """A mark at the start, semicolons, CRLF, line breaks in quotes, more columns, repeated rows."""
    row = '7;"Größe?\nWie viel?";"1,250 €";x\r\n'
    text = "\ufeffid;question;answer;\r\n" + row + row + "8;٣ + ٤?;٧;\r\n"
    benchmark = load_task(task(tmp_path, scorer="numeric", data=text))
    problems = sorted(benchmark.problems(2, seed=0), key=lambda problem: problem.id)
    assert [problem.id for problem in problems] == ["data.csv:2", "data.csv:6"]
    assert problems[0].question == "Größe?\nWie viel?"
    for problem, right in zip(problems, ("It costs 1.250,00 €.", "7"), strict=True):
        assert asyncio.run(benchmark.score(problem, right)).value == 1.0
        assert asyncio.run(benchmark.score(problem, "1.25")).value == 0.0


def test_unit_tests_of_ones_own(tmp_path: Path) -> None:
    """Rows with entry_point, tests and public_tests become a code benchmark."""
    row = {
        "question": "Write add(a, b).",
        "entry_point": "add",
        "tests": "assert add(1, 2) == 3\nassert add(0, 0) == 0",
        "public_tests": ["assert add(1, 1) == 2"],
    }
    path = task(tmp_path, scorer="unit_tests", data=lines(row))

    async def run() -> tuple[float, float, str | None]:
        async with ProcessSandbox() as sandbox:
            benchmark = load_task(path, sandbox=sandbox)
            assert isinstance(benchmark, CodeBenchmark)
            problem = benchmark.problems(1, seed=0)[0]
            right = await benchmark.score(problem, "def add(a, b):\n    return a + b")
            wrong = await benchmark.score(problem, "def add(a, b):\n    return 3")
            public = await benchmark.public_test(problem, "def add(a, b): return 0", "add")
            return right.value, wrong.value, public

    right, wrong, public = asyncio.run(run())
    assert (right, wrong) == (1.0, 0.0)
    assert public is not None


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("return answer == reference", 1.0),
        ("return 0.25", 0.25),
        ("from w4s.types import Score; return Score(0.5, answer, 'half')", 0.5),
        ("raise KeyError('x')", 0.0),
        ("raise SystemExit(3)", 0.0),
        ("import numpy; return numpy.bool_(answer == reference)", 1.0),
        ("import numpy; return numpy.float32(0.25)", 0.25),
    ],
)
def test_a_function_of_ones_own_scores(tmp_path: Path, body: str, expected: float) -> None:
    """A module beside the task file gives verdicts as bool, number or Score."""
    name = f"own_{abs(hash(body))}"
    (tmp_path / f"{name}.py").write_text(f"def judge(question, reference, answer):\n    {body}\n")
    benchmark = load_task(task(tmp_path, scorer=f"{name}:judge", data=CAPITALS))
    problem = benchmark.problems(1, seed=0)[0]
    verdict = asyncio.run(benchmark.score(problem, problem.answer))
    assert verdict.value == expected
    assert verdict.reason


@pytest.mark.parametrize("given", ["2", "10 ** 400", "'right'", "None"])
def test_what_is_no_score_is_a_configuration_error(tmp_path: Path, given: str) -> None:
    """A number out of [0, 1], however large, and what is no number."""
    name = f"own_{abs(hash(given))}"
    (tmp_path / f"{name}.py").write_text(
        f"def f(question, reference, answer):\n    return {given}\n"
    )
    with pytest.raises(ConfigError, match=r"a bool or a number in \[0, 1\] is due"):
        value(load_task(task(tmp_path, scorer=f"{name}:f")), "x")


def test_a_coroutine_function_scores_too(tmp_path: Path) -> None:
    """A scorer that waits for something is awaited."""
    text = "async def judge(question, reference, answer):\n    return True\n"
    (tmp_path / "own_async.py").write_text(text)
    assert value(load_task(task(tmp_path, scorer="own_async:judge")), "x") == 1.0


@pytest.mark.parametrize(
    ("target", "message"),
    [("nowhere_at_all:f", "cannot import 'nowhere_at_all'"), ("json:nothing", "no function")],
)
def test_a_missing_function_is_a_configuration_error(
    tmp_path: Path, target: str, message: str
) -> None:
    """The module or the function that is missing is named when the task is loaded."""
    with pytest.raises(ConfigError, match=message):
        load_task(task(tmp_path, scorer=target))


@pytest.mark.parametrize("parameters", ["a, b", "a, b, c, d", "*, question, reference, answer"])
def test_a_function_of_other_parameters_is_a_configuration_error(
    tmp_path: Path, parameters: str
) -> None:
    """Found when the task is loaded, not as a zero for every answer."""
    (tmp_path / "own.py").write_text(f"def judge({parameters}):\n    return 1\n")
    with pytest.raises(ConfigError, match=r"'own:judge' takes \(.*called with \(question, ref"):
        load_task(task(tmp_path, scorer="own:judge"))


def test_a_module_that_cannot_be_imported_is_to_be_mended(tmp_path: Path) -> None:
    """It is there: there is no use in putting it there."""
    for text, said in (("def f(:", "SyntaxError"), ("raise SystemExit(3)", "SystemExit: 3")):
        (tmp_path / "own.py").write_text(text)
        with pytest.raises(ConfigError, match=f"cannot import 'own': {said}.* Mend it"):
            load_task(task(tmp_path, scorer="own:f"))


@pytest.mark.parametrize("given", ["7", "None", "'1'", "float('nan')", "[1]"])
def test_a_function_that_gives_no_score_is_a_configuration_error(
    tmp_path: Path, given: str
) -> None:
    """A number outside [0, 1] is refused instead of spoiling a mean."""
    text = f"def judge(question, reference, answer):\n    return {given}\n"
    (tmp_path / "own_seven.py").write_text(text)
    with pytest.raises(ConfigError, match="returned "):
        value(load_task(task(tmp_path, scorer="own_seven:judge")), "x")


def replying(text: str) -> FakeExecutor:
    return FakeExecutor(answer=lambda request, draw: text)


@pytest.mark.parametrize(
    ("reply", "expected", "reason"),
    [
        ('{"verdict": "right", "reason": "same"}', 1.0, "the judge: right: same"),
        ('{"verdict": "wrong", "reason": "other"}', 0.0, "the judge: wrong: other"),
        ('Sure: {"verdict": "Correct.", "reason": ""}', 1.0, "correct"),
        ("no JSON here", 0.0, "no verdict"),
        ("[1]", 0.0, "no verdict"),
        ("", 0.0, "no verdict"),
    ],
)
def test_a_judges_reply_becomes_a_verdict(
    tmp_path: Path, reply: str, expected: float, reason: str
) -> None:
    """Right and wrong are read; anything else is a visible zero."""
    benchmark = load_task(task(tmp_path, scorer="judge"), executor=replying(reply))
    problem = benchmark.problems(1, seed=0)[0]
    verdict = asyncio.run(benchmark.score(problem, "Paris, France"))
    assert verdict.value == expected
    assert reason in verdict.reason


def test_a_task_may_write_its_numbers_with_a_decimal_comma(tmp_path: Path) -> None:
    """References as German spreadsheets write them, with semicolons between columns."""
    data = "question;answer\nWas kostet es?;2.000\nUnd das?;12,5\n"
    benchmark = load_task(task(tmp_path, scorer="numeric", data=data, decimal="comma"))
    problems = {problem.answer: problem for problem in benchmark.problems(2, seed=0)}

    def right(reference: str, answer: str) -> float:
        return asyncio.run(benchmark.score(problems[reference], answer)).value

    assert right("2.000", "2000") == right("2.000", "Es kostet 2.000 €.") == 1.0
    assert right("2.000", "2") == right("12,5", "125") == 0.0
    assert right("12,5", "12.5") == right("12,5", "12,50 €") == 1.0


def test_how_numbers_are_written_concerns_the_numeric_scorer_alone(tmp_path: Path) -> None:
    """It would be ignored otherwise."""
    with pytest.raises(ConfigError, match="decimal goes with scorer: numeric, not 'exact'"):
        load_task(task(tmp_path, scorer="exact", decimal="comma"))


def test_the_judge_uses_its_own_model_at_temperature_zero(tmp_path: Path) -> None:
    """Model, criteria, question, reference and answer all reach the judge."""
    executor = replying('{"verdict": "right", "reason": ""}')
    path = task(tmp_path, scorer="judge", judge={"model": "big", "criteria": "Be strict."})
    benchmark = load_task(path, executor=executor)
    problem = benchmark.problems(1, seed=0)[0]
    asyncio.run(benchmark.score(problem, "my answer"))
    request, _ = executor.asked[0]
    assert (request.model, request.temperature) == ("big", 0.0)
    content = request.messages[0].content
    assert all(
        text in content for text in ("Be strict.", problem.question, problem.answer, "my answer")
    )


def test_saying_that_a_point_is_a_point_changes_no_verdict(tmp_path: Path) -> None:
    """So that results stay valid for whoever says it because `w4s check` asked; a comma does."""
    unsaid, point, comma = [
        load_task(task(tmp_path, scorer="numeric", **said)).version
        for said in ({}, {"decimal": "point"}, {"decimal": "comma"})
    ]
    assert unsaid == point != comma


def test_the_judges_requests_say_who_judges_and_how_often(tmp_path: Path) -> None:
    """Its executor keeps the budget, over all benchmarks that are made of the task."""
    executor = replying('{"verdict": "right", "reason": ""}')
    path = task(tmp_path, scorer="judge", judge={"base_url": "http://j/v1", "calls": 2})
    for _ in range(2):
        benchmark = load_task(path, executor=executor)
        asyncio.run(benchmark.score(benchmark.problems(1, seed=0)[0], "a"))
    service = JudgeService(benchmark_label(str(path)), None, "http://j/v1", 2)
    assert [request.judge for request, _ in executor.asked] == [service] * 2
    assert {draw for _, draw in executor.asked} == {f"judge/{service.task}"}
    assert task_judge(str(path)) == service
    assert task_judge(str(task(tmp_path, scorer="exact"))) is None
    assert task_judge("gsm8k") is None


def test_more_calls_for_the_judge_leave_what_was_computed_valid(tmp_path: Path) -> None:
    """The run that they ended goes on with its results; another judge's are its own."""
    versions = [
        load_task(task(tmp_path, scorer="judge", judge=judge)).version
        for judge in ({"calls": 2}, {"calls": 9}, {"calls": 9, "model": "big"})
    ]
    assert versions[0] == versions[1] != versions[2]


def test_a_judge_without_an_executor_says_so() -> None:
    """Drawing problems needs no executor, judging does."""
    with pytest.raises(ConfigError, match="needs an executor"):
        asyncio.run(Judge(None, JudgeService("t")).score(Problem("p", "b", "q", "a"), "a"))


def test_a_judge_that_cannot_be_reached_scores_zero_with_the_reason() -> None:
    """One failed call is a visible zero, not the end of the search."""

    class Down:
        async def chat(self, request: ChatRequest, *, draw: str) -> ChatReply:
            raise CallFailed("overloaded")

    verdict = asyncio.run(Judge(Down(), JudgeService("t")).score(Problem("p", "b", "q", "a"), "a"))
    assert verdict.value == 0.0
    assert "overloaded" in verdict.reason


def test_tasks_with_modules_of_one_name_keep_their_own_scorers(tmp_path: Path) -> None:
    """Each task finds the module beside it, whatever was imported before."""
    values = []
    for name, given in (("one", 1), ("two", 0)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "score.py").write_text(f"def check(q, r, a):\n    return {given}\n")
        values.append(value(load_task(task(folder, scorer="score:check")), "x"))
    assert values == [1.0, 0.0]


def test_the_version_changes_with_whatever_decides_verdicts(tmp_path: Path) -> None:
    """An edited scorer or description never meets results that were kept for the old one."""
    module = tmp_path / "score.py"
    module.write_text("def check(q, r, a):\n    return 1\n")
    path = task(tmp_path, scorer="score:check")
    versions = [load_task(path).version, load_task(path).version]
    module.write_text("def check(q, r, a):\n    return 0\n")
    versions.append(load_task(path).version)
    versions.append(load_task(task(tmp_path, scorer="exact")).version)
    assert versions[0] == versions[1]
    assert len(set(versions)) == 3


def test_a_scorer_module_that_does_not_load_is_a_configuration_error(tmp_path: Path) -> None:
    """Its mistake is named in one message."""
    (tmp_path / "broken.py").write_text("def check(:\n")
    with pytest.raises(ConfigError, match="cannot import 'broken': SyntaxError"):
        load_task(task(tmp_path, scorer="broken:check"))
