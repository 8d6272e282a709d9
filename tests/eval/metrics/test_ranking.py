"""Ranking metrics: a table worked by hand, and a slow oracle."""

from __future__ import annotations

import math

import numpy as np
import pytest

from eval.metrics import (
    F1,
    MAP,
    MRR,
    NDCG,
    HitRate,
    Precision,
    RankedLists,
    Recall,
    RPrecision,
    list_metrics,
)

# Three users: two hits of three, none, and a perfect but short list.
ITEMS = [[7, 3, 9, 1], [5, 6, 7, 8], [2, -1, -1, -1]]
RELEVANT = [{3, 1, 4}, {0}, {2}]
LOG3, LOG5 = 1 / math.log2(3), 1 / math.log2(5)
BY_HAND = {
    (Recall, 2): [1 / 3, 0, 1],
    (Recall, 4): [2 / 3, 0, 1],
    (Precision, 2): [1 / 2, 0, 1 / 2],
    (Precision, 4): [1 / 2, 0, 1 / 4],
    (F1, 4): [2 * 0.5 * (2 / 3) / (0.5 + 2 / 3), 0, 2 * 0.25 / 1.25],
    (HitRate, 1): [0, 0, 1],
    (HitRate, 2): [1, 0, 1],
    (MRR, 1): [0, 0, 1],
    (MRR, 4): [1 / 2, 0, 1],
    (NDCG, 2): [LOG3 / (1 + LOG3), 0, 1],
    (NDCG, 4): [(LOG3 + LOG5) / (1 + LOG3 + 0.5), 0, 1],
    (MAP, 4): [(1 / 2 + 2 / 4) / 3, 0, 1],
    (MAP, 2): [(1 / 2) / 2, 0, 1],
    (RPrecision, 4): [1 / 3, 0, 1],
    (RPrecision, 2): [1 / 2, 0, 1],
}


@pytest.mark.parametrize(("metric", "k"), BY_HAND)
def test_equals_the_table_worked_by_hand(metric, k):
    lists = RankedLists.of(ITEMS, RELEVANT)
    np.testing.assert_allclose(metric()(lists, k), BY_HAND[metric, k], atol=1e-12)


def slow(name, ranked, relevant, k):
    """Write each definition out for one user."""
    top = [item for item in ranked[:k] if item >= 0]
    hits = [item in relevant for item in top]
    recall, precision = sum(hits) / len(relevant), sum(hits) / k
    depth = min(k, len(relevant))
    found = [place for place, hit in enumerate(hits, start=1) if hit]
    ideal = sum(1 / math.log2(place + 1) for place in range(1, depth + 1))
    return {
        "recall": recall,
        "precision": precision,
        "f1": 2 * precision * recall / (precision + recall) if hits and any(hits) else 0.0,
        "hit-rate": float(any(hits)),
        "mrr": 1 / found[0] if found else 0.0,
        "ndcg": sum(1 / math.log2(place + 1) for place in found) / ideal,
        "map": sum((i + 1) / place for i, place in enumerate(found)) / depth,
        "r-precision": sum(hits[:depth]) / depth,
    }[name]


RANKING = ["recall", "precision", "f1", "hit-rate", "mrr", "ndcg", "map", "r-precision"]


def random_lists(seed, n_users=60, n_items=40, length=15):
    generator = np.random.default_rng(seed)
    items = np.argsort(generator.random((n_users, n_items)), axis=1)[:, :length]
    items[generator.random(n_users) < 0.2, length // 2 :] = -1
    relevant = [
        set(generator.choice(n_items, generator.integers(1, 20), replace=False).tolist())
        for _ in range(n_users)
    ]
    return items, relevant


@pytest.mark.parametrize("name", RANKING)
@pytest.mark.parametrize("k", [1, 5, 15])
def test_equals_the_slow_oracle(name, k):
    items, relevant = random_lists(k)
    got = list_metrics()[name](RankedLists.of(items, relevant), k)
    expected = [
        slow(name, row, good, k) for row, good in zip(items.tolist(), relevant, strict=True)
    ]
    np.testing.assert_allclose(got, expected, atol=1e-12)


def test_every_metric_has_a_docstring_with_its_conventions_and_an_example():
    for metric in list_metrics().values():
        assert ">>>" in (type(metric).__doc__ or ""), metric.name
        assert metric.title
