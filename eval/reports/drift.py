"""The report of a simulation with planted drift."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pandas as pd
from matplotlib.axes import Axes

from eval.evaluation.cells import Row
from eval.evaluation.result import records
from eval.reports.html import simulation_page
from eval.reports.plots import COLOURS, MARKERS, Plot, draw_axes, legend_above
from eval.reports.sections import Section, section_markdown
from eval.reports.writing import write_blocks

__all__ = ["simulation_sections", "simulation_sentence", "write_simulation"]

VERSION: Final = 1


def simulation_sentence(summary: pd.DataFrame) -> str:
    """Return in words how fast the systems recover."""
    said = []
    for row in summary.itertuples():
        when = "does not recover"
        if row.recovery_days == row.recovery_days:
            when = f"recovers within {row.recovery_days:.0f} days ({row.interactions:.0f} "
            when += "interactions of a user)"
        said.append(f"{row.system} {when}")
    return f"90 % of the quality before the drift: {'; '.join(said)}."


def simulation_sections(summary: pd.DataFrame) -> list[Section]:
    """Return the table of the systems."""
    header = ["system", "before", "lowest", "mean after", "recovery (days)", "interactions",
              "regret", "CPU s"]  # fmt: skip
    rows: list[Row] = []
    for row in summary.itertuples():
        never = row.recovery_days != row.recovery_days
        rows.append(
            [
                (row.system, "", ""), *((f"{v:.1%}", "", "") for v in
                (row.before, row.lowest, row.after)),
                ("never" if never else f"{row.recovery_days:.0f}", "", ""),
                ("–" if never else f"{row.interactions:.0f}", "", ""),
                (f"{row.regret:.0f}", f"[{row.regret_low:.0f}, {row.regret_high:.0f}]", ""),
                (f"{row.cpu_seconds:.1f}", "", ""),
            ]
        )  # fmt: skip
    text = "Quality is NDCG@20 as a share of that of lists by the planted probabilities; regret is "
    text += "the NDCG@20 lost to them over all lists after the drift began."
    return [Section("Systems", text, header, rows)]


def simulation_plot(blocks: pd.DataFrame) -> Plot:
    """Draw NDCG@20 of each system around the drift."""

    def paint(axes: Axes) -> None:
        axes.axvline(0, linewidth=1, linestyle=":", color=COLOURS[0], alpha=0.6)
        for series, (name, part) in enumerate(blocks.groupby("system", sort=False)):
            colour = COLOURS[series % len(COLOURS)]
            axes.plot(
                part["day"], part["ndcg@20"], color=colour, marker=MARKERS[series], markersize=3,
                linewidth=1.2, label=str(name),
            )  # fmt: skip
            axes.fill_between(part["day"], part["low"], part["high"], color=colour, alpha=0.12)
        axes.set(xlabel="days since the drift began", ylabel="NDCG@20")
        axes.set_ylim(bottom=0)
        legend_above(axes, blocks["system"].nunique())

    text = "Lists made before each block, judged by its interactions; 95 % intervals over users."
    return Plot("NDCG@20 around the drift", text, draw_axes(3.6, paint, "drift"))


def write_simulation(
    blocks: pd.DataFrame,
    summary: pd.DataFrame,
    meta: Mapping[str, Any],
    path: str | Path,
    *,
    overwrite: bool = False,
    made_from: str = "",
) -> Path:
    """Write ``report.html``, ``report.md``, ``simulation.json`` and ``blocks.csv``.

    The tables are those of `eval.experiments.drift_simulation.DriftSimulation`; for the other
    parameters see `graphgen.storage.atomic_directory`.
    """
    sections, sentence = simulation_sections(summary), simulation_sentence(summary)
    title = f"{str(meta['kind']).capitalize()} drift"
    facts = {name: f"{meta[name]:,}" for name in ("users", "lists", "rows")}
    page = simulation_page(title, sentence, {"model": meta["model"], **facts}, sections,
                           simulation_plot(blocks))  # fmt: skip
    content = {"summary": records(summary), "blocks": records(blocks), "meta": dict(meta)}
    markdown = "\n\n".join([f"# {title}", sentence, *map(section_markdown, sections)])
    return write_blocks(
        blocks, content, page, markdown + "\n", path, name="simulation.json", version=VERSION,
        overwrite=overwrite, made_from=made_from,
    )  # fmt: skip
