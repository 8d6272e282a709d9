"""The paths of a log with times: what follows the latest interactions, and what is in vogue."""

from __future__ import annotations

from typing import Literal

import numpy as np
import scipy.sparse as sp
import torch
from scipy.signal import lfilter

from gnn.data import TrainingData, UserBatch
from gnn.models.interest.recency import following, last_times, recent_history

__all__ = ["Moment", "SequencePath", "TrendPath"]

DAY = 86_400_000
# What an item is to follow halves its weight over so many visits; chosen on validation rows of two
# Amazon pairs, as the exponents, where directed pairs found half as much again as undirected ones.
GAP_HALF_LIFE, USER_EXPONENT, ITEM_EXPONENT = 2.0, 0.3, 0.3
# Numbers in the table of the trend path, 4 bytes each.
MAX_TABLE = 1 << 25

Moment = Literal["last visit", "end of log"]


class SequencePath:
    """What other people did next after the latest items of a history.

    Parameters
    ----------
    data
        Training data with times.
    half_life
        Visits after which an interaction of the history counts half.
    links
        As `following` makes it, to be shared between paths; None makes it.
    """

    def __init__(
        self, data: TrainingData, half_life: float, links: sp.csr_matrix | None = None
    ) -> None:
        self._data = data
        self._half_life = half_life
        self.links = self.linked(data) if links is None else links
        self._columns: dict[str, sp.csr_matrix] = {}

    @staticmethod
    def linked(data: TrainingData) -> sp.csr_matrix:
        """Return CSR [n_items, n_items] of `following`."""
        assert data.times is not None
        return following(
            data.times,
            half_life=GAP_HALF_LIFE,
            user_exponent=USER_EXPONENT,
            item_exponent=ITEM_EXPONENT,
        )

    def score(self, users: UserBatch, domain: str) -> torch.Tensor:
        """Return float32 [n, items], 0 where nothing follows."""
        if domain not in self._columns:
            self._columns[domain] = self.links[:, self._data.span(domain)]
        assert users.times is not None
        history = recent_history(users.times, self._half_life)
        return torch.from_numpy((history @ self._columns[domain]).toarray())


class TrendPath:
    """How popular items are around a moment: interactions, halved every so many days from it.

    The same in both directions of time. Around the last visit of a person who is active today there
    is only a past; around that of a person who stayed away, what came after it counts as well.

    Parameters
    ----------
    data
        Training data with times.
    half_life
        In days.
    moment
        Around which: each person's last visit, or the end of the log for everybody.
    """

    def __init__(self, data: TrainingData, half_life: float, moment: Moment) -> None:
        self._data = data
        self._half_life = half_life * DAY
        self._moment = moment
        assert data.times is not None
        self._end = int(data.times.data.max())
        # Half a half-life is fine enough; wider where the table would be too large.
        rows = max(2, MAX_TABLE // max(1, data.n_items))
        self._width = max(self._half_life / 2, self._end / (rows - 1))
        self._tables: dict[str, np.ndarray] = {}

    def score(self, users: UserBatch, domain: str) -> torch.Tensor:
        """Return float32 [n, items]; O(n · items)."""
        if domain not in self._tables:
            self._tables[domain] = self._table(domain)
        table = self._tables[domain]
        if self._moment == "end of log":
            return torch.from_numpy(table[-1]).expand(len(users), -1)
        assert users.times is not None
        last = last_times(users.times)
        last[last == 0] = self._end
        return torch.from_numpy(table[self._bucket(np.minimum(last, self._end))])

    def _bucket(self, time: np.ndarray) -> np.ndarray:
        return (time / self._width).astype(np.int64)

    def _table(self, domain: str) -> np.ndarray:
        """Return float32 [buckets, items]; O(buckets · items)."""
        assert self._data.times is not None
        times = self._data.times[:, self._data.span(domain)]
        buckets = int(self._bucket(np.array([self._end]))[0]) + 1
        counts = np.zeros((buckets, times.shape[1]), dtype=np.float32)
        np.add.at(counts, (self._bucket(times.data), times.indices), 1.0)
        decay = np.float32(2.0 ** (-self._width / self._half_life))
        one, back = np.ones(1, np.float32), np.array([1, -decay], np.float32)
        before = lfilter(one, back, counts, axis=0)
        if self._moment == "end of log":
            return before[-1:].copy()
        after = lfilter(one, back, counts[::-1], axis=0)[::-1]
        table: np.ndarray = before + after - counts
        return table
