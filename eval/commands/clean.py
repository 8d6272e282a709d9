"""`interest clean`: a log without bots, repeats and the like, and a report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Context, Option

from eval.commands import options
from eval.commands.console import next_step, say, show_rows
from graphgen.errors import counted


@options.with_tables
def clean(
    context: Context,
    tables: options.TableOptions,
    sources: Annotated[
        list[str], Argument(metavar="LOG...", help="Interactions, as for `interest build`.")
    ],
    out: options.Out,
    ordered: options.Ordered = False,
    quarantine: Annotated[
        Path | None, Option(help="File for the bad rows with --on-bad-rows quarantine.")
    ] = None,
    config: options.Config = None,
    set_: options.Set = None,
    overwrite: options.Overwrite = False,
) -> None:
    """Clean a log in named steps, and report what left at which step and why.

    Without settings, only exact duplicates leave. --out gets log.csv, removed.csv (the rows that
    left, with the step), report.html and report.json. Ratings and events keep their columns: give
    their meaning to `interest build` or `split`. `interest build --clean` takes the same settings.

    \b
    interest clean log.csv --out clean/
    interest clean log.csv --set max_rate=300 --set min_user=5 --set min_item=5 --out clean/
    interest clean plays.csv --set repeats=count --set half_life=90 --out clean/
    interest clean ratings.csv --set since=2022-01-01 --set ratings=centered --out clean/
    """
    from graphgen.cleaning.config import CleanConfig
    from graphgen.cleaning.pipeline import clean_log
    from graphgen.log_files import read_log
    from graphgen.looking.cleaning_page import write_cleaned

    made_from = options.check_outputs(
        context, sources, config, kind="cleaned log", files=[quarantine]
    )
    settings = CleanConfig.make(options.given_settings(config, set_))
    log = read_log(
        *sources,
        quarantine=quarantine,
        ordered=ordered,
        deduplicate=False,
        progress=True,
        **tables.read,
    )
    tables.check()
    cleaned = clean_log(log, settings, progress=True)
    write_cleaned(cleaned, out, overwrite=overwrite, made_from=made_from)
    numbers = ("rows", "users", "items", "changed")
    rows = [[s["step"], *(f"{s[key]:,}" for key in numbers), s["note"]] for s in cleaned.steps]
    head = ["step", "rows left out", "users", "items", "rows changed", "why"]
    show_rows(head, rows, right=head[1:5])
    say(
        f"{counted(len(cleaned.before), 'row')} in, {len(cleaned.log):,} in {out / 'log.csv'}, "
        f"{len(cleaned.removed):,} in removed.csv; open {out / 'report.html'}."
    )
    next_step(f"interest build {out / 'log.csv'} --out graph/")
