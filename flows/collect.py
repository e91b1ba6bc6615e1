"""Stage 3: play episodes on the seen benchmarks. `python -m flows.collect`."""

from __future__ import annotations

from prefect import flow

from flows.stage import run_recipes
from tasks.cached import run_task
from tasks.collect import collect_one_episode, episode_key
from tasks.context import Context
from tasks.options import PARAMS_FILE
from tasks.policies import starting_policy
from tasks.spread import run_items
from tasks.trajectories import best_accuracy, write_collection
from w4s.benchmarks.custom import benchmark_label
from w4s.trajectories import from_json
from w4s.types import Trajectory


async def collect_stage(context: Context) -> None:
    """Play all episodes with the starting policy, then write their trajectories."""
    policy = starting_policy(context.params, context.workspace)
    benchmarks, episodes = context.params.benchmarks.seen, context.params.collect.episodes
    context.progress.stage("collect", len(benchmarks) * episodes)

    async def play(item: tuple[str, int]) -> list[Trajectory]:
        benchmark, episode = item
        label = f"{benchmark_label(benchmark)}, episode {episode}"
        outcome = await run_task(
            collect_one_episode,
            context,
            item=label,
            key=episode_key(context, benchmark=benchmark, episode=episode, policy=policy),
            benchmark=benchmark,
            episode=episode,
            policy=policy,
        )
        found = [from_json(row) for row in outcome.value["trajectories"]]
        best = best_accuracy(found)
        context.progress.item(label, f"best accuracy {best:.2f}", cached=outcome.cached)
        return found

    items = [(benchmark, episode) for episode in range(episodes) for benchmark in benchmarks]
    collected = await run_items(context, items, play)
    write_collection(context, [trajectory for some in collected for trajectory in some])


@flow(name="collect")
async def collect(
    profile: str | None = None, params: str = PARAMS_FILE, settings: list[str] | None = None
) -> None:
    """Run the stage by itself."""
    await run_recipes(
        "collect", [collect_stage], params=params, profile=profile, settings=settings or []
    )


if __name__ == "__main__":
    from flows.cli import main

    main("collect")
