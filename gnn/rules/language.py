"""The rule file: TOML read into rules, each problem with its line, and rules written as TOML."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any, Final, TypeAlias

from gnn.rules.terms import CATEGORIES, INTERESTS, ITEMS
from graphgen.errors import ConfigError, near_miss

__all__ = [
    "Condition",
    "Count",
    "Joined",
    "Lines",
    "Rule",
    "Subject",
    "parse_rules",
    "read_rules",
    "rule_text",
]

KINDS: Final = (ITEMS, CATEGORIES, INTERESTS, "keyword", "where")
SUBJECT: Final = ("domain", *KINDS)
COUNT: Final = (*SUBJECT, "least", "share", "within_days", "since", "until")
RULE: Final = ("name", "if", "then", "weight", "priority")
JOINS: Final = ("all", "any", "not")
HEADER: Final = re.compile(r"\s*\[\[\s*rules\s*\]\]")
# Problems that are shown at once.
SHOWN = 10
# 2^±30 is more than any ratio of numbers of users.
MAX_WEIGHT = 30.0


@dataclass(frozen=True)
class Subject:
    """Some items: those of a domain (None: of all), of one of `KINDS` (None: all) and a value."""

    domain: str | None
    kind: str | None = None
    value: str = ""

    def __str__(self) -> str:
        return ": ".join(filter(None, (self.domain, self.value)))


@dataclass(frozen=True)
class Count:
    """Whether a user has enough interactions with some items, in a window of time.

    Attributes
    ----------
    items
        The items.
    least, share
        Least number of interactions, and least share of the user's interactions in the domain.
    within_days
        Days before the latest interaction of all; None for any time.
    since, until
        Milliseconds since 1970 UTC, from and before which interactions count; None for no limit.
    """

    items: Subject
    least: int = 1
    share: float = 0.0
    within_days: float | None = None
    since: int | None = None
    until: int | None = None

    @property
    def window(self) -> tuple[float | None, int | None, int | None]:
        """`within_days`, `since` and `until`."""
        return self.within_days, self.since, self.until


@dataclass(frozen=True)
class Joined:
    """Conditions joined by ``all``, ``any`` or ``not``; the last has one."""

    word: str
    parts: tuple[Condition, ...]


Condition: TypeAlias = Count | Joined


@dataclass(frozen=True)
class Rule:
    """Favour some items for the users who fulfil a condition.

    Attributes
    ----------
    condition, target
        Who, and which items.
    weight
        An item counts as if 2^weight times as many users liked it.
    priority
        Of the rules that fire and name an item, those with the highest priority count.
    name
        For tables.
    number
        Place in the file, from 0.
    """

    condition: Condition
    target: Subject
    weight: float = 1.0
    priority: int = 0
    name: str = ""
    number: int = 0


class Lines:
    """Problems of a rule file, with their lines.

    Parameters
    ----------
    text
        The file.
    origin
        Its name.
    """

    def __init__(self, text: str, origin: str) -> None:
        self._lines = text.splitlines()
        self._origin = origin
        self._starts = [n for n, line in enumerate(self._lines) if HEADER.match(line)]
        self._problems: list[str] = []

    def add(self, rule: int, word: str, problem: str) -> None:
        """Note a problem with a word, key or value, of a rule, by its number from 0."""
        start, end = 0, len(self._lines)
        if rule < len(self._starts):
            start, end = [*self._starts, end][rule : rule + 2]
        pattern = re.compile(rf"(?<![\w-]){re.escape(word)}(?![\w-])") if word else HEADER
        found = (n for n in range(start, end) if pattern.search(self._lines[n]))
        self._problems.append(f"{self._origin}, line {next(found, start) + 1}: {problem}")

    def check(self) -> None:
        """Raise a `ConfigError` with all problems, if there are any."""
        if self._problems:
            more = len(self._problems) - SHOWN
            shown = self._problems[:SHOWN] + ([f"... and {more} more"] if more > 0 else [])
            raise ConfigError("\n".join(shown))


def read_rules(path: str | Path) -> str:
    """Return the text of a rule file.

    Raises
    ------
    ConfigError
        If there is none, or it is no UTF-8.
    """
    try:
        return Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"No rule file at {path}; write one, or `interest rules mine`.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}.") from None


def parse_rules(text: str, origin: str = "rules") -> list[Rule]:
    r"""Read rules.

    Parameters
    ----------
    text
        TOML: a table ``[[rules]]`` for each rule; see ``docs/models.md``.
    origin
        Name of the file, for messages.

    Raises
    ------
    ConfigError
        With the line of every problem, and the near miss of an unknown key.

    Examples
    --------
    >>> parse_rules('[[rules]]\nif = {domain = "book", intrest = "x"}\nthen = {domain = "film"}')
    Traceback (most recent call last):
        ...
    graphgen.errors.ConfigError: rules, line 2: unknown key 'intrest'; did you mean 'interest'?
    """
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{origin} is not valid TOML: {error}.") from None
    lines = Lines(text, origin)
    tables = content.pop("rules", [])
    for key in content:
        lines.add(len(tables), key, f"unknown table {key!r}; each rule is a table [[rules]].")
    if not isinstance(tables, list) or not tables:
        lines.add(0, "rules", "there are no rules; each is a table [[rules]].")
        tables = []
    rules = [_Parser(lines, number).rule(table) for number, table in enumerate(tables)]
    lines.check()
    return rules


class _Parser:
    """Reads one rule; problems go to `lines`, and reading goes on with a harmless value."""

    def __init__(self, lines: Lines, number: int) -> None:
        self._lines = lines
        self._number = number

    def rule(self, table: Any) -> Rule:
        table = self._table(table, RULE, "rules")
        for key in ("if", "then"):
            if key not in table:
                self._problem("", f"the rule has no `{key}`.")
        target = self._table(table.get("then", {}), SUBJECT, "then")
        found = self._subject(target)
        condition = self._condition(table["if"], "if") if "if" in table else Joined("all", ())
        label = f"rule {self._number + 1}"
        if isinstance(condition, Count):
            label = f"{condition.items} → {found}"
        return Rule(
            condition,
            found,
            self._number_of(table, "weight", 1.0, -MAX_WEIGHT, MAX_WEIGHT),
            int(self._number_of(table, "priority", 0, -1000, 1000, whole=True)),
            self._text(table, "name") or label,
            self._number,
        )

    def _condition(self, table: Any, where: str) -> Condition:
        join = next((word for word in JOINS if isinstance(table, dict) and word in table), None)
        if join is None:
            return self._count(self._table(table, (*COUNT, *JOINS), where))
        if len(table) > 1:
            others = ", ".join(f"`{key}`" for key in table if key != join)
            self._problem(join, f"`{join}` stands alone; put {others} into a condition of its own.")
        parts = table[join]
        if join == "not":
            parts = [parts]
        if not isinstance(parts, list) or not parts:
            self._problem(join, f"`{join}` holds conditions, {join} = [{{...}}, {{...}}].")
            parts = []
        return Joined(join, tuple(self._condition(part, join) for part in parts))

    def _count(self, table: dict[str, Any]) -> Count:
        days = None
        if "within_days" in table:
            days = self._number_of(table, "within_days", 1.0, 1e-6, 1e6)
        return Count(
            self._subject(table),
            int(self._number_of(table, "least", 1, 1, 1e9, whole=True)),
            self._number_of(table, "share", 0.0, 0.0, 1.0),
            days,
            self._instant(table, "since"),
            self._instant(table, "until"),
        )

    def _subject(self, table: dict[str, Any]) -> Subject:
        kinds = [kind for kind in KINDS if kind in table]
        if len(kinds) > 1:
            self._problem(kinds[1], f"`{kinds[0]}` and `{kinds[1]}` are two conditions; use `all`.")
        domain = self._text(table, "domain") or None
        if not kinds:
            if domain is None:
                self._problem("", f"name some of {', '.join(SUBJECT)} in `if` and in `then`.")
            return Subject(domain)
        return Subject(domain, kinds[0], self._text(table, kinds[0]))

    def _table(self, given: Any, keys: Iterable[str], where: str) -> dict[str, Any]:
        if not isinstance(given, dict):
            self._problem(where, f"`{where}` needs a table {{key = value}}; got {given!r:.60}.")
            return {}
        for key in given:
            if key not in keys:
                hint = near_miss(key, keys, f"there are {', '.join(keys)}.")
                self._problem(key, f"unknown key {key!r}; {hint}")
        return given

    def _text(self, table: Mapping[str, Any], key: str) -> str:
        value = table.get(key, "")
        if key in table and not (isinstance(value, str) and value.strip()):
            self._problem(key, f"`{key}` must be text in quotes; got {value!r:.60}.")
            return ""
        return str(value)

    def _number_of(
        self,
        table: Mapping[str, Any],
        key: str,
        otherwise: float,
        low: float,
        high: float,
        *,
        whole: bool = False,
    ) -> float:
        value = table.get(key, otherwise)
        kinds = int if whole else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:
            what = "a whole number" if whole else "a number"
            self._problem(key, f"`{key}` must be {what} from {low:g} to {high:g}; got {value!r}.")
            return otherwise
        return value

    def _instant(self, table: Mapping[str, Any], key: str) -> int | None:
        value = table.get(key)
        if isinstance(value, date) and not isinstance(value, datetime):
            value = datetime.combine(value, time())
        if isinstance(value, datetime):
            aware = value if value.tzinfo else value.replace(tzinfo=UTC)
            return int(aware.timestamp() * 1000)
        if key in table:
            self._problem(key, f"`{key}` must be a date without quotes, 2026-01-31; got {value!r}.")
        return None

    def _problem(self, word: str, problem: str) -> None:
        self._lines.add(self._number, word, problem)


def rule_text(rule: Rule, comment: str = "") -> str:
    """Return a rule with one `Count`, without window, as a TOML table.

    Examples
    --------
    >>> rule = Rule(Count(Subject("book", "interest", "dragons")), Subject("film"), weight=1.5)
    >>> print(rule_text(rule))
    [[rules]]
    if = {domain = "book", interest = "dragons"}
    then = {domain = "film"}
    weight = 1.5
    """
    condition = rule.condition
    if not isinstance(condition, Count):
        raise TypeError("Only rules with one count are written.")
    lines = [f"# {' '.join(comment.split())}"] if comment else []
    lines += ["[[rules]]", f"if = {_inline(condition.items)}", f"then = {_inline(rule.target)}"]
    return "\n".join([*lines, f"weight = {rule.weight:g}"])


def _inline(items: Subject) -> str:
    pairs = [("domain", items.domain), (items.kind, items.value)]
    # A TOML string is written as one of JSON.
    cells = (f"{k} = {json.dumps(v, ensure_ascii=False)}" for k, v in pairs if k and v)
    return "{" + ", ".join(cells) + "}"
