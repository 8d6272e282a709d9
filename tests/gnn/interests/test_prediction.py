import numpy as np
import pandas as pd
import pytest

from gnn.data import TrainingData
from gnn.interests.interests import domain_targets
from gnn.interests.prediction import EXPERTS, NextTargets, fit_pool, pooled
from graphgen import build_graph
from graphgen.log import InteractionLog


def rows(turns, start=0):
    """A user for each text; each letter is an interaction with a new item of that domain."""
    table = [(f"u{u}", f"{letter}{u}-{start + n}", letter, start + n)
             for u, text in enumerate(turns) for n, letter in enumerate(text)]  # fmt: skip
    return pd.DataFrame(table, columns=["user_id", "item_id", "domain", "position"])


def experts(turns):
    data = TrainingData.from_graph(build_graph(InteractionLog(rows(turns)), encoder="none"))
    return NextTargets(data, domain_targets(data)), data.batch(np.arange(data.n_users))


def test_experts_by_hand():
    found, users = experts(["aaab", "bc", "ccc"])
    p = {name: found.probabilities(name, users) for name in EXPERTS}
    for values in p.values():
        assert values.sum(axis=1) == pytest.approx(1) and (values > 0).all()
    usual = np.array([3, 2, 4]) / 9
    assert p["popularity"][0] == pytest.approx(usual)
    assert p["p-top-freq"][0] == pytest.approx(0.99 * np.array([0.75, 0.25, 0]) + 0.01 * usual)
    personal = (np.array([3, 1, 0]) + usual) / 5
    assert p["gp-top-freq"][0] == pytest.approx(0.99 * personal + 0.01 * usual)
    assert p["most-recent"].argmax(axis=1).tolist() == [1, 2, 2]
    # After c came c twice, after b came c once; the last visit weighs most.
    assert p["markov"].argmax(axis=1).tolist() == [2, 2, 2]


def test_the_pool_finds_the_expert_that_is_right():
    generator = np.random.default_rng(0)
    right = generator.dirichlet(np.ones(4), 500)
    truth = (right.cumsum(axis=1) > generator.random((500, 1))).argmax(axis=1)
    both = {"right": right, "noise": generator.dirichlet(np.ones(4), 500)}
    weights = fit_pool(both, truth)
    assert weights["right"] == pytest.approx(1, abs=0.2) and weights["noise"] < 0.15
    assert pooled(both, weights).sum(axis=1) == pytest.approx(1)
