"""From the files of a public data set to the tables that this project reads."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from graphgen.errors import BadRowsError, ConfigError, InputError
from graphgen.progress import progress_bar
from graphgen.reading.cleaning import MISSING_ID, Faults, all_empty, to_floats, to_text
from graphgen.reading.files import BadRows, collect_bad_rows, in_megabytes
from graphgen.reading.layouts.base import TABLES, Advance, Part, find_data_files
from graphgen.reading.layouts.published import Counts, compare_counts
from graphgen.reading.layouts.registry import layout_of
from graphgen.reading.layouts.writing import CsvFile, Distinct
from graphgen.reading.normalise import DEFAULT_DOMAIN, NOT_A_NUMBER
from graphgen.reading.timestamps import to_milliseconds
from graphgen.schema import DOMAIN, ITEM_ID, POSITION, RATING, TIMESTAMP, USER_ID, WEIGHT
from graphgen.storage import atomic_directory, package_version, write_json

__all__ = ["ImportReport", "import_data"]

logger = logging.getLogger(__name__)

SCHEMA_VERSION = 1
FRIEND_ID = "friend_id"
IDS = (USER_ID, ITEM_ID, FRIEND_ID, DOMAIN)
NUMBERS = (RATING, WEIGHT, POSITION)
ORDER = (USER_ID, FRIEND_ID, ITEM_ID, DOMAIN, TIMESTAMP, POSITION, RATING, WEIGHT)
WITH_DOMAIN = ("log", "items")


@dataclass
class ImportReport:
    """What an import read and wrote.

    Attributes
    ----------
    layout
        The kind of layout.
    rows
        Rows written by table.
    bad
        Rows that could not be used, by file.
    left_out
        Rows of items and users that came before, or that no interaction mentions, by table.
    users, items
        Distinct users and (domain, item) pairs of the log.
    domains
        Counts of the log of each domain whose files say which it is.
    files, unused
        Files that were read, and those that the layout does not know.
    published
        Sentences on the counts of known sets.
    differs
        Those of them where the counts differ.
    """

    layout: str
    rows: dict[str, int] = field(default_factory=dict)
    bad: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    users: int = 0
    items: int = 0
    domains: dict[str, Counts] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)
    published: list[str] = field(default_factory=list)
    differs: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        domains = {name: counts._asdict() for name, counts in self.domains.items()}
        return {**asdict(self), "domains": domains}


def import_data(
    kind: str,
    *sources: Any,
    out: str | Path,
    on_bad_rows: Literal["error", "quarantine"] = "error",
    only_in_log: bool = False,
    encoding: str | None = None,
    overwrite: bool = False,
    made_from: str = "",
    progress: bool = False,
) -> ImportReport:
    r"""Write the log, items, users and friends of a data set as this project reads them.

    Files are read in blocks, so memory does not grow with them (except for ``table``): 8 bytes for
    each user and item. Ids, numbers and times are checked; a row is written or reported.

    Parameters
    ----------
    kind
        Layout: amazon, movielens, recbole, goodreads, yelp, lastfm, douban, ciao, lightgcn,
        graphstorm or table.
    *sources
        Files, folders (searched whole), ``domain=path``; of ``table`` also DataFrames and Arrow
        tables, and mappings from domain to them.
    out
        Folder for ``log.csv``, ``items.csv``, ``users.csv``, ``social.csv`` (``user_id``,
        ``friend_id``) and the report, ``import.json``.
    on_bad_rows
        ``"error"`` raises and writes nothing; ``"quarantine"`` writes them to ``bad_rows.csv``.
    only_in_log
        Leave out items and users without an interaction.
    encoding
        Of the text files; by default UTF-8, and Latin-1 for items of MovieLens and Last.fm.
    overwrite, made_from
        As in `graphgen.storage.atomic_directory`.
    progress
        Show a bar.

    Raises
    ------
    InputError
        If no file is a log of this layout.
    BadRowsError
        If rows are bad and `on_bad_rows` is ``"error"``.

    Examples
    --------
    >>> import tempfile
    >>> log = pd.DataFrame({"visitor_id": [1, 1, 2], "asin": ["a", "b", "a"], "stars": [5, 3, 4]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     report = import_data("table", {"books": log}, out=f"{folder}/books")
    ...     print(Path(f"{folder}/books/log.csv").read_text())
    user_id,item_id,domain,rating
    1,a,books,5
    1,b,books,3
    2,a,books,4
    <BLANKLINE>
    """
    if on_bad_rows not in ("error", "quarantine"):
        raise ConfigError(f'`on_bad_rows` must be "error" or "quarantine"; got {on_bad_rows!r}.')
    layout = layout_of(kind)
    files = find_data_files(sources, encoding)
    parts = sorted(layout.parts(files), key=lambda part: TABLES.index(part.table))
    if not any(part.table == "log" for part in parts):
        raise InputError(
            f"None of {len(files)} files is a log in the layout {kind}: {layout.expects}. "
            "`interest inspect FILES` looks at other files."
        )
    report = ImportReport(kind)
    report.files = list(dict.fromkeys(part.file.name for part in parts))
    others = [file for file in files if file.name not in report.files]
    report.files += [file.name for file in others if file.plain.endswith(layout.beside)]
    report.unused = [file.name for file in others if not file.plain.endswith(layout.beside)]
    bad = BadRows()
    with atomic_directory(
        out, kind="imported data", overwrite=overwrite, made_from=made_from
    ) as to:
        _write(parts, to, report, bad, only_in_log=only_in_log, progress=progress)
        if bad.total and on_bad_rows == "error":
            raise BadRowsError(bad.shown, bad.total)
        if bad.total:
            pd.concat(bad.frames).to_csv(to / "bad_rows.csv", index=False)
        if not report.rows.get("log"):
            raise InputError(f"No row of {report.files[0]} can be used.")
        made = {"interest_version": package_version(), **report.to_dict()}
        write_json(to / "import.json", made, schema_version=SCHEMA_VERSION)
    for sentence in report.differs:
        logger.warning("%s", sentence)
    return report


@dataclass
class _Seen:
    """Users and items of the log so far, by domain (or "" where rows say it)."""

    users: dict[str, Distinct] = field(default_factory=dict)
    items: dict[str, Distinct] = field(default_factory=dict)
    ids: dict[str, Distinct] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    paths: dict[str, list[str]] = field(default_factory=dict)

    def take(self, part: Part, columns: dict[str, pa.Array]) -> None:
        """Count the rows of a block."""
        name = part.domain or ""
        self.users.setdefault(name, Distinct()).count(columns[USER_ID])
        self.items.setdefault(name, Distinct()).count(columns[DOMAIN], columns[ITEM_ID])
        self.ids.setdefault(name, Distinct()).count(columns[ITEM_ID])
        self.rows[name] = self.rows.get(name, 0) + len(columns[USER_ID])
        paths = self.paths.setdefault(name, [])
        if part.file.name not in paths:
            paths.append(part.file.name)

    def knows(self, columns: dict[str, pa.Array], table: str) -> np.ndarray:
        """Tell which items or users have an interaction."""
        known = self.items if table == "items" else self.users
        keys = (DOMAIN, ITEM_ID) if table == "items" else (USER_ID,)
        found = np.zeros(len(columns[keys[0]]), bool)
        for distinct in known.values():
            found |= distinct.has(*(columns[key] for key in keys))
        return found


def _write(
    parts: Sequence[Part],
    to: Path,
    report: ImportReport,
    bad: BadRows,
    *,
    only_in_log: bool,
    progress: bool,
) -> None:
    headers: dict[str, list[str]] = {}
    for part in parts:
        names = [*headers.get(part.table, []), *part.columns]
        names += [DOMAIN] if part.table in WITH_DOMAIN else []
        headers[part.table] = sorted(dict.fromkeys(names), key=_place)
    seen = _Seen()
    firsts = {table: Distinct() for table in TABLES}
    sizes = sum(part.file.path.stat().st_size for part in parts if part.file.frame is None)
    with ExitStack() as stack:
        writers = {
            table: stack.enter_context(CsvFile(to / f"{table}.csv", names))
            for table, names in headers.items()
        }
        bar = stack.enter_context(
            progress_bar("Importing (MB)", (sizes >> 20) + 1, enabled=progress)
        )
        advance = in_megabytes(bar)
        for part in parts:
            for columns, n_rows in _blocks(part, advance, bad, report):
                keep = np.ones(n_rows, bool)
                if part.table == "log":
                    seen.take(part, columns)
                elif only_in_log and part.table != "social":
                    keep &= seen.knows(columns, part.table)
                if part.unique:
                    keep &= firsts[part.table].add(columns[DOMAIN], columns[ITEM_ID])
                if not keep.all():
                    left = report.left_out.get(part.table, 0)
                    report.left_out[part.table] = left + int((~keep).sum())
                    columns = {name: c.filter(pa.array(keep)) for name, c in columns.items()}
                writers[part.table].write(columns, int(keep.sum()))
                report.rows[part.table] = report.rows.get(part.table, 0) + int(keep.sum())
    _count(seen, report)


def _place(name: str) -> int:
    return ORDER.index(name) if name in ORDER else len(ORDER)


def _count(seen: _Seen, report: ImportReport) -> None:
    everyone = [distinct.hashes for distinct in seen.users.values()]
    report.users = len(np.unique(np.concatenate(everyone))) if everyone else 0
    report.items = sum(map(len, seen.items.values()))
    for name, users in seen.users.items():
        counts = Counts(len(users), len(seen.items[name]), seen.rows[name])
        if name:
            report.domains[name] = counts
        # Publishers count an id once, also where it is in several domains.
        published = counts._replace(items=len(seen.ids[name]))
        compared = compare_counts(report.layout, seen.paths[name], published)
        if compared is not None:
            equal, sentence = compared
            (report.published if equal else report.differs).append(sentence)


def _blocks(
    part: Part, advance: Advance, bad: BadRows, report: ImportReport
) -> Iterable[tuple[dict[str, pa.Array], int]]:
    """Yield the sound rows of each block as columns of text, and their number."""
    name = part.file.name
    for raw in part.blocks(advance):
        columns: dict[str, pa.Array] = {}
        faults = Faults(raw.n_rows)
        for role, column in part.columns.items():
            given = raw.columns[column] if isinstance(column, str) else column(raw)
            text = to_text(pa.chunked_array([given]) if isinstance(given, pa.Array) else given)
            text = pc.replace_substring(text, "\0", "")
            _check(role, str(column) if isinstance(column, str) else role, text, faults)
            if role not in IDS:
                text = pc.utf8_trim_whitespace(pc.replace_substring_regex(text, r"\s+", " "))
            columns[role] = text.combine_chunks()
        if part.table in WITH_DOMAIN and DOMAIN not in columns:
            domain = pa.array([part.domain or DEFAULT_DOMAIN], pa.large_string())
            columns[DOMAIN] = domain.take(pa.array(np.zeros(raw.n_rows, int)))
        if len(faults) or raw.bad:
            report.bad[name] = report.bad.get(name, 0) + len(faults) + len(raw.bad)
            lines = np.arange(1, raw.n_rows + 1) if raw.lines is None else raw.lines
            collect_bad_rows(bad, raw, faults, lines, name, keep=True)
            sound = pa.array(~faults.bad)
            columns = {role: column.filter(sound) for role, column in columns.items()}
        yield columns, raw.n_rows - len(faults)


def _check(role: str, name: str, text: pa.ChunkedArray, faults: Faults) -> None:
    if role in IDS:
        faults.add(pc.equal(text, "").to_numpy().astype(bool), name, text, MISSING_ID)
    elif role in NUMBERS:
        faults.add(to_floats(text)[2], name, text, NOT_A_NUMBER)
    elif role == TIMESTAMP and not all_empty(text):
        for mask, reason in to_milliseconds(text)[1]:
            faults.add(mask, name, text, reason)
