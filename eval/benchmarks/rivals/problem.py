"""The problem that a rival solves, and rankers, which turn scores into lists.

A ranker is a function of (users, domain, k) that returns the joint numbers of the best k items and
their scores, both [len(users), k], padded with -1. Items are numbered over all domains, each domain
in one piece, users over all of `train`. It runs in a rival's own environment, as `common.py` does.
"""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import scipy.sparse as sp

USER_ID, DOMAIN, ITEM_ID = "user_id", "domain", "item_id"
VALID_K = 20
MOST_ITEMS = 25_000  # a dense item-item matrix of 2.5 GB in float32; its inversion holds three
FILTERED = -1e30  # lower scores mark items that may not be recommended
BLOCK_CELLS = 16_000_000  # scores held at once: 64 MB in float32


class Problem:
    """Training interactions of all domains as one matrix, and the validation rows."""

    def __init__(self, train, valid=None):
        train = train[[DOMAIN, ITEM_ID, USER_ID]].drop_duplicates()
        items = train[[DOMAIN, ITEM_ID]].drop_duplicates().sort_values([DOMAIN, ITEM_ID])
        self.item_ids = items[ITEM_ID].to_numpy(object)
        sizes = items.groupby(DOMAIN, sort=True).size()
        self.domains = list(sizes.index)
        ends = np.cumsum(sizes.to_numpy())
        self.part = {
            domain: slice(int(end - size), int(end))
            for domain, size, end in zip(self.domains, sizes, ends, strict=True)
        }
        self._items = pd.MultiIndex.from_frame(items)
        self.users = pd.Index(np.sort(train[USER_ID].unique().astype(object)))
        self.n_users, self.n_items = len(self.users), len(items)
        self.user, self.item = self.user_codes(train[USER_ID]), self.item_codes(train)
        ones = np.ones(len(train), np.float32)
        self.train = sp.csr_matrix((ones, (self.user, self.item)), (self.n_users, self.n_items))
        self.popularity = np.asarray(self.train.sum(axis=0)).ravel()
        self.valid = {} if valid is None else self._truth(valid)

    def only(self, domain):
        """Return the problem of one domain: its items, and the users with history there."""
        here = np.flatnonzero(np.isin(self.item, np.arange(self.n_items)[self.part[domain]]))
        ids = {ITEM_ID: self.item_ids[self.item[here]], USER_ID: self.users[self.user[here]]}
        return Problem(pd.DataFrame(ids).assign(**{DOMAIN: domain}))

    def user_codes(self, ids):
        """Number users; -1 for those without any training interaction."""
        return self.users.get_indexer(ids)

    def item_codes(self, rows):
        """Number the items of rows; -1 for those without any training interaction."""
        return self._items.get_indexer(pd.MultiIndex.from_frame(rows[[DOMAIN, ITEM_ID]]))

    def keep_valid(self, most, seed):
        """Keep the validation rows of at most so many users a domain, drawn at random."""
        draw = np.random.default_rng(seed)
        for domain, truth in self.valid.items():
            kept = np.sort(draw.permutation(len(truth.users))[:most])
            place = np.full(len(truth.users), -1)
            place[kept] = np.arange(len(kept))
            held = place[truth.row] >= 0
            self.valid[domain] = SimpleNamespace(
                users=truth.users[kept], row=place[truth.row][held], item=truth.item[held]
            )

    def ndcg(self, ranker, domains):
        """Return NDCG@20 on the validation rows: the mean over users, then over domains."""
        figures = []
        for domain in domains:
            truth = self.valid[domain]
            lists, _ = served(self, ranker, truth.users, domain, VALID_K)
            figures.append(ndcg(lists, truth.row, truth.item).mean())
        return float(np.mean(figures))

    def _truth(self, rows):
        rows = rows[[USER_ID, DOMAIN, ITEM_ID]].drop_duplicates()
        truth = {}
        for domain, group in rows.groupby(DOMAIN, sort=True):
            row, users = pd.factorize(group[USER_ID], sort=True)
            codes = self.user_codes(users)
            truth[domain] = SimpleNamespace(users=codes, row=row, item=self.item_codes(group))
        return truth


def ndcg(lists, row, item):
    """NDCG of each list, [n] in [0, 1]: binary gains over log2(1 + rank).

    `row` and `item` are the relevant pairs; item -1 is one that no list can hold. The ideal list
    holds as many relevant items as fit. O(size of the lists x log of the pairs).
    """
    n, k = lists.shape
    width = max(int(lists.max(initial=0)), int(item.max(initial=0))) + 1
    pairs = (row * width + item)[item >= 0]
    hit = np.isin(np.arange(n)[:, None] * width + lists, pairs) & (lists >= 0)
    discount = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.concatenate([[0.0], np.cumsum(discount)])
    count = np.minimum(np.bincount(row, minlength=n), k)
    return np.divide(hit @ discount, ideal[count], out=np.zeros(n), where=count > 0)


def best(problem, users, domain, scores, k):
    """Return the k best unseen items of a domain as (items, scores), from scores [users, items].

    `scores` is overwritten where an item was seen.
    """
    part = problem.part[domain]
    seen = problem.train[users][:, part].tocoo()
    scores[seen.row, seen.col] = -np.inf
    width = min(k, scores.shape[1])
    top = np.argpartition(-scores, width - 1, axis=1)[:, :width]
    value = np.take_along_axis(scores, top, axis=1)
    order = np.argsort(-value, axis=1, kind="stable")
    top, value = np.take_along_axis(top, order, axis=1), np.take_along_axis(value, order, axis=1)
    return padded(top + part.start, value, k)


def padded(items, scores, k):
    """Bring lists to length k: -1 where the score says that an item was filtered out, or ends."""
    gap = ((0, 0), (0, k - items.shape[1]))
    scores = np.pad(scores, gap, constant_values=-np.inf)
    items = np.pad(items, gap, constant_values=-1)
    return np.where(scores > FILTERED, items, -1), scores


def scorer(problem, score):
    """Make a ranker of `score(users, part)`, which scores the items of a slice for users."""

    def rank(users, domain, k):
        part = problem.part[domain]
        block = max(1, BLOCK_CELLS // (part.stop - part.start))
        blocks = [
            best(problem, some, domain, np.array(score(some, part), np.float32), k)
            for some in np.split(users, range(block, len(users), block))
        ]
        return tuple(np.concatenate(pieces) for pieces in zip(*blocks, strict=True))

    return rank


def factors(problem, users, items):
    """Make a ranker of user and item vectors, numbered as in the problem."""
    users, items = np.array(users, np.float32), np.array(items, np.float32)
    return scorer(problem, lambda some, part: users[some] @ items[part].T)


def listed(problem, users, k, user, item, score):
    """Lay out the rows (user, item, score) that a library recommended, best first, as lists.

    Users and items are numbers of the problem. What was seen in training is left out.
    """
    rows = pd.DataFrame({"user": user, "item": item, "score": score})
    rows = rows[np.asarray(problem.train[rows["user"], rows["item"]]).ravel() == 0]
    place = pd.Index(users).get_indexer(rows["user"])
    rank = rows.groupby("user").cumcount().to_numpy()
    held = (rank < k) & (place >= 0)
    items, scores = np.full((len(users), k), -1), np.full((len(users), k), -np.inf)
    items[place[held], rank[held]] = rows["item"].to_numpy()[held]
    scores[place[held], rank[held]] = rows["score"].to_numpy()[held]
    return items, scores


def one_a_domain(problem, fit):
    """Make a ranker of one model a domain, each of `fit(problem of the domain)`.

    Users without history in a domain get its popular items.
    """
    parts = {domain: problem.only(domain) for domain in problem.domains}
    rankers = {domain: fit(part) for domain, part in parts.items()}
    place = {domain: part.user_codes(problem.users) for domain, part in parts.items()}

    def rank(users, domain, k):
        items, scores = served(parts[domain], rankers[domain], place[domain][users], domain, k)
        return np.where(items >= 0, items + problem.part[domain].start, -1), scores

    return rank


def inverted(problem, fit):
    """Make a ranker of a method that inverts an item-item matrix: one in all, or one a domain."""
    return fit(problem) if problem.n_items <= MOST_ITEMS else one_a_domain(problem, fit)


def inverted_note(problem):
    """Say how `inverted` went about it."""
    if problem.n_items <= MOST_ITEMS:
        return ""
    return (
        f"{problem.n_items:,} items in all are too many for one dense matrix "
        f"({4 * problem.n_items**2 / 1e9:.1f} GB): one model a domain; users without history "
        "in the domain get its popular items."
    )


def served(problem, ranker, users, domain, k):
    """Rank for users; users without training rows get popular items of the domain."""
    known = users >= 0
    items, scores = np.full((len(users), k), -1), np.full((len(users), k), -np.inf)
    if known.any():
        items[known], scores[known] = ranker(users[known], domain, k)
    if not known.all():
        count = problem.popularity[problem.part[domain]]
        top = np.argsort(-count, kind="stable")[:k]
        items[~known, : len(top)] = top + problem.part[domain].start
        scores[~known, : len(top)] = count[top]
    return items, scores
