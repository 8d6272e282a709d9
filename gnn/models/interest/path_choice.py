"""Choosing among variants of a path on held-out rows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch

from gnn.data import TrainingData
from gnn.models.interest.paths import Path
from gnn.models.interest.validation import (
    RankingQuality,
    ValidationBlock,
    ValidationRows,
    best_labels,
)
from graphgen.pieces import map_pieces

__all__ = ["best_variant"]

MAX_USERS = 1000
BLOCK_USERS = 256


def best_variant(
    variants: Sequence[Path],
    data: TrainingData,
    rows: ValidationRows,
    generator: np.random.Generator,
) -> int | None:
    """Return the number of the variant with the best NDCG@20 on known items by itself.

    On at most 1,000 users a kind and domain; None where no row is of a known item.
    """
    known = rows.of_known_items()
    if not len(known):
        return None
    blocks = list(known.blocks(data, max_users=MAX_USERS, size=BLOCK_USERS, generator=generator))
    metrics = []
    for variant in variants:
        quality = RankingQuality()
        for block in map_pieces(partial(_look, data, variant), blocks):
            quality.add(*block)
        metrics.append(quality.known())
    return int(np.argmax(metrics))


def _look(
    data: TrainingData, path: Path, block: ValidationBlock
) -> tuple[str, torch.Tensor, list[torch.Tensor]]:
    """Return the domain, what is found, and how much there was to find."""
    scores = path.score(data.batch(block.users), block.domain).clone()
    seen = data.matrix[block.users][:, data.span(block.domain)].tocoo()
    scores[torch.from_numpy(seen.row).long(), torch.from_numpy(seen.col).long()] = -1.0
    label, relevant = block.labels()
    return block.domain, best_labels(scores, label), relevant
