"""A whole graph: its overview, the map of its items, and the widget that looks around in it."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

import graphgen
from graphgen.errors import ConfigError, UnknownIdError
from graphgen.looking.itemmap import item_map
from graphgen.looking.nodes import NameIndex
from graphgen.looking.overview import overview
from graphgen.looking.page import joined
from graphgen.looking.palette import COLORS

STATE = {"elements", "hops", "relation", "domain", "choices"}


@pytest.fixture(scope="module")
def graph():
    data = graphgen.synthesize(n_users=150, n_items=400, seed=0)
    return graphgen.build_graph(data.train, data.items, encoder="hashing")


def test_both_palettes_are_one():
    assert all(color in joined("colors.js") for color in COLORS)


def test_overview_counts_what_there_is(graph, tmp_path, outline):
    shown = overview(graph)
    for domain in graph.domains:
        history = np.bincount(graph.interactions(domain)[0][0])
        assert shown.user_degrees[domain].x[0] == history[history > 0].min()
        assert shown.user_degrees[domain].y[0] == 1.0
        longest = (history == history.max()).sum() / (history > 0).sum()
        assert shown.user_degrees[domain].y[-1] == pytest.approx(longest)
        assert shown.activity[domain].y.sum() == len(graph.interactions(domain)[1])
    topics = [topic for group in shown.topics.values() for topic in group]
    assert len(topics) == shown.description.topics
    assert {t.name: t.size for t in topics}.items() >= shown.description.largest_topics.items()
    found = outline(shown.save(tmp_path / "overview.html"))
    assert found.loads == []
    assert found.tags.count("svg") == 3
    assert found.tags.count("details") == len(topics) + len(shown.topics)
    assert "150 users" in graph._repr_html_()


def test_a_neighborhood_shows_itself_as_long_as_it_has_a_center(graph):
    center = ("user", graph.vocabularies["user"].ids[0])
    around = graphgen.neighborhood(graph, center, users=False)
    assert around._repr_html_().startswith("<iframe srcdoc=")
    assert around.subgraph([node for node in around if node != center])._repr_html_() is None


def test_a_graph_without_topics_times_and_overlap():
    log = pd.DataFrame({"user_id": ["a", "b"], "item_id": ["x", "<b>"], "domain": ["<i>", "<i>"]})
    graph = graphgen.build_graph(log, encoder="none")
    shown = overview(graph)
    assert (shown.topics, shown.activity) == ({}, {})
    assert "<i>" not in shown._repr_html_().replace('<i style="', "")
    assert item_map(graph, method="pca").frame["title"].tolist() == ["<b>", "x"]


@pytest.mark.parametrize("vectors", ["texts", "users", "given"])
def test_the_map_keeps_near_items_together(graph, vectors):
    from sklearn.neighbors import NearestNeighbors

    given = None
    if vectors == "given":
        rng = np.random.default_rng(0)
        kind = np.arange(graph.n_items) % 2
        given = np.eye(2)[kind] + 0.1 * rng.random((graph.n_items, 2))
    if vectors == "users":
        data = graphgen.synthesize(n_users=150, n_items=400, seed=0)
        graph = graphgen.build_graph(data.train, encoder="none")
    user = graph.vocabularies["user"].ids[0]
    found = item_map(graph, user=user, vectors=given, limit=120)
    frame = found.frame
    assert len(frame) == len(frame.drop_duplicates(["domain", "item_id"]))
    own = {(d, i) for d in graph.domains for i in graph.vocabularies[d].ids[
        graph.interactions(d)[0][1][graph.interactions(d)[0][0] == 0].numpy()]}  # fmt: skip
    on_the_way = set(zip(*frame.iloc[found.way][["domain", "item_id"]].T.to_numpy(), strict=True))
    assert on_the_way <= own
    assert vectors == "texts" or on_the_way == own
    again = item_map(graph, user=user, vectors=given, limit=120)
    np.testing.assert_array_equal(again.frame[["x", "y"]], frame[["x", "y"]])
    if vectors == "given":
        every = [
            (domain, item) for domain in graph.domains for item in graph.vocabularies[domain].ids
        ]
        of = dict(zip(every, kind, strict=True))
        kind = np.array([of[key] for key in zip(frame["domain"], frame["item_id"], strict=True)])
        near = NearestNeighbors(n_neighbors=2).fit(frame[["x", "y"]]).kneighbors()[1]
        assert (kind[near] == kind[:, None]).mean() > 0.95


def test_what_a_map_refuses(graph):
    for wrong, message in (
        ({"color": "size"}, "`color` must be domain or topic; got 'size'"),
        ({"method": "umap"}, "`method` must be tsne or pca"),
        ({"limit": 0}, "`limit` must be at least 1"),
        ({"vectors": np.ones((3, 2))}, "must have 400 rows"),
    ):
        with pytest.raises(ConfigError, match=message):
            item_map(graph, **wrong)
    with pytest.raises(UnknownIdError):
        item_map(graph, user="nobody", method="pca")


# --- the widget --------------------------------------------------------------------------------


def test_search_by_name(graph):
    domain = graph.domains[0]
    title = graph.item_frame(domain)["title"][0]
    names = NameIndex(graph)
    assert title in [one["label"] for one in names.search(title.upper())]
    topic = graph.topic_names[0]
    assert {"id": f"interest:{topic}", "kind": "interest", "key": topic, "label": topic} in (
        names.search(topic)
    )
    user = graph.vocabularies["user"].ids[3]
    assert names.search(user)[0]["label"] == f"user {user}"
    assert names.search("  ") == []


def test_the_widget_follows(graph):
    user, other = graph.vocabularies["user"].ids[:2]
    widget = graph.explore(user)
    sent = []
    widget.send = sent.append
    first = widget.elements
    assert [node["label"] for node in first["nodes"] if node["center"]] == [f"user {user}"]
    item = next(node for node in first["nodes"] if node["kind"] in graph.domains)
    widget._do("expand", id=item["id"])
    assert [node["key"] for node in sent[0]["add"]["nodes"] if node["center"]] == [item["key"]]
    widget._do("center", id=item["id"])
    assert [node["id"] for node in widget.elements["nodes"] if node["center"]] == [item["id"]]
    widget.relation = "similar"
    assert {edge["relation"] for edge in widget.elements["edges"]} <= {"similar"}
    widget.relation, widget.domain = "", item["kind"]
    assert {n["kind"] for n in widget.elements["nodes"]} <= {item["kind"], "interest"}
    widget._do("search", text=item["label"])
    assert item["id"] in [one["id"] for one in sent[-1]["found"]]
    widget._do("center", id="user:unknown")  # what is not in the picture is not followed
    widget.go_to(("user", other))
    assert other not in json.dumps(widget.elements)  # seen masked, it stays masked
    with pytest.raises(ConfigError, match="one of a user, an item and an interest"):
        graph.explore()


@pytest.mark.slow
def test_the_map_in_a_real_browser(opened, graph):
    found = item_map(graph, method="pca", user=graph.vocabularies["user"].ids[0])
    page = opened(found.save, viewport={"width": 900, "height": 700})
    x, y = page.evaluate(f"drawn.place({json.dumps(found.to_dict()['points'][0])})")
    box = page.locator("canvas").bounding_box()
    page.mouse.move(box["x"] + x, box["y"] + y)
    assert page.locator(".ig-tip b").inner_text() in set(found.frame["title"])
    page.locator("button", has_text="by topic").click()
    topics = set(page.locator(".ig-legend button:not(.ig-choice)").all_inner_texts())
    assert topics <= set(found.frame["topic"])
    title = found.frame["title"][5]
    assert page.evaluate(f"drawn.search({json.dumps(title)}).length") >= 1


@pytest.mark.slow
def test_the_widget_in_a_real_browser(opened, graph):
    """With a model of our own in place of a kernel: what Python does is tested above."""
    widget = graph.explore(graph.vocabularies["user"].ids[0])
    state = {name: getattr(widget, name) for name in widget.keys if name in STATE}
    shell = """<!doctype html><meta charset="utf-8"><style>%s</style><div id="el"></div>
    <script>window.state = %s; window.code = %s; window.sent = [];</script><script type="module">
    const url = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
    const { default: widget } = await import(url);
    const calls = {};
    widget.render({ el: document.getElementById("el"), model: {
      get: (name) => state[name], set: (name, value) => { state[name] = value; },
      save_changes: () => sent.push({ ...state, elements: null }),
      send: (message) => sent.push(message),
      on: (name, call) => { calls[name] = call; }, off: () => {} } });
    window.drawn = calls;</script>"""

    def write(path):
        values = [json.dumps(v).replace("<", "\\u003c") for v in (state, widget._esm)]
        path.write_text(shell % (widget._css, *values), encoding="utf-8")
        return path

    page = opened(write, viewport={"width": 1000, "height": 700})
    page.locator("select").first.select_option("1")
    page.locator(".ig-panel li button").first.click()
    page.locator("button", has_text="Centre here").click()
    page.get_by_role("searchbox").fill("zzz")
    page.wait_for_function("sent.length === 3")
    hops, center, search = page.evaluate("sent")
    assert hops["hops"] == 1
    assert center == {"do": "center", "id": state["elements"]["edges"][0]["target"]}
    assert search == {"do": "search", "text": "zzz"}
    before = page.locator(".ig-live").inner_text()
    added = widget.expand(widget.nodes[center["id"]])
    page.evaluate("(add) => drawn['msg:custom']({ add })", added)
    page.evaluate("() => drawn['msg:custom']({ found: [{ id: 'x', kind: 'k', label: 'zzz top' }], "
                  "text: 'zzz' })")  # fmt: skip
    assert page.locator(".ig-find li").inner_text() == "zzz top (k)"
    assert before


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pages_have_no_serious_fault_of_accessibility(browser, graph, tmp_path, theme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    around = graphgen.neighborhood(graph, ("interest", graph.topic_names[0]), users=False)
    page = browser.new_page(color_scheme=theme)
    for path in (
        graphgen.write_page(around, tmp_path / "around.html"),
        item_map(graph, method="pca").save(tmp_path / "map.html"),
        overview(graph).save(tmp_path / "overview.html"),
    ):
        page.goto(path.as_uri())
        if path.stem != "overview":
            page.wait_for_function("window.drawn")
        faults = axe.run(page).response["violations"]
        assert [fault["id"] for fault in faults if fault["impact"] in ("serious", "critical")] == []
    page.close()
