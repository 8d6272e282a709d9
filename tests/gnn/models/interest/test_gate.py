"""The gate moves to where held-out items stand higher, and new items get a weight by their cost."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from gnn import validation
from gnn.data import TrainingData
from gnn.holdout import hold_out
from gnn.models.interest import gate as module
from gnn.models.interest.gate import GateBlock, learn_mixture, smooth_ndcg, user_shares
from gnn.models.interest.mixture import ExpertScores, Mixture, gate_features, mixed_by_formula
from gnn.validation import RankingQuality, ValidationRows, best_labels, measure

# No more candidates than the places that NDCG@20 counts.
N_USERS, N_CANDIDATES = 30, 20


def held_out(domain, kind, generator):
    """Two held-out items a user, and four places without a candidate; one of two experts knows."""
    label = np.zeros((N_USERS, N_CANDIDATES), dtype=np.int8)
    for row in label:
        places = generator.permutation(N_CANDIDATES)
        row[places[:2]] = kind + 1
        row[places[2:6]] = -1
    label = torch.from_numpy(label)
    count = torch.zeros(2, N_USERS, dtype=torch.int64)
    count[kind] = 2
    experts = torch.from_numpy(generator.random((2, *label.shape), dtype=np.float32))
    experts[0] += 0.5 * (label > 0)
    return GateBlock(
        domain=domain,
        features=torch.ones(N_USERS, 1),
        experts=experts,
        label=label,
        cold=torch.zeros(label.shape),
        relevant=list(count),
        owner=torch.arange(N_USERS),
        likelihood=experts[:, :, 0].T,
    )


@pytest.fixture
def blocks():
    generator = np.random.default_rng(0)
    return [held_out(*group, generator) for group in (("book", 0), ("film", 0), ("film", 1))]


def weights_of(gate):
    return torch.softmax(gate[0], dim=0).expand(N_USERS, -1)


def ndcg(blocks, gate):
    quality = RankingQuality()
    for block in blocks:
        mixed = block.mixed(weights_of(gate)).masked_fill(block.label < 0, -1)
        quality.add(block.domain, best_labels(mixed, block.label), block.relevant)
    return quality.mean()


def smooth(blocks, gate):
    share = user_shares(blocks)
    return sum(smooth_ndcg(weights_of(gate), block, share) for block in blocks)


def test_smooth_ndcg_is_the_ndcg_where_ranks_are_sharp(blocks, monkeypatch):
    monkeypatch.setattr(module, "SMOOTHNESS", 1e-7)
    gate = torch.zeros(1, 2)
    assert float(smooth(blocks, gate)) == pytest.approx(ndcg(blocks, gate), rel=1e-4)


def test_smooth_ndcg_is_its_formula(blocks):
    block, share = blocks[0], user_shares(blocks)
    weights = weights_of(torch.tensor([[0.4, -0.3]]))
    mixed = block.mixed(weights).numpy()
    total = 0.0
    for user in range(N_USERS):
        candidates = np.flatnonzero(block.label[user] >= 0)
        for item in np.flatnonzero(block.label[user] > 0):
            ahead = np.log(mixed[user, candidates]) - np.log(mixed[user, item])
            rank = 0.5 + ((1 + np.tanh(ahead / module.SMOOTHNESS / 2)) / 2).sum()
            total += share[0, "book"] / np.log2(1 + rank) / (1 + 1 / np.log2(3))
    assert float(smooth_ndcg(weights, block, share)) == pytest.approx(total, rel=1e-4)


def test_the_gradient_of_smooth_ndcg(blocks, monkeypatch):
    monkeypatch.setattr(module, "SMOOTHNESS", 0.5)
    gate = torch.tensor([[0.4, -0.3]], requires_grad=True)
    (gradient,) = torch.autograd.grad(smooth(blocks, gate), gate)
    for place in range(2):
        step = torch.zeros(1, 2)
        step[0, place] = 0.02
        high, low = (float(smooth(blocks, (gate + sign * step).detach())) for sign in (1, -1))
        assert float(gradient[0, place]) == pytest.approx((high - low) / 0.04, rel=0.02)


def test_the_climb_finds_the_expert_that_ranks(blocks):
    start = torch.zeros(1, 2)
    gate = module._climb(start, blocks)
    assert float(gate[0, 0] - gate[0, 1]) > 1.0
    assert ndcg(blocks, gate) > ndcg(blocks, start)
    assert start.tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize(("experts", "kept"), [(("gnn", "recent"), 1), (("recent", "gnn"), 2)])
def test_an_optional_expert_stays_where_it_ranks_significantly_better(blocks, experts, kept):
    """The first expert knows the held-out items, the second does not."""
    blocks = [replace(block, features=torch.ones(N_USERS, 4)) for block in blocks]
    learned = module._learned(Mixture.default(experts), blocks, gated=False)
    assert learned.experts == experts[:kept]
    assert len(learned.gate[0]) == kept


def test_rows_that_hold_nothing_out_move_nothing(blocks):
    blocks[0].label.clamp_(max=0)
    start = torch.tensor([[0.3, -0.2]])
    torch.testing.assert_close(module._climb(start, blocks[:1]), start)


def test_users_count_alike_within_a_kind_and_a_domain(blocks):
    """Kinds count alike, and the domains of a kind, however many users they have."""
    shares = user_shares([blocks[0], *blocks])
    assert shares[0, "book"] == pytest.approx(1 / (2 * 2 * 2 * N_USERS))
    assert shares[0, "film"] == pytest.approx(1 / (2 * 2 * N_USERS))
    assert shares[1, "film"] == pytest.approx(1 / (2 * N_USERS))


def test_domains_with_few_users_are_pooled(monkeypatch, blocks):
    monkeypatch.setattr(validation, "MIN_USERS", N_USERS + 1)
    shares = user_shares(blocks)
    assert shares[0, "book"] == shares[0, "film"] == pytest.approx(1 / (2 * N_USERS))
    assert not {kind for kind, _ in shares} - {0}  # Of the other kind there are too few in all.
    monkeypatch.setattr(validation, "MIN_USERS", 2 * N_USERS + 1)
    shares = user_shares(blocks)  # No kind has enough, so all count.
    assert shares[0, "book"] == shares[0, "film"] == pytest.approx(1 / (2 * 2 * N_USERS))
    assert shares[1, "film"] == pytest.approx(1 / (2 * N_USERS))


def test_the_likelihood_is_maximised(blocks):
    """No gate near the one that L-BFGS finds makes the held-out items more likely."""
    found = module._most_likely(blocks, 1)

    def loss(gate):
        likelihood = torch.cat([block.likelihood for block in blocks])
        mixed = likelihood @ torch.softmax(gate[0], dim=0)
        return float(module.LIKELIHOOD_RIDGE * gate.square().sum() - mixed.log().mean())

    steps = torch.tensor([[0.0, 0.1], [0.0, -0.1], [0.1, 0.0], [-0.1, 0.0]])
    assert all(loss(found) < loss(found + step) for step in steps)


@pytest.fixture(scope="module")
def problem(graph):
    """Held-out rows of the planted graph, one expert that knows tastes, and one of noise."""
    smaller, held = hold_out(graph, seed=0)
    data = TrainingData.from_graph(smaller)
    tastes = np.array([int(item[1:]) % 3 for ids in data.items.values() for item in ids.ids])
    user_taste = np.array([int(user[1:]) % 3 for user in data.users.ids])

    def score(users, domain):
        span = data.span(domain)
        generator = np.random.default_rng(users.index[0])
        noise, more = generator.random((2, len(users), span.stop - span.start), dtype=np.float32)
        known = (user_taste[users.index][:, None] == tastes[span][None]).astype(np.float32)
        own = users.history[:, span]
        seen = own.tocoo()
        count = np.diff(own.indptr)
        scores = ExpertScores(
            n_users=len(users),
            scores={
                "filter": torch.from_numpy(known + 0.5 * noise),
                "semantic": torch.from_numpy(more),
            },
            seen_row=torch.from_numpy(seen.row.astype(np.int64)),
            seen_column=torch.from_numpy(seen.col.astype(np.int64)),
            warm=torch.from_numpy(data.warm[span].astype(np.float32)),
        )
        return scores, gate_features(count, np.diff(users.history.indptr) - count)

    return score, data, ValidationRows.of(held, data)


def learned(problem, **options):
    score, data, rows = problem
    start = Mixture.default(["filter", "semantic"])
    rows = options.pop("rows", rows)
    return learn_mixture(score, start, rows, data, seed=0, **{"new_item_cost": 0.08, **options})


def test_the_expert_that_knows_gets_the_weight(problem):
    mixture = learned(problem)
    features = gate_features(np.array([0, 3, 9]), np.array([5, 0, 9]))
    assert (mixture.weights(features)[:, 0] > 0.8).all()
    assert mixture.trade_off[0][0] == 0.0
    constant = learned(problem, gated=False).weights(features)
    torch.testing.assert_close(constant, constant[:1].expand(3, -1))


def test_without_held_out_new_items_their_weight_stays(problem):
    _, _, rows = problem
    mixture = learned(problem, rows=rows.of_kinds())
    assert mixture.trade_off == ()
    assert mixture.new_item_weight == 1.0


def test_a_higher_cost_allows_a_higher_weight(problem):
    weights = [learned(problem, new_item_cost=cost).new_item_weight for cost in (0.0, 0.1, 1.0)]
    assert weights == sorted(weights)
    assert weights[-1] > weights[0]


def test_candidates_rank_as_the_whole_catalogue_does(problem):
    """The catalogue is no larger than the lists that are kept of each expert."""
    score, data, rows = problem
    mixture = learned(problem).replace(new_item_weight=0.7)
    parts = list(rows.blocks(data, max_users=1000, seed=0))
    blocks = [module._candidates_of(mixture, score, data, part) for part in parts]

    def in_domain(domain):
        def scores(users):
            own, features = score(users, domain)
            return [mixed_by_formula(own, mixture, features)]

        return scores

    (whole,) = measure(in_domain, data, parts)
    ours = module._quality(blocks, mixture)
    for kinds in ((0,), (1,), (2,)):
        assert ours.mean(kinds) == pytest.approx(whole.mean(kinds), abs=1e-6)
    warm = module._quality([block.warm_only() for block in blocks], mixture)
    assert warm.mean() >= ours.mean()


@pytest.mark.parametrize(
    ("warm", "cold", "expected"),
    [
        ("better", "noise", True),
        ("better", "same", True),
        ("better", "worse", False),
        ("noise", "noise", False),
        ("same", "same", False),
        ("same", "worse", False),
    ],
)
def test_an_optional_expert_is_kept_for_one_kind_and_not_against_another(warm, cold, expected):
    generator = np.random.default_rng(0)
    gains = {
        "better": np.abs(generator.normal(0.02, 0.01, 500)),
        "worse": -np.abs(generator.normal(0.02, 0.01, 500)),
        "noise": generator.normal(-0.02, 0.5, 30),
        "same": np.zeros(500),
    }
    default, tried = RankingQuality(), RankingQuality()
    for kind, name in enumerate((warm, cold)):
        before = torch.from_numpy(generator.random(len(gains[name])))
        default.add_values((kind, "book"), before)
        tried.add_values((kind, "book"), before + torch.from_numpy(gains[name]))
    assert module._worth_keeping(tried, default) is expected


def test_optional_experts_stay_one_by_one_where_they_help(blocks):
    generator = torch.Generator().manual_seed(0)
    noise = [torch.rand(block.label.shape, generator=generator) for block in blocks]
    wide = [
        replace(
            block,
            features=torch.eye(4)[:1].expand(N_USERS, -1),
            experts=torch.stack([other, other + 2 * (block.label > 0), other.flip(0)]),
            likelihood=torch.rand(N_USERS, 3, generator=generator),
        )
        for block, other in zip(blocks, noise, strict=True)
    ]
    start = Mixture.default(("popularity", "social", "attributes"))
    assert module._learned(start, wide, gated=False).experts == ("popularity", "social")
