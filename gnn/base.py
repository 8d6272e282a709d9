"""The contract of every model: checks, ids, masking and top-k live here, once."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
import pandas as pd
import scipy.sparse as sp
import torch

from gnn.data import TrainingData, UserBatch, check_requirements, user_batch
from gnn.fitting import FitOptions, fit_twice
from gnn.numerics.sparse import pack_csr, unpack_csr
from gnn.persistence import save_model
from gnn.validation import ValidationRows
from graphgen.config import Config as Settings
from graphgen.errors import ConfigError, InputError, NotFittedError, UnknownIdError
from graphgen.log import InteractionLog
from graphgen.pieces import map_pieces
from graphgen.progress import progress_bar
from graphgen.schema import DOMAIN, ITEM_ID, RANK, SCORE, USER_ID
from graphgen.topk import top_k
from graphgen.vocabulary import Vocabulary

if TYPE_CHECKING:
    from graphgen.graph import InterestGraph

__all__ = ["Model"]

logger = logging.getLogger(__name__)

# Scores a block: 2^22 float32 are 16 MB. Blocks of 2^20 stay in the cache, and were slower all the
# same on two idle cores: each sparse product costs something at all.
BLOCK_SCORES = 1 << 22
# Columns of recommendations.
TABLE = (USER_ID, DOMAIN, ITEM_ID, SCORE, RANK)
# Scores by which a row is first asked whether it is constant.
FEW_SCORES = 64


class Model(ABC):
    """A recommender over all domains of a graph.

    Constructors store settings; `fit` learns and returns the model; learned state is saved
    without pickle. Subclasses write `_fit` and `_score`, and name what they learn in `learned`.

    Parameters
    ----------
    config
        Settings as the class's `Config`; None for the defaults.
    **settings
        Single settings by name; they win over `config`.

    Raises
    ------
    ConfigError
        If a setting is unknown or out of range.
    """

    name: ClassVar[str]
    Config: ClassVar[type[Settings]] = Settings
    chooses: ClassVar[bool] = False
    """Whether `fit` chooses settings on held-out rows."""
    inductive: ClassVar[bool] = True
    """Whether a history is enough to score a user, or the user must have been in training."""
    requires: ClassVar[frozenset[str]] = frozenset()
    """What a graph must have; see `gnn.data.check_requirements`."""
    uses_weights: ClassVar[bool] = False
    """Whether likes of different weights count differently (`TrainingData.weighted`)."""
    learned: ClassVar[tuple[str, ...]] = ()
    """Attributes that `fit` sets and `save` writes: arrays and CSR matrices."""

    def __init__(self, config: Settings | None = None, **settings: Any) -> None:
        self.config: Any = self.Config.make(config.to_dict() if config else None, **settings)
        self.provenance_: dict[str, Any] = {}
        self.history_: list[dict[str, float]] = []
        self.chosen_: dict[str, Any] = {}
        self._data: TrainingData | None = None

    # Written by a subclass ---------------------------------------------------------------

    @abstractmethod
    def _fit(
        self, data: TrainingData, *, seed: int, rows: ValidationRows | None, options: FitOptions
    ) -> None:
        """Learn from `data`."""

    @abstractmethod
    def _score(self, users: UserBatch, domain: str) -> np.ndarray:
        """Return float32 [len(users), items of domain]; a constant row has no score."""

    def _set_up(self) -> None:
        """Make what scoring needs besides the learned state, after `fit` and after loading."""
        return

    def _state(self) -> dict[str, torch.Tensor]:
        """Return the learned tensors by name."""
        state: dict[str, torch.Tensor] = {}
        for name in self.learned:
            value = getattr(self, name, None)
            if sp.issparse(value):
                state |= pack_csr(name.rstrip("_"), value)
            elif value is not None:
                state[name.rstrip("_")] = torch.as_tensor(value)
        return state

    def _load_state(self, state: Mapping[str, torch.Tensor]) -> None:
        """Restore the learned state from the tensors of `_state`."""
        for name in self.learned:
            key = name.rstrip("_")
            if f"{key}.indptr" in state:
                setattr(self, name, unpack_csr(key, state))
            elif key in state:
                setattr(self, name, state[key].numpy())

    def _popular(self, users: UserBatch, domain: str) -> np.ndarray:
        """Return [len(users) or 1, items of domain], the scores of users without any other."""
        popularity: np.ndarray = self.data.liking[self.data.span(domain)]
        return popularity[None]

    def _chosen(self) -> dict[str, Any]:
        """Return settings that were chosen on validation rows, to fit again on all rows."""
        return {}

    # The public side ----------------------------------------------------------------------

    def fit(
        self,
        graph: InterestGraph,
        *,
        valid: InteractionLog | Literal["auto"] | None = "auto",
        seed: int = 0,
        checkpoint: str | Path | None = None,
        progress: bool = False,
    ) -> Self:
        """Learn from a graph, and return the model; `chosen_` holds the settings that were chosen.

        Parameters
        ----------
        graph
            Every interaction in it is trained on in the end.
        valid
            Held-out interactions for early stopping and for settings that are left open; they must
            not be in the graph. "auto" holds out rows of the graph itself (`hold_out`), chooses on
            them, and fits again on everything with the settings that were chosen; models that
            choose nothing are fitted once. None takes the defaults.
        seed
            Same seed, same result.
        checkpoint
            Folder for resumable state; a fit that was interrupted goes on from it to the same
            result. Ignored by models that learn in one step.
        progress
            Show progress bars.

        Raises
        ------
        ConfigError
            If the graph lacks what the model `requires`, or `valid` is no log, "auto" or None.
        """
        options = FitOptions(checkpoint=checkpoint, progress=progress)
        if not isinstance(valid, str):
            return self.fit_once(graph, valid, seed=seed, options=options)
        if valid != "auto":
            raise ConfigError(f'`valid` must be a log, "auto" or None; got {valid!r}.')
        if self.chooses:
            return fit_twice(self, graph, seed=seed, options=options)
        return self.fit_once(graph, None, seed=seed, options=options)

    def fit_once(
        self, graph: InterestGraph, valid: InteractionLog | None, *, seed: int, options: FitOptions
    ) -> Self:
        """Learn from a graph, with held-out rows or without; see `fit`."""
        data = TrainingData.from_graph(graph)
        check_requirements(self.name, self.requires, data)
        if data.weights is not None and not self.uses_weights:
            logger.warning("%s does not use the weights of likes: all count alike.", self.name)
        self._data = data
        self.provenance_ = {"seed": seed, "graph": graph.provenance}
        self.history_ = []
        rows = None if valid is None else ValidationRows.of(valid, data)
        if rows is not None and not len(rows.of_kinds()):
            logger.warning(
                "No validation row is of an item with interactions; %s takes the defaults.",
                self.name,
            )
            rows = None
        self._fit(data, seed=seed, rows=rows, options=options)
        self._set_up()
        self.chosen_ = self._chosen()
        return self

    @property
    def data(self) -> TrainingData:
        """The training data of the model; a `NotFittedError` before `fit`."""
        if self._data is None:
            problem = f"This {self.name} model has learned nothing yet; call fit(graph) first."
            raise NotFittedError(problem)
        return self._data

    @property
    def domains(self) -> list[str]:
        """Domains that can be recommended in."""
        return self.data.domains

    def items(self, domain: str) -> Vocabulary:
        """Return the items of a domain, in the order of the columns of `score`."""
        self._require_domain(domain)
        return self.data.items[domain]

    def score(
        self, user_ids: Sequence[str], *, domain: str, history: InteractionLog | None = None
    ) -> np.ndarray:
        """Score every item of a domain for each user.

        Parameters
        ----------
        user_ids
            Users, known or not.
        domain
            Target domain.
        history
            Interactions since training, or of users who arrived after it.

        Returns
        -------
        numpy.ndarray
            float32 [len(user_ids), len(items(domain))], higher is better. Where the model has no
            score for a user, the row holds the items' popularity (recent popularity where the model
            has a trend).

        Raises
        ------
        NotFittedError, UnknownIdError
            Before `fit`; for a domain the model does not know.
        """
        self._require_domain(domain)
        users = user_batch(self.data, user_ids, history)
        scores = np.empty((len(users), len(self.data.items[domain])), dtype=np.float32)

        def work(block: tuple[int, UserBatch]) -> None:
            low, part = block
            scores[low : low + len(part)] = self.score_batch(part, domain)

        map_pieces(work, self._blocks(users, domain))
        return scores

    def seen(
        self, user_ids: Sequence[str], *, domain: str, history: InteractionLog | None = None
    ) -> sp.csr_matrix:
        """Return CSR [len(user_ids), items of domain]: 1 liked, -1 seen or disliked, else 0."""
        self._require_domain(domain)
        return user_batch(self.data, user_ids, history).seen(self.data.span(domain))

    def recommend(
        self,
        user_ids: Sequence[str],
        *,
        domain: str | None = None,
        k: int = 10,
        exclude_seen: bool = True,
        history: InteractionLog | None = None,
        seed: int = 0,
        progress: bool = False,
    ) -> pd.DataFrame:
        """Rank items for each user.

        Parameters
        ----------
        user_ids
            Users, known or not; repeats count once.
        domain
            Target domain; None for every domain.
        k
            Length of a list. It is shorter where fewer unseen items are left.
        exclude_seen
            Leave out items that the user has liked, seen or disliked.
        history
            Interactions since training, or of users who arrived after it.
        seed
            Breaks ties.
        progress
            Show a progress bar.

        Returns
        -------
        pandas.DataFrame
            user_id, domain, item_id, score, rank (from 1), sorted by user as given, then domain,
            then rank.

        Raises
        ------
        InputError, NotFittedError, UnknownIdError
            For `k` below 1; before `fit`; for a domain the model does not know.
        """
        if k < 1:
            raise InputError(f"`k` must be at least 1; got {k}.")
        if domain is not None:
            self._require_domain(domain)
        ids = pd.unique(np.asarray(user_ids, dtype=object))
        domains = self.domains if domain is None else [domain]
        users = user_batch(self.data, ids, history)
        unknown = int((~self._knows(users)).sum())
        if unknown:
            logger.warning(
                "%d of %d users are unknown to this %s model; they get popular items.",
                unknown,
                len(users),
                self.name,
            )

        def rank(target: str, block: tuple[int, UserBatch]) -> tuple[int, list[np.ndarray]]:
            """Return the size of a block and its rows: user, item, score, rank."""
            low, part = block
            scores = self.score_batch(part, target)
            if exclude_seen:
                seen = part.seen(self.data.span(target)).tocoo()
                scores[seen.row, seen.col] = -np.inf
            indices, values = top_k(scores, k, keys=part.keys, seed=seed)
            row, column = np.nonzero(indices >= 0)
            return len(part), [row + low, indices[row, column], values[row, column], column + 1]

        parts = []
        with progress_bar("Recommending", len(ids) * len(domains), enabled=progress) as advance:
            for number, target in enumerate(domains):
                work, blocks = partial(rank, target), self._blocks(users, target)
                ranked = map_pieces(work, blocks, done=lambda block: advance(block[0]))
                columns = zip(*(rows for _, rows in ranked), strict=True)
                user, item, score, place = map(np.concatenate, columns)
                item_ids = self.data.items[target].decode(item)
                rows = (user, number, item_ids, score, place)
                parts.append(pd.DataFrame(dict(zip(TABLE, rows, strict=True))))
        table = pd.concat(parts)
        order = np.lexsort((table[RANK], table[DOMAIN], table[USER_ID]))
        table = table.iloc[order].reset_index(drop=True)
        table[USER_ID] = ids[table[USER_ID]]
        table[DOMAIN] = np.asarray(domains, dtype=object)[table[DOMAIN]]
        return table

    def save(self, path: str | Path, *, overwrite: bool = False, made_from: str = "") -> None:
        """Write the model to a folder, whole or not at all.

        For `overwrite` and `made_from` see `graphgen.storage.atomic_directory`.
        """
        save_model(self, self._state(), path, overwrite=overwrite, made_from=made_from)

    def restore(self, data: TrainingData, state: dict[str, torch.Tensor]) -> None:
        """Take back what `save` wrote; `gnn.persistence.read_model` calls it."""
        self._data = data
        self._load_state(state)
        self._set_up()

    # Shared internals --------------------------------------------------------------------

    def _require_domain(self, domain: str) -> None:
        if domain not in self.data.items:
            raise UnknownIdError(
                f"This model knows no domain {domain!r}; it knows {', '.join(self.domains)}."
            )

    def _blocks(self, users: UserBatch, domain: str) -> Iterator[tuple[int, UserBatch]]:
        size = max(1, BLOCK_SCORES // max(1, len(self.data.items[domain])))
        for low in range(0, len(users), size):
            yield low, users.rows_of(slice(low, low + size))

    def _knows(self, users: UserBatch) -> np.ndarray:
        """Return bool [n], whether each user can be scored."""
        known = np.diff(users.history.indptr) > 0
        return known if self.inductive else known & (users.index >= 0)

    def score_batch(self, users: UserBatch, domain: str) -> np.ndarray:
        """Return float32 [n, items of domain], as `score`.

        Users without a score, unknown or with equal ones for all items, get the popularity.
        """
        scores = self._score(users, domain)
        # A constant row ranks nothing: popularity takes its place.
        replaced = ~self._knows(users) | _constant(scores)
        if replaced.any():
            scores[replaced] = self._popular(users.rows_of(replaced), domain)
        return scores

    def __repr__(self) -> str:
        state = f"fitted on {self._data.n_users:,} users" if self._data else "not fitted"
        return f"{type(self).__name__}({state})"


def _constant(scores: np.ndarray) -> np.ndarray:
    """Return bool [n], whether a row is constant; the first few scores decide most rows."""
    few = scores[:, :FEW_SCORES]
    result: np.ndarray = few.min(axis=1) == few.max(axis=1)
    rest = scores[result]
    result[result] = rest.min(axis=1) == rest.max(axis=1)
    return result
