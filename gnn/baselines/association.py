"""Association rules between items, categories and interests of all domains."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
import pydantic
import scipy.sparse as sp

from gnn.base import Model
from gnn.data import TrainingData, UserBatch
from gnn.numerics.propagation import inverse_power
from gnn.numerics.sparse import keep_largest
from gnn.rules.mining import MinedRules, mine_rules
from gnn.rules.terms import LEVELS, terms_of
from graphgen.config import Config

__all__ = ["Association", "AssociationConfig"]


class AssociationConfig(Config):
    """Settings of `Association`."""

    levels: tuple[Literal["item", "category", "interest"], ...] = pydantic.Field(
        LEVELS, min_length=1
    )
    """Terms that rules are between; those that the graph lacks are passed over."""
    fdr: float = pydantic.Field(0.05, gt=0, le=1)
    """False discovery rate of the rules, by Benjamini and Hochberg over Fisher's exact tests."""
    min_users: int = pydantic.Field(5, ge=1)
    """Least users of a term, among those who are active in both domains of a rule."""
    measure: Literal["confidence", "lift", "conviction", "gain"] = "gain"
    """Weight of a rule; gain is the confidence above that of no rule."""
    neighbors: int = pydantic.Field(500, ge=1)
    """Rules kept for each source: those with the largest weights."""


class Association(Model):
    """Rank the items of the rules whose sources the user has, mined inside and across domains.

    Rules *source → target* with one term on either side (Agrawal, Imieliński and Swami, "Mining
    association rules between sets of items in large databases", SIGMOD 1993), the significant ones
    by Fisher's exact test and a false discovery rate. An item's score is the sum over the rules
    that fire of their weight times the item's share in the likes of the target, and its share in
    the likes of the domain: the rule without a source. See `gnn.rules.mining.mine_rules`.

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
        for level in self.config.levels:
            terms = terms_of(data, level)
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
        measure = self.config.measure
        value = rules.confidence - rules.expected if measure == "gain" else getattr(rules, measure)
        # A rule without exception counts as one with an exception in one user more.
        value = np.minimum(value, rules.n_source + 1) if measure == "conviction" else value
        size = len(rules.terms.names)
        matrix = sp.csr_matrix((value, (rules.source, rules.target)), shape=(size, size))
        return keep_largest(matrix, self.config.neighbors)

    def _set_up(self) -> None:
        # One like more for each item, so that new items of a target stand before other new ones.
        liking = self.data.popularity + 1.0
        members = sp.csr_matrix(self.members_ @ sp.diags(liking))
        total = inverse_power(np.asarray(members.sum(axis=1)).ravel(), 1.0)
        self._shares = sp.csr_matrix(sp.diags(total) @ members, dtype=np.float32)

    def _score(self, users: UserBatch, domain: str) -> np.ndarray:
        span = self.data.span(domain)
        has = sp.csr_matrix(users.history @ self.members_.T)
        has.data[:] = 1.0
        scores = ((has @ self.weights_) @ self._shares[:, span]).toarray()
        popularity = self.data.popularity[span]
        return np.asarray(scores + popularity / max(popularity.sum(), 1.0), dtype=np.float32)
