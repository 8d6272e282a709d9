"""What is in vogue around a moment: it scales what every path says."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pydantic
import torch
from scipy.signal import lfilter

from gnn.data import TrainingData, UserBatch
from gnn.models.interest.recency import last_times
from graphgen.config import Config

__all__ = ["Trend", "TrendConfig"]

DAY = 86_400_000
# The slow part of the trend: how many times slower, and how much of it is added.
SLOWER, SLOW_SHARE = 8.0, 0.1
# What items that nobody chose around the moment have, in interactions.
FLOOR = 0.01
# Numbers in the table of a domain, 4 bytes each.
MAX_TABLE = 1 << 25


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

    Around the last visit of a person who is active today there is only a past. Around that of a
    person who stayed away, or in a split that leaves everybody's last interaction out, what others
    did later counts as well; in a split by time it cannot.

    Parameters
    ----------
    data
        Training data with times.
    config
        Which trend.
    """

    def __init__(self, data: TrainingData, config: TrendConfig) -> None:
        assert data.times is not None
        self._data = data
        self.config = config
        self._end = int(data.times.data.max())
        # Half a half-life is fine enough; wider where the table would be too large.
        largest = max(len(items) for items in data.items.values())
        buckets = max(2, MAX_TABLE // max(1, largest))
        self._width = max(config.half_life * DAY / 2, self._end / (buckets - 1))
        self._tables: dict[str, torch.Tensor] = {}

    def factor(self, users: UserBatch, domain: str) -> torch.Tensor:
        """Return float32 [n, items] > 0, in the mean over interactions 1; O(n · items)."""
        if domain not in self._tables:
            self._tables[domain] = torch.from_numpy(self._table(domain))
        table = self._tables[domain]
        if self.config.moment == "end of log":
            return table.expand(len(users), -1)
        assert users.times is not None
        last = last_times(users.times)
        last[last == 0] = self._end
        return table[torch.from_numpy(self._bucket(np.minimum(last, self._end)))]

    def _bucket(self, time: Any) -> Any:
        return (time / self._width).astype(np.int64)

    def _table(self, domain: str) -> np.ndarray:
        """Return float32 [buckets, items], the last one alone if no other counts."""
        assert self._data.times is not None
        span = self._data.span(domain)
        times = self._data.times[:, span]
        buckets = int(self._end / self._width) + 1
        counts = np.zeros((buckets, times.shape[1]), dtype=np.float32)
        np.add.at(counts, (self._bucket(times.data), times.indices), 1.0)
        half_life = self.config.half_life * DAY
        trend = self._smoothed(counts, half_life)
        trend += SLOW_SHARE * self._smoothed(counts, SLOWER * half_life)
        factor = (trend + FLOOR) ** self.config.power
        popularity = self._data.popularity[span]
        factor /= np.maximum(factor @ popularity / max(1.0, popularity.sum()), 1e-9)[:, None]
        # What never happened has no trend.
        factor[:, ~self._data.warm[span]] = 1.0
        result: np.ndarray = factor.astype(np.float32)
        return result

    def _smoothed(self, counts: np.ndarray, half_life: float) -> np.ndarray:
        """Return what counts around each bucket; O(buckets · items)."""
        decay = 2.0 ** (-self._width / half_life)
        one, back = np.ones(1, np.float32), np.array([1, -decay], np.float32)
        before = lfilter(one, back, counts, axis=0)
        if self.config.moment == "end of log":
            last: np.ndarray = before[-1:]
            return last.copy()
        around: np.ndarray = before - counts
        around += lfilter(one, back, counts[::-1], axis=0)[::-1]
        return around
