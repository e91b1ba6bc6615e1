from pathlib import Path

import pytest

from w4s.errors import DataError
from w4s.trajectories import read_trajectories


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "not a trajectory"),
        ("[]", "not an object"),
        ('{"schema_version": 99}', "schema version 99"),
        ('{"schema_version": 1, "benchmark": "b"}', "Field required"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, said: str) -> None:
    """File, line and what is wrong, for files from elsewhere and from other releases."""
    path = tmp_path / "t.jsonl"
    path.write_text("\n" + line + "\n")
    with pytest.raises(DataError, match=said) as error:
        read_trajectories(path)
    assert f"{path}:2:" in str(error.value)


def test_a_missing_file_says_what_to_run(tmp_path: Path) -> None:
    """The message names the command that makes the file."""
    with pytest.raises(DataError, match="w4s collect"):
        read_trajectories(tmp_path / "none.jsonl")
