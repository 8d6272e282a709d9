"""Judging lists of the next item: validation rows as history, and checks that no test row leaks."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from eval.evaluation.evaluator import evaluate
from eval.evaluation.result import EvaluationResult
from eval.evaluation.slices import add_slices
from eval.evaluation.sources import holds
from eval.experiments.costs import PeakMemory, SystemRun
from eval.experiments.single_domain import SeparateModels
from gnn.base import Model
from graphgen.errors import InputError, counted
from graphgen.graph import InterestGraph
from graphgen.log import InteractionLog
from graphgen.schema import DOMAIN, ITEM_ID, USER_ID

__all__ = ["NEW_ITEMS", "SHARED_USERS", "measure_lists"]

# Slices of the test rows: columns with one value, empty in all other rows.
SHARED_USERS: Final = "users=in two or more domains"
NEW_ITEMS: Final = "items=without training interactions"


@dataclass(frozen=True)
class _Part:
    """The test rows of a domain, and what is to rank items for their users."""

    domain: str
    model: Model
    history: InteractionLog | None
    rows: pd.DataFrame


def measure_lists(
    make: Callable[[], Model | SeparateModels],
    test: InteractionLog,
    history: InteractionLog | None,
    *,
    graph: InterestGraph,
    k: int,
    metrics: list[str],
    bootstrap: int,
    seed: int,
) -> tuple[EvaluationResult, SystemRun, dict[str, Any]]:
    """Fit a model, rank the next item of each user in each domain, and measure the cost.

    Parameters
    ----------
    make
        Returns the fitted model, or models of one domain each; its time is the time of the fit.
    test
        One like of each user in a domain: the item to be found.
    history
        Rows that the model did not learn from and that precede those of `test`; None for none.
        Models of one domain get the rows of that domain only.
    graph
        The graph trained on, in the slices of which the truth is cut besides.
    k, metrics, bootstrap, seed
        As in `eval.evaluate`.

    Returns
    -------
    result
        With the slices `SHARED_USERS` and `NEW_ITEMS`.
    run
        Time and memory.
    checks
        ``test_rows_seen``, rows of `test` among the rows learned from and the history. By domain,
        ``shuffled``: Recall@k of the same lists after the test items were shuffled among users,
        and ``chance``, its exact expectation over all orders.

    Raises
    ------
    InputError
        If a user has several test rows in a domain.
    """
    frame = test.frame[test.liked]
    twice = frame.duplicated([USER_ID, DOMAIN]).sum()
    if twice:
        raise InputError(
            f"The test rows must hold one item for each user in a domain; {counted(twice, 'row')} "
            "too many. `interest split --protocol leave-last-out` writes such rows."
        )
    with PeakMemory() as peak:
        started, spent = time.perf_counter(), time.process_time()
        system = make()
        fitted, spent = time.perf_counter(), time.process_time() - spent
        parts = [
            _part(system, rows, history, str(domain))
            for domain, rows in frame.groupby(DOMAIN, observed=True)
        ]
        lists = pd.concat([_ranked(part, k, seed) for part in parts], ignore_index=True)
        ranked = time.perf_counter()
    result = evaluate(
        lists,
        _with_slices(frame, graph),
        k=k,
        graph=graph,
        by=[name.partition("=")[0] for name in (SHARED_USERS, NEW_ITEMS)],
        metrics=metrics,
        bootstrap=bootstrap,
        seed=seed,
    )
    checks = {
        "test_rows_seen": sum(map(_seen, parts)),
        "shuffled": _shuffled_recall(lists, parts, k, seed),
        "chance": {part.domain: _chance(lists, part) for part in parts},
    }
    one = system if isinstance(system, Model) else None
    run = SystemRun(
        fit_seconds=fitted - started,
        fit_cpu_seconds=spent,
        score_seconds=ranked - fitted,
        peak_megabytes=peak.megabytes,
        seed=seed,
        config=parts[0].model.config.to_dict(),
        chosen=None if one is None else dict(one.chosen_),
    )
    return result, run, checks


def _part(
    system: Model | SeparateModels,
    rows: pd.DataFrame,
    history: InteractionLog | None,
    domain: str,
) -> _Part:
    if history is not None:
        history = history.where(user_id=rows[USER_ID].unique())
    if isinstance(system, SeparateModels):
        system = system.models[domain]
        history = history and history.where(domain=domain)
    return _Part(domain, system, history or None, rows)


def _ranked(part: _Part, k: int, seed: int) -> pd.DataFrame:
    users = part.rows[USER_ID].astype(str).to_numpy()
    return part.model.recommend(users, domain=part.domain, k=k, history=part.history, seed=seed)


def _with_slices(frame: pd.DataFrame, graph: InterestGraph) -> pd.DataFrame:
    """Add the columns of the two slices; "" is in neither."""
    frame = add_slices(frame, graph, ["popularity"])
    domains = frame.groupby(USER_ID, observed=True)[DOMAIN].transform("size")
    chosen = {SHARED_USERS: domains > 1, NEW_ITEMS: frame["popularity"] == "new"}
    columns = {}
    for name, rows in chosen.items():
        column, _, value = name.partition("=")
        columns[column] = np.where(rows, value, "").astype(object)
    return frame.assign(**columns)


def _seen(part: _Part) -> int:
    """Count the test rows that the model has seen."""
    users = part.rows[USER_ID].astype(str).to_numpy()
    items = part.rows[ITEM_ID].astype(str).to_numpy()
    seen = part.model.seen(users, domain=part.domain, history=part.history)
    codes = part.model.items(part.domain).encode(items, missing="mark")
    return int(holds(seen, np.arange(len(users)), np.asarray(codes)).sum())


def _shuffled_recall(
    lists: pd.DataFrame, parts: list[_Part], k: int, seed: int
) -> dict[str, float]:
    draw = np.random.default_rng(seed)
    frames = [
        part.rows.assign(**{ITEM_ID: draw.permutation(part.rows[ITEM_ID].to_numpy())})
        for part in parts
    ]
    truth = pd.concat(frames, ignore_index=True)
    found = evaluate(lists, truth, k=k, metrics=["recall"], by=[], bootstrap=0, seed=seed)
    return {part.domain: found.value(f"recall@{k}", domain=part.domain) for part in parts}


def _chance(lists: pd.DataFrame, part: _Part) -> float:
    """Return the mean of the recall over all orders of the test items: of each item, the share of
    lists that hold it times the share of test rows.
    """
    listed = lists.loc[lists[DOMAIN] == part.domain, ITEM_ID].astype(str).value_counts()
    wanted = part.rows[ITEM_ID].astype(str).value_counts()
    return float((listed * wanted).sum() / len(part.rows) ** 2)
