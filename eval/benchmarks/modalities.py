"""What each modality of the items adds: the model with noise in its place, or other edges."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from eval.comparison.comparison import Comparison, compare_results
from eval.evaluation.evaluator import evaluate
from eval.evaluation.result import EvaluationResult
from gnn.registry import make_model
from graphgen.build import BuildConfig, build_graph
from graphgen.features.modalities import ROW
from graphgen.log import InteractionLog
from graphgen.schema import AUDIO, DOMAIN, IMAGE, TEXT, TITLE
from graphgen.tables import ItemTable

__all__ = ["ALL_MODALITIES", "measure_modalities", "with_noise"]

ALL_MODALITIES = "all modalities"
EDGES_OF_EACH = "edges of each modality"


def measure_modalities(
    train: InteractionLog,
    test: Any,
    items: ItemTable,
    *,
    config: BuildConfig,
    model: str = "interest-gnn",
    settings: Mapping[str, Any] | None = None,
    metrics: Sequence[str] = ("recall", "ndcg"),
    k: int = 20,
    seeds: Sequence[int] = (0,),
    bootstrap: int = 1000,
    on_run: Callable[[str, EvaluationResult], None] | None = None,
) -> Comparison:
    """Compare a model with all modalities to the same with noise in the place of each.

    The noise is the modality itself, shuffled among the items of a domain that have it: the same
    distribution and width, and no information. So a difference is what the modality says about the
    items, not what more features or more parameters do.

    Parameters
    ----------
    train, test, items
        Tables; the rows of `test` as `eval.evaluate` takes them.
    config
        How graphs are built; its `vectors` are modalities.
    model, settings
        Name of the model, and what differs from its defaults.
    metrics, k, bootstrap
        As in `eval.evaluate`.
    seeds
        Of the model and the shuffling; values of a user are means over them.
    on_run
        Called with name and result of each run.

    Returns
    -------
    Comparison
        Systems `ALL_MODALITIES` (the baseline), ``noise for NAME`` and, of several modalities,
        `EDGES_OF_EACH`, neighbours by each modality rather than by all together.
    """
    results: dict[str, list[EvaluationResult]] = {}
    for seed in seeds:
        variants = {ALL_MODALITIES: (items, config)}
        files = [name for name in (IMAGE, AUDIO) if config.media and name in items.frame]
        names = [TEXT, *config.vectors, *files]
        for name in names:
            variants[f"noise for {name}"] = with_noise(items, config, name, seed=seed)
        if len(names) > 1:
            variants[EDGES_OF_EACH] = items, config.replace(similar_by="each")
        for label, (table, built) in variants.items():
            graph = build_graph(train, table, config=built)
            fitted = make_model(model, **(settings or {})).fit(graph, seed=seed)
            found = evaluate(
                fitted, test, k=k, graph=graph, metrics=metrics, bootstrap=bootstrap, seed=0
            )
            results.setdefault(label, []).append(found)
            if on_run is not None:
                on_run(label, found)
    return compare_results(results, baseline=ALL_MODALITIES, bootstrap=bootstrap)


def with_noise(
    items: ItemTable, config: BuildConfig, modality: str, *, seed: int
) -> tuple[ItemTable, BuildConfig]:
    """Return the items with a modality shuffled among those of a domain that have it.

    Examples
    --------
    >>> import pandas as pd
    >>> items = ItemTable(pd.DataFrame({"item_id": ["a", "b", "c"], "text": ["x", "y", ""]}))
    >>> with_noise(items, BuildConfig(), "text", seed=3)[0].frame["text"].tolist()
    ['y', 'x', '']
    """
    frame = items.frame
    if modality in config.vectors:
        path, _, column = config.vectors[modality].partition("#")
        own = f"row of {modality}"
        frame[own] = frame[column or ROW]
        config = config.replace(vectors={**config.vectors, modality: f"{path}#{own}"})
        columns = [own]
    else:
        columns = [TITLE, TEXT] if modality == TEXT else [modality]
    generator = np.random.default_rng(seed)
    for rows in frame.groupby(DOMAIN).indices.values():
        has = rows[(frame[columns].to_numpy()[rows] != "").any(axis=1)]
        shuffled = frame[columns].to_numpy()[generator.permutation(has)]
        frame.loc[frame.index[has], columns] = shuffled
    return ItemTable(frame), config
