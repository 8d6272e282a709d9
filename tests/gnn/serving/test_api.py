"""The JSON API: the answers of the library, typed, and problems in place of tracebacks."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import numpy as np
import pandas as pd
import pytest

from gnn.interests import expand, profile
from gnn.serving.batching import Ranking
from gnn.serving.pressure import Pressure
from gnn.serving.security import HEADERS, Token, is_local, read_token
from gnn.serving.service import Service
from graphgen.errors import ConfigError, InputError
from graphgen.ids import hashed_id

API = "/api/v1"


@pytest.fixture(scope="module")
def user(fitted):
    model, _ = fitted
    return str(model.users.ids[7])


@pytest.fixture(scope="module")
def name(user):
    return hashed_id(user)


def ok(answer):
    assert answer.status_code == 200, answer.text
    return answer.json()


def ids_of(answer):
    return {part["domain"]: [item["item_id"] for item in part["items"]] for part in answer["lists"]}


def expected(model, users, **options):
    recs = model.recommend(users, **options)
    return {domain: part["item_id"].tolist() for domain, part in recs.groupby("domain")}


def test_recommendations_are_those_of_the_model(client, fitted, user, name):
    model, _ = fitted
    answer = ok(client.get(f"{API}/users/{name}/recommendations", params={"k": 7}))
    assert answer["user"] == name
    assert ids_of(answer) == expected(model, [user], k=7)
    first = answer["lists"][0]["items"][0]
    assert first["rank"] == 1
    assert first["title"]
    one = ok(client.get(f"{API}/users/{user}/recommendations", params={"domain": "book", "k": 3}))
    assert list(ids_of(one)) == ["book"]


def test_users_ranked_together_get_the_lists_they_get_alone(fitted, service):
    model, _ = fitted
    rank = Ranking(model, service._now)
    ids = [str(user) for user in model.users.ids[:24]]
    wanted = [(model.domains[n % len(model.domains) :], 3 + n % 5) for n in range(len(ids))]
    with ThreadPoolExecutor(8) as pool:
        # By id, and with histories of their own.
        users = [i if n % 3 else service.asked(i).users for n, i in enumerate(ids)]
        found = list(pool.map(lambda user, w: rank(user, *w), users, wanted))
    for user, (domains, k), lists in zip(ids, wanted, found, strict=True):
        alone = expected(model, [user], domain=domains, k=k)
        got = {}
        for domain, ranked in zip(domains, lists, strict=True):
            places = ranked.columns - model.data.span(domain).start
            got[domain] = model.items(domain).decode(places).tolist()
        assert got == alone


def test_an_error_reaches_everybody_who_waits(fitted, service):
    model, _ = fitted
    rank, asked = Ranking(model, service._now), service.asked(None)
    with pytest.raises(KeyError):
        rank(asked.users, ["nowhere"], 3)
    assert len(rank(asked.users, model.domains[:1], 3)) == 1


def test_a_strangers_history_in_the_body(client, fitted):
    model, _ = fitted
    domain = model.domains[0]
    liked = model.items(domain).ids[:3].tolist()
    rows = [{"domain": domain, "item_id": item} for item in liked]
    answer = ok(client.post(f"{API}/recommendations", json={"history": rows, "k": 5}))
    history = pd.DataFrame({"user_id": "x", "domain": domain, "item_id": liked})
    # Equal scores are ordered by a hash of the id.
    recs = model.recommend(["x"], k=5, history=history)
    scores = [item["score"] for part in answer["lists"] for item in part["items"]]
    np.testing.assert_allclose(scores, recs["score"], rtol=1e-4)
    assert answer["user"] is None


def test_what_if_adds_and_removes_interactions(client, fitted, user, name, service):
    model, _ = fitted
    before = ok(client.get(f"{API}/users/{name}/recommendations", params={"k": 5}))
    added = before["lists"][0]["items"][0]
    body = {"user": name, "k": 5, "history": [{k: added[k] for k in ("domain", "item_id")}]}
    after = ok(client.post(f"{API}/recommendations", json=body))
    history = pd.DataFrame({"user_id": [user], **{k: [added[k]] for k in ("domain", "item_id")}})
    assert ids_of(after) == expected(model, [user], k=5, history=history)
    own = service.history(name).items
    gone = [{"domain": item.domain, "item_id": item.item_id} for item in own]
    empty = ok(client.post(f"{API}/recommendations", json={"user": name, "without": gone}))
    assert all(part["fallback"].startswith("popularity") for part in empty["lists"])
    # What was added and removed again changes nothing.
    both = {**body, "without": body["history"]}
    assert ids_of(ok(client.post(f"{API}/recommendations", json=both))) == ids_of(before)


def test_profile_is_that_of_the_library(client, fitted, user, name):
    model, _ = fitted
    answer = ok(client.get(f"{API}/users/{name}/profile", params={"k": 4, "windows": "auto"}))
    table = profile(model, [user], k=4)
    assert [row["interest"] for row in answer["interests"]] == table["interest"].tolist()
    shares = [row["share"] for row in answer["interests"]]
    np.testing.assert_allclose(shares, table["share"], rtol=1e-6)
    items = [[item["item_id"] for item in row["items"]] for row in answer["interests"]]
    assert ["|".join(row) for row in items] == table["item_ids"].tolist()
    windows = answer["evolution"]["windows"]
    assert windows
    assert sum(window["interactions"] for window in windows) >= 1
    assert answer["sentence"].endswith(".")
    assert ok(client.get(f"{API}/users/{name}/profile"))["evolution"] is None


def test_expansions_are_those_of_the_library(client, fitted, user, name):
    model, _ = fitted
    answer = ok(client.get(f"{API}/users/{name}/expansions", params={"boldness": 0.5, "k": 3}))
    table = expand(model, [user], k=3, boldness=0.5)
    assert [row["interest"] for row in answer["expansions"]] == table["interest"].tolist()
    assert [row["because"] for row in answer["expansions"]] == table["because"].tolist()
    assert answer["expansions"][0]["items"][0]["title"]


def test_similar_items_are_those_of_the_model(client, fitted):
    model, _ = fitted
    item = str(model.items("book").ids[3])
    answer = ok(client.get(f"{API}/items/book/{item}/similar", params={"k": 4, "to": "film"}))
    assert (
        ids_of(answer)["film"]
        == model.similar(item, domain="book", to="film", k=4)["item_id"].tolist()
    )


def test_ids_are_hashed_unless_they_are_to_be_shown(client, fitted, user, name):
    paths = [
        f"users/{user}/history", f"users/{user}/recommendations", f"users/{user}/profile",
        f"users/{user}/neighborhood?others=true", "users", f"search?q={user}",
    ]  # fmt: skip
    model, graph = fitted
    for path in paths:
        text = client.get(f"{API}/{path}").text
        shown = text.replace(f'"query":"{user}"', "")
        assert not any(f'"{known}"' in shown for known in model.users.ids), path
    shown = Service(model, graph, show_ids=True)
    assert shown.history(user).user == user
    assert shown.neighborhood("user", user, hops=1, limit=5).nodes[0]["key"] == user


def test_neighborhoods_of_users_items_and_interests(client, fitted, name):
    model, graph = fitted
    around = ok(client.get(f"{API}/users/{name}/neighborhood", params={"limit": 12}))
    assert len(around["nodes"]) <= 12
    assert [node["key"] for node in around["nodes"] if node["center"]] == [name]
    topic = quote(graph.topic_names[0], safe="")
    assert ok(client.get(f"{API}/interests/{topic}/neighborhood"))["nodes"]
    typical = ok(client.get(f"{API}/interests/{topic}/items"))
    assert typical["users"] > 0
    assert typical["lists"][0]["items"]
    item = model.items("game").ids[0]
    assert ok(client.get(f"{API}/items/game/{item}/neighborhood"))["edges"]


def test_search_finds_titles_interests_and_users(client, service, user, name):
    title = str(service.names.titles["book"][0])
    hits = ok(client.get(f"{API}/search", params={"q": title.upper()}))["hits"]
    assert hits[0]["label"] == title
    assert ok(client.get(f"{API}/search", params={"q": user}))["hits"][0]["id"] == name
    assert ok(client.get(f"{API}/search", params={"q": name[:6]}))["hits"][0]["id"] == name
    interest = service.names.interests[0]
    kinds = [hit["kind"] for hit in ok(client.get(f"{API}/search", params={"q": interest}))["hits"]]
    assert "interest" in kinds
    assert ok(client.get(f"{API}/search", params={"q": "qqzzy"}))["hits"] == []


def test_map_and_migration(client, fitted, name):
    model, _ = fitted
    answer = ok(client.get(f"{API}/map", params={"user": name}))
    assert len(answer["topics"]) == len(model.data.topics)
    assert answer["way"]
    places = [(one["x"], one["y"]) for one in answer["topics"] + answer["items"]]
    assert np.abs(places).max() <= 1
    moves = ok(client.get(f"{API}/migration"))
    assert moves["ordered"]
    steps = np.diff(model.data.matrix.indptr)
    assert sum(move["steps"] for move in moves["moves"]) == (steps - 1).clip(0).sum()
    assert all(move["users"] <= move["steps"] for move in moves["moves"])


def test_model_health_and_description(client, fitted):
    model, _ = fitted
    facts = ok(client.get(f"{API}/model"))
    assert facts["users"] == model.data.n_users
    assert [domain["name"] for domain in facts["domains"]] == model.domains
    assert ok(client.get(f"{API}/health")) == {"status": "ok"}
    paths = ok(client.get(f"{API}/openapi.json"))["paths"]
    for route in (
        "users/{id}/recommendations", "users/{id}/profile", "users/{id}/expansions",
        "users/{id}/neighborhood", "items/{domain}/{id}/similar", "explanations",
        "recommendations", "search", "health", "model",
    ):  # fmt: skip
        assert f"{API}/{route}" in paths
    assert client.get("/docs").status_code == 200


@pytest.mark.parametrize(
    ("path", "status", "field"),
    [
        ("users/nobody/recommendations", 404, "id"),
        ("users/{user}/recommendations?k=0", 422, "k"),
        ("users/{user}/recommendations?k=many", 422, "k"),
        ("users/{user}/recommendations?domain=boook", 404, "domain"),
        ("users/{user}/expansions?boldness=2", 422, "boldness"),
        ("users/{user}/profile?windows=soon", 422, None),
        ("users/{user}/neighborhood?hops=9", 422, "hops"),
        ("items/book/nothing/similar", 404, "id"),
        ("interests/nothing/items", 404, "name"),
        ("explanations?user=nobody&domain=book&item=x", 404, "user"),
        ("explanations?domain=book&item=x", 422, "user"),
        ("search?q=", 422, "q"),
        ("nowhere", 404, None),
    ],
)
def test_bad_input_is_a_problem_that_names_the_field(client, user, path, status, field):
    answer = client.get(f"{API}/{path.format(user=user)}")
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert problem["title"]
    assert [error["field"] for error in problem.get("errors", [])] == ([field] if field else [])


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"history": [{"domain": "book", "item_id": "nothing"}]}, "history.0.item_id"),
        ({"history": [{"domain": "book"}]}, "history.0.item_id"),
        ({"histroy": []}, "histroy"),
        ({"user": "nobody"}, "user"),
        ({"k": 10_000}, "k"),
    ],
)
def test_a_bad_body_is_a_problem_that_names_the_field(client, body, field):
    answer = client.post(f"{API}/recommendations", json=body)
    assert 400 <= answer.status_code < 500
    assert [error["field"] for error in answer.json()["errors"]] == [field]


def test_a_fault_of_ours_is_no_traceback(service):
    from fastapi.testclient import TestClient

    from gnn.serving.app import make_app

    class Broken:
        names = None

        def examples(self, limit):
            raise RuntimeError("secret of the machine")

    app = TestClient(make_app(Broken()), base_url="http://127.0.0.1", raise_server_exceptions=False)
    answer = app.get(f"{API}/users")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_headers_keep_a_browser_to_this_page(client):
    for path in ("/", "/docs", "/static/main.js", "/view/view.js", f"{API}/health"):
        answer = client.get(path)
        assert answer.status_code == 200
        assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    assert "unsafe" not in HEADERS["Content-Security-Policy"]


def test_another_name_of_this_machine_and_large_bodies_are_refused(client):
    assert client.get("/", headers={"host": "evil.example"}).status_code == 421
    big = client.post(f"{API}/recommendations", content=b" " * (2 << 20))
    assert big.status_code == 413


def test_a_token_opens_the_door_and_nothing_else_does(service):
    from fastapi.testclient import TestClient

    from gnn.serving.app import make_app

    app = make_app(service, token=Token("correct horse battery"))
    outside = TestClient(app, base_url="http://shop.example", follow_redirects=False)
    assert outside.get(f"{API}/model").status_code == 401
    assert outside.get(f"{API}/health").status_code == 200
    assert outside.get("/").headers["location"] == "/login"
    assert outside.get("/login").status_code == 200
    for wrong in ("Bearer wrong", "correct horse battery", "Basic correct horse battery"):
        assert outside.get(f"{API}/model", headers={"authorization": wrong}).status_code == 401
    right = {"authorization": "Bearer correct horse battery"}
    assert outside.get(f"{API}/model", headers=right).status_code == 200
    assert outside.post("/login", json={"token": "wrong"}).status_code == 401
    entered = outside.post("/login", json={"token": "correct horse battery"})
    assert entered.status_code == 204
    assert "HttpOnly" in entered.headers["set-cookie"]
    assert "horse" not in entered.headers["set-cookie"]
    assert outside.get(f"{API}/model").status_code == 200


def test_only_hosts_of_this_machine_need_no_token(service, tmp_path):
    from gnn.serving.server import serve

    assert is_local("::1")
    assert not is_local("192.168.0.2")
    with pytest.raises(ConfigError, match="needs --token-file"):
        serve(service, host="0.0.0.0")
    (tmp_path / "short").write_text("abc")
    with pytest.raises(ConfigError, match="at least 16"):
        read_token(tmp_path / "short")
    with pytest.raises(InputError, match="cannot be read"):
        read_token(tmp_path / "missing")
    (tmp_path / "token").write_text("0123456789abcdef\n")
    assert read_token(tmp_path / "token") == "0123456789abcdef"


def test_without_topics_or_graph_the_answer_says_so(plain_graph):
    from fastapi.testclient import TestClient

    from gnn.registry import make_model
    from gnn.serving.app import make_app

    model = make_model("item-knn").fit(plain_graph)
    bare = TestClient(make_app(Service(model)), base_url="http://127.0.0.1")
    user = model.users.ids[0]
    assert bare.get(f"{API}/users/{user}/recommendations").status_code == 200
    for path in (f"users/{user}/profile", f"users/{user}/expansions", "map",
                 f"users/{user}/neighborhood"):  # fmt: skip
        answer = bare.get(f"{API}/{path}")
        assert answer.status_code == 409
        assert answer.json()["detail"]


def test_what_is_no_request_passes():
    passed = []

    async def app(scope, receive, send):
        passed.append(scope["type"])

    with pytest.raises(StopIteration):
        Pressure(app)({"type": "lifespan"}, None, None).send(None)
    assert passed == ["lifespan"]
