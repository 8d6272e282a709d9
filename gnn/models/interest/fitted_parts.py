"""The parts of `InterestGNN` that are learned, and the tensors that they are saved as."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Self

import scipy.sparse as sp
import torch

from gnn.baselines.factor_bridge import FactorBridge, FactorBridgeConfig
from gnn.data import TrainingData
from gnn.models.interest.network_vectors import NetworkVectors
from gnn.models.interest.ridge import RidgePath
from gnn.numerics.linear_filter import LeadingDirections
from gnn.numerics.sparse import pack_csr, unpack_csr

__all__ = ["FittedParts", "factor_config"]

# Half the passes of the baseline: validation rows do not tell them apart.
FACTOR_EPOCHS = 8
# Prefixes of the tensors of a part.
NETWORK, FACTORS, RIDGE, LEADING = "network.", "factors.", "ridge.", "leading."


class FittedParts(NamedTuple):
    """What is learned, besides the settings that validation chose; None for what is not there."""

    network: NetworkVectors | None
    similar: sp.csr_matrix
    """CSR [n_items, n_items], as `symmetric_neighbors` makes it."""
    factors: FactorBridge | None
    ridge: RidgePath | None
    leading: LeadingDirections | None

    def state(self, data: TrainingData) -> dict[str, torch.Tensor]:
        """Return tensors by name."""
        network = {} if self.network is None else self.network.state()
        factors = {} if self.factors is None else self.factors.state(data.domains)
        ridge = {} if self.ridge is None else self.ridge.state()
        leading = {} if self.leading is None else self.leading._asdict()
        return {
            **{f"{NETWORK}{name}": tensor for name, tensor in network.items()},
            **pack_csr("similar", self.similar),
            **{f"{FACTORS}{name}": tensor for name, tensor in factors.items()},
            **{f"{RIDGE}{name}": tensor for name, tensor in ridge.items()},
            **{f"{LEADING}{name}": torch.from_numpy(array) for name, array in leading.items()},
        }

    @classmethod
    def from_state(cls, state: Mapping[str, torch.Tensor], data: TrainingData) -> Self:
        """Take back what `state` gave."""
        network, factors = _with_prefix(state, NETWORK), _with_prefix(state, FACTORS)
        ridge, leading = _with_prefix(state, RIDGE), _with_prefix(state, LEADING)
        bridge = None
        if factors:
            width = next(iter(factors.values())).shape[1]
            bridge = FactorBridge.from_state(factors, data, factor_config(width))
        arrays = {name: tensor.numpy() for name, tensor in leading.items()}
        return cls(
            network=NetworkVectors.from_state(network) if network else None,
            similar=unpack_csr("similar", state),
            factors=bridge,
            ridge=RidgePath.from_state(ridge, data) if ridge else None,
            leading=LeadingDirections(**arrays) if arrays else None,
        )


def factor_config(width: int) -> FactorBridgeConfig:
    """Return the settings of factors of a width."""
    return FactorBridgeConfig(embedding_dim=width, epochs=FACTOR_EPOCHS)


def _with_prefix(state: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in state.items()
        if name.startswith(prefix)
    }
