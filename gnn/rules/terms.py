"""Terms: items, categories and interests of a domain, as rows over the joint index of items."""

from __future__ import annotations

from typing import Final, NamedTuple, TypeAlias

import numpy as np
import pandas as pd
import scipy.sparse as sp

from gnn.data import TrainingData
from graphgen.schema import CATEGORY

__all__ = ["CATEGORIES", "INTERESTS", "ITEMS", "LEVELS", "Level", "Terms", "terms_of"]

Level: TypeAlias = str
ITEMS: Final = "item"
CATEGORIES: Final = "category"
INTERESTS: Final = "interest"
LEVELS: Final = (ITEMS, CATEGORIES, INTERESTS)
# Between the categories of one item.
SEPARATOR = "|"


class Terms(NamedTuple):
    """Terms of one level, those of a domain one after the other.

    Attributes
    ----------
    level
        One of `LEVELS`.
    names
        object [t], item ids, categories or interests; a name occurs once in each domain.
    domain
        int64 [t], position of the domain.
    items
        float32 CSR [t, n_items], 1 for the items of the domain that belong to the term.
    """

    level: Level
    names: np.ndarray
    domain: np.ndarray
    items: sp.csr_matrix

    def of_users(self, history: sp.csr_matrix) -> sp.csr_matrix:
        """Return float32 CSR [n, t], 1 where a history [n, n_items] has an item of the term."""
        found = sp.csr_matrix(history @ self.items.T, dtype=np.float32)
        found.data[:] = 1.0
        return found


def terms_of(data: TrainingData, level: Level) -> Terms | None:
    """Return the terms of a level, None without any; O(items + memberships).

    Categories that are interests of the graph are left to that level.
    """
    if level == ITEMS:
        names = np.concatenate([vocabulary.ids for vocabulary in data.items.values()])
        every = sp.identity(data.n_items, dtype=np.float32, format="csr")
        return Terms(level, names.astype(object), data.item_domain, every)
    if level == INTERESTS:
        if data.about is None:
            return None
        about = data.about.tocoo()
        item, label = about.row, np.asarray(data.topics, dtype=object)[about.col]
    else:
        parts = [
            columns[CATEGORY].set_axis(np.arange(len(columns)) + data.span(domain).start)
            for domain, columns in data.item_columns.items()
            if CATEGORY in columns
        ]
        if not parts:
            return None
        each = pd.concat(parts).str.split(SEPARATOR, regex=False).explode().str.strip()
        each = each[(each != "") & ~each.isin(data.topics)]
        item, label = each.index.to_numpy(), each.to_numpy(object)
    if not len(item):
        return None
    keys = pd.MultiIndex.from_arrays([data.item_domain[item], label])
    code, distinct = keys.factorize(sort=True)
    items = sp.csr_matrix(
        (np.ones(len(item), np.float32), (code, item)), shape=(len(distinct), data.n_items)
    )
    items.data[:] = 1.0
    names = distinct.get_level_values(1).to_numpy(object)
    return Terms(level, names, distinct.get_level_values(0).to_numpy(np.int64), items)
