"""A shared space in which a classifier cannot tell the domains apart."""

from __future__ import annotations

from typing import ClassVar

import pydantic
import torch
from torch import nn
from torch.nn import functional

from gnn.data import DOMAINS, TrainingData
from gnn.encoders import Encoder, EncoderConfig, EncoderModel
from gnn.models.shared_space import SharedSpaceEncoder
from gnn.numerics.alignment import reverse_gradient

__all__ = ["Adversarial", "AdversarialConfig"]


class AdversarialConfig(EncoderConfig):
    """Settings of `Adversarial`."""

    adversary_weight: float = pydantic.Field(0.03, ge=0)
    """Strength of the reversed gradient of the classifier's loss against that of the ranking; from
    about 0.3 on encoders and classifier chase each other, and domains drift apart."""


class Adversarial(EncoderModel):
    """Encoders by domain whose user vectors fool a classifier of domains.

    Ganin et al., "Domain-adversarial training of neural networks", JMLR 2016: the encoders of
    `SharedSpace`, without its losses. A two-layer classifier learns from which domain a vector
    comes; its gradient is reversed before it reaches the encoders, so a user's history in any
    domain ends up in the same region. An epoch costs O(interactions · d + users · d²).

    Examples
    --------
    >>> import pandas as pd, graphgen
    >>> log = pd.DataFrame({"user_id": list("aabbc"), "item_id": list("12121"),
    ...                     "domain": ["book", "film"] * 2 + ["book"]})
    >>> model = Adversarial(epochs=1).fit(graphgen.build_graph(log, encoder="none"), valid=None)
    >>> model.recommend(["c"], domain="film", k=1).item_id.tolist()
    ['2']
    """

    name: ClassVar[str] = "adversarial"
    Config = AdversarialConfig
    requires = frozenset({DOMAINS})

    def _make(self, data: TrainingData) -> Encoder:
        return _AdversarialEncoder(data, self.config)


class _AdversarialEncoder(SharedSpaceEncoder):
    def __init__(self, data: TrainingData, config: AdversarialConfig) -> None:
        super().__init__(data, config)
        self._strength, dim = config.adversary_weight, config.embedding_dim
        self.classifier = nn.Sequential(
            nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, len(data.domains))
        )

    def extra_loss(self) -> torch.Tensor:
        vectors = torch.cat([functional.normalize(part) for _, part in self._parts])
        counts = torch.tensor([len(rows) for rows, _ in self._parts])
        domain = torch.repeat_interleave(torch.arange(len(counts)), counts)
        logits = self.classifier(reverse_gradient(vectors, self._strength))
        return functional.cross_entropy(logits, domain)
