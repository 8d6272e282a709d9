"""Held-out rows as a model sees them: of which kind they are, and how well a score ranks them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch

from gnn.data import TrainingData
from gnn.models.interest.cells import Cell, cells_by_kind, large_kinds
from graphgen.log import InteractionLog
from graphgen.schema import DOMAIN, ITEM_ID, USER_ID

__all__ = [
    "KINDS",
    "KNOWN_KINDS",
    "RankingQuality",
    "ValidationBlock",
    "ValidationRows",
    "best_labels",
]

KINDS = ("warm", "cold_user", "cold_item")
# The first so many are of items with interactions.
KNOWN_KINDS = 2
TOP = 20
# Scores of a block: in large catalogues fewer people make one.
MAX_SCORES = 1 << 24


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
        """Return `truth` as a tensor [n, items], and by kind, int64 [n], how many each user has."""
        label = torch.from_numpy(self.truth.astype(np.int8).toarray())
        return label, [(label == kind + 1).sum(1) for kind in range(len(KINDS))]


@dataclass(frozen=True)
class ValidationRows:
    """Held-out interactions as indices, each of a kind that the training graph shows.

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
        """Look up the rows whose user and item the training data holds; O(rows log rows)."""
        user = data.users.encode(truth.frame[USER_ID], missing="mark")
        item = np.full(len(user), -1, dtype=np.int64)
        domain = np.full(len(user), -1, dtype=np.int64)
        own = np.zeros(len(user), dtype=np.int64)
        names = truth.frame[DOMAIN].astype(object).to_numpy()
        for number, name in enumerate(data.domains):
            rows = np.flatnonzero(names == name)
            span = data.span(name)
            local = data.items[name].encode(truth.frame[ITEM_ID].iloc[rows], missing="mark")
            item[rows] = np.where(local >= 0, local + span.start, -1)
            domain[rows] = number
            history = np.diff(data.matrix[:, span].indptr)
            own[rows] = history[np.maximum(user[rows], 0)]
        kept = np.flatnonzero((user >= 0) & (item >= 0))
        # A repeated row is one interaction.
        pairs = user[kept] * data.n_items + item[kept]
        kept = kept[np.sort(np.unique(pairs, return_index=True)[1])]
        user, item, domain, own = user[kept], item[kept], domain[kept], own[kept]
        kind = np.where(~data.warm[item], 2, np.where(own == 0, 1, 0))
        return cls(user, item, domain, kind)

    def __len__(self) -> int:
        return len(self.user)

    def of_known_items(self) -> ValidationRows:
        """Return the rows of items with training interactions."""
        return self._where(self.kind < KNOWN_KINDS)

    def of_people_with_history(self) -> ValidationRows:
        """Return those of them whose users have training interactions in the domain."""
        return self._where(self.kind == 0)

    def _where(self, kept: np.ndarray) -> ValidationRows:
        return ValidationRows(self.user[kept], self.item[kept], self.domain[kept], self.kind[kept])

    def has_cold_items(self) -> bool:
        """Whether any row is of an item without training interaction."""
        return bool((self.kind == 2).any())

    def blocks(
        self,
        data: TrainingData,
        *,
        max_users: int,
        total: int = 0,
        size: int,
        generator: np.random.Generator,
    ) -> Iterator[ValidationBlock]:
        """Yield users of each kind, at most `size` at a time.

        At most `max_users` in a domain, or their share of `total` over all domains, if it is more.
        """
        max_users = max(max_users, total // len(data.domains))
        for number, name in enumerate(data.domains):
            own = self.domain == number
            chosen = [np.unique(self.user[own & (self.kind == kind)]) for kind in range(len(KINDS))]
            users = np.unique(
                np.concatenate(
                    [
                        users
                        if len(users) <= max_users
                        else generator.choice(users, max_users, replace=False)
                        for users in chosen
                    ]
                )
            )
            span = data.span(name)
            own &= np.isin(self.user, users)
            place = np.searchsorted(users, self.user[own])
            truth = sp.csr_matrix(
                (self.kind[own] + 1, (place, self.item[own] - span.start)),
                shape=(len(users), span.stop - span.start),
            )
            step = min(size, max(1, MAX_SCORES // max(1, span.stop - span.start)))
            for low in range(0, len(users), step):
                yield ValidationBlock(name, users[low : low + step], truth[low : low + step])


def best_labels(scores: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    """Return the labels [n, 20] (or fewer) of the best scores in each row of [n, c], best first."""
    return label.gather(1, scores.topk(min(TOP, scores.shape[1]), dim=1).indices)


class RankingQuality:
    """NDCG@20 by kind, the plain mean over domains with enough users.

    Examples
    --------
    >>> quality = RankingQuality()
    >>> label = torch.tensor([[0, 1, 0]])  # The second item is a held-out one of kind 0.
    >>> found = best_labels(torch.tensor([[0.1, 0.9, 0.3]]), label)
    >>> quality.add("book", found, [torch.tensor([1])])
    >>> quality.by_kind()
    {'warm': 1.0}
    """

    def __init__(self) -> None:
        self._discount = 1 / torch.log2(torch.arange(2, TOP + 2, dtype=torch.float32))
        self._ideal = self._discount.cumsum(0)
        self._values: dict[Cell, list[torch.Tensor]] = {}

    def add(self, domain: str, found: torch.Tensor, relevant: list[torch.Tensor]) -> None:
        """Add a block.

        Parameters
        ----------
        domain
            Its domain.
        found
            As `best_labels` gives it: 1 + the kind of what was held out, else 0.
        relevant
            By kind, int64 [n]: how many items of the kind each user has, among the candidates or
            not.
        """
        for kind, counts in enumerate(relevant):
            some = counts > 0
            if not some.any():
                continue
            gained = (found == kind + 1).float() @ self._discount[: found.shape[1]]
            ndcg = gained[some] / self._ideal[counts[some].clamp(max=TOP) - 1]
            self._values.setdefault((kind, domain), []).append(ndcg)

    def by_kind(self) -> dict[str, float]:
        """Return the mean by kind; kinds that nobody has are left out."""
        return {
            KINDS[kind]: _mean(self._values_of(groups))
            for kind, groups in cells_by_kind(self.users()).items()
        }

    def within(self, domain: str) -> RankingQuality:
        """Return what was added of one domain."""
        part = RankingQuality()
        part._values = {cell: found for cell, found in self._values.items() if cell[1] == domain}
        return part

    def users(self) -> dict[Cell, int]:
        """Return how many people there are of each kind in each domain."""
        return {cell: sum(map(len, values)) for cell, values in self._values.items()}

    def _values_of(self, groups: list[list[Cell]]) -> list[torch.Tensor]:
        """Return what the people of each group reach."""
        return [
            torch.cat([part for cell in group for part in self._values[cell]]).double()
            for group in groups
        ]

    def gain_over(self, other: RankingQuality) -> tuple[float, float]:
        """Return the difference of `known`, and its standard error over the same people.

        One person tells nothing of the error: it is infinite.
        """
        error = _standard_error(self._known(), other._known())
        return self.known() - other.known(), error

    def new_item_gain_over(self, other: RankingQuality) -> tuple[float, float]:
        """Return the same for items without interactions: 0 and infinity where nobody has any."""
        mine, theirs = self._new(), other._new()
        if not mine:
            return 0.0, np.inf
        return _mean(mine) - _mean(theirs), _standard_error([mine], [theirs])

    def known(self) -> float:
        """Return the mean over the kinds whose items have interactions, those of few people apart.

        A kind of fewer than 20 people is left out where another has more: it would count as much.
        """
        return float(np.mean(self.known_by_kind() or [0.0]))

    def known_by_kind(self) -> list[float]:
        """Return the mean of each kind that counts for `known`."""
        return [_mean(values) for values in self._known()]

    def _known(self) -> list[list[torch.Tensor]]:
        """Return what people reach by kind and group, for the kinds that count for `known`."""
        users = {cell: number for cell, number in self.users().items() if cell[0] < KNOWN_KINDS}
        return [self._values_of(groups) for groups in large_kinds(users)]

    def _new(self) -> list[torch.Tensor]:
        """Return what people reach by group where items have no interactions."""
        return self._values_of(cells_by_kind(self.users()).get(KNOWN_KINDS, []))


def _mean(groups: list[torch.Tensor]) -> float:
    return float(np.mean([values.mean() for values in groups]))


def _standard_error(mine: list[list[torch.Tensor]], theirs: list[list[torch.Tensor]]) -> float:
    """Return that of the mean difference over kinds, groups and the people, the same in both."""
    variance = 0.0
    for ours, others in zip(mine, theirs, strict=True):
        for a, b in zip(ours, others, strict=True):
            share = 1 / (len(mine) * len(ours))
            spread = float((a - b).var()) if len(a) > 1 else np.inf
            variance += share**2 * spread / len(a)
    return float(variance**0.5)
