"""Ablations of `interest-gnn`: one entry for each variant."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from gnn.data import TrainingData
from gnn.models.interest.experts import missing_for
from gnn.registry import model_class
from graphgen.graph import InterestGraph
from graphgen.schema import INTERACTS, REV_INTERACTS, SIMILAR

__all__ = ["ABLATED", "OTHER_DOMAINS", "Ablation", "ablations"]

ABLATED: Final = "interest-gnn"
OTHER_DOMAINS: Final = "without the other domains"
NODE_TEXT: Final = ("x", "has_text")


def _whole(graph: InterestGraph) -> InterestGraph:
    return graph


def _nothing(graph: InterestGraph) -> str:
    return ""


@dataclass(frozen=True)
class Ablation:
    """One variant.

    Attributes
    ----------
    name
        What tables call it.
    graph
        Returns the graph that the variant is trained on.
    settings
        Fields of the model's config that differ.
    separately
        Train in each domain on that domain alone.
    lacks
        Returns why the variant does not apply to a graph, or "".
    """

    name: str
    graph: Callable[[InterestGraph], InterestGraph] = _whole
    settings: Mapping[str, Any] = field(default_factory=dict)
    separately: bool = False
    lacks: Callable[[InterestGraph], str] = _nothing


def ablations(settings: Mapping[str, Any] | None = None) -> tuple[dict[str, Ablation], list[str]]:
    """List the variants of `interest-gnn`.

    Parameters
    ----------
    settings
        Fields of its config that the full model has; they name its experts.

    Returns
    -------
    variants
        By name, in the order of the table.
    notes
        Variants that a model with these settings cannot have, and why.

    Examples
    --------
    >>> list(ablations()[0])[:2]
    ['without text', 'without semantic edges']
    """
    variants = [
        Ablation("without text", without_text, lacks=_lacks_text),
        Ablation("without semantic edges", without_semantic_edges, lacks=_lacks_semantic_edges),
        Ablation("without times", without_times, lacks=_lacks_times),
        Ablation("without the trend", settings={"trend": False}, lacks=_lacks_times),
        Ablation("without id dropout", settings={"id_dropout": 0.0}),
        Ablation(OTHER_DOMAINS, separately=True, lacks=_lacks_domains),
    ]
    notes = []
    config: Any = model_class(ABLATED).Config.make(settings)
    experts = config.experts
    if len(experts) > 1:
        variants += [
            Ablation(
                f"without expert {p}",
                settings={"experts": tuple(q for q in experts if q != p)},
                lacks=partial(_lacks_expert, p),
            )
            for p in experts
        ]
        variants += [
            Ablation(
                f"expert {p} alone", settings={"experts": (p,)}, lacks=partial(_lacks_expert, p)
            )
            for p in experts
        ]
    else:
        notes.append(f"{ABLATED} has no experts to take away: its config names fewer than two.")
    variants.append(Ablation("without the gate", settings={"gated": False}))
    return {variant.name: variant for variant in variants}, notes


def without_text(graph: InterestGraph) -> InterestGraph:
    """Return a graph without text features and the semantic edges made of them."""
    data = copy.copy(without_semantic_edges(graph).data)
    for domain in graph.domains:
        for name in NODE_TEXT:
            if name in data[domain]:
                del data[domain][name]
    return graph.with_data(data, without="text")


def without_semantic_edges(graph: InterestGraph) -> InterestGraph:
    """Return a graph without ``similar`` edges."""
    data = copy.copy(graph.data)
    for edge_type in [t for t in data.edge_types if t[1] == SIMILAR]:
        del data[edge_type]
    return graph.with_data(data, without="semantic edges")


def without_times(graph: InterestGraph) -> InterestGraph:
    """Return a graph that does not say when its interactions happened."""
    data = copy.copy(graph.data)
    for edge_type in data.edge_types:
        if edge_type[1] in {INTERACTS, REV_INTERACTS} and "time" in data[edge_type]:
            del data[edge_type].time
    return graph.with_data(data, without="times")


def _lacks_text(graph: InterestGraph) -> str:
    return "" if graph.feature_dim else "the graph has no text"


def _lacks_semantic_edges(graph: InterestGraph) -> str:
    there = any(t[1] == SIMILAR for t in graph.data.edge_types)
    return "" if there else "the graph has no semantic edges"


def _lacks_times(graph: InterestGraph) -> str:
    return "" if graph.has_time else "the log has no timestamps"


def _lacks_domains(graph: InterestGraph) -> str:
    return "" if len(graph.domains) > 1 else "the graph has one domain"


def _lacks_expert(name: str, graph: InterestGraph) -> str:
    return missing_for(name, TrainingData.from_graph(graph))
