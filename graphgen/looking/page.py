"""A neighbourhood as one interactive page that needs no network."""

from __future__ import annotations

import base64
import gzip
import html
import json
import re
from functools import cache
from pathlib import Path
from typing import Any, Final

import networkx as nx

from graphgen.errors import counted
from graphgen.looking.elements import center_node, center_title, elements
from graphgen.schema import USER
from graphgen.storage import atomic_file

__all__ = ["STATIC", "bundle", "framed", "html_page", "inline_page", "joined", "write_page"]

STATIC: Final = Path(__file__).with_name("static")
INLINE_HEIGHT: Final = 560  # pixels of a picture in a notebook


def write_page(
    neighborhood: nx.MultiDiGraph,
    path: str | Path,
    *,
    title: str | None = None,
    show_ids: bool | None = None,
) -> Path:
    """Write a neighbourhood as one interactive HTML page.

    The centre is in the middle, its neighbours in columns to both sides. Pointing at a node lights
    up its neighbours, a click lists them, and the legend hides domains and relations. The page
    contains Cytoscape.js (under 200 kB, packed) and loads nothing. Users other than the centre
    appear under a masked id; their real ids are nowhere in the file.

    Parameters
    ----------
    neighborhood
        As `neighborhood` or `subgraph` returns it.
    path
        The file to write, in full or not at all.
    title
        Heading of the page; None for "Around" and the name of the centre.
    show_ids
        Whether user ids are shown: None for the centre's only, True for all, False for none.

    Returns
    -------
    pathlib.Path
        `path`.

    Examples
    --------
    >>> import pandas as pd, tempfile
    >>> from graphgen.build import build_graph
    >>> from graphgen.looking.neighborhoods import neighborhood
    >>> graph = build_graph(pd.DataFrame({
    ...     "user_id": ["ann", "ann", "bob"], "domain": ["book", "film", "film"],
    ...     "item_id": ["Dune", "Alien", "Alien"]}), encoder="none")
    >>> folder = tempfile.mkdtemp()
    >>> page = write_page(neighborhood(graph, ("user", "ann")), f"{folder}/ann.html")
    >>> "<title>Around user ann</title>" in page.read_text(encoding="utf-8")
    True
    """
    path = Path(path)
    with atomic_file(path) as temporary:
        temporary.write_text(_page(neighborhood, title, show_ids), encoding="utf-8")
    return path


def inline_page(neighborhood: nx.MultiDiGraph) -> str:
    """Return the page as a frame for the output of a notebook, which is whole without a kernel."""
    return framed(_page(neighborhood, None, None))


def framed(page: str) -> str:
    """Return a frame of HTML that holds a page."""
    return (
        f'<iframe srcdoc="{html.escape(page)}" title="Neighbourhood" '
        f'style="width: 100%; height: {INLINE_HEIGHT}px; border: 1px solid #8886"></iframe>'
    )


@cache
def bundle() -> str:
    """Return the drawing as one JavaScript module that exports createView and createExplorer."""
    library = (STATIC / "cytoscape.esm.min.mjs").read_text(encoding="utf-8")
    library = re.sub(r"export\s*\{\s*(\S+) as default\s*\};?\s*$", r"return \1;", library)
    licence = (STATIC / "LICENSE.cytoscape").read_text(encoding="utf-8")
    own = joined("colors.js", "styles.js", "view.js", "explorer.js")
    return f"/* Cytoscape.js\n{licence}*/\nconst cytoscape = (() => {{\n{library}\n}})();\n{own}"


def joined(*names: str) -> str:
    """Return modules of `static` as one, without their imports from each other."""
    modules = [(STATIC / name).read_text(encoding="utf-8") for name in names]
    return "\n".join(re.sub(r"(?m)^import [^;]*;\n", "", module) for module in modules)


def html_page(title: str, caption: str, code: str, make: str, content: dict[str, Any]) -> str:
    """Return a page whose module `code` draws `content`, by its function named `make`."""
    from jinja2 import Environment, PackageLoader

    pages = Environment(loader=PackageLoader("graphgen.looking", ""), autoescape=True)
    # No title can close the script element.
    text = json.dumps(content, ensure_ascii=False).replace("<", "\\u003c")
    return pages.get_template("page.html.j2").render(
        title=title,
        caption=caption,
        css=(STATIC / "view.css").read_text(encoding="utf-8"),
        content=text,
        make=make,
        packed=base64.b64encode(gzip.compress(code.encode(), mtime=0)).decode(),
    )


def _page(neighborhood: nx.MultiDiGraph, title: str | None, show_ids: bool | None) -> str:
    drawn = elements(neighborhood, show_ids=show_ids)
    heading = title or f"Around {center_title(neighborhood, show_ids=show_ids)}"
    caption = _caption(neighborhood, drawn, show_ids)
    return html_page(heading, caption, bundle(), "createExplorer", drawn)


def _caption(neighborhood: nx.MultiDiGraph, drawn: dict[str, Any], show_ids: bool | None) -> str:
    links = counted(neighborhood.number_of_edges(), "link")
    text = f"{counted(len(neighborhood), 'node')}, {links}"
    if len(drawn["edges"]) < neighborhood.number_of_edges():
        text += f", the strongest {len(drawn['edges']):,} of them drawn"
    text += ". Point at a node for its links, click for details; / searches, arrow keys move."
    center = center_node(neighborhood)
    if not show_ids and any(node[0] == USER and node != center for node in neighborhood):
        text += " Ids of other users are masked."
    return text
