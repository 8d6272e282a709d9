"""`interest expand`: new interests for users."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Context, Option

from eval.commands import asking, options
from eval.commands.console import next_step, say, say_below


@options.with_tables
def expand(
    context: Context,
    tables: options.TableOptions,
    model: asking.ModelFolder,
    users: asking.Users = None,
    user: asking.User = None,
    out: options.OutTable = None,
    domain: Annotated[
        list[str] | None, Option(help="Domain to start in; repeatable; default: every domain.")
    ] = None,
    k: Annotated[int, Option("-k", help="Interests for each user.")] = 5,
    items: Annotated[int, Option(help="Items to start with, for each interest.")] = 5,
    boldness: Annotated[
        float,
        Option(
            help="0: the most probable interests; up to 1: of ever more probable ones (up to 5 "
            "times -k) those farthest from the user's interests. On amazon4, 0, 0.5 and 1 find "
            ".41, .13 and .07 of the held-out interests among five, .47, .66 and .75 away."
        ),
    ] = 0.0,
    by: Annotated[
        str, Option(help="blend, items, user-knn, item-knn, graph-filter, ease or popularity.")
    ] = "blend",
    history: asking.History = None,
    graph: Annotated[
        Path | None, Option(help="A graph whose topics are the interests; default: the model's.")
    ] = None,
    seed: options.Seed = 0,
) -> None:
    """Find interests that users do not have yet, with items to start with and the evidence.

    Of a user without a history, the most common interests.

    \b
    interest expand model/ --user ann -k 5
    interest expand model/ --user ann --domain music --boldness 0.5
    interest expand model/ --users users.txt -k 5 --out expansions.csv
    """
    from gnn.candidates import item_frame
    from gnn.interests.expansion import expand as find
    from gnn.interests.interests import Interests
    from graphgen.graph import load_graph
    from graphgen.storage import table_format, write_table

    if out is not None:
        table_format(out)
    fitted, requests, rows = asking.read_question(
        context, tables, model, users, user, history, graph, domain=domain
    )
    tables.check()
    found = find(
        fitted,
        requests,
        k=k,
        domain=domain or None,
        boldness=boldness,
        items=items,
        by=by,
        interests=Interests.of(fitted.data, load_graph(graph)) if graph else None,
        history=rows,
        seed=seed,
        progress=out is not None,
    )
    if out is None:
        for of, rows in found.groupby("user_id", sort=False):
            say(f"New interests for {of}")
            for row in rows.itertuples():
                frame = item_frame(fitted.data, row.domain).set_index("item_id")
                starts = frame.loc[row.item_ids.split("|")] if row.item_ids else frame[:0]
                titles = starts["title"].where(starts["title"] != "", starts.index)
                say(f"{row.rank:>3}.  {row.interest}, in {row.domain}")
                say_below(f"score {row.score:.2f}, distance {row.distance:.2f} (0 near, 1 far)")
                say_below(f"{row.because}. Start with:")
                say_below(" · ".join(titles))
        return
    write_table(found, out)
    say(f"{len(found):,} new interests for {found.user_id.nunique():,} users are in {out}.")
    next_step(f"interest evaluate {out} --truth test_interests.csv -k 5 --out report/")
