"""How a call of `fit` runs: its options, and the second fit with the settings of the first."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from graphgen.config import Config

if TYPE_CHECKING:
    from graphgen.graph import InterestGraph

__all__ = ["FitOptions", "fit_twice"]

logger = logging.getLogger(__name__)

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
        return self.replace(checkpoint=self.checkpoint.with_name(f"{self.checkpoint.name}-{name}"))


def fit_twice(model: AnyModel, graph: InterestGraph, *, seed: int, options: FitOptions) -> AnyModel:
    """Choose settings on rows held out of a graph, then fit on everything with them.

    Where no history is long enough to hold rows out, the model is fitted once.

    Parameters
    ----------
    model
        Its settings are as before afterwards; those that were chosen are in `chosen_`.
    graph
        The training graph.
    seed
        Draws the held-out rows, and is that of both fits.
    options
        Each of the fits has a checkpoint of its own.
    """
    from gnn.holdout import hold_out

    smaller, rows = hold_out(graph, seed=seed)
    if not len(rows):
        logger.warning("No history is long enough to hold rows out; the defaults are taken.")
        return model.fit_once(graph, None, seed=seed, options=options)
    logger.info("Choosing on %d held-out interactions, then fitting on all.", len(rows))
    model.fit_once(smaller, rows, seed=seed, options=options.stage("choose"))
    given, chosen = model.config, model.chosen_
    model.config = given.replace(**chosen)
    try:
        model.fit_once(graph, None, seed=seed, options=options.stage("refit"))
    finally:
        model.config = given
    model.chosen_ = chosen | model.chosen_
    return model
