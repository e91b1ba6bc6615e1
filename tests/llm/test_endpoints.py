"""Which endpoint the parameters and the environment name."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from tests.llm.engine_parts import KEY, executor_params
from w4s.config import EmbeddedParams
from w4s.errors import ConfigError, EndpointError
from w4s.llm.endpoint import Address, EmbeddedEndpoint, Endpoint, configured_endpoint

EMBEDDED = EmbeddedParams(slots=2, context=512, threads=1, port=0)


def choose(environment: dict[str, str], **changes: Any) -> Endpoint:
    return configured_endpoint(executor_params(**changes), EMBEDDED, environment=environment)


def test_the_embedded_model_needs_no_environment_and_heeds_none() -> None:
    """With nothing configured the program starts its own server."""
    assert isinstance(choose({}, model="embedded"), EmbeddedEndpoint)
    environment = {"OPENAI_BASE_URL": "http://elsewhere/v1"}
    assert isinstance(choose(environment, model="embedded"), EmbeddedEndpoint)


@pytest.mark.anyio
async def test_a_named_model_is_asked_at_the_configured_address() -> None:
    """The parameters' address comes before the environment's."""
    environment = {"OPENAI_BASE_URL": "http://env/v1", "OPENAI_API_KEY": KEY}
    assert (await choose(environment, model="m").open()).base_url == "http://env/v1"
    address = await choose(environment, model="m", base_url="http://params/v1").open()
    assert address == Address("http://params/v1", KEY)


def test_a_missing_key_or_a_wrong_address_is_said_before_any_call() -> None:
    """Both messages say what to set."""
    with pytest.raises(EndpointError, match="OPENAI_API_KEY is not set"):
        choose({}, model="m")
    with pytest.raises(ConfigError, match=r"executor\.base_url: 'host:80' is no address"):
        choose({}, model="m", base_url="host:80")


@pytest.mark.parametrize(
    "key", ["the-key\n", "the-key\r\nX-More: 1", "the\N{RIGHT SINGLE QUOTATION MARK}key"]
)
def test_a_key_that_no_header_can_hold_is_said_before_any_call(key: str) -> None:
    """Without the key itself; it could else end a request's head and begin another."""
    with pytest.raises(EndpointError, match="OPENAI_API_KEY holds a character") as error:
        choose({"OPENAI_API_KEY": key}, model="m", base_url="http://host/v1")
    assert key not in str(error.value)
    with pytest.raises(ConfigError, match="is no address"):
        choose({"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": "http://host/v1\n"}, model="m")


def test_an_address_never_shows_its_secrets() -> None:
    """Neither the key nor a password in the URL."""
    address = Address("http://me:pass-word@host/v1", KEY)
    assert KEY not in repr(address)
    assert address.shown == "http://host/v1"
    assert Address("http://me:p@ss@host/v1", KEY).shown == "http://host/v1"
    assert address.scrub(f"key {KEY}, pass-word") == "key ***, ***"


def test_an_address_never_shows_its_query() -> None:
    """Some endpoints take their key there. Without a path it could be a password as well."""
    address = Address("http://host/v1?api_key=very-secret&version=2", KEY)
    assert address.shown == "http://host/v1"
    assert address.scrub("no such key: very-secret, version 2") == "no such key: ***, version 2"
    assert Address("http://host?api_key=se@cret").shown == "http://***"


def test_the_client_is_imported_only_when_an_engine_is_opened() -> None:
    """`import w4s` stays quick."""
    code = "import sys, w4s.llm.open; sys.exit('httpx2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
