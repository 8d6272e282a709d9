"""The meaning of live events: that of training, and of feedback that training had no name for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from gnn.live.feedback import dwell_weight
from gnn.live.remembering import Remembered
from graphgen.meaning import Meaning
from graphgen.schema import DOMAIN, EVENT, WEIGHT

__all__ = ["FEEDBACK", "Meanings"]

# By the kind of a feedback event: its weight in a log, from the one that it came with.
FEEDBACK: Final[Mapping[str, Callable[[float], float]]] = {
    "like": abs,
    "dislike": lambda weight: -abs(weight),
    "skip": lambda _: 0.0,
    "dwell": dwell_weight,  # comes with seconds
}
# The kind of events without one where training gave kinds a meaning: they add up as all kinds do
# that it did not name.
UNNAMED = "unnamed"


class Meanings:
    """Signed weights of events, by the rules of the log that a model was trained on.

    Parameters
    ----------
    taken
        Those rules; see `graphgen.meaning.taken_in`.

    Examples
    --------
    >>> weights, adds_up = Meanings({"options": {"events": {"play": 0.5}}})(
    ...     ["films"] * 4, ["play", "dislike", "", "dwell"], [2.0, 1.0, 1.0, 15.0]
    ... )
    >>> weights.tolist(), adds_up.tolist()
    ([1.0, -1.0, 1.0, 0.5], [True, True, True, True])
    """

    def __init__(self, taken: Mapping[str, Any]) -> None:
        self._meaning = Meaning.of(as_in=taken)
        self._feedback = {
            kind: weigh for kind, weigh in FEEDBACK.items() if kind not in self._meaning.events
        }
        self._weigh = Remembered(self._learn)

    def __call__(
        self, domains: Sequence[str], kinds: Sequence[str], weights: Sequence[float]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return float [n], the signed weights (NaN: to be dropped), and bool [n], what adds up."""
        found = self._weigh(list(zip(domains, kinds, weights, strict=True)))
        return np.array([one[0] for one in found], float), np.array([one[1] for one in found], bool)

    def _learn(self, keys: list[tuple[str, str, float]]) -> list[tuple[float, bool]]:
        frame = self.as_logged(pd.DataFrame(keys, columns=[DOMAIN, EVENT, WEIGHT]))
        frame = frame.astype({DOMAIN: "category", EVENT: "category"})
        meant, additive, _ = self._meaning.apply(frame)
        return list(zip(meant[WEIGHT].to_numpy(float).tolist(), additive.tolist(), strict=True))

    def as_logged(self, events: pd.DataFrame) -> pd.DataFrame:
        """Return events with the kinds and weights that a log has of them.

        The weights are signed for feedback that training did not name.
        """
        kind, weight = events[EVENT].str.strip().str.casefold(), events[WEIGHT].copy()
        for name, weigh in self._feedback.items():
            rows = kind == name
            weight[rows] = weight[rows].map(weigh)
        unnamed = (kind == "") & bool(self._meaning.events)
        return events.assign(**{EVENT: events[EVENT].mask(unnamed, UNNAMED), WEIGHT: weight})
