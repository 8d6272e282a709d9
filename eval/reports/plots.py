"""Plots of a report as inline SVG: narrow enough for a phone, and coloured by the page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from eval.comparison.analyses import Analyses
from eval.comparison.comparison import Comparison
from eval.evaluation.result import DOMAIN, MACRO, SLICE, EvaluationResult, headline
from eval.metrics.registry import get_metric
from eval.reports.curves import reliability_plot, roc_plot
from eval.reports.drawing import (
    COLOURS,
    INK,
    MARKERS,
    MAX_TICKS,
    Plot,
    draw,
    legend_above,
    short,
)
from eval.reports.tables import column_title, slice_title

__all__ = ["comparison_plots", "result_plots"]

MAX_ROWS: Final = 16
# Domains whose ROC curves are drawn; the others are in metrics.json.
MAX_ROC: Final = 12


def _rows(table: pd.DataFrame, keys: Sequence[str], column: str) -> pd.DataFrame:
    """Reindex a table of one metric by `column` in the given order; absent ones are dropped."""
    frame = table.set_index(column)
    return frame.loc[[key for key in keys if key in frame.index]]


def _dots(axes: Axes, table: pd.DataFrame, position: np.ndarray, series: int, label: str) -> None:
    value = table["value"].to_numpy(float)
    low = np.where(np.isfinite(table["low"]), table["low"], value)
    high = np.where(np.isfinite(table["high"]), table["high"], value)
    axes.errorbar(
        value,
        position,
        xerr=[np.maximum(value - low, 0), np.maximum(high - value, 0)],
        fmt=MARKERS[series % len(MARKERS)],
        color=COLOURS[series % len(COLOURS)],
        markersize=4.5,
        linewidth=1.4,
        capsize=0,
        label=label,
    )


def interval_plot(
    tables: dict[str, pd.DataFrame], keys: Sequence[str], column: str, label: str
) -> str:
    """Draw one row per key and one dot with interval per system."""
    keys = list(keys)[:MAX_ROWS]

    def paint(axes: Axes) -> None:
        n = len(tables)
        offsets = (np.arange(n) - (n - 1) / 2) * min(0.16, 0.7 / max(n, 1))
        for series, (name, table) in enumerate(tables.items()):
            rows = _rows(table, keys, column)
            base = np.array([keys.index(key) for key in rows.index], dtype=float)
            _dots(axes, rows, base + offsets[series], series, name)
        names = [slice_title(k) if column == SLICE else k for k in keys]
        axes.set_yticks(range(len(keys)), [short(name) for name in names])
        axes.set_ylim(len(keys) - 0.5, -0.5)
        axes.grid(axis="y", visible=False)
        axes.xaxis.set_major_locator(MaxNLocator(MAX_TICKS))
        axes.set_xlabel(label)
        if n > 1:
            legend_above(axes, n)

    n_lines = len(keys) * max(1.0, 0.5 * len(tables))
    return draw(
        1.0 + 0.26 * n_lines + 0.2 * len(tables) * (len(tables) > 1), paint, f"{label} {column}"
    )


def bars(tables: dict[str, pd.DataFrame], slices: Sequence[str], label: str) -> str:
    """Draw one group of bars per slice, one bar with interval per system."""
    slices = list(slices)[:MAX_ROWS]

    def paint(axes: Axes) -> None:
        n = len(tables)
        height = 0.8 / n
        for series, (name, table) in enumerate(tables.items()):
            rows = _rows(table, slices, SLICE)
            base = np.array([slices.index(key) for key in rows.index], dtype=float)
            value = rows["value"].to_numpy(float)
            low = np.where(np.isfinite(rows["low"]), rows["low"], value)
            high = np.where(np.isfinite(rows["high"]), rows["high"], value)
            axes.barh(
                base + (series - (n - 1) / 2) * height,
                value,
                height=height * 0.92,
                color=COLOURS[series % len(COLOURS)],
                xerr=[np.maximum(value - low, 0), np.maximum(high - value, 0)],
                error_kw={"ecolor": INK, "elinewidth": 1},
                label=name,
            )
        axes.set_yticks(range(len(slices)), [short(slice_title(name)) for name in slices])
        axes.set_ylim(len(slices) - 0.5, -0.5)
        axes.grid(axis="y", visible=False)
        axes.xaxis.set_major_locator(MaxNLocator(MAX_TICKS))
        axes.set_xlabel(label)
        if n > 1:
            legend_above(axes, n)

    lines = len(slices) * max(1.0, 0.55 * len(tables))
    return draw(0.9 + 0.3 * lines + 0.11 * len(tables) * (len(tables) > 1), paint, f"bars {label}")


def frontier(points: pd.DataFrame, x_label: str, y_label: str) -> str:
    """Draw accuracy against diversity, with a line through the points that no other beats in both.

    Parameters
    ----------
    points
        Columns name, x, y; more is better in both.
    x_label, y_label
        Names of the axes.
    """

    def paint(axes: Axes) -> None:
        ordered = points.sort_values("x", ascending=False)
        best_y = ordered["y"].cummax()
        edge = ordered[ordered["y"].ge(best_y) & ~ordered.duplicated(["x", "y"])]
        if len(edge) > 1:
            axes.plot(edge["x"], edge["y"], color=INK, alpha=0.35, linewidth=1.2, zorder=1)
        for series, name in enumerate(points["name"]):
            axes.scatter(
                points["x"].iloc[series],
                points["y"].iloc[series],
                color=COLOURS[series % len(COLOURS)],
                marker=MARKERS[series % len(MARKERS)],
                s=34,
                zorder=3,
                label=short(str(name), 24),
            )
        axes.margins(0.12)
        axes.xaxis.set_major_locator(MaxNLocator(MAX_TICKS))
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
        legend_above(axes, len(points))

    return draw(2.9 + 0.1 * len(points), paint, f"{x_label} {y_label}")


def _pick(summary: pd.DataFrame, metric: str, **where: str) -> pd.DataFrame:
    mask = summary["metric"] == metric
    for column, value in where.items():
        mask &= summary[column] == value
    return summary[mask & summary["value"].notna()]


def _diversity(columns: Sequence[str]) -> str | None:
    for name in ("ild", "ild-category", "coverage"):
        for column in headline(columns, (name,)):
            if get_metric(column).name == name:
                return column
    return None


def comparison_plots(comparison: Comparison) -> list[Plot]:
    """Draw the pictures of a comparison."""
    summaries = {
        name: comparison.table[comparison.table["system"] == name] for name in comparison.systems
    }
    plots = _plots(summaries, comparison.metrics, comparison.slices, comparison.domains)
    curves = {name: r.curves for name, r in comparison.results.items() if r.curves}
    for domain in [d for d in comparison.domains if any(d in c for c in curves.values())][:MAX_ROC]:
        lines = {name: found[domain] for name, found in curves.items() if domain in found}
        plots.append(roc_plot(lines, f"ROC curve, {domain}"))
    return plots


def result_plots(result: EvaluationResult, analyses: Analyses) -> list[Plot]:
    """Draw the pictures of one system."""
    plots = _plots({result.name: result.summary}, result.metrics, result.slices, result.domains)
    if result.curves:
        plots.append(roc_plot(result.curves, "ROC curve by domain"))
    curves = {
        domain: links.curves["reliability"]
        for domain, links in analyses.links.items()
        if links is not None and "reliability" in links.curves
    }
    if curves:
        plots.append(reliability_plot(curves, "Reliability by domain"))
    return plots


def _plots(
    summaries: dict[str, pd.DataFrame],
    metrics: Sequence[str],
    slices: Sequence[str],
    domains: Sequence[str],
) -> list[Plot]:
    plots = []
    first_slice = slices[0]
    main = headline(metrics, ("ndcg", "recall", "auc"))
    rows = [MACRO, *domains] if len(domains) > 1 else list(domains)
    for metric in main[:3]:
        tables = {n: _pick(s, metric, **{SLICE: first_slice}) for n, s in summaries.items()}
        title = column_title(metric)
        plots.append(
            Plot(
                f"{title} by domain",
                "Dots are means over users, bars their 95 % bootstrap intervals.",
                interval_plot(tables, rows, DOMAIN, title),
            )
        )
    if len(slices) > 1 and main:
        for metric in main[:1]:
            tables = {n: _pick(s, metric, **{DOMAIN: MACRO}) for n, s in summaries.items()}
            title = column_title(metric)
            plots.append(
                Plot(
                    f"{title} by slice",
                    "Macro over domains, with 95 % bootstrap intervals over users.",
                    bars(tables, slices, title),
                )
            )
    lift = headline(metrics, ("popularity-lift",))
    if lift and get_metric(lift[0]).name == "popularity-lift":
        tables = {n: _pick(s, lift[0], **{DOMAIN: MACRO}) for n, s in summaries.items()}
        kept = [s for s in slices if any((t[SLICE] == s).any() for t in tables.values())]
        if kept:
            plots.append(
                Plot(
                    "Popularity lift by slice",
                    "How much more popular the lists are than what the users themselves had "
                    "chosen; 0 is as popular.",
                    bars(tables, kept, column_title(lift[0])),
                )
            )
    diversity = _diversity(metrics)
    if diversity and main:
        points = _frontier_points(summaries, main[0], diversity, domains)
        if len(points):
            kind = "system" if len(summaries) > 1 else "domain"
            plots.append(
                Plot(
                    "Accuracy against diversity",
                    f"One point per {kind}; up and to the right is better, and the line joins "
                    "those that none beats in both.",
                    frontier(points, column_title(main[0]), column_title(diversity)),
                )
            )
    return plots


def _frontier_points(
    summaries: dict[str, pd.DataFrame], accuracy: str, diversity: str, domains: Sequence[str]
) -> pd.DataFrame:
    records = []
    for name, summary in summaries.items():
        part = summary[summary[SLICE] == summary[SLICE].iloc[0]]
        labels = {MACRO: name} if len(summaries) > 1 else {d: d for d in domains}
        for domain, label in labels.items():
            x = _pick(part, accuracy, **{DOMAIN: domain})["value"]
            y = _pick(part, diversity, **{DOMAIN: domain})["value"]
            if len(x) and len(y):
                records.append((label, float(x.iloc[0]), float(y.iloc[0])))
    return pd.DataFrame(records, columns=["name", "x", "y"]).head(MAX_ROWS)
