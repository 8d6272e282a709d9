"""`interest simulate`: planted drift, and ways to adapt to it."""

from __future__ import annotations

from typing import Annotated

from typer import Context, Option

from eval.commands import options
from eval.commands.console import say


def simulate(
    context: Context,
    out: options.Out,
    drift: Annotated[
        str, Option(help="sudden, gradual, or recurring (old and new interests take turns).")
    ] = "sudden",
    model: Annotated[
        str, Option(help="Model that adapts by the histories of users; see `interest models`.")
    ] = "item-knn",
    users: Annotated[int, Option(help="Number of users.")] = 500,
    seed: options.Seed = 0,
    overwrite: options.Overwrite = False,
) -> None:
    """Simulate drifting interests: time to recover and regret, with and without adapting.

    \b
    interest simulate --drift sudden --out report/
    interest simulate --drift recurring --model ease --users 1000 --out report/
    """
    from eval.experiments.drift_simulation import simulate_drift
    from eval.reports.drift import simulation_sections, simulation_sentence
    from eval.reports.sections import section_markdown

    made_from = options.check_outputs(context, kind="report")
    found = simulate_drift(drift, model=model, n_users=users, seed=seed, progress=True)
    say(section_markdown(simulation_sections(found.summary)[0]))
    say(simulation_sentence(found.summary))
    found.save(out, overwrite=overwrite, made_from=made_from)
    say(f"The report is in {out}: report.html, report.md, simulation.json, blocks.csv.")
