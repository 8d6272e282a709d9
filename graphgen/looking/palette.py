"""Colours of kinds of nodes; `static/view.js` has the same."""

from __future__ import annotations

from typing import Final

from graphgen.schema import ATTRIBUTE, INTEREST, USER

__all__ = ["COLORS", "kind_color"]

# Okabe and Ito's colours, which colour-blind readers can distinguish; the yellow darkened.
COLORS: Final = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#A98600", "#56B4E9", "#7A4FBF", "#8C564B",
)  # fmt: skip
FIXED: Final = {USER: "#6b7178", INTEREST: "#2b2f33", ATTRIBUTE: "#2b2f33"}


def kind_color(kind: str, domains: list[str]) -> str:
    """Return the colour of a domain by its place among all of the graph, of users or interests."""
    return FIXED.get(kind) or COLORS[domains.index(kind) % len(COLORS)]
