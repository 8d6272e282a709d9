"""`interest explain`: why an item is recommended to a user."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Context, Option

from eval.commands import options
from eval.commands.console import say, show_rows


@options.with_tables
def explain(
    context: Context,
    tables: options.TableOptions,
    model: Annotated[Path, Argument(help="A model folder.", show_default=False)],
    user: Annotated[str, Option("--user", help="Id of the user.", show_default=False)],
    item: Annotated[
        str, Option("--item", help="The item, DOMAIN=ID, an id or a title.", show_default=False)
    ],
    domain: Annotated[
        str | None, Option(help="Domain of the item; default: any.", show_default=False)
    ] = None,
    history: Annotated[
        list[str] | None,
        Option(help="Interactions since training, or of a user who arrived after it."),
    ] = None,
    graph: Annotated[
        Path | None,
        Option(
            help="Graph that the model was trained on, for the paths; default: where it was then.",
            show_default=False,
        ),
    ] = None,
    k: Annotated[int, Option("-k", help="Interactions, paths and interests to show.")] = 5,
    out: Annotated[
        Path | None, Option(help="JSON file for all of it; default: the terminal.")
    ] = None,
) -> None:
    """Say why an item is recommended: interactions, experts, paths, interests and words.

    The share of an interaction is the mean of what the score loses without it and what it gains
    with it alone; the shares sum to what the history adds to the score, and the rest is popularity.
    Shares of item-knn, graph-filter and ease are exact.

    \b
    interest explain model/ --user ann --item games=halo
    interest explain model/ --user ann --item "Halo 3" --domain games --out why.json
    interest explain model/ --user new --history their_log.csv --item games=halo
    """
    from gnn.explaining import Explainer
    from gnn.registry import load_model
    from gnn.requests import own_requests
    from gnn.trained_on import graph_of
    from graphgen.errors import ConfigError
    from graphgen.log_files import read_log
    from graphgen.meaning import taken_in
    from graphgen.storage import write_json

    options.check_outputs(context, model, history, graph, suffixes=(".json",))
    fitted = load_model(model)
    meaning = taken_in(fitted.provenance_.get("graph", {}))
    asked = own_requests({None: [user]}, meaning.get("separate", ()), [domain] if domain else None)
    rows = read_log(*history, **tables.read, as_in=meaning) if history else None
    tables.check()
    try:
        known = graph_of(fitted, graph)
    except ConfigError as error:
        if graph is not None:
            raise
        known = None
        say(f"Without paths: {error}")
    found = Explainer(fitted, known).explain(asked[None][0], item, domain, rows)
    if out is not None:
        write_json(out, found.to_dict(), schema_version=1)
        say(f"{found.sentence}\nAll of it is in {out}.")
        return
    say(f"{found.title} [{found.domain}]: rank {found.rank}, score {found.score:.4g}")
    say(found.sentence)
    for title, table, names in (
        ("Interactions", found.interactions, {"title": "interaction", "domain": "domain"}),
        ("Experts", found.experts, {"expert": "expert"}),
        ("Interests in common", found.interests, {"interest": "interest"}),
    ):
        numbers = [name for name in table if name.endswith("share")]
        cells = [
            [*(str(row[name]) for name in names), *(f"{row[name]:.1%}" for name in numbers)]
            for row in table.head(k).to_dict("records")
        ]
        header = [*names.values(), *(name.replace("_", " ") for name in numbers)]
        if cells:
            show_rows(header, cells, right=header[len(names) :], title=title)
    paths = [*zip(found.path_texts(), found.paths["share"], strict=True)][:k]
    if paths:
        show_rows(
            ["path", "share"], [[text, f"{share:.1%}"] for text, share in paths],
            right=["share"], title="Paths",
        )  # fmt: skip
