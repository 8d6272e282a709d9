"""Curves of links: ROC, and reliability of predicted probabilities."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.axes import Axes

from eval.comparison.links import LinkEvaluation
from eval.reports.drawing import COLOURS, DASHES, INK, MARKERS, Plot, draw, legend_above, short

__all__ = ["link_plots", "reliability_plot", "roc_plot"]

Curve = Mapping[str, list[float]]


def roc_plot(curves: Mapping[str, Curve], title: str) -> Plot:
    """Draw one ROC curve (fpr, tpr) per name."""
    text = "All links of a domain in one ranking; the dotted line is chance."
    return _in_unit_square(
        curves,
        title,
        text,
        ("fpr", "tpr"),
        ("irrelevant links accepted", "relevant links accepted"),
    )


def reliability_plot(curves: Mapping[str, Curve], title: str) -> Plot:
    """Draw one reliability curve (predicted, observed) per name."""
    text = "On the dotted line a link given 80 % is there eight times in ten."
    return _in_unit_square(
        curves,
        title,
        text,
        ("predicted", "observed"),
        ("predicted probability", "share that came true"),
        markers=True,
    )


def link_plots(links: LinkEvaluation) -> list[Plot]:
    """Draw the ROC and the reliability curve of labelled links."""
    plots = [roc_plot({"links": links.curves["roc"]}, "ROC curve")]
    if "reliability" in links.curves:
        plots.append(reliability_plot({"links": links.curves["reliability"]}, "Reliability"))
    return plots


def _in_unit_square(
    curves: Mapping[str, Curve],
    title: str,
    text: str,
    keys: tuple[str, str],
    labels: tuple[str, str],
    *,
    markers: bool = False,
) -> Plot:
    shown = list(curves.items())[: len(COLOURS)]

    def paint(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=INK, alpha=0.35, linewidth=1, linestyle=":")
        for series, (name, curve) in enumerate(shown):
            axes.plot(
                curve[keys[0]],
                curve[keys[1]],
                color=COLOURS[series],
                linestyle=DASHES[series % len(DASHES)],
                marker=MARKERS[series] if markers else None,
                markersize=4.5,
                label=short(name, 24),
            )
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        axes.set_xlabel(labels[0])
        axes.set_ylabel(labels[1])
        if len(shown) > 1:
            legend_above(axes, len(shown))

    return Plot(title, text, draw(3.3 + 0.1 * len(shown), paint, title))
