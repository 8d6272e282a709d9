"""Choosing the exponents and the spectrum of the linear filter on held-out rows."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from operator import attrgetter

import numpy as np
import torch

from gnn.data import TrainingData, UserBatch
from gnn.linear_filter import FilterConfig, LeadingDirections, LinearFilter, leading_directions
from gnn.models.interest.score_choice import (
    Scores,
    Variants,
    clearly_best,
    looked_at,
    measured,
)
from gnn.models.interest.validation import RankingQuality, ValidationRows

__all__ = ["candidates", "choose_filter"]

# Leading directions to flatten: on MovieLens-1M twice as many are worse, on Gowalla they are alike.
FLATTENED = 64


def candidates(n_domains: int) -> list[FilterConfig]:
    """Return what is tried; the first is taken where the rows do not clearly say otherwise.

    Where there are several domains, the leading directions are those that people cross over by:
    flattened, four Amazon domains gain 2 % among warm people and lose 7 % among cold ones. A domain
    alone has no use for them, and its popular items are best held down on both sides.
    """
    if n_domains > 1:
        exponents = itertools.product((0.6, 0.5, 0.7), (0.3, 0.4), (0.3, 0.15))
        return [
            FilterConfig(user_exponent=user, item_exponent=item, target_exponent=target)
            for user, item, target in exponents
        ]
    return [FilterConfig()] + [
        FilterConfig(
            user_exponent=0.7,
            item_exponent=0.4,
            source_exponent=source,
            target_exponent=target,
            flattened=flattened,
        )
        for source, flattened, target in itertools.product((0.15, 0.3), (0, FLATTENED), (0.15, 0.3))
    ]


def choose_filter(
    data: TrainingData, rows: ValidationRows, generator: np.random.Generator
) -> tuple[FilterConfig, LeadingDirections | None]:
    """Return the filter with the clearly best NDCG@20 on known items, and what it flattens.

    Each candidate that differs in more than its
    target exponent costs the two-hop neighbourhoods of these users, half a second or so on a
    million interactions; flattened ones cost a `truncated_svd` as well.
    """
    blocks = looked_at(data, rows, generator)
    tried: list[RankingQuality] = []
    wanted = candidates(len(data.domains))
    known: dict[tuple[float, float], LeadingDirections] = {}
    for _, group in itertools.groupby(wanted, _but_targets):
        same = list(group)
        leading = None
        if same[0].flattened:
            place = (same[0].user_exponent, same[0].item_exponent)
            if place not in known:
                known[place] = leading_directions(data.matrix, same[0], generator)
            leading = known[place]
        tried += measured(_targets(same, leading, data), data, blocks)
    chosen = wanted[clearly_best(tried)] if tried else wanted[0]
    place = (chosen.user_exponent, chosen.item_exponent)
    return chosen, known[place] if chosen.flattened else None


_but_targets = attrgetter("user_exponent", "item_exponent", "source_exponent", "flattened")


def _targets(
    configs: Sequence[FilterConfig], leading: LeadingDirections | None, data: TrainingData
) -> Variants:
    """Return what gives the scores for filters that differ in their target exponents.

    Those only rescale columns: one product serves all of them.
    """
    link = LinearFilter(data.matrix, configs[0].replace(target_exponent=0.0), keep=False)
    excess = None if leading is None else link.excess(leading)

    def in_domain(domain: str) -> Scores:
        span = data.span(domain)
        popularity = torch.from_numpy(np.maximum(data.popularity[span], 1.0))

        def scores(users: UserBatch) -> Iterator[torch.Tensor]:
            linked = link.score(users.history, span).toarray()
            if excess is not None:
                linked -= (users.history @ excess[0]) @ excess[1][span].T
            dense = torch.from_numpy(linked)
            return (dense * popularity**config.target_exponent for config in configs)

        return scores

    return in_domain
