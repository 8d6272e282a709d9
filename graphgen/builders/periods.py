"""Edges to the periods in which items were chosen: ``(domain, during, attribute)``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from graphgen.builders.relations import AttributeLinks
from graphgen.schema import DURING, INTERACTS

if TYPE_CHECKING:
    from torch_geometric.data import HeteroData

__all__ = ["UNITS", "item_periods"]

# NumPy's code of each length of a period.
UNITS: Final = {"year": "Y", "month": "M", "day": "D"}


def item_periods(data: HeteroData, period: str) -> list[AttributeLinks]:
    """Return the links of items to the calendar periods (UTC) of their interactions.

    An attribute is named ``during: 2012-03``; the weight of a link is the share of the item's
    interactions in the period. There are none where the log has no timestamps.
    O(interactions log interactions).

    Parameters
    ----------
    data
        Graph with its interactions.
    period
        One of `UNITS`, or "none".
    """
    stores = {t[2]: data[t] for t in data.edge_types if t[1] == INTERACTS}
    if period == "none" or not all("time" in store for store in stores.values()):
        return []
    links = []
    for domain, store in stores.items():
        clock = store.time.numpy().astype("datetime64[ms]").astype(f"datetime64[{UNITS[period]}]")
        values, place = np.unique(clock, return_inverse=True)
        item = store.edge_index[1].numpy()
        cells, times = np.unique(item * max(1, len(values)) + place, return_counts=True)
        item, place = np.divmod(cells, max(1, len(values)))
        weight = (times / np.bincount(item, times)[item]).astype(np.float32)
        names = np.array([f"{DURING}: {value}" for value in values], dtype=object)
        if len(item):
            links.append(AttributeLinks(domain, DURING, item, names[place], weight))
    return links
