"""Streams on real engines: killed at any moment, every event is in the state exactly once."""

import json
import multiprocessing
import random
import sqlite3
import threading
import time
from contextlib import closing

import pytest

from gnn.live.consuming import consume
from gnn.live.sources import open_source
from gnn.live.state import LiveState

KINDS = ["sqlite", "redis", "kafka"]
FORKS = multiprocessing.get_context("fork")
every_kind = pytest.mark.parametrize("broker", KINDS, indirect=True)


def work(url, model, folder, once=False, batch=50):
    """Consume in this process, from a source and a state that it opens itself."""
    source, state = open_source(url), LiveState(folder / "state.db", model)
    stop = threading.Event()
    done = consume(source, state, folder / "dead.jsonl", stop=stop, once=once, batch=batch)
    source.close()
    state.close()
    return done


def stored(folder):
    """Return the ids of the events in the state."""
    # Closed before the next fork: a connection must not live in two processes.
    with closing(sqlite3.connect(folder / "state.db")) as file:
        return [row[0] for row in file.execute("SELECT event_id FROM events")]


def acknowledged(broker, folder):
    """Return the ids of events that the source holds for acknowledged, as far as it tells."""
    if broker.kind == "sqlite":
        with closing(sqlite3.connect(folder / "queue.db")) as file:
            left = {
                json.loads(row[0])["event_id"] for row in file.execute("SELECT body FROM messages")
            }
        return lambda sent: sent - left
    import redis

    client = redis.Redis(port=broker.port)
    group = client.xinfo_groups("events")[0]
    pending = {
        e["message_id"] for e in client.xpending_range("events", "interest", "-", "+", 10**6)
    }
    read = client.xrange("events", "-", group["last-delivered-id"])
    done = {json.loads(fields[b"json"])["event_id"] for key, fields in read if key not in pending}
    return lambda sent: done


def kill_at_random_moments(broker, model, make, folder, moments):
    """Send events, and kill whoever takes them in, again and again; then let one end its work."""
    chance = random.Random(moments)
    LiveState(folder / "state.db", model).close()
    source, sent, killed_at_work = open_source(broker.url), set(), 0
    for moment in range(moments):
        objects = make(150, seed=moment)
        source.send([*objects, *chance.choices(objects, k=10)])
        sent |= {one["event_id"] for one in objects}
        before = len(stored(folder))
        worker = FORKS.Process(target=work, args=(broker.url, model, folder))
        worker.start()
        # Long enough to begin, often too short to end.
        limit = time.monotonic() + 20
        if broker.kind == "kafka":
            while len(stored(folder)) == before and time.monotonic() < limit:
                time.sleep(0.01)
        time.sleep(chance.uniform(0, 0.25))
        worker.kill()
        worker.join()
        ids = stored(folder)
        assert len(ids) == len(set(ids))
        killed_at_work += before < len(ids) < len(sent)
        if broker.kind != "kafka":
            assert acknowledged(broker, folder)(sent) <= set(ids)
    source.close()
    done = work(broker.url, model, folder, once=True)
    assert sorted(stored(folder)) == sorted(sent)
    assert done.lag == 0
    return killed_at_work


@every_kind
def test_killed_at_random_moments_every_event_is_there_once(broker, model, some_events, tmp_path):
    kill_at_random_moments(broker, model, some_events, tmp_path, 3 if broker.kind == "kafka" else 5)


@pytest.mark.slow
@every_kind
def test_killed_at_100_random_moments(broker, model, some_events, tmp_path):
    assert kill_at_random_moments(broker, model, some_events, tmp_path, 100) > 20
