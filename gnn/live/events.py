"""Events since training: what users did, checked and with an id, however they arrive."""

from __future__ import annotations

import json
import math
import time as clock
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, Final, NamedTuple

from graphgen.ids import id_texts
from graphgen.schema import DOMAIN, EVENT, ITEM_ID, RESERVED_NODE_TYPES, USER_ID, WEIGHT

__all__ = ["Event", "Rejected", "now", "read_events", "read_json"]

TEXTS: Final = ("event_id", USER_ID, DOMAIN, ITEM_ID, EVENT)
# Longest text of an id, and of what is shown of an event that cannot be used.
LONGEST, SHOWN = 512, 10_000
# Milliseconds: a number below is in seconds (the year 5138) or is 1973 at the latest.
FIRST_MILLISECOND: Final = 10**11
# How far the clock of a producer may be ahead, in milliseconds.
AHEAD: Final = 86_400_000
# A weight is a number of likes or plays; sums of larger ones are not exact in float32.
LARGEST_WEIGHT: Final = 1e6

NOT_AN_OBJECT = "must be a JSON object with `user_id` and `item_id`"
NOT_A_TIME = "`time` must be milliseconds since 1970 UTC, or ISO 8601 such as 2026-11-28T20:15Z"
IN_SECONDS = "`time` must be milliseconds since 1970 UTC; this looks like seconds"
IN_FUTURE = "`time` is more than a day ahead of the clock here"
NOT_A_WEIGHT = f"`weight` must be a finite number of at most {LARGEST_WEIGHT:,.0f}"
NO_DOMAIN = "`domain` is required, because the model has several"
WITH_RATING = "`rating` is no part of an event; send `weight`: above 0 a like, 0 seen, -1 a dislike"


@dataclass(frozen=True, slots=True)
class Event:
    """One interaction since training.

    Attributes
    ----------
    event_id
        Makes it count once, however often it is delivered.
    user_id, domain, item_id
        Ids, by the rule of `graphgen.ids.as_ids`.
    event
        Name of its kind, such as ``play``, with the meaning that it had in training; "" for none.
    weight
        As in an `InteractionLog`: above 0 a like of that strength, 0 seen, below 0 a dislike.
    time
        Milliseconds since 1970 UTC.
    """

    event_id: str
    user_id: str
    domain: str
    item_id: str
    event: str
    weight: float
    time: int


class Rejected(NamedTuple):
    """An event that cannot be used, and the reason."""

    raw: Any
    reason: str


def now() -> int:
    """Return milliseconds since 1970 UTC."""
    return clock.time_ns() // 1_000_000


def read_events(
    objects: Iterable[Any], *, domain: str | None = None, times: Sequence[int] | None = None
) -> tuple[list[Event], list[Rejected]]:
    """Check events that came as JSON objects; whatever they hold, nothing is raised.

    Keys: ``user_id`` and ``item_id``; optional ``domain``, ``event``, ``weight`` (1), ``time`` or
    ``timestamp`` (when it arrived), ``event_id`` (a hash of the others, so that equal events at
    the same time are one). Further keys are ignored, except ``rating``, which is refused: without
    it a low one would be a like.

    Parameters
    ----------
    objects
        Mappings.
    domain
        Domain of events that name none; None to refuse them.
    times
        When each arrived, in milliseconds since 1970 UTC; by default now.

    Returns
    -------
    events : list of Event
        In the order of `objects`.
    rejected : list of Rejected
        The others.

    Examples
    --------
    >>> given = [
    ...     {"user_id": "ann", "item_id": 7, "domain": "books", "time": "2026-11-28T20:15:00Z"},
    ...     {"user_id": "ann", "domain": "books"},
    ... ]
    >>> events, rejected = read_events(given)
    >>> events[0].item_id, events[0].weight, events[0].time
    ('7', 1.0, 1795896900000)
    >>> rejected[0].reason
    '`item_id` is required'
    """
    objects = list(objects)
    texts: dict[str, list[str | None]] = {}
    reasons: dict[int, str] = {
        place: NOT_AN_OBJECT for place, one in enumerate(objects) if not isinstance(one, Mapping)
    }
    for name in TEXTS:
        column = [one.get(name) if isinstance(one, Mapping) else None for one in objects]
        found, faults = id_texts(column)
        texts[name] = found.to_pylist()
        for wrong, reason in faults:
            reasons |= {int(place): f"`{name}` {reason}" for place in wrong.nonzero()[0]}
    arrived = now()
    events, rejected = [], []
    for place, one in enumerate(objects):
        try:
            if place in reasons:
                raise ValueError(reasons[place])
            event_id, *names = (texts[name][place] for name in TEXTS)
            default = arrived if times is None else times[place]
            events.append(_event(one, event_id, *names, domain, default, arrived))
        except ValueError as error:
            rejected.append(Rejected(_shown(one), str(error)))
    return events, rejected


def read_json(raw: bytes | str | Mapping[str, Any]) -> Any:
    """Return the value of a message: JSON, or already an object.

    Raises
    ------
    ValueError
        Naming the reason, if it is no JSON.
    """
    if isinstance(raw, Mapping):
        return raw
    try:
        return json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"is not JSON: {error}") from None


def _event(
    one: Mapping[str, Any],
    event_id: str | None,
    user_id: str | None,
    domain: str | None,
    item_id: str | None,
    event: str | None,
    default_domain: str | None,
    default_time: int,
    arrived: int,
) -> Event:
    """Return a checked event; a ValueError with the reason if it is none."""
    domain = domain or default_domain
    for name, text in ((USER_ID, user_id), (ITEM_ID, item_id), ("event_id", event_id or "-")):
        if text is None:
            raise ValueError(f"`{name}` is required")
        if len(text) > LONGEST:
            raise ValueError(f"`{name}` must have at most {LONGEST} characters; got {len(text):,}")
    if domain is None:
        raise ValueError(NO_DOMAIN)
    if domain in RESERVED_NODE_TYPES or len(domain) > LONGEST or len(event or "") > LONGEST:
        raise ValueError("`domain` or `event` is a reserved name or too long")
    if one.get("rating") is not None:
        raise ValueError(WITH_RATING)
    weight = _number(one.get(WEIGHT))
    given = one.get("time", one.get("timestamp"))
    time = default_time if given is None or given == "" else _time(given)
    if time > arrived + AHEAD:
        raise ValueError(IN_FUTURE)
    if event_id is None:
        content = [user_id, domain, item_id, event, weight, time]
        event_id = blake2b(json.dumps(content).encode(), digest_size=16).hexdigest()
    return Event(event_id, str(user_id), domain, str(item_id), event or "", weight, time)


def _number(given: Any) -> float:
    if given is None or given == "":
        return 1.0
    try:
        weight = math.nan if isinstance(given, bool) else float(given)
    except (TypeError, ValueError, OverflowError):
        weight = math.nan
    if not abs(weight) <= LARGEST_WEIGHT:
        raise ValueError(NOT_A_WEIGHT)
    return weight


def _time(given: Any) -> int:
    """Return milliseconds; of text without a zone as UTC."""
    if isinstance(given, str) and not given.strip().lstrip("-").isdecimal():
        try:
            moment = datetime.fromisoformat(given.strip())
        except ValueError:
            raise ValueError(NOT_A_TIME) from None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return round(moment.timestamp() * 1000)
    try:
        time = None if isinstance(given, bool) else int(given)
    except (TypeError, ValueError, OverflowError):
        time = None
    if time is None:
        raise ValueError(NOT_A_TIME)
    if time < FIRST_MILLISECOND:
        raise ValueError(IN_SECONDS)
    return time


def _shown(one: Any) -> Any:
    """Return what was sent, or the beginning of its text where it is long or no JSON."""
    try:
        text = json.dumps(one, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return repr(one)[:SHOWN]
    return one if len(text) <= SHOWN else text[:SHOWN]
