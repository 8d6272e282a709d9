"""Slices of the truth by facts of the graph: activity, popularity, source domain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from eval.metrics.base import Array
from graphgen.errors import InputError
from graphgen.schema import DOMAIN, INTERACTS, ITEM_ID, USER, USER_ID

if TYPE_CHECKING:
    from graphgen.graph import InterestGraph

__all__ = ["DERIVED_SLICES", "add_slices"]

# Name and meaning of each.
DERIVED_SLICES: Final = {
    "activity": "quarter of users by training interactions in all domains; none without any",
    "popularity": "training popularity of the relevant item: head, middle, tail, new",
    "source_domain": "the other domain in which the user has most training interactions",
    "domain_count": "in how many domains the user has training interactions",
    "overlap_share": "share of the user's training interactions that lie in other domains",
}
QUARTERS: Final = ("1 least", "2", "3", "4 most")
# Items that together take so much of the training interactions, most popular first.
HEAD_SHARE: Final = 0.5
MIDDLE_SHARE: Final = 0.8


def add_slices(truth: pd.DataFrame, graph: InterestGraph, names: list[str]) -> pd.DataFrame:
    """Add columns to the truth (user_id, domain, item_id) that `evaluate` can slice by.

    `graph` is the one trained on, `names` are among `DERIVED_SLICES` (else `InputError`). A row
    without a value has ``""``.
    """
    unknown = [name for name in names if name not in DERIVED_SLICES]
    if unknown:
        raise InputError(
            f"There is no slice {unknown[0]!r}; a graph gives {', '.join(DERIVED_SLICES)}."
        )
    domains = graph.domains
    counts = np.stack([_degrees(graph, domain, 0) for domain in domains], axis=1)
    user = graph.vocabularies[USER].encode(truth[USER_ID].astype(str).to_numpy(), missing="mark")
    domain = np.asarray(pd.Categorical(truth[DOMAIN].astype(str), categories=domains).codes)
    mine = np.where(user[:, None] >= 0, counts[user], 0)
    columns: dict[str, Array] = {}
    for name in names:
        if name == "activity":
            columns[name] = _activity(counts.sum(axis=1), mine.sum(axis=1))
        elif name == "popularity":
            columns[name] = _popularity(graph, truth, domain)
        elif name == "source_domain":
            others = mine.copy()
            others[np.flatnonzero(domain >= 0), domain[domain >= 0]] = 0
            best = np.asarray(domains, dtype=object)[others.argmax(axis=1)]
            columns[name] = np.where(others.max(axis=1) > 0, best, "none")
        elif name == "domain_count":
            columns[name] = (mine > 0).sum(axis=1).astype(str).astype(object)
        else:
            here = np.where(domain >= 0, mine[np.arange(len(mine)), np.maximum(domain, 0)], 0)
            total = mine.sum(axis=1)
            share = (total - here) / np.maximum(total, 1)
            labels = np.select(
                [total == 0, share == 0, share < 0.5, share < 1],
                ["no history", "0", "under half", "half or more"],
                "all elsewhere",
            )
            columns[name] = labels.astype(object)
    return truth.assign(**columns)


def _degrees(graph: InterestGraph, domain: str, end: int) -> Array:
    node_type = (USER, domain)[end]
    edges = graph.data[USER, INTERACTS, domain].edge_index[end].numpy()
    return np.bincount(edges, minlength=len(graph.vocabularies[node_type]))


def _activity(everybody: Array, mine: Array) -> Array:
    """Cut at the quartiles of the users who have any training interaction."""
    bounds = np.quantile(everybody[everybody > 0], [0.25, 0.5, 0.75])
    quarter = np.asarray(QUARTERS, dtype=object)[np.searchsorted(bounds, mine)]
    return np.where(mine > 0, quarter, "none")


def _popularity(graph: InterestGraph, truth: pd.DataFrame, domain: Array) -> Array:
    result = np.full(len(truth), "new", dtype=object)
    for number, name in enumerate(graph.domains):
        rows = np.flatnonzero(domain == number)
        if not rows.size:
            continue
        degree = _degrees(graph, name, 1)
        order = np.argsort(-degree, kind="stable")
        before = np.empty(len(degree))
        before[order] = (np.cumsum(degree[order]) - degree[order]) / max(degree.sum(), 1)
        band = np.select(
            [degree == 0, before < HEAD_SHARE, before < MIDDLE_SHARE],
            ["new", "head", "middle"],
            "tail",
        )
        ids = truth[ITEM_ID].iloc[rows].astype(str).to_numpy()
        item = graph.vocabularies[name].encode(ids, missing="mark")
        result[rows] = np.where(item >= 0, band[item], "new")
    return result
