"""The gate moves to where held-out items stand higher."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gnn.models.interest import cells, gate_ranking
from gnn.models.interest.gate_ranking import RankedBlock, SmoothRanking
from gnn.models.interest.validation import RankingQuality, best_labels

N_USERS, N_CANDIDATES = 30, 40


def held_out(domain, kind, generator):
    """Two held-out items a user; one in ten places holds no candidate."""
    label = np.zeros((N_USERS, N_CANDIDATES), dtype=np.int8)
    for row in label:
        places = generator.permutation(N_CANDIDATES)
        row[places[:2]] = kind + 1
        row[places[2:6]] = -1
    count = torch.zeros(2, N_USERS, dtype=torch.int64)
    count[kind] = 2
    return RankedBlock(domain, torch.ones(N_USERS, 1), torch.from_numpy(label), list(count))


@pytest.fixture
def blocks():
    generator = np.random.default_rng(0)
    return [
        held_out("book", 0, generator),
        held_out("film", 0, generator),
        held_out("film", 1, generator),
    ]


def paths(blocks, seed=1):
    """A path that knows something and one of noise, [2, n, c] a block."""
    generator = torch.Generator().manual_seed(seed)
    parts = []
    for block in blocks:
        noise = torch.rand(2, N_USERS, N_CANDIDATES, generator=generator)
        noise[0] += 0.5 * (block.label > 0)
        parts.append(noise)
    return parts


def quality(blocks, parts, gate):
    weights = torch.softmax(gate[0], dim=0)
    found = RankingQuality()
    for block, part in zip(blocks, parts, strict=True):
        mixed = torch.einsum("pnc,p->nc", part, weights).masked_fill(block.label < 0, -1)
        found.add(block.domain, best_labels(mixed, block.label), block.relevant)
    return found.known()


def test_smooth_ndcg_is_the_ndcg_where_ranks_are_sharp(blocks, monkeypatch):
    monkeypatch.setattr(gate_ranking, "SMOOTHNESS", 1e-7)
    parts, gate = paths(blocks), torch.zeros(1, 2)
    # All candidates have a rank here; the measure stops at the twentieth.
    monkeypatch.setattr("gnn.models.interest.validation.TOP", N_CANDIDATES)
    ranking = SmoothRanking(blocks)
    smooth = sum(
        gate_ranking._gain(gate, (block, positives, part))[0]
        for (block, positives), part in zip(ranking._blocks, parts, strict=True)
    )
    assert smooth == pytest.approx(quality(blocks, parts, gate), rel=1e-4)


def test_the_gradient_is_that_of_the_gain(blocks, monkeypatch):
    monkeypatch.setattr(gate_ranking, "SMOOTHNESS", 0.5)
    parts, gate = paths(blocks), torch.tensor([[0.4, -0.3]])
    for (block, positives), part in zip(SmoothRanking(blocks)._blocks, parts, strict=True):
        _, gradient = gate_ranking._gain(gate, (block, positives, part))
        for place in range(2):
            step = torch.zeros(1, 2)
            step[0, place] = 0.02
            high, low = (
                gate_ranking._gain(gate + sign * step, (block, positives, part))[0]
                for sign in (1, -1)
            )
            assert float(gradient[0, place]) == pytest.approx((high - low) / 0.04, rel=0.02)


def test_the_climb_finds_the_path_that_ranks(blocks):
    parts, start = paths(blocks), torch.zeros(1, 2)
    gate = SmoothRanking(blocks).climb(start, parts, 40)
    assert float(gate[0, 0] - gate[0, 1]) > 1.0
    assert quality(blocks, parts, gate) > quality(blocks, parts, start)
    assert start.tolist() == [[0.0, 0.0]]


def test_users_count_alike_within_a_kind_and_a_domain(blocks):
    """Kinds count alike, and the domains of a kind, however many users they have."""
    twice = [blocks[0], *blocks]
    shares = gate_ranking._shares(twice)
    assert shares[0, "book"] == pytest.approx(1 / (2 * 2 * 2 * N_USERS))
    assert shares[0, "film"] == pytest.approx(1 / (2 * 2 * N_USERS))
    assert shares[1, "film"] == pytest.approx(1 / (2 * N_USERS))


def test_domains_with_few_users_are_pooled(monkeypatch, blocks):
    monkeypatch.setattr(cells, "MIN_USERS", N_USERS + 1)
    shares = gate_ranking._shares(blocks)
    assert shares[0, "book"] == shares[0, "film"] == pytest.approx(1 / (2 * N_USERS))
    assert not {kind for kind, _ in shares} - {0}  # Of the other kind there are too few in all.


def test_without_a_kind_of_enough_users_all_count(monkeypatch, blocks):
    monkeypatch.setattr(cells, "MIN_USERS", 2 * N_USERS + 1)
    shares = gate_ranking._shares(blocks)
    assert shares[0, "book"] == shares[0, "film"] == pytest.approx(1 / (2 * 2 * N_USERS))
    assert shares[1, "film"] == pytest.approx(1 / (2 * N_USERS))


def test_nothing_held_out_moves_nothing(blocks):
    block = blocks[0]
    empty = RankedBlock(
        "book",
        block.features,
        torch.zeros_like(block.label),
        [torch.zeros(N_USERS, dtype=torch.int64)] * 2,
    )
    start = torch.tensor([[0.3, -0.2]])
    torch.testing.assert_close(SmoothRanking([empty]).climb(start, paths([empty]), 3), start)
