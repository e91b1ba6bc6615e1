"""The handle of a workflow over an OpenAI client alone, without record, budget and sandbox.

`execute_code` runs what the model wrote in a process of its own with limits of time, memory and
file size. That process is NOT a sandbox: it can read files and reach the network as you can. Run
the workflow in a container or on a machine of its own, or serve it with `w4s serve`.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import openai

from w4s.llm.replies import find_json_object, parse_json_reply, strip_thinking
from w4s.sandbox import extract
from w4s.sandbox.plain import spelled

CODE_SECONDS = 10
_CHILD = "import sys; sys.path.insert(0, sys.argv[1]); from {package}.child import main; main()"
_REFUSABLE = ("temperature", "max_tokens", "response_format", "n")


class Agent:
    """What a workflow gets: the language model, code execution, and readers of replies.

    `calls`, `prompt_tokens` and `completion_tokens` count what it used.
    """

    def __init__(
        self,
        client: openai.OpenAI,
        *,
        model: str,
        max_tokens: int = 2048,
        reasoning_effort: str | None = None,
    ) -> None:
        self._client = client
        self._model = model
        self._max_tokens = max_tokens
        self._more = {} if reasoning_effort is None else {"reasoning_effort": reasoning_effort}
        self._refused: set[str] = set()
        self.calls = 0
        self.prompt_tokens = 0
        self.completion_tokens = 0

    def call_llm(
        self,
        messages: Sequence[dict[str, str]],
        temperature: float = 1.0,
        num_of_response: int = 1,
        agent_role: str = "task solver",
        instructions: str = "",
        model: str | None = None,
        max_completion_tokens: int | None = None,
        response_format: str = "text",
    ) -> list[str]:
        """Return `num_of_response` text replies. Raises RuntimeError where there are none."""
        del model  # a workflow is measured with one model
        if response_format in {"json", "json_object"}:
            replies = self.call_json_format_llm(
                messages,
                temperature,
                num_of_response,
                agent_role,
                instructions=instructions,
                max_completion_tokens=max_completion_tokens,
            )
            return [json.dumps(reply, ensure_ascii=False) for reply in replies]
        sent = list(messages)
        if sent[0]["role"] != "system":
            text = f"You are a helpful {agent_role}.\n{instructions}".strip()
            sent = [{"role": "system", "content": text}, *sent]
        return self._ask(sent, temperature, num_of_response, max_completion_tokens)

    def call_json_format_llm(
        self,
        messages: Sequence[dict[str, str]],
        temperature: float = 1.0,
        num_of_response: int = 1,
        agent_role: str = "task solver",
        return_dict_keys: Sequence[str] = (),
        instructions: str = "",
        model: str | None = None,
        max_completion_tokens: int | None = None,
    ) -> list[dict[str, Any]]:
        """Return `num_of_response` dicts; a key that the model left out holds a placeholder."""
        del model
        keys = list(dict.fromkeys(return_dict_keys))
        text = (
            f"You are a helpful {agent_role}.\n"
            f"Reply in JSON format, ONLY using the keys {keys}.\n{instructions}"
        )
        sent = [{"role": "system", "content": text.strip()}, *messages]
        texts = self._ask(sent, temperature, num_of_response, max_completion_tokens, keys)
        return [parse_json_reply(reply, keys) for reply in texts]

    def execute_code(self, code: str, timeout: float | None = None) -> Any:
        """Return the value of the code's `solution()`. Raises RuntimeError with its error.

        NOT sandboxed: see the head of this file.
        """
        given = timeout if timeout is not None and timeout > 0 else CODE_SECONDS
        seconds = min(given, CODE_SECONDS)
        package = __name__.rpartition(".")[0]
        root = Path(__file__).resolve().parents[__name__.count(".")]
        command = [sys.executable, "-I", "-c", _CHILD.format(package=package), str(root)]
        with tempfile.TemporaryDirectory() as folder:
            try:
                done = subprocess.run(
                    command,
                    input=json.dumps({"code": code, "seconds": seconds}),
                    capture_output=True,
                    text=True,
                    check=False,
                    cwd=folder,
                    env={},  # no key of yours
                    timeout=seconds + 5,
                )
            except subprocess.TimeoutExpired:
                raise RuntimeError("Error when executing code: it took too long") from None
        return _outcome(done)

    def test_on_public_test(
        self, task: str, solution: str, entry_point: str, test_loop: int = 3
    ) -> dict[str, Any]:
        """Raise RuntimeError: public tests belong to a benchmark, and here is none."""
        del task, solution, entry_point, test_loop
        raise RuntimeError("there are no public tests outside a benchmark")

    @staticmethod
    def extract_answer_str(text: str) -> str:
        r"""Return the last `\boxed{}`, else the last number, else the last sentence."""
        return extract.extract_answer_str(str(text))

    @staticmethod
    def extract_code_block(text: str, entry_point: str = "solution") -> str:
        """Return the fenced block that defines `entry_point`, or ""."""
        return extract.extract_code_block(str(text), entry_point)

    def _ask(
        self,
        messages: Sequence[dict[str, str]],
        temperature: float,
        wanted: int,
        max_tokens: int | None,
        keys: Sequence[str] | None = None,
    ) -> list[str]:
        most = min(max_tokens or self._max_tokens, self._max_tokens)
        body = {
            "messages": list(messages),
            "temperature": temperature,
            "max_tokens": most,
            "n": wanted,
            **self._more,
        }
        if keys is not None:
            body["response_format"] = {"type": "json_object"}
        distinct = 1 if temperature == 0 else wanted  # at temperature 0 all would be the same
        texts: list[str] = []
        while len(texts) < distinct:
            texts += self._complete({**body, "n": distinct - len(texts)}, retry_for=keys)
        return texts[:wanted] if temperature != 0 else texts[:1] * wanted

    def _complete(self, body: dict[str, Any], *, retry_for: Sequence[str] | None) -> list[str]:
        texts = self._request(body)
        if retry_for is None or all(find_json_object(text, retry_for) for text in texts):
            return texts
        again = self._request(body)
        better = [t for t in again if find_json_object(t, retry_for)]
        return [
            text if find_json_object(text, retry_for) or not better else better.pop()
            for text in texts
        ]

    def _request(self, body: dict[str, Any]) -> list[str]:
        while True:
            sent = self._suited(body)
            try:
                reply = self._client.chat.completions.create(model=self._model, **sent)
            except openai.BadRequestError as error:
                if not self._learn(str(error), sent):
                    raise RuntimeError(f"the language model gave no reply: {error}") from error
                continue
            except (openai.APIConnectionError, openai.InternalServerError) as error:
                raise RuntimeError(f"the language model gave no reply: {error}") from error
            if not reply.choices:
                raise RuntimeError("the language model gave no reply: it sent no choices")
            self._count(reply)
            return [strip_thinking(choice.message.content or "") for choice in reply.choices]

    def _suited(self, body: dict[str, Any]) -> dict[str, Any]:
        """Return the body without what this model was found to refuse."""
        sent = {key: value for key, value in body.items() if key not in self._refused}
        if sent.get("n") == 1:
            del sent["n"]
        if "max_tokens" in self._refused:
            sent["max_completion_tokens"] = body["max_tokens"]
        return sent

    def _learn(self, error: str, sent: dict[str, Any]) -> bool:
        named = [k for k in _REFUSABLE if k in sent and re.search(rf"\b{k}\b", error)]
        self._refused.update(named[:1])
        return bool(named)

    def _count(self, reply: Any) -> None:
        self.calls += len(reply.choices)
        if reply.usage is not None:
            self.prompt_tokens += reply.usage.prompt_tokens
            self.completion_tokens += reply.usage.completion_tokens


def answer_of(workflow: Callable[[Agent, str], Any], agent: Agent, question: str) -> str:
    """Return the workflow's answer, spelled as it was when the workflow was measured.

    Raises OpenAIError of the client, and RuntimeError for whatever else the workflow raises.
    """
    try:
        result = workflow(agent, question)
        answer = (asyncio.run(result) if inspect.iscoroutine(result) else result)["answer"]
    except openai.OpenAIError:
        raise
    except Exception as error:  # a language model wrote it: it may raise anything
        raise RuntimeError(f"{type(error).__name__}: {error}") from error
    if answer is None:
        raise RuntimeError("the workflow gave None")
    return spelled(answer)


def _outcome(done: subprocess.CompletedProcess[str]) -> Any:
    try:
        outcome = json.loads(done.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        text = done.stderr.strip()[-300:] or f"the process ended with {done.returncode}"
        raise RuntimeError(f"Error when executing code: {text}") from None
    if "error" in outcome:
        raise RuntimeError(f"Error when executing code: {outcome['error']}")
    return outcome["ok"]
