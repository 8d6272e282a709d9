"""A neighbourhood to click through in a notebook."""

from __future__ import annotations

from collections import Counter
from functools import cached_property
from typing import Any

from graphgen.errors import ConfigError
from graphgen.graph import InterestGraph
from graphgen.looking.elements import elements, node_ids
from graphgen.looking.neighborhoods import neighborhood
from graphgen.looking.nodes import NameIndex, Node, asked_node
from graphgen.looking.page import STATIC, bundle
from graphgen.schema import USER

try:
    import anywidget
    import traitlets
except ImportError as error:
    raise ConfigError(
        "`explore` needs anywidget: pip install 'interest-expansion[notebook]'."
    ) from error

__all__ = ["GraphExplorer", "explore"]

EXPANDED = 12  # neighbours that each expansion of a node reaches further
MAX_HOPS = 3


class GraphExplorer(anywidget.AnyWidget):
    """The widget that `explore` returns; ``center`` is the node it stands at."""

    _esm = bundle() + (STATIC / "widget.js").read_text(encoding="utf-8")
    _css = (STATIC / "view.css").read_text(encoding="utf-8")

    elements = traitlets.Dict().tag(sync=True)
    hops = traitlets.Int(2, min=0, max=MAX_HOPS).tag(sync=True)
    relation = traitlets.Unicode("").tag(sync=True)
    domain = traitlets.Unicode("").tag(sync=True)
    choices = traitlets.Dict().tag(sync=True)

    def __init__(
        self,
        graph: InterestGraph,
        center: Node,
        *,
        hops: int = 2,
        limit: int = 30,
        relation: str = "",
        domain: str = "",
        show_ids: bool | None = None,
    ) -> None:
        self.graph, self.limit, self.show_ids = graph, limit, show_ids
        self.start = self.center = center
        self.nodes: dict[str, Node] = {}
        self._expanded: Counter[Node] = Counter()
        choices = {"relation": graph.adjacency.kinds, "domain": graph.domains}
        super().__init__(hops=hops, relation=relation, domain=domain, choices=choices)
        self.observe(lambda _: self.go_to(self.center), ["hops", "relation", "domain"])
        self.on_msg(lambda _, message, __: self._do(**message))
        self.go_to(center)

    @cached_property
    def _names(self) -> NameIndex:
        return NameIndex(self.graph)

    def go_to(self, center: Node) -> None:
        """Draw the neighbourhood of another node."""
        self.center = center
        self._expanded.clear()
        self.elements = self._around(center, hops=self.hops, limit=self.limit, users=False)

    def expand(self, node: Node, *, users: bool = False) -> dict[str, Any]:
        """Return the next neighbours of a node, as `elements` does; `users` for other users."""
        self._expanded[node] += 1
        return self._around(node, hops=1, limit=1 + EXPANDED * self._expanded[node], users=users)

    def _around(self, node: Node, **settings: Any) -> dict[str, Any]:
        around = neighborhood(
            self.graph,
            node,
            relations=[self.relation] if self.relation else None,
            domains=[self.domain] if self.domain else None,
            **settings,
        )
        # An id of a user who was shown masked stays masked, also as a centre.
        show = self.show_ids
        if show is None and node[0] == USER and node != self.start:
            show = False
        self.nodes |= node_ids(around, show_ids=show)
        return elements(around, show_ids=show)

    def _do(self, do: str, *, id: str = "", text: str = "") -> None:
        if do == "search":
            found = self._names.search(text)
            self.nodes |= {one["id"]: (one["kind"], one["key"]) for one in found}
            self.send({"found": found, "text": text})
        elif id in self.nodes and do == "center":
            self.go_to(self.nodes[id])
        elif id in self.nodes and do == "expand":
            self.send({"add": self.expand(self.nodes[id])})


def explore(
    graph: InterestGraph,
    *,
    user: str | None = None,
    item: str | None = None,
    interest: str | None = None,
    hops: int = 2,
    limit: int = 30,
    relation: str = "",
    domain: str = "",
    show_ids: bool | None = None,
) -> GraphExplorer:
    """Return a widget to look around a graph in a notebook; ``graph.explore(...)`` calls it.

    A click selects a node, and offers to expand it or to centre on it; the search finds items and
    interests of the whole graph. A picture that is whole without a kernel, as in a notebook that is
    exported to HTML, is `graphgen.looking.neighborhoods.neighborhood`. Needs the extra
    ``notebook``.

    Parameters
    ----------
    graph
        The graph.
    user, item, interest
        The centre, one of them: a user's id, ``DOMAIN=ID`` or a title, an interest's name.
    hops, limit
        Steps from the centre, and the most nodes, at first.
    relation, domain
        The only relation to follow, and the only domain; "" for all.
    show_ids
        As of `graphgen.looking.elements.elements`.
    """
    node = asked_node(graph, user=user, item=item, interest=interest)
    return GraphExplorer(
        graph, node, hops=hops, limit=limit, relation=relation, domain=domain, show_ids=show_ids
    )
