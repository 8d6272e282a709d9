"""Nearest neighbours of items, of users and of texts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Literal, Self

import numpy as np
import pydantic
import scipy.sparse as sp

from gnn.base import Model
from gnn.data import TEXT, TrainingData, UserBatch
from gnn.growth import Growth
from gnn.numerics.propagation import inverse_power
from gnn.numerics.sparse import at_rows, entry_rows, keep_largest, kept_entries
from graphgen.config import Config

__all__ = ["ItemKNN", "ItemKNNConfig", "TextKNN", "TextKNNConfig", "UserKNN", "UserKNNConfig"]

# Items and users whose similarities to all others are held at once.
ITEM_ROWS, USER_ROWS = 2048, 512
# The least cosine there is: items without text stand below every item with one.
LEAST_COSINE = -1.0
# Shorter sums of unit vectors are rounding.
MIN_LENGTH = 1e-4
# Weight of the cosine beside votes: below the vote of any of thousands of users.
TIE = 1e-5
# Of a cosine in the mean over interests; chosen among 3, 5, 6, 10 and 20 on validation rows.
SHARPNESS = 3.0


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
    updates = "exact"
    uses_weights = True
    Config = ItemKNNConfig
    learned = ("similarity_",)

    def _fit(self, data: TrainingData, **_: Any) -> None:
        # Row j holds the neighbours of item j; a history adds up the columns of what it holds.
        self.similarity_ = sp.csr_matrix(self._rows(data, np.arange(data.n_items)).T)

    def _rows(self, data: TrainingData, items: np.ndarray) -> sp.csr_matrix:
        """Return float32 CSR [n_items, n_items], the neighbours of some items."""
        config, x = self.config, data.weighted
        activity = inverse_power(np.diff(x.indptr).astype(np.float64), config.user_exponent)
        source = sp.diags(inverse_power(data.popularity, config.item_exponent))
        target = sp.diags(inverse_power(data.popularity, config.target_exponent))
        right = (sp.diags(activity) @ x @ source).tocsr()
        left = (target @ x.T).tocsr()
        blocks = [sp.csr_matrix((0, data.n_items), dtype=np.float32)]
        for low in range(0, len(items), ITEM_ROWS):
            rows = items[low : low + ITEM_ROWS]
            block = sp.coo_matrix(left[rows] @ right)
            block = kept_entries(block, block.col != rows[block.row])
            blocks.append(keep_largest(block, config.neighbors))
        return at_rows(sp.vstack(blocks, format="csr", dtype=np.float32), items, data.n_items)

    def _update(self, former: Self, growth: Growth, **_: Any) -> None:
        """Make the rows anew whose sums have changed: those of items of touched users, and of items
        that share a user with a touched item.
        """
        data, users = growth.data, growth.touched_users
        if self.config.item_exponent:
            changed = data.matrix[:, growth.touched_items]
            users = np.union1d(users, np.flatnonzero(np.diff(changed.indptr)))
        parts = [matrix[users].indices for matrix in (data.weighted, growth.before)]
        changed = np.unique(np.concatenate(parts))
        kept = growth.moved(sp.csr_matrix(former.similarity_.T), growth.items)
        keep = np.ones(data.n_items, dtype=np.float32)
        keep[changed] = 0
        rows = sp.diags(keep) @ kept + self._rows(data, changed)
        self.similarity_ = sp.csr_matrix(rows.T, dtype=np.float32)

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
    updates = "exact"
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
    """Settings of `TextKNN`; the defaults were chosen on validation rows of amazon4."""

    center: bool = True
    """Subtract the mean vector of the domain first. Sentence encoders put all texts into one narrow
    cone (Mu and Viswanath, "All-but-the-top", ICLR 2018), and domains into one each."""
    profiles: Literal["mean", "interests"] = "mean"
    """One profile a user, or one for each interest of the graph, whose cosines are averaged after
    an exponential: about as good on validation rows, and several times slower."""
    neighbors: int = pydantic.Field(300, ge=0)
    """Users who vote in a domain that is new to a user; 0: texts alone."""


class TextKNN(Model):
    """Rank items by the cosine between their text and the mean text of the user's history.

    Content-based filtering with a mean profile: Pazzani and Billsus, "Content-based recommendation
    systems", 2007. Texts of one domain say little of the taste in another, so in a domain that is
    new to a user the users vote whose texts in all other domains are most alike, among those active
    in both ("collaboration via content": Pazzani, "A framework for collaborative, content-based and
    demographic filtering", Artificial Intelligence Review, 1999); the cosine orders items without
    votes. Items without interactions are recommended in known domains. Items without text stand
    last; a history without text gets popular items. O(items · dim) a user.

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
        for number in range(len(data.domains) if self.config.center else 0):
            own = written & (data.item_domain == number)
            if own.sum() > 1:
                vectors[own] -= vectors[own].mean(axis=0)
        self.vectors_ = _unit(vectors)

    def _set_up(self) -> None:
        """Find the profiles, outside each domain, of the users who vote in it."""
        data, self._voters = self.data, {}
        for domain in data.domains if self.config.neighbors else ():
            span = data.span(domain)
            some = np.flatnonzero(np.diff(data.matrix[:, span].indptr))
            profile = data.matrix[some] @ self.vectors_
            profile -= data.matrix[some][:, span] @ self.vectors_[span]
            known = np.linalg.norm(profile, axis=1) > MIN_LENGTH
            if known.any():
                profile = _unit(profile[known])
                mean = profile.mean(axis=0)
                votes = data.matrix[some[known]][:, span]
                self._voters[domain] = mean, _unit(profile - mean), votes

    def _score(self, users: UserBatch, domain: str) -> np.ndarray:
        span = self.data.span(domain)
        profile, targets = users.history @ self.vectors_, self.vectors_[span]
        length = np.linalg.norm(profile, axis=1)
        if self.config.profiles == "mean" or self.data.about is None:
            scores = _unit(profile) @ targets.T
        else:
            scores = self._by_interest(users.history, targets)
        scores[:, ~targets.any(axis=1)] = LEAST_COSINE
        new = (np.diff(users.history[:, span].indptr) == 0) & (length > MIN_LENGTH)
        if new.any() and domain in self._voters:
            scores[new] *= TIE
            scores[new] += self._votes(profile[new], domain)
        scores[length == 0] = 0.0
        return np.asarray(scores, dtype=np.float32)

    def _votes(self, profile: np.ndarray, domain: str) -> np.ndarray:
        """Return float32 [n, items], the share of the most similar users who liked an item."""
        mean, voters, votes = self._voters[domain]
        alike = np.maximum(_unit(_unit(profile) - mean) @ voters.T, 0)
        nearest = keep_largest(sp.csr_matrix(alike), self.config.neighbors)
        total = inverse_power(np.asarray(nearest.sum(axis=1)).ravel(), 1.0)
        return np.asarray((sp.diags(total) @ nearest @ votes).toarray(), dtype=np.float32)

    def _by_interest(self, history: sp.csr_matrix, targets: np.ndarray) -> np.ndarray:
        """Return float32 [n, items], the mean of exp(b · cosine) over profiles by interest."""
        about = sp.csr_matrix(self.data.about)
        without = (np.diff(about.indptr) == 0).astype(np.float32)[:, None]
        about = sp.hstack([about, sp.csr_matrix(without)], format="csr")  # Items of no interest.
        links = about[history.indices]  # By interaction.
        user = np.repeat(entry_rows(history), np.diff(links.indptr))
        item = np.repeat(history.indices, np.diff(links.indptr))
        pair, row = np.unique(user * about.shape[1] + links.indices, return_inverse=True)
        shape = (len(pair), history.shape[1])
        parts = sp.csr_matrix((links.data, (row, item)), shape=shape)
        owner, weight = pair // about.shape[1], np.bincount(row, links.data, len(pair))
        weight = weight / np.bincount(owner, weight, history.shape[0])[owner]
        mix = sp.csr_matrix(
            (weight.astype(np.float32), (owner, np.arange(len(pair)))),
            shape=(history.shape[0], len(pair)),
        )
        scores = mix @ np.exp(SHARPNESS * (_unit(parts @ self.vectors_) @ targets.T))
        return np.asarray(scores, dtype=np.float32)

    def item_vectors(self) -> np.ndarray:
        """Return float32 [n_items, dim], unit vectors of the items' texts; zeros without text."""
        return self.vectors_

    def user_vectors(self) -> np.ndarray:
        """Return float32 [n_users, dim], unit vectors of the mean text of histories."""
        return _unit(self.data.matrix @ self.vectors_)


def _unit(vectors: np.ndarray) -> np.ndarray:
    """Return float32 [n, dim], rows of length 1, or 0."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(length, 1e-12), dtype=np.float32)
