"""Nodes and edges of topics: ``(domain, about, interest)``, so that one topic spans domains."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
import torch

from graphgen.builders.text_topics import n_learned, text_topics
from graphgen.progress import progress_bar
from graphgen.schema import ABOUT, CATEGORY, INTEREST
from graphgen.vocabulary import Vocabulary

if TYPE_CHECKING:
    from torch_geometric.data import HeteroData

__all__ = ["Topics", "add_topics", "category_topics"]

# Between the categories of one item.
SEPARATOR = "|"


class Topics(NamedTuple):
    """Names of the topics; how many are categories, and how many were found in texts."""

    vocabulary: Vocabulary
    n_categories: int
    n_texts: int


def add_topics(
    data: HeteroData,
    items: Mapping[str, pd.DataFrame],
    *,
    n_topics: int | None,
    category_items: int,
    seed: int,
    progress: bool = False,
) -> Topics:
    """Link the items of all domains to topics: their categories, and clusters of their texts.

    Adds nodes ``interest`` and, for every domain of `items`, edges ``(domain, about, interest)``,
    sorted by item, then falling weight; nothing where there are no topics. A category has weight 1,
    a cluster the cosine of the item's text and its centre, so weights are on the scale of the
    ``similar`` edges. For the cost see `category_topics` and
    `graphgen.builders.text_topics.text_topics`.

    Parameters
    ----------
    data
        Graph to add to; of each domain, ``x`` (rows of length 1) is read where it has any.
    items
        By domain, ``category`` and ``text_of``, row i describing item i; "" where unknown.
    n_topics
        Clusters of texts; None for a number that grows with the number of texts, 0 for none.
    category_items
        Items of all domains that a category needs to be a topic; 0 for no topics of categories.
    seed
        Seed of the clustering.
    progress
        Show a bar.
    """
    # One number for each item of all domains.
    starts = dict(zip(items, np.cumsum([0, *map(len, items.values())]).tolist(), strict=False))
    everything = pd.concat(list(items.values()), ignore_index=True)
    names, item, topic = category_topics(everything[CATEGORY], min_items=category_items)
    weight = np.ones(len(item), np.float32)
    n_categories = len(names)

    has_text = {
        domain: (frame["text_of"] != "").to_numpy() & ("x" in data[domain])
        for domain, frame in items.items()
    }
    number = np.flatnonzero(np.concatenate(list(has_text.values())))
    if n_topics != 0 and len(number):
        rows = [data[domain].x.numpy()[mask] for domain, mask in has_text.items() if mask.any()]
        texts = everything["text_of"].iloc[number]
        with progress_bar("Finding topics", n_learned(len(texts)), enabled=progress) as advance:
            found = text_topics(
                np.concatenate(rows), texts, n_topics=n_topics, seed=seed, on_progress=advance
            )
        names += found.names
        item = np.concatenate([item, number[found.text]])
        topic = np.concatenate([topic, found.topic + n_categories])
        weight = np.concatenate([weight, found.cosine])

    distinct = _distinct(names)
    vocabulary = Vocabulary(distinct)
    topic = vocabulary.encode(distinct)[topic]
    order = np.lexsort((topic, -weight, item))
    item, topic, weight = item[order], topic[order], weight[order]
    if names:
        data[INTEREST].num_nodes = len(names)
        for domain, start in starts.items():
            own = slice(*np.searchsorted(item, [start, start + len(items[domain])]))
            store = data[domain, ABOUT, INTEREST]
            store.edge_index = torch.from_numpy(np.stack([item[own] - start, topic[own]]))
            store.weight = torch.from_numpy(weight[own])
    return Topics(vocabulary, n_categories, len(names) - n_categories)


def category_topics(
    categories: pd.Series, *, min_items: int
) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Make topics of categories, whatever their case; O(characters) and a sort.

    Parameters
    ----------
    categories
        Categories of each of n items, several separated by ``|``; "" where unknown.
    min_items
        Items that a category needs; 0 for no topics at all.

    Returns
    -------
    names
        Each category as it is written most often.
    item, topic
        int64 [E]: which item has which category, each pair once.

    Examples
    --------
    >>> categories = pd.Series(["SF | drama", "sf", "SF|SF", ""])
    >>> names, item, topic = category_topics(categories, min_items=2)
    >>> names, item.tolist(), topic.tolist()
    (['SF'], [0, 1, 2], [0, 0, 0])
    """
    if not min_items:
        return [], np.empty(0, np.int64), np.empty(0, np.int64)
    written = categories.reset_index(drop=True).str.split(SEPARATOR).explode().str.strip()
    written = written[written != ""]
    pairs = pd.DataFrame({"item": written.index, "name": written.to_numpy(dtype=object)})
    pairs["folded"] = pairs["name"].str.casefold()
    pairs = pairs.drop_duplicates(["item", "folded"])
    pairs = pairs[pairs.groupby("folded")["item"].transform("size") >= min_items]
    # Groups come sorted by name, so that of equally frequent spellings the first is taken.
    spellings = pairs.groupby(["folded", "name"], as_index=False).size()
    spellings = spellings.sort_values("size", ascending=False, kind="stable")
    spellings = spellings.drop_duplicates("folded").sort_values("folded")
    topic = pd.Index(spellings["folded"]).get_indexer(pairs["folded"])
    return spellings["name"].tolist(), pairs["item"].to_numpy(np.int64), topic.astype(np.int64)


def _distinct(names: list[str]) -> list[str]:
    """Number names that occur again.

    Examples
    --------
    >>> _distinct(["tea", "jazz", "tea", "tea"])
    ['tea', 'jazz', 'tea (2)', 'tea (3)']
    """
    result: dict[str, None] = {}
    for name in names:
        free, numbers = name, count(2)
        while free in result:
            free = f"{name} ({next(numbers)})"
        result[free] = None
    return list(result)
