"""Popularity, the same list for all users."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from gnn.base import Model
from gnn.data import TrainingData, UserBatch

__all__ = ["Popularity"]


class Popularity(Model):
    """Rank the items of a domain by how many users liked them, or by the sum of their weights.

    The same list for all users, without the items that each has seen; O(interactions) to fit. A
    strong baseline for cold users: see Dacrema et al., "Are we really making much progress?",
    RecSys 2019.

    Examples
    --------
    >>> import pandas as pd, graphgen
    >>> log = pd.DataFrame({"user_id": ["ann", "bob", "bob"], "item_id": ["dune", "dune", "emma"],
    ...                     "domain": "book"})
    >>> model = Popularity().fit(graphgen.build_graph(log, encoder="none"))
    >>> model.recommend(["ann"], k=1).item_id.tolist()
    ['emma']
    """

    name: ClassVar[str] = "popularity"
    random = False
    updates = "exact"
    uses_weights = True

    def _fit(self, data: TrainingData, **_: Any) -> None:
        pass  # The training data counts already.

    def _knows(self, users: UserBatch) -> np.ndarray:
        return np.ones(len(users), dtype=bool)

    def _score(self, users: UserBatch, domain: str) -> np.ndarray:
        return np.tile(self._popular(users, domain), (len(users), 1))
