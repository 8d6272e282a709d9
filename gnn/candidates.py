"""The items that may be recommended: allowed, barred, or by a condition on their columns."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gnn.asked import asked_ids, listed_ids
from gnn.data import TrainingData
from graphgen.conditions import Condition
from graphgen.errors import InputError
from graphgen.joins import COMPARED, check_join
from graphgen.reading.columns import ITEMS
from graphgen.reading.files import read_tables
from graphgen.reading.normalise import DEFAULT_DOMAIN
from graphgen.schema import DOMAIN, ITEM_ID
from graphgen.tables import ItemTable

__all__ = ["candidates", "item_frame", "read_ids"]

logger = logging.getLogger(__name__)


def candidates(
    data: TrainingData,
    domains: Sequence[str],
    *,
    only: Any = None,
    without: Any = None,
    where: str | None = None,
) -> dict[str, np.ndarray] | None:
    """Return bool [items] by domain, whether an item may be recommended; None if all may.

    For the parameters see `gnn.base.Model.recommend`.

    Raises
    ------
    InputError
        If none of the ids is known, a column is missing, or no item is left.
    """
    if only is None and without is None and where is None:
        return None
    allowed = {domain: np.ones(len(data.items[domain]), dtype=bool) for domain in domains}
    for name, given in (("only", only), ("without", without)):
        if given is None:
            continue
        listed = _listed(data, domains, given, name)
        for domain in domains:
            allowed[domain] &= listed[domain] if name == "only" else ~listed[domain]
    if where is not None:
        condition = Condition(where)
        frames = [item_frame(data, domain).assign(**{DOMAIN: domain}) for domain in domains]
        mask = condition.mask(pd.concat(frames, ignore_index=True).fillna(""))
        ends = np.cumsum([len(frame) for frame in frames])[:-1]
        for domain, fulfilled in zip(domains, np.split(mask, ends), strict=True):
            allowed[domain] &= fulfilled
    empty = [domain for domain, mask in allowed.items() if not mask.any()]
    if len(empty) == len(allowed):
        given = {"only": only, "without": without, "where": where}
        names = " and ".join(f"`{name}`" for name, value in given.items() if value is not None)
        raise InputError(f"No item of {', '.join(domains)} is left by {names}.")
    if empty:
        logger.warning("No item of %s is left by the filters.", ", ".join(empty))
    return allowed


def item_frame(data: TrainingData, domain: str) -> pd.DataFrame:
    """Return item_id, title and the other columns of a domain's items, "" where unknown."""
    frame = data.item_columns.get(domain, pd.DataFrame({"title": [""] * len(data.items[domain])}))
    return frame.assign(**{ITEM_ID: data.items[domain].ids})


def read_ids(source: str | Path, **options: Any) -> pd.DataFrame:
    """Read item_id, and domain where there is one, from a text file (one id a line) or a table.

    `options` are those of `graphgen.tables.read_items`.
    """
    ids = listed_ids(Path(source), encoding=options.get("encoding"))
    if ids is not None and (not ids or ITEM_ID not in ids[0] or ids[0] == ITEM_ID):
        return pd.DataFrame({ITEM_ID: ids[1:] if ids[:1] == [ITEM_ID] else ids}, dtype=object)
    frames, _, _ = read_tables([str(source)], ITEMS, ItemTable.clean, **options)
    return frames[0][[DOMAIN, ITEM_ID]]


def _listed(
    data: TrainingData, domains: Sequence[str], given: Any, name: str
) -> Mapping[str, np.ndarray]:
    """Return bool [items] by domain, whether an item is in the list that was given."""
    if isinstance(given, Path):
        given = read_ids(given)
    given = getattr(given, "frame", given)
    ids = asked_ids(given, column=ITEM_ID, name="item ids")
    of: Any = np.full(len(ids), None, dtype=object)
    if isinstance(given, pd.DataFrame) and DOMAIN in given:
        of = given[DOMAIN].astype(object).to_numpy(object)
        if DEFAULT_DOMAIN not in data.items:
            of = np.where(of == DEFAULT_DOMAIN, None, of)
    known: Any = np.zeros(len(ids), dtype=bool)
    result = {}
    for domain, vocabulary in data.items.items():
        here = (of == domain) | pd.isna(of)
        places = np.where(here, vocabulary.encode(ids, missing="mark"), -1)
        known |= places >= 0
        if domain in domains:
            result[domain] = np.zeros(len(vocabulary), dtype=bool)
            result[domain][places[places >= 0]] = True
    check_join(
        "item", f"`{name}`", known, "the model", ours=ids, many=0,
        theirs=[text for domain in domains for text in data.items[domain].ids[:COMPARED]],
    )  # fmt: skip
    return result
