"""Choosing how fast a history fades in the sequence path, on held-out rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import scipy.sparse as sp
import torch

from gnn.data import TrainingData, UserBatch
from gnn.models.interest.path_scores import dense
from gnn.models.interest.score_choice import Scores, best_variant
from gnn.models.interest.sequence import SequencePath
from gnn.models.interest.validation import ValidationRows

__all__ = ["HALF_LIVES", "choose_half_life"]

# In visits; the first is taken where the rows do not clearly say otherwise.
HALF_LIVES = (1.0, 0.5, 2.0, 4.0, 16.0)


def choose_half_life(
    links: Mapping[str, sp.csr_matrix],
    data: TrainingData,
    rows: ValidationRows,
    generator: np.random.Generator,
) -> float:
    """Return the half-life with which the path by itself ranks known items best.

    Parameters
    ----------
    links
        As `SequencePath.linked` makes them.
    data
        Training data with times.
    rows
        Held-out interactions.
    generator
        Draws the users.
    """
    paths = [SequencePath(data, half_life, links) for half_life in HALF_LIVES]

    def alone(domain: str) -> Scores:
        def scores(users: UserBatch) -> Iterator[torch.Tensor]:
            return (dense(path.score(users, domain)) for path in paths)

        return scores

    return HALF_LIVES[best_variant(alone, data, rows, generator)]
