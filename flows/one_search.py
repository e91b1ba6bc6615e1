"""One search of the suite by itself. `python -m flows.one_search BENCHMARK POLICY SEED`.

For a matrix of DVC stages (experiments/dvc.yaml): its task is the one of the whole stage, so that
what either has computed is found by the other.
"""

from __future__ import annotations

from prefect import flow

from flows.search import search_one
from flows.stage import run_recipes
from tasks.context import Context
from tasks.options import PARAMS_FILE
from tasks.policies import searching_policies
from w4s.errors import ConfigError


@flow(name="one-search", flow_run_name="{benchmark}, {policy}, seed {seed}")
async def one_search(
    benchmark: str,
    policy: str,
    seed: int,
    profile: str | None = None,
    params: str = PARAMS_FILE,
    settings: list[str] | None = None,
) -> None:
    """Search a workflow for one benchmark, with one policy and one seed."""

    async def recipe(context: Context) -> None:
        choices = {one.name: one for one in searching_policies(context.params, context.workspace)}
        if policy not in choices:
            raise ConfigError(f"no policy is called {policy!r}. There are: {', '.join(choices)}.")
        await search_one(context, benchmark=benchmark, policy=choices[policy], seed=seed)

    await run_recipes("search", [recipe], params=params, profile=profile, settings=settings or [])


if __name__ == "__main__":
    from flows.cli import main

    main("one-search")
