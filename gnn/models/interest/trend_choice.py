"""Choosing the trend on held-out rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product

import numpy as np
import torch

from gnn.data import TrainingData, UserBatch
from gnn.models.interest.score_choice import (
    Scores,
    Variants,
    clearly_best,
    looked_at,
    measured,
)
from gnn.models.interest.trend import Trend, TrendConfig
from gnn.models.interest.validation import ValidationRows

__all__ = ["choose_trend"]

HALF_LIVES = (4.0, 8.0, 15.0, 60.0, 240.0)
MOMENTS = ("last visit", "end of log")
# The first is tried with each half-life and moment, the others with the best of these.
POWERS = (0.5, 0.25, 1.0)
# A trend must raise NDCG by so many standard errors: it is the best of a dozen.
MIN_ERRORS = 2.5
# Fewer people say nothing.
MIN_USERS = 20

Mixed = Callable[[UserBatch, str], torch.Tensor]


def choose_trend(
    mixed: Mixed, data: TrainingData, rows: ValidationRows, generator: np.random.Generator
) -> TrendConfig | None:
    """Return the trend that ranks known items best where it multiplies a mixture; None for none.

    Parameters
    ----------
    mixed
        Gives the probabilities [n, items] of users in a domain.
    data
        Training data with times.
    rows
        Held-out interactions.
    generator
        Draws the users.
    """
    if len(np.unique(rows.of_known_items().user)) < MIN_USERS:
        return None
    blocks = looked_at(data, rows, generator)
    configs = [
        TrendConfig(half_life=half_life, moment=moment, power=POWERS[0])
        for half_life, moment in product(HALF_LIVES, MOMENTS)
    ]
    none, *tried = measured(_scaled(mixed, data, [None, *configs]), data, blocks)
    place = int(np.argmax([quality.known() for quality in tried]))
    best = configs[place]
    others = [best.replace(power=power) for power in POWERS[1:]]
    further = measured(_scaled(mixed, data, others), data, blocks)
    chosen = clearly_best([none, tried[place], *further], errors=MIN_ERRORS)
    return [None, best, *others][chosen]


def _scaled(mixed: Mixed, data: TrainingData, configs: Sequence[TrendConfig | None]) -> Variants:
    """Return what gives a mixture scaled by each trend in turn."""

    def in_domain(domain: str) -> Scores:
        trends = [Trend(data, config) if config else None for config in configs]

        def scores(users: UserBatch) -> Iterator[torch.Tensor]:
            mixture = mixed(users, domain)
            for trend in trends:
                yield mixture.clone() if trend is None else mixture * trend.factor(users, domain)

        return scores

    return in_domain
