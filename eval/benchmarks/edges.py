"""What edges on request are worth: a model with and without each kind, on validation rows."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from eval.benchmarks.datasets import DataSet
from eval.evaluation.evaluator import evaluate
from eval.evaluation.result import aligned
from gnn.registry import make_model
from graphgen.build import build_graph
from graphgen.errors import InputError
from graphgen.graph import InterestGraph
from graphgen.log_files import read_log
from graphgen.schema import ATTRIBUTE, CO_CONSUMED, DURING, FRIEND, USER_ID
from graphgen.tables import read_friends, read_items

__all__ = ["edge_gains"]

METRICS: Final = ("ndcg", "recall")
CUT: Final = 20
CO_CONSUMED_K: Final = 20
# Half the width of a 95 % interval, in standard errors.
WIDTH: Final = 1.96


def edge_gains(
    data: DataSet,
    *,
    relations: Sequence[str] = (),
    friends: str | None = None,
    model: str = "interest-gnn",
    settings: Mapping[str, Any] | None = None,
    encoder: str = "minilm",
    meaning: Mapping[str, Any] | None = None,
    seeds: Sequence[int] = (0,),
    on_row: Callable[[str], None] = lambda line: None,
) -> pd.DataFrame:
    """Fit a model on the training rows without and with each kind of edges; O(kinds · seeds) fits.

    Parameters
    ----------
    data
        Its validation rows are ranked; the model makes its choices on rows that it holds out of the
        training rows itself.
    relations, friends
        Columns of the item table, and the path of the table of friends.
    model, settings
        The model, and fields of its config.
    encoder, meaning
        Text encoder of the graph, and options of `read_log`.
    seeds
        Of the fits; users' values are averaged over them.
    on_row
        Called with a line after each fit.

    Returns
    -------
    pandas.DataFrame
        data, edges ("none" first), number, and for NDCG@20 and Recall@20 the mean over pairs of
        user and domain, the difference from none and half of its 95 % interval over users.

    Raises
    ------
    InputError
        If the data set has no validation rows.
    """
    if "valid" not in data.files:
        raise InputError(f"Data set {data.name!r} has no validation rows; `interest split` does.")
    log, valid = (read_log(data.files[part], **(meaning or {})) for part in ("train", "valid"))
    graph = build_graph(
        log,
        read_items(data.files["items"]) if "items" in data.files else None,
        friends=None if friends is None else read_friends(friends),
        encoder=encoder,
        co_consumed_k=CO_CONSUMED_K,
        relations=tuple(relations),
        periods="month",
    )
    there = {edge_type[1] for edge_type in graph.data.edge_types}
    kinds = [kind for kind in (CO_CONSUMED, *relations, DURING, FRIEND) if kind in there]
    rows, plain = [], None
    for kind in ("none", *kinds):
        own = _with_only(graph, kind, kinds)
        found = []
        for seed in seeds:
            start = time.process_time()
            fitted = make_model(model, **(settings or {})).fit(own, seed=seed)
            result = evaluate(fitted, valid, k=CUT, metrics=METRICS, by=(), bootstrap=0)
            found.append(result)
            seconds = time.process_time() - start
            on_row(f"{data.name}, {kind}, seed {seed}: {result!r}, {seconds:.0f} CPU seconds")
        values = _mean(found)
        plain = values if plain is None else plain
        number = sum(own.data[t].edge_index.shape[1] for t in own.data.edge_types if t[1] == kind)
        row: dict[str, Any] = {"data": data.name, "edges": kind, "number": number}
        for name in (f"{metric}@{CUT}" for metric in METRICS):
            row[name] = values[name].mean()
            row[f"{name} gain"], row[f"{name} ±"] = _gain(values[name] - plain[name])
        rows.append(row)
    return pd.DataFrame(rows)


def _with_only(graph: InterestGraph, kind: str, kinds: Iterable[str]) -> InterestGraph:
    """Return the graph without the edges of all `kinds` but one."""
    data = copy.copy(graph.data)
    for edge_type in data.edge_types:
        if edge_type[1] in kinds and edge_type[1] != kind:
            del data[edge_type]
    if ATTRIBUTE in graph.vocabularies and not any(t[2] == ATTRIBUTE for t in data.edge_types):
        del data[ATTRIBUTE]
    return graph.with_data(data)


def _mean(results: Sequence[Any]) -> pd.DataFrame:
    """Return the values of each user and domain, averaged over seeds; the users are the index."""
    names = [f"{metric}@{CUT}" for metric in METRICS]
    parts = [aligned(result, results[0]) for result in results]
    mean = np.mean([part[names].to_numpy() for part in parts], axis=0)
    return pd.DataFrame(mean, index=parts[0][USER_ID].astype(str), columns=names)


def _gain(difference: pd.Series) -> tuple[float, float]:
    """Return the mean, and half of its 95 % interval over users."""
    mean = difference.mean()
    by_user = (difference - mean).groupby(level=0).sum()
    return mean, WIDTH * float(np.sqrt((by_user**2).sum())) / len(difference)
