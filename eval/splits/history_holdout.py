"""Protocols that cut each history: at random, at its end, at an instant."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd

from eval.splits.base import (
    TEST,
    TRAIN,
    VALID,
    Split,
    assemble,
    check_shares,
    hold_out_at_random,
    iso_time,
    milliseconds,
    number_units,
    timed_frame,
)
from graphgen.errors import ConfigError, InputError
from graphgen.log import InteractionLog
from graphgen.schema import USER_ID

__all__ = ["leave_last_out_split", "random_split", "temporal_split"]


def random_split(
    log: InteractionLog, *, valid: float = 0.1, test: float = 0.2, seed: int = 0
) -> Split:
    """Hold out a share of each user's interactions in each domain, at random.

    Parameters
    ----------
    log
        What to split.
    valid, test
        Shares. Fractions of a row are rounded up or down at random, so the shares hold on average
        for users with few rows too; at least one row of each user and domain stays in training.
    seed
        Seed.

    Examples
    --------
    >>> import pandas as pd
    >>> log = InteractionLog(pd.DataFrame({
    ...     "user_id": ["u"] * 10, "domain": "d", "item_id": list("abcdefghij")}))
    >>> split = random_split(log, valid=0.1, test=0.2)
    >>> len(split.train), len(split.valid), len(split.test)
    (7, 1, 2)
    """
    check_shares(valid=valid, test=test)
    unit = number_units(log.frame)
    part = hold_out_at_random(unit, valid, test, np.random.default_rng(seed))
    return assemble("random", log, part, {"valid": valid, "test": test, "seed": seed})


def leave_last_out_split(
    log: InteractionLog, *, per: Literal["domain", "user"] = "domain", seed: int = 0
) -> Split:
    """Hold out the last interaction for testing and the one before it for validation.

    Parameters
    ----------
    log
        With timestamps; of equal times, the later row of the log counts as later.
    per
        ``domain``: the last of each user in each domain. ``user``: the last of each user's mixed
        sequence over all domains.
    seed
        Not used; the protocol is deterministic.

    Notes
    -----
    Users (in the domain) with fewer than three interactions stay in training whole.

    Examples
    --------
    >>> import pandas as pd
    >>> log = InteractionLog(pd.DataFrame({
    ...     "user_id": ["u"] * 3, "domain": "d", "item_id": list("abc"), "timestamp": [3, 1, 2]}))
    >>> leave_last_out_split(log).test.frame["item_id"].tolist()
    ['a']
    """
    if per not in ("domain", "user"):
        raise ConfigError(f"`per` must be 'domain' or 'user'; got {per!r}.")
    frame = timed_frame(log, "leave-last-out")
    unit = (
        number_units(frame) if per == "domain" else pd.factorize(frame[USER_ID])[0].astype(np.int64)
    )
    time = milliseconds(frame)
    order = np.lexsort((np.arange(len(frame)), time, unit))
    size = np.bincount(unit)
    from_end = np.empty(len(frame), dtype=np.int64)
    from_end[order] = np.cumsum(size)[unit[order]] - 1 - np.arange(len(frame))
    part = np.where(from_end == 0, TEST, np.where(from_end == 1, VALID, TRAIN))
    part[size[unit] < 3] = TRAIN
    return assemble("leave-last-out", log, part, {"per": per, "seed": seed})


def temporal_split(
    log: InteractionLog, *, valid: float = 0.1, test: float = 0.1, seed: int = 0
) -> Split:
    """Cut the log at two instants, the same for all users.

    Parameters
    ----------
    log
        With timestamps.
    valid, test
        Shares of the interactions, the latest for testing. Rows of one instant stay together, in
        the later part.
    seed
        Not used; the protocol is deterministic.

    Examples
    --------
    >>> import pandas as pd
    >>> log = InteractionLog(pd.DataFrame({
    ...     "user_id": ["u", "v"] * 5, "domain": "d", "item_id": list("abcdefghij"),
    ...     "timestamp": range(10)}))
    >>> split = temporal_split(log)
    >>> len(split.train), split.test.frame["item_id"].tolist()
    (8, ['j'])
    """
    check_shares(valid=valid, test=test)
    frame = timed_frame(log, "temporal")
    time = milliseconds(frame)
    ordered = np.sort(time)
    n = len(ordered)
    test_at = ordered[min(n - 1, round(n * (1 - test)))]
    valid_at = ordered[min(n - 1, round(n * (1 - test - valid)))]
    part = np.where(time >= test_at, TEST, np.where(time >= valid_at, VALID, TRAIN))
    if not (part == TRAIN).any():
        raise InputError(
            "A temporal split leaves nothing to train on: too many interactions have the earliest "
            "timestamp. Use another protocol."
        )
    cutoffs = {"valid_from": iso_time(valid_at), "test_from": iso_time(test_at)}
    settings = {"valid": valid, "test": test, "seed": seed, **cutoffs}
    cutoff = pd.Timestamp(int(valid_at), unit="ms", tz="UTC").to_pydatetime()
    return assemble("temporal", log, part, settings, cutoff)
