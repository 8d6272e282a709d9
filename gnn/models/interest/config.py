"""The settings of `interest-gnn`."""

from __future__ import annotations

from typing import Literal

import pydantic

from gnn.models.interest.blend import Blend
from gnn.models.interest.paths import PATHS
from gnn.models.interest.trend import TrendConfig
from gnn.numerics.linear_filter import FilterConfig
from graphgen.config import Config

__all__ = ["InterestGNNConfig"]


class InterestGNNConfig(Config):
    """Settings of `InterestGNN`."""

    embedding_dim: int = pydantic.Field(160, ge=1)
    """Width of the vectors."""
    num_layers: int = pydantic.Field(2, ge=1)
    """Rounds of propagation."""
    steps: int | None = pydantic.Field(None, ge=1)
    """Full-batch gradient steps at the most; None takes 80, or fewer on large graphs, but at least
    18: as many as take about a minute on two cores, or half of one for a domain alone."""
    learning_rate: float = pydantic.Field(0.05, gt=0)
    """Of Adam."""
    text_rate: float = pydantic.Field(0.2, gt=0)
    """Learning rate of what all nodes share, the text projection above all, as a share of
    `learning_rate`."""
    temperature: float | None = pydantic.Field(None, ge=0.02)
    """Of the training softmax over cosines, whose exponentials stay finite from 0.02 on; None takes
    0.1, or 0.15 on dense logs, or 0.2 in catalogues of up to 2,000 items a domain."""
    num_negatives: int | None = pydantic.Field(None, ge=1)
    """Negatives a chunk of users shares; a domain with fewer items uses all of them. None takes
    512, or as many more as 45 million scores a step allow; half of that for a domain alone."""
    chunk_users: int = pydantic.Field(512, ge=1)
    """Users a chunk: smaller chunks with fewer negatives see as many different ones, for less."""
    id_dropout: float | None = pydantic.Field(None, ge=0, lt=1)
    """Share of the items that play new in a step; None takes 0.2, or 0.05 on dense logs."""
    edge_dropout: float | None = pydantic.Field(None, ge=0, lt=1)
    """Share of the interactions that do not propagate in a step; None takes 0.3, or 0 on dense
    logs."""
    domain_dropout: float = pydantic.Field(0.3, ge=0, lt=1)
    """Share of the people active in several domains who play cold in one of them in a step."""
    user_exponent: float = pydantic.Field(0.5, ge=0, le=1)
    """Exponent of the users' degrees in the propagation."""
    item_exponent: float | None = pydantic.Field(None, ge=0, le=1)
    """Exponent of the items' degrees in the propagation; None takes 0.3, or 0.5 on dense logs."""
    own_weight: float | None = pydantic.Field(None, ge=0)
    """How much the own vectors of people count beside their histories when they are scored; None
    chooses 0, 0.5 or 2 on validation rows that clearly favour it, or takes 1."""
    joint_domains: tuple[str, ...] | None = None
    """Domains in which people with a history are seen in the joint graph, with what they did in
    others; elsewhere they are seen in the graph of the domain by itself. None chooses them on
    validation rows that clearly favour it, over all domains and then in each, or takes none."""
    semantic_weight: float = pydantic.Field(1.0, ge=0)
    """Weight of the mean over semantic neighbours in an item's base."""
    semantic_neighbors: int = pydantic.Field(10, ge=1)
    """Semantic neighbours of an item in that mean."""
    bridge_neighbors: int = pydantic.Field(50, ge=1)
    """Semantic neighbours with interactions from which the filter reaches an item without."""
    paths: tuple[str, ...] = PATHS
    """What is mixed, as far as the data allows it: filter, gnn, popularity, factors, semantic
    (items with text), ridge (2 to 6,000 items with interactions), sequence (logs with times)."""
    gated: bool = True
    """Let the weights of the paths differ with what is known of a person."""
    filter: FilterConfig | None = None
    """The linear filter; None chooses it on validation rows, or takes the default exponents."""
    factor_dim: int | None = pydantic.Field(None, ge=1)
    """Width of the factors; None takes 64, which maps from domain to domain can be learned for, or
    128 in a small log of one domain."""
    ridge_share: float = pydantic.Field(0.1, gt=0)
    """λ of the ridge path, as a share of the number of people."""
    sequence_half_life: float | None = pydantic.Field(None, gt=0)
    """Visits after which an interaction counts half in the sequence path; None chooses it on
    validation rows, or takes 1."""
    trend: TrendConfig | Literal[False] | None = None
    """What is in vogue, which scales all paths; False leaves it out, None chooses it on validation
    rows where the log has times."""
    new_item_cost: float = pydantic.Field(0.08, ge=0, le=1)
    """Share of NDCG@20 on known items that new items may cost people with a history in a domain,
    and those without."""
    blend: Blend | None = None
    """How the paths are mixed; None learns it on validation rows, or takes the default."""
    validate_every: int = pydantic.Field(6, ge=1)
    """Steps between two validations."""
    patience: int = pydantic.Field(3, ge=1)
    """Validations without improvement after which training stops."""
