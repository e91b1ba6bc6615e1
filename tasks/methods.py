"""Which finished workflows the final test compares, in the order of the table."""

from __future__ import annotations

from tasks.policies import ENDPOINT, UNTRAINED, WARM_START
from tasks.results import Method
from tasks.searches import Searches
from w4s.config import Params
from w4s.workflow import builtin_workflow

_NAMES = {
    "direct": "direct answer",
    "chain_of_thought": "chain of thought",
    "random": "search, random sampling",
    "adas": "search, archive (ADAS)",
    "aflow": "search, tree (AFlow)",
    WARM_START: "search, warm-started policy",
    UNTRAINED: "search, untrained policy",
    ENDPOINT: "search, policy of the endpoint",
}


def finished_methods(params: Params, searches: Searches) -> list[Method]:
    """Return baselines, the best example and every policy's search, for each benchmark."""
    policies = dict.fromkeys(search.policy for search in searches.searches)
    methods: list[Method] = []
    for benchmark in params.benchmarks.all:
        methods += [_baseline(benchmark, name) for name in params.evaluate.baselines]
        methods.append(_best_example(benchmark, searches))
        methods += [_search(benchmark, policy, searches) for policy in policies]
    return methods


def _baseline(benchmark: str, name: str) -> Method:
    label = _NAMES.get(name, name.replace("_", " "))
    return Method(benchmark, label, builtin_workflow(name).code)


def _best_example(benchmark: str, searches: Searches) -> Method:
    best = searches.best_example(benchmark)
    code = builtin_workflow(best.example).code
    return Method(benchmark, "best example", code, validation=best.accuracy)


def _search(benchmark: str, policy: str, searches: Searches) -> Method:
    result = searches.of(benchmark, policy).result
    label = _NAMES.get(policy, f"search, trained policy ({policy})")
    return Method(
        benchmark, label, result.code, validation=result.accuracy, search_usage=result.usage
    )
