"""What reasoning-gym has: names and descriptions of its data sets.

reasoning-gym is imported inside the functions: it takes about a second.
"""

from __future__ import annotations

import difflib

from w4s.errors import ConfigError


def dataset_names() -> list[str]:
    """Return the names of reasoning-gym's data sets that need no configuration."""
    import reasoning_gym  # noqa: F401  # fills DATASETS
    from reasoning_gym.factory import DATASETS

    return sorted(set(DATASETS) - {"composite"})


def check_dataset(name: str) -> None:
    """Raise ConfigError where reasoning-gym has no such data set."""
    names = dataset_names()
    if name not in names:
        close = ", ".join(difflib.get_close_matches(name, names, n=3)) or "nothing alike"
        raise ConfigError(
            f"rg:{name}: reasoning-gym has no data set {name!r} (close: {close}). "
            f"It has: {', '.join(names)}."
        )


def describe_dataset(name: str) -> str:
    """Return what the data set's class says of itself, as one line."""
    from reasoning_gym.factory import DATASETS

    check_dataset(name)
    lines = (DATASETS[name][0].__doc__ or "").strip().splitlines()
    about = lines[0].rstrip(".") if lines else "procedural problems"
    return f"reasoning-gym's {name}: {about}. The answer has the form that the question asks for."
