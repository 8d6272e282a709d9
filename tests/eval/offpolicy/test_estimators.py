"""Off-policy estimators against the true value of a policy."""

from __future__ import annotations

import numpy as np
import pytest

from eval.offpolicy.estimators import Shown, estimate
from graphgen.errors import ConfigError, InputError

ACTIONS, DIM = 20, 4


class World:
    """Users with a context, actions with a vector; clicks by a logistic of both, not linear."""

    def __init__(self, n_users=400, rows=5, seed=0):
        generator = np.random.default_rng(seed)
        self.n_users, self.rows = n_users, rows
        self.actions = generator.standard_normal((ACTIONS, DIM))
        self.contexts = generator.standard_normal((2_000, DIM))  # the population
        own = generator.standard_normal((2_000, 1)) * 0.5  # users differ: rows are not independent
        self.click = 1 / (1 + np.exp(2.0 - 0.7 * self.contexts @ self.actions.T - own))
        self.logging = self.policy(self.contexts @ self.actions.T * 0.3, 0.2)
        self.target = self.policy(self.contexts @ self.actions.T, 0.1)
        self.truth = (self.target * self.click).sum(axis=1).mean()

    @staticmethod
    def policy(values, epsilon):
        likely = np.exp(values - values.max(axis=1, keepdims=True))
        likely /= likely.sum(axis=1, keepdims=True)
        return (1 - epsilon) * likely + epsilon / ACTIONS

    def log(self, seed):
        generator = np.random.default_rng(seed)
        user = generator.integers(0, len(self.contexts), self.n_users).repeat(self.rows)
        row = np.arange(len(user))
        drawn = self.logging[user].cumsum(axis=1) > generator.random(len(user))[:, None]
        action = drawn.argmax(axis=1)
        reward = generator.random(len(user)) < self.click[user, action]
        one = np.eye(ACTIONS)
        products = self.contexts[user][:, None] * self.actions
        every = np.concatenate([np.broadcast_to(one, (len(user), ACTIONS, ACTIONS)), products], 2)
        expected = np.einsum("na,nad->nd", self.target[user], every)
        return Shown(
            reward * 1.0, self.logging[user, action], self.target[user, action],
            row // self.rows, every[row, action], expected,
        )  # fmt: skip


def repeated(world, times):
    found = {}
    for seed in range(times):
        rows, facts = estimate(world.log(seed + 1), bootstrap=300, seed=seed)
        assert not facts["warnings"]
        for row in rows:
            found.setdefault(row["estimator"], []).append([row["value"], row["low"], row["high"]])
    return {name: np.array(values) for name, values in found.items()}


@pytest.mark.parametrize("times", [60, pytest.param(400, marks=pytest.mark.long)])
def test_intervals_hold_the_true_value(times):
    world = World()
    found = repeated(world, times)
    slack = 2.5 * np.sqrt(0.95 * 0.05 / times)
    for name in ("ips", "snips", "dr"):
        value, low, high = found[name].T
        error = value.std() / np.sqrt(times)
        assert abs(value.mean() - world.truth) < 3 * error + 0.002, name
        held = ((low <= world.truth) & (world.truth <= high)).mean()
        assert 0.93 - slack < held, (name, held)
    spread = {name: values[:, 0].std() for name, values in found.items()}
    assert spread["dr"] < spread["ips"]
    # The logged mean is sure of itself, and of another policy.
    value, low, high = found["logged"].T
    assert ((low <= world.truth) & (world.truth <= high)).mean() < 0.1


def test_values_by_hand():
    logged, target = np.array([0.5, 0.25, 0.5, 0.25]), np.array([1.0, 0.5, 0.0, 0.25])
    reward = np.array([1.0, 0.0, 1.0, 1.0])
    rows, facts = estimate(Shown(reward, logged, target, np.arange(4)), bootstrap=100)
    value = {row["estimator"]: row["value"] for row in rows}
    assert value == {"logged": 0.75, "ips": (2 + 0 + 0 + 1) / 4, "snips": 3 / 5}
    assert facts["effective_rows"] == pytest.approx(25 / 9)
    assert facts["mean_weight"] == 5 / 4
    clipped, facts = estimate(Shown(reward, logged, target, np.arange(4)), clip=1.5, bootstrap=10)
    assert clipped[1]["value"] == (1.5 + 1) / 4
    assert facts["clipped"] == 2


def test_the_logging_policy_has_its_own_mean():
    world = World()
    log = world.log(1)
    same = Shown(log.reward, log.logged, log.logged, log.user)
    rows, facts = estimate(same, bootstrap=50)
    assert {row["value"] for row in rows} == {log.reward.mean()}
    assert facts["effective_rows"] == len(log.reward)


def test_a_policy_that_the_log_does_not_cover_is_told():
    log = World().log(1)
    rare = Shown(log.reward, log.logged, log.target * 0.3, log.user)
    assert "should be 1" in estimate(rare, bootstrap=200)[1]["warnings"][0]
    few = Shown(*(part[:60] for part in (log.reward, log.logged, log.target, log.user)))
    assert "effective rows" in estimate(few, bootstrap=200)[1]["warnings"][0]


def test_what_cannot_be_judged_is_refused():
    one = np.ones(3)
    with pytest.raises(InputError, match="no shown item"):
        Shown(one[:0], one[:0], one[:0], one[:0])
    with pytest.raises(InputError, match=r"1 row with a logged probability outside \(0, 1\]"):
        Shown(one, np.array([0.5, 0, 1]), one, one)
    with pytest.raises(InputError, match="finite"):
        Shown(one * np.nan, one, one, one)
    with pytest.raises(ConfigError, match="clip"):
        estimate(Shown(one, one, one, one), clip=0)
