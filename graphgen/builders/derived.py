"""Edges that are made of interactions, and made anew where a graph has fewer of these."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch

from graphgen.builders.co_consumption import add_co_consumption
from graphgen.builders.periods import item_periods
from graphgen.builders.relations import add_attributes, attribute_names, shared_values
from graphgen.builders.transitions import add_transitions
from graphgen.schema import ABOUT, ATTRIBUTE, CO_CONSUMED, DURING, NEXT

if TYPE_CHECKING:
    from torch_geometric.data import HeteroData

    from graphgen.graph import InterestGraph
    from graphgen.vocabulary import Vocabulary

__all__ = ["add_item_relations", "add_shared", "with_interactions"]

DERIVED = (NEXT, CO_CONSUMED, DURING)


def add_item_relations(data: HeteroData, config: Mapping[str, Any]) -> None:
    """Add transitions and co-consumption to a graph with its interactions, in place.

    Parameters
    ----------
    data
        The graph.
    config
        Fields of `graphgen.build.BuildConfig`; missing ones make no edges.
    """
    settings = {name: config[name] for name in ("next_k", "next_weight") if name in config}
    add_transitions(data, **settings)
    add_co_consumption(data, k=config.get("co_consumed_k", 0))


def add_shared(
    data: HeteroData, frames: Mapping[str, pd.DataFrame], *, relations: Sequence[str], periods: str
) -> Vocabulary | None:
    """Link items to the values of their columns and to periods, in place.

    Parameters
    ----------
    data
        Graph with its interactions.
    frames
        Columns of the items by domain.
    relations, periods
        As in `graphgen.build.BuildConfig`.

    Returns
    -------
    Vocabulary or None
        The attributes; None without any link.
    """
    links = shared_values(frames, relations) + item_periods(data, periods)
    if not links:
        return None
    attributes = attribute_names(links)
    add_attributes(data, links, attributes)
    return attributes


def with_interactions(graph: InterestGraph, data: HeteroData, **provenance: Any) -> InterestGraph:
    """Return ``graph.with_data(data, **provenance)`` for `data` with fewer interactions.

    Nothing tells of an interaction that was taken out: transitions, co-consumption and periods are
    made anew from those of `data`, and links to communities, which are made of interactions, are
    removed; both in place.
    """
    config = graph.provenance.get("config", {})
    made = {edge_type[1] for edge_type in graph.data.edge_types}.intersection(DERIVED)
    for edge_type in [t for t in data.edge_types if t[1] in DERIVED]:
        del data[edge_type]
    off = {"next_k": 0} if NEXT not in made else {}
    off |= {"co_consumed_k": 0} if CO_CONSUMED not in made else {}
    add_item_relations(data, {**config, **off})
    if DURING in made:
        links = item_periods(data, config["periods"])
        add_attributes(data, links, graph.vocabularies[ATTRIBUTE])
    if graph.n_topics:
        other = ~graph.communities
        for store in (data[t] for t in data.edge_types if t[1] == ABOUT):
            kept = torch.from_numpy(other[store.edge_index[1].numpy()])
            store.edge_index, store.weight = store.edge_index[:, kept], store.weight[kept]
    return graph.with_data(data, **provenance)
