"""Initial item vectors from the spectrum of the interaction matrix."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
import torch

from gnn.numerics.propagation import Propagator, normalized_adjacency

__all__ = ["spectral_vectors"]

# Subspace iteration (Halko, Martinsson and Tropp, 2011): extra directions and rounds. More rounds
# come nearer to the singular vectors, and training from there ends no better.
OVERSAMPLING = 16
ROUNDS = 2
# Share of the largest squared length below which a direction is rounding.
LEAST_SHARE = 1e-6


def spectral_vectors(
    matrix: sp.csr_matrix, dim: int, generator: np.random.Generator
) -> torch.Tensor:
    """Return the right singular vectors of D_u^-½ X D_i^-½ times the roots of their values.

    O(nnz · dim + n_items · dim²) a round of subspace iteration. Where the matrix has less rank than
    `dim`, the other columns are small noise, so that every direction can be learned.

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
    for _ in range(ROUNDS):
        basis = adjacency.T @ (adjacency @ basis)
        squares, turn = _principal(basis)
        least = LEAST_SHARE * squares.max()
        basis = basis @ torch.where(squares > least, turn * squares.rsqrt(), 0.0).float()
    # Rayleigh and Ritz: the singular vectors of A within the space that was found.
    squares, turn = _principal(adjacency @ basis)
    right, values = basis @ turn.float(), squares.sqrt().float()
    used = min(dim, rank)
    vectors = torch.from_numpy(generator.standard_normal((n_items, dim), dtype=np.float32)).mul_(
        1e-3
    )
    vectors[:, :used] += right[:, :used] * values[:used].sqrt()
    warm = torch.from_numpy(np.bincount(matrix.indices, minlength=n_items) > 0)
    return vectors / vectors[warm].norm(dim=1).mean().clamp(min=1e-12)


def _principal(vectors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the squared singular values [r] of [n, r], from the largest, and the right vectors."""
    squares, turn = torch.linalg.eigh((vectors.T @ vectors).double())
    return squares.clamp(min=0).flip(0), turn.flip(1)
