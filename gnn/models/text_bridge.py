"""A user's texts, mapped into the space of the target domain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import pydantic
import scipy.sparse as sp
import torch
from torch import nn

from gnn.data import TEXT, TrainingData
from gnn.encoders import TEXTS, Encoder, EncoderConfig, EncoderModel, pool, text_vectors

__all__ = ["TextBridge", "TextBridgeConfig"]


class TextBridgeConfig(EncoderConfig):
    """Settings of `TextBridge`."""

    temperature: float = pydantic.Field(0.1, gt=0)
    """The distribution over items is softmax(score / temperature)."""
    pooling: Literal["mean", "attention"] = "attention"
    """How the texts of a history make one vector: their mean, or weighted by a learned softmax over
    the items of the history."""


class TextBridge(EncoderModel):
    """Pool the text vectors of a history, and map them into the space of the target domain.

    The plain recipe that other cross-domain models must beat. A user is the mean of the BERT
    vectors of the items, or their attention-weighted sum (additive attention with one query, as in
    Wu et al., "Neural news recommendation with attentive multi-view learning", IJCAI 2019). For
    each target domain one linear map takes it into the domain's space, and another the texts of the
    domain's items. Items without interactions are reached by their texts. An epoch costs
    O(interactions · text dim + users · text dim · d · domains).

    Examples
    --------
    >>> import pandas as pd, graphgen
    >>> log = pd.DataFrame({"user_id": list("aabb"), "item_id": list("1324"),
    ...                     "domain": ["book", "film"] * 2})
    >>> items = pd.DataFrame({"item_id": list("1234"), "domain": ["book"] * 2 + ["film"] * 2,
    ...                       "text": ["dragons", "love", "dragons", "love"]})
    >>> graph = graphgen.build_graph(log, items, encoder="hashing")
    >>> len(TextBridge(epochs=1).fit(graph, valid=None).recommend(["a"], domain="film", k=1))
    1
    """

    name: ClassVar[str] = "text-bridge"
    Config = TextBridgeConfig
    requires = frozenset({TEXT})
    reaches_cold = True

    def _make(self, data: TrainingData) -> Encoder:
        return _TextEncoder(text_vectors(data), data, self.config)


class _TextEncoder(Encoder):
    texts: torch.Tensor

    def __init__(self, texts: torch.Tensor, data: TrainingData, config: TextBridgeConfig) -> None:
        super().__init__()
        self._starts = [data.span(domain).start for domain in data.domains]
        self.register_buffer(TEXTS, texts)
        dim, width = texts.shape[1], config.embedding_dim

        def maps() -> nn.ModuleList:
            return nn.ModuleList(nn.Linear(dim, width, bias=False) for _ in data.domains)

        self.bridges, self.towers = maps(), maps()
        self.query = nn.Parameter(torch.zeros(dim)) if config.pooling == "attention" else None

    def users(self, history: sp.csr_matrix, places: Sequence[int]) -> dict[int, torch.Tensor]:
        # The sum is as good as the mean: what follows is linear, and its length does not count.
        weight = None if self.query is None else (self.texts @ self.query).exp()
        pooled = pool(self.texts, history, weight)
        return {place: self.bridges[place](pooled) for place in places}

    def items(self, domain: int, index: torch.Tensor) -> torch.Tensor:
        vectors: torch.Tensor = self.towers[domain](self.texts[index + self._starts[domain]])
        return vectors
