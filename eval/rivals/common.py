"""What the rivals' scripts share: the command line, the problem, tuning in a budget, the lists.

It runs in a rival's own environment, so it needs only numpy, pandas and scipy, old ones too.
A script names its rivals and calls `main`:

    def fit(problem, setting, seed):
        ...  # the lines that a user of the library writes
        yield factors(problem, users, items)

    if __name__ == "__main__":
        main({"ALS": Rival(fit, [{"factors": 64}, {"factors": 128}])})

`fit` yields a ranker whenever validation should look at it: once for a closed form, after each
few epochs for a model that is trained step by step. A ranker is a function of (users, domain, k)
that returns the joint numbers of the best k items and their scores, both [len(users), k], padded
with -1. Items are numbered over all domains, each domain in one piece, users over all of `train`.
"""

import argparse
import inspect
import itertools
import json
import os
import resource
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import scipy.sparse as sp

USER_ID, DOMAIN, ITEM_ID = "user_id", "domain", "item_id"
VALID_K = 20
PATIENCE = 2  # looks at validation without a gain before a trial ends
MOST_ITEMS = 25_000  # a dense item-item matrix of 2.5 GB in float32; its inversion holds three
FILTERED = -1e30  # scores below it mark what may not be recommended
BLOCK_CELLS = 16_000_000  # scores held at once: 64 MB in float32


class InputError(Exception):
    """The input cannot be used; the message says what to do."""


@dataclass
class Rival:
    """One method of a library: how to fit it, what to try in this order, what to say of it."""

    fit: object
    settings: list
    written: tuple = ()  # further functions whose lines the user has to write
    note: object = None  # function of the problem: what a reader must know of the lists
    fixed: dict = field(default_factory=dict)  # what is not tried, in every setting
    one_target: bool = False  # fitted for one domain at a time, given as setting["target"]
    valid_users: int = 0  # validate on so many people a domain; 0 is all of them

    def lines(self):
        """Count the lines of code that use the library."""
        source = "\n".join(inspect.getsource(part) for part in (self.fit, *self.written))
        lines = [line.strip() for line in source.splitlines()]
        return sum(bool(line) and not line.startswith("#") for line in lines)


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
        """Return the problem of one domain: its items, and the people who have history there."""
        here = np.flatnonzero(np.isin(self.item, np.arange(self.n_items)[self.part[domain]]))
        rows = {
            DOMAIN: domain,
            ITEM_ID: self.item_ids[self.item[here]],
            USER_ID: self.users[self.user[here]],
        }
        return Problem(pd.DataFrame(rows))

    def user_codes(self, ids):
        """Number users; -1 for those without any training interaction."""
        return self.users.get_indexer(ids)

    def item_codes(self, rows):
        """Number the items of rows; -1 for those without any training interaction."""
        return self._items.get_indexer(pd.MultiIndex.from_frame(rows[[DOMAIN, ITEM_ID]]))

    def keep_valid(self, most, seed):
        """Keep the validation rows of at most so many people a domain, drawn at random."""
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
        """Return NDCG@20 on the validation rows: the mean over people, then over domains."""
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
            truth[domain] = SimpleNamespace(
                users=self.user_codes(users), row=row, item=self.item_codes(group)
            )
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

    People without history in a domain get what is popular there.
    """
    parts = {domain: problem.only(domain) for domain in problem.domains}
    rankers = {domain: fit(part) for domain, part in parts.items()}
    place = {domain: part.user_codes(problem.users) for domain, part in parts.items()}

    def rank(users, domain, k):
        items, scores = served(parts[domain], rankers[domain], place[domain][users], domain, k)
        return np.where(items >= 0, items + problem.part[domain].start, -1), scores

    return rank


def one_matrix(problem):
    """Whether an item-item matrix over all domains is small enough to be inverted."""
    return problem.n_items <= MOST_ITEMS


def inverted(problem, fit):
    """Make a ranker of a method that inverts an item-item matrix: one in all, or one a domain."""
    return fit(problem) if one_matrix(problem) else one_a_domain(problem, fit)


def inverted_note(problem):
    """Say how `inverted` went about it."""
    if one_matrix(problem):
        return ""
    return (
        f"{problem.n_items:,} items in all are too many for one dense matrix "
        f"({4 * problem.n_items**2 / 1e9:.1f} GB): one model a domain; people without history "
        "in the domain get what is popular there."
    )


def served(problem, ranker, users, domain, k):
    """Rank for users; those who occur nowhere in training get what is popular in the domain."""
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


def tune(problem, rival, *, budget, seed, domains):
    """Try settings in their order until the budget is spent; keep the best look at validation.

    A trial ends when its `fit` ends, when validation has not risen for `PATIENCE` looks, or when
    another step like its last one would pass the budget; the next begins if as much is left as
    the last one took to its first look.
    """
    started = time.perf_counter()
    fixed = {**rival.fixed, "target": domains[0]} if rival.one_target else rival.fixed
    trials, found, first = 0, None, 0.0
    for setting in rival.settings:
        if trials and time.perf_counter() - started + first > budget:
            break
        trials += 1
        top, stale, fitting = -1.0, 0, 0.0
        looks = rival.fit(problem, {**fixed, **setting}, seed)
        for look in itertools.count(1):
            begun = time.perf_counter()
            ranker = next(looks, None)
            fitted = time.perf_counter()
            if ranker is None:
                break
            fitting += fitted - begun
            figure = problem.ndcg(ranker, domains)
            now = time.perf_counter()
            if look == 1:
                first = now - begun
            print(
                f"trial {trials} {setting}, look {look}: validation NDCG@20 {figure:.5f} "
                f"at {now - started:.0f} s",
                file=sys.stderr,
                flush=True,
            )
            if found is None or figure > found.valid_ndcg20:
                found = SimpleNamespace(
                    ranker=ranker,
                    best={**setting, "look": look},
                    valid_ndcg20=figure,
                    fit_seconds=fitting,
                )
            stale = 0 if figure > top else stale + 1
            top = max(top, figure)
            step = now - begun if look > 1 else 0.0  # the first holds the set-up
            if stale >= PATIENCE or now - started + step > budget:
                break
        looks.close()
    found.trials, found.tune_seconds = trials, time.perf_counter() - started
    return found


def read_rows(path, columns):
    """Read columns of a CSV file as text, or say what it lacks."""
    if not Path(path).is_file():
        raise InputError(f"{path} does not exist; give the path of a CSV file.")
    have = pd.read_csv(path, nrows=0).columns
    lacking = [name for name in columns if name not in have]
    if lacking:
        raise InputError(
            f"{path} has no column {', '.join(lacking)} (it has {', '.join(have)}); "
            f"rename its columns to {', '.join(columns)}."
        )
    rows = pd.read_csv(path, usecols=columns, dtype=str, keep_default_na=False)[list(columns)]
    if rows.empty:
        raise InputError(f"{path} has no rows; at least one is needed.")
    empty = (rows == "").any(axis=1)
    if empty.any():
        raise InputError(
            f"{path}, line {int(np.argmax(empty.to_numpy())) + 2}: a value of "
            f"{', '.join(columns)} is empty; fill it in or remove the line."
        )
    return rows


def arguments(rivals, given=None):
    """Read and check the command line."""
    parser = argparse.ArgumentParser(
        description="Tune a rival on validation rows within a budget; write its recommendations.",
    )
    parser.add_argument("model", choices=list(rivals), help="the rival's method")
    parser.add_argument("--train", required=True, help="CSV: user_id, domain, item_id")
    parser.add_argument("--valid", required=True, help="CSV of held-out rows to choose on")
    parser.add_argument(
        "--test", "--users", dest="test", required=True, help="CSV; only user_id, domain are read"
    )
    parser.add_argument("--out", required=True, help="the recommendations file to write (CSV)")
    parser.add_argument("--k", type=int, default=20, help="length of the lists")
    parser.add_argument("--budget", type=float, default=600, help="seconds for tuning")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(given)
    if args.k < 1:
        raise InputError(f"--k must be at least 1; got {args.k}.")
    if args.budget <= 0:
        raise InputError(f"--budget must be above 0 seconds; got {args.budget:g}.")
    if not Path(args.out).resolve().parent.is_dir():
        raise InputError(f"--out: the folder of {args.out} does not exist; make it first.")
    return args


def read(args):
    """Read the problem and the (user, domain) pairs to serve, and check that they fit together."""
    columns = [USER_ID, DOMAIN, ITEM_ID]
    train = read_rows(args.train, columns)
    valid = read_rows(args.valid, columns)
    pairs = read_rows(args.test, columns[:2]).drop_duplicates().sort_values([DOMAIN, USER_ID])
    for path, rows, needed in ((args.valid, valid, train), (args.test, pairs, valid)):
        unknown = sorted(set(rows[DOMAIN]) - set(needed[DOMAIN]))
        if unknown:
            needed_path = args.train if needed is train else args.valid
            raise InputError(
                f"{path} has domain {unknown[0]!r}, which has no row in {needed_path}; it has "
                f"{', '.join(sorted(set(needed[DOMAIN])))}. Leave those rows out, or add some."
            )
    return Problem(train, valid), pairs


def write(problem, pairs, rankers, args):
    """Rank for the pairs and write the file whole: user_id, domain, item_id, score, rank."""
    frames = []
    for domain, group in pairs.groupby(DOMAIN, sort=True):
        users = group[USER_ID].to_numpy(object)
        items, scores = served(problem, rankers[domain], problem.user_codes(users), domain, args.k)
        row, place = np.nonzero(items >= 0)
        frames.append(
            pd.DataFrame(
                {
                    USER_ID: users[row],
                    DOMAIN: domain,
                    ITEM_ID: problem.item_ids[items[row, place]],
                    "score": scores[row, place],
                    "rank": place + 1,
                }
            )
        )
    unfinished = f"{args.out}.{os.getpid()}.tmp"
    try:
        pd.concat(frames).to_csv(unfinished, index=False, float_format="%.8g")
        os.replace(unfinished, args.out)
    finally:
        Path(unfinished).unlink(missing_ok=True)


def main(rivals, given=None):
    """Run a rival from the command line and print its figures as one JSON line."""
    try:
        args = arguments(rivals, given)
        sys.argv = sys.argv[:1]  # RecBole would take --name=value for settings of its own
        problem, pairs = read(args)
    except InputError as error:
        sys.exit(f"error: {error}")
    rival = rivals[args.model]
    if rival.valid_users:
        problem.keep_valid(rival.valid_users, args.seed)
    targets = list(problem.valid)
    groups = [[target] for target in targets] if rival.one_target else [targets]
    found = [
        tune(problem, rival, budget=args.budget / len(groups), seed=args.seed, domains=group)
        for group in groups
    ]
    rankers = {
        domain: result.ranker
        for group, result in zip(groups, found, strict=True)
        for domain in group
    }
    begun = time.perf_counter()
    write(problem, pairs, rankers, args)
    peak = max(
        resource.getrusage(who).ru_maxrss
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    print(
        json.dumps(
            {
                "model": f"{Path(sys.argv[0]).stem}:{args.model}",
                "trials": sum(result.trials for result in found),
                "best": dict(zip(targets, (result.best for result in found), strict=True))
                if rival.one_target
                else found[0].best,
                "valid_ndcg20": round(float(np.mean([r.valid_ndcg20 for r in found])), 6),
                "tune_seconds": round(sum(result.tune_seconds for result in found), 2),
                "fit_seconds": round(sum(result.fit_seconds for result in found), 2),
                "recommend_seconds": round(time.perf_counter() - begun, 2),
                "peak_megabytes": round(peak / 1024),
                "lines": rival.lines(),
                "note": rival.note(problem) if rival.note else "",
            }
        ),
        flush=True,
    )
