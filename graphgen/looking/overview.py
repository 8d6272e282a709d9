"""A whole graph at one glance: domains, overlap, degrees, time, and topics as a tree."""

from __future__ import annotations

import html
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import scipy.sparse as sp

from graphgen.arrays import place_in_group
from graphgen.description import GraphDescription, describe
from graphgen.errors import counted
from graphgen.graph import InterestGraph
from graphgen.looking.palette import kind_color
from graphgen.schema import ABOUT, INTERACTS, INTEREST, TITLE, USER
from graphgen.storage import atomic_file

__all__ = ["Overview", "Topic", "overview", "summary"]

BINS: Final = 48  # of the time axis
TOPICS: Final = 200  # in the tree, the largest
EXAMPLES: Final = 6  # items of a topic
FEW_DOMAINS: Final = 8  # up to which the heat map writes numbers of users
WIDTH, HEIGHT, LEFT, BOTTOM = 420, 190, 46, 34  # pixels of a chart
STYLE: Final = """<style>
.ig-overview { font: 0.9rem/1.45 system-ui, -apple-system, "Segoe UI", "Noto Sans", sans-serif; }
.ig-overview h3 { margin: 1.1rem 0 0.3rem; font-size: 1rem; }
.ig-overview table { border-collapse: collapse; display: block; overflow-x: auto; }
.ig-overview :is(th, td) { padding: 0.2rem 0.6rem; text-align: right; white-space: nowrap;
  border-bottom: 1px solid #8884; }
.ig-overview :is(th:first-child, caption) { text-align: left; }
.ig-overview i { display: inline-block; width: 0.65rem; height: 0.65rem; border-radius: 3px;
  margin-right: 0.35rem; }
.ig-overview .dense { font-size: 0.7rem; }
.ig-overview .dense :is(th, td) { padding: 0.1rem 0.25rem; }
.ig-overview .charts { display: flex; flex-wrap: wrap; gap: 1rem; }
.ig-overview figure { margin: 0; }
.ig-overview svg { max-width: 100%; height: auto; }
.ig-overview svg text { fill: currentColor; font-size: 11px; }
.ig-overview details { margin-left: 1rem; }
.ig-overview details > p { margin: 0.1rem 0 0.1rem 1.2rem; }
.ig-overview small { opacity: 0.75; }
</style>"""


class Topic(NamedTuple):
    """A topic: its number of items, by domain, and its most typical items, (domain, title)."""

    name: str
    items: dict[str, int]
    examples: list[tuple[str, str]]

    @property
    def size(self) -> int:
        """How many items it has."""
        return sum(self.items.values())


class _Line(NamedTuple):
    x: np.ndarray
    y: np.ndarray


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
    user_degrees: dict[str, _Line]
    item_degrees: dict[str, _Line]
    activity: dict[str, _Line]
    topics: dict[str, list[Topic]]

    def _repr_html_(self) -> str:
        domains = list(self.description.domains)
        charts = [
            _chart("Users by their interactions", self.user_degrees, domains),
            _chart("Items by their interactions", self.item_degrees, domains),
            _chart("Interactions over time", self.activity, domains, dates=True),
        ]
        return (
            f'{STYLE}<div class="ig-overview">{_domains(self.description)}'
            f"{_overlap(self.description)}<div class='charts'>{''.join(charts)}</div>"
            f"{_tree(self.topics, domains)}</div>"
        )

    def save(self, path: str | Path) -> Path:
        """Write the overview as one HTML page that loads nothing."""
        page = (
            '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" '
            'content="width=device-width, initial-scale=1"><title>Overview</title><style>'
            ":root { color-scheme: light dark; background: Canvas; color: CanvasText } "
            "body { max-width: 60rem; margin: 1rem auto; font-family: system-ui, sans-serif; "
            "padding: 0 1rem }</style></head><body><main><h1>Overview</h1>"
            f"{self._repr_html_()}</main></body></html>"
        )
        with atomic_file(path) as temporary:
            temporary.write_text(page, encoding="utf-8")
        return Path(path)


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
        users[domain] = _at_least(np.bincount(ends[0]))
        items[domain] = _at_least(np.bincount(ends[1]))
        if "time" in store:
            times[domain] = store.time.numpy()
    every = [span for time in times.values() if len(time) for span in (time.min(), time.max())]
    activity = {}
    if every and max(every) > min(every):
        edges = np.linspace(min(every), max(every), BINS + 1)
        activity = {
            domain: _Line(edges[:-1], np.histogram(time, edges)[0])
            for domain, time in times.items()
        }
    return Overview(describe(graph), users, items, activity, _topics(graph))


def summary(graph: InterestGraph) -> str:
    """Return the domains of a graph as HTML; what a graph shows of itself in a notebook."""
    return f'{STYLE}<div class="ig-overview">{_domains(describe(graph))}</div>'


def _at_least(counts: np.ndarray) -> _Line:
    values, n = np.unique(counts[counts > 0], return_counts=True)
    return _Line(values, n[::-1].cumsum()[::-1] / max(1, n.sum()))


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


def _swatch(domain: str, domains: list[str]) -> str:
    return f'<i style="background:{kind_color(domain, domains)}"></i>'


def _table(head: list[str], rows: list[list[str]]) -> str:
    """Return a table of cells that are HTML, `td` or with attributes of their own."""
    body = "".join(
        "<tr>" + "".join(c if c.startswith("<td") else f"<td>{c}</td>" for c in row) + "</tr>"
        for row in rows
    ).replace("<tr><td>", "<tr><th scope='row'>")
    return (
        f"<table><thead><tr>{''.join(f'<th>{name}</th>' for name in head)}</tr></thead>"
        f"<tbody>{body}</tbody></table>"
    )


def _domains(d: GraphDescription) -> str:
    names = list(d.domains)
    rows = [
        [
            _swatch(name, names) + html.escape(name),
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
    return f"<p><b>Interest graph</b>: {text}</p>{_table(head, rows)}"


def _overlap(d: GraphDescription) -> str:
    """Return the share of the users of each row that are active in each column."""
    names = list(d.overlap)
    if len(names) < 2:
        return ""
    shares = [d.overlap[a][b] / max(1, d.overlap[a][a]) for a in names for b in names if a != b]
    most = max(*shares, 1e-9)
    rows = []
    for a in names:
        row = [_swatch(a, names) + html.escape(a)]
        for b in names:
            share = d.overlap[a][b] / max(1, d.overlap[a][a])
            n = f"{d.overlap[a][b]:,} " if len(names) <= FEW_DOMAINS else ""
            tint = "" if a == b else f' style="background:rgba(0,114,178,{0.6 * share / most:.3f})"'
            title = f"{d.overlap[a][b]:,} of {d.overlap[a][a]:,} users of {a} also in {b}"
            row.append(f'<td title="{html.escape(title)}"{tint}>{n}<small>{share:.0%}</small></td>')
        rows.append(row)
    head = ["active in", *(html.escape(name) for name in names)]
    dense = " class='dense'" if len(names) > FEW_DOMAINS else ""
    title = "Users of a row that are also in a column"
    return f"<h3>{title}</h3><div{dense}>{_table(head, rows)}</div>"


def _chart(
    title: str,
    lines: dict[str, _Line],
    domains: list[str],
    *,
    dates: bool = False,
) -> str:
    """Return lines by domain as SVG, in colours of the surrounding text."""
    lines = {name: line for name, line in lines.items() if len(line.x)}
    if not lines:
        return ""
    scale = np.asarray if dates else np.log10
    low = min(float(scale(line.x[0])) for line in lines.values())
    high = max(float(scale(line.x[-1])) for line in lines.values())
    top = max(float(line.y.max()) for line in lines.values())

    def across(x: np.ndarray) -> np.ndarray:
        return LEFT + (scale(x) - low) / max(high - low, 1e-9) * (WIDTH - LEFT - 10)

    def up(y: np.ndarray) -> np.ndarray:
        return HEIGHT - BOTTOM - y / max(top, 1e-9) * (HEIGHT - BOTTOM - 12)

    parts = []
    for share in (0.0, 0.5, 1.0):
        y, value = float(up(np.array(share * top))), share * top
        text = f"{value:.0%}" if top <= 1 else f"{value:,.0f}"
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - 10}" y1="{y:.1f}" y2="{y:.1f}" stroke="currentColor" '
            f'opacity=".2"/><text x="{LEFT - 5}" y="{y + 4:.1f}" text-anchor="end">{text}</text>'
        )
    for value, text in _ticks(low, high, dates=dates):
        x = float(across(np.array(value)))
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - 16}" text-anchor="middle">{text}</text>')
    for name, line in lines.items():
        dots = list(zip(across(line.x), up(line.y), strict=True))
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in dots)
        color = kind_color(name, domains)
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="2">'
            f"<title>{html.escape(name)}</title></polyline>"
        )
        if len(dots) == 1:
            (a, b) = dots[0]
            parts.append(f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" fill="{color}"/>')
    foot = "" if dates else "share with at least so many interactions, of those with any"
    return (
        f'<figure><h3>{title}</h3><svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" role="img" '
        f'aria-label="{title}">{"".join(parts)}</svg><figcaption><small>{foot}</small>'
        "</figcaption></figure>"
    )


def _ticks(low: float, high: float, *, dates: bool) -> list[tuple[float, str]]:
    if dates:
        ticks = np.linspace(low, high, 5)[1:-1].tolist()
        return [(x, f"{datetime.fromtimestamp(x / 1000, UTC):%Y-%m}") for x in ticks]
    powers = range(int(np.ceil(low - 1e-9)), int(np.floor(high + 1e-9)) + 1)
    return [(10.0**power, f"{10**power:,}") for power in powers]


def _tree(groups: dict[str, list[Topic]], domains: list[str]) -> str:
    if not groups:
        return ""
    parts = []
    for name, topics in groups.items():
        inner = []
        for topic in topics:
            mix = ", ".join(f"{html.escape(d)} {n:,}" for d, n in topic.items.items())
            items = "".join(
                f"<p>{_swatch(d, domains)}{html.escape(title)}</p>" for d, title in topic.examples
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
