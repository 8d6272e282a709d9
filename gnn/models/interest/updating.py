"""The parts of `InterestGNN` on later data, from those on earlier data.

Former items keep the base of their vectors; those of new items come from their edges and texts, by
the ridge regression that says of former items what their base is. Then the network does a few steps
on the touched users and as many others, who stand for what was learned before.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from gnn.baselines.linear import updated_ease
from gnn.growth import Growth
from gnn.models.interest.config import TrainingSettings
from gnn.models.interest.network import InterestNetwork, NetworkVectors
from gnn.models.interest.training import NetworkTrainer
from gnn.numerics.least_squares import ridge_solution
from gnn.numerics.propagation import Propagator, inverse_power, normalized_adjacency
from gnn.numerics.scoring import to_unit

__all__ = ["updated_ridge", "updated_vectors"]

# Steps of an update, and their learning rate as a share of that of the training.
STEPS, RATE = 2, 0.1
# Of the regression that gives new items a base, and the most items it learns from.
RIDGE, SAMPLE = 1.0, 20_000
# Columns of the ridge expert from which its λ is read.
COLUMNS = 16


class KeptNetwork(InterestNetwork):
    """An `InterestNetwork` whose bases are parameters by themselves, without text and neighbours.

    Parameters
    ----------
    base
        float32 [n_items, dim].
    """

    def __init__(self, base: torch.Tensor) -> None:
        nn.Module.__init__(self)
        self.num_layers, self.content = 1, None
        self.item = nn.Parameter(base)

    def base(
        self, dropped: torch.Tensor | None = None, hidden: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return float32 [n_items, dim]."""
        return self.item


def updated_vectors(
    former: NetworkVectors, growth: Growth, config: Any, generator: np.random.Generator
) -> NetworkVectors:
    """Return the network's vectors on later data.

    O(nnz · dim) and `STEPS` steps of training on the touched users.

    Parameters
    ----------
    former
        Those on the former data, of a network with one layer.
    growth
        Former and later data.
    config
        `InterestGNNConfig`.
    generator
        Of the training.
    """
    data = growth.data
    settings = TrainingSettings.of(config, growth.former)
    scale = inverse_power(growth.former.popularity, settings.item_exponent)
    warm = torch.from_numpy(growth.former.warm)
    known = former.history / torch.from_numpy(np.where(scale > 0, scale, 1.0)).unsqueeze(1)
    # Of items without interactions only the direction is known.
    length = known[warm].norm(dim=1).mean()
    known = torch.where(warm.unsqueeze(1), known, former.items * length)
    base = torch.from_numpy(growth.item_rows(known.numpy()))
    adjacency = Propagator(
        normalized_adjacency(data.matrix, config.user_exponent, settings.item_exponent)
    )
    _fill_new(base, growth, adjacency, generator)
    network = KeptNetwork(base)
    if STEPS:
        users = np.zeros(data.n_users, dtype=bool)
        users[growth.touched_users] = True
        users[
            generator.choice(data.n_users, min(data.n_users, int(users.sum())), replace=False)
        ] = True
        rate = settings.learning_rate * RATE
        settings = replace(settings, learning_rate=rate, id_dropout=0.0)
        trainer = NetworkTrainer(data, network, adjacency, settings, generator, users=users)
        for _ in range(STEPS):
            trainer.step()
    scale = inverse_power(data.popularity, settings.item_exponent)
    return network.vectors(adjacency, torch.from_numpy(scale).unsqueeze(1))


def _fill_new(
    base: torch.Tensor, growth: Growth, adjacency: Propagator, generator: np.random.Generator
) -> None:
    """Give items without a base one, in place: by edges and text, else by text alone."""
    data = growth.data
    known = np.zeros(data.n_items, dtype=bool)
    known[growth.items[growth.former.warm]] = True
    lacking = ~(base != 0).any(dim=1).numpy()
    texts = None if data.features is None else to_unit(torch.from_numpy(np.array(data.features)))
    # What the neighbours of an item say of it, without what it says of itself.
    users = adjacency @ base
    own = torch.from_numpy(np.asarray(adjacency.squares(), dtype=np.float32)).unsqueeze(1)
    edges = to_unit(adjacency.T @ users - own * base)
    learn = np.flatnonzero(known)
    if len(learn) > SAMPLE:
        learn = generator.choice(learn, SAMPLE, replace=False)
    for rows, parts in (
        (lacking & data.warm, [edges] if texts is None else [edges, texts]),
        (lacking & ~data.warm, [] if texts is None else [texts]),
    ):
        where = torch.from_numpy(np.flatnonzero(rows))
        if len(where) and parts and len(learn):
            x = torch.cat(parts, dim=1)
            base[where] = x[where] @ ridge_solution(x[learn], base[learn], RIDGE)


def updated_ridge(weights: np.ndarray, growth: Growth) -> np.ndarray | None:
    """Return the weights of the ridge expert, or None where many users changed.

    λ stays what it was in the last fit: (G + λI) P = 0 off the diagonal, so that λ B_kj = G_kj −
    Σ_i G_ki B_ij gives it.
    """
    former = growth.former
    warm = np.flatnonzero(former.warm)
    matrix = former.matrix[:, warm].astype(np.float64)
    columns = np.argsort(-former.popularity[warm], kind="stable")[:COLUMNS]
    some = weights[:, columns].astype(np.float64)
    rest = matrix.T @ (matrix[:, columns].toarray() - matrix @ some)
    strength = float((rest * some).sum() / np.square(some).sum())
    before = growth.moved(former.matrix, growth.users)
    return updated_ease(weights, growth.items[warm], before, growth.data.matrix, strength)
