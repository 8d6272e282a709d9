"""What unknown files hold: which column is the user, the item, the time, the rating, and why."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from graphgen.errors import InputError, counted
from graphgen.reading.formats import format_of
from graphgen.reading.layouts.base import find_data_files
from graphgen.reading.layouts.registry import recognise
from graphgen.reading.profiles import Profile, Sample, read_sample
from graphgen.schema import (
    CATEGORY,
    DOMAIN,
    EVENT,
    ITEM_ID,
    RATING,
    TEXT,
    TIMESTAMP,
    TITLE,
    USER_ID,
    WEIGHT,
)

__all__ = ["Guess", "Inspection", "Look", "inspect_files"]

MOST_DOMAINS = 50


@dataclass(frozen=True)
class Guess:
    """A role, the column that seems to have it, and the reason."""

    role: str
    column: str
    why: str


@dataclass
class Look:
    """What was found in one file.

    Attributes
    ----------
    file
        Its path.
    table
        "log", "items", "users" or "" for none of them.
    guesses
        Roles found.
    others
        Columns without a role.
    note
        Why it is no table, or what is uncertain.
    """

    file: str
    table: str = ""
    guesses: list[Guess] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    note: str = ""

    @property
    def source(self) -> str:
        """The file as `interest build` reads it, with the names of its columns."""
        named = [g for g in self.guesses if g.column.strip().lower() != g.role]
        mapping = "&".join(f"{guess.role}={guess.column}" for guess in named)
        return f"{self.file}?{mapping}" if mapping else self.file


@dataclass(frozen=True)
class Inspection:
    """What was found in files, and the command to run.

    Attributes
    ----------
    looks
        One for each file that was looked at.
    kind
        Layout of a public data set that the files have; "" for none.
    command
        The command; "" where there is no log.
    """

    looks: list[Look]
    kind: str
    command: str


def inspect_files(*sources: Any, encoding: str | None = None) -> Inspection:
    r"""Find out what unknown files hold.

    The first rows of each file are looked at: names of columns first, then values. A time has unix
    times or dates, a rating few numbers on a scale, an event few known words; users and items are
    ids that occur again, the item those that a table of items has, the user those whose rows lie
    together.

    Parameters
    ----------
    *sources
        Files and folders: CSV, TSV, JSON, Parquet, Excel, compressed or not.
    encoding
        Of the text files; by default UTF-8.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> folder = Path(tempfile.mkdtemp())
    >>> rows = [f"{n // 3},b{n % 7},{n % 5 + 1},{1700000000 + n}" for n in range(60)]
    >>> _ = (folder / "x.csv").write_text("a,b,c,d\n" + "\n".join(rows))
    >>> [(guess.role, guess.column) for guess in inspect_files(folder / "x.csv").looks[0].guesses]
    [('user_id', 'a'), ('item_id', 'b'), ('timestamp', 'd'), ('rating', 'c')]
    """
    files = find_data_files(sources, encoding)
    layout = recognise(files)
    if layout is not None:
        paths = shlex.join(str(source) for source in sources)
        return Inspection([], layout.kind, f"interest import {layout.kind} {paths} --out data/")
    looks, samples = [], {}
    for file in files:
        if len(files) > len(sources) and format_of(file.path) is None:
            continue  # in a folder
        try:
            sample = read_sample(file)
        except InputError as error:
            looks.append(Look(file.name, note=str(error)))
            continue
        samples[file.name] = sample
        looks.append(_describing(file.name, sample) or Look(file.name))
    described = {
        look.table: set(samples[look.file].values(look.guesses[0].column))
        for look in looks
        if look.table
    }
    looks = [
        _log(look.file, samples[look.file], described)
        if look.file in samples and not look.table
        else look
        for look in looks
    ]
    return Inspection(looks, "", _command(looks, encoding))


def _command(looks: Sequence[Look], encoding: str | None) -> str:
    logs = [look.source for look in looks if look.table == "log"]
    if not logs:
        return ""
    words = [*logs]
    for table in ("items", "users"):
        sources = [look.source for look in looks if look.table == table]
        words += [word for source in sources for word in (f"--{table}", source)]
    words += ["--encoding", encoding] if encoding else []
    return f"interest build {shlex.join(words)} --out graph/"


def _describing(name: str, sample: Sample) -> Look | None:
    """Recognise a table of items or users: ids, each once, with a name or texts."""
    profiles = list(sample.profiles.values())
    ids = [p for p in profiles if p.unique and not p.is_text and not p.is_time]
    texts = [p for p in profiles if p.is_text or p.called(TITLE)]
    users = [p for p in ids if p.called(USER_ID)]
    items = [p for p in ids if p.called(ITEM_ID) and not p.called(TITLE)]
    both = any(p.called(USER_ID) for p in profiles) and any(p.called(ITEM_ID) for p in profiles)
    again = [p for p in profiles if p.is_id and not p.unique and not p.is_rating]
    visits = len(again) > 1 and any(p.is_time or p.is_rating for p in profiles)
    if both or not (users or items or (ids and texts and not visits)):
        return None
    if users and not items:
        guess = Guess(USER_ID, users[0].name, "its name, and each value occurs once")
        others = [p.name for p in profiles if p is not users[0]]
        return Look(name, "users", [guess], others)
    key = (items or ids)[0]
    why = "its name, and each value occurs once" if items else "each value occurs once"
    guesses = [Guess(ITEM_ID, key.name, why)]
    rest = [p for p in profiles if p is not key]
    named = [p for p in rest if p.called(TITLE)] or sorted(
        (p for p in rest if p.is_text), key=lambda p: p.letters
    )
    if named:
        why = "its name" if named[0].called(TITLE) else "the shortest text"
        guesses.append(Guess(TITLE, named[0].name, why))
    taken = {guess.column for guess in guesses}
    longest = sorted(
        (p for p in rest if (p.is_text or p.called(TEXT)) and p.name not in taken),
        key=lambda p: (not p.called(TEXT), -p.letters),
    )
    if longest:
        why = "its name" if longest[0].called(TEXT) else "the longest text"
        guesses.append(Guess(TEXT, longest[0].name, why))
        taken.add(longest[0].name)
    guesses += [Guess(DOMAIN, p.name, "its name") for p in rest if p.name.lower() == DOMAIN]
    categories = [p for p in rest if p.called(CATEGORY) and p.name not in taken]
    guesses += [Guess(CATEGORY, p.name, "its name") for p in categories[:1]]
    taken = {guess.column for guess in guesses}
    return Look(name, "items", guesses, [p.name for p in profiles if p.name not in taken])


def _log(name: str, sample: Sample, described: Mapping[str, set[str]]) -> Look:
    """Recognise a log: two columns of ids, perhaps a time, a rating, an event, a domain."""
    profiles = list(sample.profiles.values())
    found: dict[str, Guess] = {}
    free = {p.name: p for p in profiles}

    def take(role: str, candidates: Iterator[tuple[Profile, str]]) -> None:
        for profile, why in candidates:
            if role not in found and profile.name in free:
                found[role] = Guess(role, profile.name, why)
                del free[profile.name]

    take(TIMESTAMP, _times(profiles))
    take(RATING, ((p, "its name") for p in profiles if p.called(RATING) and p.numeric))
    take(WEIGHT, ((p, "its name") for p in profiles if p.called(WEIGHT) and p.numeric))
    take(EVENT, ((p, "its name") for p in profiles if p.called(EVENT) and not p.numeric))
    take(EVENT, ((p, f"words such as {p.filled.iloc[0]!r}") for p in profiles if p.is_event))
    for role in (USER_ID, ITEM_ID):
        take(role, ((p, "its name") for p in profiles if p.called(role) and p.is_id))
    for table, role in (("items", ITEM_ID), ("users", USER_ID)):
        take(role, _occurring(list(free.values()), described.get(table, set()), table))
    usable = (
        p
        for p in profiles
        if p.name.lower() == DOMAIN or (p.called(DOMAIN) and 1 < p.n_distinct <= MOST_DOMAINS)
    )
    take(DOMAIN, ((p, f"its name, and {counted(p.n_distinct, 'value')}") for p in usable))
    note = ""
    if not {USER_ID, ITEM_ID} <= set(found):
        note = _by_values(found, free, take)
    if not {USER_ID, ITEM_ID} <= set(found):
        return Look(
            name, others=[p.name for p in profiles], note="no two columns of ids occur again"
        )
    grades = [p for p in free.values() if p.is_rating]
    if len(grades) == 1:
        low, high = grades[0].numbers.min(), grades[0].numbers.max()
        why = f"{grades[0].n_distinct} numbers from {low:g} to {high:g}"
        take(RATING, iter([(grades[0], why)]))
    order = (USER_ID, ITEM_ID, DOMAIN, TIMESTAMP, RATING, WEIGHT, EVENT)
    guesses = [found[role] for role in order if role in found]
    return Look(name, "log", guesses, list(free), note)


def _by_values(found: dict[str, Guess], free: Mapping[str, Profile], take: Any) -> str:
    """Choose user and item, or the one that is missing, among columns of ids."""
    ids = [p for p in free.values() if p.is_id and not p.unique and not p.called(DOMAIN)]
    ids.sort(key=lambda p: (p.is_rating, -p.n_distinct))
    missing = [role for role in (USER_ID, ITEM_ID) if role not in found]
    if len(missing) == 1:
        why = "of the other columns of ids the one with most values"
        take(missing[0], iter([(p, why) for p in ids[:1]]))
        return ""
    if len(ids) < 2:
        return ""
    places = list(free)
    first, second = sorted(ids[:2], key=lambda p: places.index(p.name))
    if max(first.runs, second.runs) > 2 * min(first.runs, second.runs) + 0.05:
        user = max((first, second), key=lambda p: p.runs)
        item = second if user is first else first
        take(USER_ID, iter([(user, "its rows lie together, as when each user's are listed")]))
        take(ITEM_ID, iter([(item, "ids that occur again for several users")]))
        return ""
    take(USER_ID, iter([(first, "of two columns of ids the first")]))
    take(ITEM_ID, iter([(second, "of two columns of ids the second")]))
    return "users and items may be the other way round"


def _times(profiles: Sequence[Profile]) -> Iterator[tuple[Profile, str]]:
    times = [p for p in profiles if p.is_time]
    for p in times:
        if p.called(TIMESTAMP):
            yield p, f"its name, and times such as {p.filled.iloc[0]}"
    for p in sorted(times, key=lambda p: -p.n_distinct):
        yield p, f"times such as {p.filled.iloc[0]}"


def _occurring(profiles: Any, known: set[str], table: str) -> Iterator[tuple[Profile, str]]:
    shares = [(float(p.filled.isin(known).mean()), p) for p in profiles if known and len(p.filled)]
    for share, p in sorted(shares, key=lambda pair: -pair[0])[:1]:
        if share > 0.5 and p.n_distinct > 2:
            yield p, f"{share:.0%} of its values are ids of the table of {table}"
