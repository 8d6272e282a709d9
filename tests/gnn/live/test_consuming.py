"""Streams on real engines: killed at any moment, every event is in the state exactly once."""

import json
import multiprocessing
import random
import resource
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from gnn.live.consuming import consume
from gnn.live.sources import open_source
from gnn.live.state import LiveState
from graphgen.errors import ConfigError

KINDS = ["sqlite", "redis", "kafka"]
FORKS = multiprocessing.get_context("fork")
every_kind = pytest.mark.parametrize("broker", KINDS, indirect=True)


def work(url, model, folder, once=False, batch=10):
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
        # Most are killed at work, some before they begin, some when they are done.
        limit = time.monotonic() + 20
        while chance.random() < 0.99 and len(stored(folder)) == before:
            assert time.monotonic() < limit
            time.sleep(0.005)
        time.sleep(chance.uniform(0, 0.1))
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


@pytest.mark.long
@every_kind
def test_killed_at_100_random_moments(broker, model, some_events, tmp_path):
    assert kill_at_random_moments(broker, model, some_events, tmp_path, 100) > 5


def run_aside(*given, **named):
    """Consume in a thread; return what stops it and waits, and the progress as last reported."""
    stop, seen = threading.Event(), []
    thread = threading.Thread(
        target=consume,
        args=given,
        kwargs={"stop": stop, "report": seen.append} | named,
        daemon=True,
    )
    thread.start()

    def end():
        stop.set()
        thread.join(20)
        assert not thread.is_alive()

    return end, seen


def until(condition, seconds=60):
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "it took too long"
        time.sleep(0.02)


@pytest.mark.parametrize("broker", ["redis", "kafka", "kafka-durable"], indirect=True)
def test_a_broker_that_is_down_at_the_start_and_in_the_middle(broker, model, some_events, tmp_path):
    broker.stop()
    state = LiveState(tmp_path / "state.db", model)
    source = open_source(broker.url)
    end, seen = run_aside(source, state, tmp_path / "dead.jsonl")
    until(lambda: seen and seen[-1].problem)
    assert seen[-1].retries
    assert "waiting: " in seen[-1].line()
    broker.start()
    sender = open_source(broker.url)
    sender.send(some_events(100))
    until(lambda: state.n_events == 100)
    broker.pause()
    until(lambda: seen[-1].problem)
    broker.go_on()
    sender = open_source(broker.url)
    sender.send([*some_events(100), *some_events(50, seed=1)])
    until(lambda: state.n_events == 150)
    until(lambda: not seen[-1].problem and seen[-1].lag == 0)
    end()
    source.close()
    assert sorted(stored(tmp_path)) == sorted(
        one["event_id"] for one in [*some_events(100), *some_events(50, seed=1)]
    )
    # The broker knows after its restart, too, what was acknowledged before and since.
    applied = work(broker.url, model, tmp_path, once=True).applied
    assert (applied.new, applied.duplicates) == (0, 0)


@pytest.mark.parametrize(
    "broker", [pytest.param("redis", marks=pytest.mark.long), "kafka"], indirect=True
)
def test_a_server_consumes_a_stream(broker, model, tmp_path):
    httpx = pytest.importorskip("httpx")
    pytest.importorskip("prometheus_client")
    model.save(tmp_path / "model")
    script = Path(sys.executable).with_name("interest")
    command = ["serve", "model", "--state", "live", "--events", broker.url, "--port", "0"]
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(
            [script, *command], cwd=tmp_path, stdout=subprocess.PIPE, stderr=log, text=True
        )
    said = server.stdout.readline()
    assert "is served at" in said, (said, (tmp_path / "log").read_text())
    url = said.partition(" at ")[2].split(". End")[0]

    def answer():
        return httpx.get(f"{url}/users/new/recommendations", timeout=60)

    assert answer().status_code == 404
    source = open_source(broker.url)
    event = {"user_id": "new", "item_id": "i1", "domain": "book"}
    source.send([event, event | {"domain": "film"}, "no event"])
    until(lambda: answer().status_code == 200)
    until((tmp_path / "live" / "dead_letters.jsonl").exists)
    until(lambda: 'what="lag"} 0.0' in httpx.get(url.replace("api/v1", "metrics")).text)
    server.send_signal(signal.SIGTERM)
    assert server.wait(60) == 0
    # Another consumer of the group has nothing left to do.
    done = work(broker.url, model, tmp_path / "live", once=True)
    assert (done.applied.new, done.applied.duplicates, done.rejected) == (0, 0, 0)


@every_kind
def test_messages_that_are_no_events_go_to_the_dead_letters(broker, model, some_events, tmp_path):
    source = open_source(broker.url)
    bad = ["text", 7, None, {"user_id": "u1"}, {"user_id": "u1", "item_id": "i1", "domain": "user"}]
    source.send([*some_events(20), *bad, *some_events(10, seed=1)])
    raw_message(broker, b"\xff{not json")
    done = work(broker.url, model, tmp_path, once=True)
    assert (done.applied.new, done.rejected, done.lag) == (30, 6, 0)
    letters = [json.loads(line) for line in (tmp_path / "dead.jsonl").read_text().splitlines()]
    assert len(letters) == 6
    assert all(letter["reason"] and letter["at"] for letter in letters)
    assert any("is not JSON" in letter["reason"] for letter in letters)
    assert work(broker.url, model, tmp_path, once=True).applied.new == 0


def raw_message(broker, body):
    """Put bytes into the stream that are no JSON."""
    if broker.kind == "sqlite":
        with closing(sqlite3.connect(broker.url.removeprefix("sqlite:///"))) as file:
            file.execute("INSERT INTO messages (body, time) VALUES (?, 1)", (body,))
            file.commit()
    elif broker.kind == "redis":
        import redis

        redis.Redis(port=broker.port).xadd("events", {"json": body})
    else:
        from confluent_kafka import Producer

        producer = Producer({"bootstrap.servers": f"127.0.0.1:{broker.port}"})
        producer.produce("events", body)
        producer.flush(10)


@pytest.mark.parametrize("broker", ["redis"], indirect=True)
def test_the_fields_of_an_entry_of_redis_may_be_the_event(broker, model, tmp_path):
    import redis

    fields = {"user_id": "u1", "item_id": "i1", "domain": "book", "weight": "2"}
    redis.Redis(port=broker.port).xadd("events", fields)
    assert work(broker.url, model, tmp_path, once=True).applied.new == 1


@pytest.mark.parametrize("broker", ["sqlite"], indirect=True)
def test_a_full_disk_holds_the_messages_back_until_there_is_room(
    broker, model, some_events, tmp_path
):
    source = open_source(broker.url)
    source.send([*some_events(2000), "no event"])
    state = LiveState(tmp_path / "live" / "state.db", model)
    state.apply([])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, hard))
    try:
        end, seen = run_aside(source, state, tmp_path / "dead.jsonl", batch=2001)
        until(lambda: seen and seen[-1].problem)
        assert state.n_events == 0
        assert source.lag() == 2001
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    until(lambda: seen[-1].lag == 0)
    end()
    assert (state.n_events, source.lag(), seen[-1].rejected) == (2000, 0, 1)


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("kafak://host/events", r"did you mean 'kafka'"),
        ("events.db", r"begins with sqlite://"),
        ("sqlite://events.db", r"Write sqlite:///FILE"),
        ("redis://host:6379", r"Write redis://HOST"),
        ("kafka://host:9092", r"Write kafka://HOST"),
        ("redis://host/0/events?grup=a", r"option that is not known.*grup"),
    ],
)
def test_an_address_of_another_form_is_refused(url, sentence):
    with pytest.raises(ConfigError, match=sentence):
        open_source(url)
