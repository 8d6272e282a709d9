"""Linear item-item models: EASE, exact and dense."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import pydantic
import scipy.sparse as sp
import torch
from scipy.linalg import lapack

from gnn.base import Model
from gnn.data import TrainingData, UserBatch
from gnn.fitting import FitOptions
from gnn.memory import require_memory
from gnn.validation import ValidationRows
from graphgen.config import Config

__all__ = ["Ease", "EaseConfig", "ease_scores", "ease_weights"]

# The Gram matrix is inverted in its place; a quarter more covers its sparse form and blocks.
BYTES_PER_ENTRY = 5
BLOCK_ROWS = 1024


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
    Config = EaseConfig

    def _fit(
        self, data: TrainingData, *, seed: int, rows: ValidationRows | None, options: FitOptions
    ) -> None:
        self.warm_ = np.flatnonzero(data.warm)
        n = len(self.warm_)
        require_memory(
            BYTES_PER_ENTRY * n * n,
            f"EASE over {n:,} items",
            "Train 'ease-sparse', which keeps only the stronger weights.",
        )
        self.weights_ = ease_weights(data.matrix[:, self.warm_], self.config.regularization)

    def _score(self, users: UserBatch, domain: str) -> np.ndarray:
        return ease_scores(users.history, self.weights_, self.warm_, self.data.span(domain))

    def _state(self) -> dict[str, torch.Tensor]:
        # Transposed, the columns that LAPACK left behind are rows without a copy.
        return {
            "weights_transposed": torch.from_numpy(self.weights_.T),
            "warm": torch.from_numpy(self.warm_),
        }

    def _load_state(self, state: Mapping[str, torch.Tensor]) -> None:
        self.weights_, self.warm_ = state["weights_transposed"].numpy().T, state["warm"].numpy()


def ease_weights(matrix: sp.csr_matrix, regularization: float) -> np.ndarray:
    """Return float32 [n, n] in Fortran order, B of the scores r B of a history r.

    Parameters
    ----------
    matrix
        Binary CSR [users, n], each item with an interaction. O(n³), 5 n² bytes.
    regularization
        λ.
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


def ease_scores(
    history: sp.csr_matrix, weights: np.ndarray, warm: np.ndarray, span: slice
) -> np.ndarray:
    """Return float32 [n, items of the span], 0 for items without interactions.

    Parameters
    ----------
    history
        CSR [n, n_items].
    weights
        What `ease_weights` gave for the columns `warm`.
    warm
        int64, rising: the items with interactions.
    span
        Items of one domain.
    """
    low, high = np.searchsorted(warm, (span.start, span.stop))
    scores = np.zeros((history.shape[0], span.stop - span.start), dtype=np.float32)
    scores[:, warm[low:high] - span.start] = history[:, warm] @ weights[:, low:high]
    return scores


def _invert_in_place(matrix: np.ndarray) -> np.ndarray:
    """Return the inverse of a positive definite Fortran-ordered matrix, in its memory."""
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
