"""Linear item-item models: EASE, exact and dense, and sparse for larger catalogues."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Self

import numpy as np
import pydantic
import scipy.sparse as sp

from gnn.base import Model
from gnn.data import TrainingData, UserBatch
from gnn.growth import Growth
from gnn.memory import require_memory
from gnn.numerics.propagation import inverse_power
from gnn.numerics.sparse import keep_largest, kept_entries
from graphgen.config import Config

__all__ = [
    "Ease",
    "EaseConfig",
    "EaseSparse",
    "EaseSparseConfig",
    "ease_scores",
    "ease_weights",
    "sparse_weights",
    "updated_ease",
]

# The Gram matrix is inverted in its place; a quarter more covers its sparse form and blocks.
BYTES_PER_ENTRY = 5
# Rows of the item-item product handled at once.
BLOCK_ROWS = 2048
# Up to so many entries (400 MB) the Gram matrix is dense, and blocks are read off it faster.
DENSE_ENTRIES = 100_000_000
# An update is worth it for a rank of at most a third of the items. An inverse in float32 leaves
# residuals of 1e-5 or so; above the limit an update has lost too many digits.
MAX_RANK_SHARE, PROBES, MAX_RESIDUAL = 3, 4, 1e-3


class EaseConfig(Config):
    """Settings of `Ease`."""

    regularization: float = pydantic.Field(300.0, gt=0)
    """λ, added to the diagonal of the Gram matrix: the square of a user count, as in the paper."""


class Ease(Model):
    """The linear item-item model with a zero diagonal, in closed form.

    Steck, "Embarrassingly shallow autoencoders for sparse data", WWW 2019: with P = (XᵀX + λI)^-1,
    B = I − P · diagMat(1 ⊘ diag P), and the scores of a history r are r B. Items of all domains
    share one X; items without interactions stay out of it, since their weights are zero. Time
    O(n³) and memory 5 n² bytes for n such items: the need is logged before it starts, and refused
    if the machine has less.

    Examples
    --------
    >>> import pandas as pd, graphgen
    >>> log = pd.DataFrame({"user_id": list("aabbc"), "item_id": list("xyxyx"), "domain": "book"})
    >>> model = Ease(regularization=1).fit(graphgen.build_graph(log, encoder="none"))
    >>> model.recommend(["c"], k=1).item_id.tolist()
    ['y']
    """

    name: ClassVar[str] = "ease"
    random = False
    updates = "exact"
    uses_weights = True
    Config = EaseConfig
    # Transposed, the columns that LAPACK leaves behind are rows, and are saved without a copy.
    learned = ("weights_transposed_", "warm_")

    def _fit(self, data: TrainingData, **_: Any) -> None:
        self.warm_ = np.flatnonzero(data.warm)
        n = len(self.warm_)
        require_memory(
            BYTES_PER_ENTRY * n * n,
            f"EASE over {n:,} items",
            "Train 'ease-sparse', which keeps only the stronger weights.",
        )
        weights = ease_weights(data.weighted[:, self.warm_], self.config.regularization)
        self.weights_transposed_ = weights.T

    def _update(self, former: Self, growth: Growth, **given: Any) -> None:
        weights = updated_ease(
            former.weights_transposed_.T,
            growth.items[former.warm_],
            growth.before,
            growth.data.weighted,
            self.config.regularization,
        )
        if weights is None:
            self._fit(growth.data, **given)
        else:
            self.weights_transposed_, self.warm_ = weights.T, np.flatnonzero(growth.data.warm)

    def _score(self, users: UserBatch, domain: str) -> np.ndarray:
        span = self.data.span(domain)
        return ease_scores(users.weighted, self.weights_transposed_.T, self.warm_, span)


def ease_weights(matrix: sp.csr_matrix, regularization: float) -> np.ndarray:
    """Return float32 [n, n] in Fortran order, B of the scores r B of a history r.

    `matrix` is CSR [users, n] of weights, each item with an interaction. O(n³), 5 n² bytes.
    """
    n = matrix.shape[1]
    gram = sp.csr_matrix(matrix.T @ matrix)
    dense = np.empty((n, n), dtype=np.float32, order="F")
    for low in range(0, n, BLOCK_ROWS):
        # The matrix is symmetric: rows of the sparse form fill columns of the dense one.
        dense[:, low : low + BLOCK_ROWS] = gram[low : low + BLOCK_ROWS].toarray().T
    del gram
    dense[np.diag_indices(n)] += regularization
    inverse = _invert_in_place(dense)
    inverse /= -np.diagonal(inverse).copy()
    inverse[np.diag_indices(n)] = 0.0
    return inverse


def updated_ease(
    weights: np.ndarray,
    warm: np.ndarray,
    before: sp.csr_matrix,
    after: sp.csr_matrix,
    regularization: float,
) -> np.ndarray | None:
    """Return `ease_weights` of a matrix that differs in few rows, from those before; None for many.

    Each row that was replaced changes the Gram matrix by two of rank 1, so that its inverse P
    changes by the formula of Sherman, Morrison and Woodbury: P − Kᵀ (S + U Kᵀ)^-1 K with K = U P,
    U the new rows and the old ones, and S = diag(1, ..., −1, ...). P itself is in the weights:
    P_ij = −B_ij p_j, and (XᵀX + λI) P = I says p_j. O(n² r) for r rows of U. The result is checked
    on random vectors.

    Parameters
    ----------
    weights
        float32 [n, n], those before.
    warm
        int64 [n], rising, their columns in the two matrices.
    before, after
        CSR [users, m].
    regularization
        λ.
    """
    now = np.flatnonzero(np.bincount(after.indices, minlength=after.shape[1]))
    place, n = np.searchsorted(now, warm), len(now)
    if not np.isin(warm, now).all():
        return None
    old, new = before[:, now], after[:, now]
    rows = np.flatnonzero(np.diff(sp.csr_matrix(abs(new - old) > 0).indptr))
    known = rows[np.diff(old.indptr)[rows] > 0]
    if (len(rows) + len(known)) * MAX_RANK_SHARE > n:
        return None
    gram = sp.coo_matrix(before[:, warm].T @ before[:, warm])
    # All is symmetric: row j of the inverse is column j, which the transposed weights hold.
    columns = weights.T
    products = gram.data.astype(np.float64) * columns[gram.row, gram.col]
    own = gram.row == gram.col
    total = np.bincount(gram.row[own], gram.data[own], len(warm)) + regularization
    scale = 1 / (total - np.bincount(gram.row, products, len(warm)))
    inverse = np.zeros((n, n), dtype=np.float32)
    for low in range(0, len(warm), BLOCK_ROWS):
        part = slice(low, low + BLOCK_ROWS)
        rest = columns[part] * -scale[part, None].astype(np.float32)
        if len(warm) < n:
            inverse[place[part, None], place] = rest
        else:
            inverse[part] = rest
    inverse[np.diag_indices(n)] = 1 / regularization
    inverse[place, place] = scale
    changed = sp.vstack([new[rows], old[known]], format="csr")
    sign = np.repeat([1.0, -1.0], [len(rows), len(known)])
    across = changed @ inverse  # K, [r, n]
    inner = np.diag(sign) + changed @ across.T.astype(np.float64)
    solved = np.linalg.solve(inner, across.astype(np.float64)).astype(np.float32)
    for low in range(0, n, BLOCK_ROWS):
        part = slice(low, low + BLOCK_ROWS)
        inverse[part] -= across[:, part].T @ solved
    probe = np.random.default_rng(0).standard_normal((n, PROBES), dtype=np.float32)
    there = inverse @ probe
    back = new.T @ (new @ there) + regularization * there
    if np.abs(back - probe).max() > MAX_RESIDUAL:
        return None
    inverse /= -np.diagonal(inverse)[:, None].copy()
    inverse[np.diag_indices(n)] = 0.0
    return inverse.T


def ease_scores(
    history: sp.csr_matrix, weights: np.ndarray, warm: np.ndarray, span: slice
) -> np.ndarray:
    """Return float32 [n, items of the span], 0 for items without interactions.

    `history` is CSR [n, n_items], `weights` those of `ease_weights` for the columns `warm`, int64
    and rising.
    """
    low, high = np.searchsorted(warm, (span.start, span.stop))
    scores = np.zeros((history.shape[0], span.stop - span.start), dtype=np.float32)
    known = history[:, warm]
    # SciPy copies a right side in Fortran order: only the rows that few histories need.
    used = np.unique(known.indices)
    rows = np.ascontiguousarray(weights[used, low:high])
    scores[:, warm[low:high] - span.start] = known[:, used] @ rows
    return scores


def _invert_in_place(matrix: np.ndarray) -> np.ndarray:
    """Return the inverse of a positive definite Fortran-ordered matrix, in its memory."""
    from scipy.linalg import lapack  # 0.1 s, which only fitting needs

    factor, info = lapack.spotrf(matrix, lower=1, overwrite_a=1, clean=0)
    if info == 0:
        factor, info = lapack.spotri(factor, lower=1, overwrite_c=1)
    if info != 0:  # λ > 0 makes it positive definite, so only rounding can bring us here.
        raise FloatingPointError(f"The Gram matrix could not be inverted (LAPACK code {info}).")
    for low in range(0, len(factor), BLOCK_ROWS):
        block = slice(low, low + BLOCK_ROWS)
        square = np.tril(factor[block, block])
        factor[block, block] = square + np.tril(square, -1).T
        factor[block, low + BLOCK_ROWS :] = factor[low + BLOCK_ROWS :, block].T
    return np.asarray(factor)


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
    random = False
    Config = EaseSparseConfig
    learned = ("weights_",)

    def _fit(self, data: TrainingData, **_: Any) -> None:
        self.weights_ = sparse_weights(data.matrix, self.config)

    def _set_up(self) -> None:
        spans = {domain: self.data.span(domain) for domain in self.domains}
        self._columns = {domain: self.weights_[:, span] for domain, span in spans.items()}

    def _score(self, users: UserBatch, domain: str) -> np.ndarray:
        product = users.history @ self._columns[domain]
        return np.asarray(product.toarray(), dtype=np.float32)


def sparse_weights(matrix: sp.csr_matrix, config: EaseSparseConfig) -> sp.csr_matrix:
    """Return CSR [n_items, n_items], the weights B of scores r B, for binary CSR of histories."""
    n_users, n_items = matrix.shape
    counts = np.bincount(matrix.indices, minlength=n_items).astype(np.float64)
    mean = counts / n_users
    deviation = np.sqrt(np.maximum(counts - mean * counts, 0.0))
    scale = inverse_power(deviation, config.scaling)
    gram = (matrix.T @ matrix).tocsr()
    dense = gram.toarray() if n_items**2 <= DENSE_ENTRIES else None
    pattern = _pattern(gram, mean, n_users, scale, config)

    def covariance(block: np.ndarray) -> np.ndarray:
        """Return the regularised, rescaled covariance of some items, float64."""
        together = gram[block][:, block].toarray() if dense is None else dense[np.ix_(block, block)]
        own_mean, own_scale = mean[block], scale[block].astype(np.float64)
        result = together.astype(np.float64) - np.outer(own_mean, own_mean) * n_users
        result *= np.outer(own_scale, own_scale)
        result[np.diag_indices(len(block))] += config.regularization
        return result

    # The list L of the paper: items with many neighbours first, ties to the popular.
    width = np.diff(pattern.indptr)
    variance = (deviation * scale) ** 2
    order = np.argsort(-(width + variance / (2.0 * max(variance.max(), 1e-12))), kind="stable")
    rows, columns, values = [], [], []
    for block, owned in _blocks(pattern, order, config.share):
        inverse = np.linalg.inv(covariance(block))
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
        block.data = value
        parts.append(keep_largest(kept_entries(block, kept), config.neighbors + 1))
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
