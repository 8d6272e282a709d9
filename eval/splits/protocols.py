"""Protocols: how a log is cut into what is trained on, chosen on and tested on.

Every protocol returns a `Split` whose held-out rows carry a column ``setting``, which `evaluate`
slices by: ``warm``; ``cold_user`` (history in other domains only); ``new_user`` (none at all);
``cold_item`` (no training interaction, whatever the user).
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Any, Final, Literal

import numpy as np
import pandas as pd

from eval.splits.parts import (
    TEST,
    TRAIN,
    VALID,
    Split,
    assemble,
    check_shares,
    cut_groups,
    hold_out_at_random,
    iso_time,
    milliseconds,
    number_units,
    timed_frame,
)
from eval.splits.twins import find_twins, resolve_twins
from graphgen.errors import ConfigError, InputError
from graphgen.log import InteractionLog
from graphgen.schema import DOMAIN, ITEM_ID, USER_ID

__all__ = [
    "PROTOCOLS",
    "Split",
    "cold_item_split",
    "cold_user_split",
    "k_fold_split",
    "leave_last_out_split",
    "make_split",
    "random_split",
    "temporal_split",
]


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
        Not used; the protocol is without chance.

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
    """Cut the log at two instants, the same for everybody.

    Parameters
    ----------
    log
        With timestamps.
    valid, test
        Shares of the interactions, the latest for testing. Rows of one instant stay together, in
        the later part.
    seed
        Not used; the protocol is without chance.

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


def cold_user_split(
    log: InteractionLog,
    *,
    target: str | None = None,
    test: float = 0.2,
    valid: float = 0.1,
    seed: int = 0,
) -> Split:
    """Take a target domain away from a share of the overlap users.

    Parameters
    ----------
    log
        With at least two domains.
    target
        The domain to take away; None: for each chosen user one of their domains at random.
    test, valid
        Shares of the overlap users (people with interactions in the target and in another domain)
        whose whole history in the target is held out; EMCDR and PTUPCDR use .2, .5 and .8.
    seed
        Seed.

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
    check_shares(valid=valid, test=test)
    frame = log.frame
    if target is not None and target not in log.domains:
        raise ConfigError(f"There is no domain {target!r}; the log has {', '.join(log.domains)}.")
    user, users = pd.factorize(frame[USER_ID], sort=True)
    domain = np.asarray(pd.Categorical(frame[DOMAIN], categories=log.domains).codes, np.int64)
    present = np.zeros((len(users), len(log.domains)), dtype=bool)
    present[user, domain] = True
    overlap = present.sum(axis=1) >= 2
    if target is not None:
        overlap &= present[:, log.domains.index(target)]
    people = np.flatnonzero(overlap)
    if len(people) < 2:
        raise InputError(
            f"Only {len(people)} users have interactions in "
            f"{'two domains' if target is None else f'{target!r} and another domain'}; a cold-user "
            "split needs more."
        )
    generator = np.random.default_rng(seed)
    people = generator.permutation(people)
    n_test = max(1, round(len(people) * test))
    n_valid = min(len(people) - n_test, round(len(people) * valid))
    lost = np.full(len(users), -1, dtype=np.int64)
    chosen = people[: n_test + n_valid]
    if target is None:
        noise = np.where(present[chosen], generator.random((len(chosen), len(log.domains))), -1)
        lost[chosen] = noise.argmax(axis=1)
    else:
        lost[chosen] = log.domains.index(target)
    role = np.full(len(users), TRAIN)
    role[people[:n_test]], role[people[n_test : n_test + n_valid]] = TEST, VALID
    part = np.where(domain == lost[user], role[user], TRAIN)
    settings = {"target": target, "test": test, "valid": valid, "seed": seed}
    return assemble("cold-user", log, part, {**settings, "overlap_users": len(people)})


def cold_item_split(
    log: InteractionLog, *, test: float = 0.1, valid: float = 0.05, seed: int = 0
) -> Split:
    """Hold out every interaction of a share of the items of each domain.

    Parameters
    ----------
    log
        What to split.
    test, valid
        Shares of the items of each domain.
    seed
        Seed.

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
    role = cut_groups(pairs // len(names), valid, test, np.random.default_rng(seed))
    settings = {"test": test, "valid": valid, "seed": seed}
    return assemble("cold-item", log, role[item], settings)


def k_fold_split(
    log: InteractionLog, *, folds: int = 5, test: float = 0.5, valid: float = 0.1, seed: int = 0
) -> list[Split]:
    """Cut the users in `folds` groups and test on each group once.

    In fold i the users of group i keep part of their interactions in each domain as history and
    the rest is held out; everybody else is trained on whole.

    Parameters
    ----------
    log
        What to split.
    folds
        Number of groups, at least 2.
    test, valid
        Shares of the interactions of the users of the group, as in `random_split`.
    seed
        Seed.

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
        raise ConfigError(f"`folds` must lie between 2 and the {len(users)} users; got {folds}.")
    generator = np.random.default_rng(seed)
    group = generator.permutation(len(users)) % folds
    part = hold_out_at_random(number_units(log.frame), valid, test, generator)
    splits = []
    for fold in range(folds):
        mine = np.where(group[user] == fold, part, TRAIN)
        settings = {"folds": folds, "fold": fold + 1, "test": test, "valid": valid, "seed": seed}
        splits.append(assemble("k-fold", log, mine, settings))
    return splits


PROTOCOLS: Final[dict[str, Callable[..., Any]]] = {
    "random": random_split,
    "leave-last-out": leave_last_out_split,
    "temporal": temporal_split,
    "cold-user": cold_user_split,
    "cold-item": cold_item_split,
    "k-fold": k_fold_split,
}


def make_split(
    log: InteractionLog,
    protocol: str,
    *,
    twins: Literal["keep", "drop", "merge"] = "keep",
    seed: int = 0,
    **options: Any,
) -> list[Split]:
    """Split a log by the name of a protocol.

    Parameters
    ----------
    log
        What to split; repeats of a (user, domain, item) are left out first.
    protocol
        One of `PROTOCOLS`.
    twins
        What to do about the same product under two ids: ``keep`` only lists the pairs, ``drop``
        removes one of them, ``merge`` joins the two.
    seed
        Seed.
    **options
        Options of the protocol's function.

    Returns
    -------
    list of Split
        One, or one per fold.

    Raises
    ------
    ConfigError
        If the protocol or an option is unknown; the message names the near miss.
    InputError
        If the log lacks what the protocol needs (timestamps, a second domain).

    Examples
    --------
    >>> import pandas as pd
    >>> log = InteractionLog(pd.DataFrame({
    ...     "user_id": ["u"] * 10, "domain": "d", "item_id": list("abcdefghij")}))
    >>> [split] = make_split(log, "random", test=0.5, valid=0)
    >>> len(split.test)
    5
    """
    if protocol not in PROTOCOLS:
        near = difflib.get_close_matches(protocol, PROTOCOLS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(PROTOCOLS)}."
        raise ConfigError(f"There is no protocol {protocol!r}; {hint}")
    if twins not in ("keep", "drop", "merge"):
        raise ConfigError(f"`twins` must be 'keep', 'drop' or 'merge'; got {twins!r}.")
    function = PROTOCOLS[protocol]
    known = function.__kwdefaults__ or {}
    for option in options:
        if option not in known:
            near = difflib.get_close_matches(option, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(known)}."
            raise ConfigError(f"The protocol {protocol!r} has no option {option!r}; {hint}")
    if not len(log):
        raise InputError("The log has no interactions to split.")
    whole = log.deduplicate()
    found = find_twins(whole)
    used = whole
    dropped = {"repeats of a user and item": len(log) - len(whole)}
    if twins != "keep":
        used = resolve_twins(whole, found, twins)
        dropped[f"twin items ({'dropped' if twins == 'drop' else 'merged'})"] = len(whole) - len(
            used
        )
        remaining = find_twins(used)
    else:
        remaining = found
    made = function(used, seed=seed, **options)
    return [
        Split(
            split.protocol,
            split.train,
            split.valid,
            split.test,
            {**split.settings, "twins": twins, "twins_found": len(found)},
            split.cutoff,
            {**dropped, **split.dropped},
            remaining,
        )
        for split in (made if isinstance(made, list) else [made])
    ]
