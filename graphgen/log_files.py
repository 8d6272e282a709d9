"""Reading interactions from table files, with their meaning, into one log."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from graphgen.errors import InputError
from graphgen.log import InteractionLog
from graphgen.meaning import Meaning, Taken, separate_domains
from graphgen.reading.cleaning import arrow_column, coded_series, to_codes
from graphgen.reading.columns import LOG
from graphgen.reading.files import read_tables
from graphgen.reading.normalise import concat_frames, interaction_frame, with_own_users
from graphgen.reading.sources import SourceLike
from graphgen.schema import DOMAIN, EVENT, POSITION, TIMESTAMP, USER_ID, WEIGHT

__all__ = ["read_log"]

AGAIN = " Build the graph again from all files."


def read_log(
    *sources: SourceLike,
    columns: Mapping[str, str] | None = None,
    on_bad_rows: Literal["error", "quarantine"] = "error",
    quarantine: str | Path | None = None,
    events: Mapping[str, float | str] | None = None,
    positive: str | Sequence[str] | None = None,
    negative: str | Sequence[str] | None = None,
    separate_users: bool | Sequence[str] = False,
    as_in: Taken | Mapping[str, Any] | None = None,
    earlier: InteractionLog | None = None,
    all_later: bool = False,
    k_core: int = 0,
    deduplicate: bool = True,
    ordered: bool = False,
    clean: Callable[[InteractionLog], InteractionLog] | None = None,
    delimiter: str | None = None,
    encoding: str | None = None,
    day_first: bool | None = None,
    progress: bool = False,
) -> InteractionLog:
    r"""Read interactions from table files.

    The steps, in order: filter by ``#column=value``, validation, meaning, `clean`, de-duplication,
    k-core.

    - Columns: ``user_id`` and ``item_id``; optional ``domain`` (else ``"items"``), ``timestamp``,
      ``position``, ``rating``, ``weight``, ``event``. Headers match but for case and surrounding
      blanks; a usual other name (``asin``, ``overall``) is taken where it is the only one. All
      other columns are kept as text. A column in which every value is empty counts as absent.
    - Ids are text by the rule of `graphgen.ids.as_ids`; only an empty value is missing.
    - Weight: above 0 a like of that strength, 0 seen, below 0 a dislike. It is made of the columns
      ``weight``, ``rating`` and ``event`` as `graphgen.meaning.Meaning` says; without any of them
      all rows are likes.
    - Rows of one user and item are combined as `graphgen.reading.filters.combined_rows` says.
    - Time: as `graphgen.reading.timestamps` says, in UTC.
    - Position: a whole number of at least 0, compared with those of the same user only. A log with
      timestamps leaves it out.
    - A row that cannot be used is bad; one empty time or weight among others is, too.

    Parameters
    ----------
    *sources
        Files (.csv, .tsv, .txt, .dat, .jsonl, .inter, also .gz, .zst, .bz2; .parquet, .xlsx; of
        another name by their content), folders (all tables in them but
        items and users), ``domain=path``, ``path?user_id=NAME&item_id=NAME``,
        ``path#column=value,value,column!=value``, mappings from domain to path, ``-`` for standard
        input; DataFrames and Arrow tables. A .txt file may be a list of ``user item item ...``
        lines.
    columns
        Column mapping: ``{"user_id": "reviewerID"}``; ``{"rating": ""}`` ignores a column.
    on_bad_rows
        ``"error"`` refuses all files; ``"quarantine"`` writes the bad rows to a CSV and goes on.
    quarantine
        That CSV; by default ``<name of the first file>.quarantine.csv`` in the current folder.
    events
        Weight of an event, ``"negative"``, ``"seen"`` or ``"drop"``, by name:
        ``{"like": 1, "play": 0.3, "skip": "negative", "refund": "drop"}``.
    positive, negative
        Conditions for likes and dislikes, ``"rating>=4"``, ``"books:rating>=4"``; of several, one
        is enough. Rows with the columns of `positive` that fulfil none were seen.
    separate_users
        Domains in which the same id is another user than elsewhere, True for all: their ids become
        ``domain:id``, unless all have that form.
    as_in
        ``report.taken`` of the log trained on: its rules hold where none is given (its separate
        users too), and its least rating of a like where no condition says one.
    earlier
        A log that was read by the same rules: its rows come first, and combine with these.
    all_later
        These rows count as later than all of `earlier`, whatever their times.
    k_core
        Keep the part in which every user and item has as many likes; 0 for all.
    deduplicate
        Combine the rows of each user, domain and item.
    ordered
        The rows of each user are in order: the number of the row is its ``position`` where a log
        has neither positions nor timestamps.
    clean
        What else to do with all rows, such as `graphgen.cleaning.pipeline.cleaner`.
    delimiter, encoding
        By default found from the header and the byte order mark (else UTF-8).
    day_first
        Whether ``03/04/2025`` is the third of April; None to find out, where a day is above 12.
    progress
        Show a progress bar.

    Returns
    -------
    InteractionLog
        Its `report` counts the rows by outcome.

    Raises
    ------
    BadRowsError
        If rows are bad: file, line, column, value and reason of the first ones.
    InputError
        If a file or column is missing, damaged or cannot be decoded.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "log.csv"
    >>> _ = path.write_text("reviewerID,item_id,rating\n007,1,5\n007,2,2\n")
    >>> log = read_log(f"books={path}", columns={"user_id": "reviewerID"}, negative="rating<=2")
    >>> log.frame[["item_id", "weight", "rating"]].to_numpy().tolist()
    [['1', 1.0, 5.0], ['2', -1.0, 2.0]]
    >>> log.report.taken.line()
    'Likes: rating >= 4, rest seen, disliked: rating <= 2.'
    """
    meaning = Meaning.of(events, positive, negative, as_in)
    frames, names, report = read_tables(
        sources,
        LOG,
        interaction_frame,
        columns=columns,
        on_bad_rows=on_bad_rows,
        quarantine=quarantine,
        delimiter=delimiter,
        encoding=encoding,
        day_first=day_first,
        progress=progress,
    )
    whole = concat_frames(frames, names)
    del frames
    if ordered and not {TIMESTAMP, POSITION}.intersection(whole):
        before = 0 if earlier is None else earlier.report.n_sound
        whole[POSITION] = np.arange(before, before + len(whole))
    frame, additive, taken = meaning.apply(whole)
    adding = np.where(additive, whole[EVENT].cat.codes, -1) if additive.any() else None
    separate = separate_domains(separate_users, list(frame[DOMAIN].cat.categories), as_in)
    if separate:
        frame = with_own_users(frame, separate)
        frame[USER_ID] = coded_series(to_codes(arrow_column(frame[USER_ID])))
    log = InteractionLog.of_clean(frame, replace(report, taken=replace(taken, separate=separate)))
    if earlier is not None:
        log, adding = _after(earlier, log, adding, all_later)
    if adding is not None:
        log.notes["events"] = adding
    if clean is not None:
        log = clean(log)
    elif deduplicate and adding is not None:
        log = log.keep(~log.copies(), "duplicates")
    if deduplicate:
        log = log.deduplicate()
    elif WEIGHT in log.frame_of_codes:
        log = log.keep(log.frame_of_codes[WEIGHT].notna().to_numpy(), "dropped")
    return log.with_whole_order().k_core(k_core)


def _after(
    earlier: InteractionLog, log: InteractionLog, adding: np.ndarray | None, all_later: bool
) -> tuple[InteractionLog, np.ndarray | None]:
    """Put a log behind an earlier one, of which equal pairs are combined already.

    Also returns which rows add up, as `InteractionLog.notes`. Of events, that is the same as
    combining all rows at once only where those of a pair are in order.
    """
    n, whole = len(earlier), InteractionLog.concat(earlier, log)
    if all_later:
        own = np.zeros(len(log), np.int64) if log.order is None else log.order
        first = own.min(initial=0) - 1
        whole.notes["order"] = np.concatenate([np.full(n, first), own])
    events = bool(earlier.report.taken.options.get("events"))
    if not events and adding is None:
        return whole, None
    when = whole.notes.get("order", whole.order if whole.has_time else None)
    if when is None:
        raise InputError("Events add up in the order of their times, which are missing." + AGAIN)
    adding = np.full(len(log), -1) if adding is None else adding
    signals: dict[str, set[bool]] = {domain: set() for domain in earlier.domains}
    for row in earlier.report.taken.rows:
        if row["domain"] in signals:
            signals[row["domain"]].add(events and row["signal"].startswith("event "))
    # A pair of a domain with both may be a sum, of which a plain row would replace a part only.
    summed, mixed = (
        np.array([wanted <= signals[domain] for domain in earlier.domains])[earlier.domain_codes]
        for wanted in ({True}, {True, False})
    )
    pair = whole.pair_codes()
    known = pd.DataFrame({"last": when[:n], "summed": summed, "mixed": mixed}, index=pair[:n])
    known = known.reindex(pair[n:])
    if unclear := int((known["mixed"].eq(True) & (adding < 0)).sum()):
        raise InputError(
            f"{unclear:,} rows without an event are of pairs that events of the graph may add up "
            "to." + AGAIN
        )
    if late := int((known["summed"].eq(True) & (when[n:] <= known["last"])).sum()):
        raise InputError(
            f"{late:,} events are not later than those of the same user and item in the graph, "
            "which are added up already." + AGAIN
        )
    return whole, np.concatenate([np.where(summed, 0, -1), adding])
