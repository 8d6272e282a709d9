"""Popularity trends: recent popularity that rescales all experts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from threading import Lock
from typing import Any, Literal

import numpy as np
import pydantic
import scipy.sparse as sp
import torch

from gnn.data import TrainingData, UserBatch, known_times
from gnn.numerics.sparse import entry_rows
from gnn.selection import choose
from gnn.validation import MIN_USERS, Scores, ValidationRows
from graphgen.config import Config

__all__ = ["Trend", "TrendConfig", "choose_trend", "last_times"]

DAY = 86_400_000
# The slow part of the trend: how many times slower, and the share of it that is added. With the
# floor, chosen on the validation rows of two Amazon domains (abxi).
SLOWER, SLOW_SHARE = 8.0, 0.1
# Interactions that an item without any around the moment is given.
FLOOR = 0.01
# Numbers in the tables of all domains, 4 bytes each.
MAX_TABLE = 1 << 26


class TrendConfig(Config):
    """Which trend, and how much it counts."""

    half_life: float = pydantic.Field(gt=0)
    """Days from the moment after which an interaction counts half."""
    moment: Literal["last visit", "end of log"]
    """Each user's last visit, or the end of the log for all users."""
    power: float = pydantic.Field(0.5, gt=0)
    """Exponent of the trend in the factor."""


# No trend is the default.
TREND_CANDIDATES: tuple[TrendConfig | None, ...] = (
    None,
    *(
        TrendConfig(half_life=half_life, moment=moment)
        for half_life, moment in product((4.0, 15.0, 60.0, 240.0), ("last visit", "end of log"))
    ),
)


class Trend:
    """How much more or less an item is chosen around a moment than the others.

    With P(i | u, t) ∝ P(i | u) · P(t | i), user and moment independent given the item, each
    expert's distribution is multiplied by how often the item was chosen around the moment, to a
    power. It is the number of interactions, halved every `half_life` days from the moment in both
    directions, plus a tenth of the same eight times slower.

    For a user whose last visit is the end of the log, only earlier interactions exist. For one who
    left earlier, or in a split that holds out every user's last interaction, later interactions of
    others count as well; in a split by time they cannot.

    Parameters
    ----------
    data
        Training data with times.
    config
        Which trend.
    """

    def __init__(self, data: TrainingData, config: TrendConfig) -> None:
        times = known_times(data)
        self._data = data
        self.config = config
        self._start, self._end = int(times.data.min()), int(times.data.max())
        # Half a half-life is fine enough; wider where the table would be too large.
        buckets = max(2, MAX_TABLE // max(1, data.n_items))
        self._width = max(config.half_life * DAY / 2, (self._end - self._start) / (buckets - 1))
        self._tables: dict[str, torch.Tensor] = {}
        self._lock = Lock()

    def factor(self, users: UserBatch, domain: str) -> torch.Tensor:
        """Return float32 [n, items] > 0, whose mean over all interactions is 1; O(n · items)."""
        with self._lock:
            if domain not in self._tables:
                self._tables[domain] = torch.from_numpy(self._table(domain))
        table = self._tables[domain]
        if self.config.moment == "end of log":
            return table.expand(len(users), -1)
        last = last_times(known_times(users))
        last[last == 0] = self._end
        return table[torch.from_numpy(self._bucket(np.clip(last, self._start, self._end)))]

    def _bucket(self, time: Any) -> Any:
        return np.asarray((time - self._start) / self._width).astype(np.int64)

    def _table(self, domain: str) -> np.ndarray:
        """Return float32 [buckets, items], one row where the moment is the end of the log."""
        span = self._data.span(domain)
        half_life = self.config.half_life * DAY
        factor = self._around(span, SLOWER * half_life)
        factor *= SLOW_SHARE
        factor += self._around(span, half_life)
        factor += FLOOR
        np.power(factor, np.float32(self.config.power), out=factor)
        popularity = self._data.popularity[span]
        mean = factor @ (popularity / max(1.0, popularity.sum()))
        factor /= np.maximum(mean, np.float32(1e-9))[:, None]
        # Items without interactions have no trend.
        factor[:, ~self._data.warm[span]] = 1.0
        return factor

    def _around(self, span: slice, half_life: float) -> np.ndarray:
        """Return float32 [buckets, items], the decayed counts around each; O(buckets · items)."""
        times = known_times(self._data)[:, span]
        shape = (int(self._bucket(self._end)) + 1, times.shape[1])
        if self.config.moment == "end of log":
            weight = np.exp2((times.data - self._end) / half_life)
            last = np.bincount(times.indices, weights=weight, minlength=shape[1])
            return last.astype(np.float32)[None]
        one = np.ones(times.nnz, dtype=np.float32)
        counts = sp.csr_matrix((one, (self._bucket(times.data), times.indices)), shape=shape)
        decay = np.float32(2.0 ** (-self._width / half_life))
        before, after = counts.toarray(), counts.toarray()
        # A recurrence in time: each step is one operation on all items.
        for now in range(1, shape[0]):
            before[now] += decay * before[now - 1]
            after[-1 - now] += decay * after[-now]
        before[:-1] += decay * after[1:]
        return before


def last_times(times: sp.csr_matrix) -> np.ndarray:
    """Return int64 [n], the time of each user's last interaction; 0 without any."""
    last = np.zeros(times.shape[0], dtype=np.int64)
    np.maximum.at(last, entry_rows(times), times.data)
    return last


def choose_trend(
    mixed: Callable[[UserBatch, str], torch.Tensor],
    data: TrainingData,
    rows: ValidationRows,
    *,
    seed: int,
) -> TrendConfig | None:
    """Return the trend by which a mixture ranks held-out items best, or None for none.

    Parameters
    ----------
    mixed
        Returns the mixture [n, items] of users in a domain.
    data
        Training data with times.
    rows
        Held-out interactions.
    seed
        Draws the users.
    """
    if len(np.unique(rows.of_kinds().user)) < MIN_USERS:
        return None

    def in_domain(domain: str) -> Scores:
        trends = [Trend(data, config) if config else None for config in TREND_CANDIDATES]

        def scores(users: UserBatch) -> Iterator[torch.Tensor]:
            mixture = mixed(users, domain)
            for trend in trends:
                yield mixture.clone() if trend is None else mixture * trend.factor(users, domain)

        return scores

    return choose(TREND_CANDIDATES, in_domain, data, rows, seed=seed)
