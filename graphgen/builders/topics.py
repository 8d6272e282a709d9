"""Nodes and edges of topics: ``(domain, about, interest)``, so that one topic spans domains."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch

from graphgen.builders.text_topics import n_learned, text_topics
from graphgen.progress import progress_bar
from graphgen.schema import ABOUT, CATEGORY, INTEREST
from graphgen.vocabulary import Vocabulary

if TYPE_CHECKING:
    from torch_geometric.data import HeteroData

__all__ = ["Topics", "add_topics", "category_topics", "item_topics"]

# Between the categories of one item.
SEPARATOR = "|"


@dataclass(frozen=True)
class Topics:
    """Topics of items, with their names and members.

    Attributes
    ----------
    vocabulary
        Names of the topics.
    edges
        By domain: ``edge_index`` int64 ``[2, E]`` (item, topic) and weight float32 ``[E]``, sorted
        by item, then falling weight.
    n_categories, n_texts
        How many topics are categories, and how many were found in texts.
    """

    vocabulary: Vocabulary
    edges: dict[str, tuple[torch.Tensor, torch.Tensor]]
    n_categories: int
    n_texts: int


def item_topics(
    items: Mapping[str, pd.DataFrame],
    features: Mapping[str, torch.Tensor],
    *,
    n_topics: int | None = None,
    category_items: int = 5,
    seed: int = 0,
    on_progress: Callable[[int], None] | None = None,
) -> Topics:
    """Link the items of all domains to topics: their categories, and clusters of their texts.

    A category counts 1. A cluster counts the cosine of the item's text and its centre, so the
    weight is on the scale of the ``similar`` edges. `category_topics` and
    `graphgen.builders.text_topics.text_topics` say what they cost.

    Parameters
    ----------
    items
        By domain, ``category`` and ``text_of``, row i describing item i; "" where unknown.
    features
        By domain, float32 ``[n, d]`` of length 1; a domain may be absent. Only rows of items whose
        ``text_of`` is not "" are read.
    n_topics
        Clusters of texts; None for a number that grows with the number of texts, 0 for none.
    category_items
        Items of all domains that a category needs to be a topic; 0 for no topics of categories.
    seed
        Draws the start of the clustering.
    on_progress
        As in `graphgen.builders.text_topics.text_topics`.
    """
    # One number for each item of all domains.
    starts = dict(zip(items, np.cumsum([0, *map(len, items.values())]).tolist(), strict=False))
    everything = pd.concat(list(items.values()), ignore_index=True)
    names, item, topic = category_topics(everything[CATEGORY], min_items=category_items)
    weight = np.ones(len(item), np.float32)
    n_categories = len(names)

    told = {
        domain: (frame["text_of"] != "").to_numpy() & (domain in features)
        for domain, frame in items.items()
    }
    number = np.flatnonzero(np.concatenate(list(told.values())))
    if n_topics != 0 and len(number):
        found = text_topics(
            np.concatenate(
                [x.numpy()[told[d]] for d in items if (x := features.get(d)) is not None]
            ),
            everything["text_of"].iloc[number],
            n_topics=n_topics,
            seed=seed,
            on_progress=on_progress,
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
    edges = {}
    for domain, start in starts.items():
        own = slice(*np.searchsorted(item, [start, start + len(items[domain])]))
        edges[domain] = (
            torch.from_numpy(np.stack([item[own] - start, topic[own]])),
            torch.from_numpy(weight[own]),
        )
    return Topics(vocabulary, edges, n_categories, len(names) - n_categories)


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
    # Groups come sorted by name, so that of equally frequent spellings the first stands.
    spellings = pairs.groupby(["folded", "name"], as_index=False).size()
    spellings = spellings.sort_values("size", ascending=False, kind="stable")
    spellings = spellings.drop_duplicates("folded").sort_values("folded")
    topic = pd.Index(spellings["folded"]).get_indexer(pairs["folded"])
    return spellings["name"].tolist(), pairs["item"].to_numpy(np.int64), topic.astype(np.int64)


def add_topics(
    data: HeteroData,
    items: Mapping[str, pd.DataFrame],
    *,
    n_topics: int | None,
    category_items: int,
    seed: int,
    progress: bool = False,
) -> Topics:
    """Add nodes ``interest`` and edges ``(domain, about, interest)`` in place, if any are found.

    Where there are topics, every domain of `items` gets its edge type, if need be of zero edges.
    The parameters are those of `item_topics`, which does the work.
    """
    features = {domain: data[domain].x for domain in items if "x" in data[domain]}
    n_texts = sum(int((items[domain]["text_of"] != "").sum()) for domain in features)
    with progress_bar(
        "Finding topics",
        n_learned(n_texts),
        enabled=progress and n_topics != 0 and n_texts > 0,
    ) as advance:
        topics = item_topics(
            items,
            features,
            n_topics=n_topics,
            category_items=category_items,
            seed=seed,
            on_progress=advance,
        )
    if len(topics.vocabulary):
        data[INTEREST].num_nodes = len(topics.vocabulary)
        for domain, (edge_index, weight) in topics.edges.items():
            store = data[domain, ABOUT, INTEREST]
            store.edge_index, store.weight = edge_index, weight
    return topics


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
