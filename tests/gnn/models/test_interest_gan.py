import numpy as np
import pytest

from gnn import load_model, make_model

SETTINGS = {
    "embedding_dim": 8,
    "factor_epochs": 8,
    "hidden_dim": 32,
    "epochs": 16,
    "batch_size": 32,
}


@pytest.fixture(scope="module")
def model(graph):
    return make_model("interest-gan", learning_rate=0.003, **SETTINGS).fit(graph, valid=None)


def test_vectors_are_near_items_of_the_taste_and_differ(model):
    users = [f"u{u:03d}" for u in range(30)]
    made = model.generate(users, domain="film", samples=4)
    assert made.shape == (30, 4, 8)
    np.testing.assert_allclose(np.linalg.norm(made, axis=2), 1, rtol=1e-5)
    items = model.item_vectors()[model.data.span("film")][:24]
    taste = (made @ items.T).argmax(axis=2) % 3
    assert (taste == np.arange(30)[:, None] % 3).mean() > 0.8
    assert made.std(axis=1).max() > 1e-3


def test_evidence_is_of_users_that_training_left_out(model, tmp_path):
    few = model.evidence()
    assert few.empty  # Of 120 users, 12 were left out.
    model._held_out[:60] = True
    table = model.evidence()
    assert table.domain.tolist() == ["book", "film"]
    assert table.users.between(60, 70).all()
    assert (table.cosine > table.cosine_of_mean).all()
    model.save(tmp_path / "model")
    assert load_model(tmp_path / "model").evidence().equals(table)
