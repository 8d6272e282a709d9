"""Held-out rows of a model: their kinds, and the quality of a ranking of them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from operator import attrgetter
from typing import Any, TypeAlias

import numpy as np
import scipy.sparse as sp
import torch

from gnn.data import TrainingData, UserBatch
from graphgen.errors import InputError, counted
from graphgen.joins import check_items, check_join
from graphgen.log import InteractionLog
from graphgen.pieces import map_pieces
from graphgen.schema import DOMAIN, ITEM_ID, USER_ID

__all__ = [
    "COLD_ITEM",
    "KINDS",
    "MIN_USERS",
    "SEEN_SCORE",
    "TOP",
    "WARM_ITEM_KINDS",
    "Group",
    "MeanByGroup",
    "RankingQuality",
    "Scores",
    "ValidationBlock",
    "ValidationRows",
    "averaging",
    "best_labels",
    "measure",
]

logger = logging.getLogger(__name__)

VALIDATION = "the validation rows"
KINDS = ("warm", "cold_user", "cold_item")
# Positions in `KINDS`: rows of items with interactions, and of items without.
WARM_ITEM_KINDS, COLD_ITEM = (0, 1), 2
# Length of the evaluated lists.
TOP = 20
# With fewer users than this a domain does not count on its own, nor a kind beside a larger one.
MIN_USERS = 20
# Scores of a block: in large catalogues fewer users make one.
MAX_SCORES = 1 << 24
# Users of a block: all experts' scores of a block are in memory at once.
BLOCK_USERS = 128
# Below every score, for items that a user has interacted with.
SEEN_SCORE = -1e30

# A kind, by its position in `KINDS`, and a domain.
Group: TypeAlias = tuple[int, str]
# Scores [n, items of a domain] of users by each candidate, one after the other; changed in place.
Scores: TypeAlias = Callable[[UserBatch], Iterable[torch.Tensor]]


@dataclass(frozen=True)
class ValidationBlock:
    """Some users of one domain.

    Attributes
    ----------
    domain
        Name.
    users
        int64 [n], rows of the training matrix.
    truth
        CSR [n, items of the domain], 1 + the position in `KINDS` of each held-out interaction.
    """

    domain: str
    users: np.ndarray
    truth: sp.csr_matrix

    def labels(self) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Return `truth` as a tensor [n, items], and by kind, int64 [n], each user's number."""
        label = torch.from_numpy(self.truth.astype(np.int8).toarray())
        return label, [(label == kind + 1).sum(1) for kind in range(len(KINDS))]


@dataclass(frozen=True)
class ValidationRows:
    """Held-out interactions as indices, each of a kind that the training graph determines.

    Attributes
    ----------
    user, item
        int64 [n], rows and columns of the training matrix.
    domain
        int64 [n], position of the domain.
    kind
        int64 [n], position in `KINDS`: a cold item has no training interaction; a cold user has
        none in the domain.
    """

    user: np.ndarray
    item: np.ndarray
    domain: np.ndarray
    kind: np.ndarray

    @classmethod
    def of(cls, truth: InteractionLog, data: TrainingData) -> ValidationRows:
        """Look up the likes whose user and item the training data holds; O(rows log rows).

        Rows of others, and those that are trained on, are counted and left out.

        Raises
        ------
        InputError
            If all rows are left out.
        """
        frame = truth.frame[truth.liked]
        ours = frame[USER_ID].unique()
        found = data.users.encode(ours, missing="mark") >= 0
        sides: dict[str, Any] = {"ours": ours, "theirs": data.users.ids}
        effect = "Their rows are left out."
        check_join("user", VALIDATION, found, "the graph", **sides, effect=effect)
        check_items(VALIDATION, frame, data.items, "the graph", effect=effect)
        user = data.users.encode(frame[USER_ID], missing="mark")
        item = np.full(len(user), -1, dtype=np.int64)
        domain = np.full(len(user), -1, dtype=np.int64)
        own = np.zeros(len(user), dtype=np.int64)
        names = frame[DOMAIN].astype(object).to_numpy()
        for number, name in enumerate(data.domains):
            rows = np.flatnonzero(names == name)
            span = data.span(name)
            local = data.items[name].encode(frame[ITEM_ID].iloc[rows], missing="mark")
            item[rows] = np.where(local >= 0, local + span.start, -1)
            domain[rows] = number
            history = np.diff(data.matrix[:, span].indptr)
            own[rows] = history[np.maximum(user[rows], 0)]
        kept = np.flatnonzero((user >= 0) & (item >= 0))
        # A repeated row is one interaction.
        pairs = user[kept] * data.n_items + item[kept]
        kept = kept[np.sort(np.unique(pairs, return_index=True)[1])]
        trained = np.asarray(data.matrix[user[kept], item[kept]]).ravel() != 0
        if len(frame) and (not len(kept) or trained.all()):
            why = "are training interactions" if len(kept) else "name a user or an item it lacks"
            raise InputError(
                f"All {counted(len(frame), 'validation row')} {why}: nothing is left to validate "
                "on. Give rows that the graph was not built from, or none: then rows are held out."
            )
        if trained.any():
            logger.warning(
                "%s of %s are training interactions; they are left out.",
                f"{trained.sum():,}",
                counted(len(frame), "validation row"),
            )
            kept = kept[~trained]
        user, item, domain, own = user[kept], item[kept], domain[kept], own[kept]
        kind = np.where(~data.warm[item], COLD_ITEM, np.where(own == 0, 1, 0))
        return cls(user, item, domain, kind)

    def __len__(self) -> int:
        return len(self.user)

    def of_kinds(self, kinds: Sequence[int] = WARM_ITEM_KINDS) -> ValidationRows:
        """Return the rows of some kinds; by default those of items with interactions."""
        kept = np.isin(self.kind, kinds)
        return ValidationRows(self.user[kept], self.item[kept], self.domain[kept], self.kind[kept])

    def blocks(
        self, data: TrainingData, *, max_users: int, total: int = 0, seed: int
    ) -> Iterator[ValidationBlock]:
        """Yield a sample of users, domain by domain.

        Parameters
        ----------
        data
            Training data.
        max_users, total
            Users of each kind: at most `max_users` in a domain, or the domain's share of `total`
            over all domains if that is more.
        seed
            Draws the users.
        """
        generator = np.random.default_rng(seed)
        max_users = max(max_users, total // len(data.domains))
        for number, name in enumerate(data.domains):
            own = self.domain == number
            chosen = [np.unique(self.user[own & (self.kind == kind)]) for kind in range(len(KINDS))]
            drawn = [
                users
                if len(users) <= max_users
                else generator.choice(users, max_users, replace=False)
                for users in chosen
            ]
            users = np.unique(np.concatenate(drawn))
            span = data.span(name)
            own &= np.isin(self.user, users)
            place = np.searchsorted(users, self.user[own])
            truth = sp.csr_matrix(
                (self.kind[own] + 1, (place, self.item[own] - span.start)),
                shape=(len(users), span.stop - span.start),
            )
            step = min(BLOCK_USERS, max(1, MAX_SCORES // max(1, span.stop - span.start)))
            for low in range(0, len(users), step):
                yield ValidationBlock(name, users[low : low + step], truth[low : low + step])


def averaging(users: Mapping[Group, int]) -> list[tuple[float, list[Group]]]:
    """Return pools of groups and the weight of each pool's mean; the weights sum to 1.

    Kinds count alike, and in a kind its domains. A domain with fewer than 20 users of a kind is
    left out beside larger ones; where all are smaller they are one pool. A kind with fewer than 20
    users is left out beside a larger one.

    Parameters
    ----------
    users
        Number of users by group.

    Examples
    --------
    >>> averaging({(0, "book"): 20, (0, "film"): 3, (1, "book"): 12, (1, "film"): 9})
    [(0.5, [(0, 'book')]), (0.5, [(1, 'book'), (1, 'film')])]
    """
    kinds: dict[int, list[Group]] = {}
    for group in sorted(group for group, number in users.items() if number):
        kinds.setdefault(group[0], []).append(group)
    total = {kind: sum(users[group] for group in own) for kind, own in kinds.items()}
    large = [kind for kind in kinds if total[kind] >= MIN_USERS] or list(kinds)
    pools = []
    for kind in large:
        own = [[group] for group in kinds[kind] if users[group] >= MIN_USERS] or [kinds[kind]]
        pools += [(1 / (len(large) * len(own)), pool) for pool in own]
    return pools


def best_labels(scores: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    """Return the labels [n, 20] (or fewer) of the best scores in each row of [n, c], best first."""
    return label.gather(1, scores.topk(min(TOP, scores.shape[1]), dim=1).indices)


class MeanByGroup:
    """Values of users, averaged over kinds, domains and users as `averaging` says."""

    def __init__(self) -> None:
        self._values: dict[Group, list[torch.Tensor]] = {}

    def add_values(self, group: Group, values: torch.Tensor) -> None:
        """Add a value for each of some users of a group, float64 [n]."""
        self._values.setdefault(group, []).append(values)

    def users(self, kinds: Sequence[int] = WARM_ITEM_KINDS) -> dict[Group, int]:
        """Return the number of users by group of some kinds."""
        return {
            group: sum(map(len, values))
            for group, values in self._values.items()
            if group[0] in kinds
        }

    def mean(self, kinds: Sequence[int] = WARM_ITEM_KINDS) -> float:
        """Return the mean over some kinds; 0 without any user."""
        return sum(weight * float(values.mean()) for weight, values in self._pools(kinds))

    def by_kind(self, kinds: Sequence[int] = WARM_ITEM_KINDS) -> dict[str, float]:
        """Return the mean of each of some kinds that counts."""
        counting = {pool[0][0] for _, pool in averaging(self.users(kinds))}
        return {KINDS[kind]: self.mean((kind,)) for kind in sorted(counting)}

    def gain_over(
        self, other: MeanByGroup, kinds: Sequence[int] = WARM_ITEM_KINDS
    ) -> tuple[float, float]:
        """Return the difference of `mean` and its standard error over the same users.

        With one user in a pool the error is infinite.
        """
        variance = 0.0
        for (weight, ours), (_, theirs) in zip(
            self._pools(kinds), other._pools(kinds), strict=True
        ):
            spread = float((ours - theirs).var()) if len(ours) > 1 else np.inf
            variance += weight**2 * spread / len(ours)
        return self.mean(kinds) - other.mean(kinds), float(variance**0.5)

    def _pools(self, kinds: Sequence[int]) -> list[tuple[float, torch.Tensor]]:
        return [
            (weight, torch.cat([part for group in pool for part in self._values[group]]))
            for weight, pool in averaging(self.users(kinds))
        ]


class RankingQuality(MeanByGroup):
    """NDCG@20 by user, averaged over kinds, domains and users.

    Examples
    --------
    >>> quality = RankingQuality()
    >>> label = torch.tensor([[0, 1, 0]])  # The second item is a held-out one of kind 0.
    >>> quality.add("book", best_labels(torch.tensor([[0.1, 0.9, 0.3]]), label), [torch.ones(1)])
    >>> quality.mean()
    1.0
    """

    def __init__(self) -> None:
        super().__init__()
        self._discount = 1 / torch.log2(torch.arange(2, TOP + 2, dtype=torch.float32))
        self._ideal = self._discount.cumsum(0)

    def add(self, domain: str, found: torch.Tensor, relevant: Sequence[torch.Tensor]) -> None:
        """Add a block of users.

        Parameters
        ----------
        domain
            Its domain.
        found
            As `best_labels` gives it: 1 + the kind of a held-out item, else 0.
        relevant
            By kind, [n]: the number of each user's held-out items, among the candidates or not.
        """
        for kind, counts in enumerate(relevant):
            some = counts > 0
            if not some.any():
                continue
            gained = (found == kind + 1).float() @ self._discount[: found.shape[1]]
            ndcg = gained[some] / self._ideal[counts[some].long().clamp(max=TOP) - 1]
            self.add_values((kind, domain), ndcg.double())


def measure(
    candidates: Callable[[str], Scores], data: TrainingData, blocks: Iterable[ValidationBlock]
) -> list[RankingQuality]:
    """Return how well each candidate ranks the held-out items of some users.

    Items of a user's history are left out of the lists.

    Parameters
    ----------
    candidates
        Makes, once for each domain, the function that yields each candidate's scores.
    data
        Training data.
    blocks
        Users with held-out items, domain by domain.
    """
    quality: list[RankingQuality] = []
    for domain, same in groupby(blocks, key=attrgetter("domain")):
        for found, relevant in map_pieces(partial(_rank_block, candidates(domain), data), same):
            quality = quality or [RankingQuality() for _ in found]
            for sums, labels in zip(quality, found, strict=True):
                sums.add(domain, labels, relevant)
    return quality


def _rank_block(
    scores_of: Scores, data: TrainingData, block: ValidationBlock
) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Return the labels that each candidate ranks first, and the held-out items by kind."""
    users = data.batch(block.users)
    seen = users.seen_cells(data.span(block.domain))
    label, relevant = block.labels()
    found = []
    for scores in scores_of(users):
        scores[seen] = SEEN_SCORE
        found.append(best_labels(scores, label))
    return found, relevant
