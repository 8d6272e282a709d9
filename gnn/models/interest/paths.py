"""The ways in which `InterestGNN` reaches an item, each behind one method."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import scipy.sparse as sp
import torch

from gnn.baselines.factor_bridge import FactorBridge
from gnn.data import TrainingData, UserBatch
from gnn.models.interest.path_scores import Scored, dense
from gnn.models.interest.ridge import MAX_ITEMS, ridge_lacks
from gnn.numerics.linear_filter import FilterConfig, LeadingDirections, LinearFilter, cold_bridge
from gnn.numerics.sparse import dense_product
from graphgen.errors import ConfigError

__all__ = [
    "PATHS",
    "FactorPath",
    "FilterPath",
    "Path",
    "PopularityPath",
    "SemanticPath",
    "available_paths",
    "path_lacks",
    "required_paths",
    "symmetric_neighbors",
]

PATHS = ("filter", "gnn", "popularity", "factors", "semantic", "ridge", "sequence")
REQUIRED_RIDGE_ITEMS = 2 * MAX_ITEMS


def available_paths(wanted: Sequence[str], data: TrainingData) -> tuple[str, ...]:
    """Return those of `wanted` that the data allows.

    "semantic" needs semantic edges; "ridge" is for 2 to 6,000 items with interactions; "sequence"
    needs times.

    Raises
    ------
    ConfigError
        For an unknown name, or if none is left.
    """
    lacks = _lacks(wanted, data, MAX_ITEMS)
    found = tuple(name for name in wanted if name not in lacks)
    if not found:
        reasons = "; ".join(lacks.values())
        raise ConfigError(f"The graph allows none of the paths that are wanted. {reasons}.")
    return found


def required_paths(wanted: Sequence[str], data: TrainingData) -> tuple[str, ...]:
    """Return `wanted`.

    A blend that was chosen on a part of a log meets all of it here, so "ridge" may have twice as
    many items as a choice would give it.

    Raises
    ------
    ConfigError
        For an unknown name, or one that the data does not allow.
    """
    lacks = _lacks(sorted(wanted), data, REQUIRED_RIDGE_ITEMS)
    if lacks:
        reasons = "; ".join(lacks.values())
        raise ConfigError(f"The blend asks for paths that the graph does not allow. {reasons}.")
    return tuple(wanted)


def _lacks(wanted: Sequence[str], data: TrainingData, ridge_items: int) -> dict[str, str]:
    """Return, for each of `wanted` that the data does not allow, its name and why."""
    for name in wanted:
        if name not in PATHS:
            raise ConfigError(f"There is no path {name!r}; there are {', '.join(PATHS)}.")
    reasons = {name: path_lacks(name, data, ridge_items) for name in wanted}
    return {name: f"{name!r}: {reason}" for name, reason in reasons.items() if reason}


def path_lacks(name: str, data: TrainingData, ridge_items: int = MAX_ITEMS) -> str:
    """Return why the data does not allow a path, or ""; "ridge" up to `ridge_items` of them."""
    if name == "semantic" and data.similar is None:
        return "the graph has no semantic edges (build it with item texts)"
    if name == "sequence" and data.times is None:
        return "the log has no timestamps"
    return ridge_lacks(data, ridge_items) if name == "ridge" else ""


def symmetric_neighbors(data: TrainingData) -> sp.csr_matrix:
    """Return CSR [n_items, n_items] of similarities ≥ 0, an edge in either direction is both."""
    similar = data.similar
    if similar is None:
        return sp.csr_matrix((data.n_items, data.n_items), dtype=np.float32)
    similar = similar.maximum(similar.T).tocsr()
    similar.data = np.maximum(similar.data, 0)
    similar.eliminate_zeros()
    return sp.csr_matrix(similar, dtype=np.float32)


class Path(Protocol):
    """Scores items for people."""

    def score(self, users: UserBatch, domain: str) -> Scored:
        """Return float32 [n, items of the domain], as `PathScores` takes them.

        Where it is the same for all, [1, items]. The caller may change it.
        """
        ...


class FilterPath:
    """The linear filter, handed on over semantic neighbours to items without interactions.

    Parameters
    ----------
    data
        Training data.
    config
        The filter.
    leading
        Its leading directions, where it is flattened.
    similar
        As `symmetric_neighbors` makes it.
    neighbors
        From how many of them, with interactions, a new item is reached.
    """

    def __init__(
        self,
        data: TrainingData,
        config: FilterConfig,
        leading: LeadingDirections | None,
        similar: sp.csr_matrix,
        neighbors: int,
    ) -> None:
        self._data = data
        self._filter = LinearFilter(data.matrix, config)
        self._similar = similar
        self._neighbors = neighbors
        self._excess = None if leading is None else self._filter.excess(leading)
        self._bridges: dict[str, sp.csr_matrix] = {}
        # What a history is multiplied by, the bridge included, where it fits into memory.
        self._products: dict[str, sp.csr_matrix | None] = {}
        self._reached: dict[str, np.ndarray] = {}

    def score(self, users: UserBatch, domain: str) -> torch.Tensor:
        """Return float32 [n, items], 0 where nothing links."""
        span = self._data.span(domain)
        if domain not in self._products:
            self._prepare(domain, span)
        product = self._products[domain]
        if product is not None:
            link = dense_product(users.history, product)
        else:
            link = dense(self._bridged(self._filter.score(users.history, span), domain))
        if self._excess is None:
            return link
        excess = (users.history @ self._excess[0]) @ self._reached[domain]
        return link.sub_(torch.from_numpy(excess)).clamp_(min=0)

    def _prepare(self, domain: str, span: slice) -> None:
        self._bridges[domain] = cold_bridge(self._similar, self._data.warm, span, self._neighbors)
        if self._excess is not None:
            right = sp.csr_matrix(self._excess[1][span].T)
            self._reached[domain] = self._bridged(right, domain).toarray()
        # Last: other threads take it as the sign that the rest is there.
        product = self._filter.product(span)
        self._products[domain] = None if product is None else self._bridged(product, domain)

    def _bridged(self, link: sp.csr_matrix, domain: str) -> sp.csr_matrix:
        bridge = self._bridges[domain]
        return link + link @ bridge if bridge.nnz else link


class PopularityPath:
    """Numbers of interactions, the same for everybody."""

    def __init__(self, data: TrainingData) -> None:
        self._data = data

    def score(self, users: UserBatch, domain: str) -> torch.Tensor:
        """Return float32 [1, items]."""
        return torch.from_numpy(self._data.popularity[self._data.span(domain)]).unsqueeze(0).clone()


class FactorPath:
    """Factors of the domain by itself; from other domains a ridge map leads to them."""

    def __init__(self, factors: FactorBridge) -> None:
        self._factors = factors

    def score(self, users: UserBatch, domain: str) -> torch.Tensor:
        """Return float32 [n, items], inner products."""
        return self._factors.score(users.history, domain)


class SemanticPath:
    """Items that are like those of the history, by the squared similarity of their texts.

    Parameters
    ----------
    data
        Training data.
    similar
        As `symmetric_neighbors` makes it.
    """

    def __init__(self, data: TrainingData, similar: sp.csr_matrix) -> None:
        self._data = data
        squared = similar.copy()
        squared.data = np.square(squared.data)
        self._columns = {domain: squared[:, data.span(domain)] for domain in data.domains}

    def score(self, users: UserBatch, domain: str) -> sp.csr_matrix:
        """Return float32 CSR [n, items], without entry where no neighbour is in the history."""
        return (users.history @ self._columns[domain]).tocsr()
