"""Resampling against textbook formulas, enumeration and simulation."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy import stats

from eval.comparison.significance import holm, paired_test
from eval.evaluation.resampling import bootstrap_means, percentile_interval
from graphgen.errors import InputError


def test_the_spread_of_bootstrap_means_is_the_standard_error():
    values = np.random.default_rng(0).normal(size=(3000, 2)) * [1.0, 5.0]
    means = bootstrap_means(values, np.arange(3000), np.zeros(3000, int), 1)[:, 0]
    np.testing.assert_allclose(means.std(axis=0), values.std(axis=0) / 3000**0.5, rtol=0.08)
    np.testing.assert_allclose(means.mean(axis=0), values.mean(axis=0), atol=0.01)


def test_a_person_is_drawn_in_all_domains_at_once():
    value = np.random.default_rng(1).normal(size=500)
    twice = np.concatenate([value, value])[:, None]
    cell = np.repeat([0, 1], 500)
    together = bootstrap_means(twice, np.tile(np.arange(500), 2), cell, 2)
    np.testing.assert_array_equal(together[:, 0], together[:, 1])
    apart = bootstrap_means(twice, np.arange(1000), cell, 2)
    assert together.mean(axis=1).std() > 1.3 * apart.mean(axis=1).std()


def test_missing_values_are_left_out_and_order_does_not_matter():
    values = np.array([[1.0], [np.nan], [3.0], [np.nan]])
    person, cell = np.array([3, 1, 2, 0]), np.array([0, 0, 0, 1])
    means = bootstrap_means(values, person, cell, 2, replicates=500)
    assert np.isin(means[:, 0].round(3), [1, 3]).sum() > 50
    assert np.nanmin(means[:, 0]) >= 1
    assert np.nanmax(means[:, 0]) <= 3
    assert np.isnan(means[:, 1]).all()
    order = np.array([2, 0, 3, 1])
    other = bootstrap_means(values[order], person[order], cell[order], 2, replicates=500)
    np.testing.assert_array_equal(means, other)


def test_blocks_of_people_agree_with_one_block(monkeypatch):
    values = np.random.default_rng(0).normal(size=(1000, 3))
    whole = bootstrap_means(values, np.arange(1000), np.zeros(1000, int), 1)
    monkeypatch.setattr("eval.evaluation.resampling.BLOCK_USERS", 100)
    parts = bootstrap_means(values, np.arange(1000), np.zeros(1000, int), 1)
    np.testing.assert_allclose(whole.std(axis=0), parts.std(axis=0), rtol=0.15)


def test_percentiles_equal_numpy_without_missing_values():
    draws = np.random.default_rng(0).normal(size=(200, 3))
    low, high = percentile_interval(draws)
    np.testing.assert_allclose(low, np.percentile(draws, 2.5, axis=0))
    np.testing.assert_allclose(high, np.percentile(draws, 97.5, axis=0))
    draws[:, 1] = np.nan
    assert np.isnan(percentile_interval(draws)[0][1])


def test_sign_flips_approach_full_enumeration():
    difference = np.array([0.3, 0.1, -0.2, 0.5, 0.4, 0.25, 0.05, 0.2])
    totals = [abs(np.dot(signs, difference)) for signs in product([1, -1], repeat=8)]
    exact = np.mean(np.array(totals) >= abs(difference.sum()) - 1e-12)
    test = paired_test(difference[:, None], np.zeros((8, 1)), np.arange(8), permutations=20_000)
    assert test.p_value[0] == pytest.approx(exact, abs=0.006)
    assert test.p_wilcoxon[0] == pytest.approx(stats.wilcoxon(difference, method="approx").pvalue)
    assert test.low[0] < test.difference[0] < test.high[0]


def test_false_positives_come_at_the_nominal_rate_and_intervals_cover():
    generator = np.random.default_rng(0)
    n_tests = 400
    first = (generator.random((120, n_tests)) < 0.3).astype(float)
    second = (generator.random((120, n_tests)) < 0.3).astype(float)
    test = paired_test(first, second, np.arange(120), permutations=999)
    for p in (test.p_value, test.p_wilcoxon):
        assert 0.02 <= (p < 0.05).mean() <= 0.085
    covered = (test.low <= 0) & (test.high >= 0)
    assert 0.91 <= covered.mean() <= 0.98


def test_a_clear_difference_is_not_limited_by_the_number_of_sign_patterns():
    base = np.random.default_rng(0).random((2000, 1))
    test = paired_test(base + 0.1, base, np.arange(2000), permutations=100)
    assert 0 < test.p_value[0] < 1e-6


def test_macro_weights_domains_equally_and_signs_turn_by_person():
    first = np.concatenate([np.full(90, 0.1), np.full(10, 0.5)])[:, None]
    cell = np.repeat([0, 1], [90, 10])
    test = paired_test(first, np.zeros((100, 1)), np.arange(100), cell)
    assert test.difference[0] == pytest.approx(0.3)
    one_person = paired_test(first, np.zeros((100, 1)), np.zeros(100, int), cell)
    assert one_person.p_value[0] == 1


def test_equal_systems_are_not_told_apart_and_missing_values_stay_missing():
    same = np.random.default_rng(0).random((50, 2))
    same[:, 1] = np.nan
    test = paired_test(same, same, np.arange(50))
    assert test.p_value[0] == test.p_wilcoxon[0] == 1
    assert np.isnan(test.p_value[1])
    with pytest.raises(InputError, match="same rows of both systems"):
        paired_test(same[:0], same[:0], np.arange(0))


def test_holm_by_hand():
    corrected = holm(np.array([0.01, np.nan, 0.04, 0.03, 0.9]))
    np.testing.assert_allclose(corrected, [0.04, np.nan, 0.09, 0.09, 0.9])
