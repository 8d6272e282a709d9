"""Several models as one: their scores or ranks added up, with equal or with chosen weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import pydantic
import torch

from gnn.base import Model
from gnn.data import TrainingData, UserBatch
from gnn.fitting import FitOptions
from gnn.persistence import part_state, restore_part
from gnn.registry import make_model
from gnn.selection import sample_users
from gnn.validation import KINDS, SEEN_SCORE, RankingQuality, ValidationRows, best_labels
from graphgen.config import Config
from graphgen.pieces import map_pieces

__all__ = ["Fusion", "FusionConfig", "Stacking", "StackingConfig"]

# Users with and without history in the target domain have weights of their own.
STATES = KINDS[:2]


class FusionConfig(Config):
    """Settings of `Fusion`."""

    models: tuple[str, ...] = pydantic.Field(
        ("item-knn", "user-knn", "graph-filter", "ials", "bridge-ridge"), min_length=1
    )
    """Names of the models that are fused."""
    settings: Mapping[str, Mapping[str, Any]] = pydantic.Field({})
    """Settings of these models, by name."""
    method: Literal["z-score", "rrf"] = "z-score"
    """Add scores, less their mean and by their standard deviation over the items, or reciprocal
    ranks."""
    rank_offset: float = pydantic.Field(60.0, gt=0)
    """k of reciprocal ranks, 1 / (k + rank); the paper's."""


class Fusion(Model):
    """Add up the standardised scores, or the reciprocal ranks, of several models.

    Scores are standardised over the items of a domain (CombSUM: Fox and Shaw, "Combination of
    multiple searches", TREC 1994); ranks as Cormack et al., "Reciprocal rank fusion outperforms
    Condorcet and individual rank learning methods", SIGIR 2009. A model without a score for a user
    adds nothing. Costs what its parts cost, and for ranks O(items · log items) a user and model.

    Examples
    --------
    >>> import pandas as pd, graphgen
    >>> log = pd.DataFrame({"user_id": list("aabbc"), "item_id": list("xyxyx"), "domain": "book"})
    >>> model = Fusion(models=("item-knn", "user-knn"))
    >>> model.fit(graphgen.build_graph(log, encoder="none")).recommend(["c"], k=1).item_id.tolist()
    ['y']
    """

    name: ClassVar[str] = "fusion"
    Config = FusionConfig
    _parts: list[Model]
    weights_: np.ndarray
    """float32 [2, models], of users with and without history in the target domain."""

    def _fit(
        self, data: TrainingData, *, seed: int, rows: ValidationRows | None, options: FitOptions
    ) -> None:
        self._parts = self._untrained()
        for part in self._parts:
            part.fit_data(data, rows, seed=seed, options=options.stage(part.name))
        self.weights_ = np.ones((len(STATES), len(self._parts)), dtype=np.float32)

    def _untrained(self) -> list[Model]:
        config = self.config
        return [make_model(name, **dict(config.settings.get(name, {}))) for name in config.models]

    def _score(self, users: UserBatch, domain: str) -> np.ndarray:
        cold = np.diff(users.history[:, self.data.span(domain)].indptr) == 0
        weights = self.weights_[cold.astype(np.int64)]
        total: np.ndarray = np.zeros((len(users), len(self.data.items[domain])), dtype=np.float32)
        for place, part in enumerate(self._comparable(users, domain)):
            total += weights[:, place, None] * part
        return total

    def _comparable(self, users: UserBatch, domain: str) -> Iterator[np.ndarray]:
        """Yield float32 [n, items], the scores of each model on one scale."""
        for part in self._parts:
            scores, why = part.scored(users, domain)
            spread = scores.std(axis=1, keepdims=True)
            if self.config.method == "z-score":
                with np.errstate(invalid="ignore", divide="ignore"):
                    scaled = (scores - scores.mean(axis=1, keepdims=True)) / spread
            else:
                rank = scores.argsort(axis=1)[:, ::-1].argsort(axis=1)
                scaled = 1 / (self.config.rank_offset + 1 + rank)
            # A model without a score for a user adds nothing.
            silent = (spread == 0) | (why[:, None] > 0)
            yield np.where(silent, 0, scaled).astype(np.float32)

    def _state(self) -> dict[str, torch.Tensor]:
        state = {"weights_": torch.from_numpy(self.weights_)}
        for place, part in enumerate(self._parts):
            state |= part_state(part, str(place))
        return state

    def _load_state(self, state: Mapping[str, torch.Tensor]) -> None:
        self.weights_, self._parts = state["weights_"].numpy(), self._untrained()
        for place, part in enumerate(self._parts):
            restore_part(part, str(place), self.data, state)


class StackingConfig(FusionConfig):
    """Settings of `Stacking`."""

    weights: tuple[tuple[float, ...], ...] | None = None
    """Of each model, for users with and without history in the target domain; None chooses them on
    validation rows, and takes equal ones without any."""
    rounds: int = pydantic.Field(20, ge=1)
    """Additions of a model in the choice."""


class Stacking(Fusion):
    """A fusion whose weights are chosen on validation rows, for warm and cold users apart.

    Caruana et al., "Ensemble selection from libraries of models", ICML 2004: from none, the
    model that improves NDCG@20 most is added, with replacement, `rounds` times; the weights are
    those after the best round. So on validation rows it is not worse than its best part. The choice
    costs O(rounds · models · lists · items), and memory for the scores of all models for at most
    2,000 lists.
    """

    name: ClassVar[str] = "stacking"
    chooses: ClassVar[bool] = True
    Config = StackingConfig

    def _fit(
        self, data: TrainingData, *, seed: int, rows: ValidationRows | None, options: FitOptions
    ) -> None:
        super()._fit(data, seed=seed, rows=rows, options=options)
        if self.config.weights is not None:
            self.weights_ = np.asarray(self.config.weights, dtype=np.float32)
        elif rows is not None:
            self.weights_ = self._selected(data, rows, seed)

    def _chosen(self) -> dict[str, Any]:
        given = self.config.settings
        chosen = {part.name: part.chosen_ for part in self._parts if part.chosen_}
        settings = {name: {**given.get(name, {}), **own} for name, own in chosen.items()}
        weights = tuple(map(tuple, self.weights_.tolist()))
        return {"weights": weights, "settings": {**given, **settings}}

    def _selected(self, data: TrainingData, rows: ValidationRows, seed: int) -> np.ndarray:
        """Return float32 [2, models], the weights after the best round of each kind of users."""
        blocks = []
        for block in sample_users(rows, data, seed=seed):
            users = data.batch(block.users)
            seen = users.seen_cells(data.span(block.domain))
            parts = [torch.from_numpy(part) for part in self._comparable(users, block.domain)]
            for part in parts:
                part[seen] = SEEN_SCORE
            blocks.append((block.domain, parts, *block.labels()))

        def tried(kind: int, counts: np.ndarray) -> float:
            def rank(block: Sequence[Any]) -> Any:
                domain, parts, label, relevant = block
                total = torch.zeros_like(parts[0])
                for part, count in zip(parts, counts.tolist(), strict=True):
                    if count:
                        total.add_(part, alpha=count)
                return domain, best_labels(total, label), relevant

            quality = RankingQuality()
            for found in map_pieces(rank, blocks):
                quality.add(*found)
            return quality.mean((kind,))

        weights = np.ones((len(STATES), len(self._parts)), dtype=np.float32)
        for kind in range(len(STATES)):
            if not any(bool((relevant[kind] > 0).any()) for *_, relevant in blocks):
                continue
            counts, best = np.zeros(len(self._parts)), -1.0
            for _ in range(self.config.rounds):
                added = counts + np.eye(len(counts))
                values = [tried(kind, one) for one in added]
                counts = added[int(np.argmax(values))]
                if max(values) > best:
                    best, weights[kind] = max(values), counts / counts.sum()
        return weights
