"""Association rules between items, categories and interests of all domains."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
import pydantic
import scipy.sparse as sp

from gnn.base import Model
from gnn.data import TrainingData, UserBatch
from gnn.numerics.propagation import inverse_power
from gnn.numerics.sparse import entry_rows, keep_largest
from gnn.rules.mining import MinedRules, mine_rules
from gnn.rules.terms import ITEMS, LEVELS, terms_of
from graphgen.config import Config

__all__ = ["Association", "AssociationConfig"]


class AssociationConfig(Config):
    """Settings of `Association`."""

    levels: tuple[Literal["item", "category", "interest"], ...] = pydantic.Field(
        ("item",), min_length=1
    )
    """Terms that rules are between. Categories and interests, where the graph has them, reach items
    that no rule of items does, and cost cold users a little on validation rows."""
    fdr: float = pydantic.Field(1.0, gt=0, le=1)
    """False discovery rate of the rules, by Benjamini and Hochberg over Fisher's exact tests. 1
    keeps all pairs that two users have and more than by chance: best on validation rows."""
    min_users: int = pydantic.Field(1, ge=1)
    """Least users of a term, among those who are active in both domains of a rule."""
    prior_users: float = pydantic.Field(30.0, ge=0)
    """Users without a preference that are added to those of each source: rules of few users count
    less."""
    measure: Literal["confidence", "lift", "conviction", "gain"] = "gain"
    """Weight of a rule; gain is the confidence above that of no rule."""
    neighbors: int = pydantic.Field(500, ge=1)
    """Rules kept for each source: those with the largest weights."""


class Association(Model):
    """Rank the items of the rules whose sources the user has, mined inside and across domains.

    Rules *source → target* with one term on either side (Agrawal, Imieliński and Swami, "Mining
    association rules between sets of items in large databases", SIGMOD 1993), the significant ones
    by Fisher's exact test and a false discovery rate. An item's score is the sum over the rules
    whose source the user has of their weight times the item's share in the likes of the target, and
    its share in the likes of the domain: the rule without a source. Rules of categories and
    interests count by their mean over the user's, which are many and overlap. Takes the time of the
    products in `gnn.rules.mining.mine_rules`, about that of `item-knn`.

    Examples
    --------
    >>> import pandas as pd, graphgen
    >>> log = pd.DataFrame({"user_id": list("aabbccdd"), "item_id": list("xyxyzwzw"),
    ...                     "domain": ["book", "film"] * 4})
    >>> model = Association(min_users=1, fdr=0.5).fit(graphgen.build_graph(log, encoder="none"))
    >>> model.recommend(["a"], domain="film", exclude_seen=False, k=1).item_id.tolist()
    ['y']
    """

    name: ClassVar[str] = "association"
    random = False
    Config = AssociationConfig
    learned = ("members_", "weights_")

    def _fit(self, data: TrainingData, **_: Any) -> None:
        members, weights = [], []
        for level in LEVELS:  # Items first.
            terms = terms_of(data, level) if level in self.config.levels else None
            if terms is not None:
                rules = mine_rules(
                    data, terms, fdr=self.config.fdr, min_users=self.config.min_users
                )
                members.append(terms.items)
                weights.append(self._weights(rules))
        if not members:
            members = [sp.csr_matrix((1, data.n_items), dtype=np.float32)]
            weights = [sp.csr_matrix((1, 1), dtype=np.float32)]
        self.members_ = sp.csr_matrix(sp.vstack(members, format="csr"))
        self.weights_ = sp.csr_matrix(sp.block_diag(weights, format="csr"), dtype=np.float32)

    def _weights(self, rules: MinedRules) -> sp.csr_matrix:
        prior, expected = self.config.prior_users, rules.expected
        confidence = (rules.together + prior * expected) / (rules.n_source + prior)
        with np.errstate(divide="ignore"):
            value = {
                "confidence": confidence,
                "gain": confidence - expected,
                "lift": confidence / expected,
                "conviction": np.minimum((1 - expected) / (1 - confidence), rules.n_users),
            }[self.config.measure]
        size = len(rules.terms.names)
        matrix = sp.csr_matrix((value, (rules.source, rules.target)), shape=(size, size))
        return keep_largest(matrix, self.config.neighbors)

    def _set_up(self) -> None:
        self._single = self.data.n_items if ITEMS in self.config.levels else 0
        # One like more for each item, so that new items of a target stand before other new ones.
        liking = self.data.popularity + 1.0
        members = sp.csr_matrix(self.members_ @ sp.diags(liking))
        total = inverse_power(np.asarray(members.sum(axis=1)).ravel(), 1.0)
        self._shares = sp.csr_matrix(sp.diags(total) @ members, dtype=np.float32)

    def _score(self, users: UserBatch, domain: str) -> np.ndarray:
        span = self.data.span(domain)
        has = sp.csr_matrix(users.history @ self.members_.T)
        # Each item counts; the groups that a user's items are in are many, and count as a mean.
        groups = has.indices >= self._single
        number = np.bincount(entry_rows(has)[groups], minlength=len(users))
        has.data[:] = np.where(groups, inverse_power(number, 1.0)[entry_rows(has)], 1.0)
        scores = ((has @ self.weights_) @ self._shares[:, span]).toarray()
        popularity = self.data.popularity[span]
        return np.asarray(scores + popularity / max(popularity.sum(), 1.0), dtype=np.float32)
