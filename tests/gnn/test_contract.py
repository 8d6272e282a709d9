"""What every registered model must do. Registering a model puts it under these tests."""

from __future__ import annotations

import json
import logging

import numpy as np
import pandas as pd
import pytest

from gnn import MODELS, explain, load_model, make_model
from gnn.data import DOMAINS, ORDER, TEXT
from gnn.explaining.attribution import masked
from gnn.registry import model_class
from gnn.similar import vector_tables
from graphgen.build import build_graph
from graphgen.errors import ConfigError, InputError, NotFittedError, StorageError, UnknownIdError
from graphgen.log import InteractionLog

OF_HISTORIES = {"embedding_dim": 16, "epochs": 40, "learning_rate": 0.01, "dropout": 0.0}
# Settings that make a model quick on the planted graph; what is not named takes its defaults.
QUICK = {
    "lightgcn": {"embedding_dim": 16, "epochs": 60, "learning_rate": 0.05},
    "bpr-mf": {"embedding_dim": 16, "epochs": 60, "learning_rate": 0.05},
    "cmf": {"embedding_dim": 16, "epochs": 60, "learning_rate": 0.05, "regularization": 0.001},
    "bitgcf": {"embedding_dim": 16, "epochs": 80, "learning_rate": 0.05},
    "ials": {"embedding_dim": 4, "epochs": 8},
    "bridge-ridge": {"embedding_dim": 4, "epochs": 8},
    "ease": {"regularization": 20},
    "interest-gnn": {"embedding_dim": 16, "steps": 12},
    "text-bridge": OF_HISTORIES,
    "shared-space": OF_HISTORIES,
    "adversarial": OF_HISTORIES,
    "multitask": OF_HISTORIES,
    "hetero-gnn": OF_HISTORIES,
    "rules-gnn": {**OF_HISTORIES, "epochs": 15, "per_pair": 20},
    "interest-gan": {
        "embedding_dim": 8,
        "factor_epochs": 8,
        "hidden_dim": 32,
        "epochs": 16,
        "batch_size": 32,
        "learning_rate": 0.003,
    },
    "mult-vae": {**OF_HISTORIES, "hidden_dim": 32},
    "sparse-autoencoder": {**OF_HISTORIES, "active": 4},
    "emcdr": {**OF_HISTORIES, "embedding_dim": 4, "factor_epochs": 8},
    "ptupcdr": {**OF_HISTORIES, "embedding_dim": 4, "factor_epochs": 8},
    "sasrec": {"embedding_dim": 16, "epochs": 60, "learning_rate": 0.01, "dropout": 0.0},
}

# One domain without text is the least a model must live with, unless it declares a need.
NEEDS = {
    TEXT: "needs text features, and this graph has none; build it with an item table",
    DOMAINS: "needs at least two domains; this graph has only book",
    ORDER: "needs the order of a user's interactions",
}

every_model = pytest.mark.parametrize("name", sorted(MODELS))


@pytest.fixture(scope="module")
def graph(log, items, tmp_path_factory):
    """The planted graph, in a random order for the models that need one."""
    ordered = log.assign(position=np.random.default_rng(0).permutation(len(log)))
    cache = tmp_path_factory.mktemp("cache")
    return build_graph(ordered, items, encoder="hashing", cache_dir=cache)


@pytest.fixture(scope="module")
def fitted(graph):
    cache = {}

    def get(name):
        if name not in cache:
            cache[name] = make_model(name, **QUICK.get(name, {})).fit(graph, seed=1, valid=None)
        return cache[name]

    return get


def taste(ids):
    return pd.Series(ids).str[1:].astype(int) % 3


@every_model
def test_recommendation_table(fitted, name):
    recs = fitted(name).recommend(["u000", "u001"], k=4)
    assert recs.columns.tolist() == ["user_id", "domain", "item_id", "score", "rank"]
    assert len(recs) == 2 * 2 * 4
    for _, part in recs.groupby(["user_id", "domain"]):
        assert part["rank"].tolist() == [1, 2, 3, 4]
        assert part["score"].is_monotonic_decreasing
        assert part["item_id"].is_unique


@every_model
def test_scores_have_the_shape_of_the_catalogue(fitted, name):
    model = fitted(name)
    scores = model.score(["u000", "u001", "u002"], domain="film")
    assert scores.shape == (3, len(model.items("film")))
    assert scores.dtype == np.float32
    assert np.isfinite(scores).all()


@every_model
def test_lists_of_all_domains_are_those_of_each_alone(fitted, name):
    model = fitted(name)
    # Some users have items in one domain only.
    rows = np.r_[np.arange(12), np.argsort(model.data.active().sum(axis=1), kind="stable")[:12]]
    users = model.data.batch(rows)
    for domain in [*model.domains, *model.domains]:
        alone = model.score_batch(model.data.batch(rows), domain)
        np.testing.assert_allclose(model.score_batch(users, domain), alone, rtol=1e-5, atol=1e-7)


@every_model
def test_vectors_have_a_row_for_each_item_user_and_topic(fitted, name):
    model = fitted(name)
    items, users = model.item_vectors(), model.user_vectors()
    if items is None:
        assert users is None
        with pytest.raises(ConfigError, match="no vectors of items"):
            vector_tables(model.data, None)
        return
    tables = vector_tables(model.data, items, users)
    sizes = {"items": model.data.n_items, "users": model.data.n_users}
    sizes["interests"] = len(model.data.topics)
    for kind, table in tables.items():
        vectors = table.filter(regex=r"^v\d+$").to_numpy()
        assert vectors.shape == (sizes[kind], items.shape[1]) and np.isfinite(vectors).all()
    # A user is nearer to the items of the user than to the others.
    if users is not None and name != "bpr-mf":
        own = np.asarray(model.data.matrix.todense()) > 0
        scores = users @ items.T
        assert scores[own].mean() > scores[~own].mean()


@every_model
def test_seen_items_are_left_out(fitted, name, log):
    recs = fitted(name).recommend(["u000"], domain="book", k=100)
    seen = set(log[(log.user_id == "u000") & (log.domain == "book")].item_id)
    assert seen
    assert not seen & set(recs.item_id)
    everything = fitted(name).recommend(["u000"], domain="book", k=100, exclude_seen=False)
    assert seen <= set(everything.item_id)


@every_model
def test_k_above_the_catalogue_gives_what_is_left(fitted, name, log):
    seen = ((log.user_id == "u000") & (log.domain == "book")).sum()
    recs = fitted(name).recommend(["u000"], domain="book", k=1000)
    assert len(recs) == len(fitted(name).items("book")) - seen


@every_model
def test_unknown_user_gets_popularity_and_a_warning(fitted, name, caplog):
    with caplog.at_level(logging.WARNING):
        recs = fitted(name).recommend(["nobody"], domain="book", k=5)
    popular = fitted("popularity").recommend(["nobody"], domain="book", k=5)
    assert recs.item_id.tolist() == popular.item_id.tolist()
    if name != "popularity":
        assert "None of 1 user of the request occurs" in caplog.text


@every_model
def test_unknown_domain_is_a_clear_error(fitted, name):
    with pytest.raises(UnknownIdError, match="knows no domain 'opera'; it knows book, film"):
        fitted(name).recommend(["u000"], domain="opera")


@every_model
def test_k_below_one_is_a_clear_error(fitted, name):
    with pytest.raises(InputError, match="`k` must be at least 1; got 0"):
        fitted(name).recommend(["u000"], k=0)


@every_model
def test_repeated_users_are_answered_once(fitted, name):
    recs = fitted(name).recommend(["u000", "u000"], domain="book", k=3)
    assert len(recs) == 3


@every_model
def test_save_and_load_score_the_same(fitted, name, tmp_path):
    model = fitted(name)
    model.save(tmp_path / "model")
    again = load_model(tmp_path / "model")
    for domain in model.domains:
        users = ["u000", "u017", "nobody"]
        np.testing.assert_array_equal(
            again.score(users, domain=domain), model.score(users, domain=domain)
        )
    assert again.config == model.config
    assert again.provenance_["seed"] == 1
    assert not list((tmp_path / "model").glob("*.pkl"))


@every_model
def test_newer_or_damaged_models_are_refused(fitted, name, tmp_path):
    fitted(name).save(tmp_path / "model")
    manifest = tmp_path / "model" / "model.json"
    text = manifest.read_text()
    content = {**json.loads(text), "schema_version": 99}
    manifest.write_text(json.dumps(content))
    with pytest.raises(StorageError, match="Upgrade"):
        load_model(tmp_path / "model")
    manifest.write_text(text)
    (tmp_path / "model" / "indices.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(StorageError, match="damaged"):
        load_model(tmp_path / "model")


@every_model
def test_same_seed_same_result(fitted, name, graph):
    seed = 1 if model_class(name).random else 2  # Of the others no seed changes the result.
    again = make_model(name, **QUICK.get(name, {})).fit(graph, seed=seed, valid=None)
    np.testing.assert_array_equal(
        again.score(["u003"], domain="film"), fitted(name).score(["u003"], domain="film")
    )


@pytest.mark.parametrize("name", sorted(n for n in QUICK if model_class(n).chooses))
def test_what_is_chosen_gives_the_same_model_as_a_setting(name, graph):
    """By itself, `fit` holds out, chooses, and fits on everything with what it chose."""
    settings = {**QUICK[name], "validate_every": 4, "embedding_dim": 8}
    settings["steps" if "steps" in settings else "epochs"] = 8
    model = make_model(name, **settings)
    before = model.config
    model.fit(graph, seed=1)
    assert model.config == before
    assert model.chosen_
    again = make_model(name, **{**settings, **model.chosen_}).fit(graph, seed=1, valid=None)
    assert model.data.matrix.nnz == again.data.matrix.nnz
    np.testing.assert_array_equal(
        model.score(["u003"], domain="film"), again.score(["u003"], domain="film")
    )


@every_model
def test_another_word_for_held_out_rows_is_a_clear_error(name, graph):
    with pytest.raises(ConfigError, match="`valid` must be a log, \"auto\" or None; got 'none'"):
        make_model(name).fit(graph, valid="none")


@every_model
def test_fitting_again_equals_fitting_once(name, graph, plain_graph, fitted):
    model = make_model(name, **QUICK.get(name, {}))
    other = graph if model.requires else plain_graph
    model.fit(other, seed=1, valid=None).fit(graph, seed=1, valid=None)
    np.testing.assert_array_equal(
        model.score(["u003"], domain="film"), fitted(name).score(["u003"], domain="film")
    )


@every_model
def test_one_domain_without_text(name, plain_graph):
    model = make_model(name, **QUICK.get(name, {}))
    if model.requires:
        (need,) = model.requires
        with pytest.raises(ConfigError, match=NEEDS[need]):
            model.fit(plain_graph)
        return
    model.fit(plain_graph, valid=None)
    assert len(model.recommend(["u000"], k=3)) == 3


@every_model
def test_not_fitted_is_a_clear_error(name):
    with pytest.raises(NotFittedError, match="call fit"):
        make_model(name).recommend(["u000"])


@every_model
def test_unknown_setting_names_the_near_miss(name):
    with pytest.raises(ConfigError, match="has no setting 'embeding_dim'"):
        make_model(name, embeding_dim=3)


@pytest.mark.parametrize("name", sorted(set(MODELS) - {"popularity"}))
def test_planted_taste_ranks_first(fitted, name):
    """A warm user's unseen items of the right taste stand above all others."""
    users = [f"u{u:03d}" for u in range(30)]
    recs = fitted(name).recommend(users, domain="book", k=1)
    right = taste(recs.item_id).to_numpy() == np.arange(30) % 3
    assert right.mean() > 0.9


@pytest.mark.parametrize("name", sorted(n for n in MODELS if n != "popularity"))
def test_taste_migrates_to_a_domain_without_history(name, log, items, tmp_path):
    """People whose films were all removed are recommended films of the taste of their books."""
    movers = [f"u{u:03d}" for u in range(12)]
    train = log.assign(position=np.random.default_rng(0).permutation(len(log)))
    train = train[~(log.user_id.isin(movers) & (log.domain == "film"))]
    model = make_model(name, **QUICK.get(name, {}))
    if TEXT in model.requires:
        moved = build_graph(train, items, encoder="hashing", cache_dir=tmp_path)
    else:
        moved = build_graph(train, encoder="none")
    model.fit(moved, seed=2, valid=None)
    recs = model.recommend(movers, domain="film", k=1)
    assert (taste(recs.item_id).to_numpy() == np.arange(12) % 3).mean() > 0.8


@pytest.mark.parametrize(
    "name", sorted(n for n in MODELS if model_class(n).inductive and n != "popularity")
)
def test_people_who_arrive_later_are_scored_from_their_history(fitted, name):
    history = InteractionLog(
        pd.DataFrame({"user_id": "new", "domain": "book", "item_id": ["b00", "b03", "b06"]})
    )
    recs = fitted(name).recommend(["new"], domain="book", k=3, history=history)
    assert (taste(recs.item_id) == 0).all()
    assert not {"b00", "b03", "b06"} & set(recs.item_id)
    film = fitted(name).recommend(["new"], domain="film", k=3, history=history)
    assert (taste(film.item_id) == 0).all()


@pytest.mark.parametrize("name", sorted(n for n in MODELS if model_class(n).inductive))
def test_reasons_sum_to_what_the_history_adds(fitted, name):
    found = explain(fitted(name), "u000", "f26")
    user = fitted(name).data.batch(np.array([0]))
    masks = np.stack([np.ones(user.history.nnz, bool), np.zeros(user.history.nnz, bool)])
    place = fitted(name).items("film").encode(["f26"])
    whole, empty = sum(fitted(name).parts(masked(user, masks), "film", place).values())[:, 0]
    if whole:
        assert found.explained == pytest.approx(1 - empty / whole, abs=1e-4)
    assert len(found.interactions) == user.history.nnz
    assert found.sentence.endswith(".")


def test_popularity_counts(log, graph):
    model = make_model("popularity").fit(graph)
    counts = log[log.domain == "book"].item_id.value_counts()
    scores = dict(
        zip(model.items("book").ids, model.score(["u000"], domain="book")[0], strict=True)
    )
    assert all(scores[item] == count for item, count in counts.items())
    assert scores["b24"] == 0  # A cold item.
