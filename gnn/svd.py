"""The largest singular values of a sparse matrix, by subspace iteration."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
import torch

from gnn.propagation import Propagator

__all__ = ["truncated_svd"]


def truncated_svd(
    matrix: sp.csr_matrix,
    rank: int,
    generator: np.random.Generator,
    *,
    iterations: int = 6,
    oversampling: int = 32,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the `rank` largest singular triplets by randomised subspace iteration.

    Halko, Martinsson and Tropp, "Finding structure with randomness", SIAM Review 2011, algorithm
    4.4. An iteration costs O(nnz · r + m · r²) with r = rank + oversampling. Where the
    matrix has less rank, there are fewer triplets.

    Parameters
    ----------
    matrix
        Sparse [n, m].
    rank
        How many.
    generator
        Source of the random directions.
    iterations
        Power iterations; each narrows the error by the square of the ratio of the values.
    oversampling
        Directions beyond `rank` that are iterated and then dropped.

    Returns
    -------
    tuple of torch.Tensor
        float32 left [n, r], values [r] from the largest, right [m, r].

    Examples
    --------
    >>> x = sp.diags([3.0, 2.0, 1.0]).tocsr()
    >>> truncated_svd(x, 2, np.random.default_rng(0))[1].numpy().round(4).tolist()
    [3.0, 2.0]
    """
    n, m = matrix.shape
    width = min(rank + oversampling, n, m)
    operator = Propagator(matrix)
    basis = torch.from_numpy(generator.standard_normal((m, width), dtype=np.float32))
    for _ in range(iterations):
        basis = torch.linalg.qr(operator.T @ (operator @ basis)).Q
    left = torch.linalg.qr(operator @ basis).Q
    inner, values, right = torch.linalg.svd((operator.T @ left).T, full_matrices=False)
    # What is at the level of rounding is not a direction of the matrix.
    kept = int((values[:rank] > values[0] * width * torch.finfo(values.dtype).eps).sum())
    return left @ inner[:, :kept], values[:kept], right[:kept].T.contiguous()
