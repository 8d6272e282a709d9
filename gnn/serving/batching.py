"""Lists of users who ask at the same time, ranked together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Condition, Event, Lock
from time import perf_counter

import numpy as np
import scipy.sparse as sp

from gnn.base import Model
from gnn.data import UserBatch
from gnn.serving.exploring import Exploring, Ranked
from gnn.serving.problems import Problem
from graphgen.errors import StorageError
from graphgen.topk import top_k

__all__ = ["Ranking"]

# Part of the time of the last ranking for which as many as then are waited for.
PATIENCE = 0.5


@dataclass(eq=False)
class _Request:
    user: UserBatch | str
    domains: Sequence[str]
    k: int
    explore: str = ""
    answer: Future[list[Ranked]] = field(default_factory=Future)
    # Set when the answer is there, or when it is this thread's turn to work for all that wait.
    go: Event = field(default_factory=Event)


class Ranking:
    """Ranks for whoever waits, all at once: most of the cost of a user is shared by several.

    On amazon4 a user alone costs 20 ms of a core in four domains, one of sixteen 3 ms. The thread
    that comes first works for all that wait by then; there is no thread of its own. Those who were
    ranked together last time ask again together, once they are answered: they are waited for, for
    at most half as long as they took. Who was alone waits for nobody.

    Parameters
    ----------
    model
        A fitted model.
    look_up
        Returns users by distinct ids, with their histories as they are now.
    exploring
        Makes explorers, and keeps the lists that explore before they are answered.
    """

    def __init__(
        self,
        model: Model,
        look_up: Callable[[np.ndarray], UserBatch],
        exploring: Exploring | None = None,
    ) -> None:
        self._model, self._look_up, self._exploring = model, look_up, exploring or Exploring(model)
        self._waiting: list[_Request] = []
        self._lock, self._busy = Lock(), False
        # Those of the last time, and how long they took.
        self._last, self._took = 1, 0.0
        self._came = Condition(self._lock)

    def __call__(
        self, user: UserBatch | str, domains: Sequence[str], k: int, explore: str = ""
    ) -> list[Ranked]:
        """Return the unseen items of one user, by domain; see `gnn.base.Model.recommend`.

        An id is looked up together with those of others. Lists that `explore` are of an id.
        """
        mine = _Request(user, domains, k, explore)
        with self._lock:
            self._waiting.append(mine)
            self._came.notify()
            if not self._busy:
                self._busy = True
                mine.go.set()
        mine.go.wait()
        if not mine.answer.done():
            with self._came:
                self._came.wait_for(lambda: len(self._waiting) >= self._last, self._took * PATIENCE)
                taken, self._waiting = self._waiting, []
            start = perf_counter()
            self._work(taken)
            self._last, self._took = len(taken), perf_counter() - start
            with self._lock:
                self._busy = bool(self._waiting)
                if self._busy:
                    self._waiting[0].go.set()
        return mine.answer.result()

    def _work(self, requests: list[_Request]) -> None:
        try:
            # Those with ids first.
            requests.sort(key=lambda one: not isinstance(one.user, str))
            users = self._users([one.user for one in requests])
            found: list[dict[str, Ranked]] = [{} for _ in requests]
            for domain in dict.fromkeys(name for one in requests for name in one.domains):
                which = [n for n, one in enumerate(requests) if domain in one.domains]
                part = users if len(which) == len(requests) else users.rows_of(np.array(which))
                lists = self._ranked([requests[n] for n in which], part, domain)
                for number, ranked in zip(which, lists, strict=True):
                    found[number][domain] = ranked
            failed = self._kept(requests, found)
            for one, lists_ in zip(requests, found, strict=True):
                if one.explore and failed is not None:
                    one.answer.set_exception(failed)
                else:
                    one.answer.set_result([lists_[name] for name in one.domains])
        except BaseException as error:  # whoever waits must hear of it
            for one in requests:
                if not one.answer.done():
                    one.answer.set_exception(error)
        for one in requests:
            one.go.set()

    def _users(self, asked: list[UserBatch | str]) -> UserBatch:
        ids = [one for one in asked if isinstance(one, str)]
        parts = [one for one in asked if not isinstance(one, str)]
        if ids:
            places = {user_id: place for place, user_id in enumerate(dict.fromkeys(ids))}
            found = self._look_up(np.array(list(places), dtype=object))
            if len(places) < len(ids):
                found = found.rows_of(np.array([places[user_id] for user_id in ids]))
            parts = [found, *parts]
        return _stacked(parts)

    def _kept(self, requests: list[_Request], found: list[dict[str, Ranked]]) -> Problem | None:
        """Keep the lists that explore; return why that failed."""
        shown = [
            (one.explore, one.user, domain, ranked)
            for one, lists in zip(requests, found, strict=True)
            for domain, ranked in lists.items()
            if one.explore and isinstance(one.user, str)
        ]
        try:
            if shown:
                self._exploring.keep(shown)
        except StorageError as error:
            return Problem(503, f"What is shown cannot be logged: {error}")
        return None

    def _ranked(self, requests: list[_Request], users: UserBatch, domain: str) -> list[Ranked]:
        span = self._model.data.span(domain)
        scores, reasons = self._model.scored(users, domain)
        scores[users.seen_cells(span)] = -np.inf
        alike: dict[tuple[str, int], list[int]] = {}
        for row, one in enumerate(requests):
            alike.setdefault((one.explore, one.k), []).append(row)
        explorers = {
            name: self._exploring.explorer(name) for name, _ in alike if name and self._exploring
        }
        depth = max(explorers[name].depth(k) if name else k for name, k in alike)
        places, values = top_k(scores, depth, keys=users.keys)
        columns = np.where(places >= 0, places + span.start, -1)
        result: dict[int, Ranked] = {}
        for (name, k), rows in alike.items():
            chosen, chances = np.tile(np.arange(min(k, depth)), (len(rows), 1)), None
            if name:
                best = slice(explorers[name].depth(k))
                asked = users.rows_of(np.array(rows)), columns[rows, best], values[rows, best]
                chosen, chances = explorers[name].chosen(*asked, k)
            for number, row in enumerate(rows):
                at = chosen[number][(chosen[number] >= 0) & (columns[row][chosen[number]] >= 0)]
                chance = None if chances is None else chances[number][: len(at)]
                reason = int(reasons[row])
                result[row] = Ranked(columns[row][at], values[row][at], reason, chance)
        return [result[row] for row in range(len(requests))]


def _stacked(users: list[UserBatch]) -> UserBatch:
    if len(users) == 1:
        return users[0]

    def stack(name: str, default: Callable[[UserBatch], sp.csr_matrix]) -> sp.csr_matrix | None:
        parts = [getattr(one, name) for one in users]
        if all(part is None for part in parts):
            return None
        pairs = zip(users, parts, strict=True)
        return sp.vstack([default(one) if m is None else m for one, m in pairs], format="csr")

    return UserBatch(
        np.concatenate([one.index for one in users]),
        sp.vstack([one.history for one in users], format="csr"),
        np.concatenate([one.keys for one in users]),
        stack("order", lambda one: one.history.astype(np.int64)),
        # What happened since training may have given some of them weights or dislikes.
        stack("weights", lambda one: one.history),
        stack("rejected", lambda one: sp.csr_matrix(one.history.shape, dtype=np.float32)),
        users[0].has_time,
    )
