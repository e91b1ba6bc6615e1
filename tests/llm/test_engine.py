"""The engine over the scripted endpoint: faults, sharing, budgets, adaptation."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.endpoint import Abilities, Fault, ScriptedEndpoint, Step, mixed_faults, plain_answer
from tests.llm.engine_parts import KEY, ask_all, open_test_engine, question
from w4s.config import BudgetParams
from w4s.errors import BudgetError, EndpointError, ReplayError, SearchBudgetError
from w4s.llm.base import CallFailed
from w4s.llm.budget import Budget
from w4s.llm.limited import LimitedExecutor
from w4s.llm.record import Record
from w4s.types import Message, Usage

pytestmark = pytest.mark.anyio


def first_time_only(fault: Fault) -> Any:
    """Let each request meet the fault once."""
    seen: Counter[str] = Counter()

    def script(_: int, body: Mapping[str, Any]) -> Step:
        name = json.dumps(body["messages"])
        seen[name] += 1
        return Step(fault=fault if seen[name] == 1 else None)

    return script


@pytest.mark.parametrize(
    "fault",
    ["429", "429_retry_after", "500", "503", "drop", "hang", "malformed", "wrong_schema"],
)
async def test_a_passing_fault_changes_no_result(fault: Fault) -> None:
    """Every passing fault costs another call and nothing else."""
    requests = [question(f"q{i}", seed=i) for i in range(4)]
    with ScriptedEndpoint() as healthy, ScriptedEndpoint(first_time_only(fault)) as faulty:
        async with open_test_engine(healthy) as engine:
            expected = await ask_all(engine, requests)
        async with open_test_engine(faulty, request_timeout=0.3) as engine:
            found = await ask_all(engine, requests)
    assert [reply.texts for reply in found] == [reply.texts for reply in expected]
    assert faulty.counters.calls == 8


async def test_one_call_in_ten_failing_in_every_way_gives_the_same_result(record: Record) -> None:
    """Mixed faults end in the same replies with few extra calls."""
    requests = [question(f"q{i}", seed=i, n=1 + i % 2) for i in range(200)]
    with ScriptedEndpoint() as healthy:
        async with open_test_engine(healthy) as engine:
            expected = await ask_all(engine, requests)
    with ScriptedEndpoint(mixed_faults(0.1, seed=3)) as faulty:
        async with open_test_engine(faulty, record=record, request_timeout=0.3) as engine:
            found = await ask_all(engine, requests)
        assert [reply.texts for reply in found] == [reply.texts for reply in expected]
        assert faulty.counters.calls < 1.25 * len(requests)


@pytest.mark.parametrize("fault", ["wrong_usage", "no_usage"])
async def test_usage_that_cannot_be_believed_is_estimated_and_counted(fault: Fault) -> None:
    """A reply without usage still costs something."""
    with ScriptedEndpoint(lambda _, __: Step(fault=fault)) as endpoint:
        async with open_test_engine(endpoint) as engine:
            reply = await engine.chat(question("What is 1 + 1?"), draw="collect/gsm/x")
            assert reply.usage.completion_tokens > 0
            assert reply.usage.prompt_tokens > 0
            assert engine.totals.events["estimated_usage"] == 1


@pytest.mark.parametrize(("fault", "event"), [("empty", "empty"), ("refusal", "refused")])
async def test_a_refused_or_empty_reply_is_an_empty_text_and_counted(
    fault: Fault, event: str
) -> None:
    """Both are data for the workflow, not errors."""
    with ScriptedEndpoint(lambda _, __: Step(fault=fault)) as endpoint:
        async with open_test_engine(endpoint) as engine:
            reply = await engine.chat(question("?"), draw="collect/gsm/x")
            assert reply.texts == ("",)
            assert engine.totals.events[event] == 1


async def test_a_call_that_keeps_failing_fails_alone() -> None:
    """A poisonous request ends in CallFailed after its tries; the others are answered."""

    def script(_: int, body: Mapping[str, Any]) -> Step:
        return Step(fault="500" if "poison" in str(body["messages"]) else None)

    with ScriptedEndpoint(script) as endpoint:
        async with open_test_engine(endpoint, retries=3) as engine:
            with pytest.raises(CallFailed, match=r"500.*after 4 tries"):
                await engine.chat(question("poison"), draw="collect/gsm/x")
            assert (await engine.chat(question("fine"), draw="collect/gsm/y")).texts[0]
        assert endpoint.counters.calls == 5


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("401", "OPENAI_API_KEY"),
        ("403", "may use this model"),
        ("404", r"executor\.model \('m'\)"),
        ("quota", "quota is used up"),
    ],
)
async def test_a_fatal_refusal_ends_everything_at_once(fault: Fault, message: str) -> None:
    """A wrong key, model or quota is not tried again, by no call."""
    with ScriptedEndpoint(lambda _, __: Step(0.02, fault)) as endpoint:
        async with open_test_engine(endpoint, concurrency=2) as engine:
            calls = [engine.chat(question(f"q{i}"), draw=f"collect/gsm/{i}") for i in range(20)]
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(outcome, EndpointError) for outcome in outcomes)
        assert endpoint.counters.calls <= 2
        with pytest.raises(EndpointError, match=message):
            raise outcomes[0]  # type: ignore[misc]  # it is an exception, as asserted


async def test_an_outage_is_waited_out(caplog: pytest.LogCaptureFixture) -> None:
    """An endpoint that goes down in the middle and comes back costs no result."""
    requests = [question(f"q{i}", seed=i) for i in range(60)]
    with ScriptedEndpoint(lambda _, __: Step(0.02)) as endpoint:
        async with open_test_engine(endpoint, concurrency=4, outage_seconds=30) as engine:
            work = asyncio.create_task(ask_all(engine, requests))
            while endpoint.counters.calls < 20:
                await asyncio.sleep(0.005)
            endpoint.go_down()
            await asyncio.sleep(0.5)
            assert not work.done()
            endpoint.come_back()
            replies = await asyncio.wait_for(work, 20)
            assert engine.totals.events["outage"] > 0
        assert len(replies) == 60
        assert endpoint.counters.calls < 60 + 3 * 4


async def test_an_endpoint_down_for_good_ends_the_run_with_everything_kept(record: Record) -> None:
    """After outage_seconds there is one clear error, and the record holds what was answered."""
    with ScriptedEndpoint() as endpoint:
        async with open_test_engine(endpoint, record=record, outage_seconds=0.5) as engine:
            await ask_all(engine, [question(f"q{i}") for i in range(5)])
            endpoint.go_down()
            with pytest.raises(EndpointError, match=r"outage_seconds: 0\.5"):
                await engine.chat(question("new"), draw="collect/gsm/x")
            assert (await ask_all(engine, [question("q0")]))[0].usage.cached == 1


async def test_retry_after_is_honoured() -> None:
    """No request is sent before the time that the endpoint names."""
    loop = asyncio.get_running_loop()
    times: list[float] = []

    def script(call: int, _: Mapping[str, Any]) -> Step:
        times.append(loop.time())
        return Step(fault="429_retry_after" if call == 0 else None, retry_after_seconds=0.4)

    with ScriptedEndpoint(script) as endpoint:
        async with open_test_engine(endpoint, sleep=asyncio.sleep) as engine:
            await engine.chat(question("a"), draw="collect/gsm/a")
    assert times[1] - times[0] >= 0.39


async def test_the_configured_number_is_in_flight_and_never_more() -> None:
    """Concurrency grows to its limit and stays there."""
    with ScriptedEndpoint(lambda _, __: Step(0.05)) as endpoint:
        async with open_test_engine(endpoint, concurrency=12) as engine:
            await ask_all(engine, [question(f"q{i}") for i in range(100)])
        assert endpoint.counters.peak_in_flight == 12


@pytest.mark.parametrize("able", ["yes", "refused", "ignored"])
async def test_several_replies_are_one_request_where_the_endpoint_supports_it(
    record: Record, able: Any
) -> None:
    """What n the endpoint takes is found out once, and the replies are as many in any case."""
    with ScriptedEndpoint(abilities=Abilities(n=able)) as endpoint:
        async with open_test_engine(endpoint, record=record) as engine:
            first = await engine.chat(question("a", n=4), draw="collect/gsm/a")
            asked = endpoint.counters.calls
            second = await engine.chat(question("b", n=4), draw="collect/gsm/b")
            again = endpoint.counters.calls - asked
        assert len(set(first.texts)) == len(set(second.texts)) == 4
        assert again == (1 if able == "yes" else 4)
        async with open_test_engine(endpoint, record=record) as engine:
            before = endpoint.counters.calls
            await engine.chat(question("c", n=4), draw="collect/gsm/c")
            assert endpoint.counters.calls - before == again


@pytest.mark.parametrize(
    ("abilities", "refused"),
    [
        (Abilities(temperature=False), "temperature"),
        (Abilities(max_tokens=False), "max_tokens"),
        (Abilities(system=False), "system"),
        (Abilities(json_schema=False), "response_format"),
    ],
)
async def test_what_a_model_does_not_take_is_found_out_once(
    record: Record, abilities: Abilities, refused: str
) -> None:
    """One refusal teaches the engine to ask differently, for good."""
    messages = (Message("system", "Be brief. Reply in JSON."), Message("user", "q"))
    request = question("", json_keys=("answer",))
    with ScriptedEndpoint(abilities=abilities) as endpoint:
        for draw in ("a", "b"):
            async with open_test_engine(endpoint, record=record) as engine:
                asked = type(request)(messages, 0.7, json_keys=("answer",))
                reply = await engine.chat(asked, draw=f"collect/gsm/{draw}")
                assert json.loads(reply.texts[0]).keys() == {"answer"}
        assert endpoint.counters.refused == {refused: 1}
        assert "Be brief" in json.dumps(endpoint.counters.bodies[-1]["messages"])


async def test_without_any_json_mode_a_bad_reply_is_asked_for_once_more() -> None:
    """Prose is retried one time; the second reply counts, whatever it is."""
    answers = iter(["It is four.", 'So: {"answer": "4"}', "no", "no again"])
    abilities = Abilities(json_schema=False, json_object=False)
    with ScriptedEndpoint(answer=lambda _, __: next(answers), abilities=abilities) as endpoint:
        async with open_test_engine(endpoint) as engine:
            good = await engine.chat(question("a", json_keys=("answer",)), draw="collect/gsm/a")
            bad = await engine.chat(question("b", json_keys=("answer",)), draw="collect/gsm/b")
            assert good.texts == ('So: {"answer": "4"}',)
            assert good.usage.completion_tokens == 10
            assert bad.texts == ("no again",)
            assert engine.totals.events["json_retry"] == 2
            assert engine.totals.events["json_unusable"] == 1


async def test_usable_replies_are_kept_where_asking_again_for_the_others_fails(
    record: Record,
) -> None:
    """A broken retry of one JSON reply costs no reply that was good: a later run asks for one."""
    answers = {0: '{"answer": "4"}', 1: "no"}
    failing = True

    def script(call: int, _: Mapping[str, Any]) -> Step:
        return Step(fault="500" if failing and call > 0 else None)

    request = question("a", json_keys=("answer",), n=2)
    with ScriptedEndpoint(script, answer=lambda _, i: answers[i]) as endpoint:
        async with open_test_engine(
            endpoint, record=record, retries=0, request_timeout=30.0
        ) as engine:
            with pytest.raises(CallFailed):
                await engine.chat(request, draw="collect/gsm/a")
        failing, answers[0] = False, '{"answer": "5"}'
        async with open_test_engine(
            endpoint, record=record, retries=0, request_timeout=30.0
        ) as engine:
            reply = await engine.chat(request, draw="collect/gsm/a")
    assert reply.texts == ('{"answer": "4"}', '{"answer": "5"}')
    assert reply.usage.cached == 1


async def test_thinking_is_kept_out_of_answers_but_counted() -> None:
    """A reasoning model's thinking costs tokens and shows nowhere."""
    with ScriptedEndpoint(abilities=Abilities(thinking=True)) as endpoint:
        async with open_test_engine(endpoint, reasoning_effort="low") as engine:
            reply = await engine.chat(question("a"), draw="collect/gsm/a")
        assert reply.texts[0].startswith("The answer")
        assert reply.usage.completion_tokens == 5
        assert endpoint.counters.bodies[0]["reasoning_effort"] == "low"


# ------------------------------------------------------------------ draws and sharing


async def test_identical_requests_at_temperature_zero_are_one_call(record: Record) -> None:
    """They share a reply in flight, in the record, and whatever their draw and n."""
    request = question("a", temperature=0.0)
    with ScriptedEndpoint(lambda _, __: Step(0.05)) as endpoint:
        async with open_test_engine(endpoint, record=record) as engine:
            replies = await ask_all(engine, [request] * 10)
            several = await engine.chat(
                question("a", temperature=0.0, n=3), draw="search/gsm/elsewhere"
            )
        assert endpoint.counters.calls == 1
    assert len({reply.texts for reply in replies}) == 1
    assert several.texts == replies[0].texts * 3
    assert sum(reply.usage.cached for reply in replies) == 9


async def test_draws_above_temperature_zero_are_samples_of_their_own(record: Record) -> None:
    """Another draw is another call; the same draw is the same reply for ever."""
    with ScriptedEndpoint() as endpoint:
        async with open_test_engine(endpoint, record=record) as engine:
            one = await engine.chat(question("a", seed=1), draw="collect/gsm/a/0")
            two = await engine.chat(question("a", seed=2), draw="collect/gsm/a/1")
            again = await engine.chat(question("a", seed=99), draw="collect/gsm/a/0")
        assert endpoint.counters.calls == 2
    assert one.texts != two.texts
    assert again.texts == one.texts


# ------------------------------------------------------------------ budgets


async def test_a_budget_of_calls_holds_and_can_be_raised(record: Record) -> None:
    """Exactly that many calls are made; resuming with more pays only for the rest."""
    requests = [question(f"q{i}") for i in range(20)]
    with ScriptedEndpoint(lambda _, __: Step(0.01)) as endpoint:
        async with open_test_engine(
            endpoint, record=record, budget=BudgetParams(calls=12)
        ) as engine:
            calls = [engine.chat(r, draw=f"collect/gsm/{i}") for i, r in enumerate(requests)]
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert endpoint.counters.calls == 12
        assert sum(isinstance(outcome, BudgetError) for outcome in outcomes) == 8
        async with open_test_engine(
            endpoint, record=record, budget=BudgetParams(calls=20)
        ) as engine:
            calls = [engine.chat(r, draw=f"collect/gsm/{i}") for i, r in enumerate(requests)]
            await asyncio.gather(*calls)
        assert endpoint.counters.calls == 20


@pytest.mark.parametrize("limits", [BudgetParams(tokens=400), BudgetParams(usd=0.0004)])
async def test_tokens_and_money_are_not_overspent(limits: BudgetParams) -> None:
    """What is in flight is set aside, so that the limit holds and most of it can be used."""
    with ScriptedEndpoint() as endpoint:
        async with open_test_engine(endpoint, budget=limits) as engine:
            calls = [engine.chat(question(f"q{i}"), draw=f"c/g/{i}") for i in range(60)]
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
            usage, usd = engine.totals.usage, engine.totals.usd
    assert any(isinstance(outcome, BudgetError) for outcome in outcomes)
    assert usd is not None
    assert 300 <= usage.tokens <= 400 if limits.tokens else 0.00025 <= usd <= 0.0004


async def test_an_unknown_price_is_said_and_never_zero() -> None:
    """A budget in USD needs the price; without such a budget the cost is unknown."""
    with ScriptedEndpoint() as endpoint:
        async with open_test_engine(endpoint, budget=BudgetParams(usd=1.0), prices={}) as engine:
            with pytest.raises(BudgetError, match=r"price of 'm' is not known.*executor\.prices"):
                await engine.chat(question("a"), draw="c/g/a")
        async with open_test_engine(endpoint, prices={}) as engine:
            await engine.chat(question("a"), draw="c/g/a")
            assert engine.totals.usd is None
            assert "unknown cost" in engine.totals.line()


async def test_a_search_has_a_budget_of_its_own(record: Record) -> None:
    """It stops at the same call when it is replayed, though nothing is paid then."""
    limits = BudgetParams(calls=3)
    with ScriptedEndpoint() as endpoint:
        for endpoint_or_none in (endpoint, None):
            async with open_test_engine(endpoint_or_none, record=record) as engine:
                limited = LimitedExecutor(
                    engine, Budget(limits, name="search.budget"), model="m", max_tokens=20
                )
                for i in range(3):
                    await limited.chat(question(f"q{i}"), draw=f"search/g/{i}")
                with pytest.raises(SearchBudgetError, match=r"search\.budget\.calls = 3"):
                    await limited.chat(question("q3"), draw="search/g/3")
                assert limited.usage == Usage(3, 30, 15)
        assert endpoint.counters.calls == 3


# ------------------------------------------------------------------ replay


async def test_a_replayed_run_needs_no_endpoint_and_gives_the_same(record: Record) -> None:
    """Bit for bit, usage included."""
    requests = [question(f"q{i}", n=1 + i % 3, temperature=i % 2) for i in range(10)]
    with ScriptedEndpoint() as endpoint:
        async with open_test_engine(endpoint, record=record) as engine:
            asked = await ask_all(engine, requests)
    async with open_test_engine(None, record=record) as engine:
        replayed = await ask_all(engine, requests)
        assert engine.totals.usage.tokens == 0
    assert [r.texts for r in replayed] == [r.texts for r in asked]
    assert [r.usage.tokens for r in replayed] == [r.usage.tokens for r in asked]


async def test_a_request_that_is_not_recorded_is_an_error_with_the_difference(
    record: Record,
) -> None:
    """The nearest recorded request is shown against the one asked for."""
    with ScriptedEndpoint() as endpoint:
        async with open_test_engine(endpoint, record=record) as engine:
            await engine.chat(question("What is 3 apples?"), draw="collect/gsm/a")
            await engine.chat(question("Something else"), draw="collect/gsm/b")
    async with open_test_engine(None, record=record) as engine:
        with pytest.raises(ReplayError) as caught:
            await engine.chat(question("What is 4 apples?", temperature=0.5), draw="collect/gsm/z")
    message = str(caught.value)
    assert "-user: What is 3 apples?\n+user: What is 4 apples?" in message
    assert "- temperature: 0.7\n+ temperature: 0.5" in message


# ------------------------------------------------------------------ this machine


@pytest.mark.parametrize("proxy", ["http://127.0.0.1:1", "socks5://127.0.0.1:1"])
async def test_a_server_on_loopback_is_asked_past_the_proxy(
    monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    """A machine that reaches the package index by a proxy still reaches its own server."""
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("all_proxy", proxy)
    with ScriptedEndpoint() as endpoint:
        async with open_test_engine(endpoint, outage_seconds=0.0) as engine:
            reply = await engine.chat(question("a"), draw="collect/gsm/a")
    assert reply.texts


# ------------------------------------------------------------------ the key


async def test_the_key_is_found_nowhere(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Not in the record, the log, or an error, although the endpoint quotes it."""
    caplog.set_level(logging.DEBUG)
    record = Record(tmp_path / "executor.sqlite")
    with ScriptedEndpoint(lambda call, _: Step(fault="500" if call == 0 else None)) as endpoint:
        async with open_test_engine(endpoint, record=record) as engine:
            await engine.chat(question("a", n=2), draw="collect/gsm/a")
        assert any(KEY in headers for headers in endpoint.counters.headers)  # it was sent
        endpoint.script = lambda _, __: Step(fault="401")
        endpoint.quoted = KEY
        async with open_test_engine(endpoint, record=record) as engine:
            with pytest.raises(EndpointError) as caught:
                await engine.chat(question("b"), draw="collect/gsm/b")
    record.close()
    assert KEY not in str(caught.value)
    assert KEY not in caplog.text
    for file in tmp_path.rglob("*"):
        assert KEY.encode() not in file.read_bytes()


async def test_a_key_at_the_end_of_a_long_message_is_not_cut_in_two() -> None:
    """A message is shortened when the key is out of it: half of one would show."""
    with ScriptedEndpoint(lambda _, __: Step(fault="401")) as endpoint:
        for length in range(370, 400, 3):
            endpoint.quoted = "x" * length + KEY
            async with open_test_engine(endpoint) as engine:
                with pytest.raises(EndpointError) as caught:
                    await engine.chat(question("a"), draw="collect/gsm/a")
            assert KEY[:4] not in str(caught.value)


async def test_an_outage_does_not_show_the_key() -> None:
    """The error of an endpoint that stays overloaded quotes its last word without the key."""
    with ScriptedEndpoint(lambda _, __: Step(fault="503")) as endpoint:
        endpoint.quoted = KEY
        async with open_test_engine(endpoint, outage_seconds=0.0) as engine:
            with pytest.raises(EndpointError, match=r"scripted 503 \*\*\*") as caught:
                await engine.chat(question("a"), draw="collect/gsm/a")
    assert KEY not in str(caught.value)


def test_answers_of_the_scripted_endpoint_follow_from_the_request() -> None:
    """Runs can be compared because a reply is a function of messages and seed."""
    body = {"messages": [{"role": "user", "content": "a"}], "seed": 1}
    assert plain_answer(body, 0) == plain_answer(dict(body), 0)
    assert plain_answer(body, 0) != plain_answer({**body, "seed": 2}, 0)
