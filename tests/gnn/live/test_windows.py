"""Windows and sessions by Quix Streams on a broker that speaks Kafka's protocol."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gnn.live.sources import open_source
from graphgen.errors import ConfigError

MINUTE, START = 60_000, 1_790_000_040_000
SCRIPT = Path(sys.executable).with_name("interest")


def run_aside(broker, folder):
    options = ["--state", folder / "windows", "--minutes", "10", "--gap", "5", "--late", "1"]
    with (folder / "log").open("a") as log:
        return subprocess.Popen(
            [SCRIPT, "windows", broker.url, *options], stdout=log, stderr=log,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )  # fmt: skip


def read(source, found, wanted, job=None):
    """Read results until there are as many as wanted."""
    limit = time.monotonic() + 120
    while len(found) < wanted:
        assert time.monotonic() < limit
        assert job is None or job.poll() is None
        messages = source.read(500, 0.2)
        source.acknowledge(messages)
        found += [json.loads(message.raw) for message in messages]


def events(*minutes):
    for minute in minutes:
        for user, item in (("ann", "dune"), ("bob", "emma")):
            at = START + minute * MINUTE
            yield {"user_id": user, "item_id": item, "domain": "book", "time": at}


def results_of(broker):
    address = broker.url.replace("/events?", "/events-{0}?group={0}&")
    return [open_source(address.format(name)) for name in ("items", "sessions")]


def check(counts, ended):
    for user in ("ann", "bob"):
        own = sorted((s["start"], s["events"]) for s in ended if s["user_id"] == user)
        assert own == [(START, 3), (START + 20 * MINUTE, 2)]
    for item in ("dune", "emma"):
        own = sorted((c["start"], c["events"]) for c in counts if c["item_id"] == item)
        assert [number for _, number in own] == [3, 2]
    assert all(c["domain"] == "book" and c["end"] - c["start"] == 10 * MINUTE for c in counts)


@pytest.mark.slow
@pytest.mark.parametrize("broker", ["kafka"], indirect=True)
def test_windows_and_sessions_are_those_of_a_count_by_hand(broker, tmp_path):
    pytest.importorskip("quixstreams")
    from gnn.live.windows import windows

    # A last event far later closes all windows.
    sent = [*events(0, 1, 2, 20, 21), {"user_id": "ann"}, "no event", *events(600)]
    open_source(broker.url).send(sent)
    windows(broker.url, tmp_path, minutes=10, gap=5, late=1).run(timeout=5)
    found = ([], [])
    for source, rows in zip(results_of(broker), found, strict=True):
        read(source, rows, 4)
    check(*found)


@pytest.mark.long
@pytest.mark.parametrize("broker", ["kafka"], indirect=True)
@pytest.mark.parametrize("lost", [False, True])
def test_killed_in_the_middle_every_event_counts_once(broker, tmp_path, lost):
    pytest.importorskip("quixstreams")
    sent, (items, sessions) = open_source(broker.url), results_of(broker)
    job = run_aside(broker, tmp_path)
    counts, ended = [], []
    try:
        sent.send(list(events(0, 1, 2, 20)))
        # The window of minute 20 is open, in the state only.
        read(items, counts, 2, job)
        read(sessions, ended, 2, job)
        job.kill()
        job.wait()
        if lost:  # the state comes back from the broker
            shutil.rmtree(tmp_path / "windows")
        sent.send(list(events(21)))
        job = run_aside(broker, tmp_path)
        sent.send(list(events(600)))
        read(items, counts, 4, job)
        read(sessions, ended, 4, job)
        job.send_signal(signal.SIGTERM)
        assert job.wait(60) == 0
    finally:
        job.kill()
    check(counts, ended)


def test_an_address_of_another_stream_is_refused(tmp_path):
    pytest.importorskip("quixstreams")
    from gnn.live.windows import windows

    with pytest.raises(ConfigError, match="Write kafka://HOST"):
        windows("redis://localhost/0/events", tmp_path)
