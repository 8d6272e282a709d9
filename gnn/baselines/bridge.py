"""A linear bridge between the factors of domains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import torch

from gnn.base import Model
from gnn.baselines.factor_bridge import FactorBridge, FactorBridgeConfig
from gnn.data import TrainingData, UserBatch
from gnn.fitting import FitOptions
from gnn.validation import ValidationRows

__all__ = ["BridgeRidge"]


class BridgeRidge(Model):
    """Factors of a user's source domains, mapped to the target domain by a ridge regression.

    Man et al., "Cross-domain recommendation: an embedding and mapping approach" (EMCDR), IJCAI
    2017, with its linear map in closed form. Each domain is factorised separately (iALS, Rendle et
    al., RecSys 2022); for each ordered pair of domains, W minimises ‖U_s W − U_t‖² + ridge ‖W‖²
    over the overlap users. A user with history in the target domain keeps the factors of that
    history; any other gets the mean of the mapped vectors, weighted by the interactions in each
    source domain. Inductive: a history is enough, as factors are solved for.

    Examples
    --------
    >>> import pandas as pd, graphgen
    >>> log = pd.DataFrame({"user_id": ["a", "a", "b", "b", "c", "d", "d"],
    ...                     "domain": ["book", "film"] * 2 + ["book", "book", "film"],
    ...                     "item_id": ["dune", "alien", "emma", "help", "dune", "dune", "alien"]})
    >>> model = BridgeRidge(embedding_dim=4).fit(graphgen.build_graph(log, encoder="none"))
    >>> model.recommend(["c"], domain="film", k=1).item_id.tolist()
    ['alien']
    """

    name: ClassVar[str] = "bridge-ridge"
    Config = FactorBridgeConfig

    def _fit(
        self, data: TrainingData, *, seed: int, rows: ValidationRows | None, options: FitOptions
    ) -> None:
        self.bridge_ = FactorBridge.fit(
            data, self.config, np.random.default_rng(seed), progress=options.progress
        )

    def _score(self, users: UserBatch, domain: str) -> np.ndarray:
        scores: np.ndarray = self.bridge_.score(users.history, domain).numpy()
        return scores

    def _state(self) -> dict[str, torch.Tensor]:
        return self.bridge_.state(self.data.domains)

    def _load_state(self, state: Mapping[str, torch.Tensor]) -> None:
        self.bridge_ = FactorBridge.from_state(state, self.data, self.config)
