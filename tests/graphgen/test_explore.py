"""The interactive page: whole, offline, discreet, and alive in a real browser."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import networkx as nx
import pytest

from graphgen.looking.page import write_page

CENTER = ("user", "A1CENTRE00")
OTHER = ("user", "A2SECRET99")
NASTY = "</script><script>alert(1)</script><b>&"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
    "--virtual-time-budget=5000",
)


def make_subgraph(title="Dune"):
    around = nx.MultiDiGraph(
        center=json.dumps(CENTER), domains=json.dumps(["book", "film"]), hops=2, limit=60
    )

    def add(node, label, distance):
        around.add_node(node, type=node[0], label=label, category="", distance=distance, degree=3)

    add(CENTER, CENTER[1], 0)
    add(("book", "b1"), title, 1)
    add(("film", "f1"), "三体：地球往事", 1)
    add(OTHER, OTHER[1], 2)
    add(("film", "f2"), "Solaris", 2)
    add(("book", "b2"), "Roadside Picnic", 2)
    facts = {"weight": 1.0, "time": "", "count": 1}
    around.add_edge(CENTER, ("book", "b1"), kind="interacts", **facts)
    around.add_edge(CENTER, ("film", "f1"), kind="interacts", **facts)
    around.add_edge(OTHER, ("film", "f1"), kind="interacts", **facts)
    around.add_edge(("book", "b1"), ("film", "f2"), kind="similar", **facts | {"weight": 0.71})
    around.add_edge(("book", "b1"), ("book", "b2"), kind="similar", **facts | {"weight": 0.42})
    return around


class Outline(HTMLParser):
    """Collects what a page would load, and its text outside of scripts."""

    def __init__(self):
        super().__init__()
        self.loads, self.text, self.tags, self._skip = [], [], [], False

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self._skip = tag in ("script", "style")
        self.loads += [value for name, value in attrs if name in ("src", "href") and value]

    def handle_endtag(self, tag):
        self._skip = False

    def handle_data(self, data):
        if not self._skip:
            self.text.append(data)


def outline(path):
    parser = Outline()
    parser.feed(Path(path).read_text(encoding="utf-8"))
    return parser


def test_one_file_that_loads_nothing(tmp_path):
    page = write_page(make_subgraph(), tmp_path / "deep" / "page.html")
    assert [path.name for path in page.parent.iterdir()] == ["page.html"]
    found = outline(page)
    assert found.loads == []
    assert "link" not in found.tags
    assert "img" not in found.tags
    assert found.tags.count("html") == 1
    text = " ".join(found.text)
    assert "Around user A1CENTRE00" in text
    assert "6 nodes, 5 links" in text
    assert "width=device-width" in page.read_text(encoding="utf-8")


def test_other_people_are_nowhere_in_the_file(tmp_path):
    content = write_page(make_subgraph(), tmp_path / "page.html").read_text(encoding="utf-8")
    assert OTHER[1] not in content
    assert "user 9" in content or re.search(r"user [0-9a-f]{4}", content)
    assert "Ids of other users are masked." in content


def test_same_input_same_bytes(tmp_path):
    one = write_page(make_subgraph(), tmp_path / "one.html").read_bytes()
    assert one == write_page(make_subgraph(), tmp_path / "two.html").read_bytes()


def test_a_title_cannot_break_out(tmp_path):
    page = write_page(make_subgraph(NASTY), tmp_path / "page.html", title=NASTY)
    content = page.read_text(encoding="utf-8")
    assert "<script>alert" not in content
    assert "<b>&" not in content
    assert NASTY in "".join(outline(page).text)  # as text


def test_a_node_alone_and_one_without_a_path(tmp_path):
    alone = nx.MultiDiGraph(
        center=json.dumps(CENTER), domains=json.dumps(["book"]), hops=0, limit=1
    )
    alone.add_node(CENTER, type="user", label=CENTER[1], category="", distance=0, degree=0)
    text = " ".join(outline(write_page(alone, tmp_path / "alone.html")).text)
    assert "1 node, 0 links" in text
    assert "masked" not in text
    alone.add_node(("book", "b1"), type="book", label="x", category="", distance=-1, degree=0)
    write_page(alone, tmp_path / "apart.html")


def in_browser(page, tmp_path, *flags):
    return subprocess.run(
        [CHROMIUM, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", *flags, page.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
def test_in_a_real_browser(tmp_path):
    page = write_page(make_subgraph(NASTY), tmp_path / "page.html")
    run = in_browser(page, tmp_path, "--window-size=1200,900", "--dump-dom")
    errors = [line for line in run.stderr.splitlines() if "CONSOLE" in line]
    assert not errors
    drawn = run.stdout[run.stdout.rindex('<div class="plot-container') :]
    legend = re.findall(r'class="legendtext"[^>]*>([^<]+)<', drawn)
    assert legend == [
        "book",
        "film",
        "user",
        "interacts",
        "similar, across domains",
        "similar, same domain",
    ]
    titles = re.findall(r'<g class="textpoint"[^>]*>.*?data-unformatted="([^"]*)"', drawn)
    assert len(titles) == 6  # all fit
    assert titles[0] == "user A1CENTRE00"
    assert {"三体：地球往事", "Solaris", "Roadside Picnic"} <= set(titles)
    assert drawn.count('class="point"') >= 6


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
def test_on_a_phone(tmp_path):
    """Chromium's own window is never narrower than 500 pixels, a frame may be."""
    write_page(make_subgraph(), tmp_path / "page.html")
    wrapper = tmp_path / "phone.html"
    wrapper.write_text(
        '<iframe src="page.html" width="400" height="800" style="border:0"></iframe><script>'
        "onload = () => setTimeout(() => { const d = document.querySelector('iframe')"
        ".contentDocument, p = d.getElementById('neighborhood'), t = document.createElement('p');"
        "t.id = 'found'; t.textContent = [d.documentElement.scrollWidth, p.clientWidth,"
        "p.clientHeight, d.documentElement.scrollHeight].join(' ');"
        "document.body.append(t); }, 2000);</script>",
        encoding="utf-8",
    )
    run = in_browser(
        wrapper, tmp_path, "--window-size=500,1000", "--allow-file-access-from-files", "--dump-dom"
    )
    found = re.search(r'<p id="found">([\d ]+)</p>', run.stdout)
    page_width, plot_width, plot_height, page_height = map(int, found[1].split())
    assert page_width == plot_width == 400  # nothing sticks out sideways
    assert plot_height > 500
    assert page_height == 800
