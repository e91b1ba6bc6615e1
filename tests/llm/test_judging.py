"""Judges: where they are asked, how often at most, and what is refused before anything is spent."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.endpoint import ScriptedEndpoint
from w4s.config import Params, load_params
from w4s.errors import BudgetError, ConfigError, EndpointError, W4SError
from w4s.llm.base import ChatReply, ChatRequest, JudgeService
from w4s.llm.calls import CallFilter, measure_calls
from w4s.llm.judging import judge_params
from w4s.llm.open import check_judge, open_executor, record_path
from w4s.types import Message

PARAMS = Path(__file__).resolve().parents[2] / "params.yaml"


def params(*settings: str) -> Params:
    return load_params(PARAMS, settings=settings)


def verdict(_: Mapping[str, Any], __: int) -> str:
    return json.dumps({"verdict": "right", "reason": "same"})


def request(text: str, judge: JudgeService | None) -> ChatRequest:
    keys = ("verdict", "reason") if judge else None
    temperature = 0.0 if judge else 0.7
    return ChatRequest((Message("user", text),), temperature, json_keys=keys, judge=judge)


async def ask(
    given: Params, folder: Path, texts: list[str], judge: JudgeService | None, **environment: str
) -> list[ChatReply | BaseException]:
    """Ask for all at once, in a workspace that is opened for it."""
    async with open_executor(given, workspace=folder, environment=environment) as executor:
        draw = "judge/own" if judge else "test/own/s0"
        calls = [executor.chat(request(text, judge), draw=draw) for text in texts]
        return await asyncio.gather(*calls, return_exceptions=True)


@pytest.mark.parametrize(
    ("judge", "settings", "reached"),
    [
        (JudgeService("t"), ("executor.model=m",), ("m", None)),
        (JudgeService("t", "big"), ("executor.model=m",), ("big", None)),
        (
            JudgeService("t", "big"),
            ("executor.model=m", "executor.base_url=http://e/v1"),
            ("big", "http://e/v1"),
        ),
        (
            JudgeService("t", "big", "http://j/v1"),
            ("executor.model=m", "executor.base_url=http://e/v1"),
            ("big", "http://j/v1"),
        ),
        (JudgeService("t", "big"), (), ("big", None)),
        (JudgeService("t"), (), ("embedded", None)),
        (
            JudgeService("t", "embedded"),
            ("executor.model=m", "executor.base_url=http://e/v1"),
            ("embedded", None),
        ),
    ],
)
def test_a_judge_is_found_by_its_own_name_and_address(
    judge: JudgeService, settings: tuple[str, ...], reached: tuple[str, str | None]
) -> None:
    """What it leaves out is the executor's; the embedded server is nobody else's address."""
    found = judge_params(params(*settings), judge)
    assert (found.model, found.base_url) == reached


def test_an_address_without_a_model_is_refused() -> None:
    """The embedded executor's name means nothing there."""
    with pytest.raises(ConfigError, match=r"t: judge\.base_url is set.*judge\.model"):
        judge_params(params(), JudgeService("t", base_url="http://j/v1"))


@pytest.mark.parametrize(
    ("judge", "settings", "error", "said"),
    [
        (
            JudgeService("t", "gpt-4o-mini"),
            (),
            EndpointError,
            r"judge\.model is 'gpt-4o-mini', but OPENAI_API_KEY is not set.*judge\.base_url",
        ),
        (JudgeService("t", "big", "judge:8000"), (), ConfigError, r"judge\.base_url: 'judge:8000'"),
        (
            JudgeService("t", "big", "http://me:pass@j:port/v1"),
            (),
            ConfigError,
            r"judge\.base_url: 'http://j:port/v1' is no address",
        ),
        (
            JudgeService("t", "big", "http://[j/v1"),
            (),
            ConfigError,
            r"judge\.base_url: 'http://\[j",
        ),
        (
            JudgeService("t", "big", "http://j/v1"),
            ("budget.usd=1",),
            BudgetError,
            r"the price of 'big' is not known",
        ),
    ],
)
def test_a_judge_out_of_reach_is_refused_before_anything_is_asked(
    judge: JudgeService, settings: tuple[str, ...], error: type[W4SError], said: str
) -> None:
    """With the parameter to mend, which is the task's."""
    with pytest.raises(error, match=said):
        check_judge(params(*settings), judge, environment={})
    check_judge(params("executor.replay=true", *settings), judge, environment={})


def test_a_judge_with_an_address_is_asked_there_and_the_executor_is_not(tmp_path: Path) -> None:
    """By its own model; the embedded executor is not even started."""
    with ScriptedEndpoint(answer=verdict) as endpoint:
        judge = JudgeService("own", "big", endpoint.base_url)
        (reply,) = asyncio.run(ask(params(), tmp_path, ["a?"], judge))
        assert [body["model"] for body in endpoint.counters.bodies] == ["big"]
    assert isinstance(reply, ChatReply)
    assert json.loads(reply.texts[0])["verdict"] == "right"


def test_a_judge_beside_the_embedded_executor_is_where_the_environment_says(
    tmp_path: Path,
) -> None:
    """`judge.model` alone is a model of OPENAI_BASE_URL, and never the embedded one."""
    with ScriptedEndpoint(answer=verdict) as endpoint:
        found = ask(
            params(), tmp_path, ["a?"], JudgeService("own", "big"),
            OPENAI_BASE_URL=endpoint.base_url,
        )  # fmt: skip
        asyncio.run(found)
        assert [body["model"] for body in endpoint.counters.bodies] == ["big"]


def test_the_executor_that_is_exchanged_still_judges(tmp_path: Path) -> None:
    """Else the verdicts of a transfer could not be compared."""
    with ScriptedEndpoint(answer=verdict) as here, ScriptedEndpoint(answer=verdict) as there:
        given = params("executor.model=old", f"executor.base_url={here.base_url}")
        changes = {"model": "new", "base_url": there.base_url}
        other = given.executor.model_copy(update=changes)
        given = given.model_copy(update={"executor": other, "judging": given.executor})
        asyncio.run(ask(given, tmp_path, ["a?"], JudgeService("own")))
        asyncio.run(ask(given, tmp_path, ["a?"], None))
        models = [[body["model"] for body in one.counters.bodies] for one in (here, there)]
    assert models == [["old"], ["new"]]


def test_the_calls_of_a_judge_bound_a_workspace_and_survive_a_restart(tmp_path: Path) -> None:
    """What is on record is free, what is new is refused; with more calls the run goes on."""
    with ScriptedEndpoint(answer=verdict) as endpoint:
        given = params("executor.model=m", f"executor.base_url={endpoint.base_url}")
        judge = JudgeService("own", "big", calls=3)
        first = asyncio.run(ask(given, tmp_path, ["a", "b"], judge))
        asyncio.run(ask(given, tmp_path, ["q"], None))  # the executor's calls are no judge's
        again = asyncio.run(ask(given, tmp_path, ["c", "a", "d", "b", "e"], judge))
        assert endpoint.counters.calls == 4
        more = asyncio.run(ask(given, tmp_path, ["d"], JudgeService("own", "big", calls=4)))
        assert endpoint.counters.calls == 5
    assert all(isinstance(reply, ChatReply) for reply in (*first, *more))
    refused = [one for one in again if isinstance(one, BudgetError)]
    assert len(refused) == 2
    assert "own: the judge was asked judge.calls = 3 times in this workspace" in str(refused[0])
    groups = measure_calls(record_path(tmp_path), CallFilter(stage="judge"), prices={})
    assert [(one.group.benchmark, one.group.model, one.usage.calls) for one in groups] == [
        ("own", "big", 4)
    ]


def test_the_last_call_answers_everybody_who_asks_the_same(tmp_path: Path) -> None:
    """Candidates that agree are judged once: who waits for the last call finds it on record."""
    with ScriptedEndpoint(answer=verdict) as endpoint:
        given = params("executor.model=m", f"executor.base_url={endpoint.base_url}")
        replies = asyncio.run(ask(given, tmp_path, ["a", "a", "a"], JudgeService("own", calls=1)))
        assert endpoint.counters.calls == 1
    assert all(isinstance(reply, ChatReply) for reply in replies)


def test_a_judge_is_replayed_without_an_endpoint_and_without_a_limit(tmp_path: Path) -> None:
    """As the executor is."""
    with ScriptedEndpoint(answer=verdict) as endpoint:
        given = params("executor.model=m", f"executor.base_url={endpoint.base_url}")
        judge = JudgeService("own", "big", calls=1)
        asked = asyncio.run(ask(given, tmp_path, ["a"], judge))
    replayed = given.model_copy(
        update={"executor": given.executor.model_copy(update={"replay": True})}
    )
    (reply,) = asyncio.run(ask(replayed, tmp_path, ["a"], judge))
    assert isinstance(reply, ChatReply)
    assert isinstance(asked[0], ChatReply)
    assert reply.texts == asked[0].texts
