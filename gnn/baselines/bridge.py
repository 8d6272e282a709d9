"""A linear bridge between the factors of domains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import pydantic
import scipy.sparse as sp
import torch

from gnn.base import Model
from gnn.baselines.ials import IALSConfig, alternate, fold_in
from gnn.data import TrainingData, UserBatch
from gnn.fitting import FitOptions, Monitor

__all__ = ["BridgeRidge", "BridgeRidgeConfig", "ridge_map"]

# Ridge strengths tried, as multiples of the mean squared singular value of the source factors.
RIDGE_GRID = tuple(10.0**power for power in np.arange(-3, 2.5, 0.5))


class BridgeRidgeConfig(IALSConfig):
    """Settings of `BridgeRidge`: those of the factors, and the strength of the bridge."""

    ridge: float | None = pydantic.Field(None, gt=0)
    """L2 norm of a map, as a multiple of the mean squared singular value of its source factors;
    None chooses it for each pair of domains by the leave-one-out error."""


class BridgeRidge(Model):
    """Factors of a person's source domains, mapped to the target domain by a ridge regression.

    Man et al., "Cross-domain recommendation: an embedding and mapping approach" (EMCDR), IJCAI
    2017, with its linear map in closed form. Each domain is factorised by itself (iALS, Rendle et
    al., RecSys 2022); for each ordered pair of domains, W minimises ‖U_s W − U_t‖² + ridge ‖W‖²
    over the overlap users. A person with history in the target domain keeps the factors of that
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
    Config = BridgeRidgeConfig

    def _fit(
        self, data: TrainingData, *, seed: int, monitor: Monitor | None, options: FitOptions
    ) -> None:
        generator = np.random.default_rng(seed)
        users: dict[str, torch.Tensor] = {}
        self.items_: dict[str, torch.Tensor] = {}
        present = {}
        for domain in data.domains:
            own = data.matrix[:, data.span(domain)]
            self.items_[domain] = alternate(own, self.config, generator, progress=options.progress)
            users[domain] = fold_in(own, self.items_[domain], self.config)
            present[domain] = np.diff(own.indptr) > 0
        self.maps_: dict[tuple[str, str], torch.Tensor] = {}
        for source in data.domains:
            for target in data.domains:
                both = torch.from_numpy(np.flatnonzero(present[source] & present[target]))
                if source != target and len(both):
                    self.maps_[source, target] = ridge_map(
                        users[source][both], users[target][both], self.config.ridge
                    )

    def _score(self, users: UserBatch, domain: str) -> np.ndarray:
        own = users.history[:, self.data.span(domain)]
        vectors = fold_in(own, self.items_[domain], self.config)
        new = np.flatnonzero(np.diff(own.indptr) == 0)
        if len(new):
            vectors[torch.from_numpy(new)] = self._mapped(users.history[new], domain)
        scores: np.ndarray = (vectors @ self.items_[domain].T).numpy()
        return scores

    def _mapped(self, history: sp.csr_matrix, target: str) -> torch.Tensor:
        """Return float32 [n, d] of people without history in the target domain."""
        total = torch.zeros(history.shape[0], self.config.embedding_dim)
        weight = torch.zeros(history.shape[0], 1)
        for source in self.data.domains:
            if (source, target) not in self.maps_:
                continue
            part = history[:, self.data.span(source)]
            count = torch.from_numpy(np.diff(part.indptr).astype(np.float32)).unsqueeze(1)
            vectors = fold_in(part, self.items_[source], self.config)
            total += count * (vectors @ self.maps_[source, target])
            weight += count
        return total / weight.clamp(min=1.0)

    def _state(self) -> dict[str, torch.Tensor]:
        number = {domain: place for place, domain in enumerate(self.data.domains)}
        items = {f"items.{number[domain]}": vectors for domain, vectors in self.items_.items()}
        maps = {f"map.{number[s]}.{number[t]}": value for (s, t), value in self.maps_.items()}
        return items | maps

    def _load_state(self, state: Mapping[str, torch.Tensor]) -> None:
        self.items_, self.maps_ = {}, {}
        for key, value in state.items():
            kind, *numbers = key.split(".")
            domains = [self.data.domains[int(number)] for number in numbers]
            if kind == "items":
                self.items_[domains[0]] = value
            else:
                self.maps_[domains[0], domains[1]] = value


def ridge_map(source: torch.Tensor, target: torch.Tensor, ridge: float | None) -> torch.Tensor:
    """Return float32 [d, e], the W that minimises ‖source W − target‖² + λ ‖W‖².

    Parameters
    ----------
    source, target
        float32 [n, d] and [n, e], factors of the same people.
    ridge
        λ as a multiple of the mean squared singular value of `source`; None takes the one of
        `RIDGE_GRID` whose leave-one-out error is least, in closed form: the residual of row i
        divided by 1 − H_ii (Allen's PRESS).

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

    best = min(RIDGE_GRID, key=leave_one_out) if ridge is None else ridge
    solved = (values / (squares + best * unit)).unsqueeze(1) * seen
    return (right.T @ solved).float()
