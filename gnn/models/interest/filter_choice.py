"""Choosing the exponents of the linear filter on held-out rows."""

from __future__ import annotations

import itertools
from functools import partial

import numpy as np
import torch

from gnn.data import TrainingData
from gnn.linear_filter import LinearFilter
from gnn.models.interest.validation import (
    RankingQuality,
    ValidationBlock,
    ValidationRows,
    best_labels,
)
from graphgen.pieces import map_pieces

__all__ = ["Exponents", "choose_exponents"]

Exponents = tuple[float, float, float]

# Users of a kind that are looked at over all domains, and in each of them at least.
MAX_USERS, MIN_DOMAIN_USERS = 2000, 500
BLOCK_USERS = 256
USER_EXPONENTS = (0.5, 0.6, 0.7)
ITEM_EXPONENTS = (0.3, 0.4)
TARGET_EXPONENTS = (0.15, 0.3)


def choose_exponents(
    data: TrainingData, rows: ValidationRows, generator: np.random.Generator
) -> Exponents:
    """Return the user, item and target exponents with the best NDCG@20 on known items.

    Twelve combinations on at most 2,000 users of a kind, or 500 a domain; each costs the two-hop
    neighbourhoods of these users, a second or so on a million interactions.
    """
    known = rows.of_known_items()
    parts = known.blocks(
        data,
        max_users=MIN_DOMAIN_USERS,
        total=MAX_USERS,
        size=BLOCK_USERS,
        generator=generator,
    )
    blocks = list(parts)
    best, chosen = -1.0, (0.6, 0.3, 0.3)
    for user, item in itertools.product(USER_EXPONENTS, ITEM_EXPONENTS):
        # The target exponent only rescales columns: one product serves all of its values.
        quality = {target: RankingQuality() for target in TARGET_EXPONENTS}
        link = LinearFilter(
            data.matrix, user_exponent=user, item_exponent=item, target_exponent=0.0, keep=False
        )
        for domain, found, relevant in map_pieces(partial(_look, data, link), blocks):
            for target, sums in quality.items():
                sums.add(domain, found[target], relevant)
        for target, sums in quality.items():
            if sums.known() > best:
                best, chosen = sums.known(), (user, item, target)
    return chosen


def _look(
    data: TrainingData, link: LinearFilter, block: ValidationBlock
) -> tuple[str, dict[float, torch.Tensor], list[torch.Tensor]]:
    """Return the domain, what is found for each target exponent, and how much there was to find."""
    span = data.span(block.domain)
    history = data.matrix[block.users]
    scores = torch.from_numpy(link.score(history, span).toarray())
    seen = history[:, span].tocoo()
    scores[torch.from_numpy(seen.row).long(), torch.from_numpy(seen.col).long()] = -1.0
    label, relevant = block.labels()
    popularity = torch.from_numpy(np.maximum(data.popularity[span], 1.0))
    found = {target: best_labels(scores * popularity**target, label) for target in TARGET_EXPONENTS}
    return block.domain, found, relevant
