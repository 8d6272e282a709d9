"""`interest profile`: the interests of users, and how they move."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Context, Option

from eval.commands import asking, options
from eval.commands.console import say, say_below, show_rows

if TYPE_CHECKING:
    from eval.reports.sections import Section

PAGES = (".html", ".json")
FACTS = ("weight", "interactions", "trend", "seen")


@options.with_tables
def profile(
    context: Context,
    tables: options.TableOptions,
    model: asking.ModelFolder,
    users: Annotated[
        str | None,
        Option(help="A text file of ids, or a table with user_id; without users: all of training."),
    ] = None,
    user: asking.User = None,
    out: Annotated[
        Path | None,
        Option(
            help="CSV, TSV, Parquet or JSON file, or .html for a page on a single user; default: "
            "the terminal."
        ),
    ] = None,
    k: Annotated[int, Option("-k", help="Most interests of a user.")] = 10,
    history: asking.History = None,
    windows: Annotated[
        str | None,
        Option(
            help="Length of time windows, such as 90d or 8w: shows how interests moved, drift by a "
            "permutation test, and change points; a table then has rows for each window. Needs "
            "times."
        ),
    ] = None,
    graph: Annotated[
        Path | None, Option(help="Graph with the topics to use; default: those of the model.")
    ] = None,
    half_life: Annotated[
        float, Option(help="Days after which an interaction counts half; 0: all alike.")
    ] = 365.0,
    seed: options.Seed = 0,
) -> None:
    """Show the interests of users: named, weighted, dated, with the items that show them.

    Share is the expected share of the user's interactions, with a 90 % credible interval; weight
    is the logarithm of its odds over those of all users: 0 for a user who is like everybody. An
    interest is established from two interactions and 90 % probability of a share above that of all
    users. Interests that a user does not have yet are found by `interest expand`, at a boldness
    whose cost its help shows.

    \b
    interest profile model/ --user ann
    interest profile model/ --users users.txt --out profiles.csv
    interest profile model/ --users new.txt --history their_log.csv --out profiles.parquet
    interest profile model/ --user ann --windows 90d --out ann.html
    """
    from eval.reports.html import profile_page
    from eval.reports.sections import profile_sections
    from gnn.data import NO_TIMES
    from gnn.interests import Profiler, change_points, drift, evolution, sentence
    from gnn.interests.prediction import coming
    from graphgen.errors import ConfigError
    from graphgen.graph import load_graph
    from graphgen.storage import atomic_file, table_format, write_json, write_table

    kind = "" if out is None else out.suffix.lower()
    if out is not None and kind not in PAGES:
        table_format(out)
    single = kind in ("", ".html")
    if single and len(user or []) != 1:
        raise ConfigError("The terminal and a page are for one --user ID; name a table by --out.")
    fitted, asked, rows = asking.read_question(
        context, tables, model, users, user, history, graph, everybody=True
    )
    tables.check()
    profiler = Profiler(
        fitted, graph=load_graph(graph) if graph else None, half_life=half_life or None
    )
    found = profiler.users(asked, rows)
    table = profiler.table(found, k=k, titles=single)
    timed = found.users.times is not None
    if windows is not None and not timed:
        say(f"--windows is not used: {NO_TIMES}")
    timed = timed and bool(table["interactions"].any())
    moved = drift(profiler, found, seed=seed) if timed and (single or windows) else None
    moves = evolution(profiler, found, windows=windows) if timed and windows else None
    if out is None or kind == ".html":
        ordered = found.users.order is not None and table["interactions"].any()
        next_one = coming(profiler, found).iloc[0] if ordered else None
        text = sentence(table, None if moved is None else moved.iloc[0], next_one)
        drifts = moves is not None and moved is not None and bool(moved["drifts"].any())
        since = change_points(profiler, found)["since"].tolist() if drifts else []
        parts = profile_sections(table, moves, since)
        if out is not None:
            page = profile_page(f"User {found.ids[0]}", text, parts, moves)
            with atomic_file(out) as path:
                path.write_text(page, encoding="utf-8")
            text += f"\nThe page is {out}."
        say(text)
        if out is None:
            _show(*parts)
        return
    if moves is not None and moved is not None:
        table = moves.merge(moved[["user_id", "p_value", "drifts", "since"]], on="user_id")
    if kind == ".json":
        records = json.loads(table.to_json(orient="records", date_format="iso"))
        write_json(out, {"profiles": records}, schema_version=1)
    else:
        write_table(table, out)
    say(f"{len(table):,} rows on {table['user_id'].nunique():,} users are in {out}.")


def _show(interests: Section, *others: Section) -> None:
    """Print the tables on a user; each interest on lines of its own, which fit any terminal."""
    say(f"\n{interests.title}: share, name [90 % interval of the share]. {interests.text}")
    for row in interests.rows:
        (name, *_), (share, bounds), *more, (domains, *_), (items, *_) = row
        facts = [
            f"{title} {value}" for title, (value, *_) in zip(FACTS, more, strict=True) if value
        ]
        say(f"{share:>4}  {name} [{bounds}]")
        say_below(", ".join([*facts, f"in {domains}"]))
        say_below(items)
    for part in others:
        cells = [[cell[0] for cell in row] for row in part.rows]
        show_rows(part.header, cells, title=f"\n{part.title}. {part.text}")
