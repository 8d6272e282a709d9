"""Fusion of the modalities of an item into one vector, learned with the network."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

from gnn.data import TrainingData
from gnn.numerics.least_squares import ridge_solution

__all__ = ["Fusion", "ModalityFusion"]

Fusion = Literal["gate", "attention", "concat"]


class ModalityFusion(nn.Module):
    """The content vector of an item, from the modalities that it has.

    With the projection p_m = P_m x_m of each modality m that an item has, it is

    - concat: Σ p_m, a linear map of the vectors side by side;
    - gate: Σ 2 σ(a_m·p_m + b_m) p_m, each modality by itself (Arevalo et al., "Gated multimodal
      units", 2017);
    - attention: M Σ softmax_m(q·p_m + b_m) p_m, M being their number: modalities compete.

    All three start as Σ p_m. An item without any modality has one learned vector.

    Parameters
    ----------
    data
        Training data with features.
    vectors
        float32 [n_items, dim] that the projections start to predict, by ridge regression.
    kind
        Which fusion; one modality needs none.
    ridge
        Of that regression.
    """

    def __init__(
        self, data: TrainingData, vectors: torch.Tensor, *, kind: Fusion, ridge: float
    ) -> None:
        super().__init__()
        features = torch.from_numpy(data.features)
        self.sizes = list(data.modalities.values()) or [features.shape[1]]
        self.kind = kind if len(self.sizes) > 1 else "concat"
        if len(self.sizes) > 1:
            # Each by itself: how they were weighed for semantic edges does not matter here.
            parts = features.split(self.sizes, dim=1)
            features = torch.cat([nn.functional.normalize(part) for part in parts], dim=1)
        self.features = features
        parts = features.split(self.sizes, dim=1)
        self.present = torch.stack([(part != 0).any(dim=1) for part in parts], dim=1)
        has_any = self.present.any(dim=1)
        self._without = (~has_any).float().unsqueeze(1)
        known = has_any & torch.from_numpy(data.warm)
        width, n = vectors.shape[1], len(self.sizes)
        self.projection = nn.Parameter(ridge_solution(features[known], vectors[known], ridge))
        self.without = nn.Parameter(torch.zeros(1, width))
        if self.kind != "concat":
            queries = 1 if self.kind == "attention" else n
            self.query = nn.Parameter(torch.zeros(queries, 1, width))
            self.bias = nn.Parameter(torch.zeros(n, 1))

    def forward(self, hidden: torch.Tensor | None = None) -> torch.Tensor:
        """Return float32 [n_items, dim]; modalities `hidden` (bool [n_items, M]) are left out.

        An item keeps all of its modalities where all would be hidden.
        """
        missing = self._without * self.without
        if len(self.sizes) == 1:
            return self.features @ self.projection + missing
        shown = self.present
        if hidden is not None:
            left = shown & ~hidden
            shown = torch.where(left.any(dim=1, keepdim=True), left, shown)
        pairs = zip(
            self.features.split(self.sizes, dim=1), self.projection.split(self.sizes), strict=True
        )
        projected = torch.stack([x @ p for x, p in pairs])
        weight = shown.T.float()
        if self.kind != "concat":
            logits = (projected * self.query).sum(-1) + self.bias
            if self.kind == "gate":
                weight = weight * 2 * torch.sigmoid(logits)
            else:
                # Finite, so that an item without any modality gives no NaN.
                logits = logits.masked_fill(~shown.T, -1e9)
                weight = weight * torch.softmax(logits, dim=0) * weight.sum(0)
        return (projected * weight.unsqueeze(-1)).sum(0) + missing
