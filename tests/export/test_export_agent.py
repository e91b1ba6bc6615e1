"""The handle of an exported workflow, over a client that answers from a function."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import openai
import pytest

from tests.fakes import FakeExecutor, FakeSandbox
from w4s.agent import CallLimits, WorkflowHandle
from w4s.export.agent import Agent, answer_of
from w4s.sandbox.base import Limits

QUESTION = [{"role": "user", "content": "1 + 1?"}]


class Client:
    """Answers with `reply(body)`, which may raise; keeps the bodies."""

    def __init__(self, reply: Callable[[dict[str, Any]], list[str]]) -> None:
        self.bodies: list[dict[str, Any]] = []
        self._reply = reply
        self.chat = SimpleNamespace(completions=SimpleNamespace(create=self._create))

    def _create(self, **body: Any) -> Any:
        self.bodies.append(body)
        texts = self._reply(body)
        choices = [SimpleNamespace(message=SimpleNamespace(content=text)) for text in texts]
        usage = SimpleNamespace(prompt_tokens=10, completion_tokens=5)
        return SimpleNamespace(choices=choices, usage=usage)


def agent(reply: Callable[[dict[str, Any]], list[str]]) -> tuple[Agent, Client]:
    client = Client(reply)
    return Agent(client, model="m", max_tokens=100), client  # type: ignore[arg-type]


def bad_request(text: str) -> openai.BadRequestError:
    response = httpx2.Response(400, request=httpx2.Request("POST", "http://x"))
    return openai.BadRequestError(text, response=response, body=None)


@pytest.mark.parametrize("operation", ["call_llm", "call_json_format_llm"])
@pytest.mark.parametrize("messages", [QUESTION, [{"role": "system", "content": "S"}, *QUESTION]])
def test_it_asks_what_the_search_asked(operation: str, messages: list[dict[str, str]]) -> None:
    """Same messages, temperature and length as the handle that the workflow was measured with."""
    arguments: dict[str, Any] = {
        "messages": messages,
        "temperature": 0.5,
        "agent_role": "expert",
        "instructions": "Be short.",
    }
    if operation == "call_json_format_llm":
        arguments["return_dict_keys"] = ["a", "b"]
    made, client = agent(lambda body: ['{"a": 1, "b": 2}'])
    getattr(made, operation)(**arguments)

    executor = FakeExecutor(answer=lambda request, draw: '{"a": 1, "b": 2}')
    handle = WorkflowHandle(
        executor=executor,
        sandbox=FakeSandbox(),
        draw="d",
        limits=CallLimits(8, 1000, 100),
        code_limits=Limits(),
    )
    asyncio.run(handle(operation, arguments))
    asked = executor.asked[0][0]
    due = [{"role": m.role, "content": m.content} for m in asked.messages]
    assert client.bodies[0]["messages"] == due
    assert client.bodies[0]["temperature"] == asked.temperature
    assert client.bodies[0]["max_tokens"] == asked.max_tokens


def test_as_many_replies_come_as_were_asked_for() -> None:
    """Also where the endpoint gives one at a time; at temperature 0 one stands for all."""
    made, client = agent(lambda body: ["text"])
    assert made.call_llm(QUESTION, num_of_response=3) == ["text"] * 3
    assert len(client.bodies) == 3
    assert made.call_llm(QUESTION, temperature=0, num_of_response=3) == ["text"] * 3
    assert len(client.bodies) == 4
    assert (made.calls, made.prompt_tokens, made.completion_tokens) == (4, 40, 20)


def test_what_a_model_refuses_is_left_out_from_then_on() -> None:
    """Reasoning models take neither temperature nor max_tokens."""

    def strict(body: dict[str, Any]) -> list[str]:
        for key in ("temperature", "max_tokens"):
            if key in body:
                raise bad_request(f"Unsupported parameter: '{key}'")
        return ["fine"]

    made, client = agent(strict)
    assert made.call_llm(QUESTION) == ["fine"]
    assert client.bodies[-1]["max_completion_tokens"] == 100
    assert made.call_llm(QUESTION) == ["fine"]
    assert len(client.bodies) == 4


def test_any_other_refusal_is_an_error_that_the_workflow_may_catch() -> None:
    """RuntimeError, as in the sandbox."""

    def refuse(body: dict[str, Any]) -> list[str]:
        raise bad_request("this content is not allowed")

    made, _ = agent(refuse)
    with pytest.raises(RuntimeError, match=r"gave no reply: .*not allowed"):
        made.call_llm(QUESTION)


def test_an_endpoint_without_choices_is_asked_once() -> None:
    """It would be asked for ever, and paid."""
    made, client = agent(lambda body: [])
    with pytest.raises(RuntimeError, match="no choices"):
        made.call_llm(QUESTION, num_of_response=3)
    assert len(client.bodies) == 1


def test_an_unusable_json_reply_is_asked_for_once_more() -> None:
    """The second reply counts; keys that are missing hold a placeholder."""
    replies = iter([["no json"], ['{"a": 1}']])
    made, client = agent(lambda body: next(replies))
    found = made.call_json_format_llm(QUESTION, return_dict_keys=["a", "b"])
    assert found == [{"a": 1, "b": "NO b IN DICTIONARY"}]
    assert client.bodies[0]["response_format"] == {"type": "json_object"}


def test_code_runs_in_a_process_without_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it prints is no result, and no key of the user's reaches it."""
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    made, _ = agent(lambda body: [])
    code = (
        "import os\ndef solution():\n    print('noise')\n"
        "    return [1 / 4, 'OPENAI_API_KEY' in os.environ, os.getcwd()]"
    )
    quarter, keyed, folder = made.execute_code(code)
    assert (quarter, keyed) == (0.25, False)
    assert not Path(folder).exists()
    assert made.execute_code("x = 20\nx + 22") == 42


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("def solution():\n    return 1 / 0", r"ZeroDivisionError.*line 2"),
        ("def solution(:", "SyntaxError"),
        ("def solution():\n    return 'x' * 10**10", "MemoryError"),
        ("import os; os._exit(3)", "ended with 3"),
    ],
)
def test_what_goes_wrong_in_code_is_told(code: str, said: str) -> None:
    """An error of its own with the line, or how the process ended."""
    made, _ = agent(lambda body: [])
    with pytest.raises(RuntimeError, match=rf"(?s)Error when executing code: .*{said}"):
        made.execute_code(code)


def test_code_that_hangs_is_ended() -> None:
    """By processor time or by the clock, whatever comes first."""
    made, _ = agent(lambda body: [])
    with pytest.raises(RuntimeError, match="Error when executing code"):
        made.execute_code("def solution():\n    while True: pass", timeout=1)


def test_a_time_that_is_none_counts_as_none() -> None:
    """As in the search, where it does not end the code before it began."""
    made, _ = agent(lambda body: [])
    code = "def solution():\n    return 7"
    assert [made.execute_code(code, timeout=given) for given in (None, 0, -9)] == [7, 7, 7]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.1 + 0.2, "0.3"), (17.99999999999999993, "18"), (2.0**50, "1125899906842624.0")],
)
def test_a_computed_number_is_read_without_its_last_bits(value: float, text: str) -> None:
    """But with every digit of a large one."""
    assert answer_of(lambda _, __: {"answer": value}, agent(lambda body: [])[0], "q") == text


def test_json_replies_hold_text_as_it_came() -> None:
    """Values are not turned into strings; call_llm gives them as JSON text."""
    made, _ = agent(lambda body: [json.dumps({"a": [1, None]})])
    assert made.call_llm(QUESTION, response_format="json") == ['{"a": [1, null]}']
    assert made.call_json_format_llm(QUESTION, return_dict_keys=["a"]) == [{"a": [1, None]}]
