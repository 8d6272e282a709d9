"""What joins two domains: the interests that span both, and the pairs of items between them."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
import scipy.sparse as sp

from graphgen.errors import ConfigError
from graphgen.graph import InterestGraph
from graphgen.schema import ABOUT, INTEREST, ITEM_ID, SIMILAR, TITLE, USER

__all__ = ["bridge_interests", "bridge_items", "crossing_user"]

# Interactions of a user whose neighbourhood is neither empty nor crowded.
TYPICAL: Final = 15


def bridge_interests(graph: InterestGraph, first: str, second: str, *, k: int = 10) -> pd.DataFrame:
    """Rank the interests that join two domains, by the users who follow them in both.

    A user follows an interest in a domain with at least one interaction with an item about it.

    Returns
    -------
    pandas.DataFrame
        interest, one column of items for each domain, users (in both domains) and lift: users
        divided by what is expected if the interest in one domain said nothing about that in the
        other; most users first. O(interactions · topics of an item).

    Raises
    ------
    UnknownIdError, ConfigError
        For an unknown domain; if the graph has no topics.

    Examples
    --------
    >>> from graphgen.build import build_graph
    >>> log = pd.DataFrame({"user_id": ["ann", "ann", "bob"], "item_id": ["dune", "alien", "emma"],
    ...                     "domain": ["book", "film", "book"]})
    >>> items = pd.DataFrame({"item_id": ["dune", "alien", "emma"],
    ...                       "domain": ["book", "film", "book"],
    ...                       "category": ["space", "space", "love"]})
    >>> graph = build_graph(log, items, encoder="none", category_items=1, topics=0)
    >>> bridge_interests(graph, "book", "film")[["interest", "users"]].to_dict("records")
    [{'interest': 'space', 'users': 1}]
    """
    _check(graph, first, second)
    if not graph.n_topics:
        raise ConfigError("This graph has no topics; build it from items with texts or categories.")
    about = [_about(graph, domain) for domain in (first, second)]
    follows = []
    for domain, topics in zip((first, second), about, strict=True):
        found = _taken(graph, domain) @ topics
        found.data[:] = 1
        follows.append(found)
    users = np.asarray(follows[0].multiply(follows[1]).sum(axis=0)).ravel()
    share = [np.asarray(part.sum(axis=0)).ravel() for part in follows]
    expected = share[0] * share[1] / graph.n_users
    items = [np.diff(part.tocsc().indptr) for part in about]
    table = pd.DataFrame(
        {
            "interest": graph.topic_names,
            first: items[0],
            second: items[1],
            "users": users.astype(np.int64),
            "lift": np.round(users / np.maximum(expected, 1e-12), 2),
        }
    )
    table = table[(table["users"] > 0)]
    return (
        table.sort_values(["users", "interest"], ascending=[False, True])
        .head(k)
        .reset_index(drop=True)
    )


def bridge_items(graph: InterestGraph, first: str, second: str, *, k: int = 10) -> pd.DataFrame:
    """Rank the pairs of an item of one domain and one of the other that belong together.

    The strength of a pair is the cosine of the two sets of users, and the similarity of the texts
    where the graph links them; the pairs with the largest sum come first.

    Returns
    -------
    pandas.DataFrame
        One column of titles for each domain, users (of both), cosine, similar (0 without a link)
        and the two item ids. O(sum over users of their pairs of items).
    """
    _check(graph, first, second)
    taken = [_taken(graph, domain) for domain in (first, second)]
    both = sp.csr_matrix(taken[0].T @ taken[1], dtype=np.float64)
    norms = [np.sqrt(np.maximum(np.asarray(part.sum(axis=0)).ravel(), 1)) for part in taken]
    cosine = sp.csr_matrix(sp.diags(1 / norms[0]) @ both @ sp.diags(1 / norms[1]))
    similar = _similar(graph, first, second)
    total = sp.coo_matrix(cosine + similar)
    top = np.lexsort((total.col, total.row, -total.data))[:k]
    rows, columns = total.row[top], total.col[top]
    frames = [graph.item_frame(d, at) for d, at in ((first, rows), (second, columns))]
    names = [frame[TITLE].where(frame[TITLE] != "", frame[ITEM_ID]) for frame in frames]
    return pd.DataFrame(
        {
            first: names[0],
            second: names[1],
            "users": np.asarray(both[rows, columns]).ravel().astype(np.int64),
            "cosine": np.round(np.asarray(cosine[rows, columns]).ravel(), 3),
            "similar": np.round(np.asarray(similar[rows, columns]).ravel(), 3),
            f"{first}_id": frames[0][ITEM_ID],
            f"{second}_id": frames[1][ITEM_ID],
        }
    )


def crossing_user(graph: InterestGraph) -> str:
    """Return a user to begin with: active in the most domains but one, about 15 interactions.

    Of several the first by id. O(interactions).
    """
    history = np.stack([np.diff(_taken(graph, domain).indptr) for domain in graph.domains])
    reached, total = (history > 0).sum(axis=0), history.sum(axis=0)
    wanted = max(1, min(int(reached.max()), len(graph.domains) - 1))
    ids = graph.vocabularies[USER].ids
    order = np.lexsort((ids.astype(str), np.abs(total - TYPICAL), reached != wanted))
    return str(ids[order[0]])


def _check(graph: InterestGraph, first: str, second: str) -> None:
    graph.require_domain(first)
    graph.require_domain(second)
    if first == second:
        raise ConfigError(f"A bridge joins two domains; got {first!r} twice.")


def _taken(graph: InterestGraph, domain: str) -> sp.csr_matrix:
    """Return float32 CSR [users, items], 1 for each interaction."""
    user, item = graph.interactions(domain)[0].numpy()
    shape = (graph.n_users, len(graph.vocabularies[domain]))
    found = sp.csr_matrix((np.ones(len(user), np.float32), (user, item)), shape=shape)
    found.data[:] = 1
    return found


def _about(graph: InterestGraph, domain: str) -> sp.csr_matrix:
    """Return float32 CSR [items, topics], 1 for each topic of an item."""
    shape = (len(graph.vocabularies[domain]), graph.n_topics)
    if (domain, ABOUT, INTEREST) not in graph.data.edge_types:
        return sp.csr_matrix(shape, dtype=np.float32)
    item, topic = graph.data[domain, ABOUT, INTEREST].edge_index.numpy()
    return sp.csr_matrix((np.ones(len(item), np.float32), (item, topic)), shape=shape)


def _similar(graph: InterestGraph, first: str, second: str) -> sp.csr_matrix:
    """Return float64 CSR [items of first, items of second], the similarity of linked texts."""
    result = sp.csr_matrix((len(graph.vocabularies[first]), len(graph.vocabularies[second])))
    for source, target in ((first, second), (second, first)):
        if (source, SIMILAR, target) not in graph.data.edge_types:
            continue
        store = graph.data[source, SIMILAR, target]
        head, tail = store.edge_index.numpy()[:: 1 if source == first else -1]
        found = sp.csr_matrix((store.weight.numpy(), (head, tail)), shape=result.shape)
        result = sp.csr_matrix(result.maximum(found))
    return result
