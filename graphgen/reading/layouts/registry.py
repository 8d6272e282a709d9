"""All layouts by their kind, and the files of each among others."""

from __future__ import annotations

from collections.abc import Sequence

from graphgen.errors import ConfigError, InputError, near_miss
from graphgen.reading.layouts import (
    amazon,
    ciao,
    douban,
    goodreads,
    graphstorm,
    lastfm,
    lightgcn,
    movielens,
    recbole,
    tables,
    yelp,
)
from graphgen.reading.layouts.base import File, Layout

__all__ = ["LAYOUTS", "layout_of", "recognise"]

MODULES = (
    amazon, movielens, recbole, goodreads, yelp, lastfm, douban, ciao, lightgcn, graphstorm, tables,
)  # fmt: skip
LAYOUTS: dict[str, Layout] = {module.LAYOUT.kind: module.LAYOUT for module in MODULES}


def layout_of(kind: str) -> Layout:
    """Return a layout.

    Raises
    ------
    ConfigError
        If there is none of this kind.
    """
    if kind not in LAYOUTS:
        hint = near_miss(kind, LAYOUTS, f"there are {', '.join(LAYOUTS)}.")
        raise ConfigError(f"There is no layout {kind!r}; {hint}")
    return LAYOUTS[kind]


def recognise(files: Sequence[File]) -> Layout | None:
    """Return the layout of public data sets in which some of the files are a log, if any."""
    for layout in LAYOUTS.values():
        if layout is tables.LAYOUT:
            continue
        try:
            if any(part.table == "log" for part in layout.parts(files)):
                return layout
        except InputError:
            continue
    return None
