"""Comparing expanders: which of them finds the interests that were held out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from eval.comparison.comparison import compare_results
from eval.experiments.costs import Experiment, SystemRun
from eval.experiments.experiment import run_system
from gnn.base import Model
from gnn.interests.expanders import EXPANDERS, Expander
from gnn.interests.interests import Interests

__all__ = ["METRICS", "compare_expanders"]

METRICS = ("hit-rate", "recall", "ndcg", "auc")


def compare_expanders(
    model: Model,
    truth: Any,
    expanders: Sequence[str] = EXPANDERS,
    *,
    interests: Interests | None = None,
    k: Sequence[int] = (1, 5),
    metrics: Sequence[str] = METRICS,
    baseline: str | None = None,
    bootstrap: int = 1000,
    seed: int = 0,
    on_run: Callable[[str, SystemRun, Any], None] | None = None,
) -> Experiment:
    """Rank the interests that users do not have by several expanders, with paired tests.

    Parameters
    ----------
    model
        A fitted model of items; no row of the truth may be in its training data.
    truth
        Interests held out: `eval.evaluation.interests.read_interests`.
    expanders
        Of `gnn.interests.expanders.EXPANDERS`.
    interests
        Interests of another graph; None for those of the model.
    k, metrics, bootstrap
        As in `eval.evaluate`.
    baseline, seed, on_run
        As in `eval.experiments.experiment.compare`.
    """
    results, runs = {}, {}
    for name in expanders:
        result, run, system = run_system(
            partial(Expander, model, interests, by=name),
            truth,
            made_with=None,
            k=k,
            metrics=metrics,
            bootstrap=bootstrap,
            seed=seed,
        )
        results[name], runs[name] = result, [run]
        if on_run is not None:
            on_run(name, run, system)
    comparison = compare_results(results, baseline=baseline, bootstrap=bootstrap, seed=seed)
    return Experiment(comparison, runs)
