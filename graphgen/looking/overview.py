"""A whole graph at one glance: domains, overlap, degrees, time, and topics as a tree."""

from __future__ import annotations

import html
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import scipy.sparse as sp

from graphgen.arrays import place_in_group
from graphgen.description import GraphDescription, describe
from graphgen.errors import counted
from graphgen.graph import InterestGraph
from graphgen.looking.charts import (
    STYLE,
    Line,
    at_least,
    chart,
    over_time,
    overlap_table,
    save_page,
    swatch,
    table,
)
from graphgen.schema import ABOUT, INTERACTS, INTEREST, TITLE, USER

__all__ = ["Overview", "Topic", "overview", "summary"]

TOPICS: Final = 200  # in the tree, the largest
EXAMPLES: Final = 6  # items of a topic


class Topic(NamedTuple):
    """A topic: its number of items, by domain, and its most typical items, (domain, title)."""

    name: str
    items: dict[str, int]
    examples: list[tuple[str, str]]

    @property
    def size(self) -> int:
        """How many items it has."""
        return sum(self.items.values())


@dataclass(frozen=True)
class Overview:
    """What `overview` returns; it shows itself in a notebook.

    Attributes
    ----------
    description
        Counts of nodes and edges.
    user_degrees, item_degrees
        By domain: numbers of interactions, and the share of users (items) with at least so many.
    activity
        By domain: starts of equal spans of time (milliseconds since 1970) and interactions in
        each; empty without times.
    topics
        Topics by group of related ones, both largest first.
    """

    description: GraphDescription
    user_degrees: dict[str, Line]
    item_degrees: dict[str, Line]
    activity: dict[str, Line]
    topics: dict[str, list[Topic]]

    def _repr_html_(self) -> str:
        domains = list(self.description.domains)
        charts = [
            chart("Users by their interactions", self.user_degrees, domains),
            chart("Items by their interactions", self.item_degrees, domains),
            chart("Interactions over time", self.activity, domains, dates=True),
        ]
        return (
            f'{STYLE}<div class="ig-overview">{_domains(self.description)}'
            f"{overlap_table(self.description.overlap)}<div class='charts'>{''.join(charts)}</div>"
            f"{_tree(self.topics, domains)}</div>"
        )

    def save(self, path: str | Path) -> Path:
        """Write the overview as one HTML page that loads nothing."""
        return save_page(path, "Overview", self._repr_html_())


def overview(graph: InterestGraph) -> Overview:
    """Summarise a graph in tables and charts: domains, overlap, degrees, time and topics.

    O(edges + topics²).

    Examples
    --------
    >>> import pandas as pd
    >>> from graphgen.build import build_graph
    >>> log = pd.DataFrame({"user_id": ["ann", "ann", "bob"], "item_id": ["dune", "alien", "dune"],
    ...                     "domain": ["book", "film", "book"]})
    >>> overview(build_graph(log, encoder="none")).item_degrees["book"].x.tolist()
    [2]
    """
    users, items, times = {}, {}, {}
    for domain in graph.domains:
        store = graph.data[USER, INTERACTS, domain]
        ends = store.edge_index.numpy()
        users[domain] = at_least(np.bincount(ends[0]))
        items[domain] = at_least(np.bincount(ends[1]))
        if "time" in store:
            times[domain] = store.time.numpy()
    activity = over_time(times)
    return Overview(describe(graph), users, items, activity, _topics(graph))


def summary(graph: InterestGraph) -> str:
    """Return the domains of a graph as HTML; what a graph shows of itself in a notebook."""
    return f'{STYLE}<div class="ig-overview">{_domains(describe(graph))}</div>'


def _topics(graph: InterestGraph) -> dict[str, list[Topic]]:
    """Return the largest topics, in groups of those with similar texts or the same items."""
    if not graph.n_topics:
        return {}
    domains = [d for d in graph.domains if (d, ABOUT, INTEREST) in graph.data.edge_types]
    links: list[tuple[int, float, str, str]] = []
    counts, centers = np.zeros((graph.n_topics, len(domains)), dtype=np.int64), 0
    for place, domain in enumerate(domains):
        store = graph.data[domain, ABOUT, INTEREST]
        item, topic = store.edge_index.numpy()
        weight = store.weight.numpy()
        counts[:, place] = np.bincount(topic, minlength=graph.n_topics)
        shape = (graph.n_topics, len(graph.vocabularies[domain]))
        about = sp.csr_matrix((weight, (topic, item)), shape=shape)
        if "x" in graph.data[domain]:
            centers = centers + about @ graph.data[domain].x.numpy()
        order = np.lexsort((item, -weight, topic))
        order = order[place_in_group(topic[order]) < EXAMPLES]
        titles = graph.item_frame(domain, item[order])
        names = titles[TITLE].where(titles[TITLE] != "", titles["item_id"])
        links += zip(topic[order], -weight[order], [domain] * len(order), names, strict=True)
    largest = np.argsort(-counts.sum(axis=1), kind="stable")[:TOPICS]
    largest = largest[counts[largest].sum(axis=1) > 0]
    examples: dict[int, list[tuple[str, str]]] = {}
    for topic, _, domain, name in sorted(links, key=lambda link: (link[0], link[1])):
        examples.setdefault(int(topic), []).append((domain, str(name)))
    group = _grouped(centers[largest] if isinstance(centers, np.ndarray) else counts[largest])
    found: dict[int, list[Topic]] = {}
    for place, topic in zip(group, largest.tolist(), strict=True):
        by_domain = {d: int(n) for d, n in zip(domains, counts[topic], strict=True) if n}
        one = Topic(graph.topic_names[topic], by_domain, examples[topic][:EXAMPLES])
        found.setdefault(int(place), []).append(one)
    ordered = sorted(found.values(), key=lambda topics: -sum(topic.size for topic in topics))
    named: dict[str, list[Topic]] = {}
    for topics in ordered:
        words = Counter(word for topic in topics for word in topic.name.split(", "))
        name = ", ".join(word for word, _ in words.most_common(3))
        named.setdefault(name, []).extend(topics)
    return named


def _grouped(vectors: np.ndarray) -> np.ndarray:
    """Return a group for each row, about the square root of the rows, by cosine."""
    from sklearn.cluster import AgglomerativeClustering

    n_groups = round(len(vectors) ** 0.5)
    if n_groups < 2:
        return np.zeros(len(vectors), dtype=np.int64)
    rows = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return AgglomerativeClustering(n_groups).fit_predict(rows)


# --- HTML --------------------------------------------------------------------------------------


def _domains(d: GraphDescription) -> str:
    names = list(d.domains)
    rows = [
        [
            swatch(name, names) + html.escape(name),
            *(f"{n:,}" for n in (of.users, of.items, of.cold_items, of.interactions)),
            f"{of.median_history:g}",
        ]
        for name, of in d.domains.items()
    ]
    head = ["domain", "users", "items", "cold items", "interactions", "median history"]
    items = sum(of.items for of in d.domains.values())
    text = (
        f"{counted(d.users, 'user')}, {counted(items, 'item')} in {counted(len(names), 'domain')}"
    )
    text += f", {counted(d.topics, 'topic')}" if d.topics else ""
    return f"<p><b>Interest graph</b>: {text}</p>{table(head, rows)}"


def _tree(groups: dict[str, list[Topic]], domains: list[str]) -> str:
    if not groups:
        return ""
    parts = []
    for name, topics in groups.items():
        inner = []
        for topic in topics:
            mix = ", ".join(f"{html.escape(d)} {n:,}" for d, n in topic.items.items())
            items = "".join(
                f"<p>{swatch(d, domains)}{html.escape(title)}</p>" for d, title in topic.examples
            )
            inner.append(
                f"<details><summary>{html.escape(topic.name)} <small>{mix}</small></summary>"
                f"{items}</details>"
            )
        size = sum(topic.size for topic in topics)
        counts = f"{counted(len(topics), 'topic')}, {counted(size, 'item')}"
        parts.append(
            f"<details><summary>{html.escape(name)} <small>{counts}</small></summary>"
            f"{''.join(inner)}</details>"
        )
    return f"<h3>Topics, in groups</h3>{''.join(parts)}"
