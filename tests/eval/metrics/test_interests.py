"""Metrics over interests against their definitions written out for one user."""

from __future__ import annotations

import math
from itertools import combinations, permutations

import numpy as np
import pytest
import scipy.sparse as sp

from eval.metrics import (
    AlphaNDCG,
    Breadth,
    Catalogue,
    DomainTotals,
    ExpansionHitRate,
    ExpansionRecall,
    Miscalibration,
    Personalisation,
    PopularityLift,
    RankedLists,
    Serendipity,
    SubtopicRecall,
)

N_ITEMS, N_KINDS, LENGTH = 24, 5, 8


@pytest.fixture
def world():
    generator = np.random.default_rng(4)
    n = 25
    kinds = generator.integers(-1, N_KINDS, N_ITEMS)
    items = np.argsort(generator.random((n, N_ITEMS)), axis=1)[:, :LENGTH]
    items[3, 5:], items[4] = -1, -1
    relevant = [
        sorted(generator.choice(N_ITEMS, generator.integers(1, 7), replace=False)) for _ in range(n)
    ]
    counts = generator.integers(0, 3, (n, N_KINDS)) * generator.integers(0, 2, (n, N_KINDS))
    profile = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    catalogue = Catalogue(
        N_ITEMS,
        popularity=generator.integers(0, 20, N_ITEMS).astype(float),
        n_users=25,
        categories=kinds,
        n_categories=N_KINDS,
    )
    lists = RankedLists.of(
        items,
        [set(good) for good in relevant],
        catalogue,
        profile=sp.csr_matrix(profile),
        profile_popularity=np.where(np.arange(n) % 5, 4.0, np.nan),
    )
    return lists, relevant, kinds, profile


def alpha_dcg(ordered, good, kinds, k):
    seen, total = {}, 0.0
    for place, item in enumerate(ordered[:k]):
        if item in good:
            kind = kinds[item] if kinds[item] >= 0 else ("own", item)
            total += 0.5 ** seen.get(kind, 0) / math.log2(place + 2)
            seen[kind] = seen.get(kind, 0) + 1
    return total


@pytest.mark.parametrize("k", [1, 3, 8])
def test_alpha_ndcg_equals_the_best_of_all_orders(world, k):
    lists, relevant, kinds, _ = world
    got = AlphaNDCG()(lists, k)
    for row, good in enumerate(relevant):
        value = alpha_dcg(lists.items[row].tolist(), good, kinds, k)
        orders = permutations(good, min(k, len(good)))
        best = max(alpha_dcg(order, good, kinds, k) for order in orders)
        assert got[row] == pytest.approx(value / best)


@pytest.mark.parametrize("k", [1, 8])
def test_counts_of_interests(world, k):
    lists, relevant, kinds, profile = world
    breadth, subtopics = Breadth()(lists, k), SubtopicRecall()(lists, k)
    hit, recall = ExpansionHitRate()(lists, k), ExpansionRecall()(lists, k)
    for row, good in enumerate(relevant):
        shown = [i for i in lists.items[row, :k].tolist() if i >= 0]
        assert breadth[row] == len({kinds[i] for i in shown if kinds[i] >= 0})
        there = {kinds[i] for i in good if kinds[i] >= 0}
        covered = {kinds[i] for i in shown if i in good and kinds[i] >= 0}
        expected = len(covered) / len(there) if there else math.nan
        assert subtopics[row] == pytest.approx(expected, nan_ok=True)
        new = [i for i in good if kinds[i] >= 0 and profile[row, kinds[i]] == 0]
        if not profile[row].sum() or not new:
            assert math.isnan(hit[row])
            assert math.isnan(recall[row])
        else:
            assert hit[row] == float(any(i in new for i in shown))
            assert recall[row] == pytest.approx(sum(i in new for i in shown) / len(new))


def test_miscalibration_is_the_smoothed_divergence(world):
    lists, _, kinds, profile = world
    got = Miscalibration()(lists, LENGTH)
    for row in range(len(got)):
        shown = [kinds[i] for i in lists.items[row].tolist() if i >= 0 and kinds[i] >= 0]
        if not shown or not profile[row].sum():
            assert math.isnan(got[row])
            continue
        total = 0.0
        for kind in range(N_KINDS):
            p, q = profile[row, kind], shown.count(kind) / len(shown)
            if p:
                total += p * math.log(p / (0.99 * q + 0.01 * p))
        assert got[row] == pytest.approx(max(total, 0))


def test_serendipity_and_lift(world):
    lists, relevant, _, _ = world
    popularity = lists.catalogue.popularity
    popular = sorted(range(N_ITEMS), key=lambda i: (-popularity[i], i))[:4]
    got, lift = Serendipity()(lists, 4), PopularityLift()(lists, 4)
    for row, good in enumerate(relevant):
        shown = [i for i in lists.items[row, :4].tolist() if i >= 0]
        assert got[row] == sum(i in good and i not in popular for i in shown) / 4
        expected = (popularity[shown].mean() - 4) / 4 if shown and row % 5 else math.nan
        assert lift[row] == pytest.approx(expected, nan_ok=True)


def test_personalisation_is_one_minus_the_mean_overlap():
    items = np.argsort(np.random.default_rng(0).random((15, 12)), axis=1)[:, :5]
    overlaps = [len(set(a) & set(b)) / 5 for a, b in combinations(items.tolist(), 2)]
    exposure = np.bincount(items.ravel(), minlength=12)
    got = Personalisation()(DomainTotals(Catalogue(12), {5: exposure}, n_lists=15), 5)
    assert got == pytest.approx(1 - np.mean(overlaps))
