"""The mirror of `params.yaml`: every parameter, its type and its bounds.

Reads and checks; it neither applies parameters nor fills in what the environment holds
(keys and addresses of endpoints are read by the process that talks to them).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from w4s.config_errors import explain_invalid
from w4s.config_layers import lay_over
from w4s.errors import ConfigError


class Section(BaseModel):
    """A part of the parameters: frozen, finite, unknown keys forbidden."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False, allow_inf_nan=False)


def _each_once(values: tuple[Any, ...]) -> tuple[Any, ...]:
    for value in values:
        if values.count(value) > 1:
            raise ValueError(f"{value!r} is there more than once")
    return values


# what is named twice would be run, or counted, twice: two searches that are one have no spread
_EACH_ONCE = AfterValidator(_each_once)


class BenchmarkParams(Section):
    """Which benchmarks, and how many problems of each."""

    seen: tuple[str, ...] = Field(min_length=1)
    unseen: tuple[str, ...] = ()
    private: int = Field(gt=0)
    public: int = Field(gt=0)
    test: int = Field(gt=0)
    data_dir: Path | None = None

    @property
    def all(self) -> tuple[str, ...]:
        """Seen, then unseen ones, each once."""
        return tuple(dict.fromkeys((*self.seen, *self.unseen)))


class Price(Section):
    """USD for a million tokens."""

    prompt: float = Field(ge=0)
    completion: float = Field(ge=0)


class ExecutorParams(Section):
    """The executor and how to talk to its endpoint. Times in seconds."""

    model: str
    base_url: str | None = None
    max_tokens: int = Field(gt=0)
    concurrency: int = Field(gt=0)
    request_timeout: float = Field(gt=0)
    connect_timeout: float = Field(gt=0)
    retries: int = Field(ge=0)
    requests_per_minute: int | None = Field(default=None, gt=0)
    tokens_per_minute: int | None = Field(default=None, gt=0)
    outage_seconds: float = Field(ge=0)
    prices: dict[str, Price] = Field(default_factory=dict)
    reasoning_effort: str | None = None
    replay: bool = False


class EmbeddedParams(Section):
    """The llama.cpp server that the program starts itself. `context` is of one slot."""

    slots: int = Field(gt=0)
    context: int = Field(ge=256)
    threads: int = Field(gt=0)
    port: int = Field(ge=0, le=65535)


class BudgetParams(Section):
    """The most that a run may spend; None is no limit."""

    calls: int | None = Field(default=None, ge=0)
    tokens: int | None = Field(default=None, ge=0)
    usd: float | None = Field(default=None, ge=0)


class LimitParams(Section):
    """What one workflow may use on one problem."""

    wall_seconds: float = Field(gt=0)
    cpu_seconds: float = Field(gt=0)
    memory_mb: int = Field(ge=64)
    output_kb: int = Field(gt=0)
    calls: int = Field(gt=0)
    tokens: int = Field(gt=0)


class SandboxParams(Section):
    """How many programs run at once, and whether isolation may be missing."""

    workers: int = Field(gt=0)
    disposable_machine: bool = False


class PolicyParams(Section):
    """The small model that designs workflows."""

    model: str
    base_url: str | None = None
    prompt: Literal["full", "compact"]
    prompt_tokens: int = Field(ge=256)
    action_tokens: int = Field(ge=32)
    device: str = "auto"
    dtype: Literal["auto", "float32", "bfloat16"] = "float32"


class WarmStartParams(Section):
    """Behaviour cloning of a small policy from a grammar of workflows."""

    enabled: bool
    adapter: Path | None = None
    samples: int = Field(gt=0)
    epochs: int = Field(gt=0)
    learning_rate: float = Field(gt=0)
    batch_tokens: int = Field(gt=0)
    rank: int = Field(gt=0)


class CollectParams(Section):
    """Trajectories: episodes of windows of T turns with m candidates each."""

    episodes: int = Field(gt=0)
    windows: int = Field(gt=0)
    turns: int = Field(gt=0)
    candidates: int = Field(gt=0)
    corrections: int = Field(ge=0)
    temperature: float = Field(gt=0)
    min_accuracy: float | None = None
    racing: bool = False


class RewardParams(Section):
    """Which reward, and what is subtracted from it."""

    kind: Literal["discrete", "continuous"]
    low_accuracy_penalty: float = Field(ge=0)
    safety_weight: float = Field(ge=0)


Objective = Literal["rwr", "sft", "sft_best"]
Rival = Literal["random", "adas", "aflow"]


class TrainParams(Section):
    """Offline training on trajectories. `temperature` is the τ of exp(reward/τ).

    Without objectives nothing is trained: searches use the starting policy alone.
    """

    objectives: Annotated[tuple[Objective, ...], _EACH_ONCE]
    temperature: float = Field(gt=0)
    epochs: int = Field(gt=0)
    learning_rate: float = Field(gt=0)
    warmup_ratio: float = Field(ge=0, le=1)
    batch_tokens: int = Field(gt=0)
    accumulation: int = Field(default=1, gt=0)  # batches of one optimiser step
    lora: bool
    rank: int = Field(gt=0)
    gradient_checkpointing: bool


class SearchParams(Section):
    """Iterations in windows of T turns, for each seed; the best of `candidates` moves on.

    The paper samples one candidate an iteration. A local policy samples a few in one batch.
    `rivals` are other searches to run with the starting policy. `budget` is the most that one
    search may spend on the executor; one that has spent it ends with what it has found.
    """

    iterations: int = Field(gt=0)
    candidates: int = Field(default=1, gt=0)
    turns: int = Field(gt=0)
    corrections: int = Field(ge=0)
    temperature: float = Field(gt=0)
    seeds: Annotated[tuple[int, ...], _EACH_ONCE] = Field(min_length=1)
    rivals: Annotated[tuple[Rival, ...], _EACH_ONCE] = ()
    budget: BudgetParams = Field(default_factory=BudgetParams)


class EvaluateParams(Section):
    """Baselines of the final test, and candidates sampled of each policy to compare them."""

    baselines: Annotated[tuple[str, ...], _EACH_ONCE]
    first_candidates: int = Field(ge=0)


class ExperimentParams(Section):
    """What the experiments by name vary: seeds of the learning curve, T, other executors.

    An executor is MODEL, MODEL@BASE_URL, `embedded` or `policy`, as in `w4s transfer`.
    """

    seeds: Annotated[tuple[int, ...], _EACH_ONCE] = Field(default=(0, 1, 2), min_length=1)
    turns: Annotated[tuple[Annotated[int, Field(gt=0)], ...], _EACH_ONCE] = Field(
        default=(1, 2, 3, 4), min_length=1
    )
    executors: tuple[str, ...] = ()


class SpreadParams(Section):
    """Where the items of collection, search and evaluation are computed.

    `dask` means worker processes: `workers` on this machine, or those of the scheduler at
    `address` (tcp://host:8786), which see the same folders.
    """

    runner: Literal["local", "dask"] = "local"
    workers: int = Field(default=2, gt=0)
    address: str | None = None


class TrackingParams(Section):
    """Where MLflow keeps its runs; None is a SQLite file in the workspace's parent."""

    uri: str | None = None
    experiment: str


class Params(Section):
    """Everything that decides a result."""

    seed: int = Field(ge=0)
    workspace: Path
    benchmarks: BenchmarkParams
    executor: ExecutorParams
    embedded: EmbeddedParams
    budget: BudgetParams
    limits: LimitParams
    sandbox: SandboxParams
    policy: PolicyParams
    warm_start: WarmStartParams
    examples: tuple[str, ...] = Field(min_length=1)
    collect: CollectParams
    reward: RewardParams
    train: TrainParams
    search: SearchParams
    evaluate: EvaluateParams
    experiments: ExperimentParams = ExperimentParams()
    spread: SpreadParams = SpreadParams()
    tracking: TrackingParams
    # not for files: the configured executor, where another one takes its place; it judges
    judging: ExecutorParams | None = None


def load_params(
    path: Path, *, overlays: tuple[Path, ...] = (), settings: tuple[str, ...] = ()
) -> Params:
    """Read `path`, lay the overlay files and then `section.key=value` settings over it; check.

    Raises ConfigError naming file and line, or the setting, of everything that is wrong.
    """
    files = (path, *overlays)
    merged = lay_over(files, settings)
    try:
        return Params.model_validate(merged)
    except ValidationError as error:
        raise ConfigError(explain_invalid(error, Params, files=files, settings=settings)) from error
