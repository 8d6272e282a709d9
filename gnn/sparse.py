"""Sparse matrices: the rows of their entries, pruning, and saving."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import scipy.sparse as sp
import torch

__all__ = ["entry_rows", "keep_largest", "pack_csr", "unpack_csr"]


def entry_rows(matrix: sp.csr_matrix) -> np.ndarray:
    """Return int64 [nnz], the row of each entry.

    Examples
    --------
    >>> entry_rows(sp.csr_matrix(np.array([[1, 2], [0, 0], [0, 3]]))).tolist()
    [0, 0, 2]
    """
    return np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))


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
    result = sp.csr_matrix(
        (matrix.data[kept], (row[kept], matrix.indices[kept])), shape=matrix.shape
    )
    result.sort_indices()
    return result


def pack_csr(prefix: str, matrix: sp.csr_matrix) -> dict[str, torch.Tensor]:
    """Return a CSR matrix as tensors, for a safetensors file."""
    return {
        f"{prefix}.indptr": torch.from_numpy(matrix.indptr.astype(np.int64)),
        f"{prefix}.indices": torch.from_numpy(matrix.indices.astype(np.int32)),
        f"{prefix}.data": torch.from_numpy(matrix.data.astype(np.float32)),
        f"{prefix}.shape": torch.tensor(matrix.shape, dtype=torch.int64),
    }


def unpack_csr(prefix: str, state: Mapping[str, torch.Tensor]) -> sp.csr_matrix:
    """Take back what `pack_csr` gave."""
    parts = (state[f"{prefix}.{part}"].numpy() for part in ("data", "indices", "indptr"))
    return sp.csr_matrix(tuple(parts), shape=tuple(state[f"{prefix}.shape"].tolist()))
