"""Nearest neighbours of items, of users and of texts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import pydantic
import scipy.sparse as sp

from gnn.base import Model
from gnn.data import TEXT, TrainingData, UserBatch
from gnn.numerics.propagation import inverse_power
from gnn.numerics.sparse import keep_largest, kept_entries
from graphgen.config import Config

__all__ = ["ItemKNN", "ItemKNNConfig", "TextKNN", "TextKNNConfig", "UserKNN", "UserKNNConfig"]

# Items and users whose similarities to all others are held at once.
ITEM_ROWS, USER_ROWS = 2048, 512
# The least cosine there is: items without text stand below every item with one.
LEAST_COSINE = -1.0


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
    random = False
    uses_weights = True
    Config = ItemKNNConfig
    learned = ("similarity_",)

    def _fit(self, data: TrainingData, **_: Any) -> None:
        config, x = self.config, data.weighted
        activity = inverse_power(np.diff(x.indptr).astype(np.float64), config.user_exponent)
        source = sp.diags(inverse_power(data.popularity, config.item_exponent))
        target = sp.diags(inverse_power(data.popularity, config.target_exponent))
        right = (sp.diags(activity) @ x @ source).tocsr()
        left = (target @ x.T).tocsr()
        blocks = []
        for low in range(0, data.n_items, ITEM_ROWS):
            block = sp.coo_matrix(left[low : low + ITEM_ROWS] @ right)
            block = kept_entries(block, block.col != block.row + low)
            blocks.append(keep_largest(block, config.neighbors))
        # Row j holds the neighbours of item j; a history adds up the columns of what it holds.
        self.similarity_ = sp.csr_matrix(sp.vstack(blocks, format="csr").T, dtype=np.float32)

    def _set_up(self) -> None:
        spans = {domain: self.data.span(domain) for domain in self.domains}
        self._columns = {domain: self.similarity_[:, span] for domain, span in spans.items()}

    def _score(self, users: UserBatch, domain: str) -> np.ndarray:
        product = users.weighted @ self._columns[domain]
        return np.asarray(product.toarray(), dtype=np.float32)


class UserKNNConfig(Config):
    """Settings of `UserKNN`; the exponents were chosen on validation rows of two data sets."""

    neighbors: int = pydantic.Field(1000, ge=1)
    """Neighbours of each user, among all users with an item in common."""
    user_exponent: float = pydantic.Field(0.5, ge=0, le=1)
    """Normalisation by the activity of the neighbour; ½ is the cosine."""
    item_exponent: float = pydantic.Field(0.5, ge=0, le=1)
    """How much sharing a popular item counts less: weight = popularity^-item_exponent."""


class UserKNN(Model):
    """Score an item by the similarity of the users who interacted with it.

    User-based collaborative filtering in its top-N form for implicit feedback: Breese, Heckerman
    and Kadie, UAI 1998; Sarwar et al., "Analysis of recommendation algorithms for e-commerce",
    EC 2000; with degree exponents. Similarity of users u and v is Σ_i d_i^-b x_ui x_vi / (d_u
    d_v)^a over the items of all domains, u = v left out; an item's score is the sum over the most
    similar users who interacted with it. There is nothing to fit: neighbours are found when
    a history is scored, O(Σ_i∈history d_i) a user, `USER_ROWS` users at a time.

    Examples
    --------
    >>> import pandas as pd, graphgen
    >>> log = pd.DataFrame({"user_id": list("aabbc"), "item_id": list("xyxyx"), "domain": "book"})
    >>> model = UserKNN().fit(graphgen.build_graph(log, encoder="none"))
    >>> model.recommend(["c"], k=1).item_id.tolist()
    ['y']
    """

    name: ClassVar[str] = "user-knn"
    random = False
    uses_weights = True
    Config = UserKNNConfig

    def _fit(self, data: TrainingData, **_: Any) -> None:
        pass  # The neighbours of a history are found when it is scored.

    def _set_up(self) -> None:
        x, config = self.data.matrix, self.config
        own = inverse_power(np.diff(x.indptr).astype(np.float64), config.user_exponent)
        shared = sp.diags(inverse_power(self.data.popularity, config.item_exponent))
        self._users = (shared @ x.T @ sp.diags(own)).tocsr()

    def _score(self, users: UserBatch, domain: str) -> np.ndarray:
        votes = self.data.weighted[:, self.data.span(domain)]
        parts = [(nearest @ votes).toarray() for nearest in self.neighbors(users)]
        return np.concatenate(parts).astype(np.float32, copy=False)

    def neighbors(self, users: UserBatch) -> Iterator[sp.csr_matrix]:
        """Yield CSR [`USER_ROWS`, n_users], the similarity of the nearest users of each user."""
        for low in range(0, len(users), USER_ROWS):
            part = users.rows_of(slice(low, low + USER_ROWS))
            length = np.diff(part.history.indptr).astype(np.float64)
            own = sp.diags(inverse_power(length, self.config.user_exponent))
            alike = sp.coo_matrix(own @ (part.history @ self._users))
            alike = kept_entries(alike, alike.col != part.index[alike.row])
            yield keep_largest(alike, self.config.neighbors)


class TextKNNConfig(Config):
    """Settings of `TextKNN`."""

    center: bool = True
    """Subtract the mean vector first. Sentence encoders put all texts into one narrow cone (Mu and
    Viswanath, "All-but-the-top", ICLR 2018)."""


class TextKNN(Model):
    """Rank items by the cosine between their text and the mean text of the user's history.

    Content-based filtering with a mean profile: Pazzani and Billsus, "Content-based recommendation
    systems", 2007. The history of all domains makes one profile, so it recommends in domains new
    to a user, and items without interactions. Items without text stand last; a history
    without text gets popular items. O(items · dim) a user.

    Examples
    --------
    >>> import pandas as pd, graphgen
    >>> log = pd.DataFrame({"user_id": ["a", "b", "b"], "item_id": ["1", "2", "3"],
    ...                     "domain": ["book", "film", "film"]})
    >>> items = pd.DataFrame({"item_id": ["1", "2", "3"], "domain": ["book", "film", "film"],
    ...                       "text": ["dragons and wizards", "love story", "wizards"]})
    >>> model = TextKNN().fit(graphgen.build_graph(log, items, encoder="hashing"))
    >>> model.recommend(["a"], domain="film", k=1).item_id.tolist()
    ['3']
    """

    name: ClassVar[str] = "text-knn"
    random = False
    requires = frozenset({TEXT})
    Config = TextKNNConfig
    learned = ("vectors_",)

    def _fit(self, data: TrainingData, **_: Any) -> None:
        vectors = np.array(data.features, dtype=np.float32)
        written = np.abs(vectors).sum(axis=1) > 0
        if self.config.center and written.sum() > 1:
            vectors[written] -= vectors[written].mean(axis=0)
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        self.vectors_ = vectors

    def _score(self, users: UserBatch, domain: str) -> np.ndarray:
        profile = users.history @ self.vectors_
        length = np.linalg.norm(profile, axis=1, keepdims=True)
        targets = self.vectors_[self.data.span(domain)]
        scores = (profile / np.maximum(length, 1e-12)) @ targets.T
        scores[:, ~targets.any(axis=1)] = LEAST_COSINE
        scores[length[:, 0] == 0] = 0.0
        return np.asarray(scores, dtype=np.float32)

    def item_vectors(self) -> np.ndarray:
        """Return float32 [n_items, dim], unit vectors of the items' texts; zeros without text."""
        return self.vectors_

    def user_vectors(self) -> np.ndarray:
        """Return float32 [n_users, dim], unit vectors of the mean text of histories."""
        profile = self.data.matrix @ self.vectors_
        length = np.linalg.norm(profile, axis=1, keepdims=True)
        return np.asarray(profile / np.maximum(length, 1e-12), dtype=np.float32)
