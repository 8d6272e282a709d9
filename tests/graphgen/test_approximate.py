"""Approximate search finds what the exact one does, and says how much of it."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from graphgen.builders.communities import _leading
from graphgen.builders.semantic import semantic_neighbors

pytest.importorskip("faiss")


def vectors_of(n, dim, seed=0):
    """Return vectors of length 1 around a center for each 50."""
    generator = np.random.default_rng(seed)
    centers = generator.standard_normal((n // 50, dim), dtype=np.float32)
    noise = generator.standard_normal((n, dim), dtype=np.float32)
    vectors = centers[generator.integers(n // 50, size=n)] + 0.5 * noise
    return torch.nn.functional.normalize(torch.from_numpy(vectors), dim=1)


def pairs(edges):
    return {
        (source, target, *pair)
        for (source, target), (index, _) in edges.items()
        for pair in index.T.tolist()
    }


def searched(features, words=None, **settings):
    has_text = {d: torch.ones(len(x), dtype=torch.bool) for d, x in features.items()}
    recalls = []
    settings = {"k": 5, "min_similarity": 0.2, "on_recall": recalls.append, **settings}
    return semantic_neighbors(features, has_text, words, **settings), recalls


@pytest.mark.parametrize("with_words", [False, True])
def test_most_neighbours_are_those_of_the_exact_search(with_words):
    features = {"a": vectors_of(1500, 16), "b": vectors_of(900, 16, seed=1)}
    words = None
    if with_words:
        bags = sp.random_array((2400, 300), density=0.02, format="csr", rng=0, dtype=np.float32)
        length = np.sqrt(bags.multiply(bags).sum(axis=1))
        bags = sp.csr_matrix(sp.diags_array(1 / np.maximum(length, 1e-9)) @ bags, dtype=np.float32)
        words = {"a": bags[:1500], "b": bags[1500:]}
    exact, none = searched(features, words)
    found, (recall,) = searched(features, words, approximate_from=2400)
    assert not none
    assert recall >= 0.95
    assert len(pairs(found) & pairs(exact)) >= 0.93 * len(pairs(exact))
    assert found.keys() == exact.keys()
    for key, (index, similarity) in found.items():
        assert (index[0].diff() >= 0).all()
        source, target = (features[d][i] for d, i in zip(key, index, strict=True))
        similarity_of_words = 0.0
        if words is not None:
            source_words, target_words = (
                words[d][i.numpy()] for d, i in zip(key, index, strict=True)
            )
            similarity_of_words = np.asarray(source_words.multiply(target_words).sum(axis=1))
        share = 0.5 if with_words else 0.0
        want = (1 - share) * (source * target).sum(1).numpy() + share * np.ravel(
            similarity_of_words
        )
        assert np.allclose(similarity, np.minimum(want, 1), atol=1e-5)


@pytest.mark.slow
def test_recall_of_100_000_items():
    features = {"a": vectors_of(60_000, 12), "b": vectors_of(40_000, 12, seed=1)}
    found, (recall,) = searched(features, approximate_from=100_000)
    assert recall >= 0.95
    sample = torch.arange(0, 60_000, 300)
    true = (features["a"][sample] @ features["b"].T).topk(5).indices
    index = found["a", "b"][0]
    near = {tuple(pair) for pair in index[:, torch.isin(index[0], sample)].T.tolist()}
    want = {(int(row), int(column)) for row, own in zip(sample, true) for column in own}  # noqa: B905
    assert len(near & want) >= 0.93 * len(want)


def test_likes_of_leading_users_give_the_space_of_all(monkeypatch):
    generator = np.random.default_rng(0)
    group = generator.integers(8, size=3000)
    item = (group[:, None] + 8 * generator.integers(30, size=(3000, 10))) % 240
    likes = sp.csr_matrix(
        (np.ones(item.size, np.float32), (np.repeat(np.arange(3000), 10), item.ravel()))
    )
    monkeypatch.setattr("graphgen.builders.communities.MAX_LIKES", likes.nnz // 3)
    vectors = _leading(likes, 8, 0)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    same = np.arange(240) % 8
    cosine = vectors @ vectors.T
    inside = same[:, None] == same
    assert cosine[inside].min() > 0.8
    assert np.abs(cosine[~inside]).max() < 0.3
