"""Plots of a report as inline SVG: narrow enough for a phone, and coloured by the page."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from eval.comparison.analyses import Analyses
from eval.comparison.comparison import Comparison
from eval.comparison.links import LinkEvaluation
from eval.evaluation.cells import column_title, slice_title
from eval.evaluation.result import DOMAIN, MACRO, SLICE, Curve, EvaluationResult, headline
from eval.metrics.registry import get_metric

__all__ = [
    "Plot",
    "comparison_plots",
    "dots_or_bars",
    "draw_axes",
    "frontier_plots",
    "legend_above",
    "link_plots",
    "pick",
    "replay_plot",
    "result_plots",
    "window_plot",
]

# Drawn in this colour, then replaced by the text colour of the page, light or dark.
INK: Final = "#010203"
# Readable on white and on black.
GREY: Final = "#808080"
# Okabe and Ito, "Color universal design", without black and yellow; readable on both grounds.
COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C8C8C")
DASHES: Final = ("-", "--", "-.", ":")
MARKERS: Final = "osD^vPX*"
# Inches at 96 px: as wide as a phone shows, so that text keeps its size there.
WIDTH: Final = 3.7
MAX_TICKS: Final = 5
MAX_ROWS: Final = 16
# Domains whose ROC curves are drawn; the others are in metrics.json.
MAX_ROC: Final = 12

Summaries = dict[str, pd.DataFrame]


@dataclass(frozen=True)
class Plot:
    """One picture: heading, sentence on how to read it (also its alternative text), ``<svg>``."""

    title: str
    text: str
    svg: str

    def __repr__(self) -> str:
        return f"{self.title}. {self.text}"

    def _repr_svg_(self) -> str:
        # A notebook may show it as an image, to which it has no text colour to give.
        return self.svg.replace("<svg ", '<svg width="480" ', 1).replace("currentColor", GREY)


def comparison_plots(comparison: Comparison) -> list[Plot]:
    """Draw the pictures of a comparison."""
    summaries = {
        name: comparison.table[comparison.table["system"] == name] for name in comparison.systems
    }
    plots = _summary_plots(summaries, comparison.metrics, comparison.slices, comparison.domains)
    curves = {name: r.curves for name, r in comparison.results.items() if r.curves}
    for domain in [d for d in comparison.domains if any(d in c for c in curves.values())][:MAX_ROC]:
        lines = {name: found[domain] for name, found in curves.items() if domain in found}
        plots.append(_roc_plot(lines, f"ROC curve, {domain}"))
    return plots


def result_plots(result: EvaluationResult, analyses: Analyses) -> list[Plot]:
    """Draw the pictures of one system."""
    summaries = {result.name: result.summary}
    plots = _summary_plots(summaries, result.metrics, result.slices, result.domains)
    if result.curves:
        plots.append(_roc_plot(result.curves, "ROC curve by domain"))
    curves = {
        domain: links.curves["reliability"]
        for domain, links in analyses.links.items()
        if links is not None and "reliability" in links.curves
    }
    return [*plots, _reliability_plot(curves, "Reliability by domain")] if curves else plots


def link_plots(links: LinkEvaluation) -> list[Plot]:
    """Draw the ROC and the reliability curve of labelled links."""
    plots = [_roc_plot({"links": links.curves["roc"]}, "ROC curve")]
    if "reliability" in links.curves:
        plots.append(_reliability_plot({"links": links.curves["reliability"]}, "Reliability"))
    return plots


def frontier_plots(table: pd.DataFrame, titles: Mapping[str, str]) -> list[Plot]:
    """Draw each column of `titles` against the NDCG kept, a line per method; the first row is the
    lists by score.
    """
    text = "A point per strength, joined by method; the cross is the order by score, the dotted "
    text += "line 98 % of its NDCG. Up and to the right is better."
    lower = " Down and to the right is better here."
    plots = []
    for column, title in titles.items():

        def paint(axes: Axes, column: str = column, title: str = title) -> None:
            axes.axvline(0.98, color=INK, alpha=0.35, linewidth=1, linestyle=":")
            for series, (name, part) in enumerate(table[1:].groupby("method", sort=False)):
                style: Any = {"markersize": 4, "linewidth": 1.2, "label": str(name)}
                style["color"] = COLOURS[series % len(COLOURS)]
                ends = pd.concat([table[:1], part.sort_values("strength")])
                marker = MARKERS[series % len(MARKERS)]
                axes.plot(ends["kept"], ends[column], marker=marker, **style)
            axes.plot(1, table[column].iloc[0], "+", color=INK, markersize=11, zorder=4)
            axes.xaxis.set_major_locator(MaxNLocator(MAX_TICKS))
            axes.set(xlabel="share of NDCG kept", ylabel=title)
            legend_above(axes, table["method"].nunique() - 1)

        read = text if column != "miscalibration" else text.rsplit(" Up", 1)[0] + lower
        plots.append(
            Plot(f"{title} against NDCG", read, draw_axes(3.6, paint, f"frontier {column}"))
        )
    return plots


def window_plot(moves: pd.DataFrame) -> Plot:
    """Draw the shares of a user's interests over windows, as of `gnn.interests.evolution`."""
    wide = moves.pivot(index="end", columns="interest", values="share")
    shown = wide.mean().nlargest(len(COLOURS)).index

    def paint(axes: Axes) -> None:
        for series, name in enumerate(shown):
            marker = MARKERS[series % len(MARKERS)]
            axes.plot(
                wide.index, 100 * wide[name], color=COLOURS[series], marker=marker, markersize=4,
                label=_short(name),
            )  # fmt: skip
        axes.set_ylabel("share (%)")
        axes.set_ylim(bottom=0)
        axes.xaxis.set_major_locator(MaxNLocator(3))
        legend_above(axes, len(shown))

    text = "Expected share of the interactions of each window, at its end."
    return Plot("Interests over time", text, draw_axes(3.0 + 0.1 * len(shown), paint, "windows"))


def replay_plot(blocks: pd.DataFrame) -> Plot:
    """Draw NDCG@20 of each system over the blocks of `eval.experiments.replaying.Replay`."""

    def paint(axes: Axes) -> None:
        for series, (name, part) in enumerate(blocks.groupby("system", sort=False)):
            style: Any = {"color": COLOURS[series], "linestyle": DASHES[series % len(DASHES)]}
            axes.plot(part["start"], part["ndcg@20"], linewidth=1.4, label=str(name), **style)
            axes.fill_between(
                part["start"], part["low"], part["high"], color=COLOURS[series], alpha=0.12
            )
        axes.set_ylabel("NDCG@20")
        axes.set_ylim(bottom=0)
        axes.xaxis.set_major_locator(MaxNLocator(3))
        legend_above(axes, blocks["system"].nunique())

    text = "Lists made before a block, judged by its likes; 95 % bootstrap intervals over users."
    return Plot("NDCG@20 over time", text, draw_axes(3.2, paint, "replay"))


def _summary_plots(
    summaries: Summaries, metrics: Sequence[str], slices: Sequence[str], domains: Sequence[str]
) -> list[Plot]:
    plots = []
    main = headline(metrics, ("ndcg", "recall", "auc"))
    rows = [MACRO, *domains] if len(domains) > 1 else list(domains)
    for metric in main[:3]:
        text = "Dots are means over users, bars their 95 % bootstrap intervals."
        picture = dots_or_bars(pick(summaries, metric, SLICE, slices[0]), rows, DOMAIN, metric)
        plots.append(Plot(f"{column_title(metric)} by domain", text, picture))
    if len(slices) > 1:
        text = "Macro over domains, with 95 % bootstrap intervals over users."
        picture = dots_or_bars(pick(summaries, main[0], DOMAIN, MACRO), slices, SLICE, main[0])
        plots.append(Plot(f"{column_title(main[0])} by slice", text, picture))
    lift = _first(metrics, "popularity-lift")
    if lift:
        tables = pick(summaries, lift, DOMAIN, MACRO)
        kept = [name for name in slices if any((t[SLICE] == name).any() for t in tables.values())]
        text = (
            "How much more popular the lists are than the items that the users themselves had "
            "chosen; 0 is as popular."
        )
        if kept:
            picture = dots_or_bars(tables, kept, SLICE, lift)
            plots.append(Plot("Popularity lift by slice", text, picture))
    diversity = _first(metrics, "ild", "ild-category", "coverage")
    if diversity:
        points = _points(summaries, main[0], diversity, domains)
        text = (
            f"One point per {'system' if len(summaries) > 1 else 'domain'}; up and to the right is "
            "better, and the line joins those that none beats in both."
        )
        if len(points):
            picture = _frontier(points, column_title(main[0]), column_title(diversity))
            plots.append(Plot("Accuracy against diversity", text, picture))
    return plots


def _first(metrics: Sequence[str], *names: str) -> str | None:
    """Return the headline column of the first metric that there is."""
    found = (c for name in names for c in headline(metrics, (name,)) if get_metric(c).name == name)
    return next(found, None)


def pick(summaries: Summaries, metric: str, column: str, value: str) -> Summaries:
    """Keep the rows of a metric, of one slice or of one domain, that have a value."""
    return {
        name: table[(table["metric"] == metric) & (table[column] == value) & table["value"].notna()]
        for name, table in summaries.items()
    }


def dots_or_bars(tables: Summaries, keys: Sequence[str], column: str, metric: str) -> str:
    """Draw a row per domain or slice: a dot (slices: a bar) with its interval per system."""
    keys, n, bars, label = list(keys)[:MAX_ROWS], len(tables), column == SLICE, column_title(metric)
    step = 0.8 / n if bars else min(0.16, 0.7 / n)

    def paint(axes: Axes) -> None:
        for series, (name, table) in enumerate(tables.items()):
            rows = table[table[column].isin(keys)]
            place = rows[column].map(keys.index).to_numpy(float) + (series - (n - 1) / 2) * step
            value = rows["value"].to_numpy(float)
            low, high = (np.where(rows[b].notna(), rows[b], value) for b in ("low", "high"))
            error = [np.maximum(value - low, 0), np.maximum(high - value, 0)]
            colour, marker = COLOURS[series % len(COLOURS)], MARKERS[series % len(MARKERS)]
            if bars:
                line = {"ecolor": INK, "elinewidth": 1}
                axes.barh(
                    place, value, step * 0.92, xerr=error, color=colour, error_kw=line, label=name
                )
            else:
                style: Any = {"markersize": 4.5, "linewidth": 1.4, "capsize": 0}
                axes.errorbar(
                    value, place, xerr=error, fmt=marker, color=colour, label=name, **style
                )
        names = [slice_title(key) if bars else key for key in keys]
        axes.set_yticks(range(len(keys)), [_short(name) for name in names])
        axes.set_ylim(len(keys) - 0.5, -0.5)
        axes.grid(axis="y", visible=False)
        axes.xaxis.set_major_locator(MaxNLocator(MAX_TICKS))
        axes.set_xlabel(label)
        if n > 1:
            legend_above(axes, n)

    lines = len(keys) * max(1.0, 0.5 * n)
    return draw_axes(1.0 + 0.28 * lines + 0.2 * n * (n > 1), paint, f"{label} {column}")


def _points(
    summaries: Summaries, accuracy: str, diversity: str, domains: Sequence[str]
) -> pd.DataFrame:
    """Return name, x and y of each system, or of each domain of the only one."""
    points = []
    for name, summary in summaries.items():
        part = summary[summary[SLICE] == summary[SLICE].iloc[0]]
        values = part.pivot(index=DOMAIN, columns="metric", values="value")
        labels = {MACRO: name} if len(summaries) > 1 else {d: d for d in domains}
        values = values.reindex(index=list(labels), columns=[accuracy, diversity])
        values = values.set_axis(["x", "y"], axis=1).dropna()
        points.append(values.assign(name=values.index.map(labels)))
    return pd.concat(points, ignore_index=True).head(MAX_ROWS)


def _frontier(points: pd.DataFrame, x_label: str, y_label: str) -> str:
    """Draw points, and a line through those that no other beats in both x and y."""

    def paint(axes: Axes) -> None:
        ordered = points.sort_values("x", ascending=False)
        edge = ordered[ordered["y"].ge(ordered["y"].cummax()) & ~ordered.duplicated(["x", "y"])]
        if len(edge) > 1:
            axes.plot(edge["x"], edge["y"], color=INK, alpha=0.35, linewidth=1.2, zorder=1)
        for series, (x, y, name) in enumerate(points[["x", "y", "name"]].itertuples(index=False)):
            colour, marker = COLOURS[series % len(COLOURS)], MARKERS[series % len(MARKERS)]
            axes.scatter(x, y, color=colour, marker=marker, s=34, zorder=3, label=_short(name, 24))
        axes.margins(0.12)
        axes.xaxis.set_major_locator(MaxNLocator(MAX_TICKS))
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
        legend_above(axes, len(points))

    return draw_axes(2.9 + 0.1 * len(points), paint, f"{x_label} {y_label}")


def _roc_plot(curves: Mapping[str, Curve], title: str) -> Plot:
    text = "All links of a domain in one ranking; the dotted line is chance."
    x, y = ("fpr", "irrelevant links accepted"), ("tpr", "relevant links accepted")
    return _in_unit_square(curves, title, text, x, y)


def _reliability_plot(curves: Mapping[str, Curve], title: str) -> Plot:
    text = "On the dotted line a link given 80 % is there eight times in ten."
    x, y = ("predicted", "predicted probability"), ("observed", "share that came true")
    return _in_unit_square(curves, title, text, x, y, markers=True)


def _in_unit_square(
    curves: Mapping[str, Curve],
    title: str,
    text: str,
    x: tuple[str, str],
    y: tuple[str, str],
    *,
    markers: bool = False,
) -> Plot:
    """Draw one curve per name; `x` and `y` are a key of the curves and the label of an axis."""
    shown = list(curves.items())[: len(COLOURS)]

    def paint(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=INK, alpha=0.35, linewidth=1, linestyle=":")
        for series, (name, curve) in enumerate(shown):
            axes.plot(
                curve[x[0]],
                curve[y[0]],
                color=COLOURS[series],
                linestyle=DASHES[series % len(DASHES)],
                marker=MARKERS[series] if markers else None,
                markersize=4.5,
                label=_short(name, 24),
            )
        axes.set(xlim=(0, 1), ylim=(0, 1), xlabel=x[1], ylabel=y[1])
        if len(shown) > 1:
            legend_above(axes, len(shown))

    return Plot(title, text, draw_axes(3.3 + 0.1 * len(shown), paint, title))


def draw_axes(height: float, paint: Callable[[Axes], None], salt: str) -> str:
    """Paint one pair of axes and return it as an SVG element.

    `salt` makes the ids inside differ from those of the other pictures of the page.
    """
    coloured = ("axes.edgecolor", "axes.labelcolor", "text.color", "xtick.color", "ytick.color")
    settings: Any = {
        **dict.fromkeys((*coloured, "grid.color"), INK),
        "svg.fonttype": "none",
        "svg.hashsalt": salt,
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "grid.alpha": 0.15,
        "axes.grid": True,
        "axes.axisbelow": True,
        "legend.frameon": False,
    }
    with mpl.rc_context(settings):
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        axes = figure.add_subplot()
        paint(axes)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    for size in ("width", "height"):
        svg = re.sub(rf'(<svg[^>]*?) {size}="[^"]*"', r"\1", svg, count=1)
    return svg.replace(INK, "currentColor")


def legend_above(axes: Axes, n: int) -> None:
    """Put the legend of `n` series above the axes."""
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        ncols=min(n, 2),
        fontsize=8,
        handletextpad=0.3,
        columnspacing=1.0,
        borderaxespad=0.2,
    )


def _short(text: str, length: int = 20) -> str:
    """Cut a label that is too long."""
    return text if len(text) <= length else text[: length - 1] + "…"
