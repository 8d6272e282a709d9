"""The rule by which one of several candidates is chosen on held-out rows."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gnn.data import TrainingData
from gnn.holdout import hold_out
from gnn.selection import choose
from gnn.validation import ValidationRows


@pytest.fixture(scope="module")
def held(graph):
    smaller, rows = hold_out(graph, seed=0)
    data = TrainingData.from_graph(smaller)
    return data, ValidationRows.of(rows, data)


def tried(data, rows, shares):
    """Candidates by the share of the users whose held-out items stand first, named by it."""
    truth = np.zeros((data.n_users, data.n_items), np.float32)
    truth[rows.user, rows.item] = 1
    lucky = np.random.default_rng(0).random(data.n_users)

    def in_domain(domain):
        def scores(users):
            for share in shares:
                right = (lucky[users.index] < share).astype(np.float32)[:, None]
                yield torch.from_numpy(right * truth[users.index][:, data.span(domain)])

        return scores

    return choose(shares, in_domain, data, rows, seed=0)


def test_the_best_replaces_the_first_only_where_it_is_significantly_better(held):
    data, rows = held
    assert tried(data, rows, [0.1, 0.9, 0.5]) == 0.9
    assert tried(data, rows, [0.9, 0.1, 0.5]) == 0.9
    assert tried(data, rows, [0.5, 0.5 + 1e-3]) == 0.5


def test_without_rows_of_warm_items_the_first_is_taken(held):
    data, rows = held
    assert tried(data, rows.of_kinds((2,)), [0.1, 0.9]) == 0.1
