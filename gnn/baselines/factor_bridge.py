"""Factors of each domain, and linear maps of users from one domain to another."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from itertools import permutations
from typing import Any, ClassVar, Self

import numpy as np
import pydantic
import torch

from gnn.base import Model
from gnn.baselines.ials import IALSConfig, alternate, row_solver, solve_again
from gnn.data import TrainingData, UserBatch
from gnn.fitting import FitOptions
from gnn.growth import Growth
from gnn.numerics.scoring import inner_products

__all__ = ["BridgeRidge", "FactorBridge", "FactorBridgeConfig", "ridge_map"]

# Ridge strengths tried, as multiples of the mean squared singular value of the source factors.
RIDGE_GRID = tuple(10.0**power for power in np.arange(-3, 2.5, 0.5))


class FactorBridgeConfig(IALSConfig):
    """Settings of `FactorBridge`: those of the factors, and the strength of the bridge."""

    ridge: float | None = pydantic.Field(None, gt=0)
    """L2 norm of a map, as a multiple of the mean squared singular value of its source factors;
    None chooses it for each pair of domains by the leave-one-out error."""


class FactorBridge:
    """iALS factors by domain, and a ridge regression between the factors of overlap users.

    `items` holds the factors of each domain, float32 [items, d], and `maps` the map of each
    (source, target) with overlap users, float32 [d, d].
    """

    def __init__(
        self,
        items: dict[str, torch.Tensor],
        maps: dict[tuple[str, str], torch.Tensor],
        data: TrainingData,
        config: FactorBridgeConfig,
    ) -> None:
        self.items, self.maps, self.config = items, maps, config
        self._spans = {domain: data.span(domain) for domain in data.domains}
        self._solvers = {domain: row_solver(part, config) for domain, part in items.items()}

    @classmethod
    def fit(
        cls,
        data: TrainingData,
        config: FactorBridgeConfig,
        generator: np.random.Generator,
        *,
        progress: bool = False,
    ) -> Self:
        """Factorise each domain and solve for each map; the half-steps of `RowSolver` rule."""
        items = {}
        for domain in data.domains:
            own = data.matrix[:, data.span(domain)]
            label = f"Factors of {domain}"
            items[domain] = alternate(own, config, generator, label=label, progress=progress)
        return cls(items, _maps(items, data, config), data, config)

    def updated(self, growth: Growth, generator: np.random.Generator) -> Self:
        """Return the factors of later data: those of touched items are solved for again.

        Factors of new domains are fitted. Maps stay, as factors hardly turn; those of new pairs
        of domains are fitted.
        """
        data, touched = growth.data, growth.touched_items
        items = {}
        for domain in data.domains:
            span = data.span(domain)
            own = data.matrix[:, span]
            columns = touched[(touched >= span.start) & (touched < span.stop)] - span.start
            if domain not in self.items:
                items[domain] = alternate(own, self.config, generator)
                continue
            former = np.zeros((own.shape[1], self.config.embedding_dim), dtype=np.float32)
            place = data.items[domain].encode(growth.former.items[domain].ids)
            former[place] = self.items[domain].numpy()
            items[domain] = torch.from_numpy(former)
            if len(columns):
                items[domain] = solve_again(own, items[domain], columns, self.config)
        maps = self.maps | _maps(items, data, self.config, known=self.maps)
        return type(self)(items, maps, data, self.config)

    def score(self, users: UserBatch, domain: str) -> torch.Tensor:
        """Return float32 [n, items of the domain].

        Users with history in the domain have the factors of that history; others the mean of
        their mapped factors, weighted by the interactions in each source domain.
        """
        vectors, count = self._own(users, domain)
        new = torch.from_numpy(np.flatnonzero(count == 0))
        if len(new):
            vectors = vectors.index_copy(0, new, self._mapped(users, new, domain))
        return inner_products(vectors, self.items[domain])

    def _own(self, users: UserBatch, domain: str) -> tuple[torch.Tensor, np.ndarray]:
        """Return the factors of the histories in a domain, [n, d], and their lengths, [n]."""
        part = users.inside(self._spans[domain])
        vectors = users.once((self, domain), lambda: self._solvers[domain].solve(part))
        return vectors, np.diff(part.indptr)

    def _mapped(self, users: UserBatch, new: torch.Tensor, target: str) -> torch.Tensor:
        """Return float32 [m, d] of users `new` [m] without history in the target domain."""
        total = torch.zeros(len(new), self.config.embedding_dim)
        weight = torch.zeros(len(new), 1)
        for source in self.items:
            if (source, target) not in self.maps:
                continue
            vectors, lengths = self._own(users, source)
            count = torch.from_numpy(lengths.astype(np.float32))[new].unsqueeze(1)
            total += count * (vectors[new] @ self.maps[source, target])
            weight += count
        return total / weight.clamp(min=1.0)

    def state(self, domains: Sequence[str]) -> dict[str, torch.Tensor]:
        """Return tensors by name, domains written as their place in `domains`."""
        number = {domain: place for place, domain in enumerate(domains)}
        items = {f"items.{number[domain]}": vectors for domain, vectors in self.items.items()}
        maps = {f"map.{number[s]}.{number[t]}": value for (s, t), value in self.maps.items()}
        return items | maps

    @classmethod
    def from_state(
        cls, state: Mapping[str, torch.Tensor], data: TrainingData, config: FactorBridgeConfig
    ) -> Self:
        """Restore from the tensors of `state`, for the domains of `data`."""
        items, maps = {}, {}
        for key, value in state.items():
            kind, *numbers = key.split(".")
            domains = [data.domains[int(number)] for number in numbers]
            if kind == "items":
                items[domains[0]] = value
            else:
                maps[domains[0], domains[1]] = value
        return cls(items, maps, data, config)


def _maps(
    items: Mapping[str, torch.Tensor],
    data: TrainingData,
    config: FactorBridgeConfig,
    known: Container[tuple[str, str]] = (),
) -> dict[tuple[str, str], torch.Tensor]:
    """Return the map of each pair of domains with overlap users that is not `known`."""
    present = data.active()
    pairs = [
        (source, target, torch.from_numpy(both))
        for (i, source), (j, target) in permutations(enumerate(data.domains), 2)
        if (source, target) not in known
        and len(both := np.flatnonzero(present[:, i] & present[:, j]))
    ]
    users = {
        domain: row_solver(items[domain], config).solve(data.matrix[:, data.span(domain)])
        for domain in dict.fromkeys(name for pair in pairs for name in pair[:2])
    }
    return {
        (source, target): ridge_map(users[source][both], users[target][both], config.ridge)
        for source, target, both in pairs
    }


def ridge_map(source: torch.Tensor, target: torch.Tensor, ridge: float | None) -> torch.Tensor:
    """Return float32 [d, e], the W that minimises ‖source W − target‖² + λ ‖W‖².

    `source` and `target` are factors of the same users, float32 [n, d] and [n, e]. `ridge` is λ as
    a multiple of the mean squared singular value of `source`; None takes the one of `RIDGE_GRID`
    whose leave-one-out error is least, in closed form: the residual of row i divided by 1 − H_ii
    (Allen's PRESS). With one row the largest is taken.

    Examples
    --------
    >>> x = torch.eye(3)
    >>> torch.allclose(ridge_map(x, 2 * x, 1e-6), 2 * x, atol=1e-4)
    True
    """
    left, values, right = torch.linalg.svd(source.double(), full_matrices=False)
    squares = values.square()
    unit = max(float(squares.mean()), 1e-12)
    seen = left.T @ target.double()

    def leave_one_out(multiple: float) -> float:
        shrink = squares / (squares + multiple * unit)
        residual = target.double() - left @ (shrink.unsqueeze(1) * seen)
        leverage = (left.square() * shrink).sum(1, keepdim=True)
        return float((residual / (1.0 - leverage).clamp(min=1e-9)).square().sum())

    if ridge is None and len(source) < 2:
        ridge = RIDGE_GRID[-1]
    best = min(RIDGE_GRID, key=leave_one_out) if ridge is None else ridge
    solved = (values / (squares + best * unit)).unsqueeze(1) * seen
    return (right.T @ solved).float()


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
    updates = "approximate"
    Config = FactorBridgeConfig

    def _fit(self, data: TrainingData, *, seed: int, options: FitOptions, **_: Any) -> None:
        generator = np.random.default_rng(seed)
        self.bridge_ = FactorBridge.fit(data, self.config, generator, progress=options.progress)

    def _update(self, former: Self, growth: Growth, *, seed: int, **_: Any) -> None:
        self.bridge_ = former.bridge_.updated(growth, np.random.default_rng(seed))

    def _score(self, users: UserBatch, domain: str) -> np.ndarray:
        scores: np.ndarray = self.bridge_.score(users, domain).numpy()
        return scores

    def _state(self) -> dict[str, torch.Tensor]:
        return self.bridge_.state(self.data.domains)

    def _load_state(self, state: Mapping[str, torch.Tensor]) -> None:
        self.bridge_ = FactorBridge.from_state(state, self.data, self.config)
