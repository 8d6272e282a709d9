"""Matrix factorisation of implicit feedback by alternating least squares."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
import pydantic
import scipy.sparse as sp
import torch

from gnn.base import Model
from gnn.data import TrainingData, UserBatch
from gnn.fitting import FitOptions
from gnn.growth import Growth
from gnn.numerics.least_squares import RowSolver
from graphgen.config import Config
from graphgen.progress import progress_bar

__all__ = ["IALS", "IALSConfig", "alternate", "row_solver", "solve_again"]


class IALSConfig(Config):
    """Settings of `IALS`, with the names of the paper behind them."""

    embedding_dim: int = pydantic.Field(128, ge=1)
    """d, the width of the factors."""
    unobserved_weight: float = pydantic.Field(0.005, gt=0)
    """α₀, weight of every pair of user and item against 1 for the observed ones."""
    regularization: float = pydantic.Field(0.01, gt=0)
    """λ, the strength of the L2 norm."""
    regularization_exponent: float = pydantic.Field(1.0, ge=0)
    """ν: the norm of a row counts (its interactions + α₀ · columns)^ν times."""
    initial_scale: float = pydantic.Field(0.1, gt=0)
    """σ*: factors start normally distributed with standard deviation σ* / √d."""
    epochs: int = pydantic.Field(16, ge=1)
    """Passes over the users and the items."""


class IALS(Model):
    """Factorise the matrix of interactions; unobserved pairs count as weak negatives.

    Hu, Koren and Volinsky, "Collaborative filtering for implicit feedback datasets", ICDM 2008,
    with the loss of Rendle et al., "Revisiting the performance of iALS on item recommendation
    benchmarks", RecSys 2022: Σ_observed c (w·h − 1)² + α₀ Σ_all (w·h)² + λ Σ_rows (n + α₀ m)^ν
    ‖·‖², all domains in one matrix, c the weight of a like. A user's factors are solved for from
    the history, so users who arrive after training are scored like all others. See
    `RowSolver` for the cost of a half-step.

    Examples
    --------
    >>> import pandas as pd, graphgen
    >>> log = pd.DataFrame({"user_id": list("aabbcdd"), "item_id": list("xyxyxzw"),
    ...                     "domain": "book"})
    >>> model = IALS(embedding_dim=2).fit(graphgen.build_graph(log, encoder="none"))
    >>> model.recommend(["c"], k=1).item_id.tolist()
    ['y']
    """

    name: ClassVar[str] = "ials"
    updates = "approximate"
    uses_weights = True
    Config = IALSConfig
    learned = ("item_vectors_",)

    def _fit(self, data: TrainingData, *, seed: int, options: FitOptions, **_: Any) -> None:
        generator = np.random.default_rng(seed)
        factors = alternate(data.weighted, self.config, generator, progress=options.progress)
        self.item_vectors_ = factors.numpy()

    def _update(self, former: Self, growth: Growth, **_: Any) -> None:
        factors = torch.from_numpy(growth.item_rows(former.item_vectors_))
        columns = growth.touched_items
        self.item_vectors_ = solve_again(
            growth.data.weighted, factors, columns, self.config
        ).numpy()

    def _set_up(self) -> None:
        self._solver = row_solver(torch.from_numpy(self.item_vectors_), self.config)

    def _score(self, users: UserBatch, domain: str) -> np.ndarray:
        vectors: np.ndarray = self._solver.solve(users.weighted).numpy()
        return vectors @ self.item_vectors_[self.data.span(domain)].T

    def user_vectors(self) -> np.ndarray:
        """Return float32 [n_users, dim], the least-squares vectors of training users."""
        return self._solver.solve(self.data.weighted).numpy()


def alternate(
    matrix: sp.csr_matrix,
    config: IALSConfig,
    generator: np.random.Generator,
    *,
    label: str = "Factors",
    progress: bool = False,
) -> torch.Tensor:
    """Return float32 [m, d], the column factors after `config.epochs` passes.

    `matrix` is CSR [n, m] of weights; `generator` draws the first column factors, for which
    the first pass solves for the rows; `label` is that of the progress bar.
    """
    transposed = sp.csr_matrix(matrix.T)
    scale = np.float32(config.initial_scale / np.sqrt(config.embedding_dim))
    shape = (matrix.shape[1], config.embedding_dim)
    columns = torch.from_numpy(generator.standard_normal(shape, dtype=np.float32) * scale)
    with progress_bar(label, config.epochs, enabled=progress) as advance:
        for _ in range(config.epochs):
            rows = row_solver(columns, config).solve(matrix)
            columns = row_solver(rows, config).solve(transposed)
            advance(1)
    return columns


def solve_again(
    matrix: sp.csr_matrix, factors: torch.Tensor, columns: np.ndarray, config: IALSConfig
) -> torch.Tensor:
    """Return column factors [m, d] of which those of some columns are solved for once more.

    One half-step for all rows and one for these columns, in place. `alternate` would go on with
    all columns: the others stay as good as they were for their former entries.
    """
    rows = row_solver(factors, config).solve(matrix)
    own = sp.csr_matrix(matrix[:, columns].T)
    factors[torch.from_numpy(columns)] = row_solver(rows, config).solve(own)
    return factors


def row_solver(factors: torch.Tensor, config: IALSConfig) -> RowSolver:
    """Return the solver of row factors for given column factors [m, d]."""
    return RowSolver(
        factors,
        unobserved_weight=config.unobserved_weight,
        regularization=config.regularization,
        exponent=config.regularization_exponent,
    )
