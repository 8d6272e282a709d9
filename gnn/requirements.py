"""What a model needs of a graph, checked before it is fitted."""

from __future__ import annotations

from collections.abc import Iterable

from gnn.data import TrainingData
from graphgen.errors import ConfigError

__all__ = ["DOMAINS", "TEXT", "check_requirements"]

TEXT = "text"
DOMAINS = "domains"


def check_requirements(name: str, requires: Iterable[str], data: TrainingData) -> None:
    """Refuse a graph that a model can make nothing of.

    Parameters
    ----------
    name
        Registered name of the model.
    requires
        Any of `TEXT` (items have text features) and `DOMAINS` (there are at least two).
    data
        What it is to be fitted on.

    Raises
    ------
    ConfigError
        Naming what is missing and what to do.
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
