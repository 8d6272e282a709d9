"""Items similar to an item, by what a model has learned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

import numpy as np
import pandas as pd

from gnn.asked import asked_domains, asked_ids
from gnn.candidates import item_frame
from gnn.data import TrainingData, UserBatch
from gnn.users import user_batch
from graphgen.errors import ConfigError, InputError
from graphgen.log import InteractionLog
from graphgen.schema import DOMAIN, ITEM_ID, RANK, SCORE, TITLE, USER_ID
from graphgen.titles import Catalogue, find_item
from graphgen.topk import top_k

__all__ = ["look_up", "similar_items", "similar_scores", "vector_tables"]

# User of the item only; no id of a log is the same.
WITH = "interest:user of the item"


class Comparer(Protocol):
    """The part of a model that comparing items needs."""

    name: ClassVar[str]
    inductive: ClassVar[bool]

    @property
    def data(self) -> TrainingData:
        """Training data."""
        ...

    def item_vectors(self) -> np.ndarray | None:
        """Return float32 [n_items, dim], or None."""
        ...

    def scored(self, users: UserBatch, domain: str) -> tuple[np.ndarray, np.ndarray]:
        """Return scores [n, items] and reasons [n]."""
        ...


def similar_items(
    model: Comparer, item: Any, *, domain: str | None, to: Any, k: int
) -> pd.DataFrame:
    """Rank the items that a model finds most similar to an item, also of other domains.

    A model with item vectors compares by their cosine. Another one scores a user whose only
    interaction is the item; what is popular with everybody stays ahead there if the model ranks it
    ahead.

    Parameters
    ----------
    model
        A fitted model.
    item
        An id, or a title; see `graphgen.titles.find_item`.
    domain
        Domain of the item; None to look in all.
    to
        Domain or domains of the similar items; None for the item's own.
    k
        Items in each domain.

    Returns
    -------
    pandas.DataFrame
        domain, item_id, title, score, rank, best first in each domain.

    Raises
    ------
    UnknownIdError
        For an unknown item or domain; it names the nearest titles.
    ConfigError
        If the model has nothing to compare the item by.
    """
    data = model.data
    source, _, column = look_up(data, item, domain)
    targets = [source] if to is None else asked_domains(to, data.items)
    parts = []
    for target in targets:
        indices, values = top_k(similar_scores(model, column, target), k)
        found = indices[0] >= 0
        rows = indices[0][found]
        frame = item_frame(data, target).iloc[rows]
        parts.append(
            pd.DataFrame(
                {
                    DOMAIN: target,
                    ITEM_ID: frame[ITEM_ID].to_numpy(object),
                    TITLE: frame[TITLE].to_numpy(object),
                    SCORE: values[0][found],
                    RANK: np.arange(1, len(rows) + 1),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def similar_scores(model: Comparer, column: int, target: str) -> np.ndarray:
    """Return float32 [1, items of a domain], how similar they are to an item; -inf for itself.

    `column` is the item's in the joint index. See `similar_items`.
    """
    data, vectors = model.data, model.item_vectors()
    source = data.domains[data.item_domain[column]]
    if vectors is not None:
        scores = _cosines(vectors, column, data.span(target))
    else:
        item_id = data.items[source].ids[column - data.span(source).start]
        scores = _as_history(model, source, item_id, target)
    if target == source:
        scores[:, column - data.span(source).start] = -np.inf
    return scores


def look_up(data: TrainingData, item: Any, domain: str | None) -> tuple[str, str, int]:
    """Return domain, id and number in the joint index of the item that an id or a title names.

    Raises
    ------
    UnknownIdError
        For an unknown item or domain; it names the nearest titles.
    """
    ids = asked_ids(item, name="item ids")
    if len(ids) != 1:
        raise InputError(f"Name one item; got {len(ids)}.")
    text = str(ids[0]).removeprefix(f"{domain}=")
    if domain in data.items and text in data.items[domain].ids:
        source, item_id = domain, text  # without reading all titles
    else:
        catalogues = {
            name: Catalogue(data.items[name], item_frame(data, name)[TITLE].to_numpy(object))
            for name in asked_domains(domain, data.items)
        }
        source, item_id = find_item(catalogues, f"{domain}={text}" if domain else text)
    return source, item_id, data.span(source).start + int(data.items[source].encode([item_id])[0])


def _cosines(vectors: np.ndarray, column: int, span: slice) -> np.ndarray:
    own, others = vectors[column], vectors[span]
    length = np.linalg.norm(own) * np.linalg.norm(others, axis=1)
    return np.asarray((others @ own / np.maximum(length, 1e-12))[None], dtype=np.float32)


def _as_history(model: Comparer, source: str, item_id: str, target: str) -> np.ndarray:
    """Return the scores [1, items] of a user whose only interaction is the item."""
    row = pd.DataFrame({USER_ID: [WITH], DOMAIN: [source], ITEM_ID: [item_id]})
    users = user_batch(model.data, np.array([WITH], dtype=object), InteractionLog(row))
    scores, why = model.scored(users, target)
    if why[0] or model.name == "popularity":
        raise ConfigError(
            f"This {model.name} model has nothing to compare {source}={item_id} with items of "
            f"{target} by; train another model, such as interest-gnn or item-knn."
        )
    return scores


def vector_tables(
    data: TrainingData, items: np.ndarray | None, users: np.ndarray | None = None
) -> dict[str, pd.DataFrame]:
    """Return tables of the vectors, in columns v0, v1, ..., after the ids.

    Parameters
    ----------
    data
        Training data.
    items
        float [n_items, dim].
    users
        float [n_users, dim]; None without.

    Returns
    -------
    dict
        ``items`` (domain, item_id), ``users`` (user_id) and ``interests`` (interest: the unit mean
        of the vectors of its items, weighted by membership), as far as there are any.

    Raises
    ------
    ConfigError
        If there are no vectors of items.
    """
    if items is None:
        raise ConfigError("This model has no vectors of items to export.")
    names = np.concatenate([part.ids for part in data.items.values()])
    of_items = {DOMAIN: np.asarray(data.domains, dtype=object)[data.item_domain], ITEM_ID: names}
    tables = {"items": _vectors(of_items, items)}
    if users is not None:
        tables["users"] = _vectors({USER_ID: data.users.ids}, users)
    if data.about is not None:
        mean = np.asarray(data.about.T @ items, dtype=np.float32)
        mean /= np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-12)
        tables["interests"] = _vectors({"interest": np.asarray(data.topics, dtype=object)}, mean)
    return tables


def _vectors(ids: Mapping[str, np.ndarray], vectors: np.ndarray) -> pd.DataFrame:
    frame = pd.DataFrame(vectors, columns=[f"v{i}" for i in range(vectors.shape[1])])
    return pd.concat([pd.DataFrame(ids), frame], axis=1)
