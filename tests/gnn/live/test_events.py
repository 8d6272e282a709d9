"""Events as they come: whatever they hold, each is either an event or has a reason."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnn.live.events import now, read_events, read_json

GOOD = {"user_id": "ann", "item_id": "dune", "domain": "book", "time": 1_700_000_000_000}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"user_id": None}, "`user_id` is required"),
        ({"item_id": "  "}, "`item_id` is required"),
        ({"user_id": True}, "not true or false"),
        ({"user_id": ["ann"]}, "`user_id` must be text"),
        ({"item_id": 1.5}, "must be a whole number"),
        ({"item_id": "\ud800"}, "must be valid UTF-8"),
        ({"item_id": "x" * 600}, "at most 512 characters"),
        ({"domain": ""}, "`domain` is required"),
        ({"domain": "user"}, "reserved"),
        ({"weight": float("nan")}, "`weight` must be a finite number"),
        ({"weight": 10**400}, "`weight` must be a finite number"),
        ({"weight": "much"}, "`weight` must be a finite number"),
        ({"weight": False}, "`weight` must be a finite number"),
        ({"rating": 2}, "`rating` is no part of an event"),
        ({"time": 1_700_000_000}, "looks like seconds"),
        ({"time": 10**30}, "ahead of the clock"),
        ({"time": "yesterday"}, "ISO 8601"),
        ({"time": [1]}, "ISO 8601"),
    ],
)
def test_a_bad_event_is_rejected_with_the_reason(change, reason):
    events, rejected = read_events([GOOD, GOOD | change])
    assert len(events) == 1
    assert reason in rejected[0].reason


def test_ids_times_and_weights_have_several_forms():
    given = [
        GOOD | {"user_id": 7, "time": "2023-11-14T22:13:20Z", "weight": "0.5"},
        {key: value for key, value in GOOD.items() if key != "time"}
        | {"timestamp": "2023-11-14T23:13:20+01:00"},
    ]
    (first, second), _ = read_events(given)
    assert (first.user_id, first.time, first.weight) == ("7", 1_700_000_000_000, 0.5)
    assert (second.time, second.weight, second.event) == (1_700_000_000_000, 1.0, "")


def test_an_event_without_id_is_the_same_one_whenever_it_comes_again():
    (first,), _ = read_events([GOOD])
    (again,), _ = read_events([dict(reversed(GOOD.items()))])
    (other,), _ = read_events([GOOD | {"weight": 2}])
    assert first.event_id == again.event_id != other.event_id


def test_an_event_without_time_has_that_of_its_arrival():
    bare = {"user_id": "ann", "item_id": "dune"}
    (event,), _ = read_events([bare], domain="book", times=[5])
    assert (event.time, event.domain) == (5, "book")
    (event,), _ = read_events([bare], domain="book")
    assert abs(event.time - now()) < 60_000


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)
KEYS = st.sampled_from(
    ["user_id", "item_id", "domain", "event", "weight", "time", "timestamp", "event_id", "rating"]
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.dictionaries(KEYS, VALUES, max_size=6) | VALUES, max_size=4))
def test_anything_is_an_event_or_rejected_and_what_is_rejected_can_be_written(objects):
    events, rejected = read_events(objects, domain="book")
    assert len(events) + len(rejected) == len(objects)
    for one in rejected:
        json.dumps(one.raw).encode()
    assert all(event.user_id and event.item_id for event in events)


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"1" * 5_000])
def test_a_message_that_is_no_json_says_so(raw):
    with pytest.raises(ValueError, match="is not JSON"):
        read_json(raw)
