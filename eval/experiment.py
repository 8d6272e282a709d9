"""The whole way: train with validation, and compare systems on the same rows."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from eval.comparison import Comparison, compare_results
from eval.evaluator import evaluate
from eval.holdout import hold_out
from eval.memory import PeakMemory
from eval.monitoring import ValidationMonitor
from eval.records import records
from eval.result import EvaluationResult
from eval.single_domain import SeparateModels, migration_table, only_domain
from gnn.base import Model
from gnn.registry import make_model
from graphgen.graph import InterestGraph
from graphgen.log import InteractionLog

__all__ = ["Experiment", "SystemRun", "compare", "run_system", "train", "train_separately"]

logger = logging.getLogger(__name__)

# What is added to the name of a model that was trained in each domain on that domain alone.
ALONE = "alone"


def train(
    graph: InterestGraph,
    model: str = "interest-gnn",
    *,
    settings: Mapping[str, Any] | None = None,
    valid: InteractionLog | None = None,
    seed: int = 0,
    checkpoint: Path | None = None,
    progress: bool = False,
) -> Model:
    """Fit a model, choosing what it leaves open on rows that it is not trained on.

    Parameters
    ----------
    graph
        Everything in it is trained on in the end.
    model
        Registered name.
    settings
        Fields of the model's config.
    valid
        Rows to choose on; they must not be in the graph. None holds out rows of the graph itself
        (`eval.holdout.hold_out`), chooses on them, and then fits again on everything.
    seed
        Same seed, same result.
    checkpoint
        Folder of resumable state.
    progress
        Show progress bars.

    Returns
    -------
    Model

    Examples
    --------
    >>> import pandas as pd, graphgen
    >>> log = pd.DataFrame({"user_id": list("aabbc"), "item_id": list("xyxyx"), "domain": "book"})
    >>> train(graphgen.build_graph(log, encoder="none"), "item-knn")
    ItemKNN(fitted on 3 users)
    """
    settings = dict(settings or {})
    fresh = make_model(model, **settings)
    if valid is not None:
        monitor = ValidationMonitor(valid, seed=seed)
        return fresh.fit(
            graph, seed=seed, monitor=monitor, checkpoint=checkpoint, progress=progress
        )
    if not fresh.chooses:
        return fresh.fit(graph, seed=seed, checkpoint=checkpoint, progress=progress)
    smaller, rows = hold_out(graph, seed=seed)
    if not len(rows):
        logger.warning("No history is long enough to hold rows out; training with the defaults.")
        return fresh.fit(graph, seed=seed, checkpoint=checkpoint, progress=progress)
    logger.info("Choosing on %d held-out interactions, then fitting on all.", len(rows))
    chooser = fresh.fit(
        smaller,
        seed=seed,
        monitor=ValidationMonitor(rows, seed=seed),
        checkpoint=_beside(checkpoint, "choose"),
        progress=progress,
    )
    final = make_model(model, **{**settings, **chooser.chosen_})
    return final.fit(graph, seed=seed, checkpoint=_beside(checkpoint, "refit"), progress=progress)


def _beside(checkpoint: Path | None, stage: str) -> Path | None:
    return None if checkpoint is None else checkpoint.with_name(f"{checkpoint.name}-{stage}")


def train_separately(
    graph: InterestGraph,
    model: str,
    domains: Sequence[str],
    *,
    settings: Mapping[str, Any] | None = None,
    valid: InteractionLog | None = None,
    seed: int = 0,
    progress: bool = False,
) -> SeparateModels:
    """Fit a model in each of `domains` on that domain alone; the rest is as in `train`."""
    return SeparateModels(
        {
            domain: train(
                only_domain(graph, domain),
                model,
                settings=settings,
                valid=None if valid is None else valid.where(domain=domain),
                seed=seed,
                progress=progress,
            )
            for domain in domains
        }
    )


@dataclass
class SystemRun:
    """What one system cost and gave.

    Attributes
    ----------
    result
        Its evaluation.
    fit_seconds, score_seconds
        Wall time of training, and of ranking and scoring the test users.
    peak_megabytes
        Most memory resident while it was fitted and judged.
    model
        The fitted model; None for a file of recommendations.
    """

    result: EvaluationResult
    fit_seconds: float = 0.0
    score_seconds: float = 0.0
    peak_megabytes: float = 0.0
    model: Model | None = None


def run_system(
    name: str, make: Callable[[], Any], test: InteractionLog, **judging: Any
) -> SystemRun:
    """Make one system and judge it, and measure what that costs.

    Parameters
    ----------
    name
        What the system is called in tables.
    make
        Returns what `eval.evaluate` can judge; its time is the time of the fit.
    test
        Rows to judge by.
    **judging
        Other parameters of `eval.evaluate`.
    """
    with PeakMemory() as peak:
        started = time.perf_counter()
        system = make()
        fitted = time.perf_counter()
        result = evaluate(system, test, name=name, **judging)
    return SystemRun(
        result,
        fit_seconds=fitted - started,
        score_seconds=result.meta["seconds"]["ranking"],
        peak_megabytes=peak.megabytes,
        model=system if isinstance(system, Model) else None,
    )


@dataclass
class Experiment:
    """Every system's run, and the comparison of them."""

    comparison: Comparison
    runs: dict[str, SystemRun] = field(default_factory=dict)

    @property
    def costs(self) -> pd.DataFrame:
        """Seconds and megabytes of each system."""
        return pd.DataFrame(
            {
                "system": list(self.runs),
                "fit_seconds": [run.fit_seconds for run in self.runs.values()],
                "score_seconds": [run.score_seconds for run in self.runs.values()],
                "peak_megabytes": [run.peak_megabytes for run in self.runs.values()],
            }
        )

    def to_markdown(self) -> str:
        """Return the comparison and the costs as Markdown."""
        lines = ["| system | fit s | rank s | peak GB |", "|---|--:|--:|--:|"]
        lines += [
            f"| {name} | {run.fit_seconds:,.1f} | {run.score_seconds:,.1f} | "
            f"{run.peak_megabytes / 1000:,.2f} |"
            for name, run in self.runs.items()
        ]
        return f"{self.comparison.to_markdown()}\n\n" + "\n".join(lines)

    def save(self, path: str | Path) -> None:
        """Write the report; costs and resolved settings are part of its JSON."""
        self.comparison.meta["costs"] = self.costs.to_dict("records")
        self.comparison.meta["models"] = {
            name: {"config": run.model.config.to_dict(), "chosen": run.model.chosen_}
            for name, run in self.runs.items()
            if run.model is not None
        }
        self.comparison.save(path)


def compare(
    graph: InterestGraph,
    test: InteractionLog,
    models: Sequence[str],
    *,
    valid: InteractionLog | None = None,
    recommendations: Mapping[str, Any] | None = None,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    k: int | Sequence[int] = 20,
    by: Sequence[str] | None = None,
    baseline: str | None = None,
    single_domain: Sequence[str] | None = None,
    users: Any = None,
    seed: int = 0,
    bootstrap: int = 1000,
    progress: bool = False,
    on_run: Callable[[str, SystemRun], None] | None = None,
) -> Experiment:
    """Train models on one graph and judge them, and lists of other systems, on the same rows.

    Parameters
    ----------
    graph
        Training interactions; no row of `valid` or `test` may be in it.
    test
        Rows to judge by; never used for training or choosing.
    models
        Registered names, trained in this order.
    valid
        Rows to choose on; None holds out rows of the graph.
    recommendations
        Lists of other systems by name: a table, or a path.
    settings
        Fields of the models' configs, by model.
    k, by, bootstrap
        As in `eval.evaluate`.
    baseline
        System that the others are tested against; None tests against the best of the rest.
    single_domain
        Systems that see the target domain only: models, each trained once more in every test
        domain on that domain alone (shown as ``NAME alone``), or names of `recommendations`. The
        gain of the others over the best of these is ``comparison.meta["migration"]``.
    users
        UserTable or DataFrame with user_id and group, as in `eval.evaluate`.
    seed
        Of training, ties and intervals.
    progress
        Show progress bars.
    on_run
        Called with each system's name and run as soon as it is done.

    Returns
    -------
    Experiment
    """
    lists = dict(recommendations or {})
    runs: dict[str, SystemRun] = {}

    def fit(name: str) -> Model:
        chosen = (settings or {}).get(name)
        return train(graph, name, settings=chosen, valid=valid, seed=seed, progress=progress)

    def fit_alone(name: str) -> SeparateModels:
        return train_separately(
            graph,
            name,
            test.domains,
            settings=(settings or {}).get(name),
            valid=valid,
            seed=seed,
            progress=progress,
        )

    def run(name: str, make: Callable[[], Any]) -> None:
        runs[name] = run_system(
            name,
            make,
            test,
            k=k,
            graph=graph,
            by=by,
            users=users,
            bootstrap=bootstrap,
            seed=seed,
            progress=progress,
        )
        if on_run is not None:
            on_run(name, runs[name])

    for name in models:
        run(name, partial(fit, name))
    alone = []
    for name in single_domain or ():
        alone.append(name if name in lists else f"{name} {ALONE}")
        if name not in lists:
            run(alone[-1], partial(fit_alone, name))
    for name, table in lists.items():
        run(name, partial(_given, table))
    results = {name: each.result for name, each in runs.items()}
    comparison = compare_results(results, baseline=baseline, seed=seed)
    if alone:
        comparison.meta["migration"] = records(migration_table(results, alone, seed=seed))
    return Experiment(comparison, runs)


def _given(table: Any) -> Any:
    return table
