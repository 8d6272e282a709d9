"""Learned bridges between the factors of domains: EMCDR and PTUPCDR."""

from __future__ import annotations

import itertools
from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
import pydantic
import scipy.sparse as sp
import torch
from torch import nn
from torch.nn import functional

from gnn.baselines.ials import IALSConfig, alternate, row_solver
from gnn.data import DOMAINS, TrainingData
from gnn.encoders import Encoder, EncoderConfig, EncoderModel, pool
from gnn.fitting import FitOptions
from gnn.numerics.least_squares import RowSolver
from gnn.validation import ValidationRows

__all__ = ["EMCDR", "PTUPCDR", "EMCDRConfig", "PTUPCDRConfig"]


class BridgeConfig(EncoderConfig):
    """Settings of a bridge between factors."""

    factor_epochs: int = pydantic.Field(16, ge=1)
    """Passes of the factorisation of each domain."""
    learning_rate: float = pydantic.Field(0.001, gt=0)
    """Of Adam."""
    epochs: int = pydantic.Field(20, ge=1)
    """Passes over the users at the most."""


class BridgeModel(EncoderModel):
    """Factors of each domain (iALS), and a learned map of users from one to another.

    Users with history in the target domain have the factors of that history; others the mean of
    their mapped factors, weighted by the interactions in each source domain. Factors stay as they
    are while the bridges are trained.
    """

    cosine = False
    requires = frozenset({DOMAINS})
    _factors: dict[str, torch.Tensor] | None = None

    def _fit(
        self, data: TrainingData, *, seed: int, rows: ValidationRows | None, options: FitOptions
    ) -> None:
        generator, config = np.random.default_rng(seed), self._factor_config()
        self._factors = {}
        for domain in data.domains:
            own, label = data.matrix[:, data.span(domain)], f"Factors of {domain}"
            self._factors[domain] = alternate(
                own, config, generator, label=label, progress=options.progress
            )
        super()._fit(data, seed=seed, rows=rows, options=options)
        self._factors = None

    def _factor_config(self) -> IALSConfig:
        return IALSConfig(embedding_dim=self.config.embedding_dim, epochs=self.config.factor_epochs)


class BridgeEncoder(Encoder):
    """Frozen factors of each domain; a subclass maps users from one to another."""

    factors: torch.Tensor

    def __init__(
        self, factors: dict[str, torch.Tensor] | None, data: TrainingData, config: IALSConfig
    ) -> None:
        super().__init__()
        self._spans = [data.span(domain) for domain in data.domains]
        self._factor_config, self._solvers = config, list[RowSolver]()
        shape = data.n_items, config.embedding_dim
        # Those of a loaded model are in its state.
        known = torch.zeros(shape) if factors is None else torch.cat(list(factors.values()))
        self.register_buffer("factors", known)
        self.pairs = list(itertools.permutations(range(len(self._spans)), 2))

    @abstractmethod
    def bridge(self, pair: int, users: torch.Tensor, history: sp.csr_matrix) -> torch.Tensor:
        """Return float32 [n, d], `users` in the target domain of a pair.

        `users` are the factors [n, d] of `history` [n, items of the source domain].
        """

    def parts(self, history: sp.csr_matrix) -> list[sp.csr_matrix]:
        """Return, by domain, CSR [n, items of the domain]."""
        return [sp.csr_matrix(history[:, span]) for span in self._spans]

    def own(self, part: sp.csr_matrix, place: int) -> torch.Tensor:
        """Return float32 [n, d], the factors of histories in a domain; zeros without."""
        if not self._solvers:
            self._solvers = [
                row_solver(self.factors[span], self._factor_config) for span in self._spans
            ]
        return self._solvers[place].solve(part)

    def users(self, history: sp.csr_matrix, places: Sequence[int]) -> dict[int, torch.Tensor]:
        """Return the vectors in some domains, mapped where there is no history in them."""
        parts = self.parts(history)
        counts = torch.from_numpy(np.stack([np.diff(part.indptr) for part in parts])).float()
        new = counts == 0
        mapped_somewhere = new[list(places)].any(0)
        own: list[torch.Tensor] = []
        for place, part in enumerate(parts):
            rows = torch.ones_like(mapped_somewhere) if place in places else mapped_somewhere
            vectors = torch.zeros(len(rows), self.factors.shape[1])
            vectors[rows] = self.own(sp.csr_matrix(part[rows.numpy()]), place)
            own.append(vectors)
        found = {}
        for target in places:
            total, weight = torch.zeros_like(own[target]), torch.zeros(len(new[target]))
            for pair, (source, other) in enumerate(self.pairs):
                rows = (new[target] & ~new[source]).nonzero().ravel()
                if other == target and len(rows):
                    mapped = self.bridge(pair, own[source][rows], parts[source][rows.numpy()])
                    count = counts[source][rows]
                    total = total.index_add(0, rows, mapped * count[:, None])
                    weight = weight.index_add(0, rows, count)
            found[target] = own[target] + total / weight.clamp(min=1)[:, None]
        return found

    def items(self, domain: int, index: torch.Tensor) -> torch.Tensor:
        """Return the factors of items."""
        return self.factors.index_select(0, index + self._spans[domain].start)


class EMCDRConfig(BridgeConfig):
    """Settings of `EMCDR`."""

    bridge: Literal["mlp", "linear"] = "mlp"
    """The map: one hidden layer of twice the width with tanh, or a matrix."""


class EMCDR(BridgeModel):
    """Map the factors of overlap users from domain to domain by a perceptron.

    Man et al., "Cross-domain recommendation: an embedding and mapping approach", IJCAI 2017: the
    mean squared error between mapped source factors and target factors of overlap users, their
    hidden layer of twice the width and tanh. Factors are those of iALS for each domain in
    the place of MF and BPR. `bridge-ridge` has the linear map in closed form. An epoch costs
    O(users · domains² · d²), the factors that of `ials`.

    Examples
    --------
    >>> import pandas as pd, graphgen
    >>> log = pd.DataFrame({"user_id": list("aabbc"), "item_id": list("12121"),
    ...                     "domain": ["book", "film"] * 2 + ["book"]})
    >>> model = EMCDR(epochs=1).fit(graphgen.build_graph(log, encoder="none"), valid=None)
    >>> len(model.recommend(["c"], domain="film", k=1))
    1
    """

    name: ClassVar[str] = "emcdr"
    Config = EMCDRConfig

    def _make(self, data: TrainingData) -> Encoder:
        return _MappedFactors(self._factors, data, self._factor_config(), self.config)

    def _loss(self, users: np.ndarray, generator: np.random.Generator) -> torch.Tensor:
        encoder = self._encoder
        parts = encoder.parts(self.data.matrix[users])
        own = [encoder.own(part, place) for place, part in enumerate(parts)]
        present = [(vectors != 0).any(1) for vectors in own]
        total = torch.zeros(())
        for pair, (source, target) in enumerate(encoder.pairs):
            both = present[source] & present[target]
            if both.any():
                mapped = encoder.bridge(pair, own[source][both], parts[source][both.numpy()])
                total = total + functional.mse_loss(mapped, own[target][both])
        return total


class _MappedFactors(BridgeEncoder):
    def __init__(
        self,
        factors: dict[str, torch.Tensor] | None,
        data: TrainingData,
        config: IALSConfig,
        settings: EMCDRConfig,
    ) -> None:
        super().__init__(factors, data, config)
        dim = config.embedding_dim

        def bridge() -> nn.Module:
            if settings.bridge == "linear":
                return nn.Linear(dim, dim, bias=False)
            return nn.Sequential(nn.Linear(dim, 2 * dim), nn.Tanh(), nn.Linear(2 * dim, dim))

        self.bridges = nn.ModuleList(bridge() for _ in self.pairs)

    def bridge(self, pair: int, users: torch.Tensor, history: sp.csr_matrix) -> torch.Tensor:
        mapped: torch.Tensor = self.bridges[pair](users)
        return mapped


class PTUPCDRConfig(BridgeConfig):
    """Settings of `PTUPCDR`."""

    embedding_dim: int = pydantic.Field(32, ge=1)
    """Width of the factors; a user's bridge has its square."""
    meta_dim: int = pydantic.Field(50, ge=1)
    """Width of the hidden layer of the meta network; the paper's."""


class PTUPCDR(BridgeModel):
    """Map the factors of a user by a matrix of the user's own, made from the source history.

    Zhu et al., "Personalized transfer of user preferences for cross-domain recommendation", WSDM
    2022: an attention over the items of the source history makes the user's characteristics, a meta
    network makes the matrix of the bridge from them, and the loss is that of the task, not of the
    map: the hidden items of the target domain, by a sampled softmax in the place of the error of
    ratings. Factors are those of iALS. An epoch costs O(interactions · d + users · domains² · d²).

    Examples
    --------
    >>> import pandas as pd, graphgen
    >>> log = pd.DataFrame({"user_id": list("aabbc"), "item_id": list("12121"),
    ...                     "domain": ["book", "film"] * 2 + ["book"]})
    >>> model = PTUPCDR(epochs=1).fit(graphgen.build_graph(log, encoder="none"), valid=None)
    >>> len(model.recommend(["c"], domain="film", k=1))
    1
    """

    name: ClassVar[str] = "ptupcdr"
    Config = PTUPCDRConfig

    def _make(self, data: TrainingData) -> Encoder:
        return _PersonalBridges(self._factors, data, self._factor_config(), self.config)


class _PersonalBridges(BridgeEncoder):
    def __init__(
        self,
        factors: dict[str, torch.Tensor] | None,
        data: TrainingData,
        config: IALSConfig,
        settings: PTUPCDRConfig,
    ) -> None:
        super().__init__(factors, data, config)
        self._dim = dim = config.embedding_dim

        def layers(inner: int, out: int) -> nn.Module:
            return nn.Sequential(nn.Linear(dim, inner), nn.ReLU(), nn.Linear(inner, out))

        self.attention = nn.ModuleList(layers(dim, 1) for _ in self.pairs)
        self.meta = nn.ModuleList(layers(settings.meta_dim, dim * dim) for _ in self.pairs)

    def bridge(self, pair: int, users: torch.Tensor, history: sp.csr_matrix) -> torch.Tensor:
        items = self.factors[self._spans[self.pairs[pair][0]]]
        # Softmax over the history: weights of items over their sum.
        weight = self.attention[pair](items).squeeze(1).exp()
        total = pool(torch.cat([items, torch.ones(len(items), 1)], dim=1), history, weight)
        character = total[:, :-1] / total[:, -1:].clamp(min=1e-12)
        matrix = self.meta[pair](character).view(-1, self._dim, self._dim)
        return torch.bmm(users.unsqueeze(1), matrix).squeeze(1)
