"""Another model on augmented training data, and several copies of it on parts of the data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pydantic
import torch

from gnn.augmentation import drop_interactions, mix_histories, semantic_interactions
from gnn.base import Model
from gnn.data import TrainingData, UserBatch
from gnn.fitting import FitOptions
from gnn.models.fusion import STATES, Fusion, FusionConfig
from gnn.registry import make_model
from gnn.validation import ValidationRows
from graphgen.config import Config

__all__ = ["Augmented", "AugmentedConfig", "Bagging", "BaggingConfig"]


class AugmentedConfig(Config):
    """Settings of `Augmented`."""

    model: str = "ials"
    """Name of the model that learns from the augmented data."""
    settings: Mapping[str, Any] = pydantic.Field({})
    """Its settings."""
    drop: float = pydantic.Field(0.0, ge=0, lt=1)
    """Share of the interactions that are left out."""
    semantic: float = pydantic.Field(0.0, ge=0, le=1)
    """Share of the interactions for which one with a similar item is added."""
    mix: float = pydantic.Field(0.0, ge=0, le=1)
    """Share of the interactions for which one of a user alike is added."""


class Augmented(Model):
    """Another model, fitted to augmented training data.

    Users and their histories are scored as they are. See `gnn.augmentation` for the methods; they
    are applied in the order of the settings. With a loaded model or a real history nothing is
    augmented.

    Examples
    --------
    >>> import pandas as pd, graphgen
    >>> log = pd.DataFrame({"user_id": list("aabbc"), "item_id": list("xyxyx"), "domain": "book"})
    >>> graph = graphgen.build_graph(log, encoder="none")
    >>> model = Augmented(model="item-knn", mix=0.5).fit(graph, valid=None)
    >>> model.recommend(["c"], k=1).item_id.tolist()
    ['y']
    """

    name: ClassVar[str] = "augmented"
    chooses: ClassVar[bool] = True
    Config = AugmentedConfig
    _part: Model

    def _fit(
        self, data: TrainingData, *, seed: int, rows: ValidationRows | None, options: FitOptions
    ) -> None:
        config, generator = self.config, np.random.default_rng(seed)
        more = data
        for share, method in (
            (config.drop, drop_interactions),
            (config.semantic, semantic_interactions),
            (config.mix, mix_histories),
        ):
            more = method(more, share, generator) if share else more
        self._part = make_model(config.model, **dict(config.settings))
        self._part.fit_data(more, rows, seed=seed, options=options)
        self._part.restore(data, self._part._state())

    def _chosen(self) -> dict[str, Any]:
        return {"settings": {**self.config.settings, **self._part.chosen_}}

    def _score(self, users: UserBatch, domain: str) -> np.ndarray:
        return self._part.score_batch(users, domain)

    def _state(self) -> dict[str, torch.Tensor]:
        return self._part._state()

    def _load_state(self, state: Mapping[str, torch.Tensor]) -> None:
        self._part = make_model(self.config.model, **dict(self.config.settings))
        self._part.restore(self.data, dict(state))


class BaggingConfig(FusionConfig):
    """Settings of `Bagging`."""

    models: tuple[str, ...] = pydantic.Field(("ials",), min_length=1)
    """Names of the models of which copies are fitted."""
    copies: int = pydantic.Field(5, ge=1)
    """Copies of each."""
    share: float = pydantic.Field(0.8, gt=0, le=1)
    """Share of the interactions that a copy is fitted to."""


class Bagging(Fusion):
    """Copies of models, each fitted to a random part of the interactions, and fused.

    Breiman, "Bagging predictors", 1996, with parts drawn without replacement (Bühlmann and Yu,
    "Analyzing bagging", 2002), since an interaction that counts twice is none. Costs `copies` times
    what the models cost.

    Examples
    --------
    >>> import pandas as pd, graphgen
    >>> log = pd.DataFrame({"user_id": list("aabbc"), "item_id": list("xyxyx"), "domain": "book"})
    >>> model = Bagging(models=("item-knn",), copies=3)
    >>> model.fit(graphgen.build_graph(log, encoder="none")).recommend(["c"], k=1).item_id.tolist()
    ['y']
    """

    name: ClassVar[str] = "bagging"
    Config = BaggingConfig

    def _fit(
        self, data: TrainingData, *, seed: int, rows: ValidationRows | None, options: FitOptions
    ) -> None:
        self._parts = self._untrained()
        for copy, part in enumerate(self._parts):
            smaller = drop_interactions(
                data, 1 - self.config.share, np.random.default_rng([seed, copy])
            )
            part.fit_data(smaller, rows, seed=seed + copy, options=options.stage(f"copy{copy}"))
            part.restore(data, part._state())
        self.weights_ = np.ones((len(STATES), len(self._parts)), dtype=np.float32)

    def _untrained(self) -> list[Model]:
        copies = (Fusion._untrained(self) for _ in range(self.config.copies))
        return [part for parts in copies for part in parts]
