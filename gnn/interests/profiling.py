"""Profiles: the interests of users, with weights, dates, trends and typical items."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pandas as pd
import scipy.sparse as sp

from gnn.asked import asked_users, history_log, whole_number
from gnn.candidates import item_frame
from gnn.data import TrainingData, UserBatch
from gnn.interests.estimating import Prior, learn_prior, posterior, recent
from gnn.interests.interests import Interests, domain_targets
from gnn.numerics.sparse import entry_rows
from gnn.users import user_batch
from graphgen.arrays import place_in_group
from graphgen.errors import InputError
from graphgen.joins import COMPARED, check_join
from graphgen.pieces import map_pieces
from graphgen.schema import TITLE, USER_ID

if TYPE_CHECKING:
    from gnn.base import Model
    from graphgen.graph import InterestGraph

__all__ = [
    "HALF_LIFE",
    "NO_TIME",
    "PROFILE_COLUMNS",
    "Asked",
    "Links",
    "Profiler",
    "as_dates",
    "links_of",
    "profile",
    "profiler_of",
]

HALF_LIFE: Final = 365.0  # days
PROFILE_COLUMNS: Final = (
    USER_ID, "interest", "share", "weight", "domains", "first_seen", "last_seen", "trend",
    "item_ids", "low", "high", "interactions", "established",
)  # fmt: skip
# An interest is established from so many interactions and so much probability of being more than
# the population's; one click is none.
MIN_INTERACTIONS, MIN_PROBABILITY = 2, 0.9
ITEMS_NAMED = 5
# Interactions of a piece of work.
BLOCK = 1_000_000
BETWEEN = "|"
NO_TIME: Final = np.iinfo(np.int64).min  # NaT


class Asked(NamedTuple):
    """Distinct user ids, and the users with their histories."""

    ids: np.ndarray
    users: UserBatch


class Links(NamedTuple):
    """Each interaction once for each interest of its item: int64, int64, float32 [links]."""

    pair: np.ndarray  # user · interests + interest
    entry: np.ndarray  # of the history
    share: np.ndarray  # of the item in the interest


class Profiler:
    """Interests of users from the topics and interactions of a model, prepared once for many calls.

    Parameters
    ----------
    model
        A fitted model.
    graph
        Graph with the topics to use; None for those of the model.
    half_life
        Days after which an interaction counts half; None for all alike, as without times.
    """

    def __init__(
        self,
        model: Model,
        *,
        graph: InterestGraph | None = None,
        half_life: float | None = HALF_LIFE,
    ) -> None:
        if half_life is not None and not half_life > 0:
            raise InputError(f"`half_life` must be above 0 days; got {half_life}.")
        self.data: TrainingData = model.data
        self.interests = Interests.of(self.data, graph)
        self.half_life = half_life
        self.prior: Prior = learn_prior(self.data.matrix, self.interests.joint)

    def users(self, user_ids: Any = None, history: Any = None) -> Asked:
        """Look users up once, for several calls; all of training for None, see `profile`."""
        if isinstance(user_ids, Asked):
            return user_ids
        data = self.data
        ids = data.users.ids if user_ids is None else asked_users(user_ids, distinct=True)
        users = user_batch(data, ids, history_log(history, data, ids))
        known = (users.index >= 0) | (np.diff(users.history.indptr) > 0)
        check_join(
            "user", "the request", known, "the model or the history", ours=ids, many=0,
            refuse=False, theirs=data.users.ids[:COMPARED],
            effect="They get the popular interests.",
        )  # fmt: skip
        return Asked(ids, users)

    def table(
        self, asked: Asked, *, k: int, titles: bool = False, items: np.ndarray | None = None
    ) -> pd.DataFrame:
        """Return the table of `profile`; O(interactions · topics of an item) and a sort of them.

        With `titles`, ``item_ids`` holds titles where items have them; with `items`, object
        [n_items], those texts.
        """
        names = self.item_titles if titles else self.item_ids
        names = names if items is None else items

        def work(block: tuple[int, UserBatch]) -> pd.DataFrame:
            low, part = block
            return self._block(asked.ids[low : low + len(part)], part, k, names)

        return pd.concat(map_pieces(work, _blocks(asked.users)), ignore_index=True)

    def _block(self, ids: np.ndarray, users: UserBatch, k: int, items: np.ndarray) -> pd.DataFrame:
        width = len(self.interests)
        found = posterior(self.interests.amounts(recent(users, self.half_life)), self.prior)
        links = links_of(users.history, self.interests.joint)
        codes = found.user * width + found.interest
        order = np.argsort(codes)
        count = np.zeros(len(codes), dtype=np.int64)
        count[order] = np.bincount(
            np.searchsorted(codes, links.pair, sorter=order), minlength=len(codes)
        )
        sure = (found.more >= MIN_PROBABILITY) & (count >= MIN_INTERACTIONS)
        order = np.lexsort((found.interest, -found.share, ~sure, found.user))
        chosen = order[place_in_group(found.user[order]) < k]
        table = pd.DataFrame(
            {
                USER_ID: ids[found.user[chosen]],
                "interest": np.asarray(self.interests.names, dtype=object)[found.interest[chosen]],
                "share": found.share[chosen],
                "weight": found.weight[chosen],
                "low": found.low[chosen],
                "high": found.high[chosen],
                "interactions": count[chosen],
                "established": sure[chosen],
            }
        )
        table = table.assign(**self._evidence(users, codes[chosen], links, items))
        empty = np.flatnonzero(~np.isin(np.arange(len(users)), found.user))
        if not len(empty):
            return table[list(PROFILE_COLUMNS)]
        popular = pd.concat([self.popular(k, items)] * len(empty), ignore_index=True)
        popular[USER_ID] = np.repeat(ids[empty], len(popular) // len(empty))
        both = pd.concat([table, popular]) if len(table) else popular
        place = pd.Index(ids).get_indexer(both[USER_ID])
        return both.iloc[np.argsort(place, kind="stable")][list(PROFILE_COLUMNS)]

    def popular(self, k: int, items: np.ndarray) -> pd.DataFrame:
        """Return the table of a user about whom nothing is known: the `k` most frequent interests.

        Its items are the most typical ones; no interaction, date or trend is of the user.
        """
        joint, liking = self.interests.joint, self.data.popularity
        top = np.argsort(-self.prior.shares, kind="stable")[:k]
        typical = self.interests.typical(liking, ITEMS_NAMED)[top]
        order = np.lexsort((-typical.data, entry_rows(typical)))
        row, item = entry_rows(typical), typical.indices[order]
        amount = sp.csr_matrix((sp.diags(liking) @ joint).T)[top]
        domain = sp.coo_matrix(amount @ domain_targets(self.data))
        by = np.lexsort((-domain.data, domain.row))
        names = np.asarray(self.data.domains, dtype=object)[domain.col[by]]
        share = self.prior.shares[top]
        return pd.DataFrame(
            {
                USER_ID: "",
                "interest": np.asarray(self.interests.names, dtype=object)[top],
                "share": share,
                "weight": 0.0,
                "domains": _joined(domain.row[by], names, len(top), limit=len(self.data.domains)),
                "first_seen": as_dates(np.full(len(top), NO_TIME)),
                "last_seen": as_dates(np.full(len(top), NO_TIME)),
                "trend": np.nan,
                "item_ids": _joined(row, items[item], len(top), limit=ITEMS_NAMED),
                "low": share,
                "high": share,
                "interactions": 0,
                "established": False,
            }
        )

    @cached_property
    def item_ids(self) -> np.ndarray:
        """Object [n_items], external ids of the items of all domains."""
        return np.concatenate([part.ids for part in self.data.items.values()])

    @cached_property
    def item_titles(self) -> np.ndarray:
        """Object [n_items], titles, or ids where there are none."""
        frames = (item_frame(self.data, domain) for domain in self.data.domains)
        titles = np.concatenate([frame[TITLE].to_numpy(object) for frame in frames])
        return np.where(titles == "", self.item_ids, titles)

    def _evidence(
        self, users: UserBatch, pairs: np.ndarray, links: Links, items: np.ndarray
    ) -> dict[str, Any]:
        """Return domains, dates, trend and typical items of pairs of a user and an interest."""
        n, order = len(pairs), np.argsort(pairs)
        at = np.searchsorted(pairs, links.pair, sorter=order)
        row = order[np.minimum(at, max(n - 1, 0))] if n else np.empty(0, np.int64)
        kept = pairs[row] == links.pair if n else np.zeros(len(links.pair), bool)
        row, entry, share = row[kept], links.entry[kept], links.share[kept]
        item = users.history.indices[entry]

        when = np.zeros(len(entry)) if users.order is None else users.order.data[entry]
        best = np.lexsort((item, -when, -share, row))
        domain = self.data.item_domain[item]
        wide = len(self.data.domains)
        code, place = np.unique(row * wide + domain, return_inverse=True)
        by = np.lexsort((-np.bincount(place, share, len(code)), code // wide))
        names = np.asarray(self.data.domains, dtype=object)[code[by] % wide]

        first = last = np.full(n, NO_TIME)
        if users.times is not None and n:
            first, last = np.full(n, np.iinfo(np.int64).max), np.zeros(n, np.int64)
            np.minimum.at(first, row, users.times.data[entry])
            np.maximum.at(last, row, users.times.data[entry])
        return {
            "domains": _joined(code[by] // wide, names, n, limit=wide),
            "first_seen": as_dates(first),
            "last_seen": as_dates(last),
            "trend": self._trend(users, pairs, row, entry, share),
            "item_ids": _joined(row[best], items[item[best]], n, limit=ITEMS_NAMED),
        }

    def _trend(
        self, users: UserBatch, pairs: np.ndarray, row: np.ndarray, entry: np.ndarray, share: Any
    ) -> np.ndarray:
        """Return the share in the later half of a history less that in the earlier; NaN if none."""
        if users.order is None:
            return np.full(len(pairs), np.nan)
        own, lengths = entry_rows(users.order), np.diff(users.order.indptr)
        sorting = np.lexsort((users.order.data, own))
        late = np.zeros(len(own), dtype=bool)
        late[sorting] = place_in_group(own[sorting]) >= (lengths / 2)[own[sorting]]
        has = np.asarray(self.interests.joint.sum(axis=1)).ravel()[users.order.indices]
        user, interest = np.divmod(pairs, len(self.interests))
        shares = []
        for half in (late, ~late):
            amount = np.bincount(row, share * half[entry], minlength=len(pairs))
            total = np.bincount(own, has * half, minlength=len(users))[user]
            usual = self.prior.strength * self.prior.shares[interest]
            shares.append((amount + usual) / (total + self.prior.strength))
        return np.asarray(shares[0] - shares[1])


def profile(
    model: Model | Profiler,
    user_ids: Any = None,
    *,
    history: Any = None,
    graph: InterestGraph | None = None,
    k: int = 10,
    half_life: float | None = HALF_LIFE,
) -> pd.DataFrame:
    """Return the interests of users, named, weighted, dated, with the items that show them.

    The weight of an interest is the logarithm of the odds of the user's share in it over those of
    the population, both by `gnn.interests.estimating.posterior`: it is 0 for a user who is like
    everybody. An interest is *established* where at least two interactions are of it and its share
    is above the population's with a probability of 90 %.

    Parameters
    ----------
    model
        A fitted model, whose topics and training interactions are used; or a `Profiler` of it,
        which has read them once for many calls, and whose `graph` and `half_life` then count.
    user_ids
        Users, known or not, as in `gnn.base.Model.recommend`; None for all users of training.
        Unknown ones get the popular interests, with a warning.
    history
        Interactions since training, or of users who arrived after it.
    graph
        Graph with the topics to use; None for those of the model.
    k
        Most interests of a user.
    half_life
        Days after which an interaction counts half, counted from the user's latest; None for all
        alike. Without times all count alike.

    Returns
    -------
    pandas.DataFrame
        user_id, interest, share (expected share of the user's interactions), weight, domains (most
        frequent first, joined by ``|``), first_seen, last_seen (UTC; NaT without times), trend
        (share in the later half of the history less that in the earlier; NaN without order),
        item_ids (of the user, most typical first, joined by ``|``), low, high (90 % credible
        interval of the share), interactions, established; sorted by user as given, established
        first, then by falling share.

    Raises
    ------
    ConfigError
        If there are no topics.
    InputError
        For an argument out of range.
    """
    k = whole_number("k", k, least=1)
    profiler = profiler_of(model, graph, half_life)
    return profiler.table(profiler.users(user_ids, history), k=k)


def _blocks(users: UserBatch) -> Iterator[tuple[int, UserBatch]]:
    """Yield parts of the users of about `BLOCK` interactions, each with its first row."""
    low = 0
    while True:
        end = users.history.indptr[low] + BLOCK
        high = max(low + 1, int(np.searchsorted(users.history.indptr, end, side="right")) - 1)
        yield low, users.rows_of(slice(low, high))
        low = high
        if low >= len(users):
            return


def profiler_of(
    model: Model | Profiler, graph: InterestGraph | None, half_life: float | None = HALF_LIFE
) -> Profiler:
    """Return a `Profiler` as it is, or that of a model."""
    if isinstance(model, Profiler):
        return model
    return Profiler(model, graph=graph, half_life=half_life)


def as_dates(milliseconds: np.ndarray) -> pd.DatetimeIndex:
    """Return UTC dates of int64 milliseconds since 1970; NaT for the least int64."""
    return pd.to_datetime(milliseconds.view("M8[ms]"), utc=True)


def links_of(history: sp.csr_matrix, joint: sp.csr_matrix) -> Links:
    """Return each interaction with each interest of its item; O(their number)."""
    counts = np.diff(joint.indptr)[history.indices]
    entry = np.repeat(np.arange(history.nnz), counts)
    at = np.repeat(joint.indptr[history.indices], counts) + place_in_group(entry)
    pair = entry_rows(history)[entry] * joint.shape[1] + joint.indices[at]
    return Links(pair, entry, joint.data[at])


def _joined(group: np.ndarray, texts: np.ndarray, n: int, *, limit: int) -> np.ndarray:
    """Return object [n], the first `limit` texts of each group joined; groups stand together.

    Examples
    --------
    >>> _joined(np.array([0, 0, 2]), np.array(["a", "b", "c"], dtype=object), 3, limit=5).tolist()
    ['a|b', '', 'c']
    """
    result = np.full(n, "", dtype=object)
    place = place_in_group(group)
    for number in range(min(limit, int(place.max(initial=-1)) + 1)):
        here = place == number
        if number:
            result[group[here]] += BETWEEN
        result[group[here]] += texts[here]
    return result
