"""Sparse matrices: the rows of their entries, pruning, and saving."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from functools import cache

import numpy as np
import scipy.sparse as sp
import torch

__all__ = [
    "at_rows",
    "dense_product",
    "entry_rows",
    "keep_largest",
    "kept_entries",
    "pack_csr",
    "pattern",
    "rows_or_empty",
    "to_torch",
    "unpack_csr",
    "without",
]


def entry_rows(matrix: sp.csr_matrix) -> np.ndarray:
    """Return int64 [nnz], the row of each entry.

    Examples
    --------
    >>> entry_rows(sp.csr_matrix(np.array([[1, 2], [0, 0], [0, 3]]))).tolist()
    [0, 0, 2]
    """
    return np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))


def to_torch(csr: sp.csr_matrix) -> torch.Tensor:
    """Return a CSR matrix as a float32 tensor that shares memory where it can; its rows are sorted.

    Examples
    --------
    >>> to_torch(sp.csr_matrix(np.array([[0.0, 2.0]]))).to_dense()
    tensor([[0., 2.]])
    """
    _first_csr()
    csr.sort_indices()
    # Half the memory of 64 bits, and no slower.
    width = np.int32 if max(csr.nnz, *csr.shape) <= np.iinfo(np.int32).max else np.int64
    return torch.sparse_csr_tensor(
        torch.from_numpy(csr.indptr.astype(width, copy=False)),
        torch.from_numpy(csr.indices.astype(width, copy=False)),
        torch.from_numpy(csr.data.astype(np.float32, copy=False)),
        size=csr.shape,
        check_invariants=False,  # SciPy has just made it; saying so also keeps PyTorch quiet.
    )


@cache
def _first_csr() -> None:
    """Make the first CSR tensor of the process, for which PyTorch warns of a beta feature."""
    with warnings.catch_warnings(action="ignore", category=UserWarning):
        torch.sparse_csr_tensor([0, 1], [0], [1.0], size=(1, 1), check_invariants=False)


def dense_product(left: sp.csr_matrix, right: sp.csr_matrix) -> torch.Tensor:
    """Return left @ right, float32 [n, m], not by way of a sparse product; costs its terms.

    The rows of `right` are sorted in place.

    Intel's MKL, where PyTorch has it, adds up the rows of `right` where they are to stand, in half
    the time of SciPy and of laying its product out.

    Examples
    --------
    >>> eye = sp.eye(2, format="csr", dtype=np.float32)
    >>> dense_product(eye, eye)
    tensor([[1., 0.],
            [0., 1.]])
    """
    if not (torch.backends.mkl.is_available() and left.nnz and right.nnz):
        return torch.from_numpy((left @ right).toarray().astype(np.float32, copy=False))
    result = torch.empty(left.shape[0], right.shape[1])
    return torch.addmm(result, to_torch(left), to_torch(right), beta=0, out=result)


def keep_largest(matrix: sp.csr_matrix, k: int) -> sp.csr_matrix:
    """Keep the `k` largest entries of each row.

    O(nnz log nnz) in the entries of rows longer than k, no loop over rows. Ties are broken by
    column, the lower first.

    Examples
    --------
    >>> keep_largest(sp.csr_matrix(np.array([[3.0, 1.0, 2.0]])), 2).toarray().tolist()
    [[3.0, 0.0, 2.0]]
    """
    matrix = matrix.tocsr()
    row = entry_rows(matrix)
    # Only the entries of long rows need an order.
    kept = np.diff(matrix.indptr)[row] <= k
    cut = np.flatnonzero(~kept)
    order = cut[np.lexsort((matrix.indices[cut], -matrix.data[cut], row[cut]))]
    # They stay row by row, so each place within its row is known.
    kept[order[cut - matrix.indptr[row[cut]] < k]] = True
    result = kept_entries(matrix.tocoo(), kept)
    result.sort_indices()
    return result


def kept_entries(matrix: sp.coo_matrix, kept: np.ndarray) -> sp.csr_matrix:
    """Return CSR of the entries of a matrix that a mask [nnz] keeps.

    Examples
    --------
    >>> x = sp.coo_matrix(np.array([[3.0, 1.0]]))
    >>> kept_entries(x, x.data > 2).toarray().tolist()
    [[3.0, 0.0]]
    """
    where = (matrix.row[kept], matrix.col[kept])
    return sp.csr_matrix((matrix.data[kept], where), shape=matrix.shape)


def rows_or_empty(matrix: sp.csr_matrix, index: np.ndarray) -> sp.csr_matrix:
    """Return the rows of an `index`, int64 [n], empty where it is -1.

    Examples
    --------
    >>> rows_or_empty(sp.csr_matrix([[1.0], [2.0]]), np.array([1, -1])).toarray().tolist()
    [[2.0], [0.0]]
    """
    known = sp.diags((index >= 0).astype(np.float32))
    return sp.csr_matrix(known @ matrix[np.maximum(index, 0)])


def at_rows(matrix: sp.csr_matrix, rows: np.ndarray, n_rows: int) -> sp.csr_matrix:
    """Return CSR [n_rows, columns] with row i of a matrix at `rows[i]`, sorted; others are empty.

    Examples
    --------
    >>> at_rows(sp.csr_matrix([[1.0], [2.0]]), np.array([0, 2]), 3).toarray().tolist()
    [[1.0], [0.0], [2.0]]
    """
    lengths = np.zeros(n_rows, dtype=np.int64)
    lengths[rows] = np.diff(matrix.indptr)
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    return sp.csr_matrix((matrix.data, matrix.indices, indptr), shape=(n_rows, matrix.shape[1]))


def pack_csr(prefix: str, matrix: sp.csr_matrix) -> dict[str, torch.Tensor]:
    """Return a CSR matrix as tensors, for a safetensors file."""
    return {
        f"{prefix}.indptr": torch.from_numpy(matrix.indptr.astype(np.int64)),
        f"{prefix}.indices": torch.from_numpy(matrix.indices.astype(np.int32)),
        f"{prefix}.data": torch.from_numpy(matrix.data.astype(np.float32)),
        f"{prefix}.shape": torch.tensor(matrix.shape, dtype=torch.int64),
    }


def unpack_csr(prefix: str, state: Mapping[str, torch.Tensor]) -> sp.csr_matrix:
    """Restore a matrix from the tensors of `pack_csr`."""
    parts = (state[f"{prefix}.{part}"].numpy() for part in ("data", "indices", "indptr"))
    return sp.csr_matrix(tuple(parts), shape=tuple(state[f"{prefix}.shape"].tolist()))


def pattern(matrix: sp.csr_matrix) -> sp.csr_matrix:
    """Return bool CSR, True at the stored entries."""
    filled = np.ones(matrix.nnz, dtype=bool)
    return sp.csr_matrix((filled, matrix.indices, matrix.indptr), shape=matrix.shape)


def without(matrix: sp.csr_matrix, other: sp.csr_matrix) -> sp.csr_matrix:
    """Return the entries of one matrix where the other has none."""
    both = pattern(matrix).multiply(pattern(other)).astype(matrix.dtype)
    return sp.csr_matrix(matrix - matrix.multiply(both))
