"""Moving the gate to where held-out items are ranked best: a smooth NDCG, climbed by gradient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch

from gnn.models.interest.cells import Cell, large_kinds
from gnn.models.interest.validation import TOP
from graphgen.pieces import map_pieces

__all__ = ["RankedBlock", "SmoothRanking"]

# Width of the step from "below" to "above", in the logarithm of the score: smaller is closer to the
# ranking, and rougher. 0.02 and 0.1 do as well on the validation rows of four logs.
SMOOTHNESS = 0.05
LEARNING_RATE = 0.1
# Holds the gate near where it started, as far as the ranking does not say otherwise.
RIDGE = 1e-4
FLOOR = 1e-9
# Logarithm of what never stands above anything.
NEVER = -40.0


@dataclass(frozen=True)
class RankedBlock:
    """Held-out items of a block of users among their candidates.

    Attributes
    ----------
    domain
        Its domain.
    features
        float32 [n, f], what the gate sees.
    label
        int [n, c]: 1 + the kind of what was held out, else 0; -1 where there is no candidate.
    relevant
        By kind, int64 [n]: how many held-out items each user has, among the candidates or not.
    """

    domain: str
    features: torch.Tensor
    label: torch.Tensor
    relevant: Sequence[torch.Tensor]


@dataclass(frozen=True)
class _Positives:
    row: torch.Tensor
    column: torch.Tensor
    weight: torch.Tensor
    """float32 [p], share of each in the figure, divided by the user's ideal."""


class SmoothRanking:
    """NDCG, the mean over kinds, domains and users as in `RankingQuality`, with smooth ranks.

    The rank of a held-out item is ½ + Σ_j σ((log s_j − log s_i) / τ) over its user's candidates
    (ApproxNDCG: Qin, Liu and Li, "A general approximation framework for direct optimization of
    information retrieval measures", Information Retrieval 2010), and the ideal that of the top 20.

    Parameters
    ----------
    blocks
        What to rank.
    """

    def __init__(self, blocks: Sequence[RankedBlock]) -> None:
        discount = 1 / torch.log2(torch.arange(2, TOP + 2, dtype=torch.float32))
        ideal = discount.cumsum(0)
        share = _shares(blocks)
        self._blocks = []
        for block in blocks:
            row, column = (block.label > 0).nonzero(as_tuple=True)
            kind = block.label[row, column].long() - 1
            count = torch.stack(list(block.relevant), dim=1)[row, kind]
            weight = torch.zeros(len(kind))
            for number in range(len(block.relevant)):
                weight[kind == number] = share.get((number, block.domain), 0.0)
            weight /= ideal[count.clamp(1, TOP) - 1]
            self._blocks.append((block, _Positives(row, column, weight)))

    def climb(self, gate: torch.Tensor, parts: Sequence[torch.Tensor], steps: int) -> torch.Tensor:
        """Return the gate after some steps of Adam; O(steps · held-out items · candidates).

        Parameters
        ----------
        gate
            float32 [f, paths], where to start; only the first f features have a say.
        parts
            By block, float32 [paths, n, c], the paths at the candidates.
        steps
            How many.
        """
        start = gate.detach()
        moved = start.clone()
        optimizer = torch.optim.Adam([moved], lr=LEARNING_RATE)
        pieces = [
            (block, positives, part)
            for (block, positives), part in zip(self._blocks, parts, strict=True)
            if len(positives.row)
        ]
        for _ in range(steps):
            moved.grad = 2 * RIDGE * (moved - start)
            for _, gradient in map_pieces(partial(_gain, moved), pieces):
                moved.grad -= gradient
            optimizer.step()
        return moved


def _gain(
    gate: torch.Tensor, piece: tuple[RankedBlock, _Positives, torch.Tensor]
) -> tuple[float, torch.Tensor]:
    """Return the figure that a block contributes, and its gradient with respect to the gate.

    Written out, for the many small operations of a block cost more than their numbers.
    """
    block, positives, parts = piece
    features = block.features[:, : len(gate)]
    weights = torch.softmax(features @ gate, dim=1)
    mixed = torch.einsum("pnc,np->nc", parts, weights).add_(FLOOR)
    absent = block.label < 0
    scores = mixed.log().masked_fill_(absent, NEVER)
    own = scores[positives.row, positives.column].unsqueeze(1)
    above = ((scores[positives.row] - own) / SMOOTHNESS).sigmoid_()
    rank = 0.5 + above.sum(dim=1)
    discount = positives.weight / torch.log2(1 + rank)
    # With respect to the rank, the differences of scores, the scores, and so on back.
    to_rank = -discount / ((1 + rank) * torch.log(1 + rank))
    to_difference = above.mul_(1 - above).mul_((to_rank / SMOOTHNESS).unsqueeze(1))
    to_scores = torch.zeros_like(scores).index_add_(0, positives.row, to_difference)
    to_scores[positives.row, positives.column] -= to_difference.sum(dim=1)
    to_mixed = to_scores.div_(mixed).masked_fill_(absent, 0.0)
    to_weights = torch.einsum("pnc,nc->np", parts, to_mixed)
    to_logits = weights * (to_weights - (weights * to_weights).sum(dim=1, keepdim=True))
    return float(discount.sum()), features.T @ to_logits


def _shares(blocks: Sequence[RankedBlock]) -> dict[Cell, float]:
    """Return what a user of a kind in a domain counts for; as `RankingQuality` takes its means."""
    users: dict[Cell, int] = {}
    for block in blocks:
        for kind, count in enumerate(block.relevant):
            key = (kind, block.domain)
            users[key] = users.get(key, 0) + int((count > 0).sum())
    kinds = large_kinds(users)
    return {
        cell: 1 / (len(kinds) * len(groups) * sum(users[cell] for cell in group))
        for groups in kinds
        for group in groups
        for cell in group
    }
