"""Optional sections of a report: links, fairness, providers, gain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pandas as pd

from eval.comparison.analyses import Analyses
from eval.comparison.comparison import Comparison
from eval.comparison.links import LinkEvaluation
from eval.evaluation.cells import (
    MAX_DOMAINS,
    Cell,
    Row,
    cell,
    column_title,
    interval,
    number,
    plain,
    rows_of,
    slice_title,
)
from eval.evaluation.result import DOMAIN, MACRO
from eval.reports.tables import markdown_table, marked

__all__ = [
    "Section",
    "comparison_sections",
    "frontier_section",
    "profile_sections",
    "result_sections",
    "section_markdown",
]

LINK_METRICS: Final = {
    "accuracy": "Accuracy",
    "f1": "F1",
    "precision": "Precision",
    "recall": "Recall",
    "roc-auc": "ROC-AUC",
    "pr-auc": "PR-AUC",
    "ece": "ECE",
    "brier": "Brier",
}
MAX_PROVIDERS: Final = 15
# Typical items of an interest in a table.
ITEMS_SHOWN: Final = 3


@dataclass(frozen=True)
class Section:
    """A heading, a sentence that says how to read it, and a table of cells."""

    title: str
    text: str
    header: list[str]
    rows: Sequence[Row]


def result_sections(analyses: Analyses, *, compared: bool = False) -> list[Section]:
    """Return the sections of an `EvaluationResult` beyond the summary.

    Where it is one of several compared, what `comparison_sections` shows of all is left out.
    """
    reach = {} if compared else {"": analyses.reach}
    return [
        *_links(analyses.links),
        *_reach(reach),
        *_fairness(analyses.fairness),
        *_providers(analyses.providers),
    ]


def comparison_sections(comparison: Comparison, *, reach: bool = True) -> list[Section]:
    """Return the sections of a `Comparison` beyond the table, with domains reached or without."""
    reached = {name: found.reach for name, found in comparison.analyses.items() if reach}
    return [*_migration(comparison.migration), *_reach(reached)]


def section_markdown(section: Section) -> str:
    """Return a section in Markdown."""
    rows = [[marked(cell) for cell in row] for row in section.rows]
    title = f"## {section.title}" if section.title else ""
    table = markdown_table(section.header, rows)
    return "\n\n".join(filter(None, (title, section.text, table)))


def _links(links: Mapping[str, LinkEvaluation | None]) -> list[Section]:
    found = {domain: judged for domain, judged in links.items() if judged is not None}
    if not found:
        return []
    rows: list[Row] = []
    for domain, judged in list(found.items())[:MAX_DOMAINS]:
        values = {row["metric"]: row for row in rows_of(judged.summary)}
        facts = judged.meta
        share = number(facts["n_relevant"] / facts["n_links"])
        row = plain(domain, f"{facts['n_links']:,}", share, number(facts["threshold"]))
        rows.append(row + [cell(values[name]) for name in LINK_METRICS])
    text = (
        "Relevant links against irrelevant ones drawn for the same users. Threshold (best F1) and "
        "calibration (isotonic) were chosen on validation rows, in each domain. All but ROC-AUC "
        "depend on the share of relevant links in this sample. 95 % bootstrap intervals over users."
    )
    header = ["domain", "links", "relevant", "threshold", *LINK_METRICS.values()]
    return [Section("Links, yes or no", text, header, rows)]


def _fairness(table: pd.DataFrame) -> list[Section]:
    if not len(table):
        return []
    sections = []
    text = (
        "Macro over domains, with 95 % bootstrap intervals over users. Gap is best minus worst "
        "group, ratio worst over best. Both pick extremes, which their intervals allow for: one of "
        "a gap whose interval reaches 0 is not significant. Domains are in metrics.json."
    )
    for name, part in table[table[DOMAIN] == MACRO].groupby("attribute", sort=False):
        metrics = list(dict.fromkeys(part["metric"]))
        found: dict[tuple[str, str], dict[str, Cell]] = {}
        users: dict[tuple[str, str], int] = {}
        for row in rows_of(part):
            key = (row["what"], row["group"] if row["what"] == "group" else "")
            value, bounds = cell(row)
            if row["what"] == "worst":
                value = f"{row['group']}: {value}"
            found.setdefault(key, {})[row["metric"]] = (value, bounds)
            users[key] = int(row["n_users"])
        rows = [
            plain(group or what, f"{users[what, group]:,}")
            + [values.get(metric, ("–", "")) for metric in metrics]
            for (what, group), values in found.items()
        ]
        header = [str(name), "users", *map(column_title, metrics)]
        sections.append(Section(f"Fairness by {name}", text, header, rows))
    return sections


def _reach(tables: Mapping[str, pd.DataFrame]) -> list[Section]:
    """Lay out reach by system (the name is empty where there is only one)."""
    found = {name: rows_of(table) for name, table in tables.items()}
    lead = ["system"] if any(found) else []
    columns = list(dict.fromkeys(row["metric"] for rows in found.values() for row in rows))
    if not columns:
        return []
    table: list[Row] = []
    for system, rows in found.items():
        cells = {(row["slice"], row["metric"]): row for row in rows}
        for name, n_users in {row["slice"]: f"{row['n_users']:,}" for row in rows}.items():
            values = [cell(cells.get((name, column))) for column in columns]
            table.append(plain(*[system] * len(lead), slice_title(name), n_users) + values)
    text = (
        "Users with relevant items in two domains or more. Reach is the mean share of these "
        "domains in which one of the first k is relevant; all-served the share of users of whom "
        "that holds in every one. 95 % bootstrap intervals over users."
    )
    header = [*lead, "users", "distinct users", *(c.capitalize() for c in columns)]
    return [Section("Domains reached", text, header, table)]


def _providers(table: pd.DataFrame) -> list[Section]:
    if not len(table):
        return []
    rows: list[Row] = []
    for domain, part in list(table.groupby(DOMAIN, sort=False))[:MAX_DOMAINS]:
        for row in rows_of(part)[:MAX_PROVIDERS]:
            shares = [number(row[name]) for name in ("exposure", "merit", "ratio")]
            rows.append(plain(str(domain), row["provider"], f"{row['items']:,}", *shares))
    text = (
        "Share of the exposure in a domain (1 / log2(1 + place) over the longest k) "
        "against the share of relevant links; a ratio of 1 is proportional. The "
        f"{MAX_PROVIDERS} most exposed of each domain; all are in metrics.json."
    )
    header = ["domain", "provider", "items", "exposure", "merit", "ratio"]
    return [Section("Providers", text, header, rows)]


def _migration(table: pd.DataFrame) -> list[Section]:
    rows: list[Row] = []
    for row in rows_of(table):
        if row[DOMAIN] != MACRO:
            continue
        title, metric = slice_title(row["slice"]), column_title(row["metric"])
        cells = plain(row["system"], title, metric, number(row["value"]))
        cells += plain(row["best_single"], number(row["single_value"]))
        cells.append((number(row["gain"]), interval(row["low"], row["high"])))
        known = row["relative"] is not None and not pd.isna(row["relative"])
        cells += plain(f"{row['relative']:+.1%}" if known else "–", number(row["p_holm"]))
        rows.append(cells)
    if not rows:
        return []
    text = (
        "Each system against the best single-domain system of the cell, chosen on these same users "
        "(which favours it), macro over domains; domains are in metrics.json. 95 % bootstrap "
        "intervals over users; Holm correction over each system's table."
    )
    header = ["system", "users", "metric", "value", "best single", "its value"]
    header += ["gain", "relative", "p (Holm)"]
    return [Section("Migration gain", text, header, rows)]


def frontier_section(table: pd.DataFrame, title: str = "") -> Section:
    """Return rows of `eval.benchmarks.reranking.Frontier`; kept has its interval."""
    header = [str(name) for name in table if name not in ("kept_low", "kept_high")]
    rows = []
    for row in rows_of(table):
        cells = [*plain(row["method"], f"{row['strength']:g}", number(row["ndcg"]))]
        cells.append((f"{row['kept']:.3f}", f"[{row['kept_low']:.3f}, {row['kept_high']:.3f}]"))
        rows.append(cells + plain(*(number(row[name]) for name in header[4:])))
    return Section(title, "", header, rows)


def profile_sections(
    profile: pd.DataFrame, moves: pd.DataFrame | None, since: Sequence[pd.Timestamp]
) -> list[Section]:
    """Return the tables on a user: interests, windows of time, and change points.

    `profile`, `moves` and `since` are as of `gnn.interests.profile`, `evolution` and
    `change_points`.
    """
    rows = []
    for row in rows_of(profile):
        seen = "" if pd.isna(row["first_seen"]) else _days(row["first_seen"], row["last_seen"])
        bounds = f"{100 * row['low']:.0f}–{100 * row['high']:.0f} %"
        trend = "" if pd.isna(row["trend"]) else f"{100 * row['trend']:+.0f}"
        items = " · ".join(row["item_ids"].split("|")[:ITEMS_SHOWN])
        name = row["interest"] + ("" if row["established"] else " (?)")
        rows.append(
            [
                *plain(name),
                (f"{100 * row['share']:.0f} %", bounds),
                *plain(f"{row['weight']:+.1f}", str(row["interactions"]), trend, seen),
                *plain(row["domains"].replace("|", ", "), items),
            ]
        )
    text = "(?) marks interests that are not established."
    header = ["interest", "share", "weight", "interactions", "trend", "seen", "domains", "items"]
    sections = [Section("Interests", text, header, rows)]
    if moves is None:
        return sections
    rows = []
    for (start, end), part in moves.groupby(["start", "end"], sort=True):
        distance = number(part["distance"].iloc[0]) if part["distance"].notna().any() else ""
        top = ", ".join(
            f"{name} {100 * share:.0f} %"
            for name, share in zip(part["interest"][:3], part["share"][:3], strict=True)
        )
        first = start + pd.Timedelta(milliseconds=1)
        rows.append(plain(_days(first, end), str(part["interactions"].iloc[0]), top, distance))
    changes = ", ".join(f"{day:%Y-%m-%d}" for day in since)
    text = "Distance is the Jensen-Shannon distance to the window before, from 0 to 1."
    if changes:
        text += f" Change points: {changes}."
    header = ["window", "interactions", "largest shares", "distance"]
    return [*sections, Section("Over time", text, header, rows)]


def _days(first: pd.Timestamp, last: pd.Timestamp) -> str:
    days = dict.fromkeys(f"{day:%Y-%m-%d}" for day in (first, last))
    return " to ".join(days)
