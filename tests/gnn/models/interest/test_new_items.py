"""The weight of items without interactions: cost, gain, and the weight that a cost allows."""

from __future__ import annotations

import pytest
import torch

from gnn.models.interest.new_items import measure_trade_off, weight_at_cost
from gnn.validation import RankingQuality


def quality(warm, cold, new=()):
    """Users of each kind whose held-out item stands first (1) or nowhere (0)."""
    made = RankingQuality()
    for kind, found in enumerate((warm, cold, new)):
        label = torch.tensor(found, dtype=torch.int64)[:, None] * (kind + 1)
        counts = [torch.zeros(len(found), dtype=torch.int64) for _ in range(3)]
        counts[kind] += 1
        made.add("book", label, counts)
    return made


def test_the_cost_is_that_of_the_users_who_lose_most():
    """Users who lose nothing do not make it cheaper for the others."""
    all_, half, none = [1, 1] * 20, [1, 0] * 20, [0, 0] * 20

    def measured(before, after):
        return measure_trade_off({0.0: quality(*before, none), 2.0: quality(*after, all_)})

    assert measured((all_, all_), (half, all_)) == ((0.0, 1.0, 0.0), (2.0, 0.5, 1.0))
    assert [kept for _, kept, _ in measured((all_, []), (half, []))] == [1.0, 0.5]
    assert [kept for _, kept, _ in measured(([], all_), ([], all_))] == [1.0, 1.0]


def test_the_curve_ends_where_new_items_cost_more_than_they_gain():
    def found(warm, new):
        return quality([1] * warm + [0] * (40 - warm), [], [1] * new + [0] * (40 - new))

    tried = {0.0: found(40, 0), 1.0: found(38, 1), 2.0: found(30, 10), 3.0: found(20, 19)}
    # At 3 twenty warm ones for nineteen new ones; at 2 ten for ten, though not at 1.
    assert [weight for weight, _, _ in measure_trade_off(tried)] == [0.0, 1.0, 2.0]
    assert weight_at_cost(measure_trade_off(tried), 1.0) == 2.0
    nothing = {0.0: found(40, 0), 1.0: found(38, 0)}
    assert weight_at_cost(measure_trade_off(nothing), 1.0) == 0.0


def test_the_weight_moves_along_the_curve():
    curve = ((0.0, 0.10, 0.0), (1.0, 0.098, 0.03), (2.0, 0.09, 0.06))
    assert weight_at_cost(curve, 0.0) == 0.0
    assert weight_at_cost(curve, 0.02) == pytest.approx(1.0)
    # Half way between two measured ones.
    assert weight_at_cost(curve, 0.06) == pytest.approx(1.5)
    assert weight_at_cost(curve, 1.0) == 2.0


def test_new_items_that_are_never_found_weigh_nothing():
    curve = ((0.0, 0.10, 0.0), (1.0, 0.10, 0.0), (2.0, 0.05, 0.1))
    assert weight_at_cost(curve, 0.05) == 0.0
    assert weight_at_cost(curve, 0.5) == 2.0
