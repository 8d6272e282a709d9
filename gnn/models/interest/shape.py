"""What the size and the density of a log suggest for settings that a user leaves open."""

from __future__ import annotations

from typing import Any

from gnn.data import TrainingData

__all__ = ["suggested", "suggested_factor_dim", "suggested_negatives", "suggested_steps"]

# Interactions an item from which a log is dense. There popular items would drown the others in a
# propagation at 0.3, a sharp softmax learns the noise, and text has little to add.
DENSE = 50.0
SPARSE_SETTINGS = {"temperature": 0.1, "id_dropout": 0.2, "edge_dropout": 0.3, "item_exponent": 0.3}
DENSE_SETTINGS = {
    "temperature": 0.15,
    "id_dropout": 0.05,
    "edge_dropout": 0.0,
    "item_exponent": 0.5,
}
# Items a domain, in the mean, up to which a softmax over few candidates is to be flatter still.
SMALL_CATALOGUE, SMALL_TEMPERATURE = 2000, 0.2
# Nodes times steps that about a minute is enough for, and the steps it is worth. A domain alone
# gets half a minute: its closed forms say most, and the mixture is the same (Gowalla, held-out
# rows: .1269 with all, .1267 with half the steps, .1269 with half the negatives too).
NODE_STEPS, SINGLE_NODE_STEPS, MIN_STEPS, MAX_STEPS = 3_300_000, 1_850_000, 18, 80
# Negatives a chunk, at least; scores a step that more of them may take; and what of those a domain
# alone gets.
NEGATIVES, STEP_SCORES, SINGLE_EFFORT = 512, 45_000_000, 0.5
# Width of the factors; and that of a domain alone with up to so many people and items, where they
# need not be mapped. MovieLens-1M gains 1 % by it, Gowalla (70,000) nothing for half a minute.
FACTORS, SINGLE_FACTORS, MAX_SINGLE_NODES = 64, 128, 25_000


def suggested(name: str, data: TrainingData) -> Any:
    """Return what a setting of `SPARSE_SETTINGS` should be for a log."""
    warm = max(1, data.warm.sum())
    if name == "temperature" and warm <= SMALL_CATALOGUE * len(data.domains):
        return SMALL_TEMPERATURE
    return (DENSE_SETTINGS if data.matrix.nnz >= DENSE * warm else SPARSE_SETTINGS)[name]


def suggested_steps(data: TrainingData) -> int:
    """Return how many full-batch steps to train at the most."""
    budget = NODE_STEPS if len(data.domains) > 1 else SINGLE_NODE_STEPS
    return max(MIN_STEPS, min(MAX_STEPS, budget // max(1, data.n_users + data.n_items)))


def suggested_negatives(data: TrainingData) -> int:
    """Return how many negatives the users of a chunk share."""
    effort = 1.0 if len(data.domains) > 1 else SINGLE_EFFORT
    # Somebody with several domains is scored in each of them.
    return max(NEGATIVES, int(STEP_SCORES * effort) // max(1, int(data.active().sum())))


def suggested_factor_dim(data: TrainingData) -> int:
    """Return how wide the factors of a domain should be."""
    small = len(data.domains) == 1 and data.n_users + data.n_items <= MAX_SINGLE_NODES
    return SINGLE_FACTORS if small else FACTORS
