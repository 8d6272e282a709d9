"""Ranked lists of users: top-k over candidates, one list over several domains, reasons, titles."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np
import pandas as pd

from gnn.candidates import item_frame
from gnn.data import TrainingData, UserBatch
from graphgen.arrays import place_in_group
from graphgen.errors import counted
from graphgen.joins import COMPARED, check_join
from graphgen.pieces import map_pieces
from graphgen.progress import progress_bar
from graphgen.schema import DOMAIN, ITEM_ID, PROPENSITY, RANK, SCORE, TITLE, USER_ID
from graphgen.topk import tie_noise, top_k

__all__ = [
    "FALLBACKS",
    "Chooser",
    "Options",
    "RandomChooser",
    "Ranker",
    "fallbacks",
    "ranked_lists",
    "reordered",
    "warn_of_unknown",
]

logger = logging.getLogger(__name__)

# Reasons of a list, by code; the first stands for the model itself.
FALLBACKS = (
    "",
    "popularity: unknown user",
    "popularity: no history in any domain",
    "popularity: user not in training",
    "popularity: the model has no score",
)
REASON = "reason"
# Number of an item in the joint index, while lists over several domains are made.
COLUMN = "column"
# Scores by which a row is first asked whether it is constant.
FEW_SCORES = 64
# Users whose candidates of all domains are in memory at once, for lists over several.
MIXED_USERS = 4_096


class Ranker(Protocol):
    """The part of a model that ranking needs."""

    name: ClassVar[str]

    @property
    def data(self) -> TrainingData:
        """Training data."""
        ...

    def blocks(self, users: UserBatch, domain: str) -> Iterator[tuple[int, UserBatch]]:
        """Yield parts of the users that are scored at once, each with its first row."""
        ...

    def scored(self, users: UserBatch, domain: str) -> tuple[np.ndarray, np.ndarray]:
        """Return scores [n, items] and the code of each user's reason [n]; see `FALLBACKS`."""
        ...


class Chooser(Protocol):
    """What chooses a list out of candidates, such as `gnn.interests.reranking.Reranker`."""

    def depth(self, k: int) -> int:
        """Return how many candidates a list of `k` is chosen from."""
        ...

    def __call__(
        self, users: UserBatch, columns: np.ndarray, scores: np.ndarray, k: int
    ) -> np.ndarray:
        """Return the places [n, k] of chosen candidates [n, m] of the joint index, best first."""
        ...


@runtime_checkable
class RandomChooser(Chooser, Protocol):
    """A chooser that knows the probability of what it chose: `gnn.live.exploration.Explorer`."""

    def chosen(
        self, users: UserBatch, columns: np.ndarray, scores: np.ndarray, k: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the places of `Chooser`, and float64 [n, k], the probability of each."""
        ...


@dataclass(frozen=True)
class Options:
    """Options of `gnn.base.Model.recommend` that shape the lists."""

    k: int
    exclude_seen: bool
    allowed: Mapping[str, np.ndarray] | None
    mix: bool
    titles: bool
    reasons: bool
    seed: int
    progress: bool
    rerank: Chooser | None = None

    @property
    def depth(self) -> int:
        """Candidates of each list."""
        return self.k if self.rerank is None else self.rerank.depth(self.k)


def ranked_lists(
    model: Ranker,
    users: UserBatch,
    ids: np.ndarray,
    wanted: Mapping[str, np.ndarray],
    options: Options,
) -> pd.DataFrame:
    """Return the table of `gnn.base.Model.recommend`; O(users · items) and a sort of the lists.

    `wanted` holds by domain the places of the users who get a list there.
    """
    data, k, domains = model.data, options.k, list(wanted)
    chooser = options.rerank
    logged = chooser if isinstance(chooser, RandomChooser) and not options.mix else None
    if options.mix and chooser is not None and len(users) > MIXED_USERS:
        parts = []
        for low in range(0, len(users), MIXED_USERS):
            part = slice(low, low + MIXED_USERS)
            here = {
                name: rows[(rows >= low) & (rows < low + MIXED_USERS)] - low
                for name, rows in wanted.items()
            }
            parts.append(ranked_lists(model, users.rows_of(part), ids[part], here, options))
        return pd.concat(parts, ignore_index=True)

    def rank(target: str, block: tuple[int, UserBatch]) -> tuple[int, list[np.ndarray]]:
        """Return the size of a block and its rows: user, item, score, rank, reason."""
        low, part = block
        scores, why = model.scored(part, target)
        if options.exclude_seen:
            scores[part.seen_cells(data.span(target))] = -np.inf
        if options.allowed is not None:
            scores[:, ~options.allowed[target]] = -np.inf
        indices, values = top_k(scores, options.depth, keys=part.keys, seed=options.seed)
        if options.mix:
            values = _relative(values, scores)
        elif chooser is not None:
            joint = np.where(indices >= 0, indices + data.span(target).start, -1)
            if logged is None:
                places = chooser(part, joint, values, k)
            else:
                places, chance = logged.chosen(part, joint, values, k)
            values = np.take_along_axis(values, places, axis=1)
            indices = np.where(places >= 0, np.take_along_axis(indices, places, axis=1), -1)
        row, column = np.nonzero(indices >= 0)
        columns = [row + low, indices[row, column], values[row, column], column + 1, why[row]]
        if logged is not None:
            columns.append(chance[row, column])
        return len(part), columns

    parts = []
    total = sum(map(len, wanted.values()))
    with progress_bar("Recommending", total, enabled=options.progress) as advance:
        for number, target in enumerate(domains):
            these = wanted[target]
            work, blocks = partial(rank, target), model.blocks(users.rows_of(these), target)
            ranked = map_pieces(work, blocks, done=lambda block: advance(block[0]))
            if not ranked:  # nobody is asked for
                ranked = [(0, [np.empty(0, np.int64)] * 6)]
            columns = zip(*(rows for _, rows in ranked), strict=True)
            user, item, score, place, why, *chances = map(np.concatenate, columns)
            table = {USER_ID: these[user], DOMAIN: number, ITEM_ID: data.items[target].decode(item)}
            table |= {SCORE: score, RANK: place}
            if options.mix and chooser is not None:
                table[COLUMN] = item + data.span(target).start
            if logged is not None:
                table[PROPENSITY] = chances[0]
            if options.titles:
                table[TITLE] = item_frame(data, target)[TITLE].to_numpy(object)[item]
            if options.reasons:
                names = np.array([model.name, *FALLBACKS[1:]], dtype=object)
                table[REASON] = names[why]
            parts.append(pd.DataFrame(table))
    lists = pd.concat(parts, ignore_index=True)
    if options.mix:
        lists = _mixed(lists, users.keys, options.depth, options.seed)
        if chooser is not None:
            row, column = lists[USER_ID].to_numpy(), lists.pop(COLUMN).to_numpy()
            kept, place = reordered(users, row, column, lists[SCORE].to_numpy(), k, chooser)
            lists = lists.iloc[kept].assign(**{RANK: place}).reset_index(drop=True)
    else:
        order = np.lexsort((lists[RANK], lists[DOMAIN], lists[USER_ID]))
        lists = lists.iloc[order].reset_index(drop=True)
    n_lists = len(set().union(*wanted.values())) if options.mix else total
    _warn_of_short(len(lists), n_lists, lists, k)
    lists[USER_ID] = ids[lists[USER_ID]]
    lists[DOMAIN] = np.asarray(domains, dtype=object)[lists[DOMAIN]]
    return lists


def _relative(values: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return values as a share of the way from the user's mean score in the domain to the best."""
    candidates = np.isfinite(scores)
    number = np.maximum(candidates.sum(axis=1), 1)
    mean = np.where(candidates, scores, 0).sum(axis=1, dtype=np.float64) / number
    spread = values[:, 0] - mean
    shifted = values - mean[:, None]
    scaled = np.divide(
        shifted, spread[:, None], out=np.ones_like(shifted), where=spread[:, None] > 0
    )
    relative: np.ndarray = scaled.astype(np.float32)
    return relative


def _mixed(lists: pd.DataFrame, keys: np.ndarray, k: int, seed: int) -> pd.DataFrame:
    """Merge the lists of a user over the domains; the best relative score first."""
    user = lists[USER_ID].to_numpy()
    noise = tie_noise(keys[user], lists[DOMAIN].to_numpy(np.int64), seed=seed)
    order = np.lexsort((lists[RANK], noise, -lists[SCORE].to_numpy(), user))
    place = place_in_group(user[order]) + 1
    merged = lists.iloc[order].assign(**{RANK: place})
    return merged[place <= k].reset_index(drop=True)


def reordered(
    users: UserBatch,
    row: np.ndarray,
    column: np.ndarray,
    scores: np.ndarray,
    k: int,
    chooser: Chooser,
) -> tuple[np.ndarray, np.ndarray]:
    """Choose lists out of candidates that stand one after the other, the best of a user first.

    Parameters
    ----------
    users
        The users whose candidates these are.
    row, column, scores
        Of each candidate, the place of its user in `users`, not falling; its item in the joint
        index; its score.
    k, chooser
        Length of the lists, and what chooses them.

    Returns
    -------
    tuple of numpy.ndarray
        Which candidates were chosen, list by list, and their rank, from 1.
    """
    place = place_in_group(row)
    shape = (len(users), int(place.max(initial=0)) + 1)
    number, columns = np.full(shape, -1), np.full(shape, -1)
    values = np.full(shape, -np.inf, dtype=np.float32)
    number[row, place], columns[row, place] = np.arange(len(row)), column
    values[row, place] = scores
    places = chooser(users, columns, values, k)
    of, rank = np.nonzero(places >= 0)
    return number[of, places[of, rank]], rank + 1


def _warn_of_short(rows: int, n_lists: int, lists: pd.DataFrame, k: int) -> None:
    if rows == n_lists * k:
        return
    full = int((lists[RANK] == k).sum())
    logger.warning(
        "%s of %s lists %s shorter than k=%d: no more candidates are left.",
        f"{n_lists - full:,}",
        f"{n_lists:,}",
        "is" if n_lists - full == 1 else "are",
        k,
    )


def warn_of_unknown(model: Ranker, users: UserBatch, ids: np.ndarray, known: np.ndarray) -> None:
    """Say how many users get popular items: unknown ones, and others who are not `known`.

    Raises
    ------
    InputError
        If all are unknown, and another spelling of their ids is known.
    """
    new = ~known & (users.index < 0)
    check_join(
        "user", "the request", ~new, "the model or the history", ours=ids, many=0, refuse=False,
        theirs=model.data.users.ids[:COMPARED], effect="They get popular items.",
    )  # fmt: skip
    others = int((~known & ~new).sum())
    if others:
        logger.warning("%s without a like: popular items.", counted(others, "user"))


def fallbacks(users: UserBatch, scores: np.ndarray, *, known: np.ndarray) -> np.ndarray:
    """Return int64 [n], the place in `FALLBACKS` of each user.

    A constant row of scores ranks nothing, and popularity takes its place.
    """
    # Some models know users without a history, by their texts.
    empty = ~known & (np.diff(users.history.indptr) == 0)
    cases = [empty & (users.index < 0), empty, ~known, _constant(scores)]
    return np.select(cases, range(1, 1 + len(cases)), 0)


def _constant(scores: np.ndarray) -> np.ndarray:
    """Return bool [n], whether a row is constant; the first few scores decide most rows."""
    few = scores[:, :FEW_SCORES]
    result: np.ndarray = few.min(axis=1) == few.max(axis=1)
    rest = scores[result]
    result[result] = rest.min(axis=1) == rest.max(axis=1)
    return result
