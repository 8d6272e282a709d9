"""The contract of every model: checks, ids, masking and top-k live here, once."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
import pandas as pd
import scipy.sparse as sp
import torch

from gnn.asked import as_log, asked_lists, asked_users, history_log, whole_number
from gnn.candidates import candidates
from gnn.data import TrainingData, UserBatch, check_requirements
from gnn.fitting import FitOptions, fit_twice
from gnn.growth import Growth
from gnn.numerics.sparse import pack_csr, unpack_csr
from gnn.persistence import save_model
from gnn.recommending import Chooser, Options, fallbacks, ranked_lists, warn_of_unknown
from gnn.selection import Quality, ranking_quality
from gnn.similar import similar_items
from gnn.trained_on import trained_on
from gnn.users import user_batch
from gnn.validation import ValidationRows
from graphgen.config import Config as Settings
from graphgen.errors import ConfigError, NotFittedError, UnknownIdError
from graphgen.log import InteractionLog
from graphgen.pieces import map_pieces
from graphgen.vocabulary import Vocabulary

if TYPE_CHECKING:
    # At run time it would bring torch_geometric: seconds, and a saved model does not need it.
    from graphgen.graph import InterestGraph

__all__ = ["Model"]

logger = logging.getLogger(__name__)

# Scores a block: 2^22 float32 are 16 MB; blocks of 2^20 stay in the cache, and were slower.
BLOCK_SCORES = 1 << 22


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
    random: ClassVar[bool] = True
    """Whether what `fit` learns depends on the seed; benchmarks run the other models once."""
    inductive: ClassVar[bool] = True
    """Whether a history is enough to score a user, or the user must have been in training."""
    requires: ClassVar[frozenset[str]] = frozenset()
    """What a graph must have; see `gnn.data.check_requirements`."""
    uses_weights: ClassVar[bool] = False
    """Whether likes of different weights count differently (`TrainingData.weighted`)."""
    updates: ClassVar[Literal["exact", "approximate", "fitted again"]] = "fitted again"
    """What `_update` is, beside a fit with the same settings."""
    learned: ClassVar[tuple[str, ...]] = ()
    """Attributes that `fit` sets and `save` writes: arrays and CSR matrices."""

    def __init__(self, config: Settings | None = None, **settings: Any) -> None:
        self.config: Any = self.Config.make(config.to_dict() if config else None, **settings)
        self.provenance_: dict[str, Any] = {}
        self.history_: list[dict[str, float]] = []
        self.chosen_: dict[str, Any] = {}
        self.validation_: Quality | None = None
        self.rescore: Callable[[np.ndarray, UserBatch, str], None] | None = None
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

    def _update(self, former: Self, growth: Growth, *, seed: int, options: FitOptions) -> None:
        """Learn from `growth.data` with the help of the former model; see `gnn.live.updating`."""
        self._fit(growth.data, seed=seed, rows=None, options=options)

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
        valid: Any = "auto",
        seed: int = 0,
        checkpoint: str | Path | None = None,
        progress: bool = False,
    ) -> Self:
        """Learn from a graph, and return the model.

        `chosen_` are the settings chosen on held-out rows, `validation_` its quality on them.

        Parameters
        ----------
        graph
            Every interaction in it is trained on in the end.
        valid
            Held-out interactions (a log, a DataFrame or a `Path`) for early stopping and for
            settings that are left open; they must not be in the graph.
            "auto" holds out rows of the graph itself (`hold_out`), chooses on them, and fits again
            on everything with the choice; models that choose nothing are fitted once. None takes
            the defaults.
        seed
            Same seed, same result.
        checkpoint
            Folder for resumable state, from which an interrupted fit goes on to the same result.
        progress
            Show progress bars.

        Raises
        ------
        ConfigError
            If the graph lacks what the model `requires`, or `valid` is no log, "auto" or None.
        """
        from graphgen.graph import as_graph

        graph, seed = as_graph(graph), whole_number("seed", seed, least=0)
        options = FitOptions(checkpoint=checkpoint, progress=progress)
        auto = isinstance(valid, str)
        if auto and valid != "auto":
            raise ConfigError(f'`valid` must be a log, "auto" or None; got {valid!r}.')
        if auto and self.chooses:
            fit_twice(self, graph, seed=seed, options=options)
        else:
            if not auto and valid is not None:
                valid = as_log(valid, what="valid", domains=graph.domains)
            self.fit_once(graph, None if auto else valid, seed=seed, options=options)
        self.provenance_ |= trained_on(graph)
        options.remove_checkpoints()
        return self

    def fit_once(
        self, graph: InterestGraph, valid: InteractionLog | None, *, seed: int, options: FitOptions
    ) -> Self:
        """Learn from a graph, with held-out rows or without; see `fit`."""
        self.provenance_ = {"seed": seed, "graph": graph.provenance}
        return self.fit_data(TrainingData.from_graph(graph), valid, seed=seed, options=options)

    def fit_data(
        self,
        data: TrainingData,
        valid: InteractionLog | ValidationRows | None,
        *,
        seed: int,
        options: FitOptions,
    ) -> Self:
        """Learn from training data, which need not be of a graph; see `fit`."""
        check_requirements(self.name, self.requires, data)
        if data.weights is not None and not self.uses_weights:
            logger.warning("%s does not use the weights of likes: all count alike.", self.name)
        self._data = data
        self.history_, self.validation_ = [], None
        rows = ValidationRows.of(valid, data) if isinstance(valid, InteractionLog) else valid
        if rows is not None and not len(rows.of_kinds()):
            logger.warning(
                "No validation row is of an item with interactions; %s takes the defaults.",
                self.name,
            )
            rows = None
        self._fit(data, seed=seed, rows=rows, options=options)
        self._set_up()
        self.chosen_ = self._chosen()
        if rows is not None:
            self.validation_ = ranking_quality(self.score_batch, data, rows, seed=seed)
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

    @property
    def users(self) -> Vocabulary:
        """Users of the training data."""
        return self.data.users

    def items(self, domain: str) -> Vocabulary:
        """Return the items of a domain, in the order of the columns of `score`."""
        self._require_domain(domain)
        return self.data.items[domain]

    def score(self, user_ids: Any, *, domain: str, history: Any = None) -> np.ndarray:
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
            score for a user, the row holds the items' (with a trend, recent) popularity.

        Raises
        ------
        NotFittedError, UnknownIdError
            Before `fit`; for an unknown domain.
        """
        self._require_domain(domain)
        ids = asked_users(user_ids)
        users = user_batch(self.data, ids, history_log(history, self.data, ids))
        scores = np.empty((len(users), len(self.data.items[domain])), dtype=np.float32)

        def work(block: tuple[int, UserBatch]) -> None:
            low, part = block
            scores[low : low + len(part)] = self.score_batch(part, domain)

        map_pieces(work, self.blocks(users, domain))
        return scores

    def seen(self, user_ids: Any, *, domain: str, history: Any = None) -> sp.csr_matrix:
        """Return CSR [len(user_ids), items of domain]: 1 liked, -1 seen or disliked, else 0."""
        self._require_domain(domain)
        ids = asked_users(user_ids)
        users = user_batch(self.data, ids, history_log(history, self.data, ids))
        return users.seen(self.data.span(domain))

    def recommend(
        self,
        user_ids: Any,
        *,
        domain: str | Iterable[str] | None = None,
        k: int = 10,
        exclude_seen: bool = True,
        history: Any = None,
        only: Any = None,
        without: Any = None,
        where: str | None = None,
        mix: bool = False,
        titles: bool = False,
        reasons: bool = False,
        rerank: Chooser | None = None,
        seed: int = 0,
        progress: bool = False,
    ) -> pd.DataFrame:
        """Rank items for each user.

        Parameters
        ----------
        user_ids
            Users, known or not: one id or several of any kind (`gnn.asked.asked_ids`). Repeats
            count once; missing ones are left out, with a warning.
        domain
            Target domain, or several. None for the column ``domain`` of a DataFrame of users, or
            for every domain.
        k
            Length of a list. It is shorter where fewer candidates are left, which is warned of.
        exclude_seen
            Leave out items that the user has liked, seen or disliked.
        history
            Interactions since training, or of users who arrived after it: a log of any kind.
        only, without
            Items that alone may, or must not, be recommended: ids, a DataFrame with item_id and,
            optionally, domain, or a `Path` of such a table or of a text file with an id a line.
        where
            Condition on the item columns, such as ``"available=yes and price<20"``; see
            `graphgen.conditions.Condition`. Filters act before ranking, so lists stay full.
        mix
            One list over all the domains, with scores relative within a domain: 1 for the user's
            best candidate there, 0 for the user's mean score over its candidates.
        titles, reasons
            Add a column ``title``, or ``reason``: the model's name, or the kind of fallback.
        rerank
            Chooses lists out of more candidates, such as `gnn.interests.reranking.Reranker`;
            scores then do not fall with the rank. A `gnn.live.exploration.Explorer` adds a column
            ``propensity`` to lists of one domain each.
        seed
            Breaks ties.
        progress
            Show a progress bar.

        Returns
        -------
        pandas.DataFrame
            user_id, domain, item_id, score, rank (from 1), sorted by user as given, then domain
            (not with `mix`), then rank.

        Raises
        ------
        InputError, NotFittedError, UnknownIdError, ConfigError
            For a wrong argument; before `fit`; for an unknown domain; for an unreadable condition.
        """
        k, seed = whole_number("k", k, least=1), whole_number("seed", seed, least=0)
        ids, wanted = asked_lists(user_ids, domain, self.data.items)
        allowed = candidates(self.data, list(wanted), only=only, without=without, where=where)
        users = user_batch(self.data, ids, history_log(history, self.data, ids))
        warn_of_unknown(self, users, ids, self._knows(users))
        options = Options(k, exclude_seen, allowed, mix, titles, reasons, seed, progress, rerank)
        return ranked_lists(self, users, ids, wanted, options)

    def similar(
        self, item: Any, *, domain: str | None = None, to: Any = None, k: int = 10
    ) -> pd.DataFrame:
        """Rank the items that are most similar to an item; see `gnn.similar.similar_items`."""
        return similar_items(self, item, domain=domain, to=to, k=whole_number("k", k, least=1))

    def item_vectors(self) -> np.ndarray | None:
        """Return float32 [n_items of all domains, dim], vectors of items; None without any."""
        return getattr(self, "item_vectors_", None)

    def user_vectors(self) -> np.ndarray | None:
        """Return float32 [n_users, dim], vectors of training users; None without any."""
        return getattr(self, "user_vectors_", None)

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
        if not isinstance(domain, str) or domain not in self.data.items:
            raise UnknownIdError(
                f"This model knows no domain {domain!r}; it knows {', '.join(self.domains)}."
            )

    def blocks(self, users: UserBatch, domain: str) -> Iterator[tuple[int, UserBatch]]:
        """Yield parts of the users that are scored at once, each with its first row."""
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
        `rescore`, such as `gnn.live.feedback.Dislikes`, then changes them in place.
        """
        return self.scored(users, domain)[0]

    def scored(self, users: UserBatch, domain: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the scores of `score_batch`, and int64 [n], why: see `recommending.FALLBACKS`."""
        scores = self._score(users, domain)
        why = fallbacks(users, scores, known=self._knows(users))
        replaced = why > 0
        if replaced.any():
            scores[replaced] = self._popular(users.rows_of(replaced), domain)
        if self.rescore is not None:
            self.rescore(scores, users, domain)
        return scores, why

    def parts(self, users: UserBatch, domain: str, columns: np.ndarray) -> dict[str, np.ndarray]:
        """Return by part of the model float64 [n, columns]: what it adds to some items' scores."""
        return {self.name: self._score(users, domain)[:, columns].astype(np.float64)}

    def __repr__(self) -> str:
        state = f"fitted on {self._data.n_users:,} users" if self._data else "not fitted"
        return f"{type(self).__name__}({state})"
