"""The state: each event once, durable, and the same users as a log of the events gives."""

import resource
import sqlite3
import threading
from dataclasses import replace

import numpy as np
import pytest

from gnn.baselines.popularity import Popularity
from gnn.live.events import Event, read_events
from gnn.live.state import LiveState
from gnn.users import user_batch
from graphgen.build import build_graph
from graphgen.errors import StorageError
from graphgen.log_files import read_log
from graphgen.meaning import taken_in
from graphgen.updating import update_graph


def equal(one, other):
    if one is None or other is None:
        return one is other
    return (one != other).nnz == 0 and np.array_equal(one.indptr, other.indptr)


def rules(model):
    return taken_in(model.provenance_["graph"])


@pytest.mark.parametrize("seed", range(5))
def test_users_are_those_of_a_log_of_their_events(model, some_events, seed):
    state = LiveState(None, model)
    state.apply(read_events(some_events(800, seed))[0])
    ids = np.array([*(f"u{i}" for i in range(60)), "nobody"], dtype=object)
    got = state.users(ids)
    log = read_log(state.frame(), as_in=rules(model))
    expected = user_batch(model.data, ids, log)
    for name in ("history", "order", "weights", "rejected"):
        assert equal(getattr(got, name), getattr(expected, name)), name
    assert np.array_equal(got.index, expected.index)
    assert np.array_equal(got.keys, expected.keys)
    assert got.rejected.nnz


def test_without_rules_and_times_the_latest_event_of_an_item_counts(log):
    model = Popularity().fit(build_graph(log, encoder="none"))
    state = LiveState(None, model)
    told = [("b00", "like", 1), ("b00", "dislike", 2), ("b01", "dislike", 1), ("b01", "", 3)]
    objects = [
        {"user_id": "new", "item_id": item, "domain": "book", "event": kind, "time": 10**12 + time}
        for item, kind, time in told
    ]
    state.apply(read_events(objects)[0])
    users = state.users(["new", "u000"])
    span = model.data.span("book")
    assert users.history[0].indices.tolist() == [span.start + 1]
    assert users.rejected[0].indices.tolist() == [span.start]
    assert users.rejected.data.tolist() == [-1.0]
    assert equal(users.history[1], user_batch(model.data, ["u000"], None).history)


def test_each_event_counts_once_whatever_the_order(model, some_events, tmp_path):
    events = read_events(some_events(300))[0]
    state = LiveState(tmp_path / "state.db", model)
    applied = state.apply(events)
    assert (applied.new, applied.duplicates) == (300, 0)
    assert 0 < applied.late < 300
    shuffled = [events[i] for i in np.random.default_rng(0).permutation(300)]
    again = state.apply([*shuffled, *shuffled[:10]])
    assert (again.new, again.duplicates, again.late) == (0, 310, 0)
    other = LiveState(None, model)
    other.apply(shuffled)
    # Of events of one item at the same millisecond the first to come counts, so leave them out.
    frame = state.frame()
    at_once = frame[frame.duplicated(["user_id", "domain", "item_id", "timestamp"])].user_id
    ids = sorted(set(frame.user_id) - set(at_once))
    assert len(ids) > 20
    assert equal(state.users(ids).history, other.users(ids).history)
    assert equal(state.users(ids).rejected, other.users(ids).rejected)
    assert state.counts()["events"] == 300


def test_unknown_users_items_and_domains_are_kept_and_counted(model):
    state = LiveState(None, model)
    base = Event("1", "u1", "book", "i1", "buy", 1.0, 1_700_000_000_000)
    events = [
        base,
        replace(base, event_id="2", user_id="stranger"),
        replace(base, event_id="3", item_id="new item"),
        replace(base, event_id="4", domain="game"),
    ]
    applied = state.apply(events)
    assert (applied.new, applied.unknown_users) == (4, 1)
    assert (applied.unknown_items, applied.unknown_domains) == (1, 1)
    assert len(state.frame()) == 4
    assert state.users(["stranger"]).history.nnz == 1
    assert state.counts()["unknown_items"] == 1


def test_users_of_a_separate_domain_have_it_before_their_id(log):
    graph = build_graph(read_log(log, separate_users=["book"]), encoder="none")
    state = LiveState(None, Popularity().fit(graph))
    given = {"user_id": "u001", "item_id": "b00", "domain": "book"}
    applied = state.apply(read_events([given, given | {"user_id": "book:u002"}])[0])
    assert (applied.new, applied.unknown_users) == (2, 0)
    assert state.frame().user_id.tolist() == ["book:u001", "book:u002"]


def test_another_process_or_thread_sees_what_was_applied(model, some_events, tmp_path):
    """Each connection of SQLite sees the file as another process would."""
    path = tmp_path / "state.db"
    first, second = LiveState(path, model), LiveState(path, model)
    events = read_events(some_events(400))[0]
    threads = [
        threading.Thread(target=state.apply, args=(events[low : low + 150],))
        for state, low in [(first, 0), (second, 100), (first, 200), (second, 250)]
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert first.n_events == second.n_events == 400
    assert first.refresh() == 400
    assert first.refresh() == 0
    assert first.counts()["new"] + second.counts()["new"] == 400
    ids = [f"u{i}" for i in range(50)]
    assert equal(first.users(ids).history, second.users(ids).history)


def test_a_full_disk_refuses_a_whole_batch_and_loses_nothing(model, some_events, tmp_path):
    state = LiveState(tmp_path / "state.db", model)
    events = read_events(some_events(4000))[0]
    state.apply(events[:100])
    size = (tmp_path / "state.db-wal").stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 50_000, hard))
    try:
        with pytest.raises(StorageError, match=r"state\.db"):
            state.apply(events[100:])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert state.n_events == 100
    assert state.apply(events).new == 3900
    state.close()
    checked = sqlite3.connect(tmp_path / "state.db").execute("PRAGMA integrity_check").fetchone()
    assert checked == ("ok",)


def test_a_file_that_is_no_database_is_refused(model, tmp_path):
    (tmp_path / "state.db").write_text("user_id,item_id\n" * 100)
    with pytest.raises(StorageError, match="not a database"):
        LiveState(tmp_path / "state.db", model)


@pytest.mark.parametrize(("early", "with_times"), [(0, True), (10**9, True), (0, False)])
def test_the_events_are_a_log_that_updates_the_graph(
    some_events, training_rows, meaning, early, with_times
):
    rows = training_rows if with_times else training_rows.drop(columns="timestamp")
    graph = build_graph(read_log(rows, events=meaning), encoder="none")
    model = Popularity().fit(graph)
    state = LiveState(None, model)
    # An item that was liked in training and is only seen now: no like here, still one there.
    alike = {"play", "buy", "like", "dislike", "other", ""}
    events = [event for event in read_events(some_events(300))[0] if event.event in alike]
    # However early it says it was, an event counts as later than training.
    state.apply([replace(event, time=event.time - early) for event in events])
    graph = update_graph(graph, state.frame(), reading={"all_later": True})
    assert "game" in graph.domains
    later = Popularity().fit(graph)
    # What a live user is now is what training on the later graph makes of the user.
    ids = [f"u{number}" for number in range(40)]
    now, then = state.users(ids), later.data.batch(later.data.users.encode(ids))
    for domain in model.data.domains:
        known = model.data.items[domain].ids
        new = later.data.items[domain].encode(known) + later.data.span(domain).start
        for name in ("history", "weights"):
            old, there = getattr(now, name)[:, model.data.span(domain)], getattr(then, name)[:, new]
            assert np.array_equal(old.toarray() > 0, there.toarray() > 0), name
            assert np.allclose(old.toarray(), there.toarray()), name


def test_what_a_model_has_learned_counts_once(model, trained_graph, some_events, tmp_path):
    path = tmp_path / "state.db"
    state = LiveState(path, model)
    events = [event for event in read_events(some_events(200))[0] if event.event == "play"]
    state.apply(events[:-1])
    frame = state.frame()
    updated = Popularity().fit(update_graph(trained_graph, frame))
    updated.provenance_ |= frame.attrs
    later = LiveState(path, updated)
    assert later.frame().empty
    user = events[0].user_id
    trained = user_batch(updated.data, [user], None)
    assert equal(later.users([user]).weights, trained.weights)
    # What came after it counts, for a model that has learned it and for the former one.
    later.apply([replace(events[-1], user_id=user, event_id="new", weight=3.0)])
    assert len(later.frame()) == 1
    assert len(state.frame()) == len(frame) + 1
    assert later.users([user]).weights.sum() > trained.weights.sum()
    # Another state starts anew.
    assert LiveState(None, updated).apply(events).new == len(events)
    other = LiveState(tmp_path / "other.db", updated)
    other.apply(events)
    assert len(other.frame()) == len(events)
