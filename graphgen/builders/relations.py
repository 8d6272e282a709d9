"""Edges to what items share, such as an author: ``(domain, author, attribute)``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
import torch

from graphgen.builders.topics import category_topics
from graphgen.errors import ConfigError, near_miss
from graphgen.schema import ATTRIBUTE, RELATIONS
from graphgen.vocabulary import Vocabulary

if TYPE_CHECKING:
    from torch_geometric.data import HeteroData

__all__ = ["AttributeLinks", "add_attributes", "attribute_names", "shared_values"]

# Items that a value needs: one of a single item links nothing.
MIN_ITEMS = 2


class AttributeLinks(NamedTuple):
    """Links of one domain's items to attributes by one relation."""

    domain: str
    relation: str
    item: np.ndarray
    """int64 [E], sorted."""
    name: np.ndarray
    """object [E], the attribute."""
    weight: np.ndarray
    """float32 [E]."""


def shared_values(
    frames: Mapping[str, pd.DataFrame], columns: Sequence[str]
) -> list[AttributeLinks]:
    """Return the links of items to the values of columns of the item table; O(characters).

    Several values are separated by ``|``, upper and lower case do not differ, and items of
    different domains share values. Values of a single item are left out. An attribute is named
    ``column: value``.

    Parameters
    ----------
    frames
        Columns of the items by domain.
    columns
        The relations.

    Raises
    ------
    ConfigError
        If a column is missing or has the name of another relation.
    """
    named = (name for frame in frames.values() for name in frame.columns)
    known = [name for name in dict.fromkeys(named) if name != "text_of"]
    links = []
    for column in columns:
        if column in RELATIONS:
            raise ConfigError(f"A relation cannot be named {column!r}; rename the column.")
        if column not in known:
            hint = near_miss(column, known, f"it has {', '.join(known)}.")
            raise ConfigError(
                f"The item table has no column {column!r} to link items by; {hint} A column that "
                "is taken for another, as genre for category, goes by that name."
            )
        values = pd.concat([frame[column] for frame in frames.values()], ignore_index=True)
        names, item, value, weight = category_topics(values, min_items=MIN_ITEMS)
        name = np.array([f"{column}: {text}" for text in names], dtype=object)[value]
        start = 0
        for domain, frame in frames.items():
            own = slice(*np.searchsorted(item, [start, start + len(frame)]))
            links.append(AttributeLinks(domain, column, item[own] - start, name[own], weight[own]))
            start += len(frame)
    return [part for part in links if len(part.item)]


def attribute_names(links: Sequence[AttributeLinks]) -> Vocabulary:
    """Return the attributes of some links."""
    return Vocabulary.from_values(*(pd.unique(part.name) for part in links))


def add_attributes(
    data: HeteroData, links: Sequence[AttributeLinks], attributes: Vocabulary
) -> None:
    """Add links to attributes, in place; those of the same relation are replaced."""
    data[ATTRIBUTE].num_nodes = len(attributes)
    for part in links:
        store = data[part.domain, part.relation, ATTRIBUTE]
        index = np.stack([part.item, attributes.encode(part.name)])
        store.edge_index = torch.from_numpy(index)
        store.weight = torch.from_numpy(part.weight)
