from html.parser import HTMLParser

import pandas as pd
import pytest

from gnn.baselines.neighbors import ItemKNN
from gnn.interests import card, new_interests
from graphgen import build_graph
from graphgen.errors import InputError

ROWS = [
    ("ann", "c1", "2024-01-01"), ("ann", "c2", "2024-02-01"), ("ann", "t1", "2024-06-01"),
    ("bob", "t1", "2024-01-05"), ("bob", "t2", "2024-01-06"), ("eve", "c1", "2024-03-01"),
    ("eve", "s1", "2024-03-02"), ("ida", "s1", "2024-03-03"), ("ida", "t2", "2024-03-04"),
]  # fmt: skip
TOPICS = {"c": "Crime <1>", "t": "Tea", "s": "Space"}


class Balance(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.open = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module", params=[True, False], ids=["times", "no times"])
def model(request):
    log = pd.DataFrame(ROWS, columns=["user_id", "item_id", "timestamp"])
    log = log if request.param else log.drop(columns="timestamp")
    items = pd.DataFrame({"item_id": ["c1", "c2", "t1", "t2", "s1"]})
    items["category"] = items["item_id"].str[0].map(TOPICS)
    items["title"] = "Title & " + items["item_id"]
    graph = build_graph(log, items, encoder="none", category_items=1, topics=0)
    return ItemKNN().fit(graph)


def test_a_card_shows_the_sentence_the_interests_and_the_windows(model):
    found = card(model, "ann", windows="60d")
    html = found._repr_html_()
    assert not Balance(html).open
    assert "Crime &lt;1&gt;" in html and "Title &amp; c1" in html and "<1>" not in html
    assert found.sentence.split(";")[0] in html.replace("&lt;1&gt;", "<1>")
    timed = model.data.has_time
    assert ("Over time" in html) is timed
    if timed:
        windows = found.moves.groupby("end")["interactions"].first()
        assert windows.sum() == 3 and all(f"{end:%Y-%m-%d}" in html for end in windows.index)
    with pytest.raises(InputError, match="one user"):
        card(model, ["ann", "bob"])


def test_a_card_of_a_stranger_says_so(model):
    assert "Nothing is known" in card(model, "nobody")._repr_html_()


def test_new_interests_come_with_titles(model):
    found = new_interests(model, "bob", k=3)
    assert "Tea" not in found.table["interest"].tolist()
    assert found.table["item_ids"].str.startswith("Title & ").all()
    html = found._repr_html_()
    assert not Balance(html).open and "Title &amp; " in html
