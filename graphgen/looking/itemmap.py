"""Items in two dimensions: near where their vectors are, coloured by domain or topic."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import scipy.sparse as sp

from graphgen.errors import ConfigError, counted
from graphgen.graph import InterestGraph
from graphgen.looking.page import framed, html_page, joined
from graphgen.schema import ABOUT, DOMAIN, INTERACTS, INTEREST, ITEM_ID, TITLE, USER
from graphgen.storage import atomic_file

__all__ = ["ItemMap", "item_map"]

COLORINGS: Final = ("domain", "topic")
METHODS: Final = ("tsne", "pca")
KEPT_DIMENSIONS: Final = 32  # of the vectors, before t-SNE
PERPLEXITY: Final = 30.0
DIGITS: Final = 3


@dataclass(frozen=True)
class ItemMap:
    """What `item_map` returns; it shows itself in a notebook.

    Attributes
    ----------
    frame
        domain, item_id, title (the id where there is none), topic ("" without one), x, y.
    domains
        All domains of the graph.
    color
        "domain" or "topic", which colours the dots at first.
    way
        Rows of `frame` that a user interacted with, in the order of the interactions.
    """

    frame: pd.DataFrame
    domains: list[str]
    color: str = "domain"
    way: list[int] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types, as `static/map.js` takes them."""
        columns = self.frame[[DOMAIN, TITLE, "topic", "x", "y"]]
        return {
            "points": columns.round(DIGITS).to_dict("records"),
            "domains": self.domains,
            "topics": sorted(set(self.frame["topic"]) - {""}),
            "way": self.way,
            "color": self.color,
        }

    def __repr__(self) -> str:
        return f"Map of {len(self.frame):,} items (a notebook shows the picture)"

    def _repr_html_(self) -> str:
        return framed(self._page())

    def save(self, path: str | Path) -> Path:
        """Write the map as one HTML page that loads nothing."""
        with atomic_file(path) as temporary:
            temporary.write_text(self._page(), encoding="utf-8")
        return Path(path)

    def _page(self) -> str:
        caption = (
            f"{counted(len(self.frame), 'item')}; near ones are alike. Point at a dot for its "
            "title; scroll to zoom, drag to move, 0 to see all."
        )
        code = joined("colors.js", "map.js")
        return html_page("Map of items", caption, code, "createMap", self.to_dict())


def item_map(
    graph: InterestGraph,
    *,
    color: str | None = None,
    method: str = "tsne",
    limit: int = 2000,
    user: str | None = None,
    vectors: np.ndarray | None = None,
    seed: int = 0,
) -> ItemMap:
    """Place items in two dimensions by their vectors.

    Parameters
    ----------
    graph
        The graph.
    color
        "domain" or "topic"; None for the domain where there are several.
    method
        "tsne" keeps near items together (seconds for 2,000 items); "pca" is at once, and coarse.
    limit
        Most items: those with most interactions, each domain according to its size.
    user
        A user whose items are on the map too, joined in the order of the interactions.
    vectors
        float [items of all domains, dim], such as ``model.item_vectors()``; None for the texts, or,
        where there are none, for who interacted with an item.
    seed
        Seed of t-SNE.

    Returns
    -------
    ItemMap
        Items without a vector are left out.

    Raises
    ------
    ConfigError
        If `color` or `method` is unknown, `limit` below 1, or `vectors` has other rows.
    UnknownIdError
        If the graph has no such user.

    Examples
    --------
    >>> import graphgen
    >>> data = graphgen.synthesize(n_users=100, n_items=400, seed=0)
    >>> graph = graphgen.build_graph(data.train, data.items, encoder="none")
    >>> item_map(graph, method="pca", limit=50).frame.shape
    (50, 6)
    """
    color = color or ("domain" if len(graph.domains) > 1 else "topic")
    for name, value, known in (("color", color, COLORINGS), ("method", method, METHODS)):
        if value not in known:
            raise ConfigError(f"`{name}` must be {' or '.join(known)}; got {value!r}.")
    if limit < 1:
        raise ConfigError(f"`limit` must be at least 1; got {limit}.")
    sizes = [len(graph.vocabularies[domain]) for domain in graph.domains]
    starts = dict(zip(graph.domains, np.cumsum([0, *sizes[:-1]]).tolist(), strict=True))
    takes = _interactions(graph, starts)
    if vectors is None:
        vectors = _text_vectors(graph, sizes)
    if vectors is None:
        vectors = _user_vectors(takes, seed)
    if len(vectors) != sum(sizes):
        raise ConfigError(
            f"`vectors` must have {sum(sizes):,} rows, one for each item; got {len(vectors):,}."
        )
    usable = np.linalg.norm(vectors, axis=1) > 0
    popularity = np.where(usable, np.bincount(takes.indices, minlength=sum(sizes)), -1)
    chosen = []
    for domain, size in zip(graph.domains, sizes, strict=True):
        part = popularity[starts[domain] : starts[domain] + size]
        best = np.argsort(-part, kind="stable")[: -(-limit * size // sum(sizes))]
        chosen.append(starts[domain] + best[part[best] >= 0])
    rows = np.concatenate(chosen)[:limit]
    history = np.empty(0, dtype=np.int64)
    if user is not None:
        history = _history(graph, user, starts)
        history = history[usable[history]]
        rows = np.unique(np.concatenate([rows, history]))
    places = _placed(vectors[rows], method, seed)
    frame = _described(graph, rows, starts)
    frame["x"], frame["y"] = places.T if len(rows) else (np.empty(0), np.empty(0))
    at = {row: place for place, row in enumerate(rows.tolist())}
    return ItemMap(frame, list(graph.domains), color, [at[row] for row in history.tolist()])


def _interactions(graph: InterestGraph, starts: dict[str, int]) -> sp.csr_matrix:
    """Return users x items of all domains, 1 for an interaction."""
    ends = [graph.interactions(domain)[0].numpy() for domain in graph.domains]
    user = np.concatenate([e[0] for e in ends])
    item = np.concatenate([e[1] + starts[d] for d, e in zip(graph.domains, ends, strict=True)])
    one = np.ones(len(user), dtype=np.float32)
    return sp.csr_matrix((one, (user, item)), shape=(graph.n_users, graph.n_items))


def _text_vectors(graph: InterestGraph, sizes: list[int]) -> np.ndarray | None:
    if not graph.feature_dim:
        return None
    return np.concatenate([
        graph.data[d].x.numpy() if "x" in graph.data[d] else np.zeros((n, graph.feature_dim))
        for d, n in zip(graph.domains, sizes, strict=True)
    ])  # fmt: skip


def _user_vectors(takes: sp.csr_matrix, seed: int) -> np.ndarray:
    from sklearn.decomposition import TruncatedSVD

    scaled = sp.diags(np.maximum(np.diff(takes.indptr), 1) ** -0.5) @ takes
    dim = min(KEPT_DIMENSIONS, *scaled.shape)
    return np.asarray(TruncatedSVD(dim, random_state=seed).fit_transform(scaled.T))


def _history(graph: InterestGraph, user: str, starts: dict[str, int]) -> np.ndarray:
    """Return the items of a user, each at its first interaction, in order."""
    number = graph.vocabularies[USER].encode([user])[0]
    items, times = [], []
    for domain in graph.domains:
        store = graph.data[USER, INTERACTS, domain]
        own = np.flatnonzero(store.edge_index[0].numpy() == number)
        items.append(store.edge_index[1].numpy()[own] + starts[domain])
        times.append(store[graph.order].numpy()[own] if graph.order else np.arange(len(own)))
    found = np.concatenate(items)[np.argsort(np.concatenate(times), kind="stable")]
    return found[np.sort(np.unique(found, return_index=True)[1])]


def _placed(vectors: np.ndarray, method: str, seed: int) -> np.ndarray:
    from sklearn.decomposition import PCA

    if len(vectors) < 3:
        return np.stack([np.arange(len(vectors)), np.zeros(len(vectors))], axis=1)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    dim = min(KEPT_DIMENSIONS if method == "tsne" else 2, *unit.shape)
    flat = PCA(dim, random_state=seed).fit_transform(unit)
    if method == "tsne" and len(flat) > 2 * PERPLEXITY:
        from sklearn.manifold import TSNE

        tsne = TSNE(init="pca", perplexity=PERPLEXITY, random_state=seed)
        return np.asarray(tsne.fit_transform(flat))
    return np.pad(flat, ((0, 0), (0, 2)))[:, :2]


def _described(graph: InterestGraph, rows: np.ndarray, starts: dict[str, int]) -> pd.DataFrame:
    """Return domain, item_id, title and the strongest topic of items."""
    parts = []
    for domain in graph.domains:
        own = rows - starts[domain]
        own = own[(own >= 0) & (own < len(graph.vocabularies[domain]))]
        frame = graph.item_frame(domain, own)
        frame[TITLE] = frame[TITLE].where(frame[TITLE] != "", frame[ITEM_ID])
        frame["topic"] = ""
        if (domain, ABOUT, INTEREST) in graph.data.edge_types:
            store = graph.data[domain, ABOUT, INTEREST]
            item, topic = store.edge_index.numpy()
            strongest = np.full(len(graph.vocabularies[domain]), -1)
            order = np.argsort(store.weight.numpy(), kind="stable")
            strongest[item[order]] = topic[order]
            names = np.array([*graph.topic_names, ""], dtype=object)
            frame["topic"] = names[strongest[own]]
        parts.append(frame.assign(**{DOMAIN: domain}))
    frame = pd.concat(parts, ignore_index=True)
    return frame[[DOMAIN, ITEM_ID, TITLE, "topic"]]
