"""Linear item-item models: EASE above the size that a dense inverse allows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np
import pydantic
import scipy.sparse as sp
import torch

from gnn.base import Model
from gnn.data import TrainingData, UserBatch
from gnn.fitting import FitOptions, Monitor
from gnn.numerics.propagation import inverse_power
from gnn.numerics.sparse import keep_largest, pack_csr, unpack_csr
from graphgen.config import Config

__all__ = ["EaseSparse", "EaseSparseConfig", "sparse_weights"]

# Rows of the item-item product computed at once.
BLOCK_ROWS = 2048
# Up to so many entries (400 MB) the Gram matrix is dense, and blocks are read off it faster.
DENSE_ENTRIES = 100_000_000


class EaseSparseConfig(Config):
    """Settings of `EaseSparse`."""

    regularization: float = pydantic.Field(20.0, gt=0)
    """L2 norm, on the scale of the rescaled covariances; its author takes 1 to 6 on denser logs."""
    threshold: float = pydantic.Field(0.1, ge=0)
    """Least rescaled covariance of a pair of items that gets a weight."""
    neighbors: int = pydantic.Field(100, ge=1)
    """Weights an item has at the most. Blocks of so many items are inverted."""
    scaling: float = pydantic.Field(0.75, ge=0, le=1)
    """α: covariances are divided by the standard deviations to this power; its author's 0.75."""
    share: float = pydantic.Field(0.5, ge=0, le=1)
    """r: share of a block whose weights are taken from it; 0 is the most exact and slowest."""


class EaseSparse(Model):
    """EASE with a sparse matrix of weights, for catalogues too large for a dense inverse.

    The sparse approximation of Steck, "Markov random fields for collaborative filtering", NeurIPS
    2019, section 3, as in its author's code: items are centred and divided by their standard
    deviation^α; pairs above a threshold, at most `neighbors` an item, form the sparsity pattern;
    the items of a column's pattern make a block whose covariance is inverted exactly, as EASE does
    for all items at once; weights from several blocks are averaged; the scale is undone. O(items ·
    neighbors³ / (share · neighbors)) to fit; memory is that of XᵀX and the pattern.

    Examples
    --------
    >>> import pandas as pd, graphgen
    >>> log = pd.DataFrame({"user_id": list("aabbcd"), "item_id": list("xyxyxz"),
    ...                     "domain": "book"})
    >>> model = EaseSparse().fit(graphgen.build_graph(log, encoder="none"))
    >>> model.recommend(["c"], k=1).item_id.tolist()
    ['y']
    """

    name: ClassVar[str] = "ease-sparse"
    Config = EaseSparseConfig

    def _fit(
        self, data: TrainingData, *, seed: int, monitor: Monitor | None, options: FitOptions
    ) -> None:
        self.weights_ = sparse_weights(data.matrix, self.config)
        self._columns: dict[str, sp.csr_matrix] = {}

    def _score(self, users: UserBatch, domain: str) -> np.ndarray:
        if domain not in self._columns:
            self._columns[domain] = self.weights_[:, self.data.span(domain)]
        product = users.history @ self._columns[domain]
        return np.asarray(product.toarray(), dtype=np.float32)

    def _state(self) -> dict[str, torch.Tensor]:
        return pack_csr("weights", self.weights_)

    def _load_state(self, state: Mapping[str, torch.Tensor]) -> None:
        self.weights_ = unpack_csr("weights", state)
        self._columns = {}


def sparse_weights(matrix: sp.csr_matrix, config: EaseSparseConfig) -> sp.csr_matrix:
    """Return CSR [n_items, n_items], the weights B of scores r B.

    Parameters
    ----------
    matrix
        Binary CSR [n_users, n_items].
    config
        Settings.
    """
    n_users, n_items = matrix.shape
    counts = np.bincount(matrix.indices, minlength=n_items).astype(np.float64)
    mean = counts / n_users
    deviation = np.sqrt(np.maximum(counts - mean * counts, 0.0))
    scale = inverse_power(deviation, config.scaling)
    gram = (matrix.T @ matrix).tocsr()
    pattern = _pattern(gram, mean, n_users, scale, config)
    entries = _Blocks(gram, mean, n_users, scale, config.regularization)

    # The list L of the paper: items with many neighbours first, ties to the popular.
    width = np.diff(pattern.indptr)
    variance = (deviation * scale) ** 2
    order = np.argsort(-(width + variance / (2.0 * max(variance.max(), 1e-12))), kind="stable")
    rows, columns, values = [], [], []
    for block, owned in _blocks(pattern, order, config.share):
        inverse = np.linalg.inv(entries.covariance(block))
        inverse /= -np.diagonal(inverse).copy()
        rows.append(np.repeat(block, owned))
        columns.append(np.tile(block[:owned], len(block)))
        values.append(inverse[:, :owned].ravel())
    where = (np.concatenate(rows), np.concatenate(columns))
    total = sp.csr_matrix((np.concatenate(values), where), shape=gram.shape)
    times = sp.csr_matrix((np.ones(len(where[0])), where), shape=gram.shape)
    # The same entries in the same order: both were summed from one list of places.
    total.data /= times.data
    total = total.multiply(pattern.T.astype(bool)).tocsr()
    total.setdiag(0.0)
    total.eliminate_zeros()
    undo = sp.diags(np.where(scale > 0, 1.0 / np.where(scale > 0, scale, 1.0), 0.0))
    return sp.csr_matrix(sp.diags(scale) @ total @ undo, dtype=np.float32)


def _pattern(
    gram: sp.csr_matrix,
    mean: np.ndarray,
    n_users: int,
    scale: np.ndarray,
    config: EaseSparseConfig,
) -> sp.csr_matrix:
    """Return CSR whose row j holds the absolute covariances of the items with a weight for j.

    Pairs without a common user have a small negative covariance and are left out. The item itself
    is always in.
    """
    parts = []
    for low in range(0, gram.shape[0], BLOCK_ROWS):
        block = gram[low : low + BLOCK_ROWS].tocoo()
        row = block.row + low
        value = np.abs(
            (block.data - n_users * mean[row] * mean[block.col]) * scale[row] * scale[block.col]
        )
        own = row == block.col
        kept = (value > config.threshold) | own
        value[own] = np.inf  # Never lost to a neighbour, and first in its block.
        part = sp.csr_matrix((value[kept], (block.row[kept], block.col[kept])), shape=block.shape)
        parts.append(keep_largest(part, config.neighbors + 1))
    return sp.vstack(parts, format="csr")


def _blocks(
    pattern: sp.csr_matrix, order: np.ndarray, share: float
) -> Iterator[tuple[np.ndarray, int]]:
    """Yield the items of each block, strongest first, and how many columns are taken from it."""
    waiting = np.diff(pattern.indptr) > 0
    for item in order:
        if waiting[item]:
            place = slice(pattern.indptr[item], pattern.indptr[item + 1])
            strongest = np.argsort(-pattern.data[place], kind="stable")
            block = pattern.indices[place][strongest]
            owned = max(1, int(np.ceil(len(block) * share)))
            waiting[block[:owned]] = False
            yield block, owned


class _Blocks:
    """Dense blocks of the regularised, rescaled covariance, from the sparse Gram matrix."""

    def __init__(
        self,
        gram: sp.csr_matrix,
        mean: np.ndarray,
        n_users: int,
        scale: np.ndarray,
        regularization: float,
    ) -> None:
        self._gram, self._mean, self._n_users = gram, mean, n_users
        self._scale, self._regularization = scale.astype(np.float64), regularization
        self._place = np.full(gram.shape[0], -1)
        self._dense = gram.toarray() if gram.shape[0] ** 2 <= DENSE_ENTRIES else None

    def covariance(self, block: np.ndarray) -> np.ndarray:
        """Return float64 [block, block]."""
        dense = self._counts(block).astype(np.float64)
        mean, scale = self._mean[block], self._scale[block]
        dense -= np.outer(mean, mean) * self._n_users
        dense *= np.outer(scale, scale)
        dense[np.diag_indices(len(block))] += self._regularization
        return dense

    def _counts(self, block: np.ndarray) -> np.ndarray:
        if self._dense is not None:
            return self._dense[np.ix_(block, block)]
        self._place[block] = np.arange(len(block))
        rows = self._gram[block]
        place = self._place[rows.indices]
        inside = place >= 0
        row = np.repeat(np.arange(len(block)), np.diff(rows.indptr))
        dense = np.zeros((len(block), len(block)), dtype=np.float32)
        dense[row[inside], place[inside]] = rows.data[inside]
        self._place[block] = -1
        return dense
