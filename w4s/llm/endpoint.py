"""Where the executor lives: an address that is configured, or the embedded server.

An endpoint is opened at the first call that needs it, so that a replayed run starts nothing.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import parse_qsl, urlsplit

from w4s.config import EmbeddedParams, ExecutorParams
from w4s.errors import ConfigError, EndpointError
from w4s.llm.embedded import EmbeddedServer

EMBEDDED_MODEL = "embedded"
_DEFAULT_BASE_URL = "https://api.openai.com/v1"
_SHORTEST_SECRET = 8  # of a query's values: "1" would make holes in every message
_UNCLEAR = re.compile(r"//[^/]*[?#][^/]*@.*")  # a password, or a query: neither is to be seen
_PORTS = {"http": 80, "https": 443}
NO_KEY = "none"  # the client wants one; a local server looks at none


@dataclass(frozen=True, slots=True)
class Address:
    """A base URL and its key, which never shows."""

    base_url: str
    api_key: str = field(default=NO_KEY, repr=False)
    organization: str | None = None
    project: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        """The headers that say who asks."""
        said = {"OpenAI-Organization": self.organization, "OpenAI-Project": self.project}
        known = {name: value for name, value in said.items() if value}
        return {"Authorization": f"Bearer {self.api_key}", **known}

    @property
    def shown(self) -> str:
        """The address without a user's name and password, and without a query."""
        if _UNCLEAR.search(self.base_url):
            return _UNCLEAR.sub("//***", self.base_url)
        return re.sub(r"//[^/]*@", "//", self.base_url).partition("?")[0].partition("#")[0]

    @property
    def name(self) -> str:
        """The endpoint's name in the record: scheme, host, port where unusual, path."""
        parts = urlsplit(self.base_url)
        host = parts.hostname or ""
        host = f"[{host}]" if ":" in host else host
        port = "" if parts.port in (None, _PORTS.get(parts.scheme)) else f":{parts.port}"
        return f"{parts.scheme}://{host}{port}{parts.path.rstrip('/')}"

    def scrub(self, text: str) -> str:
        """Return `text` without key, password and query, should an endpoint quote them."""
        parts = urlsplit(self.base_url)
        values = [value for _, value in parse_qsl(parts.query) if len(value) >= _SHORTEST_SECRET]
        key = "" if self.api_key == NO_KEY else self.api_key
        secrets = [key, parts.password, parts.query, *values]
        for secret in filter(None, secrets):
            text = text.replace(secret, "***")
        return text


class Endpoint(Protocol):
    """Something with an address."""

    @property
    def name(self) -> str:
        """What its replies are recorded under; the same wherever the server happens to listen."""
        ...

    async def open(self) -> Address:
        """Return the address, starting what is behind it where that is ours."""
        ...

    def trouble(self) -> str | None:
        """Say why it can never answer again, or None where that is not known."""
        ...

    async def close(self) -> None:
        """End what `open` started."""
        ...


class RemoteEndpoint:
    """An address that somebody else serves."""

    def __init__(self, address: Address) -> None:
        self._address = address

    @property
    def name(self) -> str:
        """The address, in one spelling and without secrets."""
        return self._address.name

    async def open(self) -> Address:
        """Return the address."""
        return self._address

    def trouble(self) -> str | None:
        """Return None: whether it comes back is not known."""
        return None

    async def close(self) -> None:
        """Do nothing."""


class EmbeddedEndpoint:
    """The embedded server, started when it is opened."""

    def __init__(self, params: EmbeddedParams) -> None:
        self._server = EmbeddedServer(params)

    @property
    def name(self) -> str:
        """ "embedded": the port is another one each time."""
        return EMBEDDED_MODEL

    async def open(self) -> Address:
        """Start the server. Raises WeightsError or EndpointError."""
        return Address(await asyncio.to_thread(self._server.start))

    def trouble(self) -> str | None:
        """Say so where the server's process has ended."""
        return self._server.trouble()

    async def close(self) -> None:
        """End the server."""
        self._server.close()


def endpoint_name(executor: ExecutorParams, *, environment: Mapping[str, str]) -> str:
    """Return the name of the endpoint that the parameters and `environment` lead to.

    It is a part of what identifies a reply: the same model behind another address is another
    executor. Checks nothing; raises ConfigError for an address with a port that is none.
    """
    if executor.model == EMBEDDED_MODEL and executor.base_url is None:
        return EMBEDDED_MODEL
    base_url = executor.base_url or environment.get("OPENAI_BASE_URL") or _DEFAULT_BASE_URL
    address = Address(base_url)
    try:
        return address.name
    except ValueError as error:
        raise _no_address(address) from error


def configured_endpoint(
    executor: ExecutorParams,
    embedded: EmbeddedParams,
    *,
    environment: Mapping[str, str],
    section: str = "executor",
) -> Endpoint:
    """Return the endpoint that the parameters name; messages tell to mend those of `section`.

    `OPENAI_BASE_URL`, `OPENAI_API_KEY`, `OPENAI_ORG_ID` and `OPENAI_PROJECT_ID` are read from
    `environment`, here alone. The model
    "embedded" without a `base_url` is the embedded server whatever the environment holds.

    Raises ConfigError for an address that is none, EndpointError where the key is missing.
    """
    if executor.model == EMBEDDED_MODEL and executor.base_url is None:
        return EmbeddedEndpoint(embedded)
    configured = executor.base_url or environment.get("OPENAI_BASE_URL")
    base_url = configured or _DEFAULT_BASE_URL
    _check_address(Address(base_url), section)
    for name in ("OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
        value = environment.get(name, "")
        if not (value.isascii() and value.isprintable()):
            raise EndpointError(
                f"{name} holds a character that no request can carry, such as a line break at "
                "its end. Set it again."
            )
    key = environment.get("OPENAI_API_KEY")
    if not key and not configured:
        raise EndpointError(
            f"{section}.model is {executor.model!r}, but OPENAI_API_KEY is not set. Set it, or "
            f"{section}.base_url for a server without a key, or {section}.model: embedded."
        )
    return RemoteEndpoint(
        Address(
            base_url,
            key or NO_KEY,
            organization=environment.get("OPENAI_ORG_ID"),
            project=environment.get("OPENAI_PROJECT_ID"),
        )
    )


def _check_address(address: Address, section: str) -> None:
    try:
        parts = urlsplit(address.base_url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port or an IPv6 address that is none; it quotes what may be a password
        raise _no_address(address, section) from None
    if not good or not address.base_url.isprintable():
        raise _no_address(address, section)


def _no_address(address: Address, section: str = "executor") -> ConfigError:
    return ConfigError(
        f"{section}.base_url: {address.shown!r} is no address; it should look like https://host/v1."
    )
