"""What is in vogue around a moment: it scales what every path says."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pydantic
import scipy.sparse as sp
import torch

from gnn.data import TrainingData, UserBatch, known_times
from gnn.models.interest.recency import last_times
from graphgen.config import Config

__all__ = ["Trend", "TrendConfig"]

DAY = 86_400_000
# The slow part of the trend: how many times slower, and how much of it is added. With the floor,
# from the validation rows of two Amazon domains.
SLOWER, SLOW_SHARE = 8.0, 0.1
# What items that nobody chose around the moment have, in interactions.
FLOOR = 0.01
# Numbers in the tables of all domains, 4 bytes each.
MAX_TABLE = 1 << 26


class TrendConfig(Config):
    """Which trend, and how much it counts."""

    half_life: float = pydantic.Field(gt=0)
    """Days from the moment after which an interaction counts half."""
    moment: Literal["last visit", "end of log"]
    """Each person's last visit, or the end of the log for everybody."""
    power: float = pydantic.Field(gt=0)
    """Of the trend, in what it multiplies."""


class Trend:
    """How much more or less an item is chosen around a moment than the others.

    With P(i | u, t) ∝ P(i | u) · P(t | i), person and moment independent given the item, each
    path's probabilities are multiplied by how often the item was chosen around the moment, to a
    power. What counts is the number of interactions, halved every `half_life` days from the moment
    in both directions, plus a tenth of the same eight times slower.

    For a person whose last visit is the end of the log, only earlier interactions exist. For one
    who stayed away since, or in a split that leaves everybody's last interaction out, what others
    did later counts as well; in a split by time it cannot.

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

    def factor(self, users: UserBatch, domain: str) -> torch.Tensor:
        """Return float32 [n, items] > 0, whose mean over all interactions is 1; O(n · items)."""
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
        # What never happened has no trend.
        factor[:, ~self._data.warm[span]] = 1.0
        return factor

    def _around(self, span: slice, half_life: float) -> np.ndarray:
        """Return float32 [buckets, items], what counts around each; O(buckets · items)."""
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
