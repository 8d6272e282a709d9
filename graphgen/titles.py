"""Items by their title, where an id is not at hand."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from difflib import get_close_matches
from typing import NamedTuple

import numpy as np
import pandas as pd

from graphgen.errors import UnknownIdError
from graphgen.vocabulary import Vocabulary

__all__ = ["Catalogue", "find_item", "plain"]

logger = logging.getLogger(__name__)

SHOWN = 5
# Titles that are compared letter by letter, at most.
COMPARED = 20_000
# Letters of a word by which other spellings of it are found.
STEM = 4


class Catalogue(NamedTuple):
    """Ids and titles (object [n], "" where unknown) of a domain."""

    ids: Vocabulary
    titles: np.ndarray


def find_item(catalogues: Mapping[str, Catalogue], text: str) -> tuple[str, str]:
    """Return domain and id of the item that ``DOMAIN=ID``, ``DOMAIN=title`` or a title names.

    An id wins. Otherwise the item whose title is the text, or the only one whose title holds it,
    whatever the case, is taken, with a note in the log. O(items) when there is no such id.

    Raises
    ------
    UnknownIdError
        If no item or several are meant; it names the nearest titles.

    Examples
    --------
    >>> films = Catalogue(Vocabulary(["f1", "f2"]), np.array(["Paris, Texas", "Alien"], object))
    >>> find_item({"film": films}, "film=f2"), find_item({"film": films}, "paris")
    (('film', 'f2'), ('film', 'f1'))
    """
    domain, equals, rest = text.partition("=")
    if equals and domain in catalogues:
        catalogues, text = {domain: catalogues[domain]}, rest
    with_id = [domain for domain, part in catalogues.items() if text in part.ids]
    if len(with_id) == 1:
        return with_id[0], text
    if with_id:
        raise UnknownIdError(
            f"{text!r} is an id in {', '.join(with_id)}; write it as {with_id[0]}={text}."
        )
    wanted = plain(pd.Series([text]))[0]
    titles = pd.concat(
        {d: pd.Series(plain(pd.Series(part.titles))) for d, part in catalogues.items()}
    )
    for found in (titles == wanted, titles.str.contains(wanted, regex=False)):
        places = list(titles.index[found & (titles != "")]) if wanted else []
        named = [
            _Item(d, str(catalogues[d].ids.ids[i]), catalogues[d].titles[i]) for d, i in places
        ]
        if len(named) == 1:
            logger.warning("No item has the id %r; taking %s.", text, named[0])
            return named[0].domain, named[0].id
        if named:
            shown = "; ".join(map(str, named[:SHOWN]))
            more = f"; and {len(named) - SHOWN} more" if len(named) > SHOWN else ""
            raise UnknownIdError(
                f"No item has the id {text!r}, and {len(named)} titles hold it: {shown}{more}. "
                "Name one by its id."
            )
    raise UnknownIdError(_unknown(catalogues, text, wanted, titles))


class _Item(NamedTuple):
    domain: str
    id: str
    title: str

    def __str__(self) -> str:
        return f"{self.domain}={self.id} ({self.title})"


def _item(catalogues: Mapping[str, Catalogue], place: tuple[str, int]) -> _Item:
    domain, row = place
    return _Item(domain, str(catalogues[domain].ids.ids[row]), catalogues[domain].titles[row])


def plain(texts: pd.Series) -> np.ndarray:
    """Return texts without differences of case, width and spaces, to compare them."""
    normal = texts.astype(str).str.normalize("NFKC").str.casefold().str.split().str.join(" ")
    return normal.to_numpy(object)


def _unknown(catalogues: Mapping[str, Catalogue], text: str, wanted: str, titles: pd.Series) -> str:
    message = f"No item of {', '.join(catalogues)} has the id or the title {text!r}"
    some = titles[titles != ""]
    if len(some) > COMPARED:
        stems = {word[:STEM] for word in wanted.split() if len(word) >= STEM} or {wanted[:1]}
        some = some[np.logical_or.reduce([some.str.contains(s, regex=False) for s in stems])]
    near = get_close_matches(wanted, some.head(COMPARED).tolist(), n=3, cutoff=0.5)
    if near:
        places = [some.index[some == title][0] for title in dict.fromkeys(near)]
        shown = [
            _Item(d, str(catalogues[d].ids.ids[i]), catalogues[d].titles[i]) for d, i in places
        ]
        return f"{message}; the nearest titles are {'; '.join(map(str, shown))}."
    for domain, part in catalogues.items():
        try:
            part.ids.encode([text])
        except UnknownIdError as error:
            if "did you mean" in str(error):
                return f"{message} ({domain}: {error})"
    return f"{message}."
