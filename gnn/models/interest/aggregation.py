"""People and items as unit vectors of their summed layers; no layer is kept for the way back."""

from __future__ import annotations

from typing import Any

import torch

from gnn.numerics.propagation import Propagator

__all__ = ["aggregate"]

LEAST_NORM = 1e-12


def aggregate(
    users: torch.Tensor,
    items: torch.Tensor,
    adjacency: Propagator,
    *,
    num_layers: int,
    own: torch.Tensor,
    known: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the directions of own · u_0 + Σ u_l and i_0 + known · Σ i_l.

    The layers are u_{l+1} = A i_l and i_{l+1} = Aᵀ u_l, of which the sums are linear: the gradient
    runs through the same products the other way round and needs none of the layers. So memory is
    that of a few tensors, however many layers there are.

    O(2 · num_layers · nnz · d), and as much again for the gradient.

    Parameters
    ----------
    users, items
        float32 [n, d] and [m, d], the layers u_0 and i_0.
    adjacency
        A, [n, m].
    num_layers
        Rounds of propagation, at least 1.
    own, known
        float32 [n, 1] and [m, 1] (or one number): how much u_0 counts, and the layers of an item.

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> a = Propagator(sp.csr_matrix([[1.0, 0.0]]))
    >>> one = torch.ones(1)
    >>> people, _ = aggregate(
    ...     torch.tensor([[0.0, 4.0]]), torch.eye(2) * 3, a, num_layers=1, own=one, known=one
    ... )
    >>> people.tolist()  # (0, 4) and (3, 0).
    [[0.6000000238418579, 0.800000011920929]]
    """
    return _Aggregate.apply(users, items, own, known, adjacency, num_layers)


class _Aggregate(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        users: torch.Tensor,
        items: torch.Tensor,
        own: torch.Tensor,
        known: torch.Tensor,
        adjacency: Propagator,
        num_layers: int,
    ) -> Any:
        people, things = own * users, items.clone()
        for _ in range(num_layers):
            users, items = adjacency @ items, adjacency.T @ users
            people += users
            things.addcmul_(known, items)
        norms = tuple(_to_unit(part) for part in (people, things))
        ctx.adjacency, ctx.num_layers = adjacency, num_layers
        ctx.save_for_backward(people, things, *norms, own, known)
        return people, things

    @staticmethod
    def backward(ctx: Any, to_people: torch.Tensor, to_things: torch.Tensor) -> Any:
        people, things, length, size, own, known = ctx.saved_tensors
        adjacency = ctx.adjacency
        to_people = _through_unit(to_people, people, length)
        to_things = _through_unit(to_things, things, size)
        # With respect to the last layers, then to those before, one round at a time.
        layer = known * to_things
        users, items = to_people, layer
        for round_ in reversed(range(ctx.num_layers)):
            users, items = adjacency @ items, adjacency.T @ users
            users += to_people if round_ else own * to_people
            items += layer if round_ else to_things
        return users, items, None, None, None, None


def _to_unit(vectors: torch.Tensor) -> torch.Tensor:
    """Divide rows by their lengths, in place; return float32 [n, 1], the lengths."""
    length = vectors.norm(dim=1, keepdim=True).clamp_(min=LEAST_NORM)
    vectors.div_(length)
    return length


def _through_unit(gradient: torch.Tensor, unit: torch.Tensor, length: torch.Tensor) -> torch.Tensor:
    """Return (g − (g·x̂) x̂) / |x|."""
    along = (gradient * unit).sum(1, keepdim=True)
    return torch.addcmul(gradient, along, unit, value=-1).div_(length)
