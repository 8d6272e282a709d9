"""Moving the gate to where held-out items are ranked best: a smooth NDCG, climbed by gradient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from gnn.models.interest.validation import MIN_DOMAIN_USERS, TOP

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
        moved = start.clone().requires_grad_()
        optimizer = torch.optim.Adam([moved], lr=LEARNING_RATE)
        for _ in range(steps):
            optimizer.zero_grad()
            for (block, positives), part in zip(self._blocks, parts, strict=True):
                if len(positives.row):
                    (-self._gain(block, positives, part, moved)).backward()
            (RIDGE * (moved - start).square().sum()).backward()
            optimizer.step()
        return moved.detach()

    @staticmethod
    def _gain(
        block: RankedBlock, positives: _Positives, parts: torch.Tensor, gate: torch.Tensor
    ) -> torch.Tensor:
        weights = torch.softmax(block.features[:, : len(gate)] @ gate, dim=1)
        mixed = torch.einsum("pnc,np->nc", parts, weights)
        scores = (mixed + FLOOR).log().masked_fill(block.label < 0, NEVER)
        own = scores[positives.row, positives.column].unsqueeze(1)
        rank = 0.5 + torch.sigmoid((scores[positives.row] - own) / SMOOTHNESS).sum(dim=1)
        return (positives.weight / torch.log2(1 + rank)).sum()


def _shares(blocks: Sequence[RankedBlock]) -> dict[tuple[int, str], float]:
    """Return what a user of a kind in a domain counts for; as `RankingQuality` takes its means."""
    users: dict[tuple[int, str], int] = {}
    for block in blocks:
        for kind, count in enumerate(block.relevant):
            key = (kind, block.domain)
            users[key] = users.get(key, 0) + int((count > 0).sum())
    share: dict[tuple[int, str], float] = {}
    kinds = {kind for (kind, _), count in users.items() if count}
    for kind in kinds:
        own = {key: count for key, count in users.items() if key[0] == kind and count}
        large = {key: count for key, count in own.items() if count >= MIN_DOMAIN_USERS}
        if large:
            share |= {key: 1 / (len(kinds) * len(large) * n) for key, n in large.items()}
        else:
            share |= dict.fromkeys(own, 1 / (len(kinds) * sum(own.values())))
    return share
