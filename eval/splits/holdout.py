"""Protocols that cut each history, and those that hold out users or items."""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
import pandas as pd

from eval.metrics.base import Array
from eval.splits.base import (
    TEST,
    TRAIN,
    VALID,
    Split,
    assemble,
    check_shares,
    cut_groups,
    hold_out_at_random,
    known_order,
    number_units,
)
from graphgen.errors import ConfigError, InputError, counted
from graphgen.log import InteractionLog
from graphgen.schema import DOMAIN, ITEM_ID, USER_ID

__all__ = [
    "cold_item_split",
    "cold_user_split",
    "cut_instants",
    "k_fold_split",
    "leave_last_out_split",
    "random_split",
    "temporal_split",
]

# Share for validation, of the overlap users that are not tested on.
VALID_OF_REST: Final = 0.1


def random_split(
    log: InteractionLog, *, valid: float = 0.1, test: float = 0.2, seed: int = 0
) -> Split:
    """Hold out a share of each user's interactions in each domain, at random.

    The shares hold for likes and for rows seen or disliked, of which none is relevant.

    Parameters
    ----------
    log, valid, test, seed
        Shares. Fractions of a row are rounded up or down at random, so the shares hold on average
        for users with few rows too; at least one like of each user and domain stays in training.

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
    unit = number_units(log.frame, log.liked)
    part = hold_out_at_random(unit, valid, test, np.random.default_rng(seed))
    return assemble("random", log, part, {"valid": valid, "test": test, "seed": seed})


def leave_last_out_split(
    log: InteractionLog, *, per: Literal["domain", "user"] = "domain", seed: int = 0
) -> Split:
    """Hold out the last interaction for testing and the one before it for validation.

    Parameters
    ----------
    log
        With timestamps or positions; of equal ones, the later row of the log counts as later. The
        last like is held out; rows seen or disliked since the one before it are held out with it.
    per
        ``domain``: the last of each user in each domain. ``user``: the last of each user's mixed
        sequence over all domains.
    seed
        Not used.

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
    frame, time = log.frame, known_order(log, "leave-last-out", clock=False)
    unit = (
        number_units(frame) if per == "domain" else pd.factorize(frame[USER_ID])[0].astype(np.int64)
    )
    liked = np.flatnonzero(log.liked)
    order = liked[np.lexsort((liked, time[liked], unit[liked]))]
    size = np.bincount(unit[liked], minlength=unit.max() + 1)
    from_end = np.full(len(frame), -1, dtype=np.int64)
    from_end[order] = np.cumsum(size)[unit[order]] - 1 - np.arange(len(order))
    part = np.where(from_end == 0, TEST, np.where(from_end == 1, VALID, TRAIN))
    part[size[unit] < 3] = TRAIN
    # What was seen or disliked is held out from the first held-out like of its user on.
    held_from = np.full(len(size), np.iinfo(np.int64).max)
    held = part != TRAIN
    np.minimum.at(held_from, unit[held], time[held])
    part[~log.liked & (time >= held_from[unit])] = TEST
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
        Not used.

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
    time = known_order(log, "temporal", clock=True)
    valid_at, test_at = cut_instants(time, valid, test)
    part = np.where(time >= test_at, TEST, np.where(time >= valid_at, VALID, TRAIN))
    if not (part == TRAIN).any():
        raise InputError(
            "A temporal split leaves nothing to train on: too many interactions have the earliest "
            "timestamp. Use another protocol."
        )
    cutoff, test_from = (pd.Timestamp(int(at), unit="ms", tz="UTC") for at in (valid_at, test_at))
    settings = {"valid": valid, "test": test, "seed": seed}
    settings |= {"valid_from": cutoff.isoformat(), "test_from": test_from.isoformat()}
    return assemble("temporal", log, part, settings, cutoff.to_pydatetime())


def cut_instants(time: Array, valid: float, test: float) -> tuple[int, int]:
    """Return the instants from which on rows are for validation, and for testing."""
    ordered = np.sort(time)
    n = len(ordered)
    at = [min(n - 1, round(n * (1 - share))) for share in (test + valid, test)]
    return int(ordered[at[0]]), int(ordered[at[1]])


def cold_user_split(
    log: InteractionLog,
    *,
    target: str | None = None,
    test: float = 0.2,
    valid: float | None = None,
    seed: int = 0,
) -> Split:
    """Take a target domain away from a share of the overlap users.

    Overlap users have likes in the target and in another domain. The chosen ones lose their whole
    history in the target, what they disliked too, and keep everything else.

    Parameters
    ----------
    log, seed
        A log with at least two domains.
    target
        The domain to take away; None: for each chosen user one of their domains at random.
    test
        Share of the overlap users to test on. PTUPCDR compares itself with EMCDR at .2, .5 and .8.
    valid
        Share of the overlap users for validation; None: a tenth of those not tested on. Those
        papers have none: 0 leaves all others to training, as they do.

    References
    ----------
    Man et al., "Cross-domain recommendation: an embedding and mapping approach", IJCAI 2017;
    Zhu et al., "Personalized transfer of user preferences for cross-domain recommendation",
    WSDM 2022.

    Examples
    --------
    >>> import pandas as pd
    >>> log = InteractionLog(pd.DataFrame({
    ...     "user_id": list("abcde") * 2, "domain": ["books"] * 5 + ["films"] * 5,
    ...     "item_id": list("vwxyz") * 2}))
    >>> split = cold_user_split(log, target="films", test=0.4, valid=0)
    >>> split.test.frame["domain"].unique().tolist(), split.test.n_users
    (['films'], 2)
    """
    valid = round(VALID_OF_REST * (1 - test), 6) if valid is None else valid
    check_shares(valid=valid, test=test)
    frame = log.frame
    if target is not None and target not in log.domains:
        raise ConfigError(f"There is no domain {target!r}; the log has {', '.join(log.domains)}.")
    user, users = pd.factorize(frame[USER_ID], sort=True)
    domain = np.asarray(pd.Categorical(frame[DOMAIN], categories=log.domains).codes, np.int64)
    present = np.zeros((len(users), len(log.domains)), dtype=bool)
    present[user[log.liked], domain[log.liked]] = True
    overlap = present.sum(axis=1) >= 2
    if target is not None:
        overlap &= present[:, log.domains.index(target)]
    overlap_users = np.flatnonzero(overlap)
    if len(overlap_users) < 2:
        raise InputError(
            f"Only {counted(len(overlap_users), 'user')} with interactions in "
            f"{'two domains' if target is None else f'{target!r} and another domain'}; a cold-user "
            "split needs two."
        )
    generator = np.random.default_rng(seed)
    overlap_users = generator.permutation(overlap_users)
    n_test = max(1, round(len(overlap_users) * test))
    n_valid = min(len(overlap_users) - n_test, round(len(overlap_users) * valid))
    lost = np.full(len(users), -1, dtype=np.int64)
    chosen = overlap_users[: n_test + n_valid]
    if target is None:
        noise = np.where(present[chosen], generator.random((len(chosen), len(log.domains))), -1)
        lost[chosen] = noise.argmax(axis=1)
    else:
        lost[chosen] = log.domains.index(target)
    role = np.full(len(users), TRAIN)
    role[overlap_users[:n_test]], role[overlap_users[n_test : n_test + n_valid]] = TEST, VALID
    part = np.where(domain == lost[user], role[user], TRAIN)
    settings = {"target": target, "test": test, "valid": valid, "seed": seed}
    return assemble("cold-user", log, part, {**settings, "overlap_users": len(overlap_users)})


def cold_item_split(
    log: InteractionLog, *, test: float = 0.1, valid: float = 0.05, seed: int = 0
) -> Split:
    """Hold out every interaction of a share of the items of each domain.

    Parameters
    ----------
    log, test, valid, seed
        Shares of the items of each domain that somebody likes; the others stay in training.

    Examples
    --------
    >>> import pandas as pd
    >>> log = InteractionLog(pd.DataFrame({
    ...     "user_id": ["u", "v"] * 10, "domain": "d",
    ...     "item_id": [f"i{n}" for n in range(10) for _ in range(2)]}))
    >>> split = cold_item_split(log, test=0.2, valid=0)
    >>> len(split.test), split.test.frame["setting"].unique().tolist()
    (4, ['cold_item'])
    """
    check_shares(valid=valid, test=test)
    frame = log.frame
    domain, _ = pd.factorize(frame[DOMAIN].astype(str), sort=True)
    name, names = pd.factorize(frame[ITEM_ID], sort=True)
    pairs, item = np.unique(domain.astype(np.int64) * len(names) + name, return_inverse=True)
    liked = np.bincount(item[log.liked], minlength=len(pairs)) > 0
    role = np.full(len(pairs), TRAIN)
    groups = pairs[liked] // len(names)
    role[liked] = cut_groups(groups, valid, test, np.random.default_rng(seed))
    settings = {"test": test, "valid": valid, "seed": seed}
    return assemble("cold-item", log, role[item], settings)


def k_fold_split(
    log: InteractionLog, *, folds: int = 5, test: float = 0.5, valid: float = 0.1, seed: int = 0
) -> list[Split]:
    """Cut the users in `folds` groups and test on each group once.

    In fold i the users of group i keep part of their interactions in each domain as history and
    the rest is held out; all rows of other users are in training.

    Parameters
    ----------
    folds
        Number of groups, at least 2.
    log, test, valid, seed
        Shares of the interactions of the users of the group, as in `random_split`.

    Examples
    --------
    >>> import pandas as pd
    >>> log = InteractionLog(pd.DataFrame({
    ...     "user_id": [f"u{n % 4}" for n in range(40)], "domain": "d",
    ...     "item_id": [f"i{n}" for n in range(40)]}))
    >>> folds = k_fold_split(log, folds=2, valid=0)
    >>> [fold.test.n_users for fold in folds]
    [2, 2]
    """
    check_shares(valid=valid, test=test)
    user, users = pd.factorize(log.frame[USER_ID], sort=True)
    if not 2 <= folds <= len(users):
        most = counted(len(users), "user")
        raise ConfigError(f"`folds` must lie between 2 and the {most}; got {folds}.")
    generator = np.random.default_rng(seed)
    group = generator.permutation(len(users)) % folds
    part = hold_out_at_random(number_units(log.frame, log.liked), valid, test, generator)
    splits = []
    for fold in range(folds):
        mine = np.where(group[user] == fold, part, TRAIN)
        settings = {"folds": folds, "fold": fold + 1, "test": test, "valid": valid, "seed": seed}
        splits.append(assemble("k-fold", log, mine, settings))
    return splits
