"""Choosing the trend on held-out rows."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial

import numpy as np
import torch

from gnn.data import TrainingData
from gnn.models.interest.blend import SEEN_FLOOR
from gnn.models.interest.trend import Trend, TrendConfig
from gnn.models.interest.validation import (
    KINDS,
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
POWERS = (0.5, 1.0)
# By how much of its NDCG a trend must be better than none: it was chosen among twenty.
MIN_GAIN = 0.01

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
    blocks = list(known.blocks(data, max_users=MAX_USERS, size=BLOCK_USERS, generator=generator))
    configs = [
        TrendConfig(half_life=half_life, moment=moment, power=power)
        for half_life, moment, power in itertools.product(HALF_LIVES, MOMENTS, POWERS)
    ]
    trends = [None, *(Trend(data, config) for config in configs)]
    quality = [RankingQuality() for _ in trends]
    for domain, found, relevant in map_pieces(partial(_look, data, mixed, trends), blocks):
        for sums, labels in zip(quality, found, strict=True):
            sums.add(domain, labels, relevant)
    metrics = np.array([sums.known() for sums in quality])
    best = int(metrics.argmax())
    return configs[best - 1] if metrics[best] > (1 + MIN_GAIN) * metrics[0] else None


def _look(
    data: TrainingData, mixed: Mixed, trends: list[Trend | None], block: ValidationBlock
) -> tuple[str, list[torch.Tensor], list[torch.Tensor]]:
    """Return the domain, what is found with each trend, and how much there was to find."""
    scores = mixed(block.users, block.domain)
    users = data.batch(block.users)
    seen = users.history[:, data.span(block.domain)].tocoo()
    row, column = (torch.from_numpy(part.astype(np.int64)) for part in (seen.row, seen.col))
    label = torch.from_numpy(block.truth.toarray())
    found = []
    for trend in trends:
        scaled = scores.clone() if trend is None else scores * trend.factor(users, block.domain)
        scaled[row, column] = SEEN_FLOOR
        found.append(best_labels(scaled, label))
    return block.domain, found, [(label == kind + 1).sum(1) for kind in range(len(KINDS))]
