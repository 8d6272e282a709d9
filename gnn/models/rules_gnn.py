"""Rules as a prior that a graph network corrects."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import pydantic
import torch
from torch import nn

from gnn.baselines.rules import Rules, RulesConfig
from gnn.data import TrainingData, UserBatch
from gnn.encoders import Encoder, Hidden
from gnn.fitting import FitOptions
from gnn.models.hetero import HeteroGNN, HeteroGNNConfig
from gnn.numerics.sparse import kept_entries
from gnn.persistence import part_state, restore_part
from gnn.validation import ValidationRows

__all__ = ["RulesGNN", "RulesGNNConfig"]

RULES, STRENGTH = "rules", "strength"


class RulesGNNConfig(RulesConfig, HeteroGNNConfig):
    """Settings of `RulesGNN`."""

    per_pair: int = pydantic.Field(50, ge=1)
    """Mined rules of each level from a domain to a domain."""


class RulesGNN(HeteroGNN):
    """The rules of `rules` as a prior, corrected by the network of `hetero-gnn`.

    In training and in scoring, the logit of an item is that of the network plus log 2 times the
    weights of the rules that fire for the user and name the item (a weight of 1 doubles the odds),
    times a strength that is learned. So the network learns only what the rules do not say, and
    where it has learned nothing the rules decide; users of whom no rule fires have the network
    alone. Residual fitting: Friedman, "Greedy function approximation: a gradient boosting machine",
    2001. Costs what `hetero-gnn` costs, and O(users · rules) a step.

    Examples
    --------
    >>> import pandas as pd, graphgen
    >>> log = pd.DataFrame({"user_id": list("aabbc"), "item_id": list("xyxyx"), "domain": "book"})
    >>> model = RulesGNN(epochs=1).fit(graphgen.build_graph(log, encoder="none"), valid=None)
    >>> model.recommend(["c"], k=1).item_id.tolist()
    ['y']
    """

    name: ClassVar[str] = "rules-gnn"
    Config = RulesGNNConfig
    _rules: Rules
    _users: np.ndarray

    def _fit(
        self, data: TrainingData, *, seed: int, rows: ValidationRows | None, options: FitOptions
    ) -> None:
        self._rules = self._untrained().fit_data(data, None, seed=seed, options=options)
        super()._fit(data, seed=seed, rows=rows, options=options)

    def _untrained(self) -> Rules:
        return Rules(**{name: getattr(self.config, name) for name in RulesConfig.model_fields})

    def _make(self, data: TrainingData) -> Encoder:
        encoder = super()._make(data)
        encoder.register_parameter(STRENGTH, nn.Parameter(torch.ones(())))
        return encoder

    @property
    def _strength(self) -> torch.Tensor:
        return self._encoder.get_parameter(STRENGTH)

    def _loss(self, users: np.ndarray, generator: np.random.Generator) -> torch.Tensor:
        self._users = users
        return super()._loss(users, generator)

    def _prior_logits(self, hidden: Hidden, domain: str) -> torch.Tensor | None:
        prior = self._prior(self._shown(hidden), domain)
        return None if prior is None else self._strength * prior

    def _prior(self, users: UserBatch, domain: str) -> torch.Tensor | None:
        """Return float32 [n, items], logits by the rules; None without any rule."""
        book = self._rules.book
        return None if book is None else torch.from_numpy(book.scores(users, domain)) * math.log(2)

    def _shown(self, hidden: Hidden) -> UserBatch:
        """Return the users of the batch with the part of their histories that is shown."""
        whole, known = self.data.batch(self._users), hidden.known
        order = None
        if whole.order is not None:
            shown = known.astype(bool)[whole.order.nonzero()]
            order = kept_entries(whole.order.tocoo(), np.asarray(shown).ravel())
        return UserBatch(whole.index, known, whole.keys, order, has_time=whole.has_time)

    @torch.no_grad()
    def _score(self, users: UserBatch, domain: str) -> np.ndarray:
        scores, prior = super()._score(users, domain), self._prior(users, domain)
        if prior is not None:
            scores += self.config.temperature * float(self._strength) * prior.numpy()
        return scores

    def _state(self) -> dict[str, torch.Tensor]:
        return super()._state() | part_state(self._rules, RULES)

    def _load_state(self, state: Mapping[str, torch.Tensor]) -> None:
        self._rules = self._untrained()
        restore_part(self._rules, RULES, self.data, state)
        super()._load_state({k: v for k, v in state.items() if not k.startswith(f"{RULES}.")})
