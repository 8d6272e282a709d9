"""The interest or domain that comes next: experts compared on the next held-out interaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from eval.comparison.comparison import compare_results
from eval.evaluation.inputs import ALL
from eval.evaluation.result import SLICE, EvaluationResult, summarise
from eval.experiments.costs import Experiment
from gnn.data import TrainingData
from gnn.interests.interests import Interests, domain_targets
from gnn.interests.prediction import EXPERTS, NextTargets, fit_pool, pooled
from gnn.registry import make_model
from gnn.users import user_batch
from graphgen.errors import ConfigError, InputError
from graphgen.graph import InterestGraph
from graphgen.log import InteractionLog
from graphgen.schema import DOMAIN, ITEM_ID, USER_ID

__all__ = ["METRICS", "TASKS", "compare_next"]

TASKS: Final = ("next-domain", "next-interest")
LENGTHS: Final = (1, 3)
METRICS: Final = (*(f"hit-rate@{k}" for k in LENGTHS), "log-loss")
SLICES: Final = (ALL, "next=repetition", "next=exploration")
POOL: Final = "pool"
BOOTSTRAP: Final = 1000


def compare_next(
    graph: InterestGraph,
    valid: InteractionLog | None,
    test: InteractionLog,
    *,
    task: str,
    models: Sequence[str] = ("interest-gnn",),
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    baseline: str | None = None,
    seed: int = 0,
    progress: bool = False,
) -> Experiment:
    """Compare experts on the target of each user's first test interaction, with paired tests.

    Users without training interactions are left out, and so are interactions with items without
    known interests (next-interest) and in unknown domains. The target of an item with several
    interests is the one it belongs to most. In the slice
    ``next=repetition`` the user has met the target before, in ``next=exploration`` never. The
    weights of the experts in the pool are in ``comparison.meta``.

    Parameters
    ----------
    graph
        Graph of the training rows, with times or positions.
    valid
        Rows between training and test: the pool is fitted on the first of each user, and they are
        part of the history at test time. None for equal weights.
    test
        Test rows; the first of each user counts.
    task
        "next-domain" or "next-interest".
    models, settings
        Recommenders whose lists are turned into targets, and their settings by name.
    baseline
        As in `eval.comparison.comparison.compare_results`.
    seed
        Seed of the fits, the tests and the bootstrap.
    progress
        Show progress bars.

    Raises
    ------
    ConfigError, InputError
        For an unknown task, a graph without order, topics or a second domain; if no row is left.
    """
    if task not in TASKS:
        raise ConfigError(f"`task` must be one of {', '.join(TASKS)}; got {task!r}.")
    data = TrainingData.from_graph(graph)
    if task == "next-domain" and len(data.domains) < 2:
        raise ConfigError("next-domain needs at least two domains; this log has one.")
    targets = domain_targets(data) if task == "next-domain" else Interests.of(data).joint
    experts = NextTargets(data, targets)
    fitted = {
        name: make_model(name, **(settings or {}).get(name, {})).fit(
            graph, valid=valid, seed=seed, progress=progress
        )
        for name in models
    }

    def judged(
        rows: InteractionLog, history: InteractionLog | None
    ) -> tuple[dict[str, np.ndarray], np.ndarray, pd.DataFrame]:
        """Return probabilities by expert, the truth, and user_id and slice of each row."""
        ids, truth = _first(data, targets if task == TASKS[1] else None, rows)
        users = user_batch(data, ids, history)
        kept = np.diff(users.history.indptr) > 0
        users, truth = users.rows_of(kept), truth[kept]
        if not len(truth):
            raise InputError("No held-out row is of a user with training rows and a known item.")
        found = {name: experts.probabilities(name, users) for name in EXPERTS}
        found |= {name: experts.of_model(model, users) for name, model in fitted.items()}
        met = np.asarray((users.history @ targets)[np.arange(len(truth)), truth]).ravel()
        slices = np.where(met > 0, *SLICES[1:])
        return found, truth, pd.DataFrame({SLICE: slices, USER_ID: ids[kept]})

    weights = dict.fromkeys([*EXPERTS, *fitted], 1 / (len(EXPERTS) + len(fitted)))
    if valid is not None:
        found, truth, _ = judged(valid, None)
        weights = fit_pool(found, truth)
    found, truth, rows = judged(test, valid)
    found[POOL] = pooled(found, weights)
    results = {name: _result(name, task, p, truth, rows, seed) for name, p in found.items()}
    comparison = compare_results(results, baseline=baseline, bootstrap=BOOTSTRAP, seed=seed)
    comparison.meta[POOL] = weights
    return Experiment(comparison)


def _first(data: TrainingData, targets: Any, rows: InteractionLog) -> tuple[np.ndarray, np.ndarray]:
    """Return the users of held-out rows, and the target of the first row of each that has one.

    The target is the domain, or the item's largest of `targets`.
    """
    order = np.zeros(len(rows)) if rows.order is None else rows.order
    frame = rows.frame.assign(order=order)[rows.liked].reset_index(drop=True)
    target = pd.Index(data.domains).get_indexer(frame[DOMAIN].astype(str))
    if targets is not None:
        best = np.asarray(targets.argmax(axis=1)).ravel()
        best = np.where(np.diff(targets.indptr) > 0, best, -1)
        target[:] = -1
        for domain, part in frame.groupby(DOMAIN, observed=True):
            if domain in data.items:
                item = data.items[domain].encode(part[ITEM_ID], missing="mark")
                known = item >= 0
                target[part.index[known]] = best[item[known] + data.span(domain).start]
    first = frame.assign(target=target)[target >= 0]
    first = first.sort_values("order", kind="stable").drop_duplicates(USER_ID)
    return first[USER_ID].to_numpy(object), first["target"].to_numpy()


def _result(
    name: str, task: str, p: np.ndarray, truth: np.ndarray, rows: pd.DataFrame, seed: int
) -> EvaluationResult:
    own = p[np.arange(len(truth)), truth][:, None]
    above, equal = (p > own).sum(axis=1), (p == own).sum(axis=1)
    # Ties are broken at random, and this is the expectation.
    hits = [np.clip((k - above) / equal, 0, 1) for k in LENGTHS]
    values = dict(zip(METRICS, [*hits, -np.log(own[:, 0])], strict=True))
    part = rows.assign(**{DOMAIN: task, "n_relevant": 1, "answered": True}, **values)
    per_user = pd.concat([part.assign(**{SLICE: ALL}), part], ignore_index=True)
    summary = summarise(per_user, list(METRICS), bootstrap=BOOTSTRAP, seed=seed)
    meta = {"k": list(LENGTHS), "bootstrap": BOOTSTRAP, "seed": seed, "n_people": len(part)}
    return EvaluationResult(name, per_user, summary, meta)
