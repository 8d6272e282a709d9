"""Orders of a user's interactions by importance: ours, and other ways to make reasons."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import numpy as np
import torch

from gnn.base import Model
from gnn.data import UserBatch
from gnn.explaining.attribution import attribute, masked, parts_of
from gnn.models.interest.model import InterestGNN
from gnn.models.interest.network import NetworkVectors
from gnn.numerics.scoring import to_unit
from graphgen.errors import ConfigError

__all__ = ["NETWORK", "ORDERS", "OURS", "SEEDED", "TOP", "Case", "permutation_shapley"]

# Length of the list in which an item must stay.
TOP: Final = 5
# Orders of the sampled Shapley value, each with its reverse; rounds of GNNExplainer.
PERMUTATIONS, EPOCHS = 5, 100
# Points on the way of integrated gradients.
POINTS = 16
OURS: Final = "interest explain"


@dataclass(frozen=True)
class Case:
    """A recommendation to explain: a user, and an item in the list of a domain."""

    model: Model
    user: UserBatch
    domain: str
    place: int
    seed: int = 0
    seen: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    @property
    def n(self) -> int:
        """Number of interactions."""
        return int(self.user.history.nnz)

    @property
    def column(self) -> int:
        """Number of the item in the joint index."""
        return int(self.model.data.span(self.domain).start + self.place)

    def parts(self, masks: np.ndarray) -> dict[str, np.ndarray]:
        """Return by part of the model float64 [masks]: what it adds to the score of the item."""
        place = np.array([self.place])
        found = parts_of(self.model, self.user, self.domain, place, masks)
        return {name: values[:, 0] for name, values in found.items()}

    def value(self, masks: np.ndarray) -> np.ndarray:
        """Return float64 [masks], the score of the item with parts of the history."""
        return np.asarray(sum(self.parts(masks).values()))

    def kept(self, masks: np.ndarray) -> np.ndarray:
        """Return bool [masks], whether the item stays among the first; none of the history is."""
        found = []
        for _, part in self.model.blocks(masked(self.user, masks), self.domain):
            scores = self.model.score_batch(part, self.domain)
            own = scores[:, [self.place]]
            scores[:, self.seen] = -np.inf
            found.append((scores > own).sum(axis=1) < TOP)
        return np.concatenate(found)

    @cached_property
    def generator(self) -> np.random.Generator:
        """Of what is drawn at random."""
        return np.random.default_rng([self.seed, self.place, int(self.user.keys[0]) & 0xFFFF])


def permutation_shapley(
    value: Callable[[np.ndarray], np.ndarray], n: int, pairs: int, generator: np.random.Generator
) -> np.ndarray:
    """Return float64 [n], the Shapley value by random orders, each with its reverse.

    Castro, Gómez and Tejada, "Polynomial calculation of the Shapley value based on sampling",
    Computers & Operations Research 2009, and Mitchell et al., "Sampling permutations for Shapley
    value estimation", JMLR 2022, as in ``shap.PermutationExplainer``; all parts are scored at once.
    """
    orders = [generator.permutation(n) for _ in range(pairs)]
    orders += [order[::-1] for order in orders]
    place = np.argsort(np.stack(orders), axis=1)
    masks = place[:, None, :] < np.arange(n + 1)[None, :, None]
    steps = np.diff(value(masks.reshape(-1, n)).reshape(len(orders), n + 1), axis=1)
    return np.take_along_axis(steps, place, axis=1).mean(axis=0)


def _alone(case: Case, parts: Sequence[str] | None = None) -> np.ndarray:
    """Return what `attribute` says of the score, or of some of its parts."""

    def value(masks: np.ndarray) -> np.ndarray:
        found = case.parts(masks)
        wanted = [values for name, values in found.items() if parts is None or name in parts]
        return np.sum(wanted, axis=0)[:, None]

    return attribute(value, case.n)[0].added


def _leave_one_out(case: Case) -> np.ndarray:
    scores = case.value(np.vstack([np.ones((1, case.n), bool), ~np.eye(case.n, dtype=bool)]))
    return np.asarray(scores[0] - scores[1:])


def _gradients(case: Case) -> np.ndarray:
    """Integrated gradients (Sundararajan et al., ICML 2017) of the network; the rest as ours.

    The cosine does not see the length of a sum, so that the score jumps at the start of the way and
    the gradients sum to 0 on the rest of it.
    """
    vectors, temperature = _network(case.model)
    parts = case.parts(np.ones((1, case.n), bool))
    data, span = case.model.data, case.model.data.span(case.domain)
    allowed = data.warm[span].copy()
    allowed[case.seen] = False
    weight = torch.ones(POINTS, case.n, requires_grad=True)
    way = (torch.arange(POINTS) + 0.5).unsqueeze(1) / POINTS
    sums = (weight * way) @ vectors.history[case.user.history.indices]
    logits = to_unit(sums) @ vectors.items[span].T / temperature
    log_share = logits[:, case.place] - logits[:, torch.from_numpy(allowed)].logsumexp(1)
    (found,) = torch.autograd.grad(log_share.exp().sum(), weight)
    network = parts.pop("gnn", np.zeros(1))[0]
    share = float(log_share[-1].detach().exp())
    scaled = found.mean(0).double().numpy() * network / max(share, 1e-12)
    return np.asarray(scaled + _alone(case, [*parts]))


def _gnn_explainer(case: Case) -> np.ndarray:
    """The edge mask of GNNExplainer (Ying et al., NeurIPS 2019), by PyTorch Geometric."""
    from torch_geometric.explain import Explainer, GNNExplainer

    vectors, temperature = _network(case.model)
    torch.manual_seed(int(case.generator.integers(2**31)))
    items = vectors.history[case.user.history.indices]
    x = torch.cat([items, torch.zeros(1, items.shape[1])])
    edges = torch.stack([torch.arange(case.n), torch.full((case.n,), case.n)])
    span = case.model.data.span(case.domain)
    explainer = Explainer(
        _votes()(vectors.items[span], temperature),
        GNNExplainer(epochs=EPOCHS),
        explanation_type="phenomenon",
        edge_mask_type="object",
        model_config={
            "mode": "multiclass_classification",
            "task_level": "graph",
            "return_type": "raw",
        },
    )
    found = explainer(x, edges, target=torch.tensor([case.place]))
    return np.asarray(found.edge_mask.double().numpy())


def _votes() -> Any:
    """Return the network's user vector and logits as a layer that PyTorch Geometric explains."""
    from torch_geometric.nn import MessagePassing

    class Votes(MessagePassing):
        def __init__(self, items: torch.Tensor, temperature: float) -> None:
            super().__init__(aggr="add")
            self.items, self.temperature = items, temperature

        def forward(self, x: torch.Tensor, edge_index: torch.Tensor) -> torch.Tensor:
            user = to_unit(self.propagate(edge_index, x=x)[-1:])
            return user @ self.items.T / self.temperature

    return Votes


def _network(model: Model) -> tuple[NetworkVectors, float]:
    """Return the vectors of a network, and the temperature of its softmax."""
    if not isinstance(model, InterestGNN) or model.vectors_ is None:
        raise ConfigError("Gradients and GNNExplainer need the network of an interest-gnn.")
    return model.vectors_, model.mixture_.temperature


def _similar(case: Case) -> np.ndarray:
    vectors = case.model.item_vectors()
    if vectors is None:
        raise ConfigError(f"{case.model.name} has no item vectors to find similar items by.")
    return np.asarray(vectors[case.user.history.indices] @ vectors[case.column])


# Importance of the interactions of a case, float64 [n], by method; the first is ours.
ORDERS: Final[dict[str, Callable[[Case], np.ndarray]]] = {
    OURS: _alone,
    "leave-one-out": _leave_one_out,
    "integrated gradients": _gradients,
    "sampled Shapley": lambda case: permutation_shapley(
        case.value, case.n, PERMUTATIONS, case.generator
    ),
    "GNNExplainer": _gnn_explainer,
    "most similar": _similar,
    "most popular": lambda case: case.model.data.popularity[case.user.history.indices],
    "random": lambda case: case.generator.random(case.n),
}
SEEDED = ("sampled Shapley", "GNNExplainer", "random")
NETWORK = ("integrated gradients", "GNNExplainer")
