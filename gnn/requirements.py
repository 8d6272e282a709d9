"""Requirements of a model on a graph, checked before a fit."""

from __future__ import annotations

from collections.abc import Iterable

from gnn.data import TrainingData
from graphgen.errors import ConfigError

__all__ = ["DOMAINS", "TEXT", "check_requirements"]

TEXT = "text"
DOMAINS = "domains"


def check_requirements(name: str, requires: Iterable[str], data: TrainingData) -> None:
    """Refuse a graph that lacks something that a model requires.

    Parameters
    ----------
    name
        Registered name of the model.
    requires
        Any of `TEXT` (items have text features) and `DOMAINS` (there are at least two).
    data
        Training data.

    Raises
    ------
    ConfigError
        Naming the missing part and the remedy.
    """
    if TEXT in requires and data.features is None:
        raise ConfigError(
            f"A {name} model needs text features, and this graph has none; build it with an item "
            "table that holds title or text, and an encoder other than 'none'."
        )
    if DOMAINS in requires and len(data.domains) < 2:
        raise ConfigError(
            f"A {name} model needs at least two domains; this graph has only "
            f"{', '.join(data.domains)}."
        )
