"""The report on a cleaned log: what came in, what left at which step and why, before and after."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from graphgen.cleaning.pipeline import Cleaned
from graphgen.log import InteractionLog
from graphgen.looking.charts import (
    STYLE,
    Line,
    at_least,
    chart,
    over_time,
    overlap_table,
    save_page,
    table,
)
from graphgen.reading.frames import write_rows
from graphgen.schema import DOMAIN, USER_ID
from graphgen.storage import atomic_directory, write_json

__all__ = ["cleaning_page", "write_cleaned"]

SCHEMA_VERSION: Final = 1
BEFORE, AFTER = "before", "after"
# Domains in the tables; report.json has all.
SHOWN_DOMAINS: Final = 30


def write_cleaned(
    cleaned: Cleaned, path: str | Path, *, overwrite: bool = False, made_from: str = ""
) -> Path:
    """Write log.csv, removed.csv, report.json and report.html.

    For `overwrite` and `made_from` see `graphgen.storage.atomic_directory`, which raises
    `StorageError`.
    """
    with atomic_directory(
        path, kind="cleaned log", overwrite=overwrite, made_from=made_from
    ) as folder:
        write_rows(cleaned.table(), folder / "log.csv")
        write_rows(cleaned.removed, folder / "removed.csv")
        save_page(folder / "report.html", "Cleaned log", cleaning_page(cleaned))
        write_json(folder / "report.json", cleaned.to_dict(), schema_version=SCHEMA_VERSION)
    return Path(path)


def cleaning_page(cleaned: Cleaned) -> str:
    """Return the report as HTML: steps, counts, users by behaviour, and charts.

    Examples
    --------
    >>> from graphgen.cleaning.pipeline import clean_log
    >>> log = pd.DataFrame({"user_id": ["ann", "ann"], "item_id": ["dune", "dune"]})
    >>> "exact_duplicates" in cleaning_page(clean_log(log))
    True
    """
    report = cleaned.to_dict()
    logs = {BEFORE: cleaned.before, AFTER: cleaned.log}
    names = list(logs)
    charts = [
        chart(
            "Users by their interactions",
            _degrees({name: log.user_codes for name, log in logs.items()}),
            names,
        ),
        chart(
            "Items by their interactions",
            _degrees({name: log.item_codes()[0] for name, log in logs.items()}),
            names,
        ),
        chart("Interactions over time", over_time(_times(logs)), names, dates=True),
    ]
    return (
        f'{STYLE}<div class="ig-overview">{_steps(report)}{_counts(report)}{_users(report)}'
        f"<div class='charts'>{''.join(charts)}</div>"
        f"<h3>After cleaning</h3>{overlap_table(_overlap(cleaned.log))}</div>"
    )


def _degrees(codes: dict[str, np.ndarray]) -> dict[str, Line]:
    return {name: at_least(np.bincount(of)) for name, of in codes.items()}


def _times(logs: dict[str, InteractionLog]) -> dict[str, np.ndarray]:
    return {name: log.order for name, log in logs.items() if log.has_time and log.order is not None}


def _overlap(log: InteractionLog) -> dict[str, dict[str, int]]:
    """Count the users that each two of the largest domains share."""
    largest = log.frame[DOMAIN].value_counts().index[:SHOWN_DOMAINS]
    frame = log.frame[log.frame[DOMAIN].isin(largest)]
    present = pd.crosstab(frame[USER_ID], frame[DOMAIN].astype(str)).clip(upper=1)
    return (present.T @ present).to_dict()


def _steps(report: dict[str, Any]) -> str:
    read = report["read"]
    rows = [["read", "", "", "", "", f"{read['rows_read']:,}", ""]]
    left = read["rows_read"]
    apart = {"filtered": "left out by the filters of the sources", "bad": "cannot be used"}
    for name, why in apart.items():
        if read[name]:
            left -= read[name]
            rows.append([name, f"{read[name]:,}", "", "", "", f"{left:,}", why])
    if left != report["rows_in"]:
        gone = left - report["rows_in"]
        rows.append(
            ["dropped", f"{gone:,}", "", "", "", f"{report['rows_in']:,}", "dropped events"]
        )
    left = report["rows_in"]
    for step in report["steps"]:
        left -= step["rows"]
        numbers = [f"{step[key]:,}" for key in ("rows", "users", "items", "changed")]
        rows.append([step["step"], *numbers, f"{left:,}", html.escape(step["note"])])
    head = ["step", "rows left out", "users", "items", "rows changed", "rows", "why"]
    return f"<h3>Steps</h3>{table(head, rows)}"


def _counts(report: dict[str, Any]) -> str:
    before, after = report[BEFORE], report[AFTER]
    rows = [[key, str(before[key]), str(after[key])] for key in ("from", "to") if key in before]
    rows += [[k, f"{before[k]:,}", f"{after[k]:,}"] for k in ("rows", "likes", "users", "items")]
    largest = sorted(before["domains"], key=lambda name: -before["domains"][name]["rows"])
    for name in largest[:SHOWN_DOMAINS] if len(largest) > 1 else ():
        was, now = before["domains"][name], after["domains"].get(name, {})
        rows.append([html.escape(name), f"{was['rows']:,}", f"{now.get('rows', 0):,}"])
    return f"<h3>Before and after</h3>{table(['', BEFORE, AFTER], rows)}"


def _users(report: dict[str, Any]) -> str:
    """Return what would be taken for a bot at which setting."""
    if not report["users"]:
        return ""
    heads = [*next(iter(report["users"].values()))]
    rows = [[name, *(f"{v:g}" for v in row.values())] for name, row in report["users"].items()]
    note = "Users up to each percentile are at most as suspicious; what lies beyond a limit leaves."
    return f"<h3>Users before cleaning</h3>{table(['setting', *heads], rows)}<p>{note}</p>"
