"""The order of the items below the best ones, which popularity knows better on sparse logs.

The mixture is learned for the first places of a list. Where users have few interactions, the rest
of its order says little, and AUC, which counts all places alike, is lower than by popularity.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import groupby
from operator import attrgetter

import numpy as np
import torch

from gnn.data import TrainingData, UserBatch
from gnn.validation import KINDS, MIN_USERS, TOP, MeanByGroup, ValidationBlock, ValidationRows
from graphgen.pieces import map_pieces

__all__ = ["choose_tail", "order_tail", "popularity_shares"]

TAIL_CANDIDATES = (0.0, 0.25, 0.5, 0.75)
# Share of the popularity of the rarest item that an item without interactions has.
NEW_ITEM = 0.5
# Items that no expert scores, beside the last of the best.
FLOOR = 1e-12
# Keeps the tail below the best, whatever is rounded.
BELOW = 0.999
# Users of each kind: over all domains, or in each of them if that makes more.
TOTAL_USERS, DOMAIN_USERS = 500, 100
# Scores compared with held-out items at a time.
PIECE_SCORES = 1 << 22


def popularity_shares(popularity: np.ndarray) -> torch.Tensor:
    """Return float32 [items] > 0, interactions as a share of those of the most popular item.

    Examples
    --------
    >>> popularity_shares(np.array([4, 1, 0])).tolist()
    [1.0, 0.25, 0.125]
    """
    counts = popularity.astype(np.float32)
    least = counts[counts > 0].min(initial=1.0)
    counts[counts == 0] = NEW_ITEM * least
    return torch.from_numpy(counts / counts.max(initial=1.0))


def order_tail(
    scores: torch.Tensor,
    shares: torch.Tensor,
    seen: tuple[np.ndarray, np.ndarray],
    weight: float,
) -> torch.Tensor:
    """Return scores whose order below the 20 best unseen items heeds popularity.

    With c the 20th score of a user and q the share of an item, a score s < c becomes
    c · (s / c)^(1 − weight) · q^weight < c. O(n · items).

    Parameters
    ----------
    scores
        float32 [n, items] ≥ 0.
    shares
        float32 [items], as `popularity_shares` gives them.
    seen
        Rows and columns of the items that the users have seen.
    weight
        Of popularity, in [0, 1).

    Examples
    --------
    >>> none = np.empty(0, dtype=np.int64)
    >>> scores = torch.cat([torch.full((1, 20), 0.5), torch.tensor([[0.2, 0.1]])], dim=1)
    >>> shares = torch.cat([torch.full((21,), 0.01), torch.ones(1)])
    >>> ordered = order_tail(scores, shares, (none, none), 0.5)
    >>> bool((ordered[:, :20] == 0.5).all()), bool(ordered[0, 20] < ordered[0, 21] < 0.5)
    (True, True)
    """
    if not weight:
        return scores
    unseen = scores.clone()
    unseen[seen] = 0.0
    last = unseen.topk(min(TOP, scores.shape[1]), dim=1).values[:, -1:].clamp_(min=FLOOR)
    tail = unseen.copy_(scores).div_(last).clamp_(min=FLOOR).pow_(1 - weight)
    tail.mul_(BELOW * shares.pow(weight)).mul_(last)
    return torch.where(scores < last, tail, scores)


def choose_tail(
    mixed: Callable[[UserBatch, str], torch.Tensor],
    data: TrainingData,
    rows: ValidationRows,
    *,
    seed: int,
) -> float:
    """Return the least weight of popularity with which every kind of held-out rows has a higher AUC
    than by popularity alone, by a standard error.

    Where no weight does that, it is the one that is least behind.

    Parameters
    ----------
    mixed
        Returns the mixture [n, items] of users in a domain.
    data
        Training data.
    rows
        Held-out interactions.
    seed
        Draws the users.
    """
    if len(np.unique(rows.user)) < MIN_USERS:
        return TAIL_CANDIDATES[0]
    tried = [MeanByGroup() for _ in (*TAIL_CANDIDATES, "popularity")]
    blocks = rows.blocks(data, max_users=DOMAIN_USERS, total=TOTAL_USERS, seed=seed)
    for domain, same in groupby(blocks, key=attrgetter("domain")):
        shares = popularity_shares(data.popularity[data.span(domain)])
        for found in map_pieces(partial(_block_auc, mixed, data, shares), same):
            for mean, by_kind in zip(tried, found, strict=True):
                for kind, values in by_kind.items():
                    mean.add_values((kind, domain), values)
    *ours, popular = tried
    kinds = [(KINDS.index(name),) for name in popular.by_kind(range(len(KINDS)))]
    behind = []
    for mean in ours:
        ahead, error = zip(*(mean.gain_over(popular, kind) for kind in kinds), strict=True)
        # 0 where every kind is ahead, so that the first of these is taken.
        behind.append(float((np.array(ahead) - np.array(error)).min(initial=0.0)))
    return TAIL_CANDIDATES[int(np.argmax(behind))]


def _block_auc(
    mixed: Callable[[UserBatch, str], torch.Tensor],
    data: TrainingData,
    shares: torch.Tensor,
    block: ValidationBlock,
) -> list[dict[int, torch.Tensor]]:
    """Return for each candidate, and popularity, the AUC of each user by kind."""
    users = data.batch(block.users)
    seen = users.seen_cells(data.span(block.domain))
    label, _ = block.labels()
    scores = mixed(users, block.domain)
    ordered = [order_tail(scores, shares, seen, weight) for weight in TAIL_CANDIDATES[1:]]
    tried = [scores, *ordered, shares.repeat(len(scores), 1)]
    return [_auc(candidate, label, seen) for candidate in tried]


def _auc(
    scores: torch.Tensor, label: torch.Tensor, seen: tuple[np.ndarray, np.ndarray]
) -> dict[int, torch.Tensor]:
    """Return by kind, float64 [users that have held-out items of it], the mean AUC of these.

    The negatives are all items that a user has neither seen nor held out; ties count half. Scores
    of seen and held-out items are overwritten.
    """
    owner, column = label.nonzero(as_tuple=True)
    kind, wanted = label[owner, column].long() - 1, scores[owner, column]
    # Nothing is above or below NaN.
    scores[seen] = torch.nan
    scores[owner, column] = torch.nan
    negatives = (~scores.isnan()).sum(1).clamp(min=1)[owner].double()
    above = torch.empty(len(owner), dtype=torch.float64)
    step = max(1, PIECE_SCORES // max(1, scores.shape[1]))
    for low in range(0, len(owner), step):
        piece = slice(low, low + step)
        others, ours = scores[owner[piece]], wanted[piece].unsqueeze(1)
        above[piece] = (others < ours).sum(1) + 0.5 * (others == ours).sum(1)
    found = {}
    for number in kind.unique().tolist():
        own = kind == number
        count = torch.bincount(owner[own], minlength=len(scores)).double()
        sums = torch.zeros(len(scores), dtype=torch.float64)
        sums.index_add_(0, owner[own], above[own] / negatives[own])
        found[number] = (sums / count)[count > 0]
    return found
