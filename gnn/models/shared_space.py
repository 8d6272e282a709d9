"""Encoders of each domain into one space, in which a user's domains agree."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import pydantic
import scipy.sparse as sp
import torch
from torch import nn

from gnn.data import DOMAINS, TrainingData
from gnn.encoders import Encoder, EncoderConfig, EncoderModel, pool
from gnn.numerics.alignment import agreement, coral, info_nce, mmd

__all__ = ["SharedSpace", "SharedSpaceConfig", "SharedSpaceEncoder"]

# Users of each domain in an alignment, whose cost is quadratic.
ALIGNED_USERS = 256
CONSISTENCY = {"cosine": agreement, "info-nce": info_nce}
ALIGNMENT = {"mmd": mmd, "coral": coral}


class SharedSpaceConfig(EncoderConfig):
    """Settings of `SharedSpace`."""

    consistency: Literal["cosine", "info-nce", "none"] = "info-nce"
    """Loss between the vectors that overlap users have from two of their domains."""
    consistency_weight: float = pydantic.Field(0.1, ge=0)
    """Weight of that loss against the ranking loss."""
    alignment: Literal["mmd", "coral", "none"] = "mmd"
    """Loss between the vectors of users of one domain and of users of another."""
    alignment_weight: float = pydantic.Field(0.1, ge=0)
    """Weight of that loss against the ranking loss."""


class SharedSpace(EncoderModel):
    """An encoder for each domain into one space; overlap users and distributions are aligned.

    The history in a domain is the mean of item embeddings through a two-layer perceptron; a user is
    the mean of these vectors over the domains of the history, and items of all domains lie in the
    same space. Vectors of one user from two domains are drawn together (cosine, or contrastively),
    those of users of one domain are aligned in distribution (MMD, or CORAL); the sources are in
    `gnn.numerics.alignment`. Any number of domains. An epoch costs
    O(interactions · d + users · d²).

    Examples
    --------
    >>> import pandas as pd, graphgen
    >>> log = pd.DataFrame({"user_id": list("aabbc"), "item_id": list("12121"),
    ...                     "domain": ["book", "film"] * 2 + ["book"]})
    >>> model = SharedSpace(epochs=1).fit(graphgen.build_graph(log, encoder="none"), valid=None)
    >>> model.recommend(["c"], domain="film", k=1).item_id.tolist()
    ['2']
    """

    name: ClassVar[str] = "shared-space"
    Config = SharedSpaceConfig
    requires = frozenset({DOMAINS})

    def _make(self, data: TrainingData) -> Encoder:
        return SharedSpaceEncoder(data, self.config)


class SharedSpaceEncoder(Encoder):
    """Item embeddings and a perceptron by domain; see `SharedSpace`."""

    def __init__(self, data: TrainingData, config: Any) -> None:
        super().__init__()
        self._config = config
        self._spans = [data.span(domain) for domain in data.domains]
        dim = config.embedding_dim
        self.embeddings = nn.ParameterList(
            nn.Parameter(torch.randn(len(items), dim) / dim**0.5) for items in data.items.values()
        )
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.Linear(dim, dim), nn.ReLU(), nn.Dropout(config.dropout), nn.Linear(dim, dim)
            )
            for _ in data.domains
        )

    def of_domains(self, history: sp.csr_matrix) -> Iterator[tuple[np.ndarray, torch.Tensor]]:
        """Yield, by domain, the users with history there, int64 [m], and their vectors [m, d]."""
        for span, table, layer in zip(self._spans, self.embeddings, self.layers, strict=True):
            own = sp.csr_matrix(history[:, span])
            count = np.diff(own.indptr)
            some = np.flatnonzero(count)
            mean = pool(table, own[some]) / torch.from_numpy(count[some, None].astype(np.float32))
            # What is learned is added to the mean: the first steps rank by that.
            yield some, mean + layer(mean)

    def users(self, history: sp.csr_matrix, places: Sequence[int]) -> dict[int, torch.Tensor]:
        """Return the same vectors for every domain: the sum over those of the history."""
        self._parts = list(self.of_domains(history))
        total = torch.zeros(history.shape[0], self._config.embedding_dim)
        for some, vectors in self._parts:
            total = total.index_add(0, torch.from_numpy(some), vectors)
        return dict.fromkeys(places, total)

    def items(self, domain: int, index: torch.Tensor) -> torch.Tensor:
        """Return the embeddings of items."""
        return self.embeddings[domain].index_select(0, index)

    def extra_loss(self) -> torch.Tensor:
        """Return the losses of consistency and of alignment, means over pairs of domains."""
        config, total = self._config, torch.zeros(())
        pairs = list(itertools.combinations(self._parts, 2))
        for (left_rows, left), (right_rows, right) in pairs:
            _, one, two = np.intersect1d(left_rows, right_rows, return_indices=True)
            if config.consistency != "none" and len(one) > 1:
                both = left[torch.from_numpy(one)], right[torch.from_numpy(two)]
                loss = CONSISTENCY[config.consistency](*both)
                total = total + config.consistency_weight * loss
            apart = (np.delete(np.arange(len(left)), one), np.delete(np.arange(len(right)), two))
            if config.alignment != "none" and min(map(len, apart)) > 1:
                sample = (torch.from_numpy(rows[:ALIGNED_USERS]) for rows in apart)
                loss = ALIGNMENT[config.alignment](left[next(sample)], right[next(sample)])
                total = total + config.alignment_weight * loss
        return total / max(1, len(pairs))
