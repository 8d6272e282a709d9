"""Choosing one of several candidates on held-out rows, by one rule.

The first candidate is the default. Another replaces it only if its NDCG@20 is higher by more than
two standard errors of the difference: the best of several is ahead by one of them by chance. It is
the one-standard-error rule of Breiman et al., "Classification and Regression Trees", 1984, made
stricter, and it keeps the choice stable over seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
import torch

from gnn.data import TrainingData, UserBatch
from gnn.validation import RankingQuality, Scores, ValidationBlock, ValidationRows, measure

__all__ = [
    "STANDARD_ERRORS",
    "Quality",
    "choose",
    "ranking_quality",
    "sample_users",
    "significantly_best",
]

T = TypeVar("T")

STANDARD_ERRORS = 2.0
# Users of each kind with held-out warm items: over all domains, or in each of them if that is more.
TOTAL_USERS, DOMAIN_USERS = 1000, 500


class Quality(NamedTuple):
    """How well a model ranks held-out rows of items with interactions.

    Attributes
    ----------
    ndcg
        NDCG@20, averaged over kinds of users, domains and users.
    by_kind
        That of each kind of users.
    lists
        Number of lists: users in a domain.
    """

    ndcg: float
    by_kind: dict[str, float]
    lists: int


def ranking_quality(
    score: Callable[[UserBatch, str], np.ndarray],
    data: TrainingData,
    rows: ValidationRows,
    *,
    seed: int,
) -> Quality | None:
    """Return how well scores [users, items of the domain] rank held-out rows; None without any."""

    def in_domain(domain: str) -> Scores:
        return lambda users: [torch.from_numpy(score(users, domain))]

    tried = measure(in_domain, data, sample_users(rows, data, seed=seed))
    if not tried:
        return None
    return Quality(tried[0].mean(), tried[0].by_kind(), sum(tried[0].users().values()))


def choose(
    candidates: Sequence[T],
    scores: Callable[[str], Scores],
    data: TrainingData,
    rows: ValidationRows,
    *,
    seed: int,
) -> T:
    """Return the first candidate, or one that ranks warm items significantly better.

    Parameters
    ----------
    candidates
        At least one.
    scores
        Makes, once for each domain, the function that yields the scores of users by each candidate.
    data
        Training data.
    rows
        Held-out interactions.
    seed
        Draws the users.
    """
    tried = measure(scores, data, sample_users(rows, data, seed=seed))
    return candidates[significantly_best(tried)] if tried else candidates[0]


def sample_users(rows: ValidationRows, data: TrainingData, *, seed: int) -> list[ValidationBlock]:
    """Return the users to compare candidates on, at most 1,000 of a kind, or 500 a domain."""
    warm = rows.of_kinds()
    return list(warm.blocks(data, max_users=DOMAIN_USERS, total=TOTAL_USERS, seed=seed))


def significantly_best(tried: Sequence[RankingQuality]) -> int:
    """Return the position of the best, or 0 if it is not significantly better than the first.

    Examples
    --------
    >>> import torch
    >>> def quality(*found: int) -> RankingQuality:
    ...     made = RankingQuality()
    ...     made.add("book", torch.tensor(found)[:, None], [torch.ones(len(found))])
    ...     return made
    >>> significantly_best([quality(0, 0, 0, 1), quality(1, 1, 1, 1)])
    1
    >>> significantly_best([quality(0, 1, 0), quality(1, 0, 1)])
    0
    """
    best = int(np.argmax([quality.mean() for quality in tried]))
    gain, error = tried[best].gain_over(tried[0])
    return best if gain > STANDARD_ERRORS * error else 0
