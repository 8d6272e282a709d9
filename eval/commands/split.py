"""`interest split`: train, valid and test from a log."""

from __future__ import annotations

from typing import Annotated, Literal

from typer import Argument, Context, Option

from eval.commands import options
from eval.commands.console import next_step, say


@options.with_tables
def split(
    context: Context,
    tables: options.TableOptions,
    sources: Annotated[
        list[str], Argument(metavar="LOG...", help="Interactions, as for `interest build`.")
    ],
    protocol: Annotated[
        str,
        Option(
            help="random, leave-last-out, temporal, cold-user, cold-item, k-fold or new-interest."
        ),
    ],
    out: options.Out,
    event: options.Event = None,
    positive: options.Positive = None,
    negative: options.Negative = None,
    separate_users: options.SeparateUsers = None,
    ordered: options.Ordered = False,
    drop_twins: Annotated[
        bool, Option("--drop-twins", help="Remove one of two ids of the same product.")
    ] = False,
    merge_twins: Annotated[
        bool, Option("--merge-twins", help="Join two ids of the same product.")
    ] = False,
    share: Annotated[
        int | None,
        Option(
            help="cold-user: percent of the overlap users to test on; they lose their history in "
            "the target domain. EMCDR and PTUPCDR are compared at 20, 50 and 80. A tenth of the "
            "others is held out for validation."
        ),
    ] = None,
    graph: Annotated[
        str | None,
        Option(help="new-interest: a graph with the topics of the items, which are the interests."),
    ] = None,
    option: Annotated[
        list[str] | None,
        Option("--set", help="Option of the protocol, NAME=VALUE; see below; repeatable."),
    ] = None,
    seed: options.Seed = 0,
    overwrite: options.Overwrite = False,
) -> None:
    """Split a log into train, valid and test, with a card of the checks.

    \b
    interest split log.csv --protocol temporal --out split/
    interest split log.csv --protocol cold-user --share 50 --drop-twins --out split/
    interest split log.csv --protocol cold-user --share 20 --set target=films --out split/
    interest split log.csv --protocol new-interest --graph graph/ --out split/
    """
    from eval.splits.data_card import write_split
    from eval.splits.protocols import make_split
    from graphgen.errors import ConfigError
    from graphgen.log_files import read_log

    made_from = options.check_outputs(context, sources, graph, kind="split")
    if drop_twins and merge_twins:
        raise ConfigError("Give either --drop-twins or --merge-twins.")
    twins: Literal["keep", "drop", "merge"] = (
        "drop" if drop_twins else "merge" if merge_twins else "keep"
    )
    settings = options.given_settings(None, option)
    if share is not None:
        if protocol != "cold-user" or "test" in settings:
            raise ConfigError("--share is for --protocol cold-user, instead of --set test=….")
        settings["test"] = share / 100
    if graph is not None:
        settings["graph"] = graph
    meaning = options.meaning_options(event, positive, negative, separate_users)
    log = read_log(*sources, **tables.read, **meaning, ordered=ordered, progress=True)
    tables.check()
    options.say_meaning(log)
    parts = make_split(log, protocol, twins=twins, seed=seed, **settings)
    write_split(parts, out, overwrite=overwrite, made_from=made_from)
    for card in sorted(out.rglob("card.txt")):
        say(card.read_text(encoding="utf-8"))
    first = out if len(parts) == 1 else out / "fold-1"
    next_step(
        f"interest compare --train {first}/train.csv --valid {first}/valid.csv "
        f"--test {first}/test.csv --out report/"
    )
