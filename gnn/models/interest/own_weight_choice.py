"""Choosing how much the own vectors of people count, on held-out rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch

from gnn.data import TrainingData, UserBatch
from gnn.models.interest.blend import Blend
from gnn.models.interest.encoder import NetworkVectors
from gnn.models.interest.path_scores import ScorePaths
from gnn.models.interest.paths import NetworkPath
from gnn.models.interest.score_choice import Scores, best_variant
from gnn.models.interest.validation import ValidationRows

__all__ = ["OWN_WEIGHTS", "choose_own_weight"]

# It is 1 in training, and where the rows do not clearly say otherwise.
OWN_WEIGHTS = (1.0, 2.0, 0.5, 0.0)


def choose_own_weight(
    vectors: NetworkVectors,
    exponents: tuple[float, float],
    others: ScorePaths,
    blend: Blend,
    data: TrainingData,
    rows: ValidationRows,
    generator: np.random.Generator,
) -> float:
    """Return the weight with which the network ranks known items best beside the other paths.

    By itself the network would often do without what the mixture gains from.

    Parameters
    ----------
    vectors
        Of the network.
    exponents
        Of the users' and the items' degrees in the propagation.
    others
        Gives the scores of all other paths for users in a domain, with gate features.
    blend
        How all of them are mixed.
    data
        Training data.
    rows
        Held-out interactions.
    generator
        Draws the users.
    """
    networks = [NetworkPath(data, vectors, exponents, weight) for weight in OWN_WEIGHTS]

    def mixed(domain: str) -> Scores:
        def scores(users: UserBatch) -> Iterator[torch.Tensor]:
            known, features = others(users, domain)
            rest = known.mix(blend, features)
            for network in networks:
                alone = replace(known, scores={"gnn": network.score(users, domain)})
                yield alone.mix(blend, features).add_(rest)

        return scores

    return OWN_WEIGHTS[best_variant(mixed, data, rows, generator)]
