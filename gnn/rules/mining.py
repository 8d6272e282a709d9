"""Rules mined from interactions: counts by sparse products, exact tests, false discovery rate."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np
import pandas as pd
import scipy.sparse as sp
from scipy.special import gammaln

from gnn.data import TrainingData
from gnn.rules.terms import Terms

__all__ = ["MinedRules", "adjusted", "fisher_greater", "mine_rules"]

# Rows of the product of two domains that are counted at once.
BLOCK_ROWS = 1024
# A pair of terms that one user has is no pattern.
MIN_TOGETHER = 2
# Terms of the tail of a p-value below this share of its sum are not added.
NEGLIGIBLE = 1e-12


class MinedRules:
    """Rules *source → target* between terms of one level, in both directions.

    Attributes
    ----------
    terms
        The terms that `source` and `target`, int64 [r], number.
    together, n_source, n_target, n_users
        float64 [r], users of both terms, of either, and all users active in both domains; only
        these are counted, since users of one domain cannot have both terms.
    p, q
        float64 [r], p-value of Fisher's exact test for more users together than independence gives,
        and the least false discovery rate at which the rule is found.
    """

    def __init__(self, terms: Terms, counts: np.ndarray) -> None:
        self.terms = terms
        self.source, self.target = counts[:2].astype(np.int64)
        self.together, self.n_source, self.n_target, self.n_users, self.p, self.q = counts[2:]

    def __len__(self) -> int:
        return len(self.source)

    @cached_property
    def support(self) -> np.ndarray:
        """Share of the users who have both terms."""
        return self.together / self.n_users

    @cached_property
    def confidence(self) -> np.ndarray:
        """Share of the users of the source who have the target."""
        return self.together / self.n_source

    @cached_property
    def expected(self) -> np.ndarray:
        """Share of all users who have the target."""
        return self.n_target / self.n_users

    @cached_property
    def lift(self) -> np.ndarray:
        """Confidence as a multiple of `expected`."""
        return self.confidence / self.expected

    @cached_property
    def conviction(self) -> np.ndarray:
        """(1 - expected) / (1 - confidence), infinite for a rule without exception."""
        with np.errstate(divide="ignore", invalid="ignore"):
            found = (1.0 - self.expected) / (1.0 - self.confidence)
        return np.where(self.confidence < 1.0, found, np.inf)

    def frame(self, data: TrainingData, rows: np.ndarray | slice = slice(None)) -> pd.DataFrame:
        """Return the rules as a table: level, both terms with their domains, counts, measures."""
        domains = np.asarray(data.domains, dtype=object)
        source, target = self.source[rows], self.target[rows]
        columns = {
            "level": self.terms.level,
            "source_domain": domains[self.terms.domain[source]],
            "source": self.terms.names[source],
            "target_domain": domains[self.terms.domain[target]],
            "target": self.terms.names[target],
        }
        measures = ("support", "confidence", "lift", "conviction", "p", "q")
        columns |= {name: getattr(self, name)[rows] for name in measures}
        counts = ("together", "n_source", "n_target", "n_users")
        columns |= {name: getattr(self, name)[rows].astype(np.int64) for name in counts}
        return pd.DataFrame(columns)


def mine_rules(
    data: TrainingData, terms: Terms, *, fdr: float = 0.05, min_users: int = 5, within: bool = True
) -> MinedRules:
    """Find the pairs of terms that users have together more often than by chance.

    Association rules with one term on either side: Agrawal, Imieliński and Swami, SIGMOD 1993. A
    term counts where at least `min_users` of the users active in both domains have it. Each pair of
    such terms is a test, also pairs that nobody has together; pairs of one domain and pairs across
    domains are two families, and in each the false discovery rate is controlled (Benjamini and
    Hochberg, 1995). Time is that of the products of sparse matrices, memory that of the rules and
    a block of counts.

    Parameters
    ----------
    data
        Interactions; a user has a term by one item of it.
    terms
        Terms of one level.
    fdr
        False discovery rate.
    min_users
        Least users of a term. It depends on no pair, so it costs the tests nothing.
    within
        Also pairs of terms of one domain.
    """
    users = terms.of_users(data.matrix)
    active = data.active()
    spans = [np.flatnonzero(terms.domain == number) for number in range(len(data.domains))]
    found = []
    for same in (True, False) if within else (False,):
        parts, tests = [np.empty((7, 0))], 0.0
        for a, one in enumerate(spans):
            for b in range(a, len(spans)):
                if (a == b) != same or not len(one) or not len(spans[b]):
                    continue
                common = users[active[:, a] & active[:, b]]
                sides = [_frequent(common, own, min_users) for own in (one, spans[b])]
                sizes = [len(term) for term, _, _ in sides]
                tests += sizes[0] * (sizes[0] - 1) / 2 if same else sizes[0] * sizes[1]
                parts += _pairs(*sides, n=common.shape[0], level=fdr, same=same)
        pairs = np.hstack(parts)
        q = adjusted(pairs[6], tests)
        found.append(np.vstack([pairs, q])[:, q <= fdr])
    pairs = np.hstack(found)
    back = pairs[[1, 0, 2, 4, 3, 5, 6, 7]]
    return MinedRules(terms, np.hstack([pairs, back]))


def _frequent(
    users: sp.csr_matrix, own: np.ndarray, min_users: int
) -> tuple[np.ndarray, sp.csr_matrix, np.ndarray]:
    """Return the terms that enough users have, with CSR [n, terms] and their numbers of users."""
    part = users[:, own]
    count = np.bincount(part.indices, minlength=len(own))
    kept = np.flatnonzero(count >= min_users)
    return own[kept], part[:, kept], count[kept]


def _pairs(
    one: tuple[np.ndarray, sp.csr_matrix, np.ndarray],
    other: tuple[np.ndarray, sp.csr_matrix, np.ndarray],
    *,
    n: int,
    level: float,
    same: bool,
) -> Iterator[np.ndarray]:
    """Yield [7, pairs]: the terms, users of both, of either and of all, and p at most `level`."""
    (term_a, users_a, count_a), (term_b, users_b, count_b) = one, other
    left = sp.csr_matrix(users_a.T)
    for low in range(0, len(term_a), BLOCK_ROWS):
        both = sp.coo_matrix(left[low : low + BLOCK_ROWS] @ users_b)
        row, column, k = both.row + low, both.col, both.data.astype(np.float64)
        some = (k >= MIN_TOGETHER) & (k * n > count_a[row].astype(np.float64) * count_b[column])
        if same:
            some &= row < column
        row, column, k = row[some], column[some], k[some]
        n_a, n_b = count_a[row].astype(np.float64), count_b[column].astype(np.float64)
        p = fisher_greater(k, n_a, n_b, float(n), level=level)
        kept = p <= level
        yield np.vstack([term_a[row], term_b[column], k, n_a, n_b, np.full(len(k), float(n)), p])[
            :, kept
        ]


def fisher_greater(
    k: np.ndarray, n_a: np.ndarray, n_b: np.ndarray, n: float, *, level: float = 1.0
) -> np.ndarray:
    """Return p-values of Fisher's exact test, for at least k of n users with both terms.

    Where k is above its mean, as it must be, the probabilities fall at least geometrically, so few
    are added.

    Parameters
    ----------
    k, n_a, n_b
        float64 [m], users with both terms and with either.
    n
        All users.
    level
        A p-value above it may stay too small, but above it.

    Examples
    --------
    >>> import numpy as np
    >>> fisher_greater(np.array([3.0]), np.array([4.0]), np.array([4.0]), 8).round(4)
    array([0.2429])
    """
    first = np.exp(_log_choose(n_a, k) + _log_choose(n - n_a, n_b - k) - _log_choose(n, n_b))
    total, last = first.copy(), first.copy()
    most = np.minimum(n_a, n_b)
    left, step = np.flatnonzero((first <= level) & (k < most)), 0.0
    while len(left):
        j, a, b = k[left] + step, n_a[left], n_b[left]
        last[left] *= (a - j) * (b - j) / ((j + 1) * (n - a - b + j + 1))
        total[left] += last[left]
        step += 1
        left = left[(last[left] > NEGLIGIBLE * total[left]) & (k[left] + step < most[left])]
    return np.asarray(np.minimum(total, 1.0))


def _log_choose(n: np.ndarray | float, k: np.ndarray) -> np.ndarray:
    return np.asarray(gammaln(n + 1.0) - gammaln(k + 1.0) - gammaln(n - k + 1.0))


def adjusted(p: np.ndarray, tests: float) -> np.ndarray:
    """Return p-values adjusted for the false discovery rate, by Benjamini and Hochberg.

    Parameters
    ----------
    p
        float64 [m], the smallest p-values of all tests.
    tests
        Number of all tests, at least m.

    Examples
    --------
    >>> import numpy as np
    >>> adjusted(np.array([0.01, 0.04, 0.03]), 4).round(4).tolist()
    [0.04, 0.0533, 0.0533]
    """
    order = np.argsort(p, kind="stable")
    scaled = p[order] * tests / np.arange(1, len(p) + 1)
    result = np.empty(len(p))
    result[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return result
