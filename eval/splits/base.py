"""The type of a split, and the helpers of its protocols."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Final

import numpy as np
import pandas as pd

from eval.metrics.base import Array
from graphgen.arrays import place_among
from graphgen.errors import ConfigError, InputError, counted
from graphgen.log import InteractionLog
from graphgen.schema import DOMAIN, ITEM_ID, SETTING, USER_ID

__all__ = ["Split"]

TRAIN, VALID, TEST = 0, 1, 2
PARTS: Final = ("train", "valid", "test")


@dataclass(frozen=True, eq=False)
class Split:
    """A log cut in three.

    Attributes
    ----------
    train, valid, test
        The parts; held-out rows carry a column ``setting``. `valid` may be empty.
    settings
        The resolved options, seed included.
    cutoff
        Instant before which everything in `train` lies; None where the protocol knows no time.
        Give it to `build_graph` as its cutoff.
    dropped
        Why rows of the log are in no part, and how many.
    twins
        Pairs of items of two domains that are probably one product (see `find_twins`), in the log
        before any were dropped or merged.
    tables
        Other tables to write, by name: the interests held out by `new_interest_split`.
    """

    protocol: str
    train: InteractionLog
    valid: InteractionLog
    test: InteractionLog
    settings: dict[str, Any]
    cutoff: datetime | None = None
    dropped: dict[str, int] = field(default_factory=dict)
    twins: pd.DataFrame = field(default_factory=pd.DataFrame)
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)

    @property
    def parts(self) -> dict[str, InteractionLog]:
        """Train, valid and test by name."""
        return dict(zip(PARTS, (self.train, self.valid, self.test), strict=True))

    @cached_property
    def whole(self) -> InteractionLog:
        """The parts together, without the column ``setting``."""
        frames = [part.frame.drop(columns=SETTING, errors="ignore") for part in self.parts.values()]
        return InteractionLog.concat(*(InteractionLog(frame) for frame in frames if len(frame)))


def check_shares(**shares: float) -> None:
    for name, share in shares.items():
        if not 0 <= share < 1:
            raise ConfigError(f"`{name}` must be a share of at least 0 and below 1; got {share}.")
    if sum(shares.values()) >= 1:
        raise ConfigError(f"`valid` and `test` must leave something to train on; got {shares}.")
    if not shares["test"]:
        raise ConfigError("`test` must be above 0; there would be nothing to test on.")


def known_order(log: InteractionLog, protocol: str, *, clock: bool) -> Array:
    """Return int64 [n], the timestamps of a log in ms, or its positions unless `clock`."""
    if log.order is not None and (log.has_time or not clock):
        return log.order
    needed = "timestamps" if clock else "timestamps or positions"
    ordered = "" if clock else ", read the rows in order with --ordered"
    raise InputError(
        f"The protocol {protocol!r} needs {needed} and the log has none; map a column with "
        f"--column timestamp=NAME{ordered}, or use the protocol 'random'."
    )


def number_units(frame: pd.DataFrame, liked: Array | None = None) -> Array:
    """Number the (user, domain) of each row, in order of ids; likes and other rows apart."""
    user, _ = pd.factorize(frame[USER_ID], sort=True)
    domain, domains = pd.factorize(frame[DOMAIN].astype(str), sort=True)
    key = user.astype(np.int64) * len(domains) + domain
    if liked is not None:
        key = key * 2 + ~liked
    _, unit = np.unique(key, return_inverse=True)
    return unit.astype(np.int64)


def hold_out_at_random(
    unit: Array, valid: float, test: float, generator: np.random.Generator
) -> Array:
    """Choose rows of each unit; at least one row of a unit stays in training."""
    size = np.bincount(unit)
    n_test = np.floor(size * test + generator.random(len(size))).astype(np.int64)
    n_valid = np.floor(size * valid + generator.random(len(size))).astype(np.int64)
    n_test = np.minimum(n_test, size - 1)
    n_valid = np.minimum(n_valid, size - 1 - n_test)
    return _draw(unit, n_valid, n_test, generator)


def cut_groups(group: Array, valid: float, test: float, generator: np.random.Generator) -> Array:
    """Give shares of the members of each group to test and valid; at least one to training."""
    size = np.bincount(group)
    n_test = np.minimum(np.round(size * test).astype(np.int64), size - 1)
    n_valid = np.minimum(np.round(size * valid).astype(np.int64), size - 1 - n_test)
    return _draw(group, n_valid, n_test, generator)


def _draw(group: Array, n_valid: Array, n_test: Array, generator: np.random.Generator) -> Array:
    """Give as many members of each group to test and valid, drawn at random."""
    place = place_among(group, generator.random(len(group)))
    return np.where(
        place < n_test[group], TEST, np.where(place < (n_test + n_valid)[group], VALID, TRAIN)
    )


def assemble(
    protocol: str,
    log: InteractionLog,
    part: Array,
    settings: dict[str, Any],
    cutoff: datetime | None = None,
) -> Split:
    frame = log.frame.drop(columns=SETTING, errors="ignore")  # of an earlier split
    train = frame[part == TRAIN].reset_index(drop=True)
    if not len(train) or not (part == TEST).any():
        raise InputError(
            f"The protocol {protocol!r} leaves {counted(len(train), 'row')} to train on and "
            f"{int((part == TEST).sum())} to test on; use larger shares or a larger log."
        )
    held_out = frame[part != TRAIN].assign(**{SETTING: _settings(train, frame[part != TRAIN])})
    valid, test = (
        InteractionLog(held_out[part[part != TRAIN] == which].reset_index(drop=True))
        for which in (VALID, TEST)
    )
    return Split(protocol, InteractionLog(train), valid, test, settings, cutoff)


def _settings(train: pd.DataFrame, held_out: pd.DataFrame) -> Array:
    """Return the setting of each held-out row, from the training rows of its user and item."""

    def known(columns: list[str]) -> Array:
        seen = pd.MultiIndex.from_frame(train[columns].astype(str).drop_duplicates())
        return pd.MultiIndex.from_frame(held_out[columns].astype(str)).isin(seen)

    user_known = held_out[USER_ID].isin(train[USER_ID].unique()).to_numpy()
    return np.select(
        [~known([DOMAIN, ITEM_ID]), ~user_known, ~known([USER_ID, DOMAIN])],
        ["cold_item", "new_user", "cold_user"],
        "warm",
    )
