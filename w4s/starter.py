"""The files that a task of one's own starts from: rows, a task file, and a profile that uses it.

Writes files only; it overwrites none.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

import yaml

from w4s.errors import ConfigError
from w4s.files import atomic_write_text

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")

_FIGURES = (("red", 3, 4), ("green", 5, 6), ("blue", 7, 2), ("black", 9, 8), ("white", 4, 4))
_ITEMS = ("pens", "cups", "books", "chairs", "stamps", "lamps")

_TASK = """\
# A task of your own: what `w4s check` reads and `w4s search --task` works on.
data: data.csv          # or .jsonl, or hub:OWNER/NAME:SPLIT; columns question and answer
description: >-         # for the policy: what is asked, and which form an answer has
  Add up items in a short story. The answer is a whole number.
scorer: numeric         # exact, numeric, multiple_choice, contains, f1, json, unit_tests, judge,
                        # or module:function with the module beside this file
# decimal: comma        # numeric: 1.234,5 and not 1,234.5
# question: question    # other names of the two columns
# answer: answer
# judge:                # calls: the most that it is asked in all; base_url: where, if not at
#                       # the executor's address
#   {{model: gpt-4o-mini, calls: 500, criteria: "Units may be left out."}}
"""

_PROFILE = """\
# Everything for {task}: policy, executor, sizes.
# `w4s search --task` trains nothing: the embedded policy starts from the adapter that comes with
# the project, another one as it is. `w4s run --profile {name}` also trains on the task.
workspace: runs/{name}

benchmarks:
  seen: {seen}
  unseen: []
  private: 12           # validation problems that decide what is better; more say it surer
  public: 4             # validation problems that the policy may read
  test: 100             # of what is left, at most so many are kept for the final test

# executor:
#   model: gpt-4o-mini  # with OPENAI_API_KEY, and OPENAI_BASE_URL for another endpoint
#   max_tokens: 2048    # of a reply; the embedded executor's 96 would cut others short
#   prices: {{gpt-4o-mini: {{prompt: 0.15, completion: 0.60}}}}
# budget:
#   usd: 5
# limits: {{calls: 20, tokens: 50000}}   # of a workflow on one problem

# policy:                     # the embedded one unless you name another, here or behind base_url
#   model: Qwen/Qwen2.5-Coder-7B-Instruct
#   prompt: full              # a larger one reads and writes more than the embedded one
#   prompt_tokens: 16000
#   action_tokens: 4096
# warm_start:
#   adapter: runs/quickstart/adapters/rwr   # another start than adapters/warm_start
"""


@dataclass(frozen=True, slots=True)
class Starter:
    """What was written: example rows, the task file, and the profile."""

    data: Path
    task: Path
    profile: Path


def write_starter(folder: Path, *, project: Path) -> Starter:
    """Write example rows and a task file into `folder`, and a profile into `project`/profiles.

    Raises ConfigError where a file is there already, or the folder's name suits no profile.
    """
    name = folder.resolve().name
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{folder}: the folder's name becomes the profile's: letters, digits, _ and - only. "
            "Choose another: w4s init my_task."
        )
    starter = Starter(
        folder / "data.csv", folder / "task.yaml", project / "profiles" / f"{name}.yaml"
    )
    present = [str(path) for path in (starter.data, starter.task, starter.profile) if path.exists()]
    if present:
        raise ConfigError(
            f"{', '.join(present)}: already here, and nothing is overwritten. "
            "Name another folder, or delete what you do not need."
        )
    atomic_write_text(starter.data, _rows())
    atomic_write_text(starter.task, _TASK.format())
    task = starter.task.as_posix()
    seen = yaml.safe_dump([task], default_flow_style=True, allow_unicode=True, width=math.inf)
    text = _PROFILE.format(name=name, task=task, seen=seen.strip())
    atomic_write_text(starter.profile, text)
    return starter


def _rows() -> str:
    lines = ["question,answer"]
    for item in _ITEMS:
        for colour, first, second in _FIGURES:
            lines.append(
                f'"A box holds {first} {colour} {item}. Ann adds {second} {item}. '
                f'How many {item} are in the box?",{first + second}'
            )
    return "\n".join(lines) + "\n"
