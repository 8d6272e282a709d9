"""Generated logs of any size, and what building from them costs beside other readers."""

from __future__ import annotations

import sys

import pandas as pd
import pytest

from eval.benchmarks.building import make_log, measure_building
from graphgen.errors import ConfigError, InterestError


def test_a_log_has_the_shape_that_was_asked_for(tmp_path):
    written = []
    paths = make_log(tmp_path, 20_000, files=3, on_progress=written.append)
    log = pd.concat(map(pd.read_csv, paths))
    assert (len(paths), len(log), sum(written)) == (3, 20_000, 20_000)
    assert log["timestamp"].is_monotonic_increasing
    assert log["user_id"].str.len().unique().tolist() == [14]
    assert 3_000 < log["user_id"].nunique() <= 4_000
    assert 800 < log["item_id"].nunique() <= 1_000
    assert log.groupby("item_id")["domain"].nunique().max() == 1
    assert log["domain"].nunique() == 5
    (again,) = make_log(tmp_path / "again", 20_000, shuffled=True)
    assert not pd.read_csv(again)["timestamp"].is_monotonic_increasing
    with pytest.raises(ConfigError, match="`files` must be between 1 and"):
        make_log(tmp_path, 3, files=4)


@pytest.mark.slow
def test_ours_and_rivals_are_timed_on_the_same_files(tmp_path):
    speed = measure_building(tmp_path, 2_000, files=2, rivals={"pandas": sys.executable})
    assert speed.table["system"].str.split().str[0].tolist() == ["interest", "interest", "pandas"]
    assert (speed.table[["seconds", "cpu_seconds", "peak_gigabytes"]] > 0).all(axis=None)
    assert "read_csv, factorize of three columns" in speed.to_markdown()
    assert not list(tmp_path.iterdir())


def test_rivals_that_are_unknown_or_fail(tmp_path):
    with pytest.raises(ConfigError, match="no rival 'surprise'"):
        measure_building(tmp_path, 100, rivals={"surprise": sys.executable})


def test_a_failed_process_says_why(tmp_path):
    from eval.benchmarks.building import _timed

    with pytest.raises(InterestError, match="no such thing"):
        _timed([sys.executable, "-c", "raise SystemExit('no such thing')"])
