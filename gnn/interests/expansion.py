"""New interests for users: ranked, with a domain and items to start in, and the evidence."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import scipy.sparse as sp

from gnn.asked import asked_domains, asked_users, history_log, whole_number
from gnn.base import Model
from gnn.data import UserBatch
from gnn.interests.expanders import LEAST, Expander
from gnn.interests.interests import Interests
from gnn.users import user_batch
from graphgen.errors import ConfigError, counted
from graphgen.progress import progress_bar
from graphgen.schema import DOMAIN, INTEREST, RANK, SCORE, USER_ID
from graphgen.topk import top_k

__all__ = ["Expansions", "expand"]

logger = logging.getLogger(__name__)

# Of the items to start with, the share that may be bestsellers of the interest, its most liked
# tenth.
BESTSELLERS, HEAD = 0.5, 0.1
SEPARATOR = "|"
# At boldness 1 so many times as many interests as are asked for are thought probable enough.
POOL = 5
# Users that evidence counts in vain, so that two of three users say little.
FEW = 5.0


class _Options(NamedTuple):
    """Options of `expand` that shape the lists."""

    k: int
    boldness: float
    items: int
    seed: int


class Expansions:
    """What `expand` learns from the training data, prepared once for many calls.

    Parameters
    ----------
    model, interests, by
        As for `expand`.
    """

    def __init__(self, model: Model, interests: Interests | None = None, *, by: str = "blend"):
        self.expander = Expander(model, interests, by=by)
        self.evidence = _Evidence(self.expander)


def expand(
    model: Model | Expansions,
    user_ids: Any,
    *,
    k: int = 5,
    domain: str | Iterable[str] | None = None,
    boldness: float = 0.0,
    items: int = 5,
    by: str = "blend",
    interests: Interests | None = None,
    history: Any = None,
    seed: int = 0,
    progress: bool = False,
) -> pd.DataFrame:
    """Rank interests that users do not have yet.

    An interest of a user is a topic of an item that the user likes.

    Parameters
    ----------
    model
        A fitted model, or `Expansions` of it, whose `by` and `interests` then count.
    user_ids
        Users, known or not, as for `gnn.base.Model.recommend`. Those without a history get the
        most common interests.
    k
        Interests for each user.
    domain
        Domain or domains to start in; None for all. Only interests with items there are ranked.
    boldness
        In [0, 1]: the `k` interests that are farthest from those of the user, of the k · (1 + 4 ·
        boldness) best by score; so 0 is the best by score alone.
    items
        Items to start with, at most, for each interest: unseen ones that the model scores best, at
        least half of them not among the most liked tenth of the interest.
    by
        One of `gnn.interests.expanders.EXPANDERS`.
    interests
        Interests of another graph (`Interests.of`); None for those of the model.
    history, seed, progress
        As for `gnn.base.Model.recommend`.

    Returns
    -------
    pandas.DataFrame
        user_id, interest, domain (to start in), score (share among the interests that the
        user does not have), distance (1 - the largest cosine between the
        interest's users and those of an interest that the user has), rank (from 1), item_ids
        (joined by ``|``), because. Sorted by user as given, then rank.

    Raises
    ------
    ConfigError, InputError, UnknownIdError
        For a model without topics, arguments out of range, an unknown domain.

    Examples
    --------
    >>> import graphgen
    >>> from gnn.registry import make_model
    >>> log = pd.DataFrame({"user_id": list("aabbc"), "item_id": list("xyxyx"), "domain": "book"})
    >>> items = pd.DataFrame({"item_id": ["x", "y"], "domain": "book", "category": ["SF", "tea"]})
    >>> graph = graphgen.build_graph(log, items, encoder="none", category_items=1)
    >>> expand(make_model("item-knn").fit(graph), "c")[["interest", "item_ids"]].values.tolist()
    [['tea', 'y']]
    """
    k, items = whole_number("k", k, least=1), whole_number("items", items, least=1)
    if not 0 <= boldness <= 1:
        raise ConfigError(f"`boldness` must lie in [0, 1]; got {boldness}.")
    if not isinstance(model, Expansions):
        model = Expansions(model, interests, by=by)
    expander, evidence = model.expander, model.evidence
    data = expander.model.data
    ids, targets = asked_users(user_ids, distinct=True), asked_domains(domain, data.items)
    users = user_batch(data, ids, history_log(history, data, ids))
    unknown = int((np.diff(users.history.indptr) == 0).sum())
    if unknown:
        logger.warning(
            "%s without a like, in training or the history: the most common interests.",
            counted(unknown, "user"),
        )
    options, parts = _Options(k, boldness, items, seed), []
    with progress_bar("Expanding", len(users), enabled=progress) as advance:
        for low in range(0, len(users), expander.block_size):
            part = users.rows_of(slice(low, low + expander.block_size))
            parts.append(_block(expander, evidence, part, targets, options))
            parts[-1][USER_ID] += low
            advance(len(part))
    table = pd.concat(parts, ignore_index=True).sort_values([USER_ID, RANK], ignore_index=True)
    table[USER_ID] = ids[table[USER_ID]]
    return table


def _block(
    expander: Expander,
    evidence: _Evidence,
    users: UserBatch,
    targets: Sequence[str],
    options: _Options,
) -> pd.DataFrame:
    """Return the rows of a block of users, user_id being their place in the block."""
    model, interests = expander.model, expander.interests
    asked = model.domains if expander.asks_model else targets
    shares = {name: expander.unseen(users, name) for name in asked}
    masses = {name: expander.mass(users, name, shares[name]) for name in asked}
    had = expander.had(users.history)
    there = np.stack([interests.members[name].getnnz(axis=0) > 0 for name in targets])
    able = ~(had.toarray() > 0) & there.any(axis=0)
    scores = expander.scores(users, masses)
    distance = evidence.distance(had)
    scores[~able] = -np.inf
    chosen = _bold(scores, distance, users.keys, options)
    user, place = np.nonzero(chosen >= 0)
    interest = chosen[user, place]
    # Where the model gives nothing to an interest's items, any domain that has some will do.
    inside = [np.where(has, masses[n] + LEAST, 0) for n, has in zip(targets, there, strict=True)]
    start = np.stack([mass[user, interest] for mass in inside]).argmax(axis=0)
    return pd.DataFrame(
        {
            USER_ID: user,
            INTEREST: np.asarray(interests.names, dtype=object)[interest],
            DOMAIN: np.asarray(targets, dtype=object)[start],
            SCORE: scores[user, interest],
            "distance": distance[user, interest],
            RANK: place + 1,
            "item_ids": _items(expander, shares, targets, user, interest, start, options),
            "because": evidence.words(had, user, interest),
        }
    )


def _bold(
    scores: np.ndarray, distance: np.ndarray, keys: np.ndarray, options: _Options
) -> np.ndarray:
    """Return int64 [n, k], by falling score the farthest of the best; -1 where there are none."""
    wide = round(options.k * (1 + (POOL - 1) * options.boldness))
    best, _ = top_k(scores, wide, keys=keys, seed=options.seed)
    far = np.where(best >= 0, np.take_along_axis(distance, np.maximum(best, 0), axis=1), -np.inf)
    kept, _ = top_k(far, options.k)
    # Places in `best` are by falling score; empty ones go last.
    kept = np.sort(np.where(kept < 0, wide, kept), axis=1)
    return np.take_along_axis(np.pad(best, ((0, 0), (0, 1)), constant_values=-1), kept, axis=1)


def _items(
    expander: Expander,
    shares: dict[str, np.ndarray],
    targets: Sequence[str],
    user: np.ndarray,
    interest: np.ndarray,
    start: np.ndarray,
    options: _Options,
) -> np.ndarray:
    """Return the ids of the items to start with, joined, of each (user, interest)."""
    data, text = expander.model.data, np.full(len(user), "", dtype=object)
    pairs, which = np.unique(start * len(expander.interests) + interest, return_inverse=True)
    for number, pair in enumerate(pairs.tolist()):
        name = targets[pair // len(expander.interests)]
        members, column = expander.columns[name], pair % len(expander.interests)
        low, high = members.indptr[column : column + 2]
        item, member = members.indices[low:high], members.data[low:high]
        rows = np.flatnonzero(which == number)
        scores = shares[name][user[rows]][:, item] * member
        # Seen items have the share 0.
        scores = np.where(scores > 0, scores, -np.inf)
        liking = data.liking[data.span(name)][item]
        head = liking > np.quantile(liking, 1 - HEAD)
        few = max(1, int(options.items * BESTSELLERS))
        first, _ = top_k(scores, min(few, options.items))
        rest = np.where(head, -np.inf, scores)
        np.put_along_axis(rest, np.maximum(first, 0), -np.inf, axis=1)
        listed = first
        if options.items > few:
            listed = np.concatenate([first, top_k(rest, options.items - few)[0]], axis=1)
        ids = np.append(data.items[name].ids[item], "").astype(object)
        joined = ids[listed[:, 0]]
        for column in listed.T[1:]:
            joined = joined + np.where(column >= 0, SEPARATOR, "").astype(object) + ids[column]
        text[rows] = joined
    return text


class _Evidence:
    """How interests go together in the training data."""

    def __init__(self, expander: Expander) -> None:
        has = expander.has
        self.names = np.asarray(expander.interests.names, dtype=object)
        self.n_users = int((np.diff(has.indptr) > 0).sum())
        self.both = np.asarray((has.T @ has).toarray(), dtype=np.float64)
        self.users = np.diagonal(self.both).copy()
        root = np.sqrt(np.maximum(self.users, 1))
        self.cosine = (self.both / root / root[:, None]).astype(np.float32)

    def distance(self, had: sp.csr_matrix) -> np.ndarray:
        """Return float32 [n, interests], 1 - the largest cosine with an interest of the user."""
        nearest = np.zeros(had.shape, dtype=np.float32)
        some = np.diff(had.indptr) > 0
        if some.any():
            rows = self.cosine[had.indices]
            nearest[some] = np.maximum.reduceat(rows, had.indptr[:-1][some], axis=0)
        return 1 - nearest

    def words(self, had: sp.csr_matrix, user: np.ndarray, interest: np.ndarray) -> np.ndarray:
        """Return why, of each (user, interest): the user's interest whose users most often, for
        what one expects, have it too.
        """
        usual = np.outer(self.users, self.users) / max(self.n_users, 1)
        lift = self.both / (usual + FEW)
        best, source = np.full(len(user), -1.0), np.full(len(user), -1)
        # The k-th interest of every user at once.
        width = np.diff(had.indptr)
        for number in range(int(width.max(initial=0))):
            more = np.flatnonzero(width[user] > number)
            own = had.indices[had.indptr[user[more]] + number]
            value = lift[own, interest[more]]
            better = value > best[more]
            best[more[better]], source[more[better]] = value[better], own[better]
        known = source >= 0
        text = np.full(len(user), "", dtype=object)
        every = _counts(self.users[interest])
        text[~known] = "common: " + every[~known] + f" of {self.n_users:,} users have it"
        own, new = source[known], interest[known]
        times = self.both[own, new] / np.maximum(usual[own, new], LEAST)
        often = pd.Series(times).map("{:.1f}".format).to_numpy(object)
        text[known] = _counts(self.both[own, new]) + " of " + _counts(self.users[own])
        text[known] += " users with '" + self.names[own] + "' have it too, " + often
        text[known] += " times the share among all users"
        return text


def _counts(values: np.ndarray) -> np.ndarray:
    return pd.Series(values).map("{:,.0f}".format).to_numpy(object)
