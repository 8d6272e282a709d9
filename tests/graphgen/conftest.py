"""Pages for the tests: read, and opened in a real browser."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest


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


@pytest.fixture(scope="session")
def outline():
    """Return a function that reads what a page loads and says."""
    return _outline


def _outline(path):
    parser = Outline()
    parser.feed(Path(path).read_text(encoding="utf-8"))
    return parser


@pytest.fixture
def opened(browser, tmp_path):
    """Open pages; at the end, none has logged an error or asked for anything."""
    faults, tabs = [], []

    def start(write, **settings):
        page = browser.new_page(**settings)
        tabs.append(page)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda said: faults.append(said.text))
        page.on(
            "request",
            lambda ask: None if ask.url.startswith(("file:", "blob:")) else faults.append(ask.url),
        )
        page.goto(write(tmp_path / "page.html").as_uri())
        page.wait_for_function("window.drawn")
        return page

    yield start
    for tab in tabs:
        tab.close()
    assert faults == []
