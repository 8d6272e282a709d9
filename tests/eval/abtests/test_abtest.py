"""A/B tests, verified by simulation: error rates, coverage, CUPED and peeking."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from eval.abtests.analysis import analyse_abtest, read_events
from eval.abtests.design import cuped, difference, power, sample_ratio_check, sample_size
from graphgen.errors import ConfigError, InputError
from graphgen.log import InteractionLog


def make_log(effect=0.0, n=400, seed=0, carry=1.0):
    """Users with a Poisson rate of their own, before and during a test that adds `effect`."""
    generator = np.random.default_rng(seed)
    rate = generator.gamma(2.0, 1.0, n)
    variant = np.where(np.arange(n) % 2, "treatment", "control")
    before = generator.poisson(rate * carry)
    during = generator.poisson(rate + effect * (variant == "treatment"))
    user = np.array([f"u{i}" for i in range(n)])
    parts = [
        pd.DataFrame({"user_id": user, "variant": variant, "event": "exposure", "timestamp": 200}),
        pd.DataFrame(
            {"user_id": user.repeat(before), "variant": "", "event": "click", "timestamp": 100}
        ),
        pd.DataFrame(
            {
                "user_id": user.repeat(during),
                "variant": variant.repeat(during),
                "event": "click",
                "timestamp": 300,
            }
        ),
    ]
    frame = pd.concat(parts, ignore_index=True)
    frame["timestamp"] = pd.to_datetime(frame["timestamp"], unit="s", utc=True)
    return frame, during, before, variant


START = "1970-01-01T00:02:30"


def rows(result, metric):
    return result.table[(result.table["metric"] == metric) & (result.table["segment"] == "all")]


def test_values_per_user_by_hand():
    frame, during, before, variant = make_log()
    result = analyse_abtest(frame, start=START)
    row = rows(result, "activity").iloc[0]
    treated = variant == "treatment"
    assert row["value_control"] == pytest.approx(during[~treated].mean())
    assert row["value_variant"] == pytest.approx(during[treated].mean())
    welch = stats.ttest_ind(during[treated], during[~treated], equal_var=False)
    assert row["p_value"] == pytest.approx(welch.pvalue)
    interval = welch.confidence_interval()
    assert (row["low"], row["high"]) == pytest.approx((interval.low, interval.high))
    conversion = rows(result, "conversion").iloc[0]
    assert conversion["value_control"] == pytest.approx((during[~treated] > 0).mean())
    assert result.ratio.counts == {"control": 200, "treatment": 200}
    assert result.meta["cuped_variance_reduction"] == pytest.approx(
        np.corrcoef(during, before)[0, 1] ** 2
    )
    narrow = rows(result, "activity-cuped").iloc[0]
    assert narrow["high"] - narrow["low"] < row["high"] - row["low"]


@pytest.mark.parametrize("effect", [0.0, 0.4])
def test_error_rates_and_coverage_are_nominal(effect):
    generator = np.random.default_rng(1)
    covered = {"activity": [], "cuped": [], "conversion": []}
    for _ in range(600):
        rate = generator.gamma(2.0, 1.0, (2, 150))
        y = generator.poisson(rate + np.array([[0.0], [effect]]))
        x = generator.poisson(rate)
        adjusted, _ = cuped(y.ravel().astype(float), x.ravel().astype(float))
        a, b = adjusted.reshape(2, -1)
        for name, pair in (("activity", y), ("cuped", (a, b))):
            found = difference(np.asarray(pair[0], float), np.asarray(pair[1], float), 0.05, None)
            covered[name].append(found["low"] <= effect <= found["high"])
        bought = (generator.random((2, 400)) < np.array([[0.2], [0.2 + effect / 4]])).astype(float)
        found = difference(bought[0], bought[1], 0.05, None)
        covered["conversion"].append(found["low"] <= effect / 4 <= found["high"])
    for name, values in covered.items():
        assert 0.925 <= np.mean(values) <= 0.975, name


def test_peeking_breaks_the_plain_test_and_not_the_sequential_one():
    generator = np.random.default_rng(2)
    looks = np.arange(100, 2001, 100)
    plain, valid = [], []
    for _ in range(300):
        y = generator.exponential(1.0, (2, looks[-1]))
        found = [
            (
                difference(y[0, :n], y[1, :n], 0.05, None),
                difference(y[0, :n], y[1, :n], 0.05, 2000),
            )
            for n in looks
        ]
        plain.append(any(f[0]["p_value"] < 0.05 for f in found))
        valid.append(any(f[1]["p_value"] < 0.05 for f in found))
        for _, sequential in found:
            outside = not sequential["low"] <= 0 <= sequential["high"]
            assert outside == (sequential["p_value"] < 0.05)
    assert np.mean(plain) > 0.12
    assert np.mean(valid) <= 0.05


def test_the_sequential_test_still_finds_a_planted_effect():
    frame, *_ = make_log(effect=1.0, n=2000, seed=3)
    row = rows(
        analyse_abtest(frame, start=START, sequential=True, planned_users=2000), "activity"
    ).iloc[0]
    assert row["p_value"] < 0.05
    assert row["low"] < 1.0 < row["high"]


def test_the_ratio_check_has_its_nominal_rate_and_notices_loss():
    generator = np.random.default_rng(0)
    p = [
        sample_ratio_check({"a": int(n), "b": int(4000 - n)}).p_value
        for n in generator.binomial(4000, 0.5, 1500)
    ]
    assert np.mean(np.array(p) < 0.05) == pytest.approx(0.05, abs=0.02)
    frame, *_ = make_log(n=3000)
    kept = frame[~(frame["variant"].eq("treatment") & frame["user_id"].str.endswith(("1", "3")))]
    result = analyse_abtest(kept, start=START)
    assert not result.ratio.passed
    assert "SAMPLE RATIO MISMATCH" in result.to_markdown()
    assert sample_ratio_check({"a": 100, "b": 900}, {"a": 1, "b": 9}).passed


def test_segments_are_corrected_for_their_number():
    frame, *_ = make_log(effect=0.3)
    country = pd.Series(
        np.repeat(["no", "de", "fr", "es"], 100),
        index=[f"u{i}" for i in range(400)],
        name="country",
    )
    result = analyse_abtest(frame, start=START, segments=country)
    parts = result.table[
        (result.table["segment"] != "all") & (result.table["metric"] == "activity")
    ]
    assert sorted(parts["segment"]) == ["de", "es", "fr", "no"]
    assert (parts["p_holm"] >= parts["p_value"]).all()
    assert parts["n_control"].sum() == 200
    column = frame.assign(country=frame["user_id"].map(country))
    again = analyse_abtest(column, start=START, segments="country").table
    pd.testing.assert_frame_equal(result.table, again)


def test_users_in_two_variants_are_left_out_and_logs_work(tmp_path):
    frame, *_ = make_log()
    stray = frame.iloc[[0]].assign(variant="treatment", timestamp=frame["timestamp"].max())
    both = pd.concat([frame, stray], ignore_index=True)
    log = InteractionLog(both.assign(item_id="page", domain="shop"))
    result = analyse_abtest(log, start=START, conversion=["click"])
    assert result.ratio.counts["control"] == 199
    assert any("1 user in more than one variant" in note for note in result.meta["notes"])
    folder = result.save(tmp_path / "ab")
    saved = json.loads((folder / "abtest.json").read_text())
    assert saved["ratio"]["counts"]["control"] == 199
    assert "| all | treatment | activity |" in (folder / "report.md").read_text()


def test_power_agrees_with_simulation():
    n = sample_size(0.2, 0.05)
    generator = np.random.default_rng(0)
    a = generator.binomial(n, 0.2, 4000) / n
    b = generator.binomial(n, 0.25, 4000) / n
    z = (b - a) / np.sqrt((a * (1 - a) + b * (1 - b)) / n)
    assert (np.abs(z) > 1.96).mean() == pytest.approx(0.8, abs=0.02)
    assert power(0.2, 0.05, n) == pytest.approx(0.8, abs=0.005)
    assert sample_size(10, 0.5, sd=4) == pytest.approx(2 * (4 * 2.8016 / 0.5) ** 2, rel=0.01)
    assert sample_size(0.2, 0.05, ratio=3) < n


@pytest.mark.parametrize(
    ("change", "options", "error", "message"),
    [
        ({}, {"variant": "arm"}, InputError, "no column 'arm'"),
        ({"variant": "control"}, {}, InputError, "needs users in two variants"),
        ({}, {"control": "old"}, ConfigError, "no variant 'old'; the log has control, treatment"),
        ({}, {"conversion": "buy"}, InputError, "No row has the event 'buy'"),
        ({}, {"alpha": 2}, ConfigError, "`alpha` must lie"),
        ({}, {"expected": {"a": 1}}, ConfigError, "positive share for each variant"),
        ({}, {"segments": "age"}, InputError, "no column 'age'"),
    ],
)
def test_bad_input_is_refused_in_plain_words(change, options, error, message):
    frame, *_ = make_log(n=40)
    with pytest.raises(error, match=message):
        analyse_abtest(frame.assign(**change), **options)


def test_the_columns_of_the_help_are_enough_and_exposures_need_no_item(tmp_path):
    frame, *_ = make_log(n=100)
    seconds = frame["timestamp"].map(lambda time: int(time.timestamp()))
    path = tmp_path / "ab.csv"
    frame.assign(timestamp=seconds, item_id="").to_csv(path, index=False)
    read = read_events(path)
    assert read.columns.tolist() == ["user_id", "domain", "timestamp", "event", "variant"]
    table = analyse_abtest(read, start=START).table
    pd.testing.assert_frame_equal(table, analyse_abtest(frame, start=START).table)


@pytest.mark.parametrize(
    ("names", "control"),
    [
        ({"control": "old", "treatment": "new"}, None),
        ({"control": "A", "treatment": "control"}, None),
        ({"control": "Control", "treatment": "a new one"}, "Control"),
        ({"control": "B", "treatment": "A"}, "A"),
    ],
)
def test_the_control_is_never_guessed(names, control):
    frame, *_ = make_log(n=40)
    frame["variant"] = frame["variant"].replace(names)
    if control is None:
        with pytest.raises(ConfigError, match=r"Which variant is the control.*--control"):
            analyse_abtest(frame)
    else:
        result = analyse_abtest(frame)
        assert result.meta["control"] == control
        assert f"Control: {control}." in result.to_markdown()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((0.2, 0.0), "`effect` must not be 0"), ((0.9, 0.2), "conversion rate must lie")],
)
def test_impossible_designs_are_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        sample_size(*arguments)
