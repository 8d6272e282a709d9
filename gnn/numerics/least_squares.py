"""One half-step of alternating least squares for implicit feedback, for many rows at once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import scipy.sparse as sp
import torch

__all__ = ["RowSolver", "ridge_solution"]

# Floats of a batch of gathered vectors or of systems: 2^23 are 32 MB.
BATCH_FLOATS = 1 << 23
# Rows for which a batch of their own is worth its overhead; fewer are joined by longer ones.
FEW_ROWS = 64
# Entries up to which all of few rows are as long: padding costs less than another batch.
SHORT = 16


def ridge_solution(x: torch.Tensor, y: torch.Tensor, ridge: float) -> torch.Tensor:
    """Return the W that minimises ‖x W − y‖² + ridge ‖W‖², [d, e] of [n, d] and [n, e]; O(n d²).

    Examples
    --------
    >>> ridge_solution(torch.eye(2), 2 * torch.eye(2), 1.0).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    return torch.linalg.solve(x.T @ x + ridge * torch.eye(x.shape[1]), x.T @ y)


class RowSolver:
    """Solves for the factors of rows that are best for given factors of the columns.

    Row u solves (Σ_i∈u c_i v_i v_iᵀ + α Σ_j v_j v_jᵀ + λ_u I) w_u = Σ_i∈u c_i v_i with v the
    factors float32 [m, d] of the columns, c the values of the row's entries, and
    λ_u = λ (n_u + α m)^ν, n_u their number. α, λ and ν are `unobserved_weight`, `regularization`
    and `exponent`. What all rows share is made once, O(m d² + d³).
    """

    @torch.no_grad()
    def __init__(
        self,
        factors: torch.Tensor,
        *,
        unobserved_weight: float,
        regularization: float,
        exponent: float,
    ) -> None:
        values, basis = torch.linalg.eigh((unobserved_weight * (factors.T @ factors)).double())
        self._basis = basis.float()
        self._diagonal = values.clamp(min=0.0).float()
        # Rows are padded with the number of a last column, whose factors are zeros.
        self._rotated = torch.cat([factors @ self._basis, torch.zeros(1, factors.shape[1])])
        self._regularization, self._exponent = regularization, exponent
        self._offset = unobserved_weight * len(factors)

    @torch.no_grad()
    def solve(self, matrix: sp.csr_matrix) -> torch.Tensor:
        """Return float32 [n, d] for the rows of CSR [n, m], entries above 0; zeros for empty rows.

        Rows are batched by length. With G = α VᵀV = Q Λ Qᵀ, a row with fewer entries than
        dimensions is solved in the space of its entries, exactly: w = M V_uᵀ (I + V_u M V_uᵀ)^-1 1
        with M = Q (Λ + λ_u)^-1 Qᵀ. So a row costs O(n_u² d + n_u³) or O(n_u d² + d³), whichever is
        less.
        """
        dim = len(self._diagonal)
        lengths = np.diff(matrix.indptr)
        result = torch.zeros(len(lengths), dim)
        for rows, places, root in _batches(matrix, lengths, dim):
            entries = self._rotated[places] * root  # [b, l, d]
            ridge = self._regularization * (lengths[rows] + self._offset) ** self._exponent
            inner = self._diagonal + torch.from_numpy(ridge.astype(np.float32)).unsqueeze(1)
            if places.shape[1] < dim:
                shrunk = entries / inner.unsqueeze(1)
                system = entries @ shrunk.transpose(1, 2)
                system.diagonal(dim1=1, dim2=2).add_(1.0)
                weights = _solve(system, root)
                solution = (shrunk * weights).sum(1)
            else:
                system = entries.transpose(1, 2) @ entries
                system.diagonal(dim1=1, dim2=2).add_(inner)
                solution = _solve(system, (entries * root).sum(1).unsqueeze(2)).squeeze(2)
            result[torch.from_numpy(rows)] = solution
        return result @ self._basis.T


def _solve(system: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    return torch.cholesky_solve(right, torch.linalg.cholesky(system))


def _batches(
    matrix: sp.csr_matrix, lengths: np.ndarray, dim: int
) -> Iterator[tuple[np.ndarray, torch.Tensor, torch.Tensor]]:
    """Yield row numbers [b] of similar length, their columns [b, l], padded with m, and √c."""
    m = matrix.shape[1]
    order = np.argsort(lengths, kind="stable")
    order = order[lengths[order] > 0]
    ordered = lengths[order]
    low = 0
    while low < len(order):
        # The longest of the batch sets its width; allow up to an eighth more than the shortest.
        shortest = int(ordered[low])
        limit = max(shortest * 9 // 8, shortest + 1)
        same = int(np.searchsorted(ordered, limit, side="right"))
        if same < low + FEW_ROWS:
            limit = max(2 * shortest, SHORT)
            same = min(int(np.searchsorted(ordered, limit, side="right")), low + FEW_ROWS)
        size = max(1, BATCH_FLOATS // (limit * dim + min(limit, dim) ** 2))
        rows = order[low : min(same, low + size)]
        width = int(lengths[rows[-1]])
        within = np.arange(width)
        valid = within < lengths[rows, None]
        place = np.minimum(matrix.indptr[rows, None] + within, len(matrix.indices) - 1)
        columns = np.where(valid, matrix.indices[place], m).astype(np.int64)
        root = np.sqrt(matrix.data[place], dtype=np.float32)[:, :, None]
        yield rows, torch.from_numpy(columns), torch.from_numpy(root)
        low += len(rows)
