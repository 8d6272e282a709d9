"""The report of a prequential replay: tables and the sentence above them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from eval.evaluation.cells import interval, number, plain, rows_of
from eval.reports.sections import Section

__all__ = ["replay_sections", "replay_verdict"]


def replay_verdict(summary: pd.DataFrame) -> str:
    """Say which systems are significantly better or worse than the first one.

    Examples
    --------
    >>> row = {"system": "frozen", "ndcg@20": 0.1, "gain": 0.0, "gain_low": 0.0, "gain_high": 0.0}
    >>> other = {**row, "system": "updated", "gain": 0.02, "gain_low": 0.01, "gain_high": 0.03}
    >>> replay_verdict(pd.DataFrame([row, other]))
    'Against frozen (NDCG@20 0.1000): updated +20.0 % (significant).'
    """
    first, *others = rows_of(summary)
    parts = []
    for row in others:
        sure = row["gain_low"] > 0 or row["gain_high"] < 0
        share = row["gain"] / first["ndcg@20"] if first["ndcg@20"] else float("nan")
        parts.append(f"{row['system']} {100 * share:+.1f} % ({'' if sure else 'not '}significant)")
    start = f"Against {first['system']} (NDCG@20 {first['ndcg@20']:.4f})"
    return f"{start}: {', '.join(parts)}." if parts else f"{start}."


def replay_sections(
    blocks: pd.DataFrame, summary: pd.DataFrame, meta: Mapping[str, Any]
) -> list[Section]:
    """Return the tables: over all blocks, by block, and why retrains were due."""
    rows = []
    for row in rows_of(summary):
        cells = [(number(row["ndcg@20"]), interval(row["low"], row["high"]))]
        cells.append((number(row["gain"]), interval(row["gain_low"], row["gain_high"])))
        cost = f"{row['cpu_seconds']:,.1f}", f"{row['ms_per_event']:,.2f}"
        memory = f"{row['peak_megabytes'] / 1000:,.2f}"
        rows.append([*plain(row["system"]), *cells, *plain(*cost, memory)])
    text = "Means over lists. CPU seconds and milliseconds an event are those of adapting."
    header = ["system", "NDCG@20", "gain", "CPU s", "ms an event", "peak GB"]
    sections = [Section("Over all blocks", text, header, rows)]
    names = list(summary["system"])
    rows = []
    for block, part in blocks.groupby("block"):
        by_name = {row["system"]: row for row in rows_of(part)}
        one = by_name[names[0]]
        cells = [
            (number(by_name[n]["ndcg@20"]), interval(by_name[n]["low"], by_name[n]["high"]))
            for n in names
        ]
        facts = f"{block + 1}", f"{one['start']:%Y-%m-%d}", f"{one['likes']:,}", f"{one['lists']:,}"
        rows.append([*plain(*facts), *cells])
    sections.append(Section("By block", "", ["block", "start", "events", "lists", *names], rows))
    due = [plain(str(int(block) + 1), " ".join(why)) for block, why in meta["retrain_due"].items()]
    if due:
        text = "By the drift of the updated model since its last training, after the block."
        sections.append(Section("A full retrain was due", text, ["block", "why"], due))
    return sections
