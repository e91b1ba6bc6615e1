"""Adapters that are named as MLflow names them: each model is fetched once."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from tasks.keys import text_sha256
from w4s.errors import ConfigError
from w4s.files import atomic_folder
from w4s.llm.weights import cache_folder

_MODEL_ID = re.compile(r"(models:/)?(m-[0-9a-f]{32})")
_VERSION = re.compile(r"models:/(?P<name>[^/@]+)(/(?P<version>\d+)|@(?P<alias>[^/]+))")


def is_named_by_mlflow(policy: str) -> bool:
    """Return whether `policy` is a model's id or address, not a folder."""
    return policy.startswith("models:/") or _MODEL_ID.fullmatch(policy) is not None


def fetch_adapter(policy: str, *, uri: str) -> Path:
    """Return a folder with the adapter `policy` of the MLflow store at `uri`.

    `policy` is models:/NAME/VERSION, models:/NAME@ALIAS, or a logged model's id (m-…).
    Raises ConfigError where the store has no such model, or it is no adapter.
    """
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    try:
        location = _location(policy, uri)
        target = cache_folder() / "adapters" / text_sha256(location)[:16]
        if not target.is_dir():
            with TemporaryDirectory() as partial, atomic_folder(target) as folder:
                found = download_artifacts(
                    artifact_uri=location, dst_path=partial, tracking_uri=uri
                )
                if not (Path(found) / "adapter_config.json").is_file():
                    raise ConfigError(f"--policy {policy}: {location} holds no adapter.")
                shutil.copytree(found, folder, dirs_exist_ok=True)
    except (MlflowException, OSError) as error:
        raise ConfigError(
            f"--policy {policy}: MLflow ({uri}) does not have it: {error}. Name it as its page "
            "does (models:/NAME/VERSION, models:/NAME@ALIAS, m-…), or name an adapter's folder."
        ) from error
    return target


def _location(policy: str, uri: str) -> str:
    """Return where the model's files lie."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    if found := _MODEL_ID.fullmatch(policy):
        return str(client.get_logged_model(found[2]).artifact_location)
    if found := _VERSION.fullmatch(policy):
        name, version, alias = found["name"], found["version"], found["alias"]
        if version:
            return str(client.get_model_version(name, version).source)
        return str(client.get_model_version_by_alias(name, alias).source)
    raise ConfigError(f"--policy {policy}: write models:/NAME/VERSION or models:/NAME@ALIAS.")
