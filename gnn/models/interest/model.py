"""`interest-gnn`: a stacking ensemble of a graph network and closed-form experts.

As in scikit-learn's `StackingClassifier`, base estimators are fitted (`network`, `experts`,
`sequence`), a final estimator that mixes them is learned on held-out rows (`gate`), and
`Model.fit` then fits everything again on all rows. Before the mixing, few open settings are chosen
among candidates on the same rows (`selection`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import torch

from gnn.base import Model
from gnn.baselines.factor_bridge import FactorBridge, FactorBridgeConfig
from gnn.baselines.linear import ease_weights
from gnn.data import NO_TIMES, TrainingData, UserBatch
from gnn.fitting import FitOptions
from gnn.growth import Growth
from gnn.models.interest.config import InterestGNNConfig, TrainingSettings
from gnn.models.interest.experts import (
    Expert,
    FactorExpert,
    FilterExpert,
    PopularityExpert,
    RidgeExpert,
    SemanticExpert,
    available_experts,
    choose_filter,
    symmetric_neighbors,
)
from gnn.models.interest.gate import learn_mixture
from gnn.models.interest.mixture import ExpertScores, Mixture, gate_features
from gnn.models.interest.network import InterestNetwork, NetworkExpert, NetworkVectors
from gnn.models.interest.profile import ProfileExpert, ProfileVectors, fit_profiles
from gnn.models.interest.related import (
    RELATED,
    AttributeExpert,
    SocialExpert,
    related_matrices,
)
from gnn.models.interest.sequence import RecentExpert, SequenceExpert, transitions
from gnn.models.interest.tail import choose_tail, order_tail, popularity_shares
from gnn.models.interest.training import NetworkTrainer
from gnn.models.interest.trend import Trend, TrendConfig, choose_trend
from gnn.models.interest.updating import updated_ridge, updated_vectors
from gnn.numerics.linear_filter import (
    FilterConfig,
    LeadingDirections,
    leading_directions,
    refreshed_directions,
)
from gnn.numerics.propagation import Propagator, inverse_power, normalized_adjacency
from gnn.numerics.sparse import entry_rows, pack_csr, unpack_csr
from gnn.persistence import nested, within
from gnn.training import best_step, train_in_steps
from gnn.validation import ValidationRows
from graphgen.errors import ConfigError
from graphgen.progress import progress_bar
from graphgen.schema import FRIEND

__all__ = ["InterestGNN"]

# Half the passes of the `ials` baseline: held-out rows do not tell them apart.
FACTOR_EPOCHS = 8


class InterestGNN(Model):
    """A graph network over all domains and closed-form experts, mixed by a learned gate.

    One joint graph of users and the items of every domain, with text features and semantic edges
    (`InterestNetwork`), is trained by a softmax over the items of each domain. Beside it stand the
    linear filter, extended to new items over semantic neighbours, popularity, factors of each
    domain with ridge maps between them (`FactorBridge`), semantic neighbours, in small catalogues a
    ridge regression, and in logs with times the items that follow the latest ones of a history
    (`SequenceExpert`). Each expert gives a distribution over a domain's items; a gate mixes them by
    the user's numbers of interactions, learned on held-out rows (`learn_mixture`). Where a log has
    times and held-out rows favour it, recent popularity scales all experts (`Trend`); where they
    show that the order below the 20 best items is worse than by popularity, popularity counts there
    (`order_tail`).

    Users are functions of their histories, so those who arrive after training are scored without
    training. Items without interactions are scored by their
    text. Users without any interaction get the items of their friends where the graph has friends,
    else popular items, or those that are popular now where there is a trend.

    A training step costs O(4 · num_layers · nnz · dim + 6 · users · negatives · dim), scoring a
    user O(history · dim + items · dim).

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
    updates = "approximate"
    Config = InterestGNNConfig

    def _begin(self, data: TrainingData) -> tuple[str, ...]:
        """Set what needs no training, and return the names of the experts."""
        config = self.config
        if data.times is None and isinstance(config.trend, TrendConfig):
            raise ConfigError(NO_TIMES)
        names = config.mixture.experts if config.mixture else config.experts
        names = available_experts(names, data, required=config.mixture is not None)
        self.similar_ = symmetric_neighbors(data)
        # Friends serve users without interactions in any case.
        social = ("social",) if FRIEND in data.links else ()
        self.related_ = related_matrices({*names, *social}, data)
        self.vectors_: NetworkVectors | None = None
        self.factors_: FactorBridge | None = None
        self.ridge_: np.ndarray | None = None
        self.profiles_: ProfileVectors | None = None
        self.leading_: LeadingDirections | None = None
        self.filter_ = config.filter or FilterConfig()
        self.trend_: Trend | None = None
        self.tail_ = config.tail or 0.0
        self._experts: dict[str, Expert] = {}
        return names

    def _fit(
        self, data: TrainingData, *, seed: int, rows: ValidationRows | None, options: FitOptions
    ) -> None:
        config, names = self.config, self._begin(data)
        if {"gnn", "recent"}.intersection(names):
            # By itself and on items with interactions, so that early stopping judges the network.
            self.mixture_ = Mixture.default(["gnn"]).replace(new_item_weight=0.0)
            self._train_network(data, seed=seed, rows=rows, options=options)
        self._fit_closed_forms(names, data, rows, seed=seed, options=options)
        self.mixture_ = config.mixture or Mixture.default(names)
        self._prepare()
        trend = config.trend
        if trend is None and rows and data.times is not None:
            with progress_bar("Choosing the trend", enabled=options.progress):
                trend = choose_trend(self._mixed, data, rows, seed=seed)
        self.trend_ = Trend(data, trend) if trend else None
        if rows and config.mixture is None:
            with progress_bar("Learning the mixture", enabled=options.progress):
                self.mixture_ = learn_mixture(
                    self._expert_scores,
                    self.mixture_,
                    rows,
                    data,
                    seed=seed,
                    new_item_cost=config.new_item_cost,
                    gated=config.gated,
                )
            self._experts = {name: self._experts[name] for name in self.mixture_.experts}
            needed = {*self._experts, "social"}
            self.related_ = {n: m for n, m in self.related_.items() if n in needed}
        if rows and config.tail is None:
            with progress_bar("Choosing the tail", enabled=options.progress):
                self.tail_ = choose_tail(self._mixed, data, rows, seed=seed)

    def _update(self, former: Self, growth: Growth, *, seed: int, options: FitOptions) -> None:
        """Go on from the parts of the former model; the settings that it chose stay."""
        config, data, generator = self.config, growth.data, np.random.default_rng(seed)
        if former.vectors_ is not None and config.num_layers > 1:
            # The vectors of several layers do not say what the network had learned.
            self._fit(data, seed=seed, rows=None, options=options)
            return
        self._begin(data)
        self.mixture_ = former.mixture_
        self.trend_ = Trend(data, former.trend_.config) if former.trend_ else None
        if former.vectors_ is not None:
            self.vectors_ = updated_vectors(former.vectors_, growth, config, generator)
        if former.factors_ is not None:
            self.factors_ = former.factors_.updated(growth, generator)
        if former.ridge_ is not None:
            self.ridge_ = updated_ridge(former.ridge_, growth)
            if self.ridge_ is None:
                self.ridge_ = self._fit_ridge(data)
        if former.leading_ is not None:
            vectors = growth.item_rows(former.leading_.vectors)
            self.leading_ = refreshed_directions(data.matrix, self.filter_, vectors)
        if former.profiles_ is not None and data.user_features is not None:
            self.profiles_ = fit_profiles(data, data.user_features, generator)
        self._prepare()

    def _train_network(
        self, data: TrainingData, *, seed: int, rows: ValidationRows | None, options: FitOptions
    ) -> None:
        config, settings = self.config, TrainingSettings.of(self.config, data)
        generator = np.random.default_rng(seed)
        network = InterestNetwork(
            data,
            dim=config.embedding_dim,
            num_layers=config.num_layers,
            semantic_weight=config.semantic_weight,
            semantic_neighbors=config.semantic_neighbors,
            generator=generator,
            fusion=config.fusion,
        )
        adjacency = Propagator(
            normalized_adjacency(data.matrix, config.user_exponent, settings.item_exponent)
        )
        item_scale = torch.from_numpy(inverse_power(data.popularity, settings.item_exponent))
        trainer = NetworkTrainer(data, network, adjacency, settings, generator)

        def publish() -> None:
            # The last vectors go first: there is room for one set beside the optimizer's state.
            self.vectors_, self._experts = None, {}
            self.vectors_ = network.vectors(adjacency, item_scale.unsqueeze(1))
            self._experts["gnn"] = NetworkExpert(data, self.vectors_)

        train_in_steps(
            self,
            trainer.step,
            publish,
            parameters=dict(network.named_parameters()),
            optimizer=trainer.optimizer,
            generator=generator,
            steps=settings.steps,
            seed=seed,
            rows=rows,
            options=options,
        )

    def _fit_closed_forms(
        self,
        names: Sequence[str],
        data: TrainingData,
        rows: ValidationRows | None,
        *,
        seed: int,
        options: FitOptions,
    ) -> None:
        config = self.config
        if "filter" in names and rows and config.filter is None:
            with progress_bar("Choosing the filter", enabled=options.progress):
                self.filter_, self.leading_ = choose_filter(data, rows, seed=seed)
        elif "filter" in names and self.filter_.flattened:
            generator = np.random.default_rng(seed)
            self.leading_ = leading_directions(data.matrix, self.filter_, generator)
        if "factors" in names:
            self.factors_ = FactorBridge.fit(
                data,
                self._factor_config(),
                np.random.default_rng(seed),
                progress=options.progress,
            )
        if "ridge" in names:
            self.ridge_ = self._fit_ridge(data)
        if "profile" in names and data.user_features is not None:
            self.profiles_ = fit_profiles(data, data.user_features, np.random.default_rng(seed))

    def _fit_ridge(self, data: TrainingData) -> np.ndarray:
        strength = self.config.ridge_share * data.n_users
        return ease_weights(data.matrix[:, np.flatnonzero(data.warm)], strength)

    def _factor_config(self) -> FactorBridgeConfig:
        return FactorBridgeConfig(embedding_dim=self.config.factor_dim, epochs=FACTOR_EPOCHS)

    def _chosen(self) -> dict[str, Any]:
        best = best_step(self.history_)
        return {
            **({} if best is None else {"steps": best}),
            "filter": self.filter_.to_dict(),
            "trend": self.trend_.config.to_dict() if self.trend_ else False,
            "mixture": self.mixture_.to_dict(),
            "tail": self.tail_,
        }

    def favour_new(self, cost: float) -> None:
        """Give items without interactions another weight, by the trade-off that was measured on
        held-out rows, without fitting again.

        Parameters
        ----------
        cost
            Accepted relative loss of NDCG@20 on warm items, in [0, 1], as `new_item_cost`.

        Raises
        ------
        ConfigError
            If `cost` is out of range or no trade-off was measured.
        """
        if not 0 <= cost <= 1:
            raise ConfigError(f"`cost` must lie in [0, 1]; got {cost}.")
        if not self.mixture_.trade_off:
            raise ConfigError(
                "This model was trained without held-out rows of new items, so the cost of "
                "favouring them is not known."
            )
        self.mixture_ = self.mixture_.at_cost(cost)
        self.chosen_ = {**self.chosen_, "mixture": self.mixture_.to_dict()}

    def _prepare(self) -> None:
        """Make the experts from what was learned, after `fit` and after loading."""
        self._experts = {name: self._expert(name) for name in self.mixture_.experts}

    def _expert(self, name: str) -> Expert:
        config, data = self.config, self.data
        if name == "gnn" and self.vectors_ is not None:
            return NetworkExpert(data, self.vectors_)
        if name == "factors" and self.factors_ is not None:
            return FactorExpert(self.factors_)
        if name == "ridge" and self.ridge_ is not None:
            return RidgeExpert(data, self.ridge_)
        if name == "filter":
            neighbors = config.bridge_neighbors
            return FilterExpert(data, self.filter_, self.leading_, self.similar_, neighbors)
        if name == "semantic":
            return SemanticExpert(data, self.similar_)
        if name == "co_consumed":
            return SemanticExpert(data, self.related_[name])
        if name == "attributes":
            return AttributeExpert(data, self.related_[name])
        if name == "social":
            return SocialExpert(data, self.related_[name])
        if name == "recent" and self.vectors_ is not None:
            return RecentExpert(data, self.vectors_, config.recent_half_life)
        if name == "profile" and self.profiles_ is not None:
            return ProfileExpert(data, self.profiles_)
        if name == "sequence":
            return SequenceExpert(data, transitions(data), config.sequence_half_life)
        return PopularityExpert(data)

    def _expert_scores(self, users: UserBatch, domain: str) -> tuple[ExpertScores, torch.Tensor]:
        span = self.data.span(domain)
        seen = users.inside(span)
        own = np.diff(seen.indptr)
        scores = ExpertScores(
            n_users=len(users),
            scores={name: expert.score(users, domain) for name, expert in self._experts.items()},
            seen_row=torch.from_numpy(entry_rows(seen)),
            seen_column=torch.from_numpy(seen.indices.astype(np.int64)),
            warm=torch.from_numpy(self.data.warm[span].astype(np.float32)),
            trend=None if self.trend_ is None else self.trend_.factor(users, domain),
        )
        return scores, gate_features(own, np.diff(users.history.indptr) - own)

    def _mixed(self, users: UserBatch, domain: str) -> torch.Tensor:
        scores, features = self._expert_scores(users, domain)
        return scores.mix_(self.mixture_, features)

    def _score(self, users: UserBatch, domain: str) -> np.ndarray:
        mixed, span = self._mixed(users, domain), self.data.span(domain)
        if self.tail_:
            shares = popularity_shares(self.data.popularity[span])
            mixed = order_tail(mixed, shares, users.seen_cells(span), self.tail_)
        scores: np.ndarray = mixed.numpy()
        return scores

    def parts(self, users: UserBatch, domain: str, columns: np.ndarray) -> dict[str, np.ndarray]:
        """Return by expert what it adds to scores, before popularity orders the tail."""
        scores, features = self._expert_scores(users, domain)
        return scores.parts(self.mixture_, features, columns)

    def expert_weights(self) -> dict[str, float]:
        """Return each expert's mean weight in the gate, over users and domains."""
        own = self.data.history_lengths()
        features = gate_features(own.ravel(), (own.sum(1, keepdims=True) - own).ravel())
        means = self.mixture_.weights(features).mean(0).tolist()
        return dict(zip(self.mixture_.experts, means, strict=True))

    def item_vectors(self) -> np.ndarray | None:
        """Return float32 [n_items, dim], the network's unit vectors of items; None without it."""
        return None if self.vectors_ is None else self.vectors_.items.numpy()

    def user_vectors(self) -> np.ndarray | None:
        """Return float32 [n_users, dim], the network's unit vectors of users; None without it."""
        if self.vectors_ is None:
            return None
        return NetworkExpert(self.data, self.vectors_).of_history(self.data.matrix).numpy()

    def _knows(self, users: UserBatch) -> np.ndarray:
        known = super()._knows(users)
        expert = self._experts.get("profile")
        if isinstance(expert, ProfileExpert):
            known = known | (expert.users(users) != 0).any(dim=1).numpy()
        return known

    def _popular(self, users: UserBatch, domain: str) -> np.ndarray:
        popularity = super()._popular(users, domain)
        if self.trend_ is not None:
            popularity = popularity * self.trend_.factor(users, domain).numpy()
        if "social" not in self.related_:
            return popularity
        return SocialExpert(self.data, self.related_["social"]).first(users, domain, popularity)

    def _state(self) -> dict[str, torch.Tensor]:
        state = pack_csr("similar", self.similar_)
        for name, matrix in self.related_.items():
            state |= pack_csr(name, matrix)
        if self.vectors_ is not None:
            state |= nested("network", vars(self.vectors_))
        if self.factors_ is not None:
            state |= nested("factors", self.factors_.state(self.data.domains))
        if self.ridge_ is not None:
            # Transposed, the columns that LAPACK left behind are rows without a copy.
            state["ridge"] = torch.from_numpy(self.ridge_.T)
        if self.profiles_ is not None:
            state |= nested("profile", vars(self.profiles_))
        if self.leading_ is not None:
            leading = self.leading_._asdict().items()
            state |= nested("leading", {name: torch.from_numpy(part) for name, part in leading})
        return state

    def _load_state(self, state: Mapping[str, torch.Tensor]) -> None:
        self.similar_ = unpack_csr("similar", state)
        self.related_ = {n: unpack_csr(n, state) for n in RELATED if f"{n}.indptr" in state}
        network, factors, leading, profiles = (
            within(n, state) for n in ("network", "factors", "leading", "profile")
        )
        self.vectors_ = NetworkVectors(**network) if network else None
        self.profiles_ = ProfileVectors(**profiles) if profiles else None
        self.factors_ = None
        if factors:
            self.factors_ = FactorBridge.from_state(factors, self.data, self._factor_config())
        self.ridge_ = state["ridge"].numpy().T if "ridge" in state else None
        arrays = {name: tensor.numpy() for name, tensor in leading.items()}
        self.leading_ = LeadingDirections(**arrays) if arrays else None
        self.mixture_ = Mixture.make(self.chosen_["mixture"])
        self.tail_ = float(self.chosen_["tail"])
        self.filter_ = FilterConfig.make(self.chosen_["filter"])
        trend = self.chosen_["trend"]
        self.trend_ = Trend(self.data, TrendConfig.make(trend)) if trend else None
        self._prepare()
