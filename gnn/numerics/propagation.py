"""Propagation: sparse times dense, with the transpose kept for the way back."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
import torch

from gnn.numerics.sparse import to_torch

__all__ = [
    "Propagator",
    "bipartite_propagator",
    "inverse_power",
    "normalized_adjacency",
    "xavier_uniform",
]


class Propagator:
    """A fixed sparse matrix A that multiplies dense matrices, differentiably.

    Keeps A and its transpose as CSR, so the backward pass is one more product and not a
    transposition. On two cores, 2 M non-zeros times 64 columns take 100 ms forward and backward;
    message passing over an edge list takes 18 times as long.

    Examples
    --------
    >>> a = Propagator(sp.csr_matrix(np.array([[0.0, 2.0]])))
    >>> (a @ torch.ones(2, 3)).tolist()
    [[2.0, 2.0, 2.0]]
    >>> a.T.shape
    (2, 1)
    """

    def __init__(self, matrix: sp.spmatrix) -> None:
        csr = sp.csr_matrix(matrix)
        self.shape: tuple[int, int] = csr.shape
        self._forward = to_torch(csr)
        self._backward = to_torch(sp.csr_matrix(csr.T))

    @property
    def T(self) -> Propagator:
        """The transpose, sharing memory."""
        other = object.__new__(Propagator)
        other.shape = (self.shape[1], self.shape[0])
        other._forward, other._backward = self._backward, self._forward
        return other

    def squares(self) -> np.ndarray:
        """Return float32 [m], the sum of the squares of each column of A: the diagonal of AᵀA."""
        starts, values = self._backward.crow_indices().numpy(), self._backward.values().numpy()
        column = np.repeat(np.arange(self.shape[1]), np.diff(starts))
        return np.bincount(column, np.square(values), self.shape[1]).astype(np.float32)

    def __matmul__(self, dense: torch.Tensor) -> torch.Tensor:
        """Multiply: float32 [m, d] -> [n, d]; O(nnz · d)."""
        return _Product.apply(dense, self._forward, self._backward)


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, dense: torch.Tensor, forward: torch.Tensor, backward: torch.Tensor
    ) -> Any:
        ctx.transposed = backward
        return forward @ dense

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> Any:
        return ctx.transposed @ gradient.contiguous(), None, None


def normalized_adjacency(
    matrix: sp.csr_matrix, row_exponent: float = 0.5, column_exponent: float = 0.5
) -> sp.csr_matrix:
    """Return D_row^-a A D_col^-b of a non-negative A; rows and columns without an entry stay empty.

    With a = b = ½ it is the symmetric normalisation of LightGCN.

    Examples
    --------
    >>> normalized_adjacency(sp.csr_matrix(np.array([[1.0, 1.0]]))).toarray().round(3)
    array([[0.707, 0.707]], dtype=float32)
    """
    rows = inverse_power(np.asarray(matrix.sum(axis=1)).ravel(), row_exponent)
    columns = inverse_power(np.asarray(matrix.sum(axis=0)).ravel(), column_exponent)
    return sp.csr_matrix(sp.diags(rows) @ matrix @ sp.diags(columns), dtype=np.float32)


def inverse_power(degrees: np.ndarray, exponent: float) -> np.ndarray:
    """Return degrees^-exponent as float32, and 0 where a degree is 0."""
    safe = np.where(degrees > 0, degrees, 1.0)
    return np.where(degrees > 0, safe**-exponent, 0.0).astype(np.float32)


def bipartite_propagator(matrix: sp.csr_matrix) -> Propagator:
    """Return D^-½ A D^-½ for the graph of users, the rows of [n, m], and items, in this order."""
    x = normalized_adjacency(matrix)
    return Propagator(sp.bmat([[None, x], [x.T, None]], format="csr"))


def xavier_uniform(shape: tuple[int, int], generator: np.random.Generator) -> torch.nn.Parameter:
    """Return first embeddings [rows, dim], as in the code of LightGCN's and BiTGCF's authors."""
    bound = np.sqrt(6.0 / sum(shape))
    return torch.nn.Parameter(
        torch.from_numpy(generator.uniform(-bound, bound, shape).astype(np.float32))
    )
