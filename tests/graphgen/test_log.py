from __future__ import annotations

import tempfile
import unicodedata
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphgen.errors import BadRowsError, ConfigError, InputError
from graphgen.log import InteractionLog
from graphgen.log_files import read_log

# The machines of CI are slow at times; that is no failure.
unhurried = settings(deadline=None, max_examples=60)

LOG = "user_id,item_id,domain,rating,timestamp\nann,1,books,5,10\nbob,007,films,2,20\n"


def write(path, content):
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def frame_of(rows, columns="user_id domain item_id"):
    return pd.DataFrame(rows, columns=columns.split())


# The log itself

identifier = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=4)
rows = st.lists(
    st.tuples(
        st.sampled_from("abcd"), st.sampled_from(["x", "y"]), st.sampled_from("123"),
        st.integers(0, 3), st.integers(0, 5),
    ),
    min_size=1, max_size=40,
)  # fmt: skip
COLUMNS = "user_id domain item_id timestamp weight"


@unhurried
@given(st.lists(st.tuples(identifier, identifier), min_size=1, max_size=10))
def test_any_ids_survive_a_csv_file(pairs):
    pairs = [(a, b) for a, b in pairs if a.strip() and b.strip()]
    frame = frame_of(pairs, "user_id item_id")
    if not pairs:
        return
    expected = [tuple(unicodedata.normalize("NFC", x.strip()) for x in pair) for pair in pairs]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.csv"
        frame.to_csv(path, index=False, lineterminator="\n", quoting=1)
        log = read_log(path, deduplicate=False)
    read = list(zip(log.frame.user_id, log.frame.item_id, strict=True))
    stripped_by_arrow = InteractionLog(frame).frame
    assert read == list(zip(stripped_by_arrow.user_id, stripped_by_arrow.item_id, strict=True))
    ascii_space = " \t\n\r\x0b\x0c"
    if all(value.strip() == value.strip(ascii_space) for pair in pairs for value in pair):
        assert read == expected


@unhurried
@given(rows, st.randoms())
def test_order_does_not_matter_to_equality(content, random):
    log = InteractionLog(frame_of(content, COLUMNS))
    shuffled = random.sample(content, len(content))
    other = InteractionLog(frame_of(shuffled, COLUMNS))
    assert log.digest() == other.digest()
    assert log == other
    assert hash(log) == hash(other)
    changed = [(*content[0][:4], 9), *content[1:]]
    assert InteractionLog(frame_of(changed, COLUMNS)) != log
    assert InteractionLog(frame_of([*content, content[0]], COLUMNS)) != log


@unhurried
@given(rows)
def test_deduplication_keeps_the_latest_and_is_idempotent(content):
    log = InteractionLog(frame_of(content, COLUMNS))
    once = log.deduplicate()
    assert once.deduplicate() is once
    assert once.report.duplicates == len(log) - len(once)
    expected = {}
    for *key, time, weight in content:
        if tuple(key) not in expected or time > expected[tuple(key)][0]:
            expected[tuple(key)] = (time, weight)
    frame = once.frame
    found = {
        (u, d, i): (int(t.timestamp()), int(w))
        for u, d, i, t, w in frame[COLUMNS.split()].itertuples(index=False)
    }
    assert found == expected


def test_without_times_the_first_is_kept():
    log = InteractionLog(
        frame_of([("a", "x", "1", 1), ("a", "x", "1", 2)], "user_id domain item_id weight")
    )
    assert log.deduplicate().frame.weight.tolist() == [1]


@unhurried
@given(rows, st.integers(0, 4))
def test_k_core_is_the_fixed_point(content, k):
    core = {row[:3] for row in content}
    log = InteractionLog(frame_of(sorted(core)))
    while True:  # the slow, obvious way
        users = {u: sum(r[0] == u for r in core) for u, _, _ in core}
        items = {(d, i): sum(r[1:] == (d, i) for r in core) for _, d, i in core}
        left = {r for r in core if users[r[0]] >= k and items[r[1:]] >= k}
        if left == core:
            break
        core = left
    if not core:
        with pytest.raises(InputError, match="core is empty"):
            log.k_core(k)
        return
    found = log.k_core(k)
    assert set(found.frame.itertuples(index=False, name=None)) == core
    assert found.k_core(k) is found
    assert found.report.k_core_dropped == len(log) - len(found)


def test_a_log_cannot_be_changed():
    log = InteractionLog(frame_of([("a", "x", "1", 1.0)], "user_id domain item_id weight"))
    digest = log.digest()
    frame = log.frame
    frame["weight"] = 7
    frame.loc[0, "user_id"] = "z"
    assert log.frame.user_id.tolist() == ["a"]
    assert InteractionLog(log.frame).digest() == digest
    with pytest.raises(AttributeError):
        log.frame = frame
    with pytest.raises(ValueError, match="read-only"):
        log.frame.weight.to_numpy()[0] = 7


def test_the_frame_given_may_be_changed_afterwards():
    frame = frame_of([("a", "x", "1", np.float32(1))], "user_id domain item_id weight")
    log = InteractionLog(frame)
    frame.loc[0, "weight"] = 9
    assert log.frame.weight.tolist() == [1]


def test_where_before_and_concat():
    log = InteractionLog(
        frame_of(
            [("a", "x", "1", "2020-01-01", "train"), ("b", "y", "2", "2020-01-02", "test")],
            "user_id domain item_id timestamp split",
        )
    )
    assert log.where(split="test").domains == ["y"]
    assert len(log.where(split=["test", "train"], user_id={"a"})) == 1
    assert log.where(split="nothing").domains == []
    with pytest.raises(InputError, match="no column 'spilt'; did you mean 'split'"):
        log.where(spilt="test")
    assert log.before("2020-01-02").frame.user_id.tolist() == ["a"]
    assert len(log.before(datetime(2020, 1, 2, 1, tzinfo=UTC))) == 2
    with pytest.raises(ConfigError, match="must be an ISO 8601 date; got 'soon'"):
        log.before("soon")
    parts = [log.where(split="test"), log.where(split="train")]
    assert InteractionLog.concat(*parts) == log
    assert InteractionLog.concat(*parts).report.interactions == 2
    assert InteractionLog.concat(log, log.before("1999-01-01")) == log
    with pytest.raises(InputError, match="has no timestamps"):
        InteractionLog(frame_of([("a", "x", "1")])).before("2020-01-01")
    timed = InteractionLog.concat(log, InteractionLog(frame_of([("a", "x", "1")])))
    assert len(timed) == len(log) + 1 and not timed.has_time


def test_an_empty_log_is_a_log():
    log = InteractionLog(frame_of([], COLUMNS))
    assert (len(log), log.n_users, log.n_items, log.domains) == (0, 0, 0, [])
    assert log.has_time
    assert log == InteractionLog(frame_of([], COLUMNS))
    assert len(log.deduplicate().k_core(2)) == 0


def test_frames_with_objects_and_errors():
    log = InteractionLog(frame_of([(1, "x", "a"), ("1", "x", 2.0)]))
    assert log.frame.user_id.tolist() == ["1", "1"]
    with pytest.raises(
        BadRowsError, match="DataFrame, line 2, column 'item_id': must not be empty"
    ):
        InteractionLog(frame_of([("a", "x", "1"), ("a", "x", None)]))
    with pytest.raises(InputError, match="DataFrame has no column 'user_id'"):
        InteractionLog(pd.DataFrame({"item_id": ["a"]}))


def test_progress_does_not_change_the_result(tmp_path):
    path = write(tmp_path / "a.csv", LOG)
    assert read_log(path, progress=True) == read_log(path)
