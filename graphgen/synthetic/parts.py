"""Held-out rows of the built-in example."""

from __future__ import annotations

from typing import Final

import numpy as np

from graphgen.synthetic.world import SynthConfig

__all__ = ["hold_out"]

TRAIN, VALID, TEST = range(3)  # codes of the splits
NONE, WARM, COLD_USER, COLD_ITEM = range(4)  # codes of the settings
VALID_SHARE: Final = 0.4  # of the cold users and cold items; the others are for the test
MIN_SOURCE_ROWS: Final = 3  # rows of a cold user in other domains, at least
MIN_WARM_HISTORY: Final = 5  # shorter histories are not cut


def hold_out(
    user: np.ndarray,
    domain: np.ndarray,
    item: np.ndarray,
    config: SynthConfig,
    *,
    may_be_cold: np.ndarray,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Decide the split and the setting of each row.

    Cold users first (a share of the overlap users; their whole history in one domain), then cold
    items (a share of all, drawn among those that may be), then the end of what is left of each
    history. Every held-out row has one setting: rows of a cold user with a cold item are left out,
    and so are rows of an item that by chance has no training row.

    The rows come by time, each item with a number of its own over all domains; cold items are drawn
    among `may_be_cold`, bool ``[n_items]``. O(rows log rows).

    Returns
    -------
    split, setting, keep
        int64 codes ``[rows]``: train, valid, test; none, warm, cold_user, cold_item; and bool
        ``[rows]``, False for the rows to leave out.
    """
    n_users, n_items, n_domains = config.n_users, len(may_be_cold), int(domain.max()) + 1
    pair = user * n_domains + domain
    in_domain = np.bincount(pair, minlength=n_users * n_domains).reshape(n_users, n_domains)
    # The cold domain of a user is drawn evenly among the user's domains.
    drawn = np.where(in_domain > 0, rng.random(in_domain.shape), -1.0).argmax(axis=1)
    elsewhere = in_domain.sum(axis=1) - in_domain[np.arange(n_users), drawn]
    overlap = np.flatnonzero(elsewhere >= MIN_SOURCE_ROWS)
    cold_user = _cold(overlap, round(config.cold_user_share * len(overlap)), n_users, rng)
    late = np.flatnonzero(may_be_cold)
    cold_item = _cold(late, round(config.cold_item_share * n_items), n_items, rng)

    of_cold_user = (cold_user[user] != TRAIN) & (drawn[user] == domain)
    of_cold_item = cold_item[item] != TRAIN
    keep = ~(of_cold_user & of_cold_item)
    split = np.where(of_cold_user, cold_user[user], cold_item[item])
    setting = np.select([of_cold_user, of_cold_item], [COLD_USER, COLD_ITEM], NONE)

    _hold_out_ends(split, setting, pair, config.warm_share, rng)

    in_train = split == TRAIN
    known_item = np.bincount(item[in_train], minlength=n_items) > 0
    known_pair = np.bincount(pair[in_train], minlength=n_users * n_domains) > 0
    source = np.bincount(user[in_train], minlength=n_users)
    keep &= known_item[item] | (setting == COLD_ITEM)
    keep &= known_pair[pair] | (setting != COLD_ITEM)
    keep &= (source[user] >= MIN_SOURCE_ROWS) | (setting != COLD_USER)
    return split, setting, keep


def _cold(candidates: np.ndarray, wanted: int, n: int, rng: np.random.Generator) -> np.ndarray:
    """Draw `wanted` of the candidates; return the split each of n is cold in, TRAIN for none."""
    split = np.full(n, TRAIN)
    chosen = rng.permutation(candidates)[:wanted]
    split[chosen] = TEST
    split[chosen[: round(VALID_SHARE * len(chosen))]] = VALID
    return split


def _hold_out_ends(
    split: np.ndarray, setting: np.ndarray, pair: np.ndarray, share: float, rng: np.random.Generator
) -> None:
    """Take the end of each training history out, in place: first validation, the last for test."""
    if share == 0:
        return
    rows = np.flatnonzero(split == TRAIN)
    rows = rows[np.argsort(pair[rows], kind="stable")]
    _, start, size = np.unique(pair[rows], return_index=True, return_counts=True)
    from_end = np.repeat(start + size, size) - 1 - np.arange(len(rows))
    taken = np.where(size >= MIN_WARM_HISTORY, np.maximum(1, np.rint(share * size)), 0)
    # An odd row goes to either side with the same chance.
    for_test = np.floor(taken / 2 + rng.choice([0.0, 0.5], len(size)))
    taken, for_test = np.repeat(taken, size), np.repeat(for_test, size)
    held_out = from_end < taken
    split[rows[held_out]] = np.where(from_end < for_test, TEST, VALID)[held_out]
    setting[rows[held_out]] = WARM
