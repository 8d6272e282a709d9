"""Metrics by name: those of this package, and entry points ``interest.metrics`` of others."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from eval.metrics import diversity, interests, links, pairs, ranking
from eval.metrics.base import Metric
from graphgen.errors import ConfigError, near_miss
from graphgen.plugins import load_plugin, plugins

__all__ = ["get_metric", "list_metrics", "sampled_metrics", "select_metrics"]

GROUP = "interest.metrics"
MODULES = (ranking, links, diversity, interests, pairs)


@cache
def list_metrics() -> dict[str, Metric]:
    """Return every metric, by name, in the order reports show them.

    Examples
    --------
    >>> list(list_metrics())[:3]
    ['recall', 'ndcg', 'precision']
    """
    found = {}
    for module in MODULES:
        for attribute in module.__all__:
            thing = getattr(module, attribute)
            if isinstance(thing, type) and issubclass(thing, Metric):
                found[thing.name] = thing()
    for name in plugins(GROUP):
        found.setdefault(name, load_plugin(GROUP, name, Metric)())
    first = ("recall", "ndcg", "precision", "f1", "hit-rate", "mrr", "map", "r-precision", "auc")
    return {name: found[name] for name in (*first, *(n for n in found if n not in first))}


def get_metric(name: str) -> Metric:
    """Return the metric of a name or of a column such as ``ndcg@20``.

    Raises
    ------
    ConfigError
        If there is none; the message names the near miss.

    Examples
    --------
    >>> get_metric("ndcg@20").title
    'NDCG'
    """
    key = name.partition("@")[0].lower().replace("_", "-")
    metrics = list_metrics()
    if key not in metrics:
        hint = near_miss(key, metrics, f"there are {', '.join(metrics)}.")
        raise ConfigError(f"There is no metric {name!r}; {hint}")
    return metrics[key]


def select_metrics(names: Iterable[str] | None) -> list[Metric]:
    """Return the metrics named, or for None all that are not on request; each once.

    Raises
    ------
    ConfigError
        If a name is unknown or nothing is named.
    """
    if names is None:
        return [metric for metric in list_metrics().values() if not metric.on_request]
    chosen = {
        metric.name: metric
        for metric in map(get_metric, [names] if isinstance(names, str) else names)
    }
    if not chosen:
        raise ConfigError("`metrics` is empty; leave it out for all of them.")
    return list(chosen.values())


def sampled_metrics() -> list[Metric]:
    """Return the metrics that rank against a file of negatives."""
    return [metric for metric in list_metrics().values() if "pair_rank" in metric.needs]
