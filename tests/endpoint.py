"""An OpenAI-compatible endpoint on loopback that plays a script of latencies and faults.

A real HTTP/1.1 server, fast enough that the client under test is the slower side. In a test it
runs in a thread (`ScriptedEndpoint`); in a benchmark in its own process
(`python tests/endpoint.py '{"latency_seconds": 0.2}'`, which prints its address and answers
`GET /stats`). It holds no model: a reply is a function of the request.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import sys
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal, Self

Fault = Literal[
    "429",
    "429_retry_after",
    "500",
    "503",
    "drop",
    "hang",
    "malformed",
    "wrong_schema",
    "wrong_usage",
    "no_usage",
    "empty",
    "refusal",
    "401",
    "403",
    "404",
    "quota",
]

_STATUS: dict[str, tuple[int, str]] = {
    "429": (429, "rate_limit_exceeded"),
    "429_retry_after": (429, "rate_limit_exceeded"),
    "500": (500, "server_error"),
    "503": (503, "overloaded"),
    "401": (401, "invalid_api_key"),
    "403": (403, "forbidden"),
    "404": (404, "model_not_found"),
    "quota": (429, "insufficient_quota"),
}
_REASONS = {200: "OK", 400: "Bad Request", 429: "Too Many Requests", 500: "Server Error"}


@dataclass(frozen=True, slots=True)
class Step:
    """What one request meets: a wait, then a reply or a fault."""

    latency_seconds: float = 0.0
    fault: Fault | None = None
    retry_after_seconds: float = 0.05


@dataclass(frozen=True, slots=True)
class Abilities:
    """What the endpoint takes; what it does not take is answered with 400."""

    n: Literal["yes", "refused", "ignored"] = "yes"
    json_schema: bool = True
    json_object: bool = True
    temperature: bool = True
    system: bool = True
    max_tokens: bool = True
    thinking: bool = False


Script = Callable[[int, Mapping[str, Any]], Step]
Answer = Callable[[Mapping[str, Any], int], str]


@dataclass(slots=True)
class Counters:
    """What the endpoint saw. `answered` maps a request's digest to the replies given in full."""

    calls: int = 0
    in_flight: int = 0
    peak_in_flight: int = 0
    connections: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[str] = field(default_factory=list)


def digest(body: Mapping[str, Any]) -> str:
    """Name a request by its content."""
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:16]


def plain_answer(body: Mapping[str, Any], index: int) -> str:
    """Answer with a number that follows from the messages, the seed and the choice's index."""
    text = json.dumps([body["messages"], body.get("seed"), index])
    number = int(hashlib.sha256(text.encode()).hexdigest()[:6], 16) % 1000
    if "response_format" in body or "JSON" in text:
        keys = _schema_keys(body) or ["answer"]
        return json.dumps({key: str(number) for key in keys})
    return f"The answer is {number}."


def mixed_faults(share: float, *, seed: int, latency_seconds: float = 0.0) -> Script:
    """Let a share of the calls fail, in every way that is worth another try."""
    kinds: tuple[Fault, ...] = (
        "429",
        "429_retry_after",
        "500",
        "503",
        "drop",
        "hang",
        "malformed",
        "wrong_schema",
        "wrong_usage",
        "no_usage",
    )
    rng = random.Random(seed)

    def script(_: int, __: Mapping[str, Any]) -> Step:
        fault = rng.choice(kinds) if rng.random() < share else None
        return Step(latency_seconds=latency_seconds, fault=fault)

    return script


class ScriptedEndpoint:
    """The endpoint in a thread of its own. Use it as a context manager."""

    def __init__(
        self,
        script: Script | None = None,
        *,
        answer: Answer = plain_answer,
        abilities: Abilities | None = None,
        keep_bodies: bool = True,
        port: int = 0,
    ) -> None:
        self.script: Script = script or (lambda _, __: Step())
        self.answer = answer
        self.abilities = abilities or Abilities()
        self.keep_bodies = keep_bodies
        self.quoted = ""  # stands in every error, as some endpoints quote the key
        self.counters = Counters()
        self.port = port
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._server: asyncio.Server | None = None
        self._connections: set[_Connection] = set()

    @property
    def base_url(self) -> str:
        """The address for an OpenAI client."""
        return f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._started.wait(10)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def go_down(self) -> None:
        """Close the port and every connection, as a machine that dies does."""
        asyncio.run_coroutine_threadsafe(self._go_down(), self._loop).result(10)

    def come_back(self) -> None:
        """Listen again, on the same port."""
        asyncio.run_coroutine_threadsafe(self.listen(), self._loop).result(10)

    async def _go_down(self) -> None:
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.abort()

    async def listen(self) -> None:
        """Open the port."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Connection(self), "127.0.0.1", self.port, backlog=2048
        )
        self.port = self._server.sockets[0].getsockname()[1]

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self.listen())
        self._started.set()
        self._loop.run_forever()
        self._loop.run_until_complete(self._go_down())
        self._loop.close()

    # -------------------------------------------------------------- one request

    def decide(self, body: dict[str, Any], headers: str) -> tuple[Step, int, bytes]:
        """Count a request and say what it meets: the step, the status and the body."""
        counters = self.counters
        step = self.script(counters.calls, body)
        counters.calls += 1
        counters.in_flight += 1
        counters.peak_in_flight = max(counters.peak_in_flight, counters.in_flight)
        if self.keep_bodies:
            counters.bodies.append(body)
            counters.headers.append(headers)
        if step.fault is not None:
            counters.faults[step.fault] += 1
            if step.fault in _STATUS:
                status, code = _STATUS[step.fault]
                return step, status, _error(code, f"scripted {step.fault} {self.quoted}")
        unable = self._unable(body)
        if unable is not None:
            counters.refused[unable] += 1
            return step, 400, _error("unsupported_parameter", f"Unsupported: '{unable}'", unable)
        return step, 200, self._completion(body, step.fault)

    def _unable(self, body: Mapping[str, Any]) -> str | None:
        able = self.abilities
        wanted = (body.get("response_format") or {}).get("type")
        checks = {
            "n": able.n == "refused" and body.get("n", 1) > 1,
            "response_format": (wanted == "json_schema" and not able.json_schema)
            or (wanted == "json_object" and not able.json_object),
            "temperature": not able.temperature and "temperature" in body,
            "max_tokens": not able.max_tokens and "max_tokens" in body,
            "system": not able.system and any(m["role"] == "system" for m in body["messages"]),
        }
        return next((name for name, refused in checks.items() if refused), None)

    def _completion(self, body: Mapping[str, Any], fault: Fault | None) -> bytes:
        count = body.get("n", 1) if self.abilities.n == "yes" else 1
        choices: list[dict[str, Any]] = []
        for index in range(count):
            text = self.answer(body, index)
            if self.abilities.thinking:
                text = f"<think>hm, let me see</think>{text}"
            message: dict[str, Any] = {"role": "assistant", "content": text}
            if fault == "empty":
                message["content"] = None
            if fault == "refusal":
                message = {"role": "assistant", "content": None, "refusal": "I cannot."}
            choices.append({"index": index, "message": message, "finish_reason": "stop"})
        usage: Any = {"prompt_tokens": 10, "completion_tokens": 5 * count}
        usage["total_tokens"] = sum(usage.values())
        reply: dict[str, Any] = {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": body.get("model"),
            "choices": choices,
            "usage": usage,
        }
        if fault == "wrong_usage":
            reply["usage"] = {"prompt_tokens": -7, "completion_tokens": "many"}
        if fault == "no_usage":
            del reply["usage"]
        if fault == "wrong_schema":
            reply = {"object": "chat.completion", "result": "fine"}
        return json.dumps(reply).encode()


class _Connection(asyncio.Protocol):
    """One keep-alive connection."""

    def __init__(self, endpoint: ScriptedEndpoint) -> None:
        self._endpoint = endpoint
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._endpoint._connections.add(self)
        self._endpoint.counters.connections += 1

    def connection_lost(self, error: Exception | None) -> None:
        self._endpoint._connections.discard(self)

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while True:
            head, separator, rest = self._buffer.partition(b"\r\n\r\n")
            if not separator:
                return
            start = head.lower().find(b"content-length:")
            length = int(head[start + 15 :].split(b"\r\n", 1)[0]) if start >= 0 else 0
            if len(rest) < length:
                return
            self._buffer = rest[length:]
            self._take(head, rest[:length])

    def _take(self, head: bytes, body: bytes) -> None:
        if head.startswith(b"GET"):
            counters = self._endpoint.counters
            stats = {"calls": counters.calls, "peak_in_flight": counters.peak_in_flight}
            stats["answered"] = sum(counters.answered.values())
            self._write(200, json.dumps(stats).encode(), {})
            return
        request = json.loads(body)
        step, status, reply = self._endpoint.decide(request, head.decode("latin-1"))
        loop = asyncio.get_running_loop()
        if step.latency_seconds > 0:
            loop.call_later(step.latency_seconds, self._finish, request, step, status, reply)
        else:
            self._finish(request, step, status, reply)

    def _finish(self, request: dict[str, Any], step: Step, status: int, reply: bytes) -> None:
        counters = self._endpoint.counters
        counters.in_flight -= 1
        if step.fault == "hang":
            return
        headers = {}
        if step.fault == "429_retry_after":
            headers["retry-after"] = f"{step.retry_after_seconds:g}"
        if step.fault == "malformed":
            reply = reply[: len(reply) // 2]
        if self._transport is None or self._transport.is_closing():
            return
        if step.fault == "drop":
            self._write(status, reply, headers, cut=len(reply) // 2)
            self._transport.abort()
            return
        self._write(status, reply, headers)
        if status == 200 and step.fault not in ("malformed", "wrong_schema"):
            counters.answered[digest(request)] += 1

    def _write(
        self, status: int, body: bytes, headers: Mapping[str, str], *, cut: int | None = None
    ) -> None:
        assert self._transport is not None
        lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Error')}"]
        lines += ["content-type: application/json", f"content-length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        head = ("\r\n".join(lines) + "\r\n\r\n").encode()
        self._transport.write(head + body[:cut])


def _schema_keys(body: Mapping[str, Any]) -> list[str]:
    schema = (body.get("response_format") or {}).get("json_schema", {}).get("schema", {})
    return list(schema.get("properties", {}))


def _error(code: str, message: str, param: str | None = None) -> bytes:
    kind = "insufficient_quota" if code == "insufficient_quota" else "invalid_request_error"
    error = {"message": message, "type": kind, "param": param, "code": code}
    return json.dumps({"error": error}).encode()


def main() -> None:
    """Serve in this process until standard input ends."""
    settings = json.loads(sys.argv[1]) if len(sys.argv) > 1 else {}
    latency = settings.get("latency_seconds", 0.0)
    step = Step(latency_seconds=latency)
    script: Script = lambda _, __: step  # noqa: E731
    if settings.get("fault_share"):
        script = mixed_faults(
            settings["fault_share"], seed=settings.get("seed", 0), latency_seconds=latency
        )
    with ScriptedEndpoint(script, keep_bodies=False) as endpoint:
        sys.stdout.write(endpoint.base_url + "\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main()
