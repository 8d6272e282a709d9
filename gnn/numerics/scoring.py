"""Scores from vectors: unit vectors, inner products, and items that training cannot reach."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

__all__ = ["cold_last", "inner_products", "to_unit"]

LEAST_NORM = 1e-12


def cold_last(scores: np.ndarray, warm: np.ndarray) -> np.ndarray:
    """Give items without interactions the least score of the others in each row, in place.

    `scores` is float32 [n, items]; `warm`, bool [items], tells the items with interactions.

    A model that learns a free vector for each item leaves those of cold items at their random
    start, while sampled negatives push unpopular warm items below zero; without this, noise would
    stand above them.

    Examples
    --------
    >>> cold_last(np.array([[0.0, -2.0, -1.0]]), np.array([False, True, True])).tolist()
    [[-2.0, -2.0, -1.0]]
    """
    if warm.any() and not warm.all():
        scores[:, ~warm] = scores[:, warm].min(axis=1, keepdims=True)
    return scores


def inner_products(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Return left @ right.T of [n, d] and [m, d] without gradients, through NumPy; O(n · m · d).

    NumPy's OpenBLAS makes the same speed of any width; PyTorch's MKL loses 40 % on AMD
    cores when m is not a multiple of 16, and catalogues seldom are.

    Examples
    --------
    >>> inner_products(torch.ones(1, 2), torch.tensor([[1.0, 2.0]])).tolist()
    [[3.0]]
    """
    return torch.from_numpy(left.numpy() @ right.numpy().T)


def to_unit(vectors: torch.Tensor) -> torch.Tensor:
    """Return rows divided by their lengths, float32 [n, d].

    The gradient is written out: with `torch.nn.functional.normalize` propagation and this step take
    half as much CPU time again, and three times the memory (86,000 and 47,500 rows of width 160).

    Examples
    --------
    >>> to_unit(torch.tensor([[3.0, 4.0]])).tolist()
    [[0.6000000238418579, 0.800000011920929]]
    """
    return _Unit.apply(vectors)


class _Unit(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, vectors: torch.Tensor) -> Any:
        length = vectors.norm(dim=1, keepdim=True).clamp_(min=LEAST_NORM)
        unit = vectors / length
        ctx.save_for_backward(unit, length)
        return unit

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> Any:
        unit, length = ctx.saved_tensors
        along = (gradient * unit).sum(dim=1, keepdim=True)
        return torch.addcmul(gradient, along, unit, value=-1).div_(length)  # (g − (g·x̂) x̂) / |x|.
