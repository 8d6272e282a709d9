"""Nodes and edges of topics: ``(domain, about, interest)``, so that one topic spans domains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
import scipy.sparse as sp
import torch

from graphgen.builders.clusters import Clusters, find_clusters, n_learned
from graphgen.builders.communities import community_names, item_vectors
from graphgen.builders.interactions import likes_matrix
from graphgen.builders.naming import topic_names
from graphgen.progress import progress_bar
from graphgen.schema import ABOUT, CATEGORY, INTERACTS, INTEREST, TITLE, USER
from graphgen.vocabulary import Vocabulary

if TYPE_CHECKING:
    from torch_geometric.data import HeteroData

    from graphgen.graph import InterestGraph

__all__ = ["FormerTopics", "Topics", "add_topics", "category_topics"]

# Between the categories of one item.
SEPARATOR = "|"
# Communities are looked for where more than this share of the interactions is with items without
# any other topic.
BARE = 0.5


class Topics(NamedTuple):
    """Names of the topics, and their provenance: how many of each kind, and how many persist."""

    vocabulary: Vocabulary
    made: dict[str, Any]


class _Links(NamedTuple):
    """Topics of one kind: their names, and int64, int64, float32 [E] links of items to them."""

    names: list[str]
    item: np.ndarray
    topic: np.ndarray
    weight: np.ndarray


def add_topics(
    data: HeteroData,
    items: Mapping[str, pd.DataFrame],
    *,
    n_topics: int | None,
    category_items: int,
    seed: int,
    communities: bool = False,
    former: FormerTopics | None = None,
    progress: bool = False,
) -> Topics:
    """Link the items of all domains to topics: their categories, and clusters of their texts.

    Adds nodes ``interest``, with ``community`` where some are communities, and, for every domain of
    `items`, edges ``(domain, about, interest)``, sorted by item, then falling weight; nothing where
    there are no topics. A category has weight 1, a cluster the cosine of the item's text and its
    centre, so weights are on the scale of the ``similar`` edges.

    Where more than half of the interactions are with items of neither, such items are linked to
    communities of items that the same users like. Two topics of the same name are one.

    For the cost see `category_topics`, `graphgen.builders.clusters.find_clusters` and
    `graphgen.builders.communities.item_vectors`.

    Parameters
    ----------
    data
        Graph to add to; of each domain, its interactions, and ``x`` (rows of length 1) where it has
        any.
    items
        By domain, ``title``, ``category`` and ``text_of``, row i describing item i; "" where
        unknown. The index holds the ids.
    n_topics
        Clusters of texts, and communities; None for a number that grows with theirs, 0 for none.
    category_items
        Items of all domains that a category needs to be a topic; 0 for no topics of categories.
    seed
        Seed of the clustering.
    communities
        Link all items to communities, also those with categories or texts.
    former
        Topics of an earlier graph, which go on with their names.
    progress
        Show a bar.
    """
    everything = pd.concat(list(items.values()))
    texted = np.concatenate(
        [(frame["text_of"] != "").to_numpy() & ("x" in data[d]) for d, frame in items.items()]
    )
    kinds = {"categories": _Links(*category_topics(everything[CATEGORY], min_items=category_items))}
    found = _Found(everything, former, n_topics, seed, progress)
    if n_topics != 0 and texted.any():
        x = [data[d].x.numpy() for d in items if "x" in data[d]]
        within = np.concatenate([np.full(len(frame), "x" in data[d]) for d, frame in items.items()])
        kinds["texts"] = found.in_texts(
            np.concatenate(x)[texted[within]], texted, kinds["categories"].names
        )
    bare = np.ones(len(everything), dtype=bool)
    bare[np.concatenate([links.item for links in kinds.values()])] = False
    popularity = np.concatenate(
        [
            np.bincount(data[USER, INTERACTS, domain].edge_index[1].numpy(), minlength=len(frame))
            for domain, frame in items.items()
        ]
    )
    if n_topics != 0 and (communities or popularity[bare].sum() > BARE * popularity.sum()):
        likes = likes_matrix(data, list(items))
        kinds["communities"] = found.in_likes(likes, popularity, bare | communities)

    made: dict[str, Any] = dict.fromkeys(("categories", "texts", "communities"), 0)
    names: dict[str, None] = {}
    for kind, links in kinds.items():
        made[kind] = len(set(links.names) - names.keys())
        names |= dict.fromkeys(links.names)
    vocabulary = Vocabulary(list(names))
    if not names:
        return Topics(vocabulary, made)
    item = np.concatenate([links.item for links in kinds.values()])
    topic = np.concatenate([vocabulary.encode(k.names)[k.topic] for k in kinds.values() if k.names])
    weight = np.concatenate([links.weight for links in kinds.values()])
    order = np.lexsort((topic, -weight, item))
    item, topic, weight = item[order], topic[order], weight[order]
    _, first = np.unique(item * len(vocabulary) + topic, return_index=True)
    first.sort()
    item, topic, weight = item[first], topic[first], weight[first]
    data[INTEREST].num_nodes = len(vocabulary)
    if made["communities"]:
        found_in_likes = np.isin(vocabulary.ids, kinds["communities"].names)
        data[INTEREST].community = torch.from_numpy(found_in_likes)
    start = 0
    for domain, frame in items.items():
        own = slice(*np.searchsorted(item, [start, start + len(frame)]))
        store = data[domain, ABOUT, INTEREST]
        store.edge_index = torch.from_numpy(np.stack([item[own] - start, topic[own]]))
        store.weight = torch.from_numpy(weight[own])
        start += len(frame)
    if former is not None:
        made["former"] = former.agreement(vocabulary, item, topic)
    return Topics(vocabulary, made)


@dataclass(frozen=True)
class _Found:
    """The search for clusters, of texts and of likes."""

    items: pd.DataFrame
    former: FormerTopics | None
    n_topics: int | None
    seed: int
    progress: bool

    def in_texts(self, vectors: np.ndarray, texted: np.ndarray, taken: list[str]) -> _Links:
        """Cluster the texts of the items `texted`; categories have taken their names."""
        former, names = self._former(texted, communities=False)
        clusters = self._clusters(vectors, former)
        given = [names[number] if number >= 0 else "" for number in clusters.former]
        texts = self.items["text_of"][texted]
        found = topic_names(
            texts, clusters.nearest, clusters.closeness, len(given), taken=taken, given=given
        )
        return _Links(found, np.flatnonzero(texted)[clusters.row], clusters.cluster,
                      clusters.cosine)  # fmt: skip

    def in_likes(self, likes: sp.csr_matrix, popularity: np.ndarray, linked: np.ndarray) -> _Links:
        """Cluster all items by their likes, and link those in `linked`."""
        vectors = item_vectors(likes, seed=self.seed)
        known = np.asarray(vectors.any(axis=1))
        former, names = self._former(known, communities=True)
        clusters = self._clusters(vectors[known], former)
        given = [names[number] if number >= 0 else "" for number in clusters.former]
        title = self.items[TITLE]
        labels = title.where(title != "", self.items.index)[known]
        found = community_names(
            labels, clusters.nearest, clusters.closeness, popularity[known], len(given), given=given
        )
        item = np.flatnonzero(known)[clusters.row]
        own = linked[item]
        return _Links(found, item[own], clusters.cluster[own], clusters.cosine[own])

    def _former(
        self, items: np.ndarray, *, communities: bool
    ) -> tuple[np.ndarray | None, list[str]]:
        if self.former is None:
            return None, []
        kept = ~self.former.category & (self.former.community == communities)
        return self.former.first(kept)[items], self.former.names

    def _clusters(self, vectors: np.ndarray, former: np.ndarray | None) -> Clusters:
        n = n_learned(len(vectors))
        with progress_bar("Finding topics", n, enabled=self.progress) as advance:
            return find_clusters(
                vectors, n_clusters=self.n_topics, former=former, seed=self.seed,
                on_progress=advance,
            )  # fmt: skip


class FormerTopics(NamedTuple):
    """Topics of an earlier graph: names, and E links of the items there are now, by item.

    `category` and `community` are bool [n_topics], whether all links have weight 1, and whether it
    is a community; `item` and `topic` are int64 [E], of equal items the strongest link first.
    """

    names: list[str]
    category: np.ndarray
    community: np.ndarray
    item: np.ndarray
    topic: np.ndarray
    n_items: int

    @classmethod
    def of(cls, graph: InterestGraph, vocabularies: Mapping[str, Vocabulary]) -> FormerTopics:
        """Read the topics of a graph for the items of other vocabularies, domain by domain."""
        names = list(graph.topic_names)
        category = np.ones(len(names), dtype=bool)
        items, topics, start = [], [], 0
        for domain, vocabulary in vocabularies.items():
            if (domain, ABOUT, INTEREST) in graph.data.edge_types:
                store = graph.data[domain, ABOUT, INTEREST]
                own, topic = store.edge_index.numpy()
                category[topic[store.weight.numpy() < 1]] = False
                now = vocabulary.encode(graph.vocabularies[domain].ids, missing="mark")[own]
                items.append(now[now >= 0] + start)
                topics.append(topic[now >= 0])
            start += len(vocabulary)
        none = [np.empty(0, np.int64)]
        item, topic = np.concatenate(items or none), np.concatenate(topics or none)
        order = np.argsort(item, kind="stable")
        return cls(names, category, graph.communities, item[order], topic[order], start)

    def first(self, kept: np.ndarray) -> np.ndarray:
        """Return the strongest of the topics `kept` of each item, int64; -1 for none."""
        item, topic = self.item[kept[self.topic]], self.topic[kept[self.topic]]
        result = np.full(self.n_items, -1, dtype=np.int64)
        items, place = np.unique(item, return_index=True)
        result[items] = topic[place]
        return result

    def agreement(
        self, vocabulary: Vocabulary, item: np.ndarray, topic: np.ndarray
    ) -> dict[str, Any]:
        """Compare with new links, sorted alike: names that persist, and strongest topics.

        The strongest topics are compared by the adjusted Rand index (Hubert and Arabie, "Comparing
        partitions", Journal of Classification 2, 1985) over the items that have both.
        """
        from sklearn.metrics import adjusted_rand_score

        kept = np.isin(self.names, vocabulary.ids)
        before = self.first(np.ones(len(self.names), dtype=bool))
        after = self._replace(item=item, topic=topic).first(np.ones(len(vocabulary), dtype=bool))
        both = (before >= 0) & (after >= 0)
        rand = adjusted_rand_score(before[both], after[both]) if both.any() else None
        return {
            "topics": len(self.names),
            "same_name": int(kept.sum()),
            "items": int(both.sum()),
            "adjusted_rand": rand,
        }


def category_topics(
    categories: pd.Series, *, min_items: int
) -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray]:
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
    item, topic, weight
        int64, int64 and float32 [E]: which item has which category, each pair once; weight 1.

    Examples
    --------
    >>> categories = pd.Series(["SF | drama", "sf", "SF|SF", ""])
    >>> names, item, topic, _ = category_topics(categories, min_items=2)
    >>> names, item.tolist(), topic.tolist()
    (['SF'], [0, 1, 2], [0, 0, 0])
    """
    if not min_items:
        none = np.empty(0, np.int64)
        return [], none, none, none.astype(np.float32)
    written = categories.reset_index(drop=True)
    written = written[written != ""].str.split(SEPARATOR).explode().str.strip()
    written = written[written != ""]
    pairs = pd.DataFrame({"item": written.index, "name": written.to_numpy(dtype=object)})
    pairs["folded"] = pairs["name"].str.casefold()
    pairs = pairs.drop_duplicates(["item", "folded"])
    pairs = pairs[pairs.groupby("folded")["item"].transform("size") >= min_items]
    # Groups come sorted by name, so that of equally frequent spellings the first is taken.
    spellings = pairs.groupby(["folded", "name"], as_index=False).size()
    spellings = spellings.sort_values("size", ascending=False, kind="stable")
    spellings = spellings.drop_duplicates("folded").sort_values("folded")
    topic = pd.Index(spellings["folded"]).get_indexer(pairs["folded"]).astype(np.int64)
    weight = np.ones(len(topic), np.float32)
    return spellings["name"].tolist(), pairs["item"].to_numpy(np.int64), topic, weight
