"""One fitted model with times, topics and texts, served in this process."""

from __future__ import annotations

import socket
import threading
import time
import urllib.request

import pytest

from gnn.models.interest.model import InterestGNN
from graphgen.build import build_graph
from graphgen.log import InteractionLog
from graphgen.synthetic.generator import synthesize


@pytest.fixture(scope="session")
def fitted(tmp_path_factory):
    data = synthesize(n_users=160, n_items=600, seed=3)
    graph = build_graph(
        InteractionLog(data.train), data.items, encoder="hashing",
        cache_dir=tmp_path_factory.mktemp("cache"),
    )  # fmt: skip
    model = InterestGNN(embedding_dim=16, steps=4).fit(graph, valid=None)
    return model, graph


@pytest.fixture(scope="session")
def service(fitted):
    pytest.importorskip("fastapi")
    from gnn.serving.service import Service

    return Service(*fitted)


@pytest.fixture(scope="session")
def client(service):
    from fastapi.testclient import TestClient

    from gnn.serving.app import make_app

    return TestClient(make_app(service), base_url="http://127.0.0.1")


@pytest.fixture(scope="session")
def url(service):
    """The address of a real server, for a real browser."""
    import uvicorn

    from gnn.serving.app import make_app

    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(make_app(service), log_level="warning"))
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    for _ in range(100):
        try:
            urllib.request.urlopen(f"{address}/api/v1/health", timeout=1).close()
            break
        except OSError:
            time.sleep(0.05)
    yield address
    server.should_exit = True
    thread.join()
