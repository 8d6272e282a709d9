import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphgen.build import build_graph
from graphgen.errors import ConfigError, InputError
from graphgen.log import InteractionLog
from graphgen.log_files import read_log
from graphgen.reading.filters import combined_rows

MUSIC = """user_id,item_id,event,timestamp
ann,a,play,1
ann,a,play,2
ann,a,like,3
ann,b,like,1
ann,b,refund,2
bob,a,play,5
bob,a,skip,6
cem,a,skip,1
cem,a,play,2
"""
EVENTS = {"like": 1, "play": 0.3, "skip": "negative", "refund": "drop"}
BOOKS = "user_id,item_id,rating\nann,x,5\nann,y,2\nbob,x,3\nbob,z,4\n"


def write(path, text):
    path.write_text(text)
    return path


def weights(log):
    frame = log.frame
    return dict(zip(frame.user_id + frame.item_id, frame.weight.round(4), strict=True))


def test_events_add_up_and_later_refusals_override(tmp_path):
    log = read_log(write(tmp_path / "m.csv", MUSIC), events=EVENTS)
    assert weights(log) == pytest.approx({"anna": 1.6, "boba": -1, "cema": 0.3})
    assert "event" not in log.frame
    assert log.report.dropped == 1


def test_without_times_a_dislike_wins(tmp_path):
    log = read_log(write(tmp_path / "m.csv", MUSIC), events=EVENTS, columns={"timestamp": ""})
    assert weights(log) == pytest.approx({"anna": 1.6, "boba": -1, "cema": -1})


def test_domains_with_ratings_events_and_neither(tmp_path):
    log = read_log(
        {
            "music": write(tmp_path / "m.csv", MUSIC),
            "books": write(tmp_path / "b.csv", BOOKS),
            "films": write(tmp_path / "f.csv", "user_id,item_id\nann,f\n"),
        },
        events=EVENTS,
        negative="books:rating<=2",
    )
    assert weights(log.where(domain="books")) == {"annx": 1, "anny": -1, "bobx": 0, "bobz": 1}
    assert weights(log.where(domain="films")) == {"annf": 1}
    assert weights(log.where(domain="music"))["anna"] == pytest.approx(1.6)
    assert log.report.taken.rules["books"] == "rating >= 4, rest seen, disliked: rating <= 2"
    assert log.report.taken.counts() == {"likes": 9, "seen": 1, "disliked": 3, "dropped": 1}


@pytest.mark.parametrize(
    ("ratings", "likes"),
    [
        ([0, 1, 1], [0, 1, 1]),
        ([3.5, 4, 5], [0, 1, 1]),
        ([7, 8, 10], [0, 1, 1]),
        ([79, 80, 100], [0, 1, 1]),
        ([-10, 4, 5], [-1, 0, 1]),
        ([0, 1, 4000], [0, 1, 1]),
    ],
)
def test_likes_of_a_scale(ratings, likes):
    frame = pd.DataFrame({"user_id": "u", "item_id": list("abc"), "rating": ratings})
    assert InteractionLog(frame).frame.weight.tolist() == likes


def test_the_rules_of_the_training_log_hold_for_the_truth(tmp_path):
    train = read_log(write(tmp_path / "a.csv", BOOKS))
    truth = write(tmp_path / "t.csv", "user_id,item_id,rating\nann,z,1\n")
    assert read_log(truth).frame.weight.tolist() == [1]  # A scale of 0 and 1, by itself.
    assert read_log(truth, as_in=train.report.taken).frame.weight.tolist() == [0]
    rules = read_log(tmp_path / "a.csv", positive="rating>=1").report.taken
    assert read_log(truth, as_in=rules).frame.weight.tolist() == [1]


def test_a_written_log_reads_as_it_was(tmp_path):
    log = read_log(write(tmp_path / "a.csv", BOOKS), negative="rating<=2", positive="rating>=3")
    log.frame.to_csv(tmp_path / "b.csv", index=False)
    assert read_log(tmp_path / "b.csv") == log


def test_wrong_rules_are_refused(tmp_path, caplog):
    path = write(tmp_path / "m.csv", MUSIC)
    with pytest.raises(ConfigError, match=r"must be a number, negative, seen or drop; got 'bad'"):
        read_log(path, events={"like": "bad"})
    with pytest.raises(ConfigError, match=r"condition 'rating' lacks"):
        read_log(path, positive="rating")
    with pytest.raises(InputError, match=r"no column 'rating'"):
        read_log(path, positive="rating>=4")
    with pytest.raises(InputError, match=r"no column 'event'"):
        read_log(write(tmp_path / "b.csv", BOOKS), events=EVENTS)
    read_log(path, events={"plya": 1})
    assert "did you mean 'play'?" in caplog.text


def test_a_graph_needs_a_like_and_keeps_the_rest_as_seen(tmp_path):
    graph = build_graph(read_log(write(tmp_path / "b.csv", BOOKS)), encoder="none")
    ends, weight = graph.rejections("items")
    assert ends.shape == (2, 2) and weight.tolist() == [0, 0]
    graph.save(tmp_path / "g")
    assert type(graph).load(tmp_path / "g").rejections("items")[0].equal(ends)
    with pytest.raises(InputError, match=r"None of the 4 interactions is a like"):
        build_graph(read_log(tmp_path / "b.csv", positive="rating>5"), encoder="none")


events = st.tuples(
    st.integers(0, 2), st.sampled_from([1.0, 0.3, 0.0, -1.0, np.nan]), st.booleans(),
    st.integers(0, 3),
)  # fmt: skip


@given(st.lists(events, min_size=1, max_size=12))
def test_combined_rows_against_an_oracle(rows):
    key, weight, additive, times = (np.array(column) for column in zip(*rows, strict=True))
    keep, total = combined_rows(key, weight, additive, times)
    for pair in np.unique(key):
        mine = np.flatnonzero(key == pair)
        plain = [i for i in mine if not additive[i]]
        latest = [max(plain, key=lambda i: (times[i], -i))] if plain else []
        mine = [i for i in mine if additive[i]] + latest

        def order(i):
            return times[i], 1 if np.isnan(weight[i]) else 2 if weight[i] < 0 else 0

        state = None
        for i in sorted(mine, key=order):
            if weight[i] >= 0:
                state = weight[i] + (state if state is not None and state > 0 else 0.0)
            else:
                state = weight[i]
        found = total[np.flatnonzero((key == pair) & keep)]
        expected = [] if np.isnan(state) else [state]
        assert found.tolist() == pytest.approx(expected)
