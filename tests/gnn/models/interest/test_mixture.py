"""The mixture of the experts' distributions: the formula, and the fast form of it."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from gnn.models.interest import mixture as module
from gnn.models.interest.mixture import ExpertScores, Mixture, gate_features, mixed_by_formula

TEMPERATURE, NEW_ITEM_WEIGHT = 0.2, 0.4
N_USERS, N_ITEMS = 7, 9
POPULARITY = np.array([9, 7, 7, 5, 4, 2, 1, 0, 0], np.float32)
WARM = POPULARITY > 0


class Case:
    """Random scores of six experts, with the mass that each of them gives to an item."""

    def __init__(self, *, sparse, trend, seed=0):
        rng = np.random.default_rng(seed)
        shape = N_USERS, N_ITEMS
        link = (rng.random(shape) * (rng.random(shape) < 0.5)).astype(np.float32)
        link[2] = 0  # A user of whom the expert has no score.
        follows = (rng.random(shape) * (rng.random(shape) < 0.3)).astype(np.float32)
        cosines = (rng.random(shape) * 2 - 1).astype(np.float32)
        inner = rng.normal(0.3, 0.5, shape).astype(np.float32)
        self.seen = rng.random(shape) < 0.3  # New items among them.
        self.seen[3] = WARM  # A user who has seen every item with interactions.
        self.trend = (rng.random(shape) + 0.5).astype(np.float32) if trend else None
        self.masses = {
            "filter": link,
            "gnn": np.exp((cosines - 1) / TEMPERATURE),
            "popularity": np.tile(POPULARITY, (N_USERS, 1)),
            "factors": np.maximum(inner, 0) ** 2,
            "sequence": follows,
        }
        self._given = {
            "filter": link,
            "gnn": cosines,
            "popularity": POPULARITY[None],
            "factors": inner,
            "sequence": follows,
        }
        self._sparse = sparse
        gate = tuple(tuple(row) for row in rng.normal(size=(4, len(self.masses))).tolist())
        self.mixture = Mixture(
            experts=tuple(self.masses),
            gate=gate,
            temperature=TEMPERATURE,
            new_item_weight=NEW_ITEM_WEIGHT,
        )
        self.features = gate_features(np.arange(N_USERS), np.arange(N_USERS)[::-1])

    def scores(self):
        """Fresh ones: mixing changes them."""
        row, column = self.seen.nonzero()
        given = {name: torch.from_numpy(part.copy()) for name, part in self._given.items()}
        if self._sparse:
            for name in ("filter", "sequence"):
                given[name] = sp.csr_matrix(self._given[name])
        return ExpertScores(
            n_users=N_USERS,
            scores=given,
            seen_row=torch.from_numpy(row),
            seen_column=torch.from_numpy(column),
            warm=torch.from_numpy(WARM).float(),
            trend=None if self.trend is None else torch.from_numpy(self.trend),
        )

    def one_by_one(self):
        """The score of each user and item, as the module's text has it."""
        weights = self.mixture.weights(self.features).numpy()
        mixed = np.zeros((N_USERS, N_ITEMS))
        for user in range(N_USERS):
            unseen = WARM & ~self.seen[user]
            for place, mass in enumerate(self.masses.values()):
                own = mass[user] if self.trend is None else mass[user] * self.trend[user]
                total = own[unseen].sum()
                if total > 0:
                    mixed[user] += weights[user, place] * own / total
        mixed[:, ~WARM] *= NEW_ITEM_WEIGHT
        return mixed


@pytest.mark.parametrize("rows", [2, N_USERS])
@pytest.mark.parametrize("trend", [True, False])
@pytest.mark.parametrize("sparse", [True, False])
def test_the_fast_mixture_is_the_formula(monkeypatch, sparse, trend, rows):
    """Sparse or dense, with scores by user or one for all, seen and new items, in pieces."""
    monkeypatch.setattr(module, "PIECE_SCORES", rows * N_ITEMS)
    case = Case(sparse=sparse, trend=trend)
    formula = mixed_by_formula(case.scores(), case.mixture, case.features)
    np.testing.assert_allclose(formula, case.one_by_one(), rtol=1e-4, atol=1e-6)
    fast = case.scores().mix_(case.mixture, case.features)
    np.testing.assert_allclose(fast, formula, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("sparse", [True, False])
def test_mixtures_of_parts_of_the_experts_sum_to_the_mixture_of_all(sparse):
    case = Case(sparse=sparse, trend=False)
    parts = [{"filter", "popularity"}, {"gnn"}, {"factors", "sequence"}]
    total = torch.zeros(N_USERS, N_ITEMS)
    for names in parts:
        scores = case.scores()
        scores.scores = {name: part for name, part in scores.scores.items() if name in names}
        total += scores.mix_(case.mixture, case.features)
    whole = case.scores().mix_(case.mixture, case.features)
    torch.testing.assert_close(total, whole, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["filter", "gnn", "popularity", "factors", "sequence"])
@pytest.mark.parametrize("trend", [True, False])
def test_an_expert_is_a_probability_over_unseen_warm_items(name, trend):
    case = Case(sparse=True, trend=trend)
    part = case.scores().probabilities(name, TEMPERATURE).numpy()
    total = (part * (WARM & ~case.seen)).sum(1)
    assert ((np.abs(total - 1) < 1e-5) | (total == 0)).all()
    assert total[3] == 0  # This user has seen all of them.
    assert total.sum() > 1


@pytest.mark.parametrize("sparse", [True, False])
def test_an_expert_that_reaches_no_unseen_warm_item_has_no_score(sparse):
    """What it hands on to new items then has no share in anything, however small."""
    mass = np.array([[3.0, 0.0, 0.0, 2.0], [3.0, 1.0, 0.0, 2.0]], np.float32)
    scores = ExpertScores(
        n_users=2,
        scores={"filter": sp.csr_matrix(mass) if sparse else torch.from_numpy(mass.copy())},
        seen_row=torch.tensor([0, 1]),
        seen_column=torch.tensor([0, 0]),
        warm=torch.tensor([1.0, 1.0, 1.0, 0.0]),
    )
    features = gate_features(np.array([1, 1]), np.array([0, 0]))
    mixed = scores.mix_(Mixture.default(["filter"]), features)
    assert mixed[0].tolist() == [0.0] * 4
    np.testing.assert_allclose(mixed[1], [3.0, 1.0, 0.0, 2.0], rtol=1e-6)


def test_the_gate_depends_on_the_interactions_of_the_user():
    gate = ((0.0, 0.0), (0.0, 0.0), (0.0, 0.0), (0.0, 50.0))
    mixture = Mixture(experts=("filter", "popularity"), gate=gate)
    weights = mixture.weights(gate_features(np.array([3, 0]), np.array([0, 5])))
    np.testing.assert_allclose(weights, [[0.5, 0.5], [0.0, 1.0]], atol=1e-6)


def test_a_cost_needs_a_measured_trade_off():
    mixture = Mixture.default(["filter", "gnn"])
    assert mixture.at_cost(0.1) == mixture
    measured = mixture.replace(trade_off=((0.0, 1.0, 0.01), (4.0, 0.6, 0.1)))
    assert measured.at_cost(0.1).new_item_weight == pytest.approx(1.0)
