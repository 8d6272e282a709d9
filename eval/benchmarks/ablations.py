"""Ablations of `interest-gnn`: one entry for each variant."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gnn.data import TrainingData
from gnn.models.interest.experts import ON_REQUEST, missing_for
from gnn.registry import model_class
from graphgen.builders.derived import with_interactions
from graphgen.graph import InterestGraph
from graphgen.schema import INTERACTS, REV_INTERACTS, SIMILAR

__all__ = ["ABLATED", "Ablation", "ablations"]

ABLATED: Final = "interest-gnn"


@dataclass(frozen=True)
class Ablation:
    """One variant.

    Attributes
    ----------
    graph
        Returns the graph that the variant is trained on.
    settings
        Fields of the model's config that differ.
    """

    graph: Callable[[InterestGraph], InterestGraph] = lambda graph: graph
    settings: Mapping[str, Any] = field(default_factory=dict)


def ablations(
    graph: InterestGraph, settings: Mapping[str, Any] | None = None
) -> tuple[dict[str, Ablation], list[str]]:
    """Return the variants that apply to a graph, by name, and a note on each other one.

    Parameters
    ----------
    graph
        Of the full model.
    settings
        Fields of the config that the full model has; they name its experts.
    """
    config: Any = model_class(ABLATED).Config.make(settings)
    data, experts = TrainingData.from_graph(graph), config.experts
    timeless = "" if graph.order else "the log has no timestamps and no positions"
    semantic = any(t[1] == SIMILAR for t in graph.data.edge_types)
    found = {
        "without text": (
            Ablation(without_text),
            "" if graph.feature_dim else "the graph has no text",
        ),
        "without semantic edges": (
            Ablation(without_semantic_edges),
            "" if semantic else "the graph has no semantic edges",
        ),
        "without times": (Ablation(without_times), timeless),
        "without the trend": (Ablation(settings={"trend": False}), timeless),
        "without id dropout": (Ablation(settings={"id_dropout": 0.0}), ""),
    }
    notes = []
    if len(experts) > 1:
        missing = {name: missing_for(name, data) for name in experts}
        # Of what few graphs have nothing is said where it is missing.
        missing = {name: why for name, why in missing.items() if not (why and name in ON_REQUEST)}
        for name, why in missing.items():
            others = tuple(other for other in experts if other != name)
            found[f"without expert {name}"] = (Ablation(settings={"experts": others}), why)
        for name, why in missing.items():
            found[f"expert {name} alone"] = (Ablation(settings={"experts": (name,)}), why)
    else:
        notes.append(f"{ABLATED} has no experts to take away: its config names fewer than two.")
    found["without the gate"] = (Ablation(settings={"gated": False}), "")
    notes += [f"'{name}' was left out: {why}." for name, (_, why) in found.items() if why]
    return {name: variant for name, (variant, why) in found.items() if not why}, notes


def without_text(graph: InterestGraph) -> InterestGraph:
    """Return a graph without text features and the semantic edges made of them."""
    data = copy.copy(without_semantic_edges(graph).data)
    for domain in graph.domains:
        for name in {"x", "has_text"} & set(data[domain].keys()):
            del data[domain][name]
    return graph.with_data(data, without="text")


def without_semantic_edges(graph: InterestGraph) -> InterestGraph:
    """Return a graph without ``similar`` edges."""
    data = copy.copy(graph.data)
    for edge_type in [t for t in data.edge_types if t[1] == SIMILAR]:
        del data[edge_type]
    return graph.with_data(data, without="semantic edges")


def without_times(graph: InterestGraph) -> InterestGraph:
    """Return a graph without the order of its interactions."""
    data = copy.copy(graph.data)
    for edge_type in data.edge_types:
        if edge_type[1] in {INTERACTS, REV_INTERACTS} and graph.order:
            del data[edge_type][graph.order]
    return with_interactions(graph, data, without="times")
