"""The whole at a glance: a map of interests and items, and what follows what in histories."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from threading import Lock

import numpy as np
import scipy.sparse as sp

from gnn.base import Model
from gnn.interests.interests import domain_targets
from gnn.interests.profiling import Profiler
from gnn.numerics.sparse import entry_rows
from gnn.serving.answers import InterestMap, Item, MapItem, MapTopic, Migration, Move
from gnn.serving.problems import Problem

__all__ = ["Overview"]

# Items that are drawn, the most popular ones, and interests that stand for the domains of a model
# with one domain.
ITEMS, INTERESTS = 1_500, 8
# Neighbours that a point of t-SNE minds, at most, and the distance of items from their interest.
PERPLEXITY, SPREAD = 12.0, 0.045
GOLDEN_ANGLE = 2.399963


class Overview:
    """Made at the first use, once.

    Parameters
    ----------
    model
        A fitted model.
    profiler
        Of the model; None without interests.
    """

    def __init__(self, model: Model, profiler: Profiler | None) -> None:
        self.model, self.profiler = model, profiler
        self._lock = Lock()

    def map(self, item: Callable[[int], Item], way: Sequence[int]) -> InterestMap:
        """Return the map with the items of a way over it, which `item` names."""
        with self._lock:
            topics, places = self._places

        def at(column: int) -> MapItem:
            x, y = places[column].round(4).tolist()
            return MapItem(**item(column).model_dump(), x=x, y=y)

        known = np.isfinite(places[:, 0])
        liking = np.where(known, self.model.data.liking, -1)
        top = np.argsort(-liking, kind="stable")[: min(ITEMS, int(known.sum()))]
        profiler = self._needed()
        share = profiler.prior.shares
        return InterestMap(
            topics=[
                MapTopic(interest=name, x=float(x), y=float(y), share=float(share[number]))
                for number, (name, (x, y)) in enumerate(
                    zip(profiler.interests.names, topics.round(4), strict=True)
                )
            ],
            items=[at(int(column)) for column in top],
            way=[at(int(column)) for column in way if known[column]],
            ordered=self.model.data.order is not None,
        )

    def _needed(self) -> Profiler:
        if self.profiler is None:
            raise Problem(409, "Without interests there is no map.")
        return self.profiler

    @cached_property
    def _places(self) -> tuple[np.ndarray, np.ndarray]:
        """Places [topics, 2] and [n_items, 2] in [-1, 1]; NaN for items without an interest.

        Interests by t-SNE of the mean vectors of their items (without vectors, of who shares them);
        items at the mean of their interests, a little apart from each other.
        """
        joint, vectors = self._needed().interests.joint, self.model.item_vectors()
        if vectors is None:
            both = sp.csr_matrix(self.model.data.matrix @ joint)
            vectors = (joint.multiply(1.0) @ (both.T @ both)).toarray()
        topics = _unit(joint.T @ np.asarray(vectors, np.float64))
        places = _layout(topics)
        total = np.asarray(joint.sum(axis=1)).ravel()
        items = (joint @ places) / np.where(total > 0, total, np.nan)[:, None]
        number = np.arange(len(items))
        angle, length = number * GOLDEN_ANGLE, SPREAD * np.sqrt(number % 97 / 97)
        items += length[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
        return places, items

    @cached_property
    def migration(self) -> Migration:
        """What follows what: the domain, or in a single one the interest, of successive items.

        Without an order of interactions, the users of both.
        """
        data = self.model.data
        names, targets, by = data.domains, domain_targets(data), "domain"
        if len(names) == 1:
            if self.profiler is None:
                raise Problem(409, "With one domain and no interests nothing migrates.")
            top = np.sort(np.argsort(-self.profiler.prior.shares)[:INTERESTS])
            names = [self.profiler.interests.names[number] for number in top]
            targets, by = self.profiler.interests.joint[:, top], "interest"
        if data.order is None:
            has = (data.matrix @ targets > 0).astype(np.float64)
            users = np.asarray((has.T @ has).todense())
            steps = users
        else:
            row = entry_rows(data.order)
            sorting = np.lexsort((data.order.data, row))
            item, own = data.order.indices[sorting], row[sorting]
            step = np.flatnonzero(own[1:] == own[:-1])
            before, after = (sp.csr_matrix(targets[item[at]]) for at in (step, step + 1))
            steps = np.asarray((before.T @ after).todense())
            users = _distinct(before, after, own[step])
        moves = [
            Move(source=a, target=b, users=int(users[i, j]), steps=round(float(steps[i, j])))
            for i, a in enumerate(names)
            for j, b in enumerate(names)
            if users[i, j] and (data.order is not None or i < j)
        ]
        return Migration(by=by, ordered=data.order is not None, moves=moves)


def _distinct(before: sp.csr_matrix, after: sp.csr_matrix, own: np.ndarray) -> np.ndarray:
    """Return [targets, targets], the users who made a step at least once."""
    width = before.shape[1]
    result = np.zeros((width, width), dtype=np.int64)
    first, second = before.tocsc(), after.tocsc()
    for i in range(width):
        left = first.indices[first.indptr[i] : first.indptr[i + 1]]
        for j in range(width):
            right = second.indices[second.indptr[j] : second.indptr[j + 1]]
            result[i, j] = len(np.unique(own[np.intersect1d(left, right)]))
    return result


def _unit(rows: np.ndarray) -> np.ndarray:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12))


def _layout(vectors: np.ndarray) -> np.ndarray:
    """Return places [n, 2] in [-1, 1] of unit vectors, like ones near each other."""
    from sklearn.manifold import TSNE

    if len(vectors) < 4:
        angle = 2 * np.pi * np.arange(len(vectors)) / max(1, len(vectors))
        return 0.5 * np.column_stack([np.cos(angle), np.sin(angle)])
    few = min(PERPLEXITY, (len(vectors) - 1) / 3)
    places = TSNE(perplexity=few, metric="cosine", init="random", random_state=0).fit_transform(
        vectors.astype(np.float32)
    )
    low, high = places.min(axis=0), places.max(axis=0)
    places = (2 * (places - low) / np.maximum(high - low, 1e-9) - 1) * (1 - 2 * SPREAD)
    return np.asarray(places, np.float64)
