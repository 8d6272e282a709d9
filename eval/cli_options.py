"""Options that the judging commands share, and how they are read."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["CurvesOption", "MetricsOption", "chosen_metrics"]

CurvesOption = Annotated[
    bool,
    typer.Option(
        "--curves", help="Add ROC curves, roc-auc and pr-auc of models; takes as long again."
    ),
]
MetricsOption = Annotated[
    str | None,
    typer.Option(help="Comma-separated; default: all that can be had but roc-auc and pr-auc."),
]


def chosen_metrics(names: str | None, curves: bool) -> list[str] | None:
    """Return what --metrics and --curves ask for; None is the default."""
    from eval.metrics.registry import select_metrics

    chosen = [name.strip() for name in names.split(",") if name.strip()] if names else None
    if not curves:
        return chosen
    return [*(chosen or [m.name for m in select_metrics(None)]), "roc-auc", "pr-auc"]
