"""Diversity metrics against their definitions written out."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from eval.metrics import (
    AveragePopularity,
    Catalogue,
    CategoryDistance,
    Coverage,
    DomainTotals,
    Entropy,
    Gini,
    IntraListDistance,
    Novelty,
    Personalisation,
    RankedLists,
    TailShare,
    get_metric,
)
from graphgen.errors import ConfigError

N_ITEMS = 30


@pytest.fixture
def lists():
    generator = np.random.default_rng(0)
    features = generator.normal(size=(N_ITEMS, 8)).astype(np.float32)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    has = generator.random(N_ITEMS) > 0.3
    catalogue = Catalogue(
        N_ITEMS,
        popularity=generator.integers(0, 20, N_ITEMS).astype(float),
        n_users=25,
        features=np.where(has[:, None], features, 0),
        has_features=has,
        categories=generator.integers(-1, 4, N_ITEMS),
        n_categories=4,
    )
    items = np.argsort(generator.random((12, N_ITEMS)), axis=1)[:, :10]
    items[0, 4:], items[1], items[2, 2:] = -1, -1, N_ITEMS + 3
    return RankedLists.of(items, [{0}] * 12, catalogue)


def known(lists, row, k):
    return [i for i in lists.items[row, :k] if 0 <= i < N_ITEMS]


@pytest.mark.parametrize("k", [1, 2, 10])
def test_intra_list_distance_is_the_mean_over_pairs(lists, k):
    got = IntraListDistance()(lists, k)
    vectors, has = lists.catalogue.features, lists.catalogue.has_features
    for row in range(len(got)):
        items = [i for i in known(lists, row, k) if has[i]]
        pairs = [1 - float(vectors[a] @ vectors[b]) for a, b in combinations(items, 2)]
        assert got[row] == pytest.approx(np.mean(pairs) if pairs else np.nan, abs=1e-5, nan_ok=True)


@pytest.mark.parametrize("k", [1, 2, 10])
def test_category_distance_is_the_share_of_unequal_pairs(lists, k):
    got = CategoryDistance()(lists, k)
    kinds = lists.catalogue.categories
    for row in range(len(got)):
        items = [i for i in known(lists, row, k) if kinds[i] >= 0]
        pairs = [kinds[a] != kinds[b] for a, b in combinations(items, 2)]
        assert got[row] == pytest.approx(np.mean(pairs) if pairs else np.nan, nan_ok=True)


@pytest.mark.parametrize("metric", [Novelty, AveragePopularity, TailShare])
def test_popularity_metrics_average_over_known_places(lists, metric):
    got = metric()(lists, 10)
    popularity = lists.catalogue.popularity
    order = sorted(range(N_ITEMS), key=lambda i: (-popularity[i], i))
    head, total = set(), 0.0
    for item in order:
        if total >= 0.8 * popularity.sum():
            break
        head.add(item)
        total += popularity[item]
    value = {
        "novelty": lambda i: -np.log2(max(popularity[i], 1) / 25),
        "popularity": lambda i: popularity[i] / 25,
        "tail-share": lambda i: float(i not in head),
    }[metric.name]
    for row in range(len(got)):
        values = [value(i) for i in known(lists, row, 10)]
        assert got[row] == pytest.approx(np.mean(values) if values else np.nan, nan_ok=True)


def test_gini_is_the_mean_difference_over_twice_the_mean():
    exposure = np.random.default_rng(0).integers(0, 9, 40)
    differences = np.abs(exposure[:, None] - exposure[None, :]).mean()
    totals = DomainTotals(Catalogue(40), {1: exposure}, n_lists=40)
    assert Gini()(totals, 1) == pytest.approx(differences / (2 * exposure.mean()))


def test_metrics_of_nothing_recommended():
    nothing = DomainTotals(Catalogue(5), {1: np.zeros(5, int)}, n_lists=0)
    assert Coverage()(nothing, 1) == 0
    for metric in (Gini, Entropy, Personalisation):
        assert np.isnan(metric()(nothing, 1))


def test_what_is_missing_is_named(lists):
    bare = RankedLists.of([[0, 1]], [{0}])
    assert IntraListDistance().missing(bare) == ("features",)
    assert IntraListDistance().missing(lists) == ()


def test_an_unknown_metric_names_the_near_miss():
    with pytest.raises(ConfigError, match="did you mean 'recall'"):
        get_metric("recal@20")
