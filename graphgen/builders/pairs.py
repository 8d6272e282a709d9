"""Edges between items: the strongest of each item, inside its domain and across."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from graphgen.arrays import place_in_group
from graphgen.schema import INTERACTS

if TYPE_CHECKING:
    from torch_geometric.data import HeteroData

__all__ = ["JointItems", "add_item_edges", "strongest"]


class JointItems(NamedTuple):
    """Items of all domains under one number.

    Attributes
    ----------
    domains
        Names, one after the other.
    starts
        int64 [domains + 1], the number of the first item of each, and of all items.
    owner
        int64 [items], position of the item's domain.
    """

    domains: list[str]
    starts: np.ndarray
    owner: np.ndarray

    @classmethod
    def of(cls, data: HeteroData) -> JointItems:
        """Number the items of a graph with its interactions."""
        domains = [t[2] for t in data.edge_types if t[1] == INTERACTS]
        starts = np.cumsum([0, *(data[domain].num_nodes for domain in domains)])
        return cls(domains, starts, np.repeat(np.arange(len(domains)), np.diff(starts)))


def strongest(
    source: np.ndarray, target: np.ndarray, strength: np.ndarray, owner: np.ndarray, k: int
) -> np.ndarray:
    """Return the places of the `k` strongest pairs of each source in its domain, and across.

    They are sorted by source, then inside and across, then falling strength; ties are broken at
    random, not by the order of ids. O(pairs log pairs).

    Parameters
    ----------
    source, target
        int64 [pairs], numbers of items.
    strength
        float [pairs].
    owner
        As in `JointItems`.
    k
        Most of them.

    Examples
    --------
    >>> ends = np.array([0, 0, 0]), np.array([1, 1, 2])
    >>> strongest(*ends, np.array([1.0, 3.0, 2.0]), np.array([0, 0, 1]), 1).tolist()
    [1, 2]
    """
    group = 2 * source + (owner[source] != owner[target])
    chance = np.random.default_rng(0).random(len(source))
    best = np.lexsort((chance, -strength, group))
    return best[place_in_group(group[best]) < k]


def add_item_edges(
    data: HeteroData,
    relation: str,
    items: JointItems,
    source: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray,
) -> None:
    """Add edges of a relation between items, in place and in their order, by pairs of domains."""
    domains, starts, owner = items
    pair = owner[source] * len(domains) + owner[target]
    for code in np.unique(pair).tolist():
        a, b = divmod(code, len(domains))
        own = pair == code
        store = data[domains[a], relation, domains[b]]
        index = np.stack([source[own] - starts[a], target[own] - starts[b]]).astype(np.int64)
        store.edge_index = torch.from_numpy(index)
        store.weight = torch.from_numpy(weight[own].astype(np.float32))
