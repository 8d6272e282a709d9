"""What later training data adds to earlier data, in the indices of the later one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import scipy.sparse as sp

from gnn.data import TrainingData
from graphgen.errors import ConfigError, UnknownIdError

__all__ = ["Growth"]


@dataclass(frozen=True)
class Growth:
    """Two states of the data of one log.

    Ids are sorted, so former users and items keep their order among each other.

    Attributes
    ----------
    former
        The earlier one.
    data
        The later one, with all users and items of the earlier one.
    """

    former: TrainingData
    data: TrainingData

    @classmethod
    def of(cls, former: TrainingData, data: TrainingData) -> Self:
        """Check that all former users and items are still there.

        Raises
        ------
        ConfigError
            If one is not.
        """
        growth = cls(former, data)
        try:
            _ = growth.users, growth.items
        except (UnknownIdError, KeyError) as error:
            raise ConfigError(
                "The graph does not go on from the one that the model was trained on: it lacks "
                f"users, items or domains of it ({error}). Make it with `update_graph`."
            ) from None
        return growth

    @cached_property
    def users(self) -> np.ndarray:
        """int64 [former users], the row of each."""
        rows: np.ndarray = self.data.users.encode(self.former.users.ids)
        return rows

    @cached_property
    def items(self) -> np.ndarray:
        """int64 [former items], the column of each."""
        return np.concatenate(
            [
                self.data.items[domain].encode(vocabulary.ids) + self.data.span(domain).start
                for domain, vocabulary in self.former.items.items()
            ]
        )

    @cached_property
    def before(self) -> sp.csr_matrix:
        """float32 CSR [n_users, n_items], the former `TrainingData.weighted`."""
        return self.moved(self.former.weighted, self.users)

    def moved(self, matrix: sp.csr_matrix, rows: np.ndarray) -> sp.csr_matrix:
        """Return CSR [former rows, former items] at new places: row i at `rows[i]`."""
        n_rows = self.data.n_users if rows is self.users else self.data.n_items
        matrix = sp.coo_matrix(matrix)
        where = rows[matrix.row], self.items[matrix.col]
        return sp.csr_matrix((matrix.data, where), shape=(n_rows, self.data.n_items))

    def item_rows(self, rows: np.ndarray) -> np.ndarray:
        """Return float32 [n_items, d] of float32 [former items, d]; zeros for new items."""
        result = np.zeros((self.data.n_items, *rows.shape[1:]), dtype=np.float32)
        result[self.items] = rows
        return result

    @cached_property
    def change(self) -> sp.csr_matrix:
        """float32 CSR [n_users, n_items], by how much the weight of each like has changed."""
        change = sp.csr_matrix(self.data.weighted - self.before)
        change.eliminate_zeros()
        return change

    @cached_property
    def touched_users(self) -> np.ndarray:
        """int64, sorted rows of users with a changed or new like."""
        return np.flatnonzero(np.diff(self.change.indptr))

    @cached_property
    def touched_items(self) -> np.ndarray:
        """int64, sorted columns of items with a changed or new like."""
        return np.unique(self.change.indices).astype(np.int64)
