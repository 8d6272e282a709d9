"""Settings of `interest-gnn`, and their defaults where they depend on the log."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal, Self

import pydantic

from gnn.data import TrainingData
from gnn.models.interest.experts import EXPERTS
from gnn.models.interest.fusion import Fusion
from gnn.models.interest.mixture import Mixture
from gnn.models.interest.trend import TrendConfig
from gnn.numerics.linear_filter import FilterConfig
from graphgen.config import Config

__all__ = ["InterestGNNConfig", "TrainingSettings"]

# Chosen on validation rows of amazon4, Gowalla and MovieLens small (large catalogues, sparse logs),
# MovieLens-1M (small, dense), Last.fm, ciao and the synthetic log (small, sparse).
# A sharp softmax over fewer items than this in a domain, on average, learns noise.
SMALL_CATALOGUE = 5_000
SMALL_TEMPERATURE, TEMPERATURE = 0.15, 0.1
# From so many interactions an item, popular ones drown the others in a propagation at exponent 0.3.
DENSE = 50.0
DENSE_DEFAULTS = {"id_dropout": 0.05, "item_exponent": 0.5}
SPARSE_DEFAULTS = {"id_dropout": 0.2, "item_exponent": 0.3}
# Training budget, about a minute on two cores: edges and nodes times steps, which gives amazon4 24
# steps, the best of three seeds on its validation rows; and scores of negatives a step.
STEP_BUDGET, MIN_STEPS, MAX_STEPS = 17_600_000, 18, 80
NEGATIVE_BUDGET, MIN_NEGATIVES = 22_500_000, 512


class InterestGNNConfig(Config):
    """Settings of `InterestGNN`."""

    embedding_dim: int = pydantic.Field(160, ge=1)
    """Width of the vectors."""
    num_layers: int = pydantic.Field(1, ge=1)
    """Rounds of propagation, each from the items to the users and back."""
    steps: int | None = pydantic.Field(None, ge=1)
    """Full-batch gradient steps at the most; None takes as many as about a minute on two cores
    allows, from 18 on large graphs to 80."""
    learning_rate: float = pydantic.Field(0.05, gt=0)
    """Of Adam."""
    text_rate: float = pydantic.Field(0.2, gt=0)
    """Learning rate of the text projection, which all nodes share, as a share of
    `learning_rate`."""
    temperature: float | None = pydantic.Field(None, ge=0.02)
    """Of the training softmax over cosines, whose exponentials stay finite from 0.02 on; None takes
    0.1, or 0.15 in small catalogues."""
    num_negatives: int | None = pydantic.Field(None, ge=1)
    """Negatives that a chunk of users shares; a domain with fewer items uses all of them. None
    takes 512, or more on small logs."""
    chunk_users: int = pydantic.Field(512, ge=1)
    """Users a chunk: smaller chunks with fewer negatives see as many different ones, for less."""
    id_dropout: float | None = pydantic.Field(None, ge=0, lt=1)
    """Share of the items that a step trains as new items, without ids and layers; None takes 0.2,
    or 0.05 on dense logs."""
    fusion: Fusion = "gate"
    """Fusion of the modalities of an item, where a graph has several: gate (each by itself),
    attention (they compete) or concat (a linear map of all)."""
    modality_dropout: float = pydantic.Field(0.2, ge=0, lt=1)
    """Share of the modalities that a training step hides, so that an item is found by each."""
    user_exponent: float = pydantic.Field(0.5, ge=0, le=1)
    """Exponent of the users' degrees in the propagation."""
    item_exponent: float | None = pydantic.Field(None, ge=0, le=1)
    """Exponent of the items' degrees in the propagation; None takes 0.3, or 0.5 on dense logs."""
    semantic_weight: float = pydantic.Field(1.0, ge=0)
    """Weight of the mean over semantic neighbours in an item's base."""
    semantic_neighbors: int = pydantic.Field(10, ge=1)
    """Semantic neighbours of an item in that mean."""
    bridge_neighbors: int = pydantic.Field(50, ge=1)
    """Semantic neighbours with interactions from which the filter reaches an item without."""
    experts: tuple[str, ...] = EXPERTS
    """Experts to mix, as far as the data allows them: filter, gnn, popularity, factors, semantic
    (items with text), ridge (2 to 6,000 items with interactions), sequence and recent (logs with
    timestamps or positions), profile (users with texts), co_consumed, attributes and social (graphs
    with these edges)."""
    gated: bool = True
    """Let the weights of the experts depend on the user's numbers of interactions."""
    filter: FilterConfig | None = None
    """The linear filter; None chooses it on held-out rows, or takes the default exponents."""
    factor_dim: int = pydantic.Field(64, ge=1)
    """Width of the factors."""
    ridge_share: float = pydantic.Field(0.1, gt=0)
    """λ of the ridge regression, as a share of the number of users."""
    sequence_half_life: float = pydantic.Field(1.0, gt=0)
    """Visits after which an interaction counts half in the sequence expert."""
    recent_half_life: float = pydantic.Field(1.0, gt=0)
    """Visits after which an interaction counts half in the vector of the latest events."""
    trend: TrendConfig | Literal[False] | None = None
    """Popularity trend: recent popularity that rescales all experts; False leaves it out, None
    chooses it on held-out rows where the log has times."""
    new_item_cost: float = pydantic.Field(0.08, ge=0, le=1)
    """Maximum relative NDCG@20 loss on warm items, for the worse-off of warm and cold users,
    accepted to promote items without interactions (0.08 = 8 %)."""
    mixture: Mixture | None = None
    """How the experts are mixed; None learns it on held-out rows, or takes the default."""
    tail: float | None = pydantic.Field(None, ge=0, lt=1)
    """Weight of popularity in the order of the items below the 20 best; None takes the least that
    gives no kind of held-out rows a lower AUC than popularity, or 0 without such rows."""
    validate_every: int = pydantic.Field(6, ge=1)
    """Steps between two validations."""
    patience: int = pydantic.Field(3, ge=1)
    """Validations without improvement after which training stops."""


@dataclass(frozen=True)
class TrainingSettings:
    """Settings of the network's training, with the defaults that depend on the log filled in.

    Attributes
    ----------
    steps, learning_rate, text_rate, temperature, num_negatives, chunk_users, id_dropout, \
    modality_dropout
        As in `InterestGNNConfig`.
    item_exponent
        Likewise.
    """

    steps: int
    learning_rate: float
    text_rate: float
    temperature: float
    num_negatives: int
    chunk_users: int
    id_dropout: float
    modality_dropout: float
    item_exponent: float

    @classmethod
    def of(cls, config: InterestGNNConfig, data: TrainingData) -> Self:
        """Fill in the settings that are left open by the size of a log and its catalogues."""
        warm = int(data.warm.sum())
        small = warm < SMALL_CATALOGUE * len(data.domains)
        dense = data.matrix.nnz >= DENSE * max(1, warm)
        size = data.n_users + data.n_items + data.matrix.nnz
        # A user with several domains is scored in each of them.
        pairs = max(1, int(data.active().sum()))
        defaults = {
            **(DENSE_DEFAULTS if dense else SPARSE_DEFAULTS),
            "temperature": SMALL_TEMPERATURE if small else TEMPERATURE,
            "steps": max(MIN_STEPS, min(MAX_STEPS, STEP_BUDGET // size)),
            "num_negatives": max(MIN_NEGATIVES, NEGATIVE_BUDGET // pairs),
        }
        given = {field.name: getattr(config, field.name) for field in fields(cls)}
        values = {name: defaults[name] if v is None else v for name, v in given.items()}
        return cls(**values)
