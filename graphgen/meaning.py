"""The meaning of an interaction: a like and how strong, seen, a dislike, or nothing at all."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Self

import numpy as np
import pandas as pd

from graphgen.conditions import RowCondition, number_in
from graphgen.errors import ConfigError, InputError, near_miss
from graphgen.schema import DOMAIN, EVENT, RATING, WEIGHT

__all__ = ["Meaning", "Taken", "separate_domains", "taken_in"]

logger = logging.getLogger(__name__)

NEGATIVE, SEEN, DROP = "negative", "seen", "drop"
# Tops of common rating scales; the scale of a domain is the first that holds its largest rating.
SCALES: Final = (1.0, 5.0, 7.0, 10.0, 20.0, 100.0)
# A rating is a like from this share of the scale's top on: 4 of 5, 8 of 10. See the table in
# docs/data-formats.md.
LIKE_SHARE: Final = 0.8
# The same on a scale that goes below 0, from -top to top.
SIGNED_LIKE_SHARE: Final = 0.5
# Of ratings that are counts, such as plays or hours, everything above 0.
LEAST_COUNT: Final = 1e-3


@dataclass(frozen=True)
class Taken:
    """How the rows of a log were read.

    Attributes
    ----------
    rules
        By domain, in words, the rows that are likes.
    like_from
        By domain, the least rating that is a like, where no condition says it.
    options
        The events and conditions that were given.
    separate
        Domains whose user ids have the domain before them: their users are their own.
    rows
        One entry for each domain and signal (rating, weight, an event, or none): ``domain``,
        ``signal``, and the numbers of rows that are ``likes``, ``seen``, ``disliked`` and
        ``dropped``.
    """

    rules: dict[str, str] = field(default_factory=dict)
    like_from: dict[str, float] = field(default_factory=dict)
    rows: tuple[dict[str, Any], ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    separate: tuple[str, ...] = ()

    def line(self) -> str:
        """Return one line on what a like is.

        Examples
        --------
        >>> Taken({"books": "rating >= 4", "music": "every row"}).line()
        'Likes: books: rating >= 4; music: every row.'
        """
        same = set(self.rules.values())
        if len(same) == 1:
            return f"Likes: {same.pop()}."
        return f"Likes: {'; '.join(f'{domain}: {rule}' for domain, rule in self.rules.items())}."

    @classmethod
    def merged(cls, taken: Sequence[Self]) -> Self:
        """Put together what was done to several logs."""
        return cls(
            {domain: rule for one in taken for domain, rule in one.rules.items()},
            {domain: least for one in taken for domain, least in one.like_from.items()},
            tuple(row for one in taken for row in one.rows),
            next((one.options for one in taken if one.options), {}),
            tuple(dict.fromkeys(domain for one in taken for domain in one.separate)),
        )

    def counts(self) -> dict[str, int]:
        """Return the numbers of likes, seen, disliked and dropped rows."""
        return {name: sum(row[name] for row in self.rows) for name in OUTCOMES}


OUTCOMES: Final = ("likes", "seen", "disliked", "dropped")


@dataclass(frozen=True)
class Meaning:
    """Rules that turn events, ratings and weights into the signed ``weight`` of a log.

    A weight above 0 is a like of that strength, 0 is seen, below 0 is a dislike. In order:

    - A row with a weight has that weight. A row with a rating and no weight is a like of weight 1
      from 4 of 5 on (80 % of the scale's top, which is the first of 1, 5, 7, 10, 20 and 100 that
      holds the domain's largest rating; half the top where ratings are negative), a dislike below
      0, else seen. All other rows are likes of weight 1.
    - Events: ``events`` gives the weight of a name, which multiplies the row's own, or
      ``"negative"``, ``"seen"`` or ``"drop"``. Events that are not named change nothing.
    - ``positive``: of the rows that have its columns, those that fulfil one condition are likes
      (of the row's weight where it is above 0, else 1), the others seen.
    - ``negative``: rows that fulfil one condition are dislikes of weight 1; this wins.

    Attributes
    ----------
    events
        Weight, ``"negative"``, ``"seen"`` or ``"drop"`` by the name of the event.
    positive, negative
        Conditions.
    like_from
        By domain, the least rating that is a like by default: that of the log trained on.
    strict
        Whether a rule must find its columns and names.
    """

    events: dict[str, float | str] = field(default_factory=dict)
    positive: tuple[RowCondition, ...] = ()
    negative: tuple[RowCondition, ...] = ()
    like_from: dict[str, float] = field(default_factory=dict)
    strict: bool = True

    @classmethod
    def of(
        cls,
        events: Mapping[str, float | str] | None = None,
        positive: str | Iterable[str] | None = None,
        negative: str | Iterable[str] | None = None,
        as_in: Taken | Mapping[str, Any] | None = None,
    ) -> Self:
        """Check and parse the options of `graphgen.read_log`.

        Raises
        ------
        ConfigError
            If an event is neither a finite number nor one of the words, or a condition cannot be
            read.
        """
        known: dict[str, float | str] = {}
        as_in = as_in or {}
        other: Mapping[str, Any] = as_in if isinstance(as_in, Mapping) else asdict(as_in)
        strict = bool(events or positive or negative)
        if not strict:
            rules = other.get("options", {})
            events, positive = rules.get("events"), rules.get("positive")
            negative = rules.get("negative")
        for name, value in (events or {}).items():
            word = str(value).strip().lower()
            number = number_in(word)
            if number is None and word not in (NEGATIVE, SEEN, DROP):
                raise ConfigError(
                    f"Event {name!r} must be a number, negative, seen or drop; got {value!r}."
                )
            known[name.strip().casefold()] = word if number is None else number
        least = dict(other.get("like_from", {}))
        return cls(known, _conditions(positive), _conditions(negative), least, strict)

    def apply(self, frame: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray, Taken]:
        """Return the frame with its signed weight, NaN where a row is to be dropped.

        Also bool [n], the rows whose weights add up with those of the same user and item, and what
        was done. Where every row is a like of weight 1 and nothing says otherwise, the frame has
        no column of weights. O(n) for each rule.

        Raises
        ------
        InputError
            If no row has the columns that a rule needs.
        """
        n = len(frame)
        if not (self._options() or {WEIGHT, RATING, EVENT}.intersection(frame)):
            return frame, np.zeros(n, dtype=bool), _all_liked(frame)
        raw, rating = _numbers(frame, WEIGHT), _numbers(frame, RATING)
        weighted, rated = ~np.isnan(raw), ~np.isnan(rating)
        event = _events(frame)
        signal = np.where(weighted, WEIGHT, np.where(rated, RATING, "")).astype(object)
        if self.strict:
            self._check(frame, event)

        weight = np.where(weighted, raw, 1.0)
        like_from = self._thresholds(frame, rating, rated & ~weighted)
        codes = frame[DOMAIN].cat.codes.to_numpy()
        least = np.array([like_from.get(d, -np.inf) for d in frame[DOMAIN].cat.categories])
        by_rating = rated & ~weighted
        default = np.where(rating >= least[codes] - 1e-6, 1.0, np.where(rating < 0, -1.0, 0.0))
        weight[by_rating] = default[by_rating]

        own = np.where(weighted, raw, 1.0)
        additive = np.zeros(n, dtype=bool)
        fixed = np.zeros(n, dtype=bool)
        for name, value in self.events.items():
            rows = event == name
            additive |= rows
            fixed |= rows & (value in (NEGATIVE, DROP))
            if value == DROP:
                weight[rows] = np.nan
            elif value == NEGATIVE:
                weight[rows] = -np.abs(own[rows])
            else:
                weight[rows] = own[rows] * (0.0 if value == SEEN else float(value))
        if self.events:
            additive |= event != ""
        strength = np.where(weight > 0, weight, np.where(own > 0, own, 1.0))
        about, liked = _fulfilled(self.positive, frame)
        about &= ~fixed
        weight[about] = np.where(liked, strength, 0.0)[about]
        _, disliked = _fulfilled(self.negative, frame)
        weight[disliked & ~np.isnan(weight)] = -1.0

        rules = self._rules(frame, event, signal, like_from, about)
        signal = np.where(event != "", "event " + event, np.where(signal == "", "none", signal))
        counts = _count(frame, signal, weight)
        taken = Taken(rules, like_from, counts, self._options())
        says = WEIGHT in frame or RATING in frame or bool((weight != 1).any() or additive.any())
        # What the events say is in the weights now: said again, it would count twice.
        result = frame.drop(columns=EVENT) if self.events and EVENT in frame else frame
        if says:
            columns = [name for name in result.columns if name != WEIGHT]
            place = columns.index(RATING) if RATING in columns else len(columns)
            columns.insert(place, WEIGHT)
            result = result.assign(**{WEIGHT: weight.astype(np.float32)})[columns]
        return result, additive, taken

    def _options(self) -> dict[str, Any]:
        rules = {"positive": self.positive, "negative": self.negative}
        texts = {name: [condition.text for condition in given] for name, given in rules.items()}
        return {n: value for n, value in {"events": self.events, **texts}.items() if value}

    def _thresholds(
        self, frame: pd.DataFrame, rating: np.ndarray, rows: np.ndarray
    ) -> dict[str, float]:
        """Return the least rating that is a like by default, by domain with such ratings."""
        found: dict[str, float] = {}
        rated = pd.Series(rating[rows]).groupby(frame[DOMAIN].to_numpy()[rows])
        for domain, least, most in rated.agg(["min", "max"]).itertuples():
            if domain in self.like_from:
                found[str(domain)] = self.like_from[domain]
                continue
            top = next((top for top in SCALES if top >= max(most, -least)), None)
            if top is None:
                logger.warning(
                    "Ratings of %s go up to %g: they are taken for counts, and each above 0 is a "
                    "like of weight 1; map them to `weight` to use them as strengths.",
                    domain, most,
                )  # fmt: skip
                found[str(domain)] = LEAST_COUNT
            else:
                found[str(domain)] = top * (SIGNED_LIKE_SHARE if least < 0 else LIKE_SHARE)
        return found

    def _check(self, frame: pd.DataFrame, event: np.ndarray) -> None:
        """Refuse rules without a column; warn of names that do not occur."""
        names = sorted({str(name) for name in pd.unique(event) if name})
        if self.events and not names:
            if WEIGHT not in frame:
                raise InputError(
                    "The log has no column 'event' that --event could be about; map one with "
                    "--column event=NAME."
                )
            logger.warning("The log has a weight and no events; --event is not used.")
        elif self.events:
            for name in [name for name in self.events if name not in names]:
                hint = near_miss(name, names, f"there are {', '.join(names[:10])}.")
                logger.warning("No row has the event %r; %s", name, hint)
        columns = {str(name).strip().lower() for name in frame.columns}
        for condition in (*self.positive, *self.negative):
            for column in condition.columns:
                if column.lower() not in columns:
                    hint = near_miss(column, sorted(columns), f"it has {', '.join(columns)}.")
                    raise InputError(
                        f"{condition.text!r}: the log has no column {column!r}; {hint} Map one "
                        f"with --column {column}=NAME, or leave the condition out."
                    )
            domains = [str(name) for name in frame[DOMAIN].cat.categories]
            if condition.domain is not None and condition.domain not in domains:
                hint = near_miss(condition.domain, domains, f"there are {', '.join(domains)}.")
                logger.warning("%r: no row is of that domain; %s", condition.text, hint)

    def _rules(
        self,
        frame: pd.DataFrame,
        event: np.ndarray,
        signal: np.ndarray,
        like_from: Mapping[str, float],
        about: np.ndarray,
    ) -> dict[str, str]:
        rules = {}
        found: dict[str, list[tuple[str, str, bool]]] = {
            d: [] for d in frame[DOMAIN].cat.categories
        }
        kinds_of = {"domain": frame[DOMAIN], "signal": signal, "event": event, "about": about}
        for domain, *kind in pd.DataFrame(kinds_of).drop_duplicates().itertuples(index=False):
            found[domain].append(tuple(kind))
        for domain, own in found.items():
            kinds, said = {kind for kind, _, is_about in own if not is_about}, []
            if any(is_about for *_, is_about in own):
                mine = [c for c in self.positive if c.domain in (None, domain)]
                said.append(" or ".join(condition.plain for condition in mine) + ", rest seen")
            names = {name for _, name, _ in own}
            events = [f"{k}={_short(v)}" for k, v in self.events.items() if k in names]
            if events:
                said.append(f"event {', '.join(events)}")
            if RATING in kinds:
                said.append(f"rating >= {like_from[domain]:g}, rest seen")
            if WEIGHT in kinds:
                said.append("weight above 0")
            others = sorted(names - {"", *self.events})
            if others and RATING not in kinds and WEIGHT not in kinds:
                said.append(f"every {', '.join(others[:10])}")
            if ("", "", False) in own:
                said.append("rows without a rating" if said else "every row")
            mine = [c for c in self.negative if c.domain in (None, domain)]
            if mine:
                said.append("disliked: " + " or ".join(c.plain for c in mine))
            rules[str(domain)] = ", ".join(said)
        return rules


def _conditions(given: str | Iterable[str] | None) -> tuple[RowCondition, ...]:
    """Parse one condition, several or none."""
    return tuple(map(RowCondition, [given] if isinstance(given, str) else given or ()))


def _fulfilled(
    any_of: Sequence[RowCondition], frame: pd.DataFrame
) -> tuple[np.ndarray, np.ndarray]:
    """Return bool [n], the rows that one of the conditions is about, and that fulfil one."""
    about, holds = np.zeros((2, len(frame)), dtype=bool)
    for condition in any_of:
        applies, true = condition.rows(frame)
        about |= applies
        holds |= true
    return about, holds


def separate_domains(
    wanted: bool | str | Sequence[str],
    known: Sequence[str],
    as_in: Taken | Mapping[str, Any] | None,
) -> tuple[str, ...]:
    """Return the domains with users of their own: those `wanted`, else those of `as_in`.

    Raises
    ------
    InputError
        If a domain is not `known`.
    """
    if wanted is True:
        return tuple(known)
    if not wanted:
        if isinstance(as_in, Taken):
            return as_in.separate
        return tuple((as_in or {}).get("separate", ()))
    names = (wanted,) if isinstance(wanted, str) else tuple(wanted)
    for name in names:
        if name not in known:
            hint = near_miss(name, known, f"there are {', '.join(known)}.")
            raise InputError(f"No row is of the domain {name!r} with separate users; {hint}")
    return names


def taken_in(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Return the rules of the log that a graph of this provenance was built from, if it says."""
    found: dict[str, Any] = provenance.get("log", {}).get("report", {}).get("taken", {})
    return found


def _numbers(frame: pd.DataFrame, name: str) -> np.ndarray:
    return frame[name].to_numpy(float) if name in frame else np.full(len(frame), np.nan)


def _events(frame: pd.DataFrame) -> np.ndarray:
    """Return object [n], the event of each row in small letters; "" without one."""
    if EVENT not in frame:
        return np.full(len(frame), "", dtype=object)
    names = frame[EVENT].cat.categories.astype(str).str.strip().str.casefold()
    return np.append(names.to_numpy(object), "")[frame[EVENT].cat.codes.to_numpy()]


def _count(frame: pd.DataFrame, signal: np.ndarray, weight: np.ndarray) -> tuple[Any, ...]:
    outcome = np.select([weight > 0, weight == 0, weight < 0], OUTCOMES[:3], OUTCOMES[3])
    keys = {"domain": frame[DOMAIN].astype(str).to_numpy(object), "signal": signal}
    table = pd.crosstab([keys["domain"], keys["signal"]], outcome, rownames=list(keys))
    table = table.reindex(columns=list(OUTCOMES), fill_value=0)
    return tuple(
        {"domain": str(domain), "signal": str(name), **{k: int(row[k]) for k in OUTCOMES}}
        for (domain, name), row in table.iterrows()
    )


def _all_liked(frame: pd.DataFrame) -> Taken:
    """Return what is said of rows that are all likes, because nothing tells them apart."""
    sizes = {str(d): int(n) for d, n in frame[DOMAIN].value_counts(sort=False).items()}
    none = {"signal": "none", **dict.fromkeys(OUTCOMES, 0)}
    rows = tuple({"domain": domain, **none, "likes": n} for domain, n in sizes.items())
    return Taken(dict.fromkeys(sizes, "every row"), {}, rows)


def _short(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"
