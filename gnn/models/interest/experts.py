"""The experts of `InterestGNN` in closed form: each scores the items of a domain for users."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby, product
from operator import attrgetter
from threading import Lock
from typing import Protocol

import numpy as np
import scipy.sparse as sp
import torch

from gnn.baselines.factor_bridge import FactorBridge
from gnn.baselines.linear import ease_scores
from gnn.data import TrainingData, UserBatch
from gnn.models.interest.mixture import Scored, dense
from gnn.models.interest.related import RELATED
from gnn.numerics.linear_filter import (
    FilterConfig,
    LeadingDirections,
    LinearFilter,
    cold_bridge,
    leading_directions,
)
from gnn.numerics.sparse import dense_product
from gnn.selection import choose
from gnn.validation import Scores, ValidationRows
from graphgen.errors import ConfigError
from graphgen.schema import CO_CONSUMED, FRIEND

__all__ = [
    "EXPERTS",
    "Expert",
    "FactorExpert",
    "FilterExpert",
    "PopularityExpert",
    "RidgeExpert",
    "SemanticExpert",
    "available_experts",
    "choose_filter",
    "missing_for",
    "symmetric_neighbors",
]

EXPERTS = (
    "filter", "gnn", "popularity", "factors", "semantic", "ridge", "sequence", "recent", "profile",
    "co_consumed", "attributes", "social",
)  # fmt: skip
# Experts for what few graphs have.
ON_REQUEST = ("profile", *RELATED)
# Experts that follow the order of events.
ORDERED = ("sequence", "recent")
# Items with interactions up to which the inverse of all pairs takes seconds. The sparse form for
# larger catalogues (`EaseSparse`) is no expert: on Gowalla it raised NDCG@20 of the mixture by 4 %
# on rows held out of the training rows, and lowered it by 2 % on the test rows.
MAX_RIDGE_ITEMS = 6_000
# Leading directions to flatten: on MovieLens-1M twice as many are worse, on Gowalla they are alike.
FLATTENED = 64
# Settings of a filter that make another product.
PRODUCT = ("user_exponent", "item_exponent", "source_exponent")


def available_experts(
    wanted: Sequence[str], data: TrainingData, *, required: bool = False
) -> tuple[str, ...]:
    """Return those of `wanted` that the data allows.

    Parameters
    ----------
    wanted
        Names.
    data
        Training data.
    required
        All of them are needed, for instance because a saved mixture names them.

    Raises
    ------
    ConfigError
        For an unknown name, if none is left, or if one that is required is missing.
    """
    for name in wanted:
        if name not in EXPERTS:
            raise ConfigError(f"There is no expert {name!r}; there are {', '.join(EXPERTS)}.")
    # A mixture that was learned on a part of a log meets more items in all of it.
    limit = MAX_RIDGE_ITEMS * (2 if required else 1)
    lacks = {name: reason for name in wanted if (reason := missing_for(name, data, limit))}
    found = tuple(name for name in wanted if name not in lacks)
    if (required and lacks) or not found:
        reasons = "; ".join(f"{name!r}: {reason}" for name, reason in lacks.items())
        raise ConfigError(f"The graph does not allow the experts that are wanted. {reasons}.")
    return found


def missing_for(name: str, data: TrainingData, ridge_items: int = MAX_RIDGE_ITEMS) -> str:
    """Return why the data does not allow an expert, or ""; "ridge" up to `ridge_items` items."""
    if name == "semantic" and data.similar is None:
        return "the graph has no semantic edges (build it with item texts)"
    if name == "profile" and data.user_features is None:
        return "the graph has no texts of users (build it with --users, of columns user_text)"
    if name in ORDERED and data.order is None:
        return "the log has no timestamps and no positions"
    if name == "co_consumed" and CO_CONSUMED not in data.links:
        return "the graph has no co-consumption (build it with --set co_consumed_k=20)"
    if name == "attributes" and not data.attributes:
        return "the graph has no attributes (build it with --relation COLUMN)"
    if name == "social" and FRIEND not in data.links:
        return "the graph has no friends (build it with --social FILE)"
    warm = int(data.warm.sum())
    if name == "ridge" and not 1 < warm <= ridge_items:
        return f"it is for 2 to {ridge_items:,} items with interactions, and there are {warm:,}"
    return ""


def symmetric_neighbors(data: TrainingData) -> sp.csr_matrix:
    """Return CSR [n_items, n_items] of similarities ≥ 0, an edge in either direction is both."""
    similar = data.similar
    if similar is None:
        return sp.csr_matrix((data.n_items, data.n_items), dtype=np.float32)
    similar = similar.maximum(similar.T).tocsr()
    similar.data = np.maximum(similar.data, 0)
    similar.eliminate_zeros()
    return sp.csr_matrix(similar, dtype=np.float32)


class Expert(Protocol):
    """Scores items for users."""

    def score(self, users: UserBatch, domain: str) -> Scored:
        """Return float32 [n, items of the domain], as `ExpertScores` takes them.

        [1, items] where it is the same for all users. The caller may change it.
        """
        ...


class FilterExpert:
    """The linear filter, extended over semantic neighbours to items without interactions.

    Parameters
    ----------
    data
        Training data.
    config
        The filter.
    leading
        Its leading directions, where it is flattened.
    similar
        As `symmetric_neighbors` makes it.
    neighbors
        Number of them, with interactions, from which a new item is reached.
    """

    def __init__(
        self,
        data: TrainingData,
        config: FilterConfig,
        leading: LeadingDirections | None,
        similar: sp.csr_matrix,
        neighbors: int,
    ) -> None:
        self._data = data
        self._filter = LinearFilter(data.matrix, config)
        self._excess = None if leading is None else self._filter.excess(leading)
        self._bridges = {
            domain: cold_bridge(similar, data.warm, data.span(domain), neighbors)
            for domain in data.domains
        }
        # By domain: the matrix that a history is multiplied by, the bridge included, where it fits
        # into memory; and the flattened directions at the items, bridged likewise.
        self._products: dict[str, sp.csr_matrix | None] = {}
        self._reached: dict[str, np.ndarray] = {}
        self._lock = Lock()

    def score(self, users: UserBatch, domain: str) -> torch.Tensor:
        """Return float32 [n, items], 0 where no user or neighbour links them to the history."""
        with self._lock:
            if domain not in self._products:
                self._prepare(domain)
        product = self._products[domain]
        if product is not None:
            link = dense_product(users.history, product)
        else:
            span = self._data.span(domain)
            link = dense(self._bridged(self._filter.score(users.history, span), domain))
        if self._excess is None:
            return link
        excess = (users.history @ self._excess[0]) @ self._reached[domain]
        return link.sub_(torch.from_numpy(excess)).clamp_(min=0)

    def _prepare(self, domain: str) -> None:
        span = self._data.span(domain)
        if self._excess is not None:
            right = sp.csr_matrix(self._excess[1][span].T)
            self._reached[domain] = self._bridged(right, domain).toarray()
        product = self._filter.product(span)
        self._products[domain] = None if product is None else self._bridged(product, domain)

    def _bridged(self, link: sp.csr_matrix, domain: str) -> sp.csr_matrix:
        bridge = self._bridges[domain]
        return link + link @ bridge if bridge.nnz else link


class PopularityExpert:
    """Numbers of interactions, the same for all users."""

    def __init__(self, data: TrainingData) -> None:
        self._data = data

    def score(self, users: UserBatch, domain: str) -> torch.Tensor:
        """Return float32 [1, items]."""
        return torch.from_numpy(self._data.popularity[self._data.span(domain)]).unsqueeze(0).clone()


class FactorExpert:
    """Factors of the domain by itself, to which ridge maps lead from other domains."""

    def __init__(self, factors: FactorBridge) -> None:
        self._factors = factors

    def score(self, users: UserBatch, domain: str) -> torch.Tensor:
        """Return float32 [n, items], inner products."""
        return self._factors.score(users, domain)


class SemanticExpert:
    """Items linked to those of the history, by the squared weight of the edges.

    The edges are those of similar texts, or of co-consumption.

    Parameters
    ----------
    data
        Training data.
    similar
        CSR [n_items, n_items] ≥ 0, such as `symmetric_neighbors`.
    """

    def __init__(self, data: TrainingData, similar: sp.csr_matrix) -> None:
        squared = similar.copy()
        squared.data = np.square(squared.data)
        self._columns = {domain: squared[:, data.span(domain)] for domain in data.domains}

    def score(self, users: UserBatch, domain: str) -> sp.csr_matrix:
        """Return float32 CSR [n, items], without entry where no neighbour is in the history."""
        return (users.history @ self._columns[domain]).tocsr()


class RidgeExpert:
    """A ridge regression of each item on all others (EASE), for catalogues small enough.

    Parameters
    ----------
    data
        Training data.
    weights
        float32 [w, w] of `ease_weights` over the w items with interactions.
    """

    def __init__(self, data: TrainingData, weights: np.ndarray) -> None:
        self._data = data
        self.weights = weights
        self._warm = np.flatnonzero(data.warm)

    def score(self, users: UserBatch, domain: str) -> torch.Tensor:
        """Return float32 [n, items]; negative scores are 0."""
        scores = ease_scores(users.history, self.weights, self._warm, self._data.span(domain))
        return torch.from_numpy(scores).clamp_(min=0)


def filter_candidates(n_domains: int) -> list[FilterConfig]:
    """Return the filters to choose from, the default first.

    In one domain the leading directions of the spectrum may be flattened. Across domains they are
    the ones that carry users from one to another: flattened, amazon4 gains 2 % NDCG@20 for warm
    users and loses 7 % for cold ones, and other exponents are not significantly better there, on
    game_video or on ciao (validation rows), so the default is taken.
    """
    default = FilterConfig()
    if n_domains > 1:
        return [default]
    return [default] + [
        FilterConfig(
            user_exponent=0.7,
            item_exponent=0.4,
            source_exponent=source,
            target_exponent=target,
            flattened=flattened,
        )
        for source, flattened, target in product((0.15, 0.3), (0, FLATTENED), (0.15, 0.3))
    ]


def choose_filter(
    data: TrainingData, rows: ValidationRows, *, seed: int
) -> tuple[FilterConfig, LeadingDirections | None]:
    """Return the filter chosen on held-out rows, and the directions that it flattens.

    Candidates that differ in source, item or user exponents cost the two-hop neighbourhoods of the
    sampled users each, half a second or so on a million interactions; a spectrum to flatten costs
    one `truncated_svd`.
    """
    candidates = filter_candidates(len(data.domains))
    if len(candidates) == 1:
        return candidates[0], None
    spectrum = attrgetter("user_exponent", "item_exponent")
    leading: dict[tuple[float, float], LeadingDirections] = {}
    for config in candidates:
        if config.flattened and spectrum(config) not in leading:
            generator = np.random.default_rng(seed)
            leading[spectrum(config)] = leading_directions(data.matrix, config, generator)
    # A target exponent only rescales columns, and flattening subtracts a term: one product serves.
    groups = [
        (LinearFilter(data.matrix, same[0].replace(target_exponent=0.0), keep=False), same)
        for _, group in groupby(candidates, attrgetter(*PRODUCT))
        if (same := list(group))
    ]

    def in_domain(domain: str) -> Scores:
        span = data.span(domain)
        popularity = torch.from_numpy(np.maximum(data.popularity[span], 1.0))

        def scores(users: UserBatch) -> Iterator[torch.Tensor]:
            for link, configs in groups:
                plain = torch.from_numpy(link.score(users.history, span).toarray())
                for config in configs:
                    flat = plain
                    if config.flattened:
                        left, right = link.excess(leading[spectrum(config)])
                        flat = plain - torch.from_numpy((users.history @ left) @ right[span].T)
                    yield flat * popularity**config.target_exponent

        return scores

    chosen = choose(candidates, in_domain, data, rows, seed=seed)
    return chosen, leading[spectrum(chosen)] if chosen.flattened else None
