from pathlib import Path

import pytest

from w4s.config import load_params
from w4s.errors import ConfigError

PARAMS = Path(__file__).parent.parent / "params.yaml"


def test_the_shipped_parameters_are_valid() -> None:
    """params.yaml and its mirror agree."""
    assert load_params(PARAMS).collect.candidates == 5


def test_the_shipped_profiles_are_valid() -> None:
    """Every overlay lies over params.yaml without an unknown key."""
    profiles = sorted((PARAMS.parent / "profiles").glob("*.yaml"))
    assert profiles
    for profile in profiles:
        load_params(PARAMS, overlays=(profile,))


def test_a_misspelt_key_is_named_with_file_line_and_suggestion(tmp_path: Path) -> None:
    """The message leads to the key."""
    text = PARAMS.read_text().replace("  candidates:", "  candidate:")
    path = tmp_path / "params.yaml"
    path.write_text(text)
    line = next(n for n, row in enumerate(text.splitlines(), 1) if "  candidate:" in row)
    with pytest.raises(ConfigError) as error:
        load_params(path)
    assert f"{path}:{line}: unknown parameter 'collect.candidate'" in str(error.value)
    assert "Did you mean 'candidates'?" in str(error.value)


def test_a_value_out_of_bounds_is_shown(tmp_path: Path) -> None:
    """Overlay, line, key and the offending value."""
    overlay = tmp_path / "o.yaml"
    overlay.write_text("collect:\n  turns: 0\n")
    with pytest.raises(ConfigError, match=r"o\.yaml:2: collect\.turns: .*found 0"):
        load_params(PARAMS, overlays=(overlay,))


@pytest.mark.parametrize(("text", "said"), [("- 1", "holds a list"), ("a: [", "YAML")])
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, text: str, said: str) -> None:
    """A broken file is one message, not a traceback."""
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=said):
        load_params(path)


def test_a_setting_goes_over_the_files() -> None:
    """The last word is the command line's."""
    params = load_params(PARAMS, settings=("search.seeds=[3, 4]", "seed=7"))
    assert (params.search.seeds, params.seed) == ((3, 4), 7)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("search.iteration=3", "--set search.iteration=3: unknown parameter 'search.iteration'"),
        ("collect.turns=0", "--set collect.turns=0: collect.turns: .*found 0"),
        ("limits.cpu_seconds=.inf", "limits.cpu_seconds: .*finite"),
        ("turns", "--set turns: section.key=value is due"),
        ("seed=[", "--set seed=\\[: the value cannot be read"),
    ],
)
def test_a_wrong_setting_is_named(setting: str, said: str) -> None:
    """The message shows the option as it was typed."""
    with pytest.raises(ConfigError, match=said):
        load_params(PARAMS, settings=(setting,))
