"""What the network of `InterestGNN` serves with, once it is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import torch

__all__ = ["GraphVectors", "NetworkVectors"]


@dataclass(frozen=True)
class GraphVectors:
    """What propagation over a graph makes of its items.

    Attributes
    ----------
    items
        float32 [n_items, dim], normalised.
    history
        float32 [n_items, dim], what a history of ones adds up, but for the scale of the person:
        that of the items' degrees is in it.
    estimate
        float32 [n_items, dim], what it adds up likewise to the own vector of somebody who was not
        trained on: a ridge regression over the people who were.
    """

    items: torch.Tensor
    history: torch.Tensor
    estimate: torch.Tensor

    def within(self, span: slice) -> GraphVectors:
        """Return those of some neighbouring items."""
        return GraphVectors(self.items[span], self.history[span], self.estimate[span])


@dataclass(frozen=True)
class NetworkVectors:
    """Vectors of people and items: a score is the cosine of w · own + history, and an item.

    Attributes
    ----------
    users
        float32 [n_users, dim], own vectors of the people trained on.
    joint
        From the graph of all domains.
    apart
        From the graphs of the domains by themselves; None where nobody is active in two.
    """

    users: torch.Tensor
    joint: GraphVectors
    apart: GraphVectors | None = None

    def state(self) -> dict[str, torch.Tensor]:
        """Return tensors by name."""
        graphs = {"joint": self.joint, "apart": self.apart}
        return {"users": self.users} | {
            f"{graph}.{name}": tensor
            for graph, vectors in graphs.items()
            if vectors is not None
            for name, tensor in vars(vectors).items()
        }

    @classmethod
    def from_state(cls, state: Mapping[str, torch.Tensor]) -> Self:
        """Take back what `state` gave."""
        graphs: dict[str, dict[str, torch.Tensor]] = {}
        for name, tensor in state.items():
            graph, _, part = name.rpartition(".")
            graphs.setdefault(graph, {})[part] = tensor
        apart = graphs.get("apart")
        return cls(
            users=graphs[""]["users"],
            joint=GraphVectors(**graphs["joint"]),
            apart=GraphVectors(**apart) if apart else None,
        )
