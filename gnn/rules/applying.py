"""Rules on a catalogue and on users: the items that they name, and the users for whom they fire."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from gnn.candidates import item_frame
from gnn.data import TrainingData, UserBatch, known_times
from gnn.numerics.sparse import pattern
from gnn.rules.language import Condition, Count, Lines, Rule, Subject, parse_rules
from gnn.rules.terms import CATEGORIES, INTERESTS, ITEMS, SEPARATOR
from graphgen.conditions import Condition as ColumnCondition
from graphgen.errors import InterestError, UnknownIdError, near_miss
from graphgen.schema import CATEGORY, TITLE
from graphgen.titles import Catalogue, find_item

__all__ = ["Effect", "RuleBook"]

DAY = 86_400_000.0
# From here on letters are of scripts that put no blanks between words.
UNSPACED = 0x2E80


class Effect(NamedTuple):
    """Users for whom a rule fires, items it favours, and how many of the users like one of these.

    `confidence` is the share of these users who like such an item, of those active in all domains
    that the rule names, and `lift` this share over that of all such users; NaN without any.
    """

    rule: Rule
    users: int
    items: int
    confidence: float
    lift: float


class RuleBook:
    """The rules of a file, on the items of a graph or a model.

    Parameters
    ----------
    text
        The file, as `gnn.rules.language.parse_rules` takes it.
    data
        Items, their columns and their interests.
    origin
        Name of the file, for messages.

    Attributes
    ----------
    rules
        Rules, in the order of the file.
    targets
        float32 CSR [rules, n_items], 1 for the items that a rule favours.

    Raises
    ------
    ConfigError
        With the line of every problem: also an unknown domain, item, category, interest or column,
        with the near miss, and conditions that no item fulfils.
    """

    def __init__(self, text: str, data: TrainingData, origin: str = "rules") -> None:
        self.rules = parse_rules(text, origin)
        self._data = data
        lines = Lines(text, origin)
        self._counts = [(r.number, c) for r in self.rules for c in _counts_in(r.condition)]
        named = [(number, count.items) for number, count in self._counts]
        named += [(rule.number, rule.target) for rule in self.rules]
        found: dict[Subject, np.ndarray] = {}
        for number, subject in named:
            if subject in found:
                continue
            try:
                found[subject] = self._items(subject)
            except InterestError as error:
                found[subject] = np.empty(0, dtype=np.int64)
                lines.add(number, subject.value or subject.domain or "", str(error))
        if data.times is None:
            for number, count in self._counts:
                if any(limit is not None for limit in count.window):
                    problem = "a window of time needs a log with timestamps; this one has none."
                    lines.add(number, "", problem)
        lines.check()
        self.targets = self._rows([found[rule.target] for rule in self.rules])
        # By window: places of its counts, their items, and the domains that a share is of.
        self._in_domain = np.eye(len(data.domains), dtype=np.float32)[data.item_domain]
        self._windows = []
        for window in dict.fromkeys(count.window for _, count in self._counts):
            own = [n for n, (_, count) in enumerate(self._counts) if count.window == window]
            subjects = [self._counts[n][1].items for n in own]
            of = [data.domains if s.domain is None else [s.domain] for s in subjects]
            whole = np.array([[name in names for name in data.domains] for names in of])
            rows = self._rows([found[subject] for subject in subjects])
            self._windows.append((window, own, rows, whole.astype(np.float32)))

    def _rows(self, items: Sequence[np.ndarray]) -> sp.csr_matrix:
        indptr = np.cumsum([0, *map(len, items)])
        column = np.concatenate([*items, np.empty(0, np.int64)]).astype(np.int64)
        shape = (len(items), self._data.n_items)
        return sp.csr_matrix((np.ones(len(column), np.float32), column, indptr), shape=shape)

    # The items of a subject ---------------------------------------------------------------

    def _items(self, subject: Subject) -> np.ndarray:
        """Return int64, the columns of some items in the joint index, rising."""
        data = self._data
        if subject.domain is not None and subject.domain not in data.items:
            hint = near_miss(subject.domain, data.items, f"there are {', '.join(data.items)}.")
            raise UnknownIdError(f"unknown domain {subject.domain!r}; {hint}")
        domains = [subject.domain] if subject.domain else data.domains
        inside = np.isin(data.item_domain, [data.domains.index(name) for name in domains])
        if subject.kind is None:
            return np.flatnonzero(inside)
        if subject.kind == ITEMS and subject.domain and subject.value in data.items[subject.domain]:
            return data.items[subject.domain].encode([subject.value]) + data.span(domains[0]).start
        if subject.kind == ITEMS:
            catalogues = {
                name: Catalogue(data.items[name], item_frame(data, name)[TITLE].to_numpy(object))
                for name in domains
            }
            domain, item = find_item(catalogues, subject.value)
            return data.items[domain].encode([item]) + data.span(domain).start
        if subject.kind == INTERESTS:
            chosen = self._of_interest(subject.value)
        else:
            chosen = np.zeros(data.n_items, dtype=bool)
            for domain in domains:
                chosen[data.span(domain)] = self._by_columns(subject, domain)
        columns = np.flatnonzero(chosen & inside)
        if not len(columns):
            known = self._known(subject, domains)
            hint = near_miss(subject.value, known, "see the column in the item table.")
            where = ", ".join(domains)
            raise UnknownIdError(f"no item of {where} has {subject.kind} {subject.value!r}; {hint}")
        return columns

    def _of_interest(self, name: str) -> np.ndarray:
        data = self._data
        if name not in data.topics or data.about is None:
            otherwise = "`interest describe GRAPH` names them."
            if not data.topics:
                otherwise = "this graph has none: build it with an item table."
            raise UnknownIdError(
                f"unknown interest {name!r}; {near_miss(name, data.topics, otherwise)}"
            )
        result: np.ndarray = np.zeros(data.n_items, dtype=bool)
        about, place = self._about, data.topics.index(name)
        result[about.indices[about.indptr[place] : about.indptr[place + 1]]] = True
        return result

    @cached_property
    def _about(self) -> sp.csc_matrix:
        return sp.csc_matrix(self._data.about)

    def _by_columns(self, subject: Subject, domain: str) -> np.ndarray:
        frame, value = item_frame(self._data, domain), subject.value
        if subject.kind == "where":
            return ColumnCondition(value).mask(frame.fillna(""))
        if subject.kind == CATEGORIES:
            if CATEGORY not in frame:
                return np.zeros(len(frame), dtype=bool)
            edge = re.escape(SEPARATOR)
            regex = rf"(?:^|{edge})\s*{re.escape(value)}\s*(?:$|{edge})"
            column = frame[CATEGORY]
        else:
            bound = "" if any(ord(letter) >= UNSPACED for letter in value) else r"\b"
            regex, column = rf"{bound}{re.escape(value)}{bound}", frame[TITLE]
        found: np.ndarray = column.str.contains(regex, case=False, regex=True).to_numpy(bool)
        return found

    def _known(self, subject: Subject, domains: Sequence[str]) -> list[str]:
        """Return the categories, or the words of the titles, for a near miss."""
        names: set[str] = set()
        for domain in domains:
            frame = item_frame(self._data, domain)
            if subject.kind == CATEGORIES and CATEGORY in frame:
                for cell in frame[CATEGORY].unique():
                    names.update(part.strip() for part in cell.split(SEPARATOR))
            elif subject.kind == "keyword":
                # Casefolded, and first letters only: titles have many words.
                first = subject.value[:1].casefold()
                words = frame[TITLE].str.casefold().str.findall(rf"\b{re.escape(first)}\w*")
                names.update(word for row in words for word in row)
        return sorted(names)

    # The users of a rule ------------------------------------------------------------------

    def fires(self, users: UserBatch) -> np.ndarray:
        """Return bool [n, rules], whether users fulfil the condition of each rule.

        O(interactions · conditions that hold for an item).
        """
        holds = np.zeros((len(users), len(self._counts)), dtype=bool)
        for window, own, items, of in self._windows:
            history = self._within(users, *window)
            number = (history @ items.T).toarray()
            counts = [self._counts[n][1] for n in own]
            least = np.array([count.least for count in counts])
            share = np.array([count.share for count in counts])
            enough = number >= least
            if share.any():
                enough &= number >= share * ((history @ self._in_domain) @ of.T)
            holds[:, own] = enough
        place = iter(range(len(self._counts)))
        fired = [_evaluated(rule.condition, holds, place) for rule in self.rules]
        return np.stack(fired, axis=1)

    def _within(
        self, users: UserBatch, days: float | None, since: int | None, until: int | None
    ) -> sp.csr_matrix:
        if days is None and since is None and until is None:
            return pattern(users.history).astype(np.float32)
        times = known_times(users)
        kept = np.ones(len(times.data), dtype=bool)
        if days is not None:
            latest = known_times(self._data).data.max(initial=0)
            kept &= times.data >= max(latest, times.data.max(initial=0)) - days * DAY
        if since is not None:
            kept &= times.data >= since
        if until is not None:
            kept &= times.data < until
        return sp.csr_matrix((kept.astype(np.float32), times.indices, times.indptr), times.shape)

    def effects(self) -> list[Effect]:
        """Return the effect of each rule on the users of the training data; O(users · rules)."""
        data, size, in_domain = self._data, 4096, self._data.active()
        liked = pattern(data.matrix).astype(np.float32)
        totals = np.zeros((5, len(self.rules)))
        named: list[set[str | None]] = [{rule.target.domain} - {None} for rule in self.rules]
        for number, count in self._counts:
            named[number] |= {count.items.domain} - {None}
        absent = np.array([[name not in some for name in data.domains] for some in named])
        for low in range(0, data.n_users, size):
            rows = np.arange(low, min(low + size, data.n_users))
            fires = self.fires(data.batch(rows))
            history = liked[rows]
            active = (in_domain[rows][:, None] | absent).all(axis=2)
            has = (history @ self.targets.T).toarray() > 0
            parts = (fires, fires & active, fires & active & has, active, active & has)
            totals += [part.sum(axis=0) for part in parts]
        fired, both, hit, active, has = totals
        with np.errstate(divide="ignore", invalid="ignore"):
            confidence, base = hit / both, has / active
            lift = confidence / base
        sizes = np.diff(self.targets.indptr)
        return [
            Effect(rule, int(fired[n]), int(sizes[n]), float(confidence[n]), float(lift[n]))
            for n, rule in enumerate(self.rules)
        ]

    def scores(self, users: UserBatch, domain: str) -> np.ndarray:
        """Return float32 [n, items of the domain], the weights of the rules that fire.

        Of the rules that fire and name an item, the weights of those with the highest priority add
        up.
        """
        fired, targets = self.fires(users), self.targets[:, self._data.span(domain)]
        priority = np.array([rule.priority for rule in self.rules])
        weight = np.array([rule.weight for rule in self.rules], dtype=np.float32)
        scores: np.ndarray = np.zeros((len(users), targets.shape[1]), dtype=np.float32)
        named = np.zeros(scores.shape, dtype=bool)
        levels = np.unique(priority)[::-1]
        for level in levels:
            own = priority == level
            here = sp.csr_matrix(fired[:, own], dtype=np.float32)
            new = np.asarray((here.multiply(weight[own]) @ targets[own]).toarray())
            scores += np.where(named, np.float32(0), new)
            if len(levels) > 1:
                named |= (here @ targets[own]).toarray() > 0
        return scores


def _counts_in(condition: Condition) -> Iterator[Count]:
    if isinstance(condition, Count):
        yield condition
    else:
        for part in condition.parts:
            yield from _counts_in(part)


def _evaluated(condition: Condition, holds: np.ndarray, place: Iterator[int]) -> np.ndarray:
    """Return bool [n]; `place` runs over the columns of `holds` in the order of `_counts_in`."""
    if isinstance(condition, Count):
        return holds[:, next(place)]
    parts = [_evaluated(part, holds, place) for part in condition.parts]
    if condition.word == "not":
        return ~parts[0]
    join = np.logical_and if condition.word == "all" else np.logical_or
    result: np.ndarray = join.reduce(parts)
    return result
