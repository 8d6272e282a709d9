"""One task for each domain over shared layers: shared bottom, MMoE and PLE."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
import pydantic
import scipy.sparse as sp
import torch
from torch import nn
from torch.nn import functional

from gnn.data import TrainingData
from gnn.encoders import Encoder, EncoderConfig, EncoderModel, pool

__all__ = ["MultiTask", "MultiTaskConfig"]

# Users whose gradients are compared by `MultiTask.gradient_conflict`.
CONFLICT_USERS = 4096


class MultiTaskConfig(EncoderConfig):
    """Settings of `MultiTask`."""

    structure: Literal["shared-bottom", "mmoe", "ple"] = "ple"
    """What the tasks share: one layer; experts, mixed by a gate of each task; or shared experts
    beside experts of each task."""
    experts: int = pydantic.Field(4, ge=1)
    """Shared experts of "mmoe" and "ple"."""
    task_experts: int = pydantic.Field(1, ge=1)
    """Experts of each task in "ple"."""
    uncertainty: bool = True
    """Weight the tasks by learned uncertainties, or all alike."""


class MultiTask(EncoderModel):
    """One ranking task for each domain, over layers that the tasks share.

    The input is the mean of the item embeddings of a history in each domain, side by side. Shared
    bottom: Caruana, "Multitask learning", 1997. MMoE: Ma et al., "Modeling task relationships in
    multi-task learning with multi-gate mixture-of-experts", KDD 2018. PLE, with one level of
    extraction: Tang et al., "Progressive layered extraction", RecSys 2020. The output of a task's
    tower is added to the mean of all item embeddings. Losses are weighted by the uncertainty of
    each task: Kendall et al., "Multi-task learning using uncertainty to weigh losses", CVPR 2018.
    `gradient_conflict` says where tasks pull shared layers apart. An epoch costs
    O(interactions · d + users · d² · domains · experts).

    Examples
    --------
    >>> import pandas as pd, graphgen
    >>> log = pd.DataFrame({"user_id": list("aabbc"), "item_id": list("12121"),
    ...                     "domain": ["book", "film"] * 2 + ["book"]})
    >>> model = MultiTask(epochs=1).fit(graphgen.build_graph(log, encoder="none"), valid=None)
    >>> model.recommend(["c"], domain="film", k=1).item_id.tolist()
    ['2']
    """

    name: ClassVar[str] = "multitask"
    Config = MultiTaskConfig

    def _make(self, data: TrainingData) -> Encoder:
        return _MultiTaskEncoder(data, self.config)

    def gradient_conflict(self, *, seed: int = 0) -> pd.DataFrame:
        """Return the cosine between the gradients that two tasks have for the shared layers.

        Below 0 the tasks conflict: a step for one is a step against the other (Yu et al., "Gradient
        surgery for multi-task learning", NeurIPS 2020). A domain without hidden items is left out.
        """
        from gnn.encoders import hide

        generator, data = np.random.default_rng(seed), self.data
        active = np.flatnonzero(np.diff(data.matrix.indptr) > 1)
        users = np.sort(generator.permutation(active)[:CONFLICT_USERS])
        hidden = hide(data, users, self.config.hidden_share, generator)
        encoder, gradients = self._encoder, {}
        shared = encoder.shared_parameters()
        vectors = encoder.users(hidden.known, np.unique(hidden.domain).tolist())
        for place, own in vectors.items():
            loss = self._ranking_loss(own, place, hidden, generator)
            parts = torch.autograd.grad(loss, shared, retain_graph=True, allow_unused=True)
            flat = [
                torch.zeros_like(p) if g is None else g for p, g in zip(shared, parts, strict=True)
            ]
            gradients[data.domains[place]] = torch.cat([part.ravel() for part in flat])
        unit = functional.normalize(torch.stack(list(gradients.values())))
        return pd.DataFrame((unit @ unit.T).numpy(), list(gradients), list(gradients))


class _MultiTaskEncoder(Encoder):
    def __init__(self, data: TrainingData, config: MultiTaskConfig) -> None:
        super().__init__()
        self._config, dim, tasks = config, config.embedding_dim, len(data.domains)
        self._spans = [data.span(domain) for domain in data.domains]
        self.table = nn.Parameter(torch.randn(data.n_items, dim) / dim**0.5)

        def expert() -> nn.Module:
            layer = nn.Linear(dim * tasks, dim)
            return nn.Sequential(layer, nn.ReLU(), nn.Dropout(config.dropout))

        single = config.structure == "shared-bottom"
        own = config.task_experts if config.structure == "ple" else 0
        self.shared = nn.ModuleList(expert() for _ in range(1 if single else config.experts))
        self.own: Any = nn.ModuleList(
            nn.ModuleList(expert() for _ in range(own)) for _ in range(tasks)
        )
        n_gated = len(self.shared) + own
        self.gates = nn.ModuleList(nn.Linear(dim * tasks, n_gated) for _ in range(tasks))
        self.towers = nn.ModuleList(nn.Linear(dim, dim) for _ in range(tasks))
        self.log_variance = nn.Parameter(torch.zeros(tasks))

    def users(self, history: sp.csr_matrix, places: Sequence[int]) -> dict[int, torch.Tensor]:
        sums, counts = [], []
        for span in self._spans:
            own = sp.csr_matrix(history[:, span])
            sums.append(pool(self.table[span], own))
            counts.append(torch.from_numpy(np.diff(own.indptr).astype(np.float32))[:, None])
        pairs = zip(sums, counts, strict=True)
        x = torch.cat([total / count.clamp(min=1) for total, count in pairs], dim=1)
        mean = torch.stack(sums).sum(0) / torch.stack(counts).sum(0).clamp(min=1)
        shared = [expert(x) for expert in self.shared]
        vectors = {}
        for task in places:
            outputs = torch.stack([*shared, *(expert(x) for expert in self.own[task])], dim=1)
            mixed = (self.gates[task](x).softmax(1).unsqueeze(2) * outputs).sum(1)
            vectors[task] = mean + self.towers[task](mixed)
        return vectors

    def items(self, domain: int, index: torch.Tensor) -> torch.Tensor:
        return self.table.index_select(0, index + self._spans[domain].start)

    def combine(self, losses: Mapping[int, torch.Tensor]) -> torch.Tensor:
        if not self._config.uncertainty:
            return super().combine(losses)
        weighed = [
            (-self.log_variance[task]).exp() * loss + self.log_variance[task] / 2
            for task, loss in losses.items()
        ]
        return torch.stack(weighed).mean()

    def shared_parameters(self) -> list[nn.Parameter]:
        """Return the parameters that all tasks train."""
        return [self.table, *self.shared.parameters()]
