"""Augmentation: training data with fewer, and with virtual, interactions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from gnn.data import TrainingData
from gnn.numerics.sparse import entry_rows, kept_entries
from graphgen.errors import ConfigError

__all__ = ["drop_interactions", "mix_histories", "semantic_interactions"]


def drop_interactions(
    data: TrainingData, share: float, generator: np.random.Generator
) -> TrainingData:
    """Return the data without a random share of the interactions; O(nnz).

    Edge dropping: Wu et al., "Self-supervised graph learning for recommendation", SIGIR 2021.
    Every user keeps at least one interaction.
    """
    row = entry_rows(data.matrix)
    draw = generator.random(len(row))
    kept = draw >= share
    # Of a user who would lose all, the one with the largest draw stays.
    largest = np.full(data.n_users, -1.0)
    np.maximum.at(largest, row, draw)
    kept |= draw == largest[row]
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
