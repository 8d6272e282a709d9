"""The transition graph against its formula, and what it starts from."""

import numpy as np
import pandas as pd
import pytest

from gnn import make_model
from graphgen.build import build_graph
from graphgen.errors import ConfigError

# a: 0 1 2, b: 1 2 3, c: 0; as items p, q, r, s.
LOG = pd.DataFrame(
    {
        "user_id": list("aaabbbc"),
        "item_id": list("pqrqrsp"),
        "domain": "book",
        "position": [0, 1, 2, 0, 1, 2, 0],
    }
)


def test_scores_are_those_of_the_formula():
    settings = {"latest": 2, "latest_decay": 0.5, "hops": 2, "hop_decay": 0.3}
    model = make_model("transition-graph", **settings).fit(build_graph(LOG, encoder="none"))
    # Gap 1 counts 1, gap 2 counts half: p→q 1, p→r .5, q→r 2, q→s .5, r→s 1.
    counts = np.zeros((4, 4))
    counts[0, 1:3], counts[1, 2:4], counts[2, 3] = (1, 0.5), (2, 0.5), 1
    counts *= 2.0**-1.0  # The decay of one visit is in every count.
    steps = counts / np.maximum(counts.sum(1, keepdims=True), 1e-12)
    reach = steps + 0.3 * steps @ steps
    scores = model.score(["a", "c"], domain="book")
    np.testing.assert_allclose(scores[0], reach[2] + 0.5 * reach[1], atol=1e-6)
    np.testing.assert_allclose(scores[1], reach[0], atol=1e-6)


def test_texts_weigh_the_transitions():
    items = pd.DataFrame(
        {
            "item_id": list("pqrs"),
            "domain": "book",
            "text": ["dragons", "murder at sea", "dragons and wizards", "murder"],
        }
    )
    graph = build_graph(LOG, items, encoder="hashing")
    plain = make_model("transition-graph", similarity_power=0.0).fit(graph)
    weighed = make_model("transition-graph").fit(graph)
    cosine = np.maximum(graph.data["book"].x.numpy() @ graph.data["book"].x.numpy().T, 0)
    ours, theirs = (model.score(["c"], domain="book")[0] for model in (weighed, plain))
    np.testing.assert_allclose(ours, theirs * cosine[0], rtol=1e-4, atol=1e-6)


def test_a_log_without_order_is_refused():
    graph = build_graph(LOG.drop(columns="position"), encoder="none")
    with pytest.raises(ConfigError, match="no column `timestamp` or `position`"):
        make_model("transition-graph").fit(graph)
