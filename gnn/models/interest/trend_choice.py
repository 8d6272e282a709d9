"""Choosing the trend on held-out rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import groupby, product
from operator import attrgetter

import numpy as np
import torch

from gnn.data import TrainingData
from gnn.models.interest.blend import SEEN_FLOOR
from gnn.models.interest.trend import Trend, TrendConfig
from gnn.models.interest.validation import (
    RankingQuality,
    ValidationBlock,
    ValidationRows,
    best_labels,
)
from graphgen.pieces import map_pieces

__all__ = ["choose_trend"]

MAX_USERS = 500
BLOCK_USERS = 256
HALF_LIVES = (4.0, 8.0, 15.0, 60.0, 240.0)
MOMENTS = ("last visit", "end of log")
# The first is tried with each half-life and moment, the others with the best of these.
POWERS = (0.5, 0.25, 1.0)
# A trend must raise NDCG by so many standard errors: it is the best of a dozen.
MIN_ERRORS = 2.5
# Fewer people say nothing.
MIN_USERS = 20

Mixed = Callable[[np.ndarray, str], torch.Tensor]


def choose_trend(
    mixed: Mixed, data: TrainingData, rows: ValidationRows, generator: np.random.Generator
) -> TrendConfig | None:
    """Return the trend that ranks known items best where it multiplies a mixture; None for none.

    On at most 500 users a kind and domain.

    Parameters
    ----------
    mixed
        Gives the probabilities [n, items] of users (rows of the training matrix) in a domain.
    data
        Training data with times.
    rows
        Held-out interactions.
    generator
        Draws the users.
    """
    known = rows.of_known_items()
    if len(np.unique(known.user)) < MIN_USERS:
        return None
    blocks = list(known.blocks(data, max_users=MAX_USERS, size=BLOCK_USERS, generator=generator))
    configs = [
        TrendConfig(half_life=half_life, moment=moment, power=POWERS[0])
        for half_life, moment in product(HALF_LIVES, MOMENTS)
    ]
    none, *tried = _measured(blocks, mixed, data, [None, *configs])
    place = int(np.argmax([quality.known() for quality in tried]))
    best, reached = configs[place], tried[place]
    others = [best.replace(power=power) for power in POWERS[1:]]
    for config, quality in zip(others, _measured(blocks, mixed, data, others), strict=True):
        if quality.known() > reached.known():
            best, reached = config, quality
    gain, error = reached.gain_over(none)
    return best if gain > MIN_ERRORS * error else None


def _measured(
    blocks: list[ValidationBlock],
    mixed: Mixed,
    data: TrainingData,
    configs: Sequence[TrendConfig | None],
) -> list[RankingQuality]:
    quality = [RankingQuality() for _ in configs]
    for _, same in groupby(blocks, key=attrgetter("domain")):
        # New ones for each domain: their tables go with them.
        trends = [Trend(data, config) if config else None for config in configs]
        for domain, found, relevant in map_pieces(partial(_look, data, mixed, trends), same):
            for sums, labels in zip(quality, found, strict=True):
                sums.add(domain, labels, relevant)
    return quality


def _look(
    data: TrainingData, mixed: Mixed, trends: list[Trend | None], block: ValidationBlock
) -> tuple[str, list[torch.Tensor], list[torch.Tensor]]:
    """Return the domain, what is found with each trend, and how much there was to find."""
    scores = mixed(block.users, block.domain)
    users = data.batch(block.users)
    seen = users.history[:, data.span(block.domain)].tocoo()
    row, column = (torch.from_numpy(part.astype(np.int64)) for part in (seen.row, seen.col))
    label, relevant = block.labels()
    found = []
    for trend in trends:
        scaled = scores.clone() if trend is None else scores * trend.factor(users, block.domain)
        scaled[row, column] = SEEN_FLOOR
        found.append(best_labels(scaled, label))
    return block.domain, found, relevant
