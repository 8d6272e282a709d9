"""Each way of choosing, beside a loop over one user at a time, and beside pyversity."""

import numpy as np
import pytest
import pyversity
from scipy.stats import gamma

from gnn.numerics.reranking import calibrated, dpp, explored, mmr, quota, sampled_shares

N, M, DIM, K, TOPICS = 12, 40, 8, 10, 7


@pytest.fixture
def rng():
    return np.random.default_rng(3)


@pytest.fixture
def relevance(rng):
    return -np.sort(-rng.random((N, M), dtype=np.float32), axis=1)


@pytest.fixture
def vectors(rng):
    made = rng.standard_normal((N, M, DIM)).astype(np.float32)
    return made / np.linalg.norm(made, axis=2, keepdims=True)


@pytest.fixture
def members(rng):
    """Two topics for most items, one for some, none for some."""
    topics = np.argsort(rng.random((N, M, TOPICS)), axis=2)[..., :2]
    first = rng.choice([0.3, 0.5, 1.0], (N, M))
    weights = np.stack([first, 1 - first], axis=2).astype(np.float32)
    weights[rng.random((N, M)) < 0.1] = 0
    return topics, weights


@pytest.mark.parametrize("strength", [0.0, 0.2, 0.5, 0.9, 1.0])
def test_mmr_chooses_as_pyversity_does(relevance, vectors, strength):
    ours = mmr(relevance, vectors, K, strength)
    theirs = [
        pyversity.mmr(v, r, K, diversity=strength).indices
        for v, r in zip(vectors, relevance, strict=True)
    ]
    assert ours.tolist() == np.array(theirs).tolist()


@pytest.mark.parametrize("strength", [0.2, 0.5, 0.8])
def test_dpp_chooses_as_pyversity_does(relevance, vectors, strength):
    # Theirs weighs exp(beta · z-score), and its kernel has the square of the weight.
    ours, k = dpp(relevance, vectors, DIM, strength), DIM
    theirs = [
        pyversity.dpp(
            v, r, k, diversity=0.5, scale=(1 - strength) / strength * float(r.std())
        ).indices
        for v, r in zip(vectors, relevance, strict=True)
    ]
    assert ours.tolist() == np.array(theirs).tolist()


def test_dpp_is_worth_the_determinant(relevance, vectors):
    ours = dpp(relevance, vectors, 4, 0.5)
    for chosen, r, v in zip(ours, relevance, vectors, strict=True):
        kernel = v @ v.T
        picked = [0]
        for _ in range(3):
            worth = [
                r[j] + np.linalg.slogdet(kernel[np.ix_([*picked, j], [*picked, j])])[1]
                if j not in picked
                else -np.inf
                for j in range(M)
            ]
            picked.append(int(np.argmax(worth)))
        assert chosen.tolist() == picked


@pytest.mark.parametrize("strength", [0.3, 0.95])
def test_calibrated_minimises_the_divergence_from_the_profile(rng, relevance, members, strength):
    topics, weights = members
    profile = rng.dirichlet(np.full(TOPICS, 0.3), N).astype(np.float32)
    profile[0] = 0
    ours = calibrated(relevance, topics, weights, profile, K, strength)
    assert ours[0].tolist() == list(range(K))
    for user in range(1, N):
        p, picked = profile[user].astype(float), []
        for _ in range(K):
            worth = np.full(M, -np.inf)
            for j in set(range(M)) - set(picked):
                mix = np.zeros(TOPICS)
                for item in [*picked, j]:
                    np.add.at(mix, topics[user, item], weights[user, item])
                q = 0.99 * mix / max(mix.sum(), 1) + 0.01 * p
                divergence = (p * np.log(p / q, where=p > 0, out=np.zeros_like(p))).sum()
                worth[j] = (1 - strength) * relevance[user, j] - strength * divergence
            picked.append(int(worth.argmax()))
        assert ours[user].tolist() == picked


def test_no_group_takes_more_than_its_quota_while_others_have_candidates(relevance, members):
    groups, weights = members
    most = np.full((N, TOPICS), 1.5, dtype=np.float32)
    for user, chosen in enumerate(quota(relevance, groups, weights, most, K)):
        taken, left = np.zeros(TOPICS), list(range(M))
        for place in chosen:
            fits = [
                j
                for j in left
                if all(
                    taken[g] + w <= 1.51
                    for g, w in zip(groups[user, j], weights[user, j], strict=True)
                    if w
                )
            ]
            assert place == (fits or left)[0]
            np.add.at(taken, groups[user, place], weights[user, place])
            left.remove(place)


def test_explored_places_hold_random_candidates_from_below(rng, relevance):
    noise, at = rng.integers(0, 10**9, (N, M)), rng.random((N, K)) < 0.4
    places = explored(relevance, noise, at)
    assert ((places >= K) == at).all()
    assert all(len(set(row)) == K for row in places.tolist())
    for row, mask, drawn in zip(places, at, noise, strict=True):
        assert row[~mask].tolist() == list(range(int((~mask).sum())))
        assert row[mask].tolist() == (K + np.argsort(drawn[K:]))[: mask.sum()].tolist()


def test_sampled_shares_follow_the_gamma_distribution(rng):
    for count in (0.3, 2.0, 40.0):
        drawn = sampled_shares(np.full((1, 20_000), count), *rng.random((2, 1, 20_000)))
        expected = gamma(count).ppf([0.1, 0.5, 0.9])
        assert np.allclose(np.quantile(drawn, [0.1, 0.5, 0.9]), expected, rtol=0.05, atol=0.003)


def test_short_lists_of_candidates_end_with_no_place(relevance, vectors, members):
    topics, weights = members
    relevance[1, 3:] = -np.inf
    profile = np.full((N, TOPICS), 1 / TOPICS, dtype=np.float32)
    most = np.full((N, TOPICS), 1, dtype=np.float32)
    for strength in (0.5, 1.0):
        for places in (
            mmr(relevance, vectors, K, strength),
            dpp(relevance, vectors, K, strength),
            calibrated(relevance, topics, weights, profile, K, strength),
            quota(relevance, topics, weights, most, K),
            explored(relevance, np.zeros((N, M), int), np.full((N, K), True)),
        ):
            assert sorted(places[1].tolist()) == [-1] * (K - 3) + [0, 1, 2]
            assert (places[2] >= 0).all()
    assert mmr(relevance[:, :4], vectors[:, :4], K, 0.5)[2].tolist().count(-1) == K - 4
