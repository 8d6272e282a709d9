"""The steps that clean a log, in order: each returns another log, or None where it is off."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final, NamedTuple

import numpy as np
import pandas as pd

from graphgen.cleaning.behaviour import gap_entropy, repetition, trailing_counts
from graphgen.cleaning.config import CleanConfig
from graphgen.errors import InputError, counted
from graphgen.log import DAY, InteractionLog
from graphgen.meaning import Meaning
from graphgen.schema import DOMAIN, EVENT, POSITION, RATING, TIMESTAMP, USER_ID, WEIGHT

__all__ = ["STEPS", "Done"]

# Ratings of the domain that the mean (and the spread) of a user's own are mixed with: a user with
# one rating is moved by a sixth of its distance. The usual damping of user biases is 5 to 10.
PRIOR_RATINGS: Final = 5


class Done(NamedTuple):
    """The result of a step: the log, the number of rows with other values, and what was done."""

    log: InteractionLog
    note: str
    changed: int = 0


def _times(log: InteractionLog, setting: str) -> np.ndarray:
    """Return milliseconds, int64 [n]."""
    if not log.has_time or log.frame[TIMESTAMP].isna().any():
        which = "Some rows of the log have" if log.has_time else "The log has"
        raise InputError(f"`{setting}` needs timestamps. {which} none.")
    return np.asarray(log.order)


def exact_duplicates(log: InteractionLog, config: CleanConfig) -> Done | None:
    """Drop rows that equal an earlier one in every column."""
    if not config.exact_duplicates:
        return None
    return Done(log.keep(~log.copies(), "cleaned"), "equal to an earlier row in every column")


def time_window(log: InteractionLog, config: CleanConfig) -> Done | None:
    """Drop rows outside [`since`, `until`)."""
    bounds = {"since": config.since, "until": config.until}
    given = {name: _instant(at) for name, at in bounds.items() if at is not None}
    if not given:
        return None
    times = _times(log, next(iter(given)))
    keep = np.ones(len(log), dtype=bool)
    if "since" in given:
        keep &= times >= given["since"]
    if "until" in given:
        keep &= times < given["until"]
    words = " or ".join(
        f"{'before' if name == 'since' else 'at or after'} {bounds[name]}" for name in given
    )
    return Done(log.keep(keep, "cleaned"), words)


def _instant(at: datetime) -> int:
    return round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)


def fast_users(log: InteractionLog, config: CleanConfig) -> Done | None:
    """Drop users with more than `max_rate` interactions in a window."""
    if config.max_rate is None:
        return None
    counts = trailing_counts(log.user_codes, _times(log, "max_rate"), config.window * 60)
    most = np.zeros(_n_users(log), dtype=np.int64)
    np.maximum.at(most, log.user_codes, counts)
    what = f"interactions within {config.window:g} minutes"
    return _without(log, most, most > config.max_rate, f"more than {config.max_rate:,} {what}")


def repeating_users(log: InteractionLog, config: CleanConfig) -> Done | None:
    """Drop users who mostly repeat items."""
    if config.max_repetition is None:
        return None
    share = repetition(log.user_codes, log.pair_codes, _n_users(log))
    judged = np.bincount(log.user_codes, minlength=len(share)) >= config.judged_from
    bots = judged & (share > config.max_repetition)
    return _without(log, share, bots, f"more than {config.max_repetition:.0%} repeated items")


def regular_users(log: InteractionLog, config: CleanConfig) -> Done | None:
    """Drop users who act at regular intervals."""
    least = config.min_gap_entropy
    if least is None:
        return None
    times = _times(log, "min_gap_entropy")
    entropy = gap_entropy(log.user_codes, times, _n_users(log), config.judged_from - 1)
    with np.errstate(invalid="ignore"):
        bots = entropy < least
    return _without(log, -entropy, bots, f"less than {least:g} bits of entropy between times")


def _n_users(log: InteractionLog) -> int:
    return int(log.user_codes.max(initial=-1)) + 1


def _without(log: InteractionLog, value: np.ndarray, bots: np.ndarray, reason: str) -> Done:
    """Drop users, and name the most extreme one."""
    note = f"{counted(int(bots.sum()), 'user')} with {reason}"
    gone = bots[log.user_codes]
    if gone.any():
        worst = int(np.flatnonzero(bots)[np.argmax(value[bots])])
        row = int(np.flatnonzero(log.user_codes == worst)[0])
        name = log.frame[USER_ID].iloc[row]
        note += f"; the most extreme, {name}, has {abs(float(value[worst])):.4g}"
    return Done(log.keep(~gone, "cleaned"), note)


def bursts(log: InteractionLog, config: CleanConfig) -> Done | None:
    """Drop rows that come too fast after others of their user."""
    if config.max_burst is None:
        return None
    times = _times(log, "max_burst")
    keep = trailing_counts(log.user_codes, times, config.window * 60) <= config.max_burst
    note = f"after {config.max_burst:,} of the same user within {config.window:g} minutes"
    return Done(log.keep(keep, "cleaned"), note)


def ratings(log: InteractionLog, config: CleanConfig) -> Done | None:
    """Move the ratings of each user and domain to the mean, and spread, of the domain."""
    if config.ratings == "as-given":
        return None
    frame, taken = log.frame, log.report.taken
    if RATING not in frame:
        raise InputError("`ratings` needs a column 'rating', which the log does not have.")
    weighted = {row["domain"] for row in taken.rows if row["signal"] == WEIGHT}
    rows = frame[RATING].notna() & ~frame[DOMAIN].isin(weighted)
    if "events" in log.notes:
        rows &= log.notes["events"] < 0
    at = np.flatnonzero(rows)
    if not len(at):
        raise InputError(
            "`ratings`: every row has a weight or an event, which go before its rating; leave "
            "weights out with --column weight= (columns={'weight': ''})."
        )
    rating = frame[RATING].iloc[at].astype(float)
    domain = frame[DOMAIN].iloc[at].astype(str)
    by_domain = rating.groupby(domain)
    mean, spread = by_domain.transform("mean"), by_domain.transform("std", ddof=0)
    by_user = rating.groupby([domain, log.user_codes[at]])
    n = by_user.transform("size")
    own = (by_user.transform("sum") + PRIOR_RATINGS * mean) / (n + PRIOR_RATINGS)
    result = rating - own
    if config.ratings == "standardised":
        squares = (result**2).groupby([domain, log.user_codes[at]]).transform("sum")
        variance = (squares + PRIOR_RATINGS * spread**2) / (n + PRIOR_RATINGS)
        result = result * spread / np.sqrt(variance).where(variance > 0, 1.0)
    result = (mean + result).clip(by_domain.transform("min"), by_domain.transform("max"))
    column = frame[RATING].to_numpy(np.float32, copy=True)
    column[at] = result
    meant = frame.iloc[at].drop(columns=[WEIGHT, EVENT], errors="ignore")
    meant = meant.assign(**{RATING: column[at]}).reset_index(drop=True)
    weight = frame[WEIGHT].to_numpy(np.float32, copy=True)
    before = weight[at] > 0
    weight[at] = Meaning.of(as_in=taken).apply(meant)[0][WEIGHT]
    changed = int((before != (weight[at] > 0)).sum())
    note = f"{config.ratings} by user and domain; {counted(changed, 'row')} became a like or none"
    return Done(log.with_columns(**{RATING: column, WEIGHT: weight}), note, len(at))


def decay(log: InteractionLog, config: CleanConfig) -> Done | None:
    """Halve the weight of likes every `half_life` days before the last row."""
    if config.half_life is None:
        return None
    times = _times(log, "half_life")
    liked, weight = log.liked, _weights(log)
    age = (times.max(initial=0) - times[liked]) / DAY
    weight[liked] *= 0.5 ** (age / config.half_life)
    note = f"half the weight every {config.half_life:g} days before the last row"
    return Done(log.with_columns(**{WEIGHT: weight}), note, int(liked.sum()))


def light_likes(log: InteractionLog, config: CleanConfig) -> Done | None:
    """Drop likes of too little weight."""
    if not config.min_weight:
        return None
    keep = ~(log.liked & (_weights(log) < config.min_weight))
    return Done(log.keep(keep, "cleaned"), f"likes of a weight below {config.min_weight:g}")


def _weights(log: InteractionLog) -> np.ndarray:
    """Return a copy of the weights, float32 [n]."""
    if WEIGHT not in log.frame:
        return np.ones(len(log), dtype=np.float32)
    return log.frame[WEIGHT].to_numpy(np.float32, copy=True)


def repeats(log: InteractionLog, config: CleanConfig) -> Done | None:
    """Make one row of those of a user and item."""
    if config.repeats == "keep":
        return None
    if config.repeats == "first" and log.order is not None:
        first = pd.Series(log.order).groupby(log.pair_codes).transform("min")
        log.notes["first"] = first.to_numpy()
    result = log.deduplicate(every_row=config.repeats == "count")
    note, changed = f"one row of each user and item ({config.repeats})", 0
    if config.repeats == "first" and log.order is not None:
        when = result.notes.pop("first")
        changed = int((when != result.order).sum())
        clock = TIMESTAMP if log.has_time else POSITION
        stamps = pd.Series(when.view("datetime64[ms]")).dt.tz_localize("UTC")
        result = result.with_columns(**{clock: stamps if log.has_time else when})
    elif config.repeats == "count":
        changed = int((_weights(result) != 1).sum())
    return Done(result, note, changed)


def activity(log: InteractionLog, config: CleanConfig) -> Done | None:
    """Drop users and items with too few likes."""
    if config.min_user <= 1 and config.min_item <= 1:
        return None
    note = f"users with fewer than {config.min_user} likes, items with fewer than {config.min_item}"
    return Done(log.k_core(config.min_user, config.min_item), note)


STEPS: Final[Mapping[str, Callable[[InteractionLog, CleanConfig], Done | None]]] = {
    step.__name__: step
    for step in (
        *(exact_duplicates, time_window, fast_users, repeating_users, regular_users, bursts),
        *(ratings, decay, light_likes, repeats, activity),
    )
}
