"""What a training step hides from the propagation, so that it learns to do without."""

from __future__ import annotations

import numpy as np

from gnn.data import TrainingData

__all__ = ["Hiding"]


class Hiding:
    """Draws edges that do not propagate in a step, and people who play cold in a domain.

    Every edge is left out with probability `edge_dropout`, as in DropEdge (Rong et al., ICLR 2020).
    Of the people active in several domains a share `domain_dropout` loses all edges of one of them,
    drawn anew each step: what they did there must follow from the other domains, as it must for
    those who are new to it.

    Parameters
    ----------
    data
        Training data.
    edge_dropout, domain_dropout
        Shares, in [0, 1).
    generator
        Source of randomness.

    Examples
    --------
    >>> import pandas as pd, graphgen
    >>> log = pd.DataFrame({"user_id": ["a", "a"], "item_id": ["x", "y"], "domain": ["b", "f"]})
    >>> data = TrainingData.from_graph(graphgen.build_graph(log, encoder="none"))
    >>> hiding = Hiding(
    ...     data, edge_dropout=0.0, domain_dropout=0.999, generator=np.random.default_rng(0)
    ... )
    >>> kept, cold = hiding.draw()
    >>> int(kept.sum()), cold.tolist()
    (1, [True])
    """

    def __init__(
        self,
        data: TrainingData,
        *,
        edge_dropout: float,
        domain_dropout: float,
        generator: np.random.Generator,
    ) -> None:
        self.edge_dropout, self.domain_dropout = edge_dropout, domain_dropout
        self.generator = generator
        active = data.active()
        count = active.sum(axis=1)
        self._people = np.flatnonzero(count > 1)
        self._count = count[self._people]
        # The domains that each of them is active in come first.
        self._domains = np.argsort(~active[self._people], axis=1, kind="stable").astype(np.int16)
        self._user = np.repeat(np.arange(data.n_users, dtype=np.int32), np.diff(data.matrix.indptr))
        self._domain = data.item_domain[data.matrix.indices].astype(np.int16)
        self._n_users = data.n_users

    @property
    def hides(self) -> bool:
        """Whether there is anything to draw."""
        return self.edge_dropout > 0 or (self.domain_dropout > 0 and len(self._people) > 0)

    def draw(self) -> tuple[np.ndarray, np.ndarray]:
        """Return what propagates, bool [nnz] in the order of the matrix; who plays cold, [n_users].

        O(nnz).
        """
        generator = self.generator
        place = (generator.random(len(self._people)) * self._count).astype(np.int64)
        chosen = generator.random(len(self._people)) < self.domain_dropout
        hidden = np.full(self._n_users, -1, dtype=np.int16)
        hidden[self._people[chosen]] = self._domains[chosen, place[chosen]]
        kept = self._domain != hidden[self._user]
        if self.edge_dropout:
            kept &= generator.random(len(kept), dtype=np.float32) >= self.edge_dropout
        return kept, hidden >= 0
