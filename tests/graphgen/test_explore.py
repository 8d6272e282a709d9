"""The picture of a neighbourhood: whole, offline, discreet, and alive in a real browser."""

from __future__ import annotations

import json

import networkx as nx
import pytest

from graphgen.ids import hashed_id
from graphgen.looking.elements import elements
from graphgen.looking.page import bundle, inline_page, write_page

CENTER = ("user", "A1CENTRE00")
OTHER = ("user", "A2SECRET99")
NASTY = "</script><script>alert(1)</script><b>&"


def make_neighborhood(title="Dune"):
    around = nx.MultiDiGraph(center=json.dumps(CENTER), domains=json.dumps(["book", "film"]))

    def add(node, label, distance, **more):
        facts = {"category": "", "distance": distance, "degree": 3, "more": json.dumps(more)}
        around.add_node(node, type=node[0], label=label, **facts)

    add(CENTER, CENTER[1], 0)
    add(("book", "b1"), title, 1, user=117)
    add(("film", "f1"), "三体：地球往事", 1)
    add(OTHER, OTHER[1], 2)
    add(("film", "f2"), "Solaris", 2)
    add(("book", "b2"), "Roadside Picnic", 2)
    facts = {"weight": 1.0, "time": "", "count": 1}
    for user, item in ((CENTER, ("book", "b1")), (CENTER, ("film", "f1")), (OTHER, ("film", "f1"))):
        around.add_edge(user, item, kind="interacts", **facts)
    for head, tail, weight in (("b1", "f2", 0.71), ("b1", "b2", 0.42), ("b2", "f2", 0.3)):
        ends = [("book" if name[0] == "b" else "film", name) for name in (head, tail)]
        around.add_edge(*ends, kind="similar", **facts | {"weight": weight})
    around.add_edge(("film", "f2"), ("book", "b1"), kind="next", **facts | {"weight": 5.0})
    return around


def test_the_links_that_matter():
    drawn = elements(make_neighborhood())
    links = {
        (edge["source"], edge["target"]): (edge["relation"], edge["tree"])
        for edge in drawn["edges"]
    }
    assert links == {
        ("user:A1CENTRE00", "book:b1"): ("interacts", True),
        ("user:A1CENTRE00", "film:f1"): ("interacts", True),
        (f"user:{hashed_id(OTHER[1])}", "film:f1"): ("interacts", True),
        ("film:f2", "book:b1"): ("next", True),  # the stronger of two relations; both are told
        ("book:b1", "book:b2"): ("similar", True),
    }  # none among the outer nodes
    text = {edge["target"]: edge["text"] for edge in drawn["edges"] if "f2" in edge["source"]}
    assert text == {"book:b1": "next → 5; similar 0.71"}
    assert [node["more"] for node in drawn["nodes"]][1] == {"user": 117}
    assert drawn["domains"] == ["book", "film"]


def test_ids_of_users_show_as_asked():
    users = [
        [node["key"] for node in elements(make_neighborhood(), show_ids=show)["nodes"]
         if node["kind"] == "user"]
        for show in (None, True, False)
    ]  # fmt: skip
    hidden = [hashed_id(user[1]) for user in (CENTER, OTHER)]
    assert users == [[CENTER[1], hidden[1]], [CENTER[1], OTHER[1]], hidden]


def test_one_small_file_that_loads_nothing_and_hides_other_users(tmp_path, outline):
    page = write_page(make_neighborhood(), tmp_path / "deep" / "page.html")
    assert [path.name for path in page.parent.iterdir()] == ["page.html"]
    assert page.stat().st_size < 300_000
    found = outline(page)
    assert found.loads == []
    assert not {"link", "img"} & set(found.tags)
    text = " ".join(found.text)
    assert "Around user A1CENTRE00" in text
    assert "6 nodes, 7 links, the strongest 5 of them drawn" in text
    assert "Ids of other users are masked." in text
    content = page.read_text(encoding="utf-8")
    assert OTHER[1] not in content
    assert page.read_bytes() == write_page(make_neighborhood(), tmp_path / "two.html").read_bytes()
    hidden = write_page(make_neighborhood(), tmp_path / "three.html", show_ids=False)
    assert CENTER[1] not in hidden.read_text(encoding="utf-8")


def test_the_bundle_is_one_module_with_its_licence():
    code = bundle()
    assert "import " not in code.replace("important ", "")[-30_000:]
    assert "Permission is hereby granted" in code
    assert code.count("export function create") == 2


def test_a_title_cannot_break_out(tmp_path, outline):
    page = write_page(make_neighborhood(NASTY), tmp_path / "page.html", title=NASTY)
    content = page.read_text(encoding="utf-8")
    assert "<script>alert" not in content
    assert "<b>&" not in content
    assert NASTY in "".join(outline(page).text)  # as text
    assert "<script>" not in inline_page(make_neighborhood(NASTY)).partition(">")[0]


def test_a_node_alone_and_one_without_a_path(tmp_path, outline):
    alone = nx.MultiDiGraph(center=json.dumps(CENTER), domains=json.dumps(["book"]))
    alone.add_node(CENTER, type="user", label=CENTER[1], category="", distance=0, degree=0)
    text = " ".join(outline(write_page(alone, tmp_path / "alone.html")).text)
    assert "1 node, 0 links" in text
    assert "masked" not in text
    alone.add_node(("book", "b1"), type="book", label="x", category="", distance=-1, degree=0)
    write_page(alone, tmp_path / "apart.html")


@pytest.mark.slow
def test_in_a_real_browser(opened):
    around = make_neighborhood(NASTY)
    # Without animations: the arrow keys go by where the nodes are by then.
    page = opened(
        lambda path: write_page(around, path),
        viewport={"width": 1200, "height": 800},
        reduced_motion="reduce",
    )
    shown = "drawn.cy.nodes(':visible').map(n => n.data('label'))"
    assert set(page.evaluate(shown)) == {
        "user A1CENTRE00", NASTY, "三体：地球往事", f"user {hashed_id(OTHER[1])[:4]}…", "Solaris",
        "Roadside Picnic", "+117 users",
    }  # fmt: skip
    apart = page.evaluate(
        "(() => { const boxes = drawn.cy.nodes().map(n => n.boundingBox({includeEdges: false}));"
        "return boxes.every((a, i) => boxes.every((b, j) => i === j || a.x2 <= b.x1 + 4 ||"
        "b.x2 <= a.x1 + 4 || a.y2 <= b.y1 + 4 || b.y2 <= a.y1 + 4)); })()"
    )
    assert apart  # no title covers another
    buttons = page.locator(".ig-legend button").all_inner_texts()
    assert buttons == ["book", "film", "user", "interacted with", "next item", "similar content"]

    # A hidden domain takes its links along, and what hangs on it.
    page.locator(".ig-legend button", has_text="book").click()
    assert set(page.evaluate(shown)) == {
        "user A1CENTRE00", "三体：地球往事", f"user {hashed_id(OTHER[1])[:4]}…",
    }  # fmt: skip
    assert page.evaluate("drawn.cy.edges(':visible').length") == 2
    page.locator(".ig-legend button", has_text="book").click()

    page.keyboard.press("/")
    page.keyboard.type("solar")
    page.keyboard.press("Enter")
    assert page.locator(".ig-panel h2").inner_text() == "Solaris"
    assert "next → 5; similar 0.71" in page.locator(".ig-panel").inner_text()
    lit = "drawn.cy.nodes('.lit').map(n => n.data('key'))"
    assert set(page.evaluate(lit)) == {"f2", "b1"}

    page.locator(".ig-canvas").focus()
    page.keyboard.press("Escape")
    for key, label in (("ArrowUp", "user A1CENTRE00"), ("ArrowLeft", "三体：地球往事")):
        page.keyboard.press(key)
        assert page.locator(".ig-live").inner_text().startswith(label)
    page.locator("button", has_text="Dark").click()
    assert page.locator(".ig-view").get_attribute("data-theme") == "dark"


@pytest.mark.slow
def test_on_a_phone(opened):
    around = make_neighborhood()
    page = opened(lambda path: write_page(around, path), viewport={"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert page.evaluate("drawn.cy.nodes('[?center]').renderedBoundingBox().x1") >= 0
    assert page.evaluate("drawn.cy.width()") == 390
