"""Training data: the graph as sparse matrices over one joint index of all items."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
import scipy.sparse as sp

from gnn.joint_matrices import (
    about_matrix,
    edge_ends,
    joint_matrix,
    latest,
    links_of,
    starts_of,
)
from gnn.numerics.sparse import entry_rows, pattern, without
from graphgen.builders.transitions import by_domain, start_anew
from graphgen.errors import ConfigError
from graphgen.schema import (
    CO_CONSUMED,
    FRIEND,
    INTERACTS,
    REJECTS,
    SIMILAR,
    USER,
)
from graphgen.tables import item_columns
from graphgen.vocabulary import Vocabulary

if TYPE_CHECKING:
    # At run time it would bring torch_geometric: seconds, and a saved model does not need it.
    from graphgen.graph import InterestGraph

__all__ = [
    "DOMAINS",
    "ORDER",
    "TEXT",
    "TrainingData",
    "UserBatch",
    "check_requirements",
    "known_histories",
    "known_order",
    "known_times",
]

Made = TypeVar("Made")

# What a model may require of a graph: text features of items, at least two domains, the order of a
# user's interactions.
TEXT, DOMAINS, ORDER = "text", "domains", "order"


NO_TIMES = (
    "This needs to know when interactions happened, and the log has no column `timestamp`; leave "
    "it out or build the graph from a log that has one."
)
NO_ORDER = (
    "This needs the order of a user's interactions, and the log has no column `timestamp` or "
    "`position`. Build the graph from a log that has one, or with --ordered where the rows of each "
    "user are in order."
)


@dataclass(frozen=True)
class TrainingData:
    """Interactions of all domains in one matrix; an item of domain d is a column in ``span(d)``.

    Attributes
    ----------
    users
        External user ids.
    items
        External item ids by domain, domains in sorted order.
    matrix
        float32 CSR [n_users, n_items], 1 where the user liked the item.
    features
        float32 [n_items, dim], the vectors of all modalities (text, images, …) side by side, zeros
        where an item has none; None without any.
    modalities
        Width of each modality in `features`, in the order of its columns.
    user_features
        float32 [n_users, dim], texts of users, zeros without any; None where no user has one.
    similar
        float32 CSR [n_items, n_items], similarity of semantic neighbours; None without any.
    order
        int64 CSR of the pattern of `matrix`, milliseconds since 1970 UTC of the latest of equal
        interactions, 1 for all before 1970; or 1 + their positions, which are not comparable
        between users; None unless the log has either.
    has_time
        Whether `order` is in milliseconds.
    item_tables
        Columns of the item table by domain, to show and to filter by; see `InterestGraph`.
    weights
        float32 CSR of the pattern of `matrix`, the strength of a like; None where all are equal.
    rejected
        float32 CSR [n_users, n_items], 1 where an item was seen and not liked, below 0 where it was
        disliked; None without any.
    topics
        Names of the topics; empty without any.
    about
        float32 CSR [n_items, topics], 1 for a category of an item and a cosine for a topic of its
        text; None without topics.
    links
        By relation, float32 CSR of further edges: ``co_consumed`` [n_items, n_items], ``friend``
        [n_users, n_users], and those of `attributes` [n_items, attributes]. Not saved with a model.
    """

    users: Vocabulary
    items: dict[str, Vocabulary]
    matrix: sp.csr_matrix
    features: np.ndarray | None = None
    similar: sp.csr_matrix | None = None
    order: sp.csr_matrix | None = None
    has_time: bool = False
    item_tables: Mapping[str, pa.Table] = field(default_factory=dict)
    weights: sp.csr_matrix | None = None
    rejected: sp.csr_matrix | None = None
    topics: tuple[str, ...] = ()
    about: sp.csr_matrix | None = None
    modalities: Mapping[str, int] = field(default_factory=dict)
    user_features: np.ndarray | None = None
    links: Mapping[str, sp.csr_matrix] = field(default_factory=dict)

    @classmethod
    def from_graph(cls, graph: InterestGraph) -> TrainingData:
        """Collect a graph's edges and features; O(edges + items · dim)."""
        items = {domain: graph.vocabularies[domain] for domain in graph.domains}
        starts = starts_of(items)
        n_items = sum(map(len, items.values()))

        types, rows, columns = edge_ends(graph, INTERACTS, {USER: 0, **starts})
        matrix = joint_matrix(rows, columns, None, (graph.n_users, n_items))
        matrix.data[:] = 1.0
        strength = [graph.data[edges].weight.numpy() for edges in types]
        weights = None
        if len({float(w) for part in strength if len(part) for w in (part.min(), part.max())}) > 1:
            weights = joint_matrix(rows, columns, strength, matrix.shape)
        order, has_time = None, graph.has_time
        if graph.order and matrix.nnz:
            when = [graph.data[edges][graph.order].numpy() + (not has_time) for edges in types]
            order = latest(rows, columns, when, matrix.shape)

        types, rows, columns = edge_ends(graph, REJECTS, {USER: 0, **starts})
        rejected = None
        if types:
            strength = [graph.data[edges].weight.numpy() for edges in types]
            strength = [np.where(part < 0, part, np.float32(1.0)) for part in strength]
            rejected = without(joint_matrix(rows, columns, strength, matrix.shape), matrix)

        types, rows, columns = edge_ends(graph, SIMILAR, starts)
        similar = None
        if types:
            strength = [graph.data[edges].weight.numpy() for edges in types]
            similar = joint_matrix(rows, columns, strength, (n_items, n_items))

        features = None
        if graph.feature_dim:
            features = np.zeros((n_items, graph.feature_dim), dtype=np.float32)
            for domain, start in starts.items():
                if "x" in graph.data[domain]:
                    x = graph.data[domain].x.numpy()
                    features[start : start + len(x)] = x

        users = graph.vocabularies[USER]
        return cls(
            users, items, matrix, features, similar, order, has_time, graph.item_tables, weights,
            rejected, graph.topic_names, about_matrix(graph), graph.modalities,
            graph.data[USER].x.numpy() if "x" in graph.data[USER] else None,
            links_of(graph, starts),
        )  # fmt: skip

    @property
    def times(self) -> sp.csr_matrix | None:
        """`order` where it is in milliseconds, else None."""
        return self.order if self.has_time else None

    @cached_property
    def orders_apart(self) -> bool:
        """Whether `order` is of each domain apart: positions that start anew in each."""
        if self.order is None or self.has_time:
            return False
        return start_anew(self.order, self.item_domain)

    def order_in(self, domain: str, users: UserBatch) -> sp.csr_matrix:
        """Return the order of users' interactions for what comes next in a domain.

        With `orders_apart` those in the domain count as later than those in others. O(nnz).
        """
        order = known_order(users)
        if not self.orders_apart:
            return order
        span = self.span(domain)
        own = (order.indices >= span.start) & (order.indices < span.stop)
        later = order.data + own * order.data.max(initial=0)
        return sp.csr_matrix((later, order.indices, order.indptr), shape=order.shape)

    @cached_property
    def item_columns(self) -> dict[str, pd.DataFrame]:
        """`item_tables` as frames of text, row i being item i of the domain."""
        return item_columns(self.item_tables)

    @property
    def attributes(self) -> list[str]:
        """Relations of items to attributes among `links`."""
        return [name for name in self.links if name not in (CO_CONSUMED, FRIEND)]

    @property
    def domains(self) -> list[str]:
        """Domains in the order of the joint index."""
        return list(self.items)

    @property
    def n_users(self) -> int:
        """Number of users."""
        return int(self.matrix.shape[0])

    @property
    def n_items(self) -> int:
        """Number of items of all domains together."""
        return int(self.matrix.shape[1])

    def span(self, domain: str) -> slice:
        """Columns of a domain in the joint index."""
        return self._spans[domain]

    @cached_property
    def _spans(self) -> dict[str, slice]:
        starts = starts_of(self.items)
        return {name: slice(low, low + len(self.items[name])) for name, low in starts.items()}

    @cached_property
    def item_domain(self) -> np.ndarray:
        """int64 [n_items], position of the item's domain in `domains`."""
        return np.repeat(np.arange(len(self.items)), [len(v) for v in self.items.values()])

    @property
    def weighted(self) -> sp.csr_matrix:
        """`weights`, or `matrix` where all likes are equal."""
        return self.matrix if self.weights is None else self.weights

    @cached_property
    def popularity(self) -> np.ndarray:
        """float32 [n_items], number of users who interacted with the item."""
        return np.bincount(self.matrix.indices, minlength=self.n_items).astype(np.float32)

    @cached_property
    def liking(self) -> np.ndarray:
        """float32 [n_items], sum of the strengths of an item's likes."""
        if self.weights is None:
            return self.popularity
        return np.asarray(self.weights.sum(axis=0), dtype=np.float32).ravel()

    @cached_property
    def warm(self) -> np.ndarray:
        """Bool [n_items], whether the item has any interaction."""
        return self.popularity > 0

    def history_lengths(self) -> np.ndarray:
        """Return int64 [n_users, domains], the interactions of a user in a domain."""
        counts = [np.diff(self.matrix[:, self.span(domain)].indptr) for domain in self.domains]
        return np.column_stack(counts)

    def active(self) -> np.ndarray:
        """Return bool [n_users, domains], whether a user has any interaction in a domain."""
        return self.history_lengths() > 0

    def batch(self, rows: np.ndarray) -> UserBatch:
        """Return users by their rows of the matrix, int64 [n]."""
        parts = self.order, self.weights, self.rejected
        order, weights, rejected = (None if m is None else m[rows] for m in parts)
        return UserBatch(rows, self.matrix[rows], rows, order, weights, rejected, self.has_time)


@dataclass(frozen=True)
class UserBatch:
    """Users to score.

    Attributes
    ----------
    index
        int64 [n], row of each in the training matrix; -1 for users it does not hold.
    history
        float32 CSR [n, n_items], interactions of each user, before and after training.
    keys
        int64 [n], hash of the external id: breaks ties the same way in every chunk.
    order
        int64 CSR of the pattern of `history`, as `TrainingData.order`; None without any.
    weights, rejected, has_time
        As those of `TrainingData`.
    """

    index: np.ndarray
    history: sp.csr_matrix
    keys: np.ndarray
    order: sp.csr_matrix | None = None
    weights: sp.csr_matrix | None = None
    rejected: sp.csr_matrix | None = None
    has_time: bool = False
    _made: dict[Hashable, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.index)

    def once(self, key: Hashable, make: Callable[[], Made]) -> Made:
        """Return what `make` returns, made once for these users: lists of all domains share it."""
        if key not in self._made:
            self._made[key] = make()
        made: Made = self._made[key]
        return made

    def inside(self, span: slice) -> sp.csr_matrix:
        """Return float32 CSR [n, items of the span], the part of `history`; not to be changed."""
        return self.once((span.start, span.stop), lambda: self.history[:, span])

    @property
    def times(self) -> sp.csr_matrix | None:
        """`order` where it is in milliseconds, else None."""
        return self.order if self.has_time else None

    @property
    def weighted(self) -> sp.csr_matrix:
        """`weights`, or `history` where all likes are equal."""
        return self.history if self.weights is None else self.weights

    def seen(self, span: slice) -> sp.csr_matrix:
        """Return float32 CSR [n, items of the span]: 1 liked, -1 seen or disliked."""
        seen = self.inside(span)
        if self.rejected is None:
            return seen
        refused = self.rejected[:, span]
        return sp.csr_matrix(seen - without(pattern(refused).astype(np.float32), seen))

    def seen_cells(self, span: slice) -> tuple[np.ndarray, np.ndarray]:
        """Return rows and columns of `seen`, int64 [s] each, by rows."""
        cells = self.seen(span)
        return entry_rows(cells), cells.indices.astype(np.int64)

    def rows_of(self, part: slice | np.ndarray) -> UserBatch:
        """Return some of the users, by a slice or a mask."""
        parts = self.order, self.weights, self.rejected
        order, weights, rejected = (None if m is None else m[part] for m in parts)
        return UserBatch(
            self.index[part], self.history[part], self.keys[part], order, weights, rejected,
            self.has_time,
        )  # fmt: skip


def known_histories(data: TrainingData) -> sp.csr_matrix:
    """Return int64 CSR [histories, n_items], the order within each history to learn from.

    A history is that of a user, or, with `TrainingData.orders_apart`, that of a user in a domain.
    """
    order = known_order(data)
    return by_domain(order, data.item_domain) if data.orders_apart else order


def known_order(of: TrainingData | UserBatch) -> sp.csr_matrix:
    """Return `order`; a `ConfigError` if the log has none."""
    if of.order is None:
        raise ConfigError(NO_ORDER)
    return of.order


def known_times(of: TrainingData | UserBatch) -> sp.csr_matrix:
    """Return the times; a `ConfigError` if the log has none."""
    if of.times is None:
        raise ConfigError(NO_TIMES)
    return of.times


def check_requirements(name: str, requires: Iterable[str], data: TrainingData) -> None:
    """Refuse a graph without the `TEXT`, `DOMAINS` or `ORDER` that a model requires.

    Raises
    ------
    ConfigError
        Naming the missing part and the remedy.
    """
    if TEXT in requires and data.features is None:
        raise ConfigError(
            f"A {name} model needs text features, and this graph has none; build it with an item "
            "table that holds title or text, and an encoder other than 'none'."
        )
    if DOMAINS in requires and len(data.domains) < 2:
        raise ConfigError(
            f"A {name} model needs at least two domains; this graph has only "
            f"{', '.join(data.domains)}."
        )
    if ORDER in requires:
        known_order(data)
