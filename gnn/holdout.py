"""Validation rows held out from a graph."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from graphgen.arrays import place_in_group
from graphgen.builders.derived import with_interactions
from graphgen.graph import EDGE_VALUES, InterestGraph, add_reverse_edges
from graphgen.log import InteractionLog
from graphgen.schema import DOMAIN, INTERACTS, ITEM_ID, REV_INTERACTS, SETTING, USER, USER_ID

__all__ = ["hold_out"]

WARM, COLD_USER, COLD_ITEM = "warm", "cold_user", "cold_item"
# Users with fewer interactions in a domain keep them all.
MIN_HISTORY = 4


@dataclass
class _Edges:
    """Interactions of all domains: item is an index inside its domain."""

    user: np.ndarray
    item: np.ndarray
    domain: np.ndarray
    place: np.ndarray
    """Place within the user's history in the domain, from 0."""
    length: np.ndarray
    """Length of that history."""


def hold_out(
    graph: InterestGraph, *, share: float = 0.1, cold_share: float = 0.05, seed: int = 0
) -> tuple[InterestGraph, InteractionLog]:
    """Split a graph's interactions into a smaller graph and validation rows.

    The rows imitate the test settings:

    - ``warm``: where the graph has times, the latest of each history of at least 4 in a domain,
      `share` of its length; else a contiguous block of twice that length, at a random place, of
      half of these histories. Later interactions of a user are correlated, as are neighbouring
      rows of most logs: rows drawn one by one leave a neighbour in training, are easier than
      future ones, and overrate nearest-neighbour experts.
    - ``cold_user``: of the users active in several domains, `cold_share` lose one domain.
    - ``cold_item``: where a domain has items with text and without interactions, as many others
      with text lose theirs, at most `cold_share` of them.

    Parameters
    ----------
    graph
        Graph of all interactions. It is not changed.
    share, cold_share
        As above; in (0, 1).
    seed
        Draws the blocks, users and items.

    Returns
    -------
    smaller
        The graph without the held-out edges, and without links to communities, which depend on
        them; all nodes, features, semantic edges and other topics stay. Transitions are made anew.
    rows
        The held-out interactions, with a column ``setting``. O(edges) in all.
    """
    generator = np.random.default_rng(seed)
    edges = _edges(graph)
    setting = np.full(len(edges.user), "", dtype=object)
    block = _blocks(edges, share, generator, latest=graph.order is not None)
    setting[block] = WARM
    setting[_lost_domains(edges, cold_share, generator)] = COLD_USER
    setting[_lost_items(graph, edges, cold_share, generator)] = COLD_ITEM
    held = setting != ""
    rows = pd.DataFrame(
        {
            USER_ID: graph.vocabularies[USER].decode(edges.user[held]),
            DOMAIN: np.asarray(graph.domains, dtype=object)[edges.domain[held]],
            ITEM_ID: "",
            SETTING: setting[held],
        }
    )
    for number, domain in enumerate(graph.domains):
        own = held & (edges.domain == number)
        rows.loc[edges.domain[held] == number, ITEM_ID] = graph.vocabularies[domain].decode(
            edges.item[own]
        )
    return _without(graph, held), InteractionLog(rows)


def _edges(graph: InterestGraph) -> _Edges:
    users, items, domains, places, lengths = [], [], [], [], []
    for number, domain in enumerate(graph.domains):
        index = graph.data[USER, INTERACTS, domain].edge_index.numpy()
        count = np.bincount(index[0], minlength=graph.n_users)
        users.append(index[0])
        items.append(index[1])
        domains.append(np.full(index.shape[1], number))
        places.append(place_in_group(index[0]))
        lengths.append(count[index[0]])
    return _Edges(*(np.concatenate(part) for part in (users, items, domains, places, lengths)))


def _blocks(
    edges: _Edges, share: float, generator: np.random.Generator, *, latest: bool
) -> np.ndarray:
    length = share if latest else 2 * share
    size = np.maximum(1, np.round(edges.length * length)).astype(np.int64)
    first = edges.length - size
    chosen = np.ones(len(edges.user), dtype=bool)
    if not latest:
        # One draw for each history: that of its first edge, handed on to the others.
        start = np.arange(len(edges.user)) - edges.place
        first = (generator.random(len(edges.user))[start] * (first + 1)).astype(np.int64)
        chosen = (generator.random(len(edges.user)) < 0.5)[start]
    inside = chosen & (edges.place >= first) & (edges.place < first + size)
    return inside & (edges.length >= MIN_HISTORY)


def _lost_domains(edges: _Edges, share: float, generator: np.random.Generator) -> np.ndarray:
    n_domains = int(edges.domain.max()) + 1
    active = np.unique(edges.user * n_domains + edges.domain)
    user, domain = active // n_domains, active % n_domains
    several = np.bincount(user)[user] > 1
    user, domain = user[several], domain[several]
    if not len(user):
        return np.zeros(len(edges.user), dtype=bool)
    order = generator.permutation(len(user))
    # The first of each user's domains in a random order is the one to lose.
    losing, first = np.unique(user[order], return_index=True)
    lost = domain[order][first]
    chosen = generator.random(len(losing)) < share
    code = losing[chosen] * n_domains + lost[chosen]
    return np.isin(edges.user * n_domains + edges.domain, code)


def _lost_items(
    graph: InterestGraph, edges: _Edges, share: float, generator: np.random.Generator
) -> np.ndarray:
    lost = np.zeros(len(edges.user), dtype=bool)
    for number, domain in enumerate(graph.domains):
        if "x" not in graph.data[domain]:
            continue
        own = edges.domain == number
        text = graph.described(domain)
        count = np.bincount(edges.item[own], minlength=len(text))
        warm, cold = np.flatnonzero(text & (count > 0)), int((text & (count == 0)).sum())
        n_lost = min(cold, int(share * len(warm)))
        chosen = generator.choice(warm, n_lost, replace=False)
        lost |= own & np.isin(edges.item, chosen)
    return lost


def _without(graph: InterestGraph, held: np.ndarray) -> InterestGraph:
    data = copy.copy(graph.data)
    start = 0
    for domain in graph.domains:
        source = graph.data[USER, INTERACTS, domain]
        count = source.edge_index.shape[1]
        kept = torch.from_numpy(np.flatnonzero(~held[start : start + count]))
        start += count
        del data[domain, REV_INTERACTS, USER]
        store = data[USER, INTERACTS, domain]
        store.edge_index = source.edge_index[:, kept]
        for name in EDGE_VALUES:
            if name in source:
                store[name] = source[name][kept]
    add_reverse_edges(data)
    return with_interactions(graph, data, held_out=int(held.sum()))
