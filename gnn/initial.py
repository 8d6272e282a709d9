"""Initial item vectors from the spectrum of the interaction matrix."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
import torch

from gnn.propagation import Propagator, normalized_adjacency

__all__ = ["spectral_vectors"]

# Randomised SVD (Halko, Martinsson and Tropp, 2011): extra directions and power iterations.
OVERSAMPLING = 16
POWER_ITERATIONS = 3


def spectral_vectors(
    matrix: sp.csr_matrix, dim: int, generator: np.random.Generator
) -> torch.Tensor:
    """Return the right singular vectors of D_u^-½ X D_i^-½ times the roots of their values.

    O(nnz · dim) a power iteration. Where the matrix has less rank than `dim`, the other columns
    are small noise, so that every direction can be learned.

    Parameters
    ----------
    matrix
        CSR [n_users, n_items].
    dim
        Width of the vectors.
    generator
        Source of the random directions.

    Returns
    -------
    torch.Tensor
        float32 [n_items, dim]; the rows of items with interactions have length 1 on average.

    Examples
    --------
    >>> x = sp.csr_matrix(np.eye(4, dtype=np.float32))
    >>> spectral_vectors(x, 2, np.random.default_rng(0)).shape
    torch.Size([4, 2])
    """
    n_users, n_items = matrix.shape
    rank = min(dim + OVERSAMPLING, n_users, n_items)
    adjacency = Propagator(normalized_adjacency(matrix))
    basis = torch.from_numpy(generator.standard_normal((n_items, rank), dtype=np.float32))
    for _ in range(POWER_ITERATIONS):
        left = torch.linalg.qr(adjacency @ basis).Q
        basis = torch.linalg.qr(adjacency.T @ left).Q
    left = torch.linalg.qr(adjacency @ basis).Q
    _, values, right = torch.linalg.svd((adjacency.T @ left).T, full_matrices=False)
    used = min(dim, rank)
    vectors = torch.from_numpy(generator.standard_normal((n_items, dim), dtype=np.float32)).mul_(
        1e-3
    )
    vectors[:, :used] += right[:used].T * values[:used].sqrt()
    warm = torch.from_numpy(np.bincount(matrix.indices, minlength=n_items) > 0)
    return vectors / vectors[warm].norm(dim=1).mean().clamp(min=1e-12)
