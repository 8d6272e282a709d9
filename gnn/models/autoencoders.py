"""Autoencoders of histories: Mult-VAE, and a sparse one whose units can be read as interests."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import pandas as pd
import pydantic
import scipy.sparse as sp
import torch
from torch import nn

from gnn.candidates import item_frame
from gnn.data import TrainingData
from gnn.encoders import Encoder, EncoderConfig, EncoderModel, Hidden, hide, pool
from gnn.numerics.sparse import entry_rows

__all__ = ["MultVAE", "MultVAEConfig", "SparseAutoencoder", "SparseAutoencoderConfig"]


class AutoencoderConfig(EncoderConfig):
    """Settings of an autoencoder."""

    hidden_share: float = pydantic.Field(0.5, gt=0, lt=1)
    """Share of the input that is dropped in training; all of the history is reconstructed."""
    temperature: float = pydantic.Field(1.0, gt=0)
    """The distribution over items is softmax(score / temperature)."""
    num_negatives: int = pydantic.Field(4096, ge=1)
    """Items of a domain, drawn uniformly, that stand for all in the softmax."""
    batch_size: int = pydantic.Field(512, ge=1)
    """Users a gradient step."""
    learning_rate: float = pydantic.Field(0.002, gt=0)
    """Of Adam."""


class Autoencoder(EncoderModel):
    """Reconstruct a history from a part of it, by a softmax over the items of each domain."""

    cosine = False

    def _loss(self, users: np.ndarray, generator: np.random.Generator) -> torch.Tensor:
        history = self.data.matrix[users]
        known = hide(self.data, users, self.config.hidden_share, generator).known
        domain = self.data.item_domain[history.indices]
        starts = np.array([self.data.span(name).start for name in self.data.domains])
        whole = Hidden(known, entry_rows(history), history.indices - starts[domain], domain)
        vectors = self._encoder.users(known, np.unique(domain).tolist())
        total = self._encoder.extra_loss()
        for place, codes in vectors.items():
            share = float((domain == place).sum()) / len(users)
            total = total + share * self._ranking_loss(codes, place, whole, generator)
        return total


class AutoencoderNetwork(Encoder):
    """A decoder with a bias for each item, over what a subclass makes of a history."""

    def __init__(self, data: TrainingData, width: int, dim: int) -> None:
        super().__init__()
        self._starts = [data.span(domain).start for domain in data.domains]
        self.table = nn.Parameter(torch.randn(data.n_items, width) / width**0.5)
        self.decoder = nn.Parameter(torch.randn(data.n_items, dim) * 0.01)
        self.bias = nn.Parameter(torch.zeros(data.n_items, 1))

    def read(self, history: sp.csr_matrix) -> torch.Tensor:
        """Return float32 [n, width], the sum over histories of length 1 of rows of the table."""
        length = np.sqrt(np.maximum(np.diff(history.indptr), 1.0))
        return pool(self.table, sp.csr_matrix(sp.diags(1 / length) @ history))

    @abstractmethod
    def code(self, history: sp.csr_matrix) -> torch.Tensor:
        """Return float32 [n, dim], what is decoded."""

    def users(self, history: sp.csr_matrix, places: Sequence[int]) -> dict[int, torch.Tensor]:
        """Return the codes, with a 1 for the bias."""
        code = self.code(history)
        return dict.fromkeys(places, torch.cat([code, torch.ones(len(code), 1)], dim=1))

    def items(self, domain: int, index: torch.Tensor) -> torch.Tensor:
        """Return the rows of the decoder, with the bias."""
        rows = index + self._starts[domain]
        both = self.decoder.index_select(0, rows), self.bias.index_select(0, rows)
        return torch.cat(both, dim=1)


class MultVAEConfig(AutoencoderConfig):
    """Settings of `MultVAE`."""

    embedding_dim: int = pydantic.Field(64, ge=1)
    """Width of the latent vector."""
    hidden_dim: int = pydantic.Field(200, ge=1)
    """Width of the hidden layers."""
    kl_weight: float = pydantic.Field(0.2, ge=0)
    """β, the weight of the divergence from the prior."""


class MultVAE(Autoencoder):
    """A variational autoencoder with a multinomial likelihood.

    Liang et al., "Variational autoencoders for collaborative filtering", WWW 2018: histories of
    length 1 with dropout, tanh layers, a Gaussian code, β below 1 (not annealed: the best step
    is chosen on validation rows). There is one multinomial for each domain, and its denominator is
    estimated from `num_negatives` items: with all 50,000 of amazon4 an epoch takes minutes on two
    cores. An epoch costs O(interactions · hidden + users · negatives · hidden).

    Examples
    --------
    >>> import pandas as pd, graphgen
    >>> log = pd.DataFrame({"user_id": list("aabbc"), "item_id": list("xyxyx"), "domain": "book"})
    >>> model = MultVAE(epochs=1).fit(graphgen.build_graph(log, encoder="none"), valid=None)
    >>> model.recommend(["c"], k=1).item_id.tolist()
    ['y']
    """

    name: ClassVar[str] = "mult-vae"
    Config = MultVAEConfig

    def _make(self, data: TrainingData) -> Encoder:
        return _VariationalNetwork(data, self.config)


class _VariationalNetwork(AutoencoderNetwork):
    def __init__(self, data: TrainingData, config: MultVAEConfig) -> None:
        super().__init__(data, config.hidden_dim, config.hidden_dim)
        self._weight = config.kl_weight
        self.first_bias = nn.Parameter(torch.zeros(config.hidden_dim))
        self.latent = nn.Linear(config.hidden_dim, 2 * config.embedding_dim)
        self.hidden = nn.Linear(config.embedding_dim, config.hidden_dim)

    def code(self, history: sp.csr_matrix) -> torch.Tensor:
        hidden = torch.tanh(self.read(history) + self.first_bias)
        self._mean, self._log_variance = self.latent(hidden).chunk(2, dim=1)
        latent = self._mean
        if self.training:
            latent = latent + torch.randn_like(latent) * (self._log_variance / 2).exp()
        return torch.tanh(self.hidden(latent))

    def extra_loss(self) -> torch.Tensor:
        mean, log_variance = self._mean, self._log_variance
        divergence = (mean.square() + log_variance.exp() - log_variance - 1).sum(1) / 2
        return self._weight * divergence.mean()


class SparseAutoencoderConfig(AutoencoderConfig):
    """Settings of `SparseAutoencoder`."""

    embedding_dim: int = pydantic.Field(256, ge=1)
    """Units of the code."""
    active: int = pydantic.Field(16, ge=1)
    """Units of a user that are not 0."""


class SparseAutoencoder(Autoencoder):
    """An autoencoder of which a user has only the few largest units, so that units have meanings.

    Makhzani and Frey, "k-sparse autoencoders", ICLR 2014: the units of the code above the k-th
    largest stay, the others are 0. `units` shows the items that each unit stands for. An epoch
    costs O(interactions · units + users · negatives · units).

    Examples
    --------
    >>> import pandas as pd, graphgen
    >>> log = pd.DataFrame({"user_id": list("aabbc"), "item_id": list("xyxyx"), "domain": "book"})
    >>> graph = graphgen.build_graph(log, encoder="none")
    >>> model = SparseAutoencoder(epochs=1, embedding_dim=8, active=2).fit(graph, valid=None)
    >>> model.units(k=2).columns.tolist()
    ['unit', 'users', 'domain', 'item_id', 'title', 'weight']
    """

    name: ClassVar[str] = "sparse-autoencoder"
    Config = SparseAutoencoderConfig

    def _make(self, data: TrainingData) -> Encoder:
        return _SparseNetwork(data, self.config)

    @torch.no_grad()
    def units(self, k: int = 5) -> pd.DataFrame:
        """Return the `k` items with the largest weights of each unit that some user has.

        The columns are unit, users (those who have it), domain, item_id, title and weight; units of
        many users come first. O(nnz · units + items · units).
        """
        encoder, data = self._encoder, self.data
        used = (encoder.code(data.matrix) > 0).sum(0)
        top = encoder.decoder.T.topk(min(k, data.n_items), dim=1)
        order = used.argsort(descending=True, stable=True)
        order = order[used[order] > 0]
        frames = [item_frame(data, domain).assign(domain=domain) for domain in data.domains]
        known = pd.concat(frames, ignore_index=True)[["domain", "item_id", "title"]]
        table = known.iloc[top.indices[order].ravel().numpy()].reset_index(drop=True)
        each = top.indices.shape[1]
        table.insert(0, "unit", order.repeat_interleave(each).numpy())
        table.insert(1, "users", used[order].repeat_interleave(each).numpy())
        return table.assign(weight=top.values[order].ravel().numpy())


class _SparseNetwork(AutoencoderNetwork):
    def __init__(self, data: TrainingData, config: SparseAutoencoderConfig) -> None:
        super().__init__(data, config.embedding_dim, config.embedding_dim)
        self._active = min(config.active, config.embedding_dim)
        self.first_bias = nn.Parameter(torch.zeros(config.embedding_dim))

    def code(self, history: sp.csr_matrix) -> torch.Tensor:
        units = torch.relu(self.read(history) + self.first_bias)
        least = units.topk(self._active, dim=1).values[:, -1:]
        return units * (units >= least)
