"""Comparing systems: models are trained, and all are evaluated on the same rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from eval.comparison.comparison import compare_results, migration_table
from eval.evaluation.catalogue import GraphContext
from eval.evaluation.evaluator import evaluate
from eval.evaluation.inputs import read_table, read_truth, with_groups
from eval.evaluation.result import EvaluationResult
from eval.evaluation.sources import ListSource
from eval.experiments.costs import Experiment, PeakMemory, SystemRun
from eval.experiments.single_domain import SeparateModels, train_separately
from gnn.base import Model
from gnn.registry import make_model
from graphgen.errors import ConfigError, UnknownIdError
from graphgen.graph import InterestGraph, as_graph
from graphgen.log import InteractionLog
from graphgen.progress import progress_bar, show_progress
from graphgen.schema import DOMAIN

__all__ = ["compare", "run_system"]

# Suffix of the name of a model that was fitted on each domain alone.
ALONE = "alone"


def run_system(
    make: Callable[[], Any], truth: Any, *, made_with: int | None, **options: Any
) -> tuple[EvaluationResult, SystemRun, Any]:
    """Make one system, evaluate it, and measure the cost.

    Parameters
    ----------
    make
        Returns a system for `eval.evaluate`; its time is the time of the fit.
    truth
        Test rows, as `eval.evaluate` takes them.
    made_with
        Seed of its training; None for a file of recommendations.
    **options
        Other parameters of `eval.evaluate`, `graph` among them.

    Returns
    -------
    result, run, system

    Raises
    ------
    UnknownIdError
        If a model is to be evaluated in a domain that the graph in `options` does not have; raised
        before the training.
    """
    asked = set(read_table(truth, (DOMAIN,), "The truth")[DOMAIN].astype(str))
    strange = [] if made_with is None else sorted(asked.difference(options["graph"].domains))
    if strange:
        raise UnknownIdError(
            f"The graph does not have {', '.join(map(repr, strange))}, of which there are test "
            "rows. Name such items in a file of items, or leave these rows out."
        )
    with PeakMemory() as peak:
        started, spent = time.perf_counter(), time.process_time()
        system = make()
        fitted, spent = time.perf_counter(), time.process_time() - spent
        result = evaluate(system, truth, **options)
    model = system if isinstance(system, Model) else None
    run = SystemRun(
        fit_seconds=fitted - started,
        fit_cpu_seconds=spent,
        score_seconds=result.meta["seconds"]["ranking"],
        peak_megabytes=peak.megabytes,
        seed=made_with,
        config=None if model is None else model.config.to_dict(),
        chosen=None if model is None else dict(model.chosen_),
    )
    return result, run, system


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
    metrics: Sequence[str] | None = None,
    graded: bool = False,
    seed: int = 0,
    seeds: Sequence[int] | None = None,
    bootstrap: int = 1000,
    progress: bool = False,
    on_run: Callable[[str, SystemRun, Any], None] | None = None,
) -> Experiment:
    """Fit models on one graph; evaluate them, and lists of other systems, on the same rows.

    A fitted model is released once evaluated, so memory does not grow with their number.

    Parameters
    ----------
    graph
        Training interactions; no row of `valid` or `test` may be in it.
    test
        Test rows; never used for training or choosing.
    models
        Registered names, trained in this order.
    valid
        Rows to choose on; None holds out rows of the graph.
    recommendations
        Lists of other systems by name: a table, or a path.
    settings
        Fields of the models' configs, by model.
    k, by, metrics, graded, bootstrap
        As in `eval.evaluate`.
    users
        UserTable or DataFrame with user_id and group: groups are compared.
    baseline
        System that the others are tested against; None tests against the best of the rest.
    single_domain
        Systems that see the target domain only: models, each trained once more in every test
        domain on that domain alone (shown as ``NAME alone``), or names of `recommendations`. The
        gain of the others over the best of these is ``comparison.migration``.
    seed
        Of training, ties and intervals.
    seeds
        Seeds of training: each model is trained once with each, and its runs are pooled
        (`eval.pool_seeds`); default `seed` alone.
    progress
        Show progress bars.
    on_run
        Called with each system's name, run, and the fitted model (or the lists), as soon as it is
        evaluated.

    Raises
    ------
    ConfigError
        If `seeds` is empty or holds a seed twice.
    """
    graph, models = as_graph(graph), [models] if isinstance(models, str) else models
    training = [seed] if seeds is None else list(seeds)
    if not training or len(set(training)) < len(training):
        raise ConfigError(f"`seeds` must hold different whole numbers; got {training}.")
    lists = dict(recommendations or {})
    runs: dict[str, list[SystemRun]] = {}
    results: dict[str, list[EvaluationResult]] = {}
    truth = test if users is None else with_groups(test, users)

    def fit(name: str, training_seed: int) -> Model:
        rows: Any = "auto" if valid is None else valid
        model = make_model(name, **(settings or {}).get(name, {}))
        return model.fit(graph, valid=rows, seed=training_seed, progress=progress)

    def fit_alone(name: str, training_seed: int) -> SeparateModels:
        return train_separately(
            graph,
            name,
            test.domains,
            settings=(settings or {}).get(name),
            valid=valid,
            seed=training_seed,
            progress=progress,
        )

    def run(name: str, make: Callable[..., Any], made_with: Sequence[int | None]) -> None:
        runs[name], results[name] = [], []
        for each in made_with:
            with show_progress(progress):
                result, done, system = run_system(
                    partial(make, each),
                    truth,
                    made_with=each,
                    k=k,
                    graph=graph,
                    by=by,
                    metrics=metrics,
                    graded=graded,
                    # Several runs are given their intervals when they are pooled.
                    bootstrap=bootstrap if len(made_with) == 1 else 0,
                    seed=seed,
                )
            runs[name].append(done)
            results[name].append(result)
            if on_run is not None:
                on_run(name, done, system)
            del system  # before the next one is fitted

    for table in lists.values():  # Before any model is fitted.
        wanted = read_truth(truth, by, graph, graded=graded)
        names = [domain.domain for domain in wanted.domains]
        ListSource(table, GraphContext(graph), seed=seed, domains=names).check(wanted)
    for name in models:
        run(name, partial(fit, name), training)
    alone = {name: name if name in lists else f"{name} {ALONE}" for name in single_domain or ()}
    for name, shown in alone.items():
        if name not in lists:
            run(shown, partial(fit_alone, name), training)
    for name, table in lists.items():
        run(name, lambda _, table=table: table, [None])
    with progress_bar("Testing differences", enabled=progress):
        comparison = compare_results(results, baseline=baseline, bootstrap=bootstrap, seed=seed)
        if alone:
            migration = migration_table(comparison.results, list(alone.values()), seed=seed)
            comparison = replace(comparison, migration=migration)
    comparison.meta["seeds"] = training
    return Experiment(comparison, runs)
