"""Augmentation: training data with fewer, and with virtual, interactions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from gnn.data import TrainingData
from gnn.numerics.sparse import entry_rows, kept_entries
from graphgen.errors import ConfigError

__all__ = [
    "draw_interactions",
    "drop_interactions",
    "generated_interactions",
    "mix_histories",
    "only_interactions",
    "semantic_interactions",
]

# Users for whom items are generated at once.
USERS_AT_ONCE = 256


def drop_interactions(
    data: TrainingData, share: float, generator: np.random.Generator
) -> TrainingData:
    """Return the data without a random share of the interactions; O(nnz).

    Edge dropping: Wu et al., "Self-supervised graph learning for recommendation", SIGIR 2021.
    Every user keeps at least one interaction.
    """
    return only_interactions(data, draw_interactions(data, 1 - share, generator))


def draw_interactions(
    data: TrainingData,
    share: float,
    generator: np.random.Generator,
    weight: np.ndarray | None = None,
) -> np.ndarray:
    """Return bool [nnz], a random share of the interactions, at least one of each user.

    Those with a larger `weight`, float [nnz] above 0, are drawn more often (Efraimidis and
    Spirakis, "Weighted random sampling with a reservoir", 2006). O(nnz).
    """
    row = entry_rows(data.matrix)
    draw = generator.random(len(row))
    if weight is not None:
        draw = draw ** (weight.mean() / weight)
    kept: np.ndarray = draw >= np.quantile(draw, 1 - share) if len(draw) else draw > 0
    # Of a user who would lose all, the one with the largest draw stays.
    largest = np.full(data.n_users, -1.0)
    np.maximum.at(largest, row, draw)
    return kept | (draw == largest[row])


def only_interactions(data: TrainingData, kept: np.ndarray) -> TrainingData:
    """Return the data with the interactions of a mask, bool [nnz]."""
    parts: dict[str, Any] = {
        name: _kept(getattr(data, name), kept) for name in ("matrix", "order", "weights")
    }
    return replace(data, **parts)


def semantic_interactions(
    data: TrainingData, share: float, generator: np.random.Generator
) -> TrainingData:
    """Return the data with virtual interactions with items similar to those of the users; O(nnz).

    For a random `share` of the interactions, one of the item's semantic neighbours is added, drawn
    by similarity, with the order and the weight of the interaction that it comes from.

    Raises
    ------
    ConfigError
        If the graph has no semantic edges.
    """
    if data.similar is None:
        raise ConfigError(
            "Virtual interactions need semantic edges, and this graph has none; build it with an "
            "item table that holds title or text."
        )
    from_ = np.flatnonzero(generator.random(data.matrix.nnz) < share)
    item = data.matrix.indices[from_]
    drawn = _drawn_by_weight(data.similar, item, generator)
    found = drawn >= 0
    return _with_virtual(data, from_[found], drawn[found])


def mix_histories(data: TrainingData, share: float, generator: np.random.Generator) -> TrainingData:
    """Return the data with virtual interactions out of the histories of users alike; O(nnz).

    For a random `share` of the interactions, the user gets an item of another user who shares that
    item: a mixture of the neighbourhoods of two users, as mixup makes of two examples (Zhang et
    al., ICLR 2018).
    """
    from_ = np.flatnonzero(generator.random(data.matrix.nnz) < share)
    uniform = sp.csr_matrix(data.matrix.T)
    other = _drawn_by_weight(uniform, data.matrix.indices[from_], generator)
    return _with_virtual(data, from_, _drawn_by_weight(data.matrix, other, generator))


def generated_interactions(
    data: TrainingData,
    share: float,
    generator: np.random.Generator,
    generate: Callable[[np.ndarray, str], np.ndarray],
) -> TrainingData:
    """Return the data with virtual interactions of users with few, in domains and of items alike.

    `share` of the number of interactions are added, at most one for each user and domain: the new
    item with the highest of the scores that `generate` returns for users, int64 [n], in a domain,
    float32 [n, items]. Users are drawn with a weight of 1 / (1 + their interactions in the domain).
    """
    length = data.history_lengths()
    user, place = np.nonzero((length.sum(axis=1) > 0)[:, None] & (length >= 0))
    weight = 1 / (1.0 + length[user, place])
    number = min(int(share * data.matrix.nnz), len(user))
    chosen = generator.choice(len(user), number, replace=False, p=weight / weight.sum())
    from_, item = [], []
    for each, domain in enumerate(data.domains):
        users, span = np.sort(user[chosen[place[chosen] == each]]), data.span(domain)
        for low in range(0, len(users), USERS_AT_ONCE):
            block = users[low : low + USERS_AT_ONCE]
            scores = generate(block, domain)
            scores[data.batch(block).seen_cells(span)] = -np.inf
            scores[:, ~data.warm[span]] = -np.inf
            from_.append(data.matrix.indptr[block + 1] - 1)
            item.append(span.start + scores.argmax(axis=1))
    if not item:
        return data
    return _with_virtual(data, np.concatenate(from_).astype(np.int64), np.concatenate(item))


def _kept(matrix: sp.csr_matrix | None, kept: np.ndarray) -> sp.csr_matrix | None:
    return None if matrix is None else kept_entries(matrix.tocoo(), kept)


def _drawn_by_weight(
    matrix: sp.csr_matrix, rows: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """Return int64 [len(rows)], a column of each row, drawn by the entries; -1 for empty rows."""
    total = np.concatenate([[0.0], np.cumsum(matrix.data, dtype=np.float64)])
    low, high = total[matrix.indptr[rows]], total[matrix.indptr[rows + 1]]
    point = low + generator.random(len(rows)) * (high - low)
    place = np.searchsorted(total, point, side="right") - 1
    place = np.clip(place, matrix.indptr[rows], np.maximum(matrix.indptr[rows + 1] - 1, 0))
    empty = matrix.indptr[rows] == matrix.indptr[rows + 1]
    return np.where(empty, -1, matrix.indices[np.minimum(place, matrix.nnz - 1)]).astype(np.int64)


def _with_virtual(data: TrainingData, from_: np.ndarray, item: np.ndarray) -> TrainingData:
    """Return the data with an interaction like each of `from_`, but with other items, int64 [v]."""
    row = entry_rows(data.matrix)[from_]
    new = np.asarray(data.matrix[row, item]).ravel() == 0
    # One of equal ones.
    _, first = np.unique(row * data.n_items + item, return_index=True)
    new &= np.isin(np.arange(len(row)), first)
    row, item, from_ = row[new], item[new], from_[new]

    def more(matrix: sp.csr_matrix | None) -> Any:
        if matrix is None:
            return None
        added = sp.csr_matrix((matrix.data[from_], (row, item)), shape=matrix.shape)
        both = sp.csr_matrix(matrix + added)
        both.sort_indices()
        return both

    return replace(
        data, matrix=more(data.matrix), order=more(data.order), weights=more(data.weights)
    )
