"""Cache keys of tasks: what a result depends on, spelled out; nothing that changes by chance."""

from __future__ import annotations

import ast
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from w4s.benchmarks.custom import task_judge
from w4s.config import ExecutorParams, Params, PolicyParams
from w4s.llm import weights
from w4s.llm.endpoint import endpoint_name
from w4s.llm.judging import judge_params

EMBEDDED = "embedded"
LIBRARY = Path(__file__).resolve().parent.parent / "w4s"

# what evaluating a workflow goes through, and what an episode goes through
EVALUATION_CODE = (
    "agent",
    "benchmarks",
    "evaluation",
    "llm",
    "parsing",
    "runtime",
    "sandbox",
    "seeds",
    "types",
    "workflow",
)
EPISODE_CODE = (
    *EVALUATION_CODE,
    "environment",
    "policy",
    "prompts",
    "proposals",
    "racing",
    "statistics",
    "rewards",
)


def cache_key(
    stage: str, *, code: Sequence[str], parameters: Mapping[str, Any], inputs: Mapping[str, str]
) -> str:
    """Return `stage/<sha256>` of the code's version, small named parameters and inputs' hashes.

    `code` names modules and packages of the library (`rollout`, `llm`), and the tasks' own modules
    (`tasks.search`). `parameters` holds JSON values; `inputs` the content hashes of files, models
    and earlier results.
    """
    facts = {"code": code_version(tuple(code)), "parameters": parameters, "inputs": inputs}
    canonical = json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return f"{stage}/{text_sha256(canonical)}"


@cache
def code_version(names: tuple[str, ...]) -> str:
    """Return a hash of the modules `names` that ignores comments and layout.

    Raises FileNotFoundError for a name that is neither a module nor a package.
    """
    digest = hashlib.sha256()
    for file in sorted({file for name in names for file in _sources(name)}):
        digest.update(file.relative_to(LIBRARY.parent).as_posix().encode())
        digest.update(_statements(file.read_bytes()))
    return digest.hexdigest()


@cache
def _statements(source: bytes) -> bytes:
    """Return what a module does, without comments and layout; most modules are in several keys."""
    return ast.dump(ast.parse(source)).encode()


def file_sha256(path: Path) -> str:
    """Return the hash of a file, or of a folder's files with their names."""
    digest = hashlib.sha256()
    if path.is_file():
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    for file in sorted(item for item in path.rglob("*") if item.is_file()):
        digest.update(file.relative_to(path).as_posix().encode() + b"\0")
        digest.update(file_sha256(file).encode())
    return digest.hexdigest()


def text_sha256(text: str) -> str:
    """Return the hash of `text` as UTF-8."""
    return hashlib.sha256(text.encode()).hexdigest()


def _sources(name: str) -> list[Path]:
    own = name.startswith("tasks.")
    package = LIBRARY.parent / name.replace(".", "/") if own else LIBRARY / name
    module = package.with_suffix(".py")
    if module.is_file():
        return [module]
    if package.is_dir():
        return list(package.rglob("*.py"))
    raise FileNotFoundError(f"there is no module or package {name!r}")


def executor_facts(params: Params, benchmarks: Sequence[str]) -> dict[str, Any]:
    """Return what decides the executor's replies, how workflows are cut off, and who judges.

    The version of a benchmark tells the model that its task file names, not where it is asked.
    """
    executor = params.executor
    services = (task_judge(benchmark) for benchmark in benchmarks)
    judges = [judge_params(params, service) for service in services if service is not None]
    embedded = executor.model == EMBEDDED
    return {
        "model": executor.model,
        "endpoint": _endpoint(executor),
        "max_tokens": executor.max_tokens,
        "reasoning_effort": executor.reasoning_effort,
        "weights": [weights.SHA256, params.embedded.context] if embedded else None,
        "limits": params.limits.model_dump(mode="json"),
        **({"judges": [[one.model, _endpoint(one)] for one in judges]} if judges else {}),
    }


def _endpoint(executor: ExecutorParams) -> str:
    return endpoint_name(executor, environment=os.environ)


def policy_facts(params: Params) -> dict[str, Any]:
    """Return what decides the policy's replies besides its adapter."""
    policy = params.policy
    return {
        **policy.model_dump(mode="json", exclude={"device"}),
        "weights": weights.SHA256 if policy.model == EMBEDDED else own_weights(policy),
    }


def own_weights(policy: PolicyParams) -> str | None:
    """Return the hash of a local model's folder; one behind an endpoint is its name's business."""
    folder = Path(policy.model)
    if policy.base_url is not None or not folder.is_dir():
        return None
    return _folder_sha256(folder.absolute())


@cache
def _folder_sha256(folder: Path) -> str:
    """Hash a model's weights once for a command: gigabytes take seconds."""
    return file_sha256(folder)
