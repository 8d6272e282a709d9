"""`interest bench clean`: the effect of each cleaning step on held-out rows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Context, Option

from eval.commands import options
from eval.commands.console import say


@options.with_tables
def bench_clean(
    context: Context,
    tables: options.TableOptions,
    train: Annotated[list[str], Option(help="Training rows; repeatable.", show_default=False)],
    valid: Annotated[list[str], Option(help="Validation rows; repeatable.", show_default=False)],
    models: Annotated[str, Option(help="Comma-separated.")] = "item-knn,interest-gnn",
    step: Annotated[
        list[str] | None,
        Option(
            help="Settings of `interest clean` to try, NAME=VALUE,NAME=VALUE; repeatable; default: "
            "each step that the log allows, with limits that 1 % of the users exceed.",
            show_default=False,
        ),
    ] = None,
    k: Annotated[int, Option("-k", help="Length of the lists.")] = 20,
    seeds: Annotated[str, Option(help="Comma-separated.")] = "0",
    set_: options.ModelSet = None,
    out: Annotated[Path | None, Option(help="Also write the table as CSV.")] = None,
) -> None:
    """Fit models on a log cleaned by one step at a time, and compare Recall on the same rows.

    \b
    interest split log.csv --protocol leave-last-out --out split/
    interest bench clean --train split/train.csv --valid split/valid.csv
    interest bench clean --train split/train.csv --valid split/valid.csv --models item-knn \\
        --step min_user=5,min_item=5 --step ratings=centered
    """
    from eval.benchmarks.cleaning import measure_cleaning
    from eval.commands.console import show_rows
    from graphgen.config import parse_assignments
    from graphgen.log_files import read_log
    from graphgen.progress import show_progress
    from graphgen.storage import write_table

    options.check_outputs(context, train, valid, suffixes=(".csv",))
    names = options.names_in(models)
    log = read_log(*train, deduplicate=False, progress=True, **tables.read)
    rows = read_log(*valid, as_in=log.report.taken, **tables.read)
    tables.check()
    chosen = {text: parse_assignments(options.names_in(text)) for text in step or []}
    with show_progress():
        table = measure_cleaning(
            log,
            rows,
            names,
            steps=chosen or None,
            settings=options.model_settings(None, set_, names),
            k=k,
            seeds=options.seed_numbers(seeds) or [0],
            on_run=lambda step, model, value: say(f"{step}: {model} {value:.4f}"),
        )
    lines = [
        [
            row.step, f"{row.rows_left_out:,}", row.model, f"{row.value:.4f}",
            "" if row.low != row.low else
            f"{row.difference:+.4f} [{row.low:+.4f}, {row.high:+.4f}]" + "*" * row.significant,
        ]
        for row in table.itertuples()
    ]  # fmt: skip
    head = ["step", "rows left out", "model", f"recall@{k}", "difference"]
    show_rows(head, lines, right=head[1:2] + head[3:])
    say("* significantly different from the log as given.")
    if out is not None:
        write_table(table, out)
