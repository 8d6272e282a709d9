"""What edges on request are worth: a model with and without each kind, on validation rows."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from eval.benchmarks.datasets import DataSet
from eval.comparison.comparison import Comparison, compare_results
from eval.evaluation.evaluator import evaluate
from eval.evaluation.result import EvaluationResult
from gnn.registry import make_model
from graphgen.build import build_graph
from graphgen.errors import InputError
from graphgen.graph import InterestGraph
from graphgen.log_files import read_log
from graphgen.schema import ATTRIBUTE, CO_CONSUMED, DURING, FRIEND
from graphgen.tables import read_friends, read_items

__all__ = ["NO_EDGES", "edge_gains"]

METRICS: Final = ("ndcg", "recall")
CUT: Final = 20
CO_CONSUMED_K: Final = 20
NO_EDGES: Final = "none"


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
) -> Comparison:
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
    Comparison
        Systems `NO_EDGES` (the baseline), and each kind with its number of edges.

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
    found: dict[str, list[EvaluationResult]] = {}
    for kind in ("", *kinds):
        own = _with_only(graph, kind, kinds)
        number = sum(own.data[t].edge_index.shape[1] for t in own.data.edge_types if t[1] == kind)
        name = f"{kind} ({number:,})" if kind else NO_EDGES
        for seed in seeds:
            start = time.process_time()
            fitted = make_model(model, **(settings or {})).fit(own, seed=seed)
            result = evaluate(fitted, valid, k=CUT, metrics=METRICS, by=(), bootstrap=0)
            found.setdefault(name, []).append(result)
            seconds = time.process_time() - start
            on_row(f"{data.name}, {name}, seed {seed}: {result!r}, {seconds:.0f} CPU seconds")
    return compare_results(found, baseline=NO_EDGES)


def _with_only(graph: InterestGraph, kind: str, kinds: Iterable[str]) -> InterestGraph:
    """Return the graph without the edges of all `kinds` but one."""
    data = copy.copy(graph.data)
    for edge_type in data.edge_types:
        if edge_type[1] in kinds and edge_type[1] != kind:
            del data[edge_type]
    if ATTRIBUTE in graph.vocabularies and not any(t[2] == ATTRIBUTE for t in data.edge_types):
        del data[ATTRIBUTE]
    return graph.with_data(data)
