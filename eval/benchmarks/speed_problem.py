"""A synthetic score problem of a real log's shape: factors, seen items, relevant items."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import pandas as pd
import scipy.sparse as sp

from eval.metrics.base import Array
from graphgen.errors import ConfigError
from graphgen.schema import DOMAIN, ITEM_ID, USER_ID
from graphgen.vocabulary import Vocabulary

__all__ = ["USERS", "FactorScorer", "make_problem"]

# Items, and thousands of users, of the Amazon log of four domains that the targets are set on.
CATALOGUES: Final = {
    "beauty": (12_101, 22.4),
    "games": (7_676, 15.3),
    "sports": (18_357, 35.6),
    "toys": (11_924, 19.4),
}
USERS: Final = 86_139
DIM: Final = 64
# Places of a user's grid over the catalogue: candidates for relevant items, then seen ones.
GRID, CANDIDATES, MAX_SEEN = 64, 52, 12
# Shares of users with one, two and three relevant items, as in that log.
RELEVANT: Final = (0.57, 0.27, 0.16)


@dataclass(frozen=True, eq=False)
class FactorScorer:
    """Scores that are products of user and item factors.

    Attributes
    ----------
    users, catalogues
        Vocabulary by domain.
    user_factors, item_factors
        float32 [users or items, dim] by domain.
    history
        bool CSR [users, items] by domain: masked items.
    truth
        bool CSR [users, items] by domain: relevant items; every user has a relevant item, and
        none that was seen.
    """

    users: Mapping[str, Vocabulary]
    catalogues: Mapping[str, Vocabulary]
    user_factors: Mapping[str, Array]
    item_factors: Mapping[str, Array]
    history: Mapping[str, sp.csr_matrix]
    truth: Mapping[str, sp.csr_matrix]

    @property
    def domains(self) -> list[str]:
        """Names of the domains."""
        return list(self.catalogues)

    def items(self, domain: str) -> Vocabulary:
        """Return the catalogue of a domain."""
        return self.catalogues[domain]

    def score(self, user_ids: Any, *, domain: str) -> Array:
        """Return float32 [users, items]."""
        rows = self.users[domain].encode(user_ids)
        scores: Array = self.user_factors[domain][rows] @ self._turned[domain]
        return scores

    def seen(self, user_ids: Any, *, domain: str) -> sp.csr_matrix:
        """Return bool CSR [users, items]."""
        return self.history[domain][self.users[domain].encode(user_ids)]

    @cached_property
    def _turned(self) -> dict[str, Array]:
        return {name: np.ascontiguousarray(f.T) for name, f in self.item_factors.items()}

    def truth_frame(self) -> pd.DataFrame:
        """Return user_id, domain and item_id of everything relevant."""
        parts = []
        for domain, matrix in self.truth.items():
            cells = matrix.tocoo()
            users, items = self.users[domain].ids[cells.row], self.items(domain).ids[cells.col]
            parts.append(pd.DataFrame({USER_ID: users, DOMAIN: domain, ITEM_ID: items}))
        return pd.concat(parts, ignore_index=True)

    def part(self, limit: int | None) -> tuple[dict[str, Array], pd.DataFrame]:
        """Lay the problem out as plain arrays for other libraries: the first users of each domain.

        Parameters
        ----------
        limit
            How many users in all, in proportion to each domain's; None for all.

        Returns
        -------
        arrays
            For each domain ``d``: ``d/users`` and ``d/items`` (factors), and ``d/seen_ptr``,
            ``d/seen_col``, ``d/true_ptr``, ``d/true_col`` (CSR).
        users
            user_id and domain of the users in it.
        """
        total = sum(len(users) for users in self.users.values())
        share = 1.0 if limit is None else min(1.0, limit / total)
        arrays: dict[str, Array] = {}
        chosen = []
        for name, users in self.users.items():
            count = max(1, int(share * len(users)))
            arrays[f"{name}/users"] = self.user_factors[name][:count]
            arrays[f"{name}/items"] = self.item_factors[name]
            for what, matrices in (("seen", self.history), ("true", self.truth)):
                matrix = matrices[name][:count]
                arrays[f"{name}/{what}_ptr"] = matrix.indptr.astype(np.int64)
                arrays[f"{name}/{what}_col"] = matrix.indices.astype(np.int64)
            chosen.append(pd.DataFrame({USER_ID: users.ids[:count], DOMAIN: name}))
        return arrays, pd.concat(chosen, ignore_index=True)


def make_problem(users: int = USERS, *, seed: int = 0) -> FactorScorer:
    """Make factors, seen and relevant items of the shape of the Amazon log of four domains.

    Relevant are the one to three best-scored of 52 items spread at random over the catalogue, so
    that metrics are far from 0 and from 1 and two evaluators that differ cannot agree by chance;
    up to 12 other items have been seen. Each user is in one domain.

    Parameters
    ----------
    users
        How many, at least one for each domain.
    seed
        Same seed, same problem.

    Raises
    ------
    ConfigError
        If there are fewer users than domains.

    Examples
    --------
    >>> problem = make_problem(200)
    >>> len(problem.domains), problem.truth_frame()["user_id"].nunique()
    (4, 200)
    """
    if users < len(CATALOGUES):
        raise ConfigError(f"`users` must be at least {len(CATALOGUES)}; got {users}.")
    generator = np.random.default_rng(seed)
    weight = np.array([share for _, share in CATALOGUES.values()])
    inner = np.cumsum(weight)[:-1] / weight.sum() * (users - len(CATALOGUES))
    ends = np.append(np.round(inner).astype(int) + np.arange(1, len(CATALOGUES)), users)
    made: dict[str, tuple[Any, ...]] = {}
    for (name, (n_items, _)), end, n in zip(
        CATALOGUES.items(), ends, np.diff(ends, prepend=0), strict=True
    ):
        known = Vocabulary(np.array([f"u{place:06d}" for place in range(end - n, end)], object))
        items = Vocabulary([f"{name}-{place:05d}" for place in range(n_items)])
        p = generator.standard_normal((n, DIM), dtype=np.float32)
        q = generator.standard_normal((n_items, DIM), dtype=np.float32)
        grid = generator.integers(0, n_items, (n, 1)) + np.arange(GRID) * (n_items // GRID)
        grid %= n_items
        scores = np.stack([np.einsum("nd,nd->n", p, q[column]) for column in grid.T[:CANDIDATES]])
        best = np.argsort(-scores, axis=0)[: len(RELEVANT)].T
        n_relevant = generator.choice(np.arange(1, len(RELEVANT) + 1), size=n, p=RELEVANT)
        relevant = _leading(np.take_along_axis(grid, best, axis=1), n_relevant, n_items)
        seen = _leading(grid[:, CANDIDATES:], generator.integers(1, MAX_SEEN + 1, n), n_items)
        made[name] = (known, items, p, q, seen, relevant)
    return FactorScorer(
        *(dict(zip(made, part, strict=True)) for part in zip(*made.values(), strict=True))
    )


def _leading(columns: Array, counts: Array, width: int) -> sp.csr_matrix:
    """Return bool CSR [rows, width] of the first `counts` of each row of `columns`."""
    row, place = np.nonzero(np.arange(columns.shape[1]) < counts[:, None])
    cells = np.ones(len(row), dtype=bool), (row, columns[row, place])
    return sp.csr_matrix(cells, shape=(len(columns), width))
