"""Lists that explore, and the log of what was shown, of a server."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from gnn.base import Model
from gnn.live.events import now
from gnn.live.exploration import Explorer, method_of
from gnn.live.exposures import SHOWN_FILE, Exposures, ShownList, read_exposures
from gnn.live.feedback import REWARDS
from gnn.serving.problems import Problem
from graphgen.errors import StorageError
from graphgen.rewards import EXPOSURE, with_rewards
from graphgen.schema import EVENT

__all__ = ["MAX_EXPLORED", "Exploring", "Ranked"]

# Items of a list that explores: its probabilities cost the fourth power.
MAX_EXPLORED: Final = 30
# Methods that learn, and the latest lists that they learn from: 1 ms of a core each.
LEARNING: Final = ("thompson", "linucb")
LEARNED_LISTS: Final = 3_000
SEEDS: Final = 1 << 31


class Ranked(NamedTuple):
    """A list: places in the joint index and scores, in order, and the code of its reason."""

    columns: np.ndarray
    scores: np.ndarray
    reason: int
    # Of each item to be at its place, in a list that explores.
    propensities: np.ndarray | None = None


class Exploring:
    """Makes explorers, which share what was learned, and keeps what they showed.

    Parameters
    ----------
    model
        A fitted model.
    folder
        Of the state; None: nothing can be logged, so nothing explores.
    default
        Exploration of requests that name none, as `gnn.live.exploration.method_of` reads it; "" for
        none. A method that learns does so now, from the lists that were shown and the events that
        followed.

    Raises
    ------
    ConfigError, StorageError
        For an unknown exploration; if the log cannot be opened.
    """

    def __init__(self, model: Model, folder: Path | None = None, default: str = "") -> None:
        self._model, self._folder = model, folder
        self.default = default
        self._learns = bool(default) and method_of(default)[0] in LEARNING
        if default:
            self._first.varied(default, 0)
        if self._learns and folder is not None and (folder / SHOWN_FILE).exists():
            log = read_exposures(folder, LEARNED_LISTS)
            if (log[EVENT] == EXPOSURE).any():
                self._first.learn(with_rewards(log, REWARDS)[0])

    @cached_property
    def _first(self) -> Explorer:
        return Explorer(self._model)

    def checked(self, given: str | None, k: int) -> str:
        """Return the exploration of a request, "" for none.

        Raises
        ------
        ConfigError, Problem
            For an unknown exploration; for one that has not learned, and for a list that is too
            long.
        """
        text = self.default if given is None else given
        if not text:
            return ""
        if self._folder is None:
            raise Problem(409, "Only `interest serve` explores.", field="explore")
        if method_of(text)[0] in LEARNING and not self._learns:
            raise Problem(
                409, "This server has not learned; start it with --explore thompson or linucb.",
                field="explore",
            )  # fmt: skip
        if k > MAX_EXPLORED:
            raise Problem(422, f"A list that explores has at most {MAX_EXPLORED} items.", field="k")
        return text

    def explorer(self, text: str) -> Explorer:
        """Return an explorer with a new seed."""
        return self._first.varied(text, secrets.randbelow(SEEDS))

    @cached_property
    def _shown(self) -> Exposures:
        # Opened by the first list, so after a fork.
        if self._folder is None:
            raise StorageError("This server has no folder of a state.")
        return Exposures(self._folder / SHOWN_FILE)

    def keep(self, lists: Iterable[tuple[str, str, str, Ranked]]) -> None:
        """Keep lists before they are shown, each with its exploration, user id and domain.

        Raises
        ------
        StorageError
            If they cannot be kept; then none of them is.
        """
        time, data, kept = now(), self._model.data, []
        for text, user_id, domain, of in lists:
            items = data.items[domain].ids[of.columns - data.span(domain).start]
            chances = [] if of.propensities is None else of.propensities.tolist()
            figures = items.tolist(), of.scores.tolist(), chances
            kept.append(ShownList(time, text, user_id, domain, *figures))
        self._shown.add(kept)
