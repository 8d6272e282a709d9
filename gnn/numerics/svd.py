"""Leading singular vectors of a sparse matrix: converged ones, and quick ones to start from."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
import torch

from gnn.numerics.propagation import Propagator, normalized_adjacency

__all__ = ["spectral_vectors", "truncated_svd"]

# Size of the Krylov space as a multiple of the rank, its least size, and the blocks it is built of.
# With these the 256 leading directions of Gowalla's normalised matrix have converged (twice the
# blocks give the same space); subspace iteration is far from that on so flat a spectrum.
KRYLOV_FACTOR = 4
LEAST_WIDTH = 128
BLOCKS = 64
# Up to so many entries a dense decomposition takes about a second.
DENSE_ENTRIES = 1_000_000

# Subspace iteration (Halko, Martinsson and Tropp, 2011): extra directions and rounds. More rounds
# come nearer to the singular vectors, and training from there ends no better.
OVERSAMPLING = 16
ROUNDS = 2
# Share of the largest squared length below which a direction is rounding.
LEAST_SHARE = 1e-6


def truncated_svd(
    matrix: sp.csr_matrix, rank: int, generator: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the `rank` largest singular triplets.

    Musco and Musco, "Randomized block Krylov methods for stronger and faster approximate singular
    value decomposition", NeurIPS 2015, with full orthogonalisation. O(nnz · r + (n + m) · r²) with
    r = `KRYLOV_FACTOR` · rank; small matrices [n, m] are decomposed densely. Where the matrix has
    less rank, there are fewer triplets. `generator` draws the random start.

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
    width = max(KRYLOV_FACTOR * rank, LEAST_WIDTH)
    if width >= min(matrix.shape) or matrix.shape[0] * matrix.shape[1] <= DENSE_ENTRIES:
        dense = torch.from_numpy(matrix.toarray().astype(np.float32))
        left, values, transposed = torch.linalg.svd(dense, full_matrices=False)
        right = transposed.T
    else:
        operator = Propagator(matrix)
        basis = _krylov_basis(operator, width, -(-width // BLOCKS), generator)
        outer, triangle = torch.linalg.qr(operator @ basis)
        inner, values, transposed = torch.linalg.svd(triangle)
        left, right = outer @ inner[:, :rank], basis @ transposed[:rank].T
    # Directions at the level of rounding are not of the matrix.
    level = values[0] * min(matrix.shape) * torch.finfo(values.dtype).eps
    kept = int((values[:rank] > level).sum())
    return left[:, :kept].contiguous(), values[:kept], right[:, :kept].contiguous()


def _krylov_basis(
    operator: Propagator, width: int, block: int, generator: np.random.Generator
) -> torch.Tensor:
    """Return orthonormal float32 [m, width] that spans Ω, AᵀA Ω, (AᵀA)² Ω and so on."""
    start = generator.standard_normal((operator.shape[1], block), dtype=np.float32)
    basis = torch.empty(operator.shape[1], width)
    new = torch.linalg.qr(torch.from_numpy(start)).Q
    done = 0
    while done < width:
        size = min(block, width - done)
        basis[:, done : done + size] = new[:, :size]
        done += size
        new = operator.T @ (operator @ new)
        for _ in range(2):  # Twice is enough (Kahan), also where the space is exhausted.
            known = basis[:, :done]
            new = torch.linalg.qr(new - known @ (known.T @ new)).Q
    return basis


def spectral_vectors(
    matrix: sp.csr_matrix, dim: int, generator: np.random.Generator
) -> torch.Tensor:
    """Return the right singular vectors of D_u^-½ X D_i^-½ times the roots of their values.

    O(nnz · dim + n_items · dim²) a round of subspace iteration. Where the matrix has less rank than
    `dim`, the other columns are small noise, so that every direction can be learned. `matrix` is
    CSR [n_users, n_items]; `generator` draws the random directions.

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
    noise = generator.standard_normal((n_items, dim), dtype=np.float32)
    vectors = torch.from_numpy(noise).mul_(1e-3)
    vectors[:, :used] += right[:, :used] * values[:used].sqrt()
    warm = torch.from_numpy(np.bincount(matrix.indices, minlength=n_items) > 0)
    return vectors / vectors[warm].norm(dim=1).mean().clamp(min=1e-12)


def _principal(vectors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the squared singular values [r] of [n, r], from the largest, and the right vectors."""
    squares, turn = torch.linalg.eigh((vectors.T @ vectors).double())
    return squares.clamp(min=0).flip(0), turn.flip(1)
