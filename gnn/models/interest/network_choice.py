"""Choosing, on held-out rows, what of the network's vectors people are scored with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from gnn.data import TrainingData, UserBatch
from gnn.models.interest.blend import Blend
from gnn.models.interest.network_path import NetworkPath
from gnn.models.interest.path_scores import ScorePaths
from gnn.models.interest.score_choice import (
    Scores,
    Variants,
    best_variant,
    clearly_best,
    looked_at,
    measured,
)
from gnn.models.interest.validation import ValidationRows

__all__ = ["OWN_WEIGHTS", "NetworkChoice"]

# It is 1 in training, and where the rows do not clearly say otherwise.
OWN_WEIGHTS = (1.0, 2.0, 0.5, 0.0)

# Makes the path for a weight of own vectors and the domains in which people with a history are seen
# in the joint graph.
MakeNetwork = Callable[[float, Sequence[str]], NetworkPath]


@dataclass(frozen=True)
class NetworkChoice:
    """Ranks known items by the network beside the other paths.

    By itself the network would often do without what the mixture gains from.

    Attributes
    ----------
    network
        Makes the network's path.
    others
        Gives the scores of all other paths for users in a domain, with gate features.
    blend
        How all of them are mixed.
    data
        Training data.
    rows
        Held-out interactions.
    seed
        Draws the users.
    """

    network: MakeNetwork
    others: ScorePaths
    blend: Blend
    data: TrainingData
    rows: ValidationRows
    seed: int

    def own_weight(self, joint_domains: Sequence[str]) -> float:
        """Return how much the own vectors of people count."""
        networks = [self.network(weight, joint_domains) for weight in OWN_WEIGHTS]
        generator = np.random.default_rng(self.seed)
        return OWN_WEIGHTS[best_variant(self._beside(networks), self.data, self.rows, generator)]

    def joint_domains(self, own_weight: float) -> tuple[str, ...]:
        """Return where people with a history are to be seen in the joint graph.

        Everywhere if that is clearly better over all domains, else nowhere; but for each domain
        where the other is clearly better.
        """
        networks = [self.network(own_weight, domains) for domains in ((), self.data.domains)]
        generator = np.random.default_rng(self.seed)
        blocks = looked_at(self.data, self.rows.of_people_with_history(), generator)
        tried = measured(self._beside(networks), self.data, blocks)
        if not tried:
            return ()
        usual = clearly_best(tried)
        order = usual, 1 - usual

        def joint(domain: str) -> int:
            return order[clearly_best([tried[number].within(domain) for number in order])]

        return tuple(filter(joint, self.data.domains))

    def _beside(self, networks: Sequence[NetworkPath]) -> Variants:
        def mixed(domain: str) -> Scores:
            def scores(users: UserBatch) -> Iterator[torch.Tensor]:
                known, features = self.others(users, domain)
                rest = known.mix(self.blend, features)
                for network in networks:
                    alone = replace(known, scores={"gnn": network.score(users, domain)})
                    yield alone.mix(self.blend, features).add_(rest)

            return scores

        return mixed
