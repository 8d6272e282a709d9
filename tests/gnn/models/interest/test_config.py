"""Defaults that depend on the size and density of the log."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from gnn.data import TrainingData
from gnn.models.interest.config import InterestGNNConfig, TrainingSettings
from graphgen.vocabulary import Vocabulary


def data_of(n_users, n_items, per_user, domains=1):
    """Every user with `per_user` items in each of the domains."""
    generator = np.random.default_rng(0)
    blocks = []
    for _ in range(domains):
        start = generator.integers(0, n_items, (n_users, 1))
        columns = ((start + np.arange(per_user)) % n_items).ravel()
        rows = np.repeat(np.arange(n_users), per_user)
        ones = np.ones(len(rows), np.float32)
        matrix = sp.csr_matrix((ones, (rows, columns)), shape=(n_users, n_items))
        blocks.append(matrix)
    items = {f"d{d}": Vocabulary([str(i) for i in range(n_items)]) for d in range(domains)}
    return TrainingData(Vocabulary([]), items, sp.hstack(blocks, format="csr"))


def of(data, **settings):
    return TrainingSettings.of(InterestGNNConfig(**settings), data)


def test_training_gets_shorter_with_the_log_within_bounds():
    steps = [of(data_of(users, 100, 10)).steps for users in (50, 30_000, 50_000, 120_000)]
    assert steps == sorted(steps, reverse=True)
    assert steps[0] == 80
    assert 80 > steps[1] > steps[2] > 18
    assert steps[3] == 18


def test_a_dense_log_gets_less_dropout_and_a_larger_exponent():
    sparse, dense = of(data_of(300, 200, 5)), of(data_of(1500, 200, 8))
    assert dense.id_dropout < sparse.id_dropout
    assert dense.item_exponent > sparse.item_exponent


def test_small_catalogues_get_a_softer_softmax():
    small, large = (of(data_of(3000, items, 9, domains=2)) for items in (4000, 7000))
    assert small.temperature > large.temperature


def test_negatives_are_shared_out_over_users_and_their_domains():
    one, two = of(data_of(5000, 50, 3)), of(data_of(5000, 50, 3, domains=2))
    assert one.num_negatives == 2 * two.num_negatives > 512
    assert of(data_of(100_000, 50, 1)).num_negatives == 512


def test_given_settings_stay():
    given = {"steps": 3, "temperature": 0.3, "id_dropout": 0.5, "num_negatives": 7}
    config = of(data_of(300, 200, 5), **given)
    assert {name: getattr(config, name) for name in given} == given
    assert None not in vars(config).values()
