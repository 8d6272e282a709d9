"""A scorer over a small random world, and truth and recommendations to go with it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from graphgen.vocabulary import Vocabulary


@dataclass
class TableScorer:
    """Scores looked up in a table; users it does not know get zeros."""

    scores: dict[str, np.ndarray]
    seen_pairs: dict[str, np.ndarray]
    users: list[str]
    vocabularies: dict[str, Vocabulary]
    domains: list[str] = field(default_factory=list)
    calls: list[int] = field(default_factory=list)

    def items(self, domain):
        return self.vocabularies[domain]

    def _rows(self, user_ids):
        place = {user: row for row, user in enumerate(self.users)}
        return np.array([place.get(user, -1) for user in user_ids])

    def score(self, user_ids, *, domain):
        self.calls.append(len(user_ids))
        rows = self._rows(user_ids)
        return np.where(rows[:, None] >= 0, self.scores[domain][rows], 0).astype(np.float32)

    def seen(self, user_ids, *, domain):
        rows = self._rows(user_ids)
        return sp.csr_matrix(np.where(rows[:, None] >= 0, self.seen_pairs[domain][rows], False))


@dataclass
class World:
    scorer: TableScorer
    truth: pd.DataFrame

    def recommendations(self, k):
        """Rank every catalogue in plain Python."""
        rows = []
        for domain in self.scorer.domains:
            ids = self.scorer.items(domain).ids
            for user in self.scorer.users:
                scores = self.scorer.score([user], domain=domain)[0]
                hidden = self.scorer.seen([user], domain=domain).toarray()[0].astype(bool)
                order = [i for i in np.argsort(-scores) if not hidden[i]][:k]
                rows += [(user, domain, ids[i], scores[i], r + 1) for r, i in enumerate(order)]
        return pd.DataFrame(rows, columns=["user_id", "domain", "item_id", "score", "rank"])


def make_world(seed=0, n_users=40, sizes=(30, 50)):
    generator = np.random.default_rng(seed)
    users = [f"u{i:02d}" for i in range(n_users)]
    domains = [f"d{i}" for i in range(len(sizes))]
    vocabularies = {
        d: Vocabulary([f"{d}-{i:03d}" for i in range(n)])
        for d, n in zip(domains, sizes, strict=True)
    }
    shape = {d: (n_users, len(v)) for d, v in vocabularies.items()}
    scores = {d: generator.normal(size=s).astype(np.float32) for d, s in shape.items()}
    seen = {d: generator.random(s) < 0.08 for d, s in shape.items()}
    for domain in domains:
        seen[domain][: n_users // 4] = False
    rows = []
    for domain in domains:
        chosen = (generator.random(shape[domain]) < 0.1) & ~seen[domain]
        for user, item in zip(*np.nonzero(chosen), strict=True):
            setting = "cold_item" if item % 5 == 0 else "warm"
            rows.append((users[user], domain, vocabularies[domain].ids[item], setting))
    truth = pd.DataFrame(rows, columns=["user_id", "domain", "item_id", "setting"])
    return World(TableScorer(scores, seen, users, vocabularies, domains), truth)


@pytest.fixture
def world():
    return make_world()


@pytest.fixture
def worlds():
    return make_world
