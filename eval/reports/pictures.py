"""Single pictures for notebooks: a metric with intervals, and a learning curve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from eval.comparison.comparison import Comparison
from eval.evaluation.cells import MIN_USERS, column_title, slice_users
from eval.evaluation.inputs import ALL
from eval.evaluation.result import DOMAIN, MACRO, SLICE, EvaluationResult, headline
from eval.reports.plots import COLOURS, Plot, dots_or_bars, draw_axes, legend_above, pick
from graphgen.errors import ConfigError

__all__ = ["draw", "learning_curve"]


def draw(
    found: Comparison | EvaluationResult,
    metric: str | None = None,
    *,
    by: Literal["domain", "slice"] = "domain",
) -> Plot:
    """Draw a metric with its intervals, of one system or of several.

    Parameters
    ----------
    found
        Of `compare_results` or `evaluate`.
    metric
        A column such as ``ndcg@20``; default the first headline metric.
    by
        ``domain``: all users, by domain. ``slice``: macro over domains, by group of at least 30
        users, such as cold against warm.

    Raises
    ------
    ConfigError
        If there is no such metric.
    """
    metric = metric or headline(found.metrics, ("ndcg", "recall", "auc"))[0]
    if metric not in found.metrics:
        raise ConfigError(f"There is no metric {metric!r}; there are {', '.join(found.metrics)}.")
    if isinstance(found, Comparison):
        table = found.table
        tables = {name: table[table["system"] == name] for name in found.systems}
    else:
        tables = {found.name: found.summary}
    text = "Means over users, with 95 % bootstrap intervals."
    title = f"{column_title(metric)} by {by}"
    if by == "slice":
        sizes = slice_users(next(iter(tables.values())))
        names = [name for name, users in sizes.items() if name == ALL or users >= MIN_USERS]
        picture = dots_or_bars(pick(tables, metric, DOMAIN, MACRO), names, SLICE, metric)
        return Plot(title, f"{text} Macro over domains.", picture)
    rows = [MACRO, *found.domains] if len(found.domains) > 1 else found.domains
    return Plot(title, text, dots_or_bars(pick(tables, metric, SLICE, ALL), rows, DOMAIN, metric))


def learning_curve(history: Sequence[Mapping[str, float]]) -> Plot:
    """Draw the loss of a training, and the quality on validation rows where it was measured.

    Parameters
    ----------
    history
        ``history_`` of a model: step or epoch, loss and, with validation, metric.

    Raises
    ------
    ConfigError
        If nothing was trained step by step.
    """
    if not history:
        raise ConfigError("This model was not trained step by step; it has no learning curve.")
    unit = next(name for name in history[0] if name not in ("loss", "metric"))
    measured = [entry for entry in history if "metric" in entry]

    def paint(axes: Axes) -> None:
        places = [entry[unit] for entry in history]
        losses = [entry["loss"] for entry in history]
        axes.plot(places, losses, color=COLOURS[0], label="training loss")
        axes.set(xlabel=unit, ylabel="training loss")
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        if not measured:
            return
        other = axes.twinx()
        values = [entry["metric"] for entry in measured]
        other.plot(
            [entry[unit] for entry in measured],
            values,
            "o",
            ls="--",
            color=COLOURS[1],
            markersize=4,
        )
        other.set_ylabel("NDCG@20, validation")
        axes.plot([], [], "o", ls="--", color=COLOURS[1], markersize=4, label="NDCG@20, validation")
        legend_above(axes, 2)

    text = f"Loss of each {unit}" + (", and NDCG@20 on validation rows." if measured else ".")
    return Plot("Learning curve", text, draw_axes(3.0, paint, "learning curve"))
