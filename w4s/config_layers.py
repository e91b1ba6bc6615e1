"""Read parameter files and `section.key=value` settings, and lay the later over the earlier ones.

Knows neither which parameters there are nor their types.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from w4s.errors import ConfigError


def lay_over(files: tuple[Path, ...], settings: tuple[str, ...]) -> dict[str, Any]:
    """Return the parameters of `files`, each over those before, with `settings` over all of them.

    Raises ConfigError where a file or a setting cannot be read.
    """
    merged: dict[str, Any] = {}
    for file in files:
        merged = _merge(merged, _read(file))
    for setting in settings:
        merged = _merge(merged, _parse_setting(setting))
    return merged


def _read(path: Path) -> dict[str, Any]:
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        message = f"{path}: no such parameter file. Run in the project folder, or name one."
        raise ConfigError(message) from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: cannot be read as YAML: {error}") from error
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise ConfigError(
            f"{path}: holds a {type(loaded).__name__}; a mapping of parameters is due."
        )
    return loaded


def _parse_setting(setting: str) -> dict[str, Any]:
    name, equals, text = setting.partition("=")
    keys = name.strip().split(".")
    if not equals or not all(keys):
        raise ConfigError(
            f"--set {setting}: section.key=value is due, such as search.iterations=3."
        )
    try:
        value: Any = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {setting}: the value cannot be read as YAML.") from error
    for key in reversed(keys):
        value = {key: value}
    return dict(value)


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        merged[key] = _merge(old, value) if both else value  # type: ignore[arg-type]  # both are mappings
    return merged
