"""What the shape of a log suggests for settings that a user leaves open."""

from __future__ import annotations

import numpy as np
import pandas as pd

import graphgen
from gnn.data import TrainingData
from gnn.models.interest.shape import (
    MAX_STEPS,
    MIN_STEPS,
    NEGATIVES,
    NODE_STEPS,
    SINGLE_EFFORT,
    SINGLE_NODE_STEPS,
    STEP_SCORES,
    suggested,
    suggested_factor_dim,
    suggested_negatives,
    suggested_steps,
)


def data_of(users_by_domain, n_items=30, per_user=3):
    generator = np.random.default_rng(0)
    frames = [
        pd.DataFrame(
            {
                "user_id": np.repeat([f"u{u}" for u in users], per_user),
                "item_id": generator.integers(0, n_items, len(users) * per_user).astype(str),
                "domain": domain,
            }
        )
        for domain, users in users_by_domain.items()
    ]
    log = pd.concat(frames, ignore_index=True)
    return TrainingData.from_graph(graphgen.build_graph(log, encoder="none"))


def test_a_person_is_scored_in_each_of_their_domains():
    n = 20_000
    alone = data_of({"book": range(n)})
    twice = data_of({"book": range(n), "film": range(n)})
    apart = data_of({"book": range(n // 2), "film": range(n // 2, n)})
    assert suggested_negatives(apart) == STEP_SCORES // n
    assert suggested_negatives(alone) == STEP_SCORES * SINGLE_EFFORT // n
    assert suggested_negatives(twice) == STEP_SCORES // (2 * n)
    assert suggested_negatives(data_of({"book": range(100_000)})) == NEGATIVES


def test_one_domain_has_wider_factors_and_dense_logs_milder_settings():
    small = data_of({"book": range(50)})
    assert suggested_factor_dim(small) > suggested_factor_dim(
        data_of({"book": range(50), "film": range(50)})
    )
    large = data_of({"book": range(60_000)})
    assert suggested_factor_dim(small) > suggested_factor_dim(large)
    dense = data_of({"book": range(3000)}, per_user=5)
    assert suggested("edge_dropout", small) > suggested("edge_dropout", dense) == 0
    assert suggested_steps(small) > suggested_steps(data_of({"book": range(100_000)}))
    halves = data_of({"book": range(30_000), "film": range(30_000, 60_000)})
    for data, budget in ((large, SINGLE_NODE_STEPS), (halves, NODE_STEPS)):
        assert suggested_steps(data) == budget // (data.n_users + data.n_items)
    assert MIN_STEPS < suggested_steps(large) < suggested_steps(halves) < MAX_STEPS
