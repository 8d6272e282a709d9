"""`interest build`: from logs to a graph."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Context, Option

from eval.commands import options
from eval.commands.console import next_step, say
from eval.commands.describe import show_description


@options.with_tables
def build(
    context: Context,
    tables: options.TableOptions,
    sources: Annotated[
        list[str],
        Argument(
            metavar="LOG...",
            help="Files or folders of interactions: PATH, DOMAIN=PATH, or PATH#column=value to "
            "keep only some rows. CSV, TSV, .gz, .zst, Parquet, or LightGCN lists (.txt).",
        ),
    ],
    out: options.Out,
    items: Annotated[
        list[str] | None,
        Option(help="Items: item_id, domain, title, text, category (several: A|B)."),
    ] = None,
    users: Annotated[
        list[str] | None, Option(help="Users: user_id, group, profile and queries (texts).")
    ] = None,
    social: Annotated[
        list[str] | None, Option(help="Friendships between users: user_id, friend_id.")
    ] = None,
    relation: Annotated[
        list[str] | None,
        Option(
            metavar="COLUMN",
            help="Column of the items, such as author, whose values link items; repeatable.",
        ),
    ] = None,
    encoder: Annotated[
        str | None,
        Option(
            help="minilm (English), int8 and static (the same, faster), multilingual (16 "
            "languages), hashing, none, or a folder or hub name of a BERT model."
        ),
    ] = None,
    media: Annotated[
        Path | None,
        Option(help="Folder of the files in the columns image and audio of the items."),
    ] = None,
    vectors: Annotated[
        list[str] | None,
        Option(
            metavar="NAME=FILE.npy",
            help="Item vectors made elsewhere; the column row of the items says which row is an "
            "item's, or NAME=FILE.npy#COLUMN. Repeatable.",
        ),
    ] = None,
    topics: Annotated[
        int | None,
        Option(
            help="Number of topics to find in the texts, or in the likes where there are no texts; "
            "0 for none; the default grows with the number of texts or items. Categories are "
            "topics too: see category_items below.",
            show_default=False,
        ),
    ] = None,
    topics_from: Annotated[
        Path | None,
        Option(
            metavar="GRAPH",
            help="An earlier graph whose topics go on with their names; new items that fit none of "
            "them make new topics.",
        ),
    ] = None,
    update: Annotated[
        Path | None,
        Option(
            metavar="GRAPH",
            help="An earlier graph to which the interactions are added, by its rules and settings: "
            "the same as a build from all files. --items are new items; only their texts are "
            "encoded.",
        ),
    ] = None,
    quarantine: Annotated[
        Path | None, Option(help="File for the bad rows with --on-bad-rows quarantine.")
    ] = None,
    event: options.Event = None,
    positive: options.Positive = None,
    negative: options.Negative = None,
    separate_users: options.SeparateUsers = None,
    ordered: options.Ordered = False,
    k_core: Annotated[
        int, Option(help="Keep users and items with at least this many interactions.")
    ] = 0,
    clean: Annotated[
        list[str] | None,
        Option(
            help="Setting of a cleaning step, NAME=VALUE, as `interest clean --help` lists them; "
            "repeatable.",
            show_default=False,
        ),
    ] = None,
    cutoff: Annotated[
        str | None, Option(help="Leave out interactions at or after this ISO time.")
    ] = None,
    config: options.Config = None,
    set_: options.Set = None,
    overwrite: options.Overwrite = False,
) -> None:
    """Build an interest graph from interaction logs.

    \b
    interest build train.csv --items items.csv --out graph/
    interest build books=books.csv films=films.csv.gz --out graph/
    interest build "log.csv.gz#split=train" --positive "rating>=4" --out graph/
    interest build new.csv --items items.csv --topics-from graph/ --out new-graph/
    interest build plays.csv --items items.csv --vectors sound=vggish.npy --out graph/
    interest build --update graph/ new.csv --items items.csv --out new-graph/
    interest build music=plays.csv --event play=0.3 --event skip=negative --out graph/
    interest build log.csv --items items.csv --relation author --social friends.csv --out graph/
    interest build log.csv --set co_consumed_k=20 --set periods=month --out graph/
    """
    from graphgen.build import BuildConfig, build_graph
    from graphgen.cleaning.config import CleanConfig
    from graphgen.cleaning.pipeline import cleaner
    from graphgen.description import describe
    from graphgen.errors import ConfigError
    from graphgen.graph import load_graph
    from graphgen.log_files import read_log
    from graphgen.meaning import taken_in
    from graphgen.tables import read_friends, read_items, read_users
    from graphgen.updating import former_items, former_log, former_users

    made_from = options.check_outputs(
        context, sources, items, users, social, topics_from, update, config, vectors,
        kind="graph", files=[quarantine],
    )  # fmt: skip
    given = {
        "encoder": encoder, "topics": topics, "cutoff": cutoff, "relations": relation,
        "media": media, "vectors": options.named_paths(vectors, "--vectors") or None,
    }  # fmt: skip
    given = {name: value for name, value in given.items() if value is not None}
    given = {**options.given_settings(config, set_), **given}
    former = load_graph(update) if update is not None else None
    rules: dict[str, Any] = {}
    if former is not None:
        if k_core or clean:
            raise ConfigError(
                "--update excludes --k-core and --clean: build the graph from all files."
            )
        rules = {"as_in": taken_in(former.provenance), "earlier": former_log(former)}
        given = {**former.provenance.get("config", {}), **given}
    settings = BuildConfig.make(given)
    cleaning = CleanConfig.make(options.given_settings(None, clean))
    log = read_log(
        *sources,
        clean=cleaner(cleaning) if clean else None,
        quarantine=quarantine,
        **options.meaning_options(event, positive, negative, separate_users),
        ordered=ordered,
        k_core=k_core,
        progress=True,
        **rules,
        **tables.read,
    )
    options.say_meaning(log, always=True)
    for step in log.report.cleaning:
        say(f"{step['step']}: {step['rows']:,} rows left out, {step['changed']:,} changed")
    table = read_items(*items, **tables.read) if items else None
    separate = log.report.taken.separate
    user_table = read_users(*users, separate_users=separate, **tables.read) if users else None
    friends = read_friends(*social, **tables.read) if social else None
    tables.check()
    for read in (log, table, user_table, friends):
        for line in () if read is None else read.report.columns:
            say(line)
    if former is not None:
        table, user_table = former_items(former, table), former_users(former, user_table)
    graph = build_graph(
        log,
        table,
        user_table,
        friends=friends,
        config=settings,
        topics_from=topics_from,
        progress=True,
    )
    graph.save(out, overwrite=overwrite, made_from=made_from)
    show_description(describe(graph))
    say(f"\nThe graph is in {out}.")
    next_step(f"interest train {out} --out model/")
