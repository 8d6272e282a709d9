"""A server that lives on: events, feedback, another model, its figures; by real processes."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pandas as pd
import pytest
from typer.testing import CliRunner

pytest.importorskip("prometheus_client")

from eval.benchmarks.arriving import measure_arriving
from eval.commands.main import app as interest
from gnn.live.sources import open_source
from gnn.registry import make_model
from gnn.serving.app import make_app
from gnn.serving.live import Live
from gnn.serving.logs import JsonFormatter
from gnn.serving.metrics import Metrics
from gnn.serving.security import Token
from gnn.serving.service import Service
from graphgen.errors import StorageError

SCRIPT = Path(sys.executable).with_name("interest")
ADMIN = "administrator-0123456789"
API = "/api/v1"


class Server:
    """`interest serve` in processes of its own, two of which answer."""

    def __init__(self, model, home, *options):
        (home / "admin").write_text(ADMIN)
        self.log = (home / "log").open("a+")
        self.process = subprocess.Popen(
            [SCRIPT, "serve", model, "--state", home / "state", "--port", "0", "--workers", "2",
             "--admin-token-file", home / "admin", *options],
            stdout=subprocess.PIPE, stderr=self.log, text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "200"},
        )  # fmt: skip
        said = self.process.stdout.readline()
        assert "is served at" in said, said
        self.url = said.partition(" at ")[2].split("api/v1")[0].rstrip("/")

    def client(self, **options):
        return httpx.Client(base_url=self.url + API, timeout=60, **options)

    def swap(self, model):
        with self.client(headers={"Authorization": f"Bearer {ADMIN}"}) as client:
            return client.post("/model", json={"model": str(model)})

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(60) == 0

    def lines(self):
        self.log.seek(0)
        return [json.loads(line) for line in self.log.read().splitlines()]


@pytest.fixture(scope="module")
def models(plain_graph, tmp_path_factory):
    """Folders of two models of one domain."""
    folder = tmp_path_factory.mktemp("models")
    for name in ("item-knn", "ease"):
        make_model(name).fit(plain_graph, valid=None).save(folder / name)
    return folder


@pytest.fixture(scope="module")
def server(models, tmp_path_factory):
    home = tmp_path_factory.mktemp("server")
    made = Server(models / "item-knn", home, "--events", f"sqlite:///{home}/stream.db")
    yield made
    if made.process.poll() is None:
        made.stop()


def first(client, user, k=1):
    answer = client.get(f"/users/{user}/recommendations", params={"k": k})
    assert answer.status_code == 200, answer.text
    return [item["item_id"] for item in answer.json()["lists"][0]["items"]]


def test_an_event_is_in_the_lists_of_every_process_when_it_is_accepted(server):
    # Connections that are open at once go to both processes in turn.
    clients = [server.client() for _ in range(4)]
    for number, client in enumerate(clients):
        item = first(client, "u000")[0]
        event = {"user_id": "u000", "item_id": item, "event_id": f"e{number}"}
        for new in (1, 0):
            answer = clients[number - 1].post("/events", json=[event])
            assert answer.status_code == 202
            assert (answer.json()["new"], answer.json()["duplicates"]) == (new, 1 - new)
        assert all(item not in first(one, "u000", k=20) for one in clients)
    processes = {line["process"] for line in server.lines() if "route" in line}
    assert len(processes) == 2


def test_users_unknown_so_far_are_served_and_bad_events_are_named(server):
    with server.client() as client:
        assert client.get("/users/new/recommendations").status_code == 404
        events = [
            {"user_id": "new", "item_id": "b00"}, {"user_id": "new", "item_id": "b03"}, "no event",
            {"user_id": "new"}, {"user_id": "new", "item_id": "nowhere"},
        ]  # fmt: skip
        taken = client.post("/events", json=events).json()
        assert {name: taken[name] for name in ("new", "rejected", "unknown_users")} == {
            "new": 3, "rejected": 2, "unknown_users": 3,
        }  # fmt: skip
        assert taken["unknown_items"] == 1
        assert [one["place"] for one in taken["reasons"]] == [2, 3]
        # Of taste 0, as what the user did.
        assert all(int(item[1:]) % 3 == 0 for item in first(client, "new", k=3))
        history = client.get("/users/new/history").json()
        assert {item["item_id"] for item in history["items"]} == {"b00", "b03"}
        reason = client.get(
            "/explanations", params={"user": "new", "domain": "book", "item": "b06"}
        )
        assert reason.json()["interactions"]
        assert client.post("/events", json={"user_id": "new"}).status_code == 422


def test_a_dislike_takes_an_item_away(server):
    with server.client() as client:
        shown = first(client, "u007", k=5)
        one = {"user_id": "u007", "item_id": shown[1], "feedback": "dislike"}
        assert client.post("/feedback", json=[one]).json()["new"] == 1
        assert shown[1] not in first(client, "u007", k=20)
        wrong = client.post("/feedback", json=[one | {"feedback": "hate"}])
        assert wrong.status_code == 422
        assert wrong.json()["errors"][0]["field"] == "0.feedback"


def test_lists_that_explore_are_logged_and_judged_from_the_folder(server, models, tmp_path):
    liked, shown = [], 0
    with server.client() as client:
        for number in range(40, 100):
            route = f"/users/u{number:03d}/recommendations"
            asked = {"k": 3, "explore": ("greedy", "epsilon=0.5")[number % 2]}
            for item in client.get(route, params=asked).json()["lists"][0]["items"]:
                assert 0 < item["propensity"] <= 1
                shown += 1
                if int(item["item_id"][1:]) % 2:
                    one = {"user_id": f"u{number:03d}", "item_id": item["item_id"]}
                    liked.append(one | {"feedback": "like"})
        assert client.post("/feedback", json=liked).json()["new"] == len(liked)
    state, out = Path(server.log.name).parent / "state", tmp_path / "judged"
    judge = ["offpolicy", state, "--model", models / "item-knn", "--policy", "greedy", "--out", out]
    for command in (judge, ["abtest", state, "--conversion", "like", "--control", "greedy"]):
        done = CliRunner().invoke(interest, [*map(str, command)])
        assert done.exit_code == 0, done.output
    assert "epsilon=0.5" in done.output
    value = pd.read_csv(out / "offpolicy.csv").set_index(["policy", "estimator"])["value"]
    assert value["logged", "mean"] == pytest.approx(len(liked) / shown)


def test_another_model_is_served_without_a_dropped_request(server, models):
    seen, failed, stop = [], [], threading.Event()

    def ask():
        with server.client() as client:
            while not stop.is_set():
                try:
                    answer = client.get("/users/u000/recommendations")
                    seen.append(answer.json()["model"])
                    failed.extend([answer.text] * (answer.status_code != 200))
                except httpx.HTTPError as error:
                    failed.append(repr(error))

    askers = [threading.Thread(target=ask) for _ in range(4)]
    for one in askers:
        one.start()
    with server.client() as client:
        assert client.post("/model").status_code == 403
        known = {"user_id": "later", "item_id": "b00"}
        assert client.post("/events", json=[known]).json()["new"] == 1
    missing = server.swap(models / "nothing")
    assert missing.status_code == 409
    assert "nothing" in missing.json()["detail"]
    assert server.swap(models / "ease").json() == {"status": "served"}
    with server.client() as client:
        assert client.get("/model").json()["model"] == "ease"
        # What happened since training counts for the new model, too.
        assert client.get("/users/later/recommendations").status_code == 200
    (models / "ease").rename(models / "moved")
    server.process.send_signal(signal.SIGHUP)
    wait_for(lambda: any(line["message"] == "model refused" for line in server.lines()))
    time.sleep(0.5)
    stop.set()
    for one in askers:
        one.join()
    assert not failed
    assert seen[0] == "item-knn"
    assert seen[-1] == "ease"


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_the_stream_is_consumed_by_whichever_model_is_served(server):
    home = Path(server.log.name).parent
    with server.client() as client:
        item = first(client, "u010")[0]
        stream = open_source(f"sqlite:///{home}/stream.db")
        stream.send([{"user_id": "u010", "item_id": item}, {"user_id": "u010"}])
        wait_for(lambda: item not in first(client, "u010", k=20))
        wait_for((home / "state" / "dead_letters.jsonl").exists)
        wait_for(lambda: stream.lag() == 0)
        wait_for(lambda: 'interest_consumer{what="rejected"} 1.0' in figures(server))
        stream.close()


def figures(server):
    return httpx.get(server.url + "/metrics").text


@pytest.mark.skipif(shutil.which("wrk") is None, reason="the load tool wrk is missing")
def test_the_benchmark_sees_events_arrive(server):
    users = [f"u{n:03d}" for n in range(120)]
    items = {"book": [f"b{n:02d}" for n in range(24)]}
    table = measure_arriving(server.url, users, items, per_second=50, clients=2, seconds=3)
    value = dict(zip(table["measure"], table["value"], strict=True))
    assert value["errors"] == value["event errors"] == 0
    assert value["requests/s"] > 0
    assert value["events/s"] > 0
    assert 0 < value["visible, p50 ms"] <= value["visible, max ms"]
    assert value["memory, max MB"] > 100


def test_a_process_that_is_killed_is_replaced(server):
    def answering(known):
        with server.client() as client:
            assert client.get("/users").status_code == 200
        now = {line["process"] for line in server.lines() if "route" in line}
        return now - known

    answering(set())
    known = {line["process"] for line in server.lines() if "route" in line}
    os.kill(next(line["process"] for line in reversed(server.lines()) if "route" in line), 9)
    wait_for(lambda: answering(known))


def test_figures_add_up_over_the_processes(server):
    def asked():
        text = figures(server)
        route = f'route="{API}/users/{{id:path}}/profile"'
        lines = [one for one in text.splitlines() if one.startswith("interest_requests_total{")]
        return text, sum(float(one.split()[-1]) for one in lines if route in one)

    clients = [server.client() for _ in range(4)]
    _, before = asked()
    for client in clients * 3:
        client.get("/users/u001/profile")
    text, after = asked()
    assert after - before == 12
    assert 'interest_events_total{result="new"}' in text
    assert "interest_live_events " in text
    assert 'interest_model_loads_total{result="served"} 2.0' in text
    assert "interest_model_info{created=" in text


def test_logs_are_json_without_ids(server):
    lines = server.lines()
    assert {"time", "level", "route", "method", "status", "ms"} <= lines[-1].keys()
    server.log.seek(0)
    text = server.log.read()
    assert not any(name in text for name in ("u000", "u007", '"new"', "b00"))


def test_requests_in_work_are_answered_before_the_end(server):
    ended = []

    def ask():
        with server.client() as client:
            body = {"history": [{"domain": "book", "item_id": "b00"}] * 2_000}
            try:
                while client.post("/recommendations", json=body).status_code == 200:
                    pass
            except (httpx.ConnectError, httpx.RemoteProtocolError, httpx.ReadError) as error:
                # Never in the middle of an answer.
                ended.append(str(error))

    askers = [threading.Thread(target=ask) for _ in range(4)]
    for one in askers:
        one.start()
    time.sleep(1)
    server.stop()
    for one in askers:
        one.join()
    assert len(ended) == 4
    assert not any("incomplete" in one for one in ended)


@pytest.mark.slow
def test_events_are_there_after_a_restart(server, models):
    if server.process.poll() is None:
        with server.client() as client:
            client.post("/events", json=[{"user_id": "new", "item_id": "b00"}])
        server.stop()
    again = Server(models / "item-knn", Path(server.log.name).parent)
    with again.client() as client:
        assert client.get("/users/new/recommendations").status_code == 200
    again.stop()


def app_of(plain_graph, tmp_path, **options):
    service = Service(make_model("item-knn").fit(plain_graph, valid=None))
    settings = {"most": 1, "admin": None, "swap": lambda _: ""}
    live = Live(metrics=Metrics(tmp_path), **settings | options)
    return service, make_app(service, live=live)


@pytest.mark.anyio
async def test_more_requests_than_may_wait_are_told_to_come_again(plain_graph, tmp_path):
    import anyio

    service, app = app_of(plain_graph, tmp_path)
    go = threading.Event()
    service.examples = lambda limit: go.wait(30) and {"users": []}
    found = []
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:

        async def ask():
            found.append(await client.get(f"{API}/users"))
            go.set()

        async with anyio.create_task_group() as group:
            group.start_soon(ask)
            group.start_soon(ask)
        statuses = sorted(one.status_code for one in found)
        assert statuses == [200, 429]
        busy = next(one for one in found if one.status_code == 429)
        assert busy.headers["retry-after"] == "1"
        assert (await client.get(f"{API}/health")).status_code == 200


@pytest.fixture
def anyio_backend():
    return "asyncio"


class FullDisk:
    domain = "book"

    def apply(self, events):
        raise StorageError("The disk is full.")


def test_what_cannot_be_taken_in_is_refused(plain_graph, tmp_path):
    from fastapi.testclient import TestClient

    service, app = app_of(plain_graph, tmp_path, most=9)
    client = TestClient(app, base_url="http://localhost")
    answer = client.post(f"{API}/events", content=(b" " * 100_000 for _ in range(20)),
                         headers={"Content-Type": "application/json"})  # fmt: skip
    assert answer.status_code == 413
    assert client.post(f"{API}/events", json=[]).status_code == 503  # no state is open
    service.state = FullDisk()
    answer = client.post(f"{API}/events", json=[{"user_id": "u000", "item_id": "b00"}])
    assert answer.status_code == 503
    assert "No event was taken in: The disk is full." in answer.json()["detail"]
    assert client.post(f"{API}/model").status_code == 403
    with_admin = app_of(plain_graph, tmp_path, admin=Token(ADMIN), swap=lambda _: "It is broken.")
    client = TestClient(with_admin[1], base_url="http://localhost")
    answer = client.post(f"{API}/model", headers={"Authorization": f"Bearer {ADMIN}"})
    assert (answer.status_code, answer.json()["detail"]) == (409, "It is broken.")


def test_of_an_error_the_log_tells_kind_and_place():
    try:
        raise ValueError("user ann")
    except ValueError:
        error = sys.exc_info()
    record = logging.LogRecord("x", logging.ERROR, __file__, 1, "for %s", ("ann",), error)
    line = json.loads(JsonFormatter().format(record))
    assert (line["message"], line["error"]) == ("for %s", "ValueError")
    assert "test_live" in line["at"][0]
    assert "ann" not in json.dumps(line)
