"""`interest replay`: judge adaptation on a log as it would have happened."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from typer import Argument, Context, Option

from eval.commands import options
from eval.commands.console import say


@options.with_tables
def replay(
    context: Context,
    tables: options.TableOptions,
    sources: Annotated[
        list[str],
        Argument(
            metavar="LOG...",
            help="Interactions with timestamps, as for `interest build`; with a model folder, "
            "those since its training.",
        ),
    ],
    out: options.Out,
    model: Annotated[
        str,
        Option(help="A model folder, or the name of a model that is trained on the first rows."),
    ] = "interest-gnn",
    protocol: Annotated[
        Literal["prequential"], Option(help="Predict a block, reveal it, adapt, and go on.")
    ] = "prequential",
    items: Annotated[
        list[str] | None, Option(help="Items of the log, for a model that is named.")
    ] = None,
    graph: Annotated[
        Path | None, Option(help="Graph of a model folder; default: where it was in training.")
    ] = None,
    encoder: Annotated[str, Option(help="Text encoder, for a model that is named.")] = "minilm",
    systems: Annotated[
        str, Option(help="Comma-separated: frozen, history, updated, retrained.")
    ] = "frozen,history,updated,retrained",
    warm_up: Annotated[
        float, Option(help="Share of the rows on which a named model is trained first.")
    ] = 0.5,
    blocks: Annotated[int, Option(help="Blocks with the same number of rows.")] = 10,
    days: Annotated[
        int | None, Option(help="Days of a block, instead of --blocks.", show_default=False)
    ] = None,
    retrain_every: Annotated[int, Option(help="Blocks between two full retrains.")] = 1,
    event: options.Event = None,
    positive: options.Positive = None,
    negative: options.Negative = None,
    set_: options.Set = None,
    seed: options.Seed = 0,
    overwrite: options.Overwrite = False,
) -> None:
    """Replay a log: frozen, with live histories, updated, and retrained models over time.

    Writes NDCG@20 by block with bootstrap intervals over users, CPU milliseconds an event, and
    memory: report.html, report.md, replay.json and blocks.csv.

    \b
    interest replay log.csv --model interest-gnn --out report/
    interest replay later.csv --model model/ --days 1 --retrain-every 7 --out report/
    interest replay log.csv --model ease --warm-up 0.8 --systems frozen,updated --out report/
    """
    from eval.experiments.replaying import replay as run
    from eval.reports.replay import replay_sections, replay_verdict
    from eval.reports.sections import section_markdown
    from gnn.registry import load_model, model_class
    from gnn.trained_on import graph_of
    from graphgen.log_files import read_log
    from graphgen.meaning import taken_in
    from graphgen.tables import read_items

    made_from = options.check_outputs(context, sources, items, graph, kind="report")
    given: dict[str, Any] = {"model": model, "settings": options.given_settings(None, set_)}
    rules: dict[str, Any] = {}
    if Path(model).is_dir():
        fitted = load_model(model)
        known = graph_of(fitted, graph)
        given, rules = {"model": fitted, "graph": known}, {"as_in": taken_in(known.provenance)}
    else:
        model_class(model)
    log = read_log(
        *sources, **options.meaning_options(event, positive, negative), **rules, **tables.read,
        progress=True,
    )  # fmt: skip
    table = read_items(*items, **tables.read) if items else None
    tables.check()
    found = run(
        log,
        **given,
        items=table,
        systems=options.names_in(systems),
        warm_up=warm_up,
        blocks=blocks,
        days=days,
        retrain_every=retrain_every,
        build={"encoder": encoder if items else "none"},
        seed=seed,
        progress=True,
    )
    found.save(out, overwrite=overwrite, made_from=made_from)
    say(replay_verdict(found.summary))
    for section in replay_sections(found.blocks, found.summary, found.meta):
        say(f"\n{section_markdown(section)}")
    say(f"\nThe report is in {out}; open {out / 'report.html'}.")
