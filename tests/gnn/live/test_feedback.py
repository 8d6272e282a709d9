"""A dislike lowers the item and its near neighbours, and nothing else."""

import numpy as np
import pandas as pd
import pytest

from gnn.data import UserBatch
from gnn.live.feedback import Dislikes, dwell_weight, follow_dislikes
from gnn.live.meanings import Meanings
from gnn.registry import make_model
from gnn.serving.answers import Feedback
from gnn.users import user_batch
from graphgen.errors import ConfigError
from graphgen.log import InteractionLog

ASKED = ["u000", "u001", "somebody new"]


def disliked(item, domain="book", weight=-1.0):
    row = {"user_id": ["u000"], "domain": domain, "item_id": item, "weight": weight}
    return pd.DataFrame(row)


@pytest.mark.parametrize("name", ["popularity", "item-knn", "ease", "ials"])
def test_only_near_neighbours_of_the_domain_lose(graph, name):
    model = make_model(name).fit(graph)
    history = disliked("b00")
    before = {d: model.score(ASKED, domain=d, history=history) for d in model.domains}
    follow_dislikes(model, neighbours=6)
    after = {d: model.score(ASKED, domain=d, history=history) for d in model.domains}
    assert (before["film"] == after["film"]).all()
    assert (before["book"][1:] == after["book"][1:]).all()
    change = after["book"][0] - before["book"][0]
    span = model.data.span("book")
    cosines = model.data.features[span] @ model.data.features[span.start]
    near = np.argsort(-cosines, kind="stable")[:7]
    others = np.setdiff1d(np.arange(len(change)), near)
    near_by_cosine = cosines >= np.sort(cosines)[-8]
    assert (change[~near_by_cosine] == 0).all()
    assert (change <= 0).all() and change[others].sum() > change[near].sum()
    lead = before["book"][0] - before["book"][0].mean()
    if lead[0] > 0:
        assert change[0] == pytest.approx(-lead[0], abs=1e-5)
    assert (
        after["book"][0] >= np.minimum(before["book"][0], before["book"][0].mean()) - 1e-5
    ).all()


def test_seen_items_and_weak_dislikes_count_for_what_they_are(graph):
    model = make_model("popularity").fit(graph)
    plain = model.score(ASKED[:1], domain="book")[0]
    follow_dislikes(model)
    of = {w: model.score(ASKED[:1], domain="book", history=disliked("b00", weight=w))[0]
          for w in (0.0, -0.5, -1.0, -9.0)}  # fmt: skip
    assert (of[0.0] == plain).all()
    assert (of[-9.0] == of[-1.0]).all()
    best = int(np.argmax(plain))
    item = model.items("book").ids[best]
    lost = [
        plain[best]
        - model.score(ASKED[:1], domain="book", history=disliked(item, weight=w))[0][best]
        for w in (-0.5, -1.0)
    ]
    assert 0 < lost[0] == pytest.approx(lost[1] / 2, rel=1e-5)


def test_nearness_is_that_of_a_slow_loop(graph):
    model = make_model("popularity").fit(graph)
    data, n = model.data, 3
    follow = Dislikes(data, lambda: data.features, neighbours=n, strength=0.7)
    rows = pd.concat([disliked("b00"), disliked("b04", weight=-0.4)])
    users = user_batch(data, ["u000"], InteractionLog(rows))
    assert isinstance(users, UserBatch)
    generator = np.random.default_rng(0)
    scores = generator.random((1, len(data.items["book"])), dtype=np.float32)
    expected, near = scores[0].copy(), np.zeros(scores.shape[1])
    vectors = data.features[data.span("book")]
    for item, amount in (("b00", 1.0), ("b04", 0.4)):
        place = list(data.items["book"].ids).index(item)
        cosine = vectors @ vectors[place]
        cosine[place] = np.inf
        least = max(np.sort(cosine)[-(n + 2)], 0)
        near += amount * np.clip((cosine - least) / max(1 - least, 1e-6), 0, 1)
    lead = np.maximum(scores[0] - scores[0].mean(), 0)
    expected -= 0.7 * np.minimum(near, 1) * lead
    follow(scores, users, "book")
    # Ties at the edge have nearness 0 whichever is taken.
    assert scores[0] == pytest.approx(expected, abs=1e-5)


def test_dwell_and_settings():
    assert [dwell_weight(s) for s in (0, 4.9, 6, 30, 1e6)] == [0, 0, 0.2, 1, 1]
    with pytest.raises(ConfigError, match="neighbours"):
        Dislikes(None, None, neighbours=-1)
    with pytest.raises(ConfigError, match="strength"):
        Dislikes(None, None, strength=2)


def test_feedback_over_http_is_an_event_of_its_kind():
    given = Feedback(user_id="ann", item_id="dune", feedback="dwell", seconds=30)
    event = given.as_event()
    assert event == {"user_id": "ann", "item_id": "dune", "event": "dwell", "weight": 30.0}
    assert Meanings({})(["book"], [event["event"]], [event["weight"]])[0].tolist() == [1.0]
