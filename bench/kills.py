"""Kill a run of the whole method many times, start it again each time, compare what comes out.

python -m bench.kills                 thirty SIGKILLs at random moments; some minutes
python -m bench.kills --kills 5 --seed 3 --keep FOLDER

A scripted endpoint stands for executor and policy; command line, flow, server, sandbox and files
are the real ones. A run that nobody disturbs is the yardstick. Moments are spread over its work
(replies of the endpoint, lines of progress); where a moment is already past when a run starts, it
is killed while it starts. Ends with exit code 1 where anything differs, was computed twice, is cut
off or left over.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # has no stubs
import yaml
from mlflow import MlflowClient

from tests.endpoint import ScriptedEndpoint, Step
from tests.flows.scripted import answer, environment, write_project

COMMAND = [sys.executable, "-m", "flows.cli", "run"]
FOUND = "(found finished)"
LATENCY_SECONDS = 0.05
START_SECONDS = 12.0  # how long a start takes at most that is to be killed
JITTER_SECONDS = 0.3
LINGER_SECONDS = 20.0  # what a killed run started has to be gone by then
LARGER = {
    "benchmarks": {"private": 8, "test": 8},
    "collect": {"episodes": 3, "candidates": 3},
    "search": {"iterations": 3},
}
# what may differ: time that passed, what was paid in this process, and logs
UNEQUAL = {"w4s.log", "costs.json", ".lock"}
_SECONDS = re.compile(r'"seconds": [0-9.e-]+')


@dataclass(slots=True)
class Attempt:
    """A run of the command: what it said until now."""

    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)

    @property
    def told(self) -> set[str]:
        """What its progress tells of work done, without what was spent until then."""
        own = [line for line in self.lines if line.startswith("  ") and FOUND not in line]
        return {line.split(";")[0] for line in own}


def main() -> None:
    """Run, kill, compare, print."""
    arguments = _arguments()
    with _folder(arguments.keep) as root, _endpoint() as endpoint:
        calm = _project(root / "calm", endpoint)
        with _started(calm) as attempt:
            _finish(attempt)
        asked = endpoint.counters.calls
        work = asked + len(attempt.told)
        print(f"undisturbed: {asked} requests, {len(attempt.told)} lines of progress", flush=True)
        killed = _project(root / "killed", endpoint)
        rng = random.Random(arguments.seed)
        moments = sorted(rng.uniform(0, work) for _ in range(arguments.kills))
        problems = play(killed, moments, endpoint, rng)
        again = endpoint.counters.calls - 2 * asked
        print(f"asked again, because no reply was on record yet: {again} of {asked} requests")
        problems += compare(calm / "outputs", killed / "outputs")
    for problem in problems:
        print(f"PROBLEM {problem}")
    print(f"{arguments.kills} kills: {len(problems) or 'no'} problems")
    raise SystemExit(bool(problems))


def play(
    project: Path, moments: Sequence[float], endpoint: ScriptedEndpoint, rng: random.Random
) -> list[str]:
    """Kill a run of `project` at each of `moments`, let the last one end; return what was wrong."""
    problems: list[str] = []
    begun = endpoint.counters.calls
    told: set[str] = set()
    kept: dict[Path, tuple[int, str]] = {}
    for number, moment in enumerate(moments, 1):
        with _started(project) as attempt:
            due = moment + begun - len(told)
            if endpoint.counters.calls >= due:
                time.sleep(rng.uniform(0, START_SECONDS))
            while attempt.process.poll() is None:
                if endpoint.counters.calls + len(attempt.told - told) >= due:
                    break
                time.sleep(0.01)
            time.sleep(rng.uniform(0, JITTER_SECONDS))
            problems += _kill(attempt, f"kill {number}")
        told |= attempt.told
        problems += _changed(project, kept)
        where = attempt.lines[-1].strip() if attempt.lines else "its start"
        done = endpoint.counters.calls - begun
        print(f"kill {number}: {done} requests, {len(kept)} tasks, at {where!r}", flush=True)
    with _started(project) as attempt:
        _finish(attempt)
    found = sum(FOUND in line for line in attempt.lines)
    print(f"the last run found {found} items finished")
    return [*problems, *_changed(project, kept), *_open_runs(project)]


def compare(calm: Path, killed: Path) -> list[str]:
    """Return where the outputs differ, and what is cut off or left over."""
    ours, theirs = _contents(calm), _contents(killed)
    problems = [f"{name}: only in one of the two" for name in ours.keys() ^ theirs.keys()]
    problems += [
        f"{name}: differs" for name in ours.keys() & theirs.keys() if ours[name] != theirs[name]
    ]
    left = [*killed.rglob("*.tmp"), *killed.rglob("*.old"), *killed.rglob("*-journal")]
    problems += [f"{path}: left over" for path in left]
    for path in killed.rglob("*.json"):
        json.loads(path.read_bytes())
    return problems


# ------------------------------------------------------------ what is compared


def _contents(outputs: Path) -> dict[str, str]:
    """Return a hash of each output, and of the record's rows, without what may differ."""
    found: dict[str, str] = {}
    for path in sorted(item for item in outputs.rglob("*") if item.is_file()):
        name = path.relative_to(outputs).as_posix()
        if name in UNEQUAL or name.startswith((".cache/", "record/")):
            continue
        found[name] = hashlib.sha256(_without_seconds(path)).hexdigest()
    for path in sorted((outputs / "record").glob("*.sqlite")):
        found[f"record/{path.name}"] = _rows(path)
    for path in sorted((outputs / ".cache" / "tasks").rglob("*")):
        if path.is_file():
            found[f".cache/{path.parent.name}/{path.name}"] = "a task's result"
    return found


def _without_seconds(path: Path) -> bytes:
    data = path.read_bytes()
    if path.name in ("table.json", "searches.json"):
        return _SECONDS.sub("", data.decode()).encode()
    if path.name in ("table.csv", "table.md", "report.html"):
        return re.sub(rb"[0-9]+", b"", data)  # seconds stand among other figures
    return data


def _rows(path: Path) -> str:
    """Return a hash of what a record holds, in no order and without times."""
    told: list[str] = []
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        for table in ("requests", "replies", "failures"):
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            kept = ", ".join(name for name in columns if name not in ("seconds", "created"))
            rows = connection.execute(f"SELECT {kept} FROM {table}")  # own names
            told += sorted(f"{table} {row!r}" for row in rows)
    return hashlib.sha256("\n".join(told).encode()).hexdigest()


def _changed(project: Path, kept: dict[Path, tuple[int, str]]) -> list[str]:
    """Return finished results that were written a second time; take the new ones into `kept`."""
    problems = []
    for path in (project / "outputs" / ".cache" / "tasks").rglob("*"):
        if not path.is_file():
            continue
        data = path.read_bytes()
        now = (path.stat().st_mtime_ns, hashlib.sha256(data).hexdigest())
        if kept.get(path, now) != now:
            problems.append(f"{path.relative_to(project)}: computed twice")
        if _is_json(data):
            kept[path] = now
        else:
            print(f"cut off, to be computed again: {path.relative_to(project)}")
    return problems


def _open_runs(project: Path) -> list[str]:
    """Return the runs in MLflow that nobody ended."""
    client = MlflowClient(tracking_uri=f"sqlite:///{project / 'mlflow.db'}")
    ids = [one.experiment_id for one in client.search_experiments()]
    found = client.search_runs(ids, "attributes.status = 'RUNNING'")
    return [f"{run.info.run_name}: still running, says MLflow" for run in found]


def _is_json(data: bytes) -> bool:
    try:
        json.loads(data)
    except ValueError:
        return False
    return True


# ------------------------------------------------------------ processes


@contextmanager
def _started(project: Path) -> Iterator[Attempt]:
    with subprocess.Popen(
        COMMAND,
        cwd=project,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        attempt = Attempt(process)
        reader = threading.Thread(target=_read, args=(attempt,), daemon=True)
        reader.start()
        yield attempt
        process.wait()
        reader.join(LINGER_SECONDS)


def _read(attempt: Attempt) -> None:
    assert attempt.process.stderr is not None
    for line in attempt.process.stderr:
        attempt.lines.append(line)


def _kill(attempt: Attempt, name: str) -> list[str]:
    """Kill the process group; return what it started that does not go by itself."""
    if attempt.process.poll() is not None:
        said = "".join(attempt.lines[-5:])
        return [f"{name}: the run ended by itself with {attempt.process.returncode}: {said}"]
    others = psutil.Process(attempt.process.pid).children(recursive=True)
    os.killpg(attempt.process.pid, signal.SIGKILL)
    _, alive = psutil.wait_procs(others, timeout=LINGER_SECONDS)
    return [f"{name}: {process} is still there" for process in alive]


def _finish(attempt: Attempt) -> None:
    if attempt.process.wait():
        raise SystemExit(f"the run failed:\n{''.join(attempt.lines[-20:])}")


@contextmanager
def _endpoint() -> Iterator[ScriptedEndpoint]:
    step = Step(latency_seconds=LATENCY_SECONDS)
    with ScriptedEndpoint(lambda _, __: step, answer=answer, keep_bodies=False) as endpoint:
        yield endpoint


@contextmanager
def _folder(keep: str | None) -> Iterator[Path]:
    if keep is not None:
        yield Path(keep).resolve()
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def _project(folder: Path, endpoint: ScriptedEndpoint) -> Path:
    write_project(folder, endpoint)
    file = folder / "params.yaml"
    params = yaml.safe_load(file.read_text())
    for section, values in LARGER.items():
        params[section].update(values)
    file.write_text(yaml.safe_dump(params, sort_keys=False))
    return folder


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--keep", help="run in this folder, and leave it")
    return parser.parse_args()


if __name__ == "__main__":
    main()
