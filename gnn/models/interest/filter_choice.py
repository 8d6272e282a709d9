"""Choosing the exponents of the linear filter on held-out rows."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import torch

from gnn.data import TrainingData, UserBatch
from gnn.linear_filter import LinearFilter
from gnn.models.interest.score_choice import BLOCK_USERS, Scores, Variants, clearly_best, measured
from gnn.models.interest.validation import RankingQuality, ValidationRows

__all__ = ["DEFAULT_EXPONENTS", "Exponents", "choose_exponents"]

Exponents = tuple[float, float, float]

# Users of a kind that are looked at over all domains, and in each of them at least.
MAX_USERS, MIN_DOMAIN_USERS = 1000, 500
# The first of each are taken where the rows do not clearly say otherwise.
USER_EXPONENTS = (0.6, 0.5, 0.7)
ITEM_EXPONENTS = (0.3, 0.4)
TARGET_EXPONENTS = (0.3, 0.15)
DEFAULT_EXPONENTS: Exponents = (USER_EXPONENTS[0], ITEM_EXPONENTS[0], TARGET_EXPONENTS[0])


def choose_exponents(
    data: TrainingData, rows: ValidationRows, generator: np.random.Generator
) -> Exponents:
    """Return the user, item and target exponents with the clearly best NDCG@20 on known items.

    Twelve combinations on at most 1,000 users of a kind, or 500 a domain; each costs the two-hop
    neighbourhoods of these users, a second or so on a million interactions.
    """
    parts = rows.of_known_items().blocks(
        data,
        max_users=MIN_DOMAIN_USERS,
        total=MAX_USERS,
        size=BLOCK_USERS,
        generator=generator,
    )
    blocks = list(parts)
    tried: list[RankingQuality] = []
    for user, item in itertools.product(USER_EXPONENTS, ITEM_EXPONENTS):
        link = LinearFilter(
            data.matrix, user_exponent=user, item_exponent=item, target_exponent=0.0, keep=False
        )
        tried += measured(_targets(link, data), data, blocks)
    if not tried:
        return DEFAULT_EXPONENTS
    combinations = itertools.product(USER_EXPONENTS, ITEM_EXPONENTS, TARGET_EXPONENTS)
    return list(combinations)[clearly_best(tried)]


def _targets(link: LinearFilter, data: TrainingData) -> Variants:
    """Return what gives the scores for each target exponent.

    It only rescales columns: one product serves all of its values.
    """

    def in_domain(domain: str) -> Scores:
        span = data.span(domain)
        popularity = torch.from_numpy(np.maximum(data.popularity[span], 1.0))

        def scores(users: UserBatch) -> Iterator[torch.Tensor]:
            linked = torch.from_numpy(link.score(users.history, span).toarray())
            return (linked * popularity**target for target in TARGET_EXPONENTS)

        return scores

    return in_domain
