"""Choose the policy that the parameters name. The local one's libraries load only when used."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from w4s.config import PolicyParams
from w4s.errors import ConfigError
from w4s.policy.base import Policy

if TYPE_CHECKING:
    from w4s.policy.local import LocalPolicy


def load_policy(params: PolicyParams, *, adapter: Path | None = None) -> Policy:
    """Return the policy of `params`: an endpoint where base_url is set, else a local model.

    Raises ConfigError or WeightsError where it cannot be used.
    """
    if params.base_url is not None:
        from w4s.policy.endpoint import EndpointPolicy

        if adapter is not None:
            raise ConfigError(
                f"policy.base_url is set, so the adapter {adapter} cannot be applied here. Let the "
                "server load it (vLLM: --lora-modules NAME=PATH) and set policy.model to NAME."
            )
        return EndpointPolicy(
            params.model, base_url=params.base_url, action_tokens=params.action_tokens
        )
    return load_local_policy(params, adapter=adapter)


def load_local_policy(params: PolicyParams, *, adapter: Path | None = None) -> LocalPolicy:
    """Return the local policy of `params`. Raises ConfigError or WeightsError."""
    from w4s.policy.local import LocalPolicy
    from w4s.policy.warm_start import likely_replies

    return LocalPolicy(
        params.model,
        action_tokens=params.action_tokens,
        adapter=adapter,
        device=params.device,
        dtype=params.dtype,
        likely=likely_replies(),
    )
