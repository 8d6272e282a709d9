"""`interest-gnn`: our own model, a graph network and a linear filter mixed by a learned gate."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
import torch

from gnn.base import Model
from gnn.baselines.factor_bridge import FactorBridge
from gnn.data import NO_TIMES, TrainingData, UserBatch
from gnn.fitting import FitOptions, Monitor
from gnn.models.interest.blend import Blend, gate_features
from gnn.models.interest.blend_learning import learn_blend
from gnn.models.interest.config import InterestGNNConfig
from gnn.models.interest.domain_graphs import checked_domains, domains_apart
from gnn.models.interest.encoder import EncoderTrainer, InterestEncoder
from gnn.models.interest.filter_choice import choose_filter
from gnn.models.interest.fitted_parts import FittedParts, factor_config
from gnn.models.interest.network_choice import OWN_WEIGHTS, NetworkChoice
from gnn.models.interest.network_path import NetworkPath
from gnn.models.interest.network_vectors import NetworkVectors
from gnn.models.interest.path_scores import PathScores
from gnn.models.interest.paths import (
    FactorPath,
    FilterPath,
    Path,
    PopularityPath,
    SemanticPath,
    available_paths,
    required_paths,
    symmetric_neighbors,
)
from gnn.models.interest.ridge import RidgePath
from gnn.models.interest.sequence import SequencePath
from gnn.models.interest.sequence_choice import HALF_LIVES, choose_half_life
from gnn.models.interest.shape import (
    suggested,
    suggested_factor_dim,
    suggested_negatives,
    suggested_steps,
)
from gnn.models.interest.trend import Trend, TrendConfig
from gnn.models.interest.trend_choice import choose_trend
from gnn.models.interest.validation import ValidationRows
from gnn.numerics.linear_filter import FilterConfig, LeadingDirections, leading_directions
from gnn.numerics.propagation import Propagator, inverse_power, normalized_adjacency
from gnn.training import train_in_steps
from graphgen.allocation import release_freed_memory
from graphgen.errors import ConfigError, StorageError

__all__ = ["InterestGNN"]

logger = logging.getLogger(__name__)

# What is taken where nothing was validated.
OWN_WEIGHT, HALF_LIFE = OWN_WEIGHTS[0], HALF_LIVES[0]
# Vectors of single nodes; they learn at the full rate, what all nodes share at a part of it.
IDS = {"item", "user"}


class InterestGNN(Model):
    """A graph network over all domains and closed-form paths, mixed by a learned gate.

    One joint graph of people and the items of every domain, with text features, topics and semantic
    edges (`InterestEncoder`), trained by a softmax over the items of each domain. Beside it stand
    the linear filter, bridged to new items over semantic neighbours, popularity, factors of each
    domain with ridge maps between them (`FactorBridge`), semantic neighbours, in small catalogues a
    ridge regression, and in logs with times what follows the latest items of a history
    (`SequencePath`).
    Each path gives a probability over a domain's items; a gate mixes them by what is known of a
    person, and is learned on validation rows (`learn_blend`). Where a log has times and validation
    finds that it helps, what is in vogue scales all paths (`Trend`).

    The network gives people a vector of their own beside their histories, as far as validation
    finds that it helps; for those who arrive after training a ridge regression on the history takes
    its place, so they are scored without training. What somebody did in other domains is for those
    without a history in the one at hand; others are scored in the graph of that domain by itself
    (`domains_apart`), except where validation clearly favours the joint one. Items without
    interactions are scored by their text. People without any interaction get what is popular, or
    what is popular now where there is a trend.

    Training costs, a step, O(4 · num_layers · nnz · dim + 6 · users · negatives · dim); scoring a
    person O(history · dim + items · dim).

    Examples
    --------
    >>> import pandas as pd, graphgen
    >>> log = pd.DataFrame({"user_id": list("aabbc"), "item_id": list("xyxyx"), "domain": "book"})
    >>> model = InterestGNN(embedding_dim=8, steps=5).fit(graphgen.build_graph(log, encoder="none"))
    >>> model.recommend(["c"], k=1).item_id.tolist()
    ['y']
    """

    name: ClassVar[str] = "interest-gnn"
    chooses: ClassVar[bool] = True
    Config = InterestGNNConfig

    def _fit(
        self, data: TrainingData, *, seed: int, monitor: Monitor | None, options: FitOptions
    ) -> None:
        config = self.config
        if data.times is None and isinstance(config.trend, TrendConfig):
            raise ConfigError(NO_TIMES)
        if config.blend:
            paths = required_paths(config.blend.paths, data)
        else:
            paths = available_paths(config.paths, data)
        rows = ValidationRows.of(monitor.truth, data) if monitor is not None else None
        if rows is not None and not rows.of_known_items():
            logger.warning(
                "No validation row is of an item with interactions; %s takes the defaults.",
                self.name,
            )
            rows = monitor = None
        self.filter_ = config.filter or FilterConfig()
        self.leading_: LeadingDirections | None = None
        self.similar_ = symmetric_neighbors(data)
        self.vectors_: NetworkVectors | None = None
        self.own_weight_ = OWN_WEIGHT if config.own_weight is None else config.own_weight
        self.joint_domains_ = checked_domains(config.joint_domains or (), data)
        self.factors_: FactorBridge | None = None
        self.ridge_: RidgePath | None = None
        self.sequence_half_life_ = config.sequence_half_life or HALF_LIFE
        self.trend_: Trend | None = None
        self._links: dict[str, sp.csr_matrix] | None = None
        self._paths: dict[str, Path] = {}
        if "gnn" in paths:
            # On its own and on known items, so that it stops where the network is best, and
            # nothing else is scored; what new items weigh is learned afterwards.
            self.blend_ = Blend.default(["gnn"]).replace(new_item_weight=0.0)
            self._train_network(data, seed=seed, monitor=monitor, options=options)
        # After the network, in the memory that it has let go.
        release_freed_memory()
        self._fit_closed_forms(paths, data, rows, seed=seed, options=options)
        self.blend_ = config.blend or Blend.default(paths)
        self._prepare()
        if rows and self.vectors_ is not None:
            self._choose_network(self.vectors_, data, rows, seed=seed)
            release_freed_memory()
        trend = config.trend
        if trend is None and rows and data.times is not None:
            trend = choose_trend(self._mixed, data, rows, np.random.default_rng(seed))
        self.trend_ = Trend(data, trend) if trend else None
        if rows and config.blend is None:
            self.blend_ = learn_blend(
                self._path_scores,
                paths,
                rows,
                data,
                generator=np.random.default_rng(seed),
                new_item_cost=config.new_item_cost,
                gated=config.gated,
            )
        # What the choices looked at: scoring begins without it.
        release_freed_memory()

    def _fit_closed_forms(
        self,
        paths: Sequence[str],
        data: TrainingData,
        rows: ValidationRows | None,
        *,
        seed: int,
        options: FitOptions,
    ) -> None:
        config = self.config
        generator = np.random.default_rng(seed)
        if "filter" in paths and rows and config.filter is None:
            self.filter_, self.leading_ = choose_filter(data, rows, generator)
        elif "filter" in paths and self.filter_.flattened:
            self.leading_ = leading_directions(data.matrix, self.filter_, generator)
        if "factors" in paths:
            self.factors_ = FactorBridge.fit(
                data,
                factor_config(config.factor_dim or suggested_factor_dim(data)),
                np.random.default_rng(seed),
                progress=options.progress,
            )
        if "ridge" in paths:
            self.ridge_ = RidgePath.fit(data, config.ridge_share)
        if rows and "sequence" in paths and config.sequence_half_life is None:
            self._links = SequencePath.linked(data)
            self.sequence_half_life_ = choose_half_life(
                self._links, data, rows, np.random.default_rng(seed)
            )

    def _choose_network(
        self, vectors: NetworkVectors, data: TrainingData, rows: ValidationRows, *, seed: int
    ) -> None:
        config = self.config
        choice = NetworkChoice(
            network=partial(NetworkPath, data, vectors, config.user_exponent),
            others=partial(self._path_scores, without="gnn"),
            blend=self.blend_,
            data=data,
            rows=rows,
            seed=seed,
        )
        if config.own_weight is None:
            self.own_weight_ = choice.own_weight(self.joint_domains_)
        if config.joint_domains is None and vectors.apart is not None:
            self.joint_domains_ = choice.joint_domains(self.own_weight_)
        self._prepare_network()

    def _train_network(
        self, data: TrainingData, *, seed: int, monitor: Monitor | None, options: FitOptions
    ) -> None:
        config = self.config
        generator = np.random.default_rng(seed)
        encoder = InterestEncoder(
            data,
            dim=config.embedding_dim,
            num_layers=config.num_layers,
            semantic_weight=config.semantic_weight,
            semantic_neighbors=config.semantic_neighbors,
            generator=generator,
        )
        optimizer = torch.optim.Adam(
            [
                {
                    "params": [parameter],
                    "lr": config.learning_rate * (1.0 if name in IDS else config.text_rate),
                }
                for name, parameter in encoder.parameters.items()
            ],
        )
        exponents = config.user_exponent, self._setting("item_exponent")
        adjacency = Propagator(normalized_adjacency(data.matrix, *exponents))
        item_scale = torch.from_numpy(inverse_power(data.popularity, exponents[1])).unsqueeze(1)
        trainer = EncoderTrainer(
            data,
            encoder,
            adjacency,
            optimizer,
            id_dropout=self._setting("id_dropout"),
            edge_dropout=self._setting("edge_dropout"),
            domain_dropout=config.domain_dropout,
            temperature=self._setting("temperature"),
            num_negatives=config.num_negatives or suggested_negatives(data),
            chunk_users=config.chunk_users,
            generator=generator,
        )

        def publish() -> None:
            # The last vectors go first: there is room for one set beside the optimizer's state.
            self.vectors_, self._paths = None, {}
            users = encoder.parameters["user"].detach().clone()
            self.vectors_ = NetworkVectors(users, encoder.export(adjacency, item_scale))
            self._prepare_network()

        train_in_steps(
            self,
            trainer.step,
            publish,
            parameters=encoder.parameters,
            optimizer=optimizer,
            generator=generator,
            steps=config.steps or suggested_steps(data),
            seed=seed,
            monitor=monitor,
            options=options,
        )
        apart = domains_apart(data) if set(data.domains) - set(self.joint_domains_) else None
        if apart is not None and self.vectors_ is not None:
            matrix, people = apart
            cut = Propagator(normalized_adjacency(matrix, *exponents))
            self.vectors_ = replace(self.vectors_, apart=encoder.export(cut, item_scale, people))

    def _chosen(self) -> dict[str, Any]:
        """Return what validation chose, as settings."""
        return {
            **self.best_unit("step", "steps"),
            "own_weight": self.own_weight_,
            "joint_domains": self.joint_domains_,
            "filter": self.filter_.to_dict(),
            "sequence_half_life": self.sequence_half_life_,
            "trend": self.trend_.config.to_dict() if self.trend_ else False,
            "blend": self.blend_.to_dict(),
        }

    def favour_new(self, cost: float) -> None:
        """Move along the frontier that validation measured, as far as it pays, without fitting
        again.

        Parameters
        ----------
        cost
            Share of NDCG@20 on known items that new items may cost the people who lose most by it,
            in every domain with a frontier of its own and over all of them, in [0, 1].

        Raises
        ------
        ConfigError
            If `cost` is out of range or no frontier was measured.
        """
        if not 0 <= cost <= 1:
            raise ConfigError(f"The share to give up must lie in [0, 1]; got {cost}.")
        if not self.blend_.frontier:
            raise ConfigError(
                "This model was trained without validation rows of new items, so what favouring "
                "them costs is not known."
            )
        self.blend_ = self.blend_.at_cost(cost)
        self.chosen_ = self._chosen()

    def _prepare(self) -> None:
        """Make what follows from training data and settings, after `fit` and after loading."""
        config, data = self.config, self.data
        self._paths = {}
        for name in self.blend_.paths:
            if name == "filter":
                self._paths[name] = FilterPath(
                    data, self.filter_, self.leading_, self.similar_, config.bridge_neighbors
                )
            elif name == "popularity":
                self._paths[name] = PopularityPath(data)
            elif name == "factors" and self.factors_ is not None:
                self._paths[name] = FactorPath(self.factors_)
            elif name == "semantic":
                self._paths[name] = SemanticPath(data, self.similar_)
            elif name == "ridge" and self.ridge_ is not None:
                self._paths[name] = self.ridge_
            elif name == "sequence":
                self._paths[name] = SequencePath(data, self.sequence_half_life_, self._links)
        self._prepare_network()

    def _setting(self, name: str) -> Any:
        """Return a setting, or what the density of the log suggests for it."""
        given = getattr(self.config, name)
        return suggested(name, self.data) if given is None else given

    def _prepare_network(self) -> None:
        if self.vectors_ is not None:
            self._paths["gnn"] = NetworkPath(
                self.data,
                self.vectors_,
                self.config.user_exponent,
                self.own_weight_,
                self.joint_domains_,
            )

    def _mixed(self, users: UserBatch, domain: str) -> torch.Tensor:
        paths, features = self._path_scores(users, domain)
        return paths.mix(self.blend_.within(domain), features)

    def _path_scores(
        self, users: UserBatch, domain: str, *, without: str = ""
    ) -> tuple[PathScores, torch.Tensor]:
        paths = {name: path for name, path in self._paths.items() if name != without}
        history = users.history
        own_history = history[:, self.data.span(domain)]
        seen = own_history.tocoo()
        own = np.diff(own_history.indptr)
        scores = PathScores(
            n_users=len(users),
            scores={name: path.score(users, domain) for name, path in paths.items()},
            seen_row=torch.from_numpy(seen.row.astype(np.int64)),
            seen_column=torch.from_numpy(seen.col.astype(np.int64)),
            warm=torch.from_numpy(self.data.warm[self.data.span(domain)].astype(np.float32)),
            trend=None if self.trend_ is None else self.trend_.factor(users, domain),
        )
        return scores, gate_features(own, np.diff(history.indptr) - own)

    def _popular(self, users: UserBatch, domain: str) -> np.ndarray:
        popularity = super()._popular(users, domain)
        if self.trend_ is None:
            return popularity
        scaled: np.ndarray = popularity * self.trend_.factor(users, domain).numpy()
        return scaled

    def _score(self, users: UserBatch, domain: str) -> np.ndarray:
        mixed: np.ndarray = self._mixed(users, domain).numpy()
        return mixed

    def _state(self) -> dict[str, torch.Tensor]:
        parts = FittedParts(self.vectors_, self.similar_, self.factors_, self.ridge_, self.leading_)
        return parts.state(self.data)

    def _load_state(self, state: Mapping[str, torch.Tensor]) -> None:
        if "joint_domains" not in self.chosen_:
            raise StorageError(
                "This interest-gnn model was saved by an earlier version; train it "
                "again with `interest train`."
            )
        parts = FittedParts.from_state(state, self.data)
        self.vectors_, self.similar_, self.factors_, self.ridge_, self.leading_ = parts
        self.own_weight_ = self.chosen_["own_weight"]
        self.joint_domains_ = tuple(self.chosen_["joint_domains"])
        self.blend_ = Blend.make(self.chosen_["blend"])
        self.filter_ = FilterConfig.make(self.chosen_["filter"])
        self.sequence_half_life_ = self.chosen_["sequence_half_life"]
        self._links = None
        trend = self.chosen_["trend"]
        self.trend_ = Trend(self.data, TrendConfig.make(trend)) if trend else None
        self._prepare()
