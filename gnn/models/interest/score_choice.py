"""Measuring variants of a score on held-out rows, and choosing among them.

The first variant is what stands where nothing speaks against it: another must rank better by more
than twice the standard error of the difference, a stricter form of the rule of Breiman et al.,
"Classification and Regression Trees", 1984, for the best of several is ahead by one of them by
chance. So what the rows cannot tell apart does not change from seed to seed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import groupby
from operator import attrgetter

import numpy as np
import torch

from gnn.data import TrainingData, UserBatch
from gnn.models.interest.path_scores import SEEN_FLOOR
from gnn.models.interest.validation import (
    RankingQuality,
    ValidationBlock,
    ValidationRows,
    best_labels,
)
from graphgen.pieces import map_pieces

__all__ = ["Scores", "Variants", "best_variant", "clearly_best", "looked_at", "measured"]

# Users of a kind that are looked at over all domains, or in each of them if that makes more.
TOTAL_USERS, DOMAIN_USERS = 1000, 500
# All paths of a block are there at once.
BLOCK_USERS = 128

# The scores [n, items] of users by each variant, one after the other; changed in place.
Scores = Callable[[UserBatch], Iterable[torch.Tensor]]
# What gives them in a domain; called once for each, so that its tables go with it.
Variants = Callable[[str], Scores]


def looked_at(
    data: TrainingData, rows: ValidationRows, generator: np.random.Generator
) -> list[ValidationBlock]:
    """Return the users that a choice is made on: with known items held out, at most 1,000 of a
    kind, or 500 a domain.

    Parameters
    ----------
    data
        Training data.
    rows
        Held-out interactions.
    generator
        Draws the users.
    """
    blocks = rows.of_known_items().blocks(
        data,
        max_users=DOMAIN_USERS,
        total=TOTAL_USERS,
        size=BLOCK_USERS,
        generator=generator,
    )
    return list(blocks)


def measured(
    variants: Variants, data: TrainingData, blocks: Iterable[ValidationBlock]
) -> list[RankingQuality]:
    """Return how well each variant ranks the held-out items of some users, seen ones left out.

    Parameters
    ----------
    variants
        Gives, for a domain, what gives the scores of users there.
    data
        Training data.
    blocks
        Users with held-out items, domain by domain: what a variant makes at its first use in one,
        it makes once.
    """
    quality: list[RankingQuality] = []
    for domain, same in groupby(blocks, key=attrgetter("domain")):
        for found, relevant in map_pieces(partial(_look, variants(domain), data), same):
            quality = quality or [RankingQuality() for _ in found]
            for sums, labels in zip(quality, found, strict=True):
                sums.add(domain, labels, relevant)
    return quality


def clearly_best(tried: Sequence[RankingQuality], *, errors: float = 2.0) -> int:
    """Return the number of the best variant, or 0 where it does not clearly rank known items better
    than the first.

    Parameters
    ----------
    tried
        What each variant reaches, over the same people.
    errors
        Standard errors by which the best must be ahead.

    Examples
    --------
    >>> def quality(*found: int) -> RankingQuality:
    ...     made = RankingQuality()
    ...     made.add("book", torch.tensor(found)[:, None], [torch.tensor([1] * len(found))])
    ...     return made
    >>> clearly_best([quality(0, 0, 0, 1), quality(1, 1, 1, 1)])
    1
    >>> clearly_best([quality(0, 1, 0), quality(1, 0, 1)])
    0
    """
    best = int(np.argmax([quality.known() for quality in tried]))
    gain, error = tried[best].gain_over(tried[0])
    return best if gain > errors * error else 0


def best_variant(
    variants: Variants,
    data: TrainingData,
    rows: ValidationRows,
    generator: np.random.Generator,
) -> int:
    """Return the number of the variant with the clearly best NDCG@20 on known items.

    It is 0 where no row is of a known item.

    Parameters
    ----------
    variants
        As for `measured`.
    data
        Training data.
    rows
        Held-out interactions.
    generator
        Draws the users.
    """
    tried = measured(variants, data, looked_at(data, rows, generator))
    return clearly_best(tried) if tried else 0


def _look(
    scores_of: Scores, data: TrainingData, block: ValidationBlock
) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Return what each variant finds, and how much there was to find."""
    users = data.batch(block.users)
    seen = users.history[:, data.span(block.domain)].tocoo()
    row, column = (torch.from_numpy(part.astype(np.int64)) for part in (seen.row, seen.col))
    label, relevant = block.labels()
    found = []
    for scores in scores_of(users):
        scores[row, column] = SEEN_FLOOR
        found.append(best_labels(scores, label))
    return found, relevant
