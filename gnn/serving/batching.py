"""Lists of users who ask at the same time, ranked together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Event, Lock
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from gnn.base import Model
from gnn.data import UserBatch
from graphgen.topk import top_k

__all__ = ["Ranked", "Ranking"]


class Ranked(NamedTuple):
    """A list: places in the joint index and scores, best first, and the code of its reason."""

    columns: np.ndarray
    scores: np.ndarray
    reason: int


@dataclass(eq=False)
class _Request:
    user: UserBatch | str
    domains: Sequence[str]
    k: int
    answer: Future[list[Ranked]] = field(default_factory=Future)
    # Set when the answer is there, or when it is this thread's turn to work for all that wait.
    go: Event = field(default_factory=Event)


class Ranking:
    """Ranks for whoever waits, all at once: most of the cost of a user is shared by several.

    On amazon4 a user alone costs 26 ms of a core in four domains, one of sixteen 4 ms. The thread
    that comes first works for all that wait by then; there is no thread of its own, and nobody
    waits for company.

    Parameters
    ----------
    model
        A fitted model.
    look_up
        Returns users by distinct ids, with their histories as they are now.
    """

    def __init__(self, model: Model, look_up: Callable[[np.ndarray], UserBatch]) -> None:
        self._model, self._look_up = model, look_up
        self._waiting: list[_Request] = []
        self._lock, self._busy = Lock(), False

    def __call__(self, user: UserBatch | str, domains: Sequence[str], k: int) -> list[Ranked]:
        """Return the unseen items of one user, by domain; see `gnn.base.Model.recommend`.

        An id is looked up together with those of others.
        """
        mine = _Request(user, domains, k)
        with self._lock:
            self._waiting.append(mine)
            if not self._busy:
                self._busy = True
                mine.go.set()
        mine.go.wait()
        if not mine.answer.done():
            with self._lock:
                taken, self._waiting = self._waiting, []
            self._work(taken)
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
            for one, lists_ in zip(requests, found, strict=True):
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

    def _ranked(self, requests: list[_Request], users: UserBatch, domain: str) -> list[Ranked]:
        span = self._model.data.span(domain)
        scores, reasons = self._model.scored(users, domain)
        scores[users.seen_cells(span)] = -np.inf
        places, values = top_k(scores, max(one.k for one in requests), keys=users.keys)
        result = []
        for row, one in enumerate(requests):
            kept = places[row, : one.k] >= 0
            columns = span.start + places[row, : one.k][kept]
            result.append(Ranked(columns, values[row, : one.k][kept], int(reasons[row])))
        return result


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
