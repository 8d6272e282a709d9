"""Choosing among variants of a score on held-out rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from itertools import groupby
from operator import attrgetter

import numpy as np
import torch

from gnn.data import TrainingData, UserBatch
from gnn.models.interest.validation import (
    RankingQuality,
    ValidationBlock,
    ValidationRows,
    best_labels,
)
from graphgen.pieces import map_pieces

__all__ = ["best_variant"]

# Users of a kind that are looked at over all domains, and in each of them at least.
MAX_USERS, MIN_DOMAIN_USERS = 2000, 1000
BLOCK_USERS = 256

Variants = Callable[[UserBatch, str], Iterable[torch.Tensor]]


def best_variant(
    variants: Variants,
    data: TrainingData,
    rows: ValidationRows,
    generator: np.random.Generator,
) -> int | None:
    """Return the number of the variant with the best NDCG@20 on known items.

    On at most 2,000 users of a kind, or 1,000 a domain; None where no row is of a known item.

    Parameters
    ----------
    variants
        Gives the scores [n, items] of users in a domain by each variant, one after the other; they
        are changed in place.
    data
        Training data.
    rows
        Held-out interactions.
    generator
        Draws the users.
    """
    known = rows.of_known_items()
    if not len(known):
        return None
    blocks = known.blocks(
        data,
        max_users=MIN_DOMAIN_USERS,
        total=MAX_USERS,
        size=BLOCK_USERS,
        generator=generator,
    )
    quality: list[RankingQuality] = []
    # Domain by domain: what a path makes at its first use there, it makes once.
    for _, same in groupby(blocks, key=attrgetter("domain")):
        for domain, found, relevant in map_pieces(partial(_look, data, variants), same):
            quality = quality or [RankingQuality() for _ in found]
            for sums, labels in zip(quality, found, strict=True):
                sums.add(domain, labels, relevant)
    return int(np.argmax([sums.known() for sums in quality]))


def _look(
    data: TrainingData, variants: Variants, block: ValidationBlock
) -> tuple[str, list[torch.Tensor], list[torch.Tensor]]:
    """Return the domain, what each variant finds, and how much there was to find."""
    users = data.batch(block.users)
    seen = users.history[:, data.span(block.domain)].tocoo()
    row, column = (torch.from_numpy(part.astype(np.int64)) for part in (seen.row, seen.col))
    label, relevant = block.labels()
    found = []
    for scores in variants(users, block.domain):
        scores[row, column] = -1.0
        found.append(best_labels(scores, label))
    return block.domain, found, relevant
