"""How a call of `fit` runs: its options, its checkpoints, and the second of two fits."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np

from gnn.data import TrainingData
from gnn.selection import Quality
from graphgen.config import Config
from graphgen.storage import atomic_directory, read_json, remove_directory, write_json

if TYPE_CHECKING:
    from gnn.validation import ValidationRows
    from graphgen.graph import InterestGraph

__all__ = ["FitOptions", "checkpoints", "fit_fingerprint", "fit_twice"]

logger = logging.getLogger(__name__)

SCHEMA_VERSION = 1
CHOOSE, REFIT = "choose", "refit"
CHOSEN = "chosen.json"

AnyModel = TypeVar("AnyModel", bound=Any)


class FitOptions(Config):
    """Options of one call of `fit`; none of them changes the result."""

    checkpoint: Path | None = None
    """Folder to write resumable state to, and to resume from."""
    progress: bool = False
    """Show progress bars."""

    def stage(self, name: str) -> Self:
        """Return the options of one of several fits, with a separate checkpoint."""
        if self.checkpoint is None:
            return self
        return self.replace(checkpoint=_stage(self.checkpoint, name))

    def remove_checkpoints(self) -> None:
        """Remove all checkpoints of a call of `fit` that is done."""
        for path in checkpoints(self.checkpoint) if self.checkpoint else ():
            remove_directory(path, kind="checkpoint")


def _stage(checkpoint: Path, name: str) -> Path:
    return checkpoint.parent / f"{checkpoint.name}-{name}"


def checkpoints(checkpoint: Path) -> list[Path]:
    """Return all folders that a call of `fit` with a checkpoint may write."""
    return [checkpoint, *(_stage(checkpoint, name) for name in (CHOOSE, REFIT))]


def fit_fingerprint(
    model: Any, data: TrainingData, seed: int, rows: ValidationRows | None = None
) -> dict[str, Any]:
    """Return what must be equal for a checkpoint to be taken up."""
    digest = hashlib.sha256()
    for array in _content(data, rows):
        digest.update(array.tobytes())
    settings = json.loads(json.dumps(model.config.to_dict()))
    return {"model": model.name, "config": settings, "seed": seed, "data": digest.hexdigest()}


def _content(data: TrainingData, rows: ValidationRows | None) -> Iterator[np.ndarray]:
    """Yield the arrays from which a fit learns."""
    parts = (data.matrix, data.similar, data.order, data.weights, data.rejected)
    for matrix in (*parts, *data.links.values()):
        if matrix is not None:
            yield from (matrix.indptr, matrix.indices, matrix.data)
    if data.features is not None:
        yield data.features
    if rows is not None:
        yield from (rows.user, rows.item, rows.kind)


def fit_twice(model: AnyModel, graph: InterestGraph, *, seed: int, options: FitOptions) -> AnyModel:
    """Choose settings on rows held out of a graph, then fit on everything with them.

    Where no history is long enough to hold rows out, the model is fitted once.

    Parameters
    ----------
    model
        Its settings are as before afterwards; those that were chosen are in `chosen_`, and how
        well the first fit ranked the held-out rows in `validation_`.
    graph
        The training graph.
    seed
        Draws the held-out rows, and is that of both fits.
    options
        Each of the fits has a checkpoint of its own.
    """
    from gnn.holdout import hold_out

    kept, made_from = options.stage(CHOOSE).checkpoint, {}
    if kept is not None:
        made_from = fit_fingerprint(model, TrainingData.from_graph(graph), seed)
    known = _known(kept, made_from)
    if known is None:
        smaller, rows = hold_out(graph, seed=seed)
        if not len(rows):
            logger.warning("No history is long enough to hold rows out; the defaults are taken.")
            return model.fit_once(graph, None, seed=seed, options=options)
        logger.info("Choosing on %d held-out interactions, then fitting on all.", len(rows))
        model.fit_once(smaller, rows, seed=seed, options=options.stage(CHOOSE))
        known = model.chosen_, model.validation_
        if kept is not None:
            with atomic_directory(kept, kind="checkpoint", overwrite=True) as folder:
                found = {"fingerprint": made_from, "chosen": known[0], "validation": known[1]}
                write_json(folder / CHOSEN, found, schema_version=SCHEMA_VERSION)
    given, (chosen, validation) = model.config, known
    model.config = given.replace(**chosen)
    try:
        model.fit_once(graph, None, seed=seed, options=options.stage(REFIT))
    finally:
        model.config = given
    model.chosen_, model.validation_ = chosen | model.chosen_, validation
    return model


def _known(
    kept: Path | None, made_from: dict[str, Any]
) -> tuple[dict[str, Any], Quality | None] | None:
    """Return what the first of two fits has found before an interruption."""
    if kept is None or not (kept / CHOSEN).exists():
        return None
    found = read_json(kept / CHOSEN, schema_version=SCHEMA_VERSION, what="a checkpoint")
    if found["fingerprint"] != made_from:
        return None
    logger.info("The settings of %s are taken.", kept)
    return found["chosen"], Quality(*found["validation"]) if found["validation"] else None
