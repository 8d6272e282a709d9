"""SASRec: it looks back only, padding changes nothing, and it learns an order."""

import numpy as np
import pandas as pd
import pytest
import torch

from gnn import make_model
from graphgen.build import build_graph
from graphgen.errors import ConfigError
from graphgen.log import InteractionLog


@pytest.fixture(scope="module")
def circle():
    """Every user walks a part of one circle of 30 items, so that the next item is certain."""
    rows = []
    for user in range(300):
        start, length = (user * 7) % 30, 4 + user % 5
        rows += [(f"u{user}", f"i{(start + step) % 30}", "book", step) for step in range(length)]
    frame = pd.DataFrame(rows, columns=["user_id", "item_id", "domain", "position"])
    return build_graph(frame, encoder="none")


@pytest.fixture(scope="module")
def model(circle):
    settings = {"epochs": 40, "embedding_dim": 16, "learning_rate": 0.01, "batch_size": 64}
    return make_model("sasrec", **settings).fit(circle, valid=None)


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(ConfigError, match=r"heads: .*divide `embedding_dim`, 64; got 3"):
        make_model("sasrec", heads=3)


def test_the_next_item_of_an_order_is_learned(model):
    """The same two items in either order lead to different next items."""
    for items, want in ((["i3", "i4", "i5"], "i6"), (["i12", "i13", "i14"], "i15")):
        history = InteractionLog(
            pd.DataFrame(
                {"user_id": "new", "item_id": items, "domain": "book", "position": [1, 2, 3]}
            )
        )
        assert model.recommend("new", k=1, history=history).item_id.tolist() == [want]


def test_later_items_and_padding_change_nothing(model):
    network = model._network
    items = torch.tensor([[1, 2, 3, 4]])
    changed = torch.tensor([[1, 2, 9, -1]])
    with torch.no_grad():
        ours, theirs = network(items), network(changed)
        short = network(items[:, :2])
    torch.testing.assert_close(ours[:, :2], theirs[:, :2])
    torch.testing.assert_close(ours[:, :2], short)
    assert not torch.allclose(ours[:, 2], theirs[:, 2])


def test_the_sampled_loss_estimates_the_full_softmax(circle, model):
    data, network = model.data, model._network
    generator = np.random.default_rng(0)
    hidden = torch.randn(5, 16, generator=torch.Generator().manual_seed(0))
    wanted = torch.tensor([0, 5, 9, 14, 21])
    share = data.popularity / data.popularity.sum()
    drawn = generator.choice(len(share), 200_000, p=share)
    expected = torch.from_numpy(np.log(share * len(drawn))).float()
    with torch.no_grad():
        sampled = model._loss(
            hidden, wanted, torch.from_numpy(drawn), torch.zeros(30, dtype=torch.int64), expected
        )
        full = torch.nn.functional.cross_entropy(hidden @ network.items.T, wanted)
    assert float(sampled) == pytest.approx(float(full), rel=0.01)
