from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from gnn import make_model
from gnn.baselines.linear import ease_weights
from gnn.data import TrainingData, UserBatch
from gnn.models.interest import path_scores as path_scores_module
from gnn.models.interest import paths as interest_paths
from gnn.models.interest.blend import Blend, gate_features
from gnn.models.interest.frontier import weight_at_cost
from gnn.models.interest.path_scores import PathScores
from gnn.models.interest.paths import (
    PATHS,
    SemanticPath,
    available_paths,
    path_lacks,
    required_paths,
    symmetric_neighbors,
)
from gnn.models.interest.ridge import RidgePath
from gnn.numerics.sparse import dense_product, keep_largest, pack_csr, unpack_csr
from gnn.numerics.svd import spectral_vectors
from graphgen.errors import ConfigError


def test_keep_largest_and_packing():
    matrix = sp.random(20, 30, density=0.4, random_state=0, format="csr", dtype=np.float32)
    kept = keep_largest(matrix, 3)
    for row in range(20):
        want = np.sort(matrix[row].toarray().ravel())[::-1][:3]
        got = np.sort(kept[row].toarray().ravel())[::-1][:3]
        np.testing.assert_array_equal(got, want)
    assert (unpack_csr("m", pack_csr("m", kept)) != kept).nnz == 0


@pytest.mark.parametrize("mkl", [True, False])
@pytest.mark.parametrize("density", [0.3, 0.0])
def test_dense_product_with_and_without_mkl(monkeypatch, mkl, density):
    if mkl and not torch.backends.mkl.is_available():
        pytest.skip("this PyTorch has no MKL")
    monkeypatch.setattr(torch.backends.mkl, "is_available", lambda: mkl)
    rng = np.random.default_rng(0)
    left, right = (
        sp.random(*shape, density=density, random_state=rng, format="csr", dtype=np.float32)
        for shape in ((7, 5), (5, 9))
    )
    want = left.toarray() @ right.toarray()
    np.testing.assert_allclose(dense_product(left, right).numpy(), want, rtol=1e-6)


def test_spectral_vectors_meet_the_exact_decomposition():
    rng = np.random.default_rng(0)
    matrix = sp.csr_matrix((rng.random((60, 25)) < 0.3).astype(np.float32))
    vectors = spectral_vectors(matrix, 8, np.random.default_rng(1)).double().numpy()
    du = np.asarray(matrix.sum(1)).ravel()
    di = np.asarray(matrix.sum(0)).ravel()
    a = np.diag(du**-0.5) @ matrix.toarray() @ np.diag(di**-0.5)
    _, s, vt = np.linalg.svd(a)
    want = vt[:8].T * np.sqrt(s[:8])
    want = want / np.linalg.norm(want, axis=1).mean()
    np.testing.assert_allclose(vectors @ vectors.T, want @ want.T, atol=2e-2)


def people(data, n):
    """The first people of the training data."""
    return UserBatch(np.arange(n), data.matrix[:n], np.arange(n))


def path_scores(warm=(True, True, True, False)):
    return PathScores(
        n_users=1,
        scores={
            "filter": torch.tensor([[0.0, 3.0, 1.0, 2.0]]),
            "gnn": torch.tensor([[0.9, 0.1, 0.2, 0.8]]),
            "popularity": torch.tensor([[5.0, 3.0, 2.0, 0.0]]),
        },
        seen_row=torch.tensor([0]),
        seen_column=torch.tensor([0]),
        warm=torch.tensor(warm).float(),
    )


def only(name, **settings):
    blend = Blend.default(("filter", "gnn", "popularity"))
    constant = tuple(50.0 if path == name else 0.0 for path in blend.paths)
    return blend.replace(gate=(constant, *blend.gate[1:]), **settings)


@pytest.mark.parametrize("name", ["filter", "gnn", "popularity"])
def test_every_path_is_a_probability_over_unseen_warm_items(name):
    part = path_scores().probabilities(name, 0.15)
    assert float(part[0, 1:3].sum()) == pytest.approx(1.0, abs=1e-6)
    assert float(part[0, 0]) == 0.0  # Seen.
    if name == "filter":
        assert part[0].tolist() == pytest.approx([0, 0.75, 0.25, 0.5])


def test_mix_follows_the_gate_and_the_weight_of_new_items():
    features = gate_features(np.array([3]), np.array([0]))
    mixed = path_scores().mix(only("filter", new_item_weight=0.5), features)
    assert mixed[0, 1:].tolist() == pytest.approx([0.75, 0.25, 0.25])


@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize("trending", [True, False])
def test_mix_is_the_weighted_sum_of_the_probabilities(monkeypatch, sparse, trending):
    """Sparse or dense, with rows of their own or one for all, a few rows at a time."""
    rng = np.random.default_rng(0)
    n, items, temperature, new = 6, 9, 0.2, 0.4
    monkeypatch.setattr(path_scores_module, "PIECE_SCORES", 2 * items)
    link = (rng.random((n, items)) * (rng.random((n, items)) < 0.5)).astype(np.float32)
    next_one = (rng.random((n, items)) * (rng.random((n, items)) < 0.3)).astype(np.float32)
    popular = np.array([9, 7, 7, 5, 4, 2, 1, 0, 0], np.float32)
    warm = popular > 0
    seen = (rng.random((n, items)) < 0.3) & warm
    cosines = (rng.random((n, items)) * 2 - 1).astype(np.float32)
    trend = (rng.random((n, items)) + 0.5).astype(np.float32) if trending else None
    names = ("filter", "gnn", "popularity", "sequence")
    gate = tuple(tuple(row) for row in rng.normal(size=(4, 4)).tolist())
    blend = Blend(paths=names, gate=gate, temperature=temperature, new_item_weight=new)
    features = gate_features(np.arange(n), np.arange(n)[::-1])

    masses = [link, np.exp((cosines - 1) / temperature), np.tile(popular, (n, 1)), next_one]
    weights = blend.weights(features).numpy()
    want = np.zeros((n, items))
    for place, mass in enumerate(masses):
        scaled = mass if trend is None else mass * trend
        total = (scaled * (warm & ~seen)).sum(1, keepdims=True)
        share = np.divide(scaled, total, out=np.zeros((n, items)), where=total > 0)
        want += weights[:, place, None] * share
    want[:, ~warm] *= new

    def scored(part):
        return sp.csr_matrix(part) if sparse else torch.from_numpy(part.copy())

    scores = PathScores(
        n_users=n,
        scores={
            "filter": scored(link),
            "gnn": torch.from_numpy(cosines),
            "popularity": torch.from_numpy(popular)[None].clone(),
            "sequence": scored(next_one),
        },
        seen_row=torch.from_numpy(seen.nonzero()[0].copy()),
        seen_column=torch.from_numpy(seen.nonzero()[1].copy()),
        warm=torch.from_numpy(warm).float(),
        trend=None if trend is None else torch.from_numpy(trend),
    )
    np.testing.assert_allclose(scores.mix(blend, features), want, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("sparse", [True, False])
def test_a_path_that_reaches_nothing_known_says_nothing(sparse):
    """What it hands on to new items has no share in anything, however small."""
    mass = np.array([[3.0, 0.0, 0.0, 2.0], [3.0, 1.0, 0.0, 2.0]], np.float32)
    scores = PathScores(
        n_users=2,
        scores={"filter": sp.csr_matrix(mass) if sparse else torch.from_numpy(mass.copy())},
        seen_row=torch.tensor([0, 1]),
        seen_column=torch.tensor([0, 0]),
        warm=torch.tensor([1.0, 1.0, 1.0, 0.0]),
    )
    features = gate_features(np.array([1, 1]), np.array([0, 0]))
    blend = only("filter")
    mixed = scores.mix(blend, features)
    assert mixed[0].tolist() == [0.0] * 4
    np.testing.assert_allclose(mixed[1], [3.0, 1.0, 0.0, 2.0], rtol=1e-6)


def test_weight_at_cost_moves_along_the_frontier():
    frontier = ((0.0, 0.10, 0.0), (1.0, 0.098, 0.03), (2.0, 0.09, 0.06))
    assert weight_at_cost(frontier, 0.0) == 0.0
    assert weight_at_cost(frontier, 0.02) == pytest.approx(1.0)
    # Half way between two measured ones.
    assert weight_at_cost(frontier, 0.06) == pytest.approx(1.5)
    assert weight_at_cost(frontier, 1.0) == 2.0


def test_new_items_that_nobody_finds_weigh_nothing():
    frontier = ((0.0, 0.10, 0.0), (1.0, 0.10, 0.0), (2.0, 0.05, 0.1))
    assert weight_at_cost(frontier, 0.05) == 0.0
    assert weight_at_cost(frontier, 0.5) == 2.0


def test_a_domain_has_its_own_weight_of_new_items():
    cheap, dear = (((0.0, 1.0, 0.01), (4.0, kept, 0.1)) for kept in (0.9, 0.6))
    blend = only("gnn", frontier=dear, own_frontiers={"book": cheap}).at_cost(0.1)
    assert blend.within("book").new_item_weight == pytest.approx(4.0)
    assert blend.within("film").new_item_weight == pytest.approx(1.0)
    assert only("gnn").at_cost(0.1) == only("gnn")  # Nothing was measured.


def test_paths_follow_the_data(graph):
    """Semantic edges, times and items with interactions each make a path."""
    data = TrainingData.from_graph(graph)
    assert available_paths(PATHS, data) == tuple(p for p in PATHS if p != "sequence")
    assert available_paths(PATHS, replace(data, times=data.matrix)) == PATHS
    bare = replace(data, similar=None, matrix=data.matrix[:, :0], items={})
    assert "semantic" not in available_paths(PATHS, bare)
    assert "ridge" not in available_paths(PATHS, bare)
    with pytest.raises(ConfigError, match="no path 'filters'"):
        available_paths(("filters",), data)


def test_semantic_path_adds_up_squared_similarities(graph):
    data = TrainingData.from_graph(graph)
    similar = symmetric_neighbors(data)
    scores = SemanticPath(data, similar).score(people(data, 5), "film").toarray()
    want = data.matrix[:5].toarray() @ np.square(similar.toarray())
    np.testing.assert_allclose(scores, want[:, data.span("film")], rtol=1e-5, atol=1e-6)
    assert (similar != similar.T).nnz == 0


def test_ridge_path_equals_ease(graph):
    data = TrainingData.from_graph(graph)
    warm = np.flatnonzero(data.warm)
    weights = ease_weights(data.matrix[:, warm], 5.0)
    ours = RidgePath(data, weights).score(people(data, 4), "film").numpy()
    ease = make_model("ease", regularization=5.0).fit(graph)
    want = ease.score(graph.vocabularies["user"].ids[:4].tolist(), domain="film")
    np.testing.assert_allclose(ours, np.maximum(want, 0), rtol=1e-5, atol=1e-6)


def test_ridge_path_is_saved_and_is_for_small_catalogues(graph, monkeypatch):
    data = TrainingData.from_graph(graph)
    path = RidgePath.fit(data, 0.05)
    same = RidgePath.from_state(path.state(), data)
    users = people(data, 4)
    torch.testing.assert_close(same.score(users, "film"), path.score(users, "film"))
    assert not path_lacks("ridge", data)
    assert "it is for 2 to 10 items" in path_lacks("ridge", data, 10)
    # What was chosen on a part of the log is kept on all of it, within reason.
    assert required_paths(("ridge",), data) == ("ridge",)
    monkeypatch.setattr(interest_paths, "REQUIRED_RIDGE_ITEMS", 20)
    with pytest.raises(ConfigError, match="'ridge': it is for 2 to 20 items"):
        required_paths(("ridge",), data)


def test_joint_index_of_the_training_data(graph):
    data = TrainingData.from_graph(graph)
    assert data.matrix.shape == (graph.n_users, graph.n_items)
    assert data.span("film").start == len(graph.vocabularies["book"])
    index, _ = graph.interactions("film")
    user, item = index[:, 7].tolist()
    assert data.matrix[user, data.span("film").start + item] == 1.0
    assert data.features.shape == (graph.n_items, graph.feature_dim)
    assert not data.warm[data.span("book")][24:].any()


def test_candidates_of_the_network_leave_out_what_was_seen():
    assert path_scores().unseen(0.15)[0].argmax() == 3
