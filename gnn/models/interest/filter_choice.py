"""Choosing the exponents and the spectrum of the linear filter on held-out rows."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from operator import attrgetter

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
from gnn.models.interest.validation import RankingQuality, ValidationRows
from gnn.numerics.linear_filter import (
    FilterConfig,
    LeadingDirections,
    LinearFilter,
    leading_directions,
)

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

    Candidates that differ in source, item or user exponents cost the two-hop neighbourhoods of the
    users looked at each, half a second or so on a million interactions; a spectrum to flatten costs
    one `truncated_svd`.
    """
    blocks, wanted = looked_at(data, rows, generator), candidates(len(data.domains))
    if not blocks:
        return wanted[0], None
    leading: dict[tuple[float, float], LeadingDirections] = {}
    for config in wanted:
        if config.flattened and _spectrum(config) not in leading:
            leading[_spectrum(config)] = leading_directions(data.matrix, config, generator)
    tried: list[RankingQuality] = []
    for _, group in itertools.groupby(wanted, _product):
        same = list(group)
        tried += measured(_variants(same, leading.get(_spectrum(same[0])), data), data, blocks)
    chosen = wanted[clearly_best(tried)]
    return chosen, leading[_spectrum(chosen)] if chosen.flattened else None


_spectrum = attrgetter("user_exponent", "item_exponent")
_product = attrgetter("user_exponent", "item_exponent", "source_exponent")


def _variants(
    configs: Sequence[FilterConfig], leading: LeadingDirections | None, data: TrainingData
) -> Variants:
    """Return what gives the scores for filters of one `_product`, which serves all of them.

    A target exponent only rescales columns, and flattening takes something away.
    """
    link = LinearFilter(data.matrix, configs[0].replace(target_exponent=0.0), keep=False)
    excess = None if leading is None else link.excess(leading)

    def in_domain(domain: str) -> Scores:
        span = data.span(domain)
        popularity = torch.from_numpy(np.maximum(data.popularity[span], 1.0))

        def scores(users: UserBatch) -> Iterator[torch.Tensor]:
            plain = flat = torch.from_numpy(link.score(users.history, span).toarray())
            if excess is not None:
                above = (users.history @ excess[0]) @ excess[1][span].T
                flat = plain - torch.from_numpy(above)
            return (
                (flat if config.flattened else plain) * popularity**config.target_exponent
                for config in configs
            )

        return scores

    return in_domain
