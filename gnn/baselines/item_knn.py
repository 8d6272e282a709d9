"""Item-based nearest neighbours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import pydantic
import scipy.sparse as sp
import torch

from gnn.base import Model
from gnn.data import TrainingData, UserBatch
from gnn.fitting import FitOptions
from gnn.numerics.propagation import inverse_power
from gnn.numerics.sparse import keep_largest, pack_csr, unpack_csr
from gnn.validation import ValidationRows
from graphgen.config import Config

__all__ = ["ItemKNN", "ItemKNNConfig"]

# Rows of the item-item product computed at once.
BLOCK_ROWS = 2048


class ItemKNNConfig(Config):
    """Settings of `ItemKNN`; the exponents were chosen on validation rows of two data sets."""

    neighbors: int = pydantic.Field(500, ge=1)
    """Neighbours kept for each item."""
    user_exponent: float = pydantic.Field(0.3, ge=0, le=1)
    """How much the vote of an active user counts less: weight = activity^-user_exponent."""
    item_exponent: float = pydantic.Field(0.3, ge=0, le=1)
    """Normalisation by the popularity of the items in the history."""
    target_exponent: float = pydantic.Field(0.0, ge=0, le=1)
    """Normalisation by the popularity of the items recommended; ½ and ½ is the cosine."""


class ItemKNN(Model):
    """Score an item by its similarity to the items of the history, over all domains at once.

    Deshpande and Karypis, "Item-based top-N recommendation algorithms", TOIS 2004, with degree
    exponents. Similarity of item i in the history and item j is Σ_u d_u^-a x_ui x_uj / (d_i^b
    d_j^c), the diagonal left out; each item keeps its largest neighbours. Overlap users link the
    domains. O(Σ_u d_u²) to fit, in blocks, so the memory is that of the neighbours kept.

    Examples
    --------
    >>> import pandas as pd, graphgen
    >>> log = pd.DataFrame({"user_id": list("aabbc"), "item_id": list("xyxyx"), "domain": "book"})
    >>> model = ItemKNN().fit(graphgen.build_graph(log, encoder="none"))
    >>> model.recommend(["c"], k=1).item_id.tolist()
    ['y']
    """

    name: ClassVar[str] = "item-knn"
    Config = ItemKNNConfig

    def _fit(
        self, data: TrainingData, *, seed: int, rows: ValidationRows | None, options: FitOptions
    ) -> None:
        config = self.config
        x = data.matrix
        activity = inverse_power(np.diff(x.indptr).astype(np.float64), config.user_exponent)
        source = sp.diags(inverse_power(data.popularity, config.item_exponent))
        target = sp.diags(inverse_power(data.popularity, config.target_exponent))
        right = (sp.diags(activity) @ x @ source).tocsr()
        left = (target @ x.T).tocsr()
        blocks = []
        for low in range(0, data.n_items, BLOCK_ROWS):
            block = sp.coo_matrix(left[low : low + BLOCK_ROWS] @ right)
            off = block.col != block.row + low
            block = sp.csr_matrix(
                (block.data[off], (block.row[off], block.col[off])), shape=block.shape
            )
            blocks.append(keep_largest(block, config.neighbors))
        # Row j holds the neighbours of item j; a history adds up the columns of what it holds.
        self.similarity_ = sp.csr_matrix(sp.vstack(blocks, format="csr").T, dtype=np.float32)
        self._columns: dict[str, sp.csr_matrix] = {}

    def _score(self, users: UserBatch, domain: str) -> np.ndarray:
        if domain not in self._columns:
            self._columns[domain] = self.similarity_[:, self.data.span(domain)]
        product = users.history @ self._columns[domain]
        return np.asarray(product.todense(), dtype=np.float32)

    def _state(self) -> dict[str, torch.Tensor]:
        return pack_csr("similarity", self.similarity_)

    def _load_state(self, state: Mapping[str, torch.Tensor]) -> None:
        self.similarity_ = unpack_csr("similarity", state)
        self._columns = {}
