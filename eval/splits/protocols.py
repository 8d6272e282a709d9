"""Protocols that cut a log into training, validation and test rows.

Every protocol returns a `Split` whose held-out rows carry a column ``setting``, which `evaluate`
slices by: ``warm``; ``cold_user`` (history in other domains only); ``new_user`` (none at all);
``cold_item`` (no training interaction, whatever the user).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, Literal

import pandas as pd

from eval.splits.base import Split
from eval.splits.duplicate_items import find_twins, resolve_twins
from eval.splits.holdout import (
    cold_item_split,
    cold_user_split,
    k_fold_split,
    leave_last_out_split,
    random_split,
    temporal_split,
)
from eval.splits.new_interest import new_interest_split
from graphgen.errors import ConfigError, InputError, near_miss
from graphgen.log import InteractionLog

__all__ = ["PROTOCOLS", "make_split"]

PROTOCOLS: Final[dict[str, Callable[..., Any]]] = {
    "random": random_split,
    "leave-last-out": leave_last_out_split,
    "temporal": temporal_split,
    "cold-user": cold_user_split,
    "cold-item": cold_item_split,
    "k-fold": k_fold_split,
    "new-interest": new_interest_split,
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
    seed, **options
        Seed and options of the protocol's function.

    Returns
    -------
    list of Split
        One, or one per fold.

    Raises
    ------
    ConfigError
        If the protocol or an option is unknown; the message names the near miss.
    InputError
        If the log lacks a requirement of the protocol (timestamps, a second domain).

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
        hint = near_miss(protocol, PROTOCOLS, f"there are {', '.join(PROTOCOLS)}.")
        raise ConfigError(f"There is no protocol {protocol!r}; {hint}")
    if twins not in ("keep", "drop", "merge"):
        raise ConfigError(f"`twins` must be 'keep', 'drop' or 'merge'; got {twins!r}.")
    function = PROTOCOLS[protocol]
    known = function.__kwdefaults__ or {}
    for option in options:
        if option not in known:
            hint = near_miss(option, known, f"it has {', '.join(known)}.")
            raise ConfigError(f"The protocol {protocol!r} has no option {option!r}; {hint}")
    if not len(log):
        raise InputError("The log has no interactions to split.")
    whole = log.deduplicate()
    used, found = whole, find_twins(whole)
    dropped = {"repeats of a user and item": len(log) - len(whole)}
    if twins != "keep":
        used, found = _without_twins(whole, found, twins)
        done = "dropped" if twins == "drop" else "merged"
        dropped[f"twin items ({done})"] = len(whole) - len(used)
    made = function(used, seed=seed, **options)
    return [
        replace(
            split,
            settings={**split.settings, "twins": twins, "twins_found": len(found)},
            dropped={**dropped, **split.dropped},
            twins=found,
        )
        for split in (made if isinstance(made, list) else [made])
    ]


def _without_twins(
    log: InteractionLog, found: pd.DataFrame, how: Literal["drop", "merge"]
) -> tuple[InteractionLog, pd.DataFrame]:
    """Resolve twins until none is left: two items that were merged may be the twin of a third."""
    rounds = [found]
    while len(rounds[-1]):
        log = resolve_twins(log, rounds[-1], how)
        rounds.append(find_twins(log))
    return log, pd.concat(rounds[:-1] or rounds, ignore_index=True)
