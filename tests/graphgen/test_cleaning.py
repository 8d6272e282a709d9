import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from eval.commands.main import app
from graphgen.cleaning.behaviour import gap_entropy, trailing_counts
from graphgen.cleaning.config import CleanConfig
from graphgen.cleaning.pipeline import clean_log, cleaner
from graphgen.cleaning.steps import STEPS
from graphgen.errors import InputError, InterestError
from graphgen.log import InteractionLog
from graphgen.log_files import read_log
from graphgen.looking.cleaning_page import write_cleaned

MINUTE, DAY = 60_000, 86_400_000


def log_of(rows, columns="user_id item_id timestamp"):
    return pd.DataFrame(rows, columns=columns.split())


def kept(cleaned, *columns):
    return cleaned.log.frame[list(columns)].to_numpy().tolist()


# The steps, each by hand


def test_exact_duplicates_are_equal_in_every_column():
    rows = [("u", "a", 10**9, "x"), ("u", "a", 10**9, "x"), ("u", "a", 10**9, "y")]
    cleaned = clean_log(log_of(rows, "user_id item_id timestamp page"))
    assert kept(cleaned, "page") == [["x"], ["y"]]
    assert cleaned.removed.step.tolist() == ["exact_duplicates"]


@pytest.mark.parametrize(
    ("times", "left"),
    [
        (None, 3),  # without times two plays may be two
        (["2024-01-01"] * 3, 3),  # and so where times are whole days
        (["2024-01-01T10:00:00Z"] * 3, 1),
    ],
)
def test_repeated_events_are_duplicates_only_where_times_would_tell_them_apart(times, left):
    frame = pd.DataFrame({"user_id": "u", "item_id": "a", "event": ["play"] * 3})
    frame = frame if times is None else frame.assign(timestamp=times)
    assert len(clean_log(frame).log) == left
    built = read_log(frame, events={"play": 0.5})
    assert built.frame.weight.tolist() == [0.5 * left]


def test_a_time_window_is_half_open():
    log = log_of([("u", "a", "2024-01-01"), ("u", "b", "2024-01-02"), ("u", "c", "2024-01-03")])
    cleaned = clean_log(log, since="2024-01-02", until="2024-01-03")
    assert kept(cleaned, "item_id") == [["b"]]


def test_bots_leave_by_rate_repetition_and_regularity():
    rng = np.random.default_rng(0)
    start = 1_700_000_000_000
    people = [
        (f"p{u}", f"i{item}", start + int(gap))
        for u in range(5)
        for item, gap in enumerate(rng.lognormal(np.log(DAY), 3, 30).cumsum())
    ]
    fast = [("fast", f"i{n}", start + 1000 * n + int(rng.integers(900))) for n in range(30)]
    same = [("same", "i0", start + int(g)) for g in rng.lognormal(18, 3, 30).cumsum()]
    regular = [("regular", f"i{n}", start + DAY * n) for n in range(30)]
    log = log_of(people + fast + same + regular)
    cleaned = clean_log(log, max_rate=25, max_repetition=0.5, min_gap_entropy=1)
    left = cleaned.removed.groupby("step").user_id.unique().map(list).to_dict()
    assert left == {
        "fast_users": ["fast"],
        "repeating_users": ["same"],
        "regular_users": ["regular"],
    }
    assert "regular" in cleaned.steps[3]["note"]
    assert cleaned.to_dict()["users"]["max_rate"]["100 %"] == 30


def test_a_burst_is_cut_and_its_user_stays():
    times = [0, 1, 2, 3, 90, 91]  # minutes
    log = log_of([("u", f"i{n}", 1_700_000_000_000 + t * MINUTE) for n, t in enumerate(times)])
    cleaned = clean_log(log, max_burst=2)
    assert kept(cleaned, "item_id") == [["i0"], ["i1"], ["i4"], ["i5"]]


def test_centered_ratings_decide_anew_what_is_a_like():
    generous = [("g", f"i{n}", 5) for n in range(8)] + [("g", "bad", 4)]
    strict = [("s", f"i{n}", 2) for n in range(8)] + [("s", "good", 5)]
    log = log_of(generous + strict, "user_id item_id rating")

    def likes(cleaned):
        return {
            *cleaned.log.frame[cleaned.log.liked][["user_id", "item_id"]].itertuples(index=False)
        }

    fives = {("g", f"i{n}") for n in range(8)} | {("s", "good")}
    assert likes(clean_log(log)) == fives | {("g", "bad")}
    cleaned = clean_log(log, ratings="centered")
    assert likes(cleaned) == fives
    frame = cleaned.log.frame
    prior, n, domain = 5, 9, log.rating.mean()
    mean = (8 * 5 + 4 + prior * domain) / (n + prior)
    assert frame.rating.iloc[8] == pytest.approx(4 - mean + domain, abs=1e-5)
    spread = clean_log(log, ratings="standardised").log.frame.rating
    assert spread.between(log.rating.min(), log.rating.max()).all()


def test_weights_decay_and_repeats_add_up():
    log = log_of(
        [("u", "a", "2024-01-01"), ("u", "a", "2024-01-11"), ("u", "b", "2024-01-21")],
    )
    cleaned = clean_log(log, half_life=10, repeats="count")
    assert kept(cleaned, "item_id", "weight") == [["a", 0.75], ["b", 1.0]]
    assert kept(clean_log(log, half_life=10, min_weight=0.3), "weight") == [[0.5], [1.0]]
    for how, day in (("first", 1), ("last", 11)):
        assert clean_log(log, repeats=how).log.frame.timestamp.dt.day.tolist() == [day, 21]


def test_activity_is_counted_until_all_have_enough():
    rows = [("u", "a"), ("u", "b"), ("v", "a"), ("v", "b"), ("w", "a"), ("w", "c")]
    cleaned = clean_log(log_of(rows, "user_id item_id"), min_user=2, min_item=2)
    assert kept(cleaned, "user_id", "item_id") == [list(row) for row in rows[:4]]
    assert len(clean_log(log_of(rows, "user_id item_id"), min_item=3).log) == 3


def test_build_cancels_what_a_later_drop_or_dislike_cancels():
    frame = log_of(
        [("u", "a", 1, "buy"), ("u", "a", 2, "refund"), ("u", "b", 3, "buy")],
        "user_id item_id timestamp event",
    )
    log = read_log(
        frame,
        events={"buy": 1, "refund": "drop"},
        clean=cleaner(CleanConfig(repeats="count")),
    )
    assert log.frame.item_id.tolist() == ["b"]
    report = log.report
    assert report.rows_read == len(log) + report.dropped + report.duplicates + report.cleaned
    assert [step["step"] for step in report.cleaning] == ["exact_duplicates", "repeats"]


@pytest.mark.parametrize(
    "needs",
    [{"max_rate": 3}, {"half_life": 3}, {"since": "2024-01-01"}, {"ratings": "centered"}],
)
def test_a_step_without_its_column_says_so(needs):
    with pytest.raises(InputError, match=f"`{next(iter(needs))}` needs"):
        clean_log(log_of([("u", "a")], "user_id item_id"), **needs)


# Against slow oracles


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9)), max_size=25), st.integers(1, 5))
def test_trailing_counts_against_an_oracle(rows, window):
    users, times = np.array(rows, dtype=np.int64).reshape(-1, 2).T
    order = sorted(range(len(rows)), key=lambda row: (times[row], row))
    expected = np.zeros(len(rows), dtype=int)
    for place, row in enumerate(order):
        before = [other for other in order[: place + 1] if users[other] == users[row]]
        expected[row] = sum(times[row] - times[other] < window for other in before)
    assert trailing_counts(users, times * 1000, window).tolist() == expected.tolist()


def test_regular_gaps_have_no_entropy_and_few_gaps_are_not_judged():
    users = np.repeat([0, 1, 2], [9, 9, 3])
    times = np.concatenate([np.arange(9) * 1000, 4 ** np.arange(9), [1, 5, 9]])
    entropy = gap_entropy(users, times, 3, least=8)
    assert entropy[0] == 0
    assert entropy[1] == pytest.approx(3)
    assert np.isnan(entropy[2])


setting = st.fixed_dictionaries(
    {},
    optional={
        "exact_duplicates": st.booleans(),
        "since": st.sampled_from(["1970-01-01", "2001-09-09T01:46:41Z", "2100-01-01"]),
        "until": st.sampled_from(["2001-09-09T01:46:43Z", "1960-01-01"]),
        "max_rate": st.integers(1, 4),
        "max_burst": st.integers(1, 4),
        "max_repetition": st.sampled_from([0, 0.5]),
        "min_gap_entropy": st.sampled_from([0.1, 2]),
        "judged_from": st.integers(2, 4),
        "window": st.sampled_from([0.01, 1, 1e6]),
        "ratings": st.sampled_from(["centered", "standardised"]),
        "half_life": st.sampled_from([1e-6, 1]),
        "min_weight": st.sampled_from([0.5]),
        "repeats": st.sampled_from(["keep", "last", "first", "count"]),
        "min_user": st.integers(0, 3),
        "min_item": st.integers(0, 3),
    },
)
lines = st.lists(
    st.tuples(
        st.sampled_from("uvw"),
        st.sampled_from("abc"),
        st.sampled_from(["1000000000", "1000000001", "1000000500", "1000000003"]),
        st.sampled_from(["1", "4", "5"]),
        st.sampled_from(["play", "skip", ""]),
    ),
    min_size=1,
    max_size=20,
)


@settings(max_examples=25, deadline=None)
@given(lines, st.permutations(["timestamp", "rating", "event"]), st.integers(0, 3), setting)
def test_rows_in_are_rows_out_and_rows_reported(rows, columns, n, chosen):
    frame = log_of(rows, "user_id item_id timestamp rating event").drop(columns=columns[n:])
    try:
        cleaned = clean_log(frame, **chosen)
    except InterestError as error:
        assert str(error)
        return
    assert len(frame) == len(cleaned.log) + len(cleaned.removed)
    assert sum(step["rows"] for step in cleaned.steps) == len(cleaned.removed)
    assert set(cleaned.removed.step) <= {*STEPS}
    report = cleaned.log.report
    gone = (report.duplicates, report.dropped, report.k_core_dropped, report.cleaned)
    assert report.rows_read == len(cleaned.log) + sum(gone)
    if not chosen:
        again = clean_log(cleaned.log)
        assert again.log == cleaned.log


# The files


def test_the_folder_holds_a_log_that_reads_back_and_a_report(tmp_path, outline):
    frame = log_of([("u<b>", "a", 10**9, 5), ("u<b>", "a", 10**9, 5), ("v", "b", 10**9 + 5, 2)],
                   "user_id item_id timestamp rating")  # fmt: skip
    cleaned = clean_log(frame)
    write_cleaned(cleaned, tmp_path / "out")
    assert read_log(tmp_path / "out/log.csv", deduplicate=False) == cleaned.log
    assert "weight" not in pd.read_csv(tmp_path / "out/log.csv")
    assert pd.read_csv(tmp_path / "out/removed.csv").step.tolist() == ["exact_duplicates"]
    report = json.loads((tmp_path / "out/report.json").read_text())
    assert (report["rows_in"], report["rows_out"], report["removed"]) == (3, 2, 1)
    page = outline(tmp_path / "out/report.html")
    assert not page.loads
    assert "exact_duplicates" in page.text
    assert page.tags.count("svg") == 3


def test_the_command_cleans_and_build_does_the_same(tmp_path):
    log = tmp_path / "log.csv"
    log_of(
        [("u", "a", 10**9), ("u", "a", 10**9), ("u", "b", 10**9 + 9), ("v", "a", 10**9 + 9)]
    ).to_csv(log, index=False)
    run = CliRunner().invoke
    done = run(app, ["clean", str(log), "--set", "min_item=2", "--out", str(tmp_path / "clean")])
    assert done.exit_code == 0, done.output
    assert "4 rows in, 2 in" in done.output
    done = run(
        app,
        ["build", str(log), "--clean", "min_item=2", "--encoder", "none", "--out", f"{tmp_path}/g"],
    )
    assert done.exit_code == 0, done.output
    from graphgen.graph import load_graph

    report = load_graph(tmp_path / "g").provenance["log"]["report"]
    assert [s["step"] for s in report["cleaning"]] == ["exact_duplicates", "activity"]
    assert load_graph(tmp_path / "g").provenance["log"]["rows"] == 2
    assert isinstance(cleaner(CleanConfig())(InteractionLog(pd.read_csv(log))), InteractionLog)
