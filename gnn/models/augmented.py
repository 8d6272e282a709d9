"""Another model on augmented training data; bagging and boosting of copies on parts of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pydantic
import torch

from gnn.augmentation import (
    draw_interactions,
    drop_interactions,
    generated_interactions,
    mix_histories,
    only_interactions,
    semantic_interactions,
)
from gnn.base import Model
from gnn.data import TrainingData, UserBatch
from gnn.fitting import FitOptions
from gnn.models.fusion import STATES, Fusion, FusionConfig
from gnn.numerics.sparse import entry_rows
from gnn.persistence import part_state, restore_part
from gnn.registry import make_model
from gnn.validation import ValidationRows
from graphgen.config import Config
from graphgen.pieces import map_pieces

__all__ = ["Augmented", "AugmentedConfig", "Bagging", "BaggingConfig", "Boosting"]

# Name of the model in the state of `Augmented`.
PART = "part"


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
    generated: float = pydantic.Field(0.0, ge=0, le=1)
    """As many interactions, as a share of all, are added for users with few, with items next to
    interest vectors that a GAN generates; needs several domains."""
    gan: Mapping[str, Any] = pydantic.Field({})
    """Settings of that `interest-gan`."""


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
        if config.generated:
            gan = make_model("interest-gan", **dict(config.gan))
            gan.fit_data(data, rows, seed=seed, options=options.stage("gan"))

            def generate(users: np.ndarray, domain: str) -> np.ndarray:
                return gan.score_batch(data.batch(users), domain)

            more = generated_interactions(more, config.generated, generator, generate)
        self._part = make_model(config.model, **dict(config.settings))
        self._part.fit_data(more, rows, seed=seed, options=options)
        self._part.restore(data, self._part._state())

    def _chosen(self) -> dict[str, Any]:
        return {"settings": {**self.config.settings, **self._part.chosen_}}

    def _score(self, users: UserBatch, domain: str) -> np.ndarray:
        return self._part.score_batch(users, domain)

    def _state(self) -> dict[str, torch.Tensor]:
        return part_state(self._part, PART)

    def _load_state(self, state: Mapping[str, torch.Tensor]) -> None:
        self._part = make_model(self.config.model, **dict(self.config.settings))
        restore_part(self._part, PART, self.data, state)


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


class Boosting(Bagging):
    """Copies of models one after the other, fitted to more of what those before rank badly.

    AdaBPR: Liu et al., "A boosting algorithm for item recommendation with implicit feedback", IJCAI
    2015, with parts of the interactions drawn by their weights in the place of weighted losses, so
    that any model can be boosted. The quality of a copy is measured on the interactions that its
    part lacks, as 2 AUC - 1 of each: a model knows those it was fitted to. Copies count by ½
    log((1 + quality) / (1 - quality)). Costs, besides that of `Bagging`, a ranking of all users for
    each copy.

    Examples
    --------
    >>> import pandas as pd, graphgen
    >>> log = pd.DataFrame({"user_id": list("aabbc"), "item_id": list("xyxyx"), "domain": "book"})
    >>> model = Boosting(models=("item-knn",), copies=3)
    >>> model.fit(graphgen.build_graph(log, encoder="none")).recommend(["c"], k=1).item_id.tolist()
    ['y']
    """

    name: ClassVar[str] = "boosting"

    def _fit(
        self, data: TrainingData, *, seed: int, rows: ValidationRows | None, options: FitOptions
    ) -> None:
        self._parts, share = self._untrained(), self.config.share
        margin = np.zeros(data.matrix.nnz)
        counts = np.zeros(len(self._parts), dtype=np.float32)
        for copy, part in enumerate(self._parts):
            weight = np.exp(-margin)
            generator = np.random.default_rng([seed, copy])
            kept = draw_interactions(data, share, generator, weight)
            smaller, left = only_interactions(data, kept), np.flatnonzero(~kept)
            part.fit_data(smaller, rows, seed=seed + copy, options=options.stage(f"copy{copy}"))
            quality = _qualities(part, data, left)
            mean = np.average(quality, weights=weight[left]) if len(left) else 0.0
            # No copy is perfect, and one that is worse than chance does not count.
            counts[copy] = np.arctanh(np.clip(mean, 0.0, 0.999))
            margin[left] += counts[copy] * quality
            part.restore(data, part._state())
        self.weights_ = np.tile(counts if counts.any() else np.ones_like(counts), (len(STATES), 1))


def _qualities(part: Model, data: TrainingData, left: np.ndarray) -> np.ndarray:
    """Return float64 [left], 2 AUC - 1 of interactions that a model was not fitted to."""
    row, column = entry_rows(data.matrix)[left], data.matrix.indices[left]
    quality = np.zeros(len(left))
    for domain in data.domains:
        span = data.span(domain)
        own = np.flatnonzero((column >= span.start) & (column < span.stop))
        quality[own] = _qualities_in(part, domain, row[own], column[own] - span.start)
    return quality


def _qualities_in(part: Model, domain: str, row: np.ndarray, item: np.ndarray) -> np.ndarray:
    quality = np.zeros(len(row))
    users, place = np.unique(row, return_inverse=True)

    def work(block: tuple[int, UserBatch]) -> None:
        low, batch = block
        here = np.flatnonzero((place >= low) & (place < low + len(batch)))
        scores = part.score_batch(batch, domain)[place[here] - low]
        own = scores[np.arange(len(here)), item[here]][:, None]
        quality[here] = (scores < own).mean(axis=1) - (scores > own).mean(axis=1)

    map_pieces(work, part.blocks(part.data.batch(users), domain))
    return quality
