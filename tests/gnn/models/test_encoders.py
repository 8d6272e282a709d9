"""What models of histories share, and what is special about each."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch

from gnn import load_model, make_model
from gnn.data import TrainingData
from gnn.encoders import hide, pool
from gnn.models.hetero import sample_entries
from gnn.numerics.sparse import entry_rows
from graphgen.build import build_graph
from graphgen.errors import ConfigError

SMALL = {"embedding_dim": 16, "epochs": 20, "learning_rate": 0.01, "dropout": 0.0}


@pytest.fixture(scope="module")
def data(graph):
    return TrainingData.from_graph(graph)


def cells(matrix):
    return set(zip(entry_rows(matrix).tolist(), matrix.indices.tolist(), strict=True))


def test_hidden_and_known_make_up_the_history(data):
    users = np.arange(40)
    hidden = hide(data, users, 0.3, np.random.default_rng(0))
    starts = np.array([data.span(domain).start for domain in data.domains])
    items = hidden.item + starts[hidden.domain]
    parts = cells(hidden.known), set(zip(hidden.user.tolist(), items.tolist(), strict=True))
    assert not parts[0] & parts[1]
    assert parts[0] | parts[1] == cells(data.matrix[users])
    assert (np.diff(hidden.known.indptr) > 0).all()


def test_about_half_of_the_users_lose_a_whole_domain(data):
    users = np.arange(data.n_users)
    known = hide(data, users, 0.01, np.random.default_rng(0)).known
    counts = [np.diff(known[:, data.span(domain)].indptr) for domain in data.domains]
    lost = np.column_stack(counts) == 0
    assert 0.35 < lost.any(axis=1).mean() < 0.65
    assert not lost.all(axis=1).any()


def test_users_of_whom_all_is_hidden_keep_all(plain_graph):
    data = TrainingData.from_graph(plain_graph)
    hidden = hide(data, np.arange(60), 0.999999, np.random.default_rng(0))
    assert len(hidden.user) == 0
    assert cells(hidden.known) == cells(data.matrix[:60])


def test_pool_is_a_weighted_sum_with_gradients():
    rng = np.random.default_rng(0)
    history = sp.random(6, 9, 0.4, format="csr", random_state=0, dtype=np.float32)
    table = torch.from_numpy(rng.standard_normal((9, 3)).astype(np.float32)).requires_grad_()
    weight = torch.from_numpy(rng.random(9).astype(np.float32)).requires_grad_()
    dense = torch.from_numpy(history.toarray())
    ours, wanted = pool(table, history, weight), (dense * weight) @ table
    torch.testing.assert_close(ours, wanted)
    for got, want in zip(
        torch.autograd.grad(ours.square().sum(), (table, weight)),
        torch.autograd.grad(wanted.square().sum(), (table, weight)),
        strict=True,
    ):
        torch.testing.assert_close(got, want)


def test_text_bridge_reaches_new_items_and_its_attention_differs_from_the_mean(graph):
    models = {
        pooling: make_model("text-bridge", pooling=pooling, **SMALL).fit(graph, seed=1, valid=None)
        for pooling in ("mean", "attention")
    }
    users = [f"u{u:03d}" for u in range(30)]
    new = models["attention"].items("film").encode(["f24", "f25", "f26"])
    found = models["attention"].score(users, domain="film")[:, new].argmax(axis=1)
    assert (found == np.arange(30) % 3).mean() > 0.9
    scores = [model.score(users, domain="film") for model in models.values()]
    assert not np.allclose(*scores)


@pytest.mark.parametrize("setting", ["consistency", "alignment"])
def test_losses_of_a_shared_space_bring_domains_together(log, setting):
    """Of users known in both domains, or in one of them each, vectors are nearer than without."""
    number = log.user_id.str[1:].astype(int)
    apart = log[(number % 2 == 0) == (log.domain == "book")]
    data = log if setting == "consistency" else pd.concat([apart, log[number < 4]])
    graph = build_graph(data, encoder="none")

    def distance(**settings):
        off = {"consistency": "none", "alignment": "none", **settings}
        model = make_model("shared-space", **SMALL, **off).fit(graph, seed=1, valid=None)
        (first, one), (second, two) = model._encoder.of_domains(model.data.matrix)
        if setting == "alignment":
            one, two = one.detach(), two.detach()
            return float(
                (one.mean(0) - two.mean(0)).norm() / torch.cat([one, two]).norm(dim=1).mean()
            )
        _, left, right = np.intersect1d(first, second, return_indices=True)
        return 1 - float(torch.cosine_similarity(one[left], two[right]).mean())

    weight = {f"{setting}_weight": 5.0}
    value = {"consistency": "cosine", "alignment": "mmd"}[setting]
    assert distance(**{setting: value}, **weight) < 0.8 * distance()


def test_the_classifier_of_domains_is_fooled(graph):
    """The classifier that is trained along knows the domain only where no gradient is reversed."""

    def accuracy(weight):
        settings = {**SMALL, "learning_rate": 0.003, "batch_size": 32, "epochs": 60}
        settings["temperature"] = 0.1
        model = make_model("adversarial", adversary_weight=weight, **settings)
        encoder = model.fit(graph, seed=1, valid=None)._encoder
        parts = [vectors for _, vectors in encoder.of_domains(model.data.matrix)]
        guess = encoder.classifier(torch.nn.functional.normalize(torch.cat(parts))).argmax(1)
        truth = torch.arange(len(parts)).repeat_interleave(torch.tensor([len(p) for p in parts]))
        return float((guess == truth).float().mean())

    assert accuracy(0.0) > 0.9
    assert accuracy(0.03) < 0.8


@pytest.mark.parametrize("structure", ["shared-bottom", "mmoe", "ple"])
def test_tasks_share_what_their_structure_says(graph, structure, tmp_path):
    model = make_model("multitask", structure=structure, **SMALL).fit(graph, seed=1, valid=None)
    encoder = model._encoder
    assert len(encoder.shared) == (1 if structure == "shared-bottom" else 4)
    assert len(encoder.own[0]) == (structure == "ple")
    assert (encoder.log_variance != 0).all()
    conflict = model.gradient_conflict()
    assert conflict.index.tolist() == conflict.columns.tolist() == ["book", "film"]
    np.testing.assert_allclose(np.diag(conflict), 1, atol=1e-5)
    assert -1 <= conflict.loc["book", "film"] <= 1
    model.save(tmp_path / "model")
    again = load_model(tmp_path / "model").gradient_conflict()
    pd.testing.assert_frame_equal(again, conflict)


def test_a_linear_bridge_nears_the_least_squares_one(log):
    """EMCDR with a matrix learns by gradients what `bridge-ridge` has in closed form."""
    movers = log[(log.user_id.str[1:].astype(int) < 12) & (log.domain == "film")].index
    graph = build_graph(log.drop(movers), encoder="none")
    settings = {"embedding_dim": 4, "factor_epochs": 8, "learning_rate": 0.01, "epochs": 80}
    model = make_model("emcdr", bridge="linear", batch_size=32, **settings).fit(
        graph, seed=1, valid=None
    )
    encoder, matrix = model._encoder, model.data.matrix
    book, film = (encoder.own(part, n) for n, part in enumerate(encoder.parts(matrix)))
    both = (book != 0).any(1) & (film != 0).any(1)
    wanted = torch.linalg.lstsq(book[both], film[both]).solution
    ours = encoder.bridges[encoder.pairs.index((0, 1))].weight.T.detach()
    maps = ours, wanted, torch.zeros(4, 4)
    error = [float((book[both] @ w - film[both]).square().mean()) for w in maps]
    assert error[0] - error[1] < 0.1 * (error[2] - error[1])


def test_users_of_one_taste_have_bridges_of_their_own(graph):
    """PTUPCDR: users with equal histories have equal bridges, users of other tastes others."""
    model = make_model("ptupcdr", embedding_dim=4, epochs=4, factor_epochs=8)
    encoder = model.fit(graph, seed=1, valid=None)._encoder
    history = sp.csr_matrix(model.data.matrix[[0, 0, 1]][:, model.data.span("book")])
    mapped = encoder.bridge(0, torch.ones(3, 4), history).detach()
    torch.testing.assert_close(mapped[0], mapped[1])
    assert not torch.allclose(mapped[0], mapped[2])


def test_cmf_balances_domains(log):
    few = log[(log.domain == "book") | (log.index % 4 == 0)]
    model = make_model("cmf", balance=1.0, epochs=1).fit(
        build_graph(few, encoder="none"), valid=None
    )
    counts = np.bincount(model.data.item_domain[model.data.matrix.indices])
    weight = [float(model._weight[model.data.span(name)][0]) for name in model.data.domains]
    assert weight[0] * counts[0] == pytest.approx(weight[1] * counts[1], rel=1e-5)
    assert sum(w * c for w, c in zip(weight, counts, strict=True)) == pytest.approx(
        counts.sum(), rel=1e-5
    )


def test_units_of_a_sparse_autoencoder_are_interests(graph):
    model = make_model("sparse-autoencoder", embedding_dim=24, active=3, epochs=60)
    units = model.fit(graph, seed=1, valid=None).units(k=4)
    code = model._encoder.code(model.data.matrix)
    assert int((code > 0).sum(1).max()) <= 3
    taste = units.item_id.str[1:].astype(int) % 3
    pure = taste.groupby(units.unit).nunique() == 1
    assert pure.mean() > 0.8
    assert units.users.is_monotonic_decreasing


def test_a_variational_code_is_drawn_in_training_only(graph):
    model = make_model("mult-vae", **SMALL).fit(graph, seed=1, valid=None)
    encoder, history = model._encoder, model.data.matrix[:5]
    with torch.no_grad():
        assert torch.equal(encoder.code(history), encoder.code(history))
        encoder.train()
        assert not torch.equal(encoder.code(history), encoder.code(history))


@pytest.mark.parametrize(
    "name", ["text-bridge", "shared-space", "multitask", "emcdr", "ptupcdr", "mult-vae"]
)
def test_vectors_of_the_wanted_domain_are_those_of_all(graph, name):
    """Users with history in both domains, in one, and in none."""
    model = make_model(name, **{**SMALL, "epochs": 1}).fit(graph, seed=1, valid=None)
    history = model.data.matrix[:6].tolil()
    history[:2, model.data.span("film")] = 0
    history[2, model.data.span("book")] = 0
    history[3] = 0
    history = history.tocsr()
    with torch.no_grad():
        both = model._encoder.users(history, [0, 1])
        for place, wanted in both.items():
            (only,) = model._encoder.users(history, [place]).values()
            torch.testing.assert_close(only, wanted, rtol=1e-5, atol=1e-6)


def test_one_domain_is_too_few_for_a_bridge(plain_graph):
    with pytest.raises(ConfigError, match="needs at least two domains"):
        make_model("ptupcdr").fit(plain_graph)


@pytest.mark.parametrize("convolution", ["rgcn", "hgt"])
def test_convolutions_reach_new_items_and_survive_a_save(graph, convolution, tmp_path):
    settings = {**SMALL, "batch_size": 32, "epochs": 8}
    model = make_model("hetero-gnn", convolution=convolution, **settings)
    model.fit(graph, seed=1, valid=None).save(tmp_path / "model")
    users = [f"u{u:03d}" for u in range(30)]
    new = model.items("film").encode(["f24", "f25", "f26"])
    scores = model.score(users, domain="film")
    assert (scores[:, new].argmax(axis=1) == np.arange(30) % 3).mean() > 0.8
    again = load_model(tmp_path / "model")
    np.testing.assert_array_equal(again.score(users, domain="film"), scores)
    assert again.reaches_cold


def test_hidden_interactions_are_not_in_a_sampled_neighbourhood(graph):
    model = make_model("hetero-gnn", **{**SMALL, "epochs": 1}).fit(graph, seed=1, valid=None)
    encoder, users = model._encoder.train(), np.arange(100)
    encoder.left_out[users] = True
    nodes, edges = encoder._around({"item": np.arange(20)}, 2)
    assert len(nodes["user"])
    assert not np.isin(nodes["user"], users).any()
    items, near = edges["item", "history", "user"].numpy()
    truth = cells(model.data.matrix)
    assert set(zip(nodes["user"][near], nodes["item"][items], strict=True)) <= truth


def test_layers_of_all_items_give_users_what_whole_neighbourhoods_give(graph):
    """Over the stored layers of items a user is as if the whole graph had been propagated."""
    settings = {**SMALL, "epochs": 2, "id_dropout": 0, "fan_out": 1000, "eval_fan_out": 1000}
    model = make_model("hetero-gnn", **settings).fit(graph, seed=1, valid=None)
    encoder, history = model._encoder, model.data.matrix[:4]
    with torch.no_grad():
        by_tables = encoder.users(history, [0])[0]
        encoder.train()
        encoder.left_out[:] = False
        sampled = encoder.users(history, [0])[0]
    torch.testing.assert_close(by_tables, sampled, rtol=1e-4, atol=1e-5)


def test_a_network_corrects_rules(graph, tmp_path):
    """A rule against the taste of its users is outvoted; of unknown users it decides."""
    file = tmp_path / "rules.toml"
    file.write_text(
        '[[rules]]\nif = {domain = "book"}\nthen = {domain = "film", item = "f01"}\nweight = 3\n'
    )
    settings = {**SMALL, "epochs": 10}
    plain = make_model("hetero-gnn", **settings).fit(graph, seed=1, valid=None)
    model = make_model("rules-gnn", file=str(file), **settings).fit(graph, seed=1, valid=None)
    assert model._encoder.strength != 1
    users = [f"u{u:03d}" for u in range(0, 30, 3)]
    place = model.items("film").encode(["f01"])
    prior = model._prior(model.data.batch(np.arange(3)), "film")
    assert prior[:, place].unique().item() == pytest.approx(3 * np.log(2))
    assert (prior.sum(1) == prior[:, place].ravel()).all()
    top = model.recommend(users, domain="film", k=1).item_id.str[1:].astype(int)
    assert (top % 3 == 0).all()
    scores = [m.score(users, domain="film")[:, place].mean() for m in (plain, model)]
    assert scores[1] > scores[0]
    model.save(tmp_path / "model")
    again = load_model(tmp_path / "model")
    np.testing.assert_array_equal(
        again.score(users, domain="film"), model.score(users, domain="film")
    )


def test_rules_with_a_window_see_the_shown_part_of_a_history(log, tmp_path):
    dated = log.assign(timestamp=pd.date_range("2026-01-01", periods=len(log), freq="h"))
    file = tmp_path / "rules.toml"
    file.write_text(
        '[[rules]]\nif = {domain = "book", since = 2026-01-02, least = 2}\n'
        'then = {domain = "film"}\n'
    )
    model = make_model("rules-gnn", file=str(file), **{**SMALL, "epochs": 1})
    model.fit(build_graph(dated, encoder="none"), seed=1, valid=None)
    model._users = np.arange(50)
    hidden = hide(model.data, model._users, 0.5, np.random.default_rng(0))
    shown = model._shown(hidden)
    assert cells(shown.order) == cells(hidden.known)
    whole = model.data.order[model._users]
    assert (shown.order != whole.multiply(hidden.known).astype(np.int64)).nnz == 0


def test_few_entries_are_drawn_from_long_rows_and_all_from_short_ones():
    matrix = sp.csr_matrix(np.array([[1, 1, 1, 1, 1], [0, 1, 0, 0, 1], [0, 0, 0, 0, 0]]))
    place, column = sample_entries(matrix, np.array([2, 1, 0]), 3, np.random.default_rng(0))
    assert np.bincount(place, minlength=3).tolist() == [0, 2, 3]
    assert column[place == 1].tolist() == [1, 4]
