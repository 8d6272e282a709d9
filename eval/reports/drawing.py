"""Shared by all plots of a report: size, colours, SVG."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

__all__ = ["Plot", "draw", "legend_above", "short"]

# Drawn in this colour, then replaced by the text colour of the page, light or dark.
INK: Final = "#010203"
# Okabe and Ito, "Color universal design", without black and yellow; readable on both grounds.
COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C8C8C")
DASHES: Final = ("-", "--", "-.", ":")
MARKERS: Final = "osD^vPX*"
# Inches at 96 px: as wide as a phone shows, so that text keeps its size there.
WIDTH: Final = 3.7
MAX_TICKS: Final = 5


@dataclass(frozen=True)
class Plot:
    """One picture: heading, sentence on how to read it (also its alternative text), ``<svg>``."""

    title: str
    text: str
    svg: str


def draw(height: float, paint: Callable[[Axes], None], salt: str) -> str:
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


def short(text: str, length: int = 20) -> str:
    """Cut a label that is too long."""
    return text if len(text) <= length else text[: length - 1] + "…"
