"""A trained model and what came since: the model of the later graph, without training it anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gnn.base import Model
from gnn.data import TrainingData, check_requirements
from gnn.fitting import FitOptions
from gnn.growth import Growth
from gnn.live.drift import measure_drift, reference_of
from gnn.trained_on import trained_on
from graphgen.graph import InterestGraph, as_graph

__all__ = ["update_model"]


def update_model(
    model: Model, graph: InterestGraph | str | Path, *, seed: int = 0, progress: bool = False
) -> Model:
    """Return the model of a later graph, with the settings that the former one chose.

    `Model.updates` says what the result is: "exact", equal to a fit with the same settings but for
    rounding; "approximate", from a few steps of the former model; or "fitted again". The drift of
    the new likes from those of the last training is in ``provenance_["updates"]``, the latest one
    last; see `gnn.live.drift`.

    Parameters
    ----------
    model
        A fitted model; it stays as it is.
    graph
        The graph of the interactions it was trained on and of later ones, of
        `graphgen.updating.update_graph`, or its folder.
    seed
        Of what is random.
    progress
        Show progress bars.

    Raises
    ------
    ConfigError
        If the graph lacks users or items of the model, or what the model requires.

    Examples
    --------
    >>> import pandas as pd, graphgen, gnn
    >>> log = pd.DataFrame({"user_id": list("aabbc"), "item_id": list("xyxyx"), "domain": "book"})
    >>> graph = graphgen.build_graph(log, encoder="none")
    >>> model = gnn.make_model("ease", regularization=1).fit(graph)
    >>> new = pd.DataFrame({"user_id": ["d", "d"], "item_id": ["x", "z"], "domain": "book"})
    >>> updated = update_model(model, graphgen.update_graph(graph, new))
    >>> updated.recommend(["c"], k=2).item_id.tolist()
    ['y', 'z']
    """
    graph = as_graph(graph)
    data = TrainingData.from_graph(graph)
    check_requirements(model.name, model.requires, data)
    growth = Growth.of(model.data, data)
    updated = type(model)(model.config)
    updated.config = model.config.replace(**model.chosen_)
    updated._data = data
    updated._update(model, growth, seed=seed, options=FitOptions(progress=progress))
    updated._set_up()
    updated.config = model.config
    updated.chosen_ = model.chosen_ | updated._chosen()
    updated.validation_ = model.validation_
    known = {name: value for name, value in model.provenance_.items() if name != "graph_beside"}
    updated.provenance_ = {**known, "graph": graph.provenance, **trained_on(graph)}
    updated.provenance_ |= _with_drift(model, growth, seed)
    return updated


def _with_drift(model: Model, growth: Growth, seed: int) -> dict[str, Any]:
    """Return the reference of the last training, and the drift of all updates since."""
    reference = model.provenance_.get("reference") or reference_of(growth)
    found = measure_drift(model, growth, reference, seed=seed)
    if found["lists"]:
        reference = {"score": found["score"], **reference}
    return {"reference": reference, "updates": [*model.provenance_.get("updates", ()), found]}
