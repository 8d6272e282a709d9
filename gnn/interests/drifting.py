"""How interests move: shares by window, drift with a permutation test, change points."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
import scipy.sparse as sp
from scipy.special import xlogy

from gnn.asked import whole_number
from gnn.data import known_times
from gnn.interests.estimating import DAY
from gnn.interests.profiling import NO_TIME, Profiler, as_dates, links_of, profiler_of
from gnn.numerics.sparse import entry_rows
from graphgen.arrays import place_in_group
from graphgen.errors import ConfigError, InputError
from graphgen.schema import USER_ID

if TYPE_CHECKING:
    from gnn.base import Model
    from graphgen.graph import InterestGraph

__all__ = ["change_points", "drift", "evolution", "window_days"]

# A history is cut at each eighth of its interactions, and the cut with the largest divergence
# counts; the permutations are cut in the same way.
PIECES: Final = 8
# Level of the permutation test of a user.
LEVEL: Final = 0.05
TINY, ROUNDING = 1e-12, 1e-9
# Interactions that are permuted at once.
TOGETHER: Final = 50_000
LATEST: Final = np.iinfo(np.int64).max
# Days of a unit of time.
UNITS: Final = {"": 1.0, "h": 1 / 24, "d": 1.0, "w": 7.0}
# Interactions of a segment, and the penalty of a change in variances · log(interactions).
MIN_SEGMENT, PENALTY = 3, 1.0
NO_RUPTURES = (
    "Change points need the package ruptures; install it with "
    "`pip install 'interest-expansion[interests]'`."
)


class _Cells:
    """The interests that each user has met, and the interactions with each."""

    def __init__(self, history: sp.csr_matrix, joint: sp.csr_matrix) -> None:
        links = links_of(history, joint)
        codes, self.place = np.unique(links.pair, return_inverse=True)
        self.user, self.interest = np.divmod(codes, joint.shape[1])
        self.entry, self.share = links.entry, links.share
        self.of_user = sp.csr_matrix(
            (np.ones(len(codes)), (self.user, np.arange(len(codes)))),
            shape=(history.shape[0], len(codes)),
        )

    def counted(self, bucket: np.ndarray, n_buckets: int) -> np.ndarray:
        """Return float64 [pairs, buckets], amounts by the bucket of each interaction."""
        code = self.place * n_buckets + bucket[self.entry]
        size = len(self.user) * n_buckets
        return np.bincount(code, self.share, minlength=size).reshape(-1, n_buckets)

    def gains(self, piece: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return [n, cuts] interactions · divergence in nats, and [pairs, cuts + 1] sums so far."""
        so_far = self.counted(piece, PIECES).cumsum(axis=1)
        before, total = so_far[:, :-1], so_far[:, -1:]
        own = self.of_user @ so_far
        return self.of_user @ _split(before, total) - _split(own[:, :-1], own[:, -1:]), so_far

    def most(self, value: np.ndarray, n: int) -> np.ndarray:
        """Return int64 [n], the interest with the largest value of each user; -1 without any."""
        order = np.lexsort((-value, self.user))
        first = order[place_in_group(self.user[order]) == 0]
        result = np.full(n, -1)
        result[self.user[first]] = self.interest[first]
        return result


def _split(before: np.ndarray, total: np.ndarray) -> np.ndarray:
    after = np.maximum(total - before, 0.0)
    return np.asarray(xlogy(before, before) + xlogy(after, after) - xlogy(total, total))


def _distance(left: np.ndarray, right: np.ndarray, of_user: sp.csr_matrix) -> np.ndarray:
    """Return [n], the Jensen-Shannon distance (base 2) of amounts [pairs] by user."""
    users = of_user.tocoo()
    owner = np.empty(len(left), np.int64)
    owner[users.col] = users.row
    p, q = (x / np.maximum(of_user @ x, TINY)[owner] for x in (left, right))
    both = of_user @ (_split(p, p + q) + (p + q) * np.log(2))
    return np.asarray(np.sqrt(np.clip(both / np.log(4), 0, 1)))


def drift(
    model: Model | Profiler,
    user_ids: Any = None,
    *,
    history: Any = None,
    graph: InterestGraph | None = None,
    permutations: int = 199,
    seed: int = 0,
) -> pd.DataFrame:
    """Test whether the interests of users have changed, and say when, and from what to what.

    The Jensen-Shannon divergence between the interests before and after a cut, times the
    interactions, is compared with that of the same interactions in a random order. Interactions of
    one day stay together: what is bought at once is no change. Cuts are at the eighths of a
    history, and the largest value counts, so the moment need not be known.
    O(permutations · (nnz log nnz + interests met)), no loop over users.

    Parameters
    ----------
    model
        A fitted model, or a `Profiler` of it.
    user_ids, history, graph
        As in `gnn.interests.profile`.
    permutations
        Random orders; p-values are multiples of 1 / (permutations + 1).
    seed
        Seed of the orders.

    Returns
    -------
    pandas.DataFrame
        user_id, interactions, distance (Jensen-Shannon distance between before and after, in [0,
        1]), p_value, drifts (p_value at most .05), since (UTC, the first interaction after the
        cut), away_from, towards (the interests whose shares fell and rose most); one row a user,
        in the order given. Users with less than two days of interactions have p_value 1.

    Raises
    ------
    ConfigError
        If the log has no times, or there are no topics.

    References
    ----------
    Lin, "Divergence measures based on the Shannon entropy", IEEE Trans. Inf. Theory 1991.
    """
    permutations = whole_number("permutations", permutations, least=19)
    profiler = profiler_of(model, graph)
    ids, users = profiler.users(user_ids, history)
    times, joint, n = known_times(users), profiler.interests.joint, len(ids)
    cells = _Cells(users.history, joint)
    row, when = entry_rows(times), times.data
    has = np.diff(joint.indptr)[times.indices] > 0
    length = np.bincount(row, has, minlength=n).astype(np.int64)
    day = when // DAY
    day = np.unique(row * (1 + day.max(initial=0)) + day, return_inverse=True)[1]

    def pieces(rank: np.ndarray) -> np.ndarray:
        """Return the piece of each interaction, when they stand in the order of `rank`.

        `rank` may hold several orders one after the other.
        """
        copies = len(rank) // max(1, len(row))
        whose = (n * np.arange(copies)[:, None] + row).ravel()
        counted, lengths = np.tile(has, copies), np.tile(length, copies)
        order = np.lexsort((rank, whose))
        own = whose[order]
        first = (np.cumsum(lengths) - lengths)[own]
        place = np.cumsum(counted[order]) - counted[order] - first
        piece = np.empty(len(rank), dtype=np.int64)
        piece[order] = np.minimum(place * PIECES // np.maximum(lengths[own], 1), PIECES - 1)
        return piece

    seen = pieces(when)
    gain, so_far = cells.gains(seen)
    cut, gain = gain.argmax(axis=1), gain.max(axis=1)
    generator, above = np.random.default_rng(seed), np.ones(n)
    # Of few users many permutations at once.
    copies = min(permutations, max(1, TOGETHER // max(1, len(row))))
    copied = _Cells(sp.vstack([users.history] * copies, format="csr"), joint)
    for low in range(0, permutations, copies):
        ranks = generator.random((copies, len(row)))[:, day].ravel()
        other = copied.gains(pieces(ranks))[0].max(axis=1).reshape(copies, n)
        above += (other[: permutations - low] >= gain - ROUNDING).sum(axis=0)

    before = so_far[np.arange(len(so_far)), cut[cells.user]]
    after = so_far[:, -1] - before
    sizes = [np.maximum(cells.of_user @ part, TINY)[cells.user] for part in (before, after)]
    change = after / sizes[1] - before / sizes[0]
    late = (seen > cut[row]) & has
    since = np.full(n, LATEST)
    np.minimum.at(since, row[late], when[late])
    since[since == LATEST] = NO_TIME
    names = np.asarray([*profiler.interests.names, ""], dtype=object)
    p_value = above / (permutations + 1)
    return pd.DataFrame(
        {
            USER_ID: ids,
            "interactions": length,
            "distance": _distance(before, after, cells.of_user),
            "p_value": p_value,
            "drifts": p_value <= LEVEL,
            "since": as_dates(since),
            "away_from": names[cells.most(-change, n)],
            "towards": names[cells.most(change, n)],
        }
    )


def window_days(text: str | float) -> float:
    """Return the days of a window such as ``"90d"``, ``"12h"``, ``"8w"`` or 90.

    Raises
    ------
    InputError
        If it is no length of time above 0.

    Examples
    --------
    >>> window_days("2w"), window_days(90)
    (14.0, 90.0)
    """
    match = re.fullmatch(r"\s*([0-9.]+)\s*([hdw]?)\s*", str(text).lower())
    try:
        days = float(match[1]) * UNITS[match[2]] if match else 0.0
    except ValueError:
        days = 0.0
    if not 0 < days < float("inf"):
        raise InputError(f"`windows` is a length of time, such as 90d or 8w; got {text!r}.")
    return days


def evolution(
    model: Model | Profiler,
    user_ids: Any = None,
    *,
    history: Any = None,
    graph: InterestGraph | None = None,
    windows: str | float = "90d",
) -> pd.DataFrame:
    """Return the shares of users' interests in windows of time; O(nnz log nnz).

    The last window of a user ends with the latest interaction; windows without any interaction are
    left out. Shares are those expected under the prior of `gnn.interests.profile`, so that those
    of a window with one interaction stay near the population's.

    Parameters
    ----------
    model, user_ids, history, graph
        As in `drift`.
    windows
        Length of a window: days, or a text such as "90d" or "8w".

    Returns
    -------
    pandas.DataFrame
        user_id, start, end (UTC), interactions (in the window), interest, share, distance
        (Jensen-Shannon distance to the window before, in [0, 1]; NaN for the first), for each
        interest that the user has met at any time; sorted by user as given, time, falling share.

    Raises
    ------
    ConfigError, InputError
        If the log has no times, or there are no topics; if `windows` is no length of time.
    """
    length = int(window_days(windows) * DAY)
    profiler = profiler_of(model, graph)
    ids, users = profiler.users(user_ids, history)
    times, joint = known_times(users), profiler.interests.joint
    row, when = entry_rows(times), times.data
    last = np.zeros(len(ids), dtype=np.int64)
    np.maximum.at(last, row, when)
    back = (last[row] - when) // length
    # Each window of a user as a user of its own, in the order of time.
    codes, own = np.unique(row * (1 + back.max(initial=0)) - back, return_inverse=True)
    owner = np.zeros(len(codes), np.int64)
    owner[own] = row
    ago = np.zeros(len(codes), np.int64)
    ago[own] = back
    shape = (len(codes), joint.shape[0])
    amounts = profiler.interests.amounts(
        sp.csr_matrix((np.ones(len(own), np.float32), (own, times.indices)), shape)
    )
    met = _Cells(users.history, joint)
    # Every interest that the user has met, in every window of the user.
    first = np.searchsorted(met.user, owner)
    count = np.searchsorted(met.user, owner, side="right") - first
    window = np.repeat(np.arange(len(codes)), count)
    cell = np.repeat(first, count) + place_in_group(window)
    interest = met.interest[cell]
    amount = np.asarray(amounts[window, interest]).ravel().astype(np.float64)
    total = np.asarray(amounts.sum(axis=1)).ravel()
    prior = profiler.prior
    share = (amount + prior.strength * prior.shares[interest]) / (total + prior.strength)[window]

    of_window = sp.csr_matrix(
        (np.ones(len(window)), (window, np.arange(len(window)))), (len(codes), len(window))
    )
    earlier = np.zeros(len(amount))
    follows = np.flatnonzero(np.diff(owner, prepend=-1) == 0)
    # The cells of two windows of one user stand in the same order, one window apart.
    here = np.isin(window, follows)
    earlier[here] = amount[np.flatnonzero(here) - count[window[here]]]
    distance = np.full(len(codes), np.nan)
    distance[follows] = _distance(earlier, amount, of_window)[follows]
    end = last[owner] - ago * length
    order = np.lexsort((interest, -share, window))
    window, interest = window[order], interest[order]
    return pd.DataFrame(
        {
            USER_ID: ids[owner[window]],
            "start": as_dates(end[window] - length),
            "end": as_dates(end[window]),
            "interactions": np.bincount(own, minlength=len(codes))[window],
            "interest": np.asarray(profiler.interests.names, dtype=object)[interest],
            "share": share[order],
            "distance": distance[window],
        }
    )


def change_points(
    model: Model | Profiler,
    user_ids: Any,
    *,
    history: Any = None,
    graph: InterestGraph | None = None,
) -> pd.DataFrame:
    """Return the moments at which the interests of users changed, by an optimal segmentation.

    Segments of the sequence of a user's interactions, each as the square roots of its shares in
    interests, with the least squared distance from their means and a penalty for each; PELT, whose
    cost is about linear in the interactions of a user. Meant for the users that `drift` finds.

    Parameters
    ----------
    model, user_ids, history, graph
        As in `drift`.

    Returns
    -------
    pandas.DataFrame
        user_id, since (UTC, the first interaction after the change); no row without a change.

    Raises
    ------
    ConfigError
        If the log has no times, there are no topics, or the package ruptures is missing.

    References
    ----------
    Killick, Fearnhead and Eckley, "Optimal detection of changepoints with a linear computational
    cost", JASA 2012; Truong, Oudre and Vayatis, "Selective review of offline change point
    detection methods", Signal Processing 2020.
    """
    try:
        import ruptures
    except ImportError as error:
        raise ConfigError(NO_RUPTURES) from error
    profiler = profiler_of(model, graph)
    ids, users = profiler.users(user_ids, history)
    times, joint = known_times(users), profiler.interests.joint
    rows = []
    for number, user in enumerate(ids):
        own = slice(times.indptr[number], times.indptr[number + 1])
        item, when = times.indices[own], times.data[own]
        kept = np.diff(joint.indptr)[item] > 0
        order = np.argsort(when[kept], kind="stable")
        signal, when = joint[item[kept][order]], when[kept][order]
        signal = np.sqrt(signal[:, np.unique(signal.indices)].toarray())
        if len(signal) < 2 * MIN_SEGMENT:
            continue
        # The penalty of a change: as many variances as BIC takes for a mean, of one dimension.
        penalty = signal.var(axis=0).sum() * np.log(len(signal)) * PENALTY
        search = ruptures.KernelCPD(kernel="linear", min_size=MIN_SEGMENT)
        found = search.fit_predict(signal, pen=penalty)
        rows += [(user, when[place]) for place in found[:-1]]
    since = np.array([when for _, when in rows], dtype=np.int64)
    return pd.DataFrame({USER_ID: [user for user, _ in rows], "since": as_dates(since)})
