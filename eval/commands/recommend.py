"""`interest recommend`: lists for users."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from eval.commands.console import next_step, say
from eval.commands.options import (
    ColumnOption,
    OutOption,
    SeedOption,
    check_outputs,
    parse_columns,
)

__all__ = ["recommend"]


def recommend(
    model: Annotated[Path, typer.Argument(help="A model folder.", show_default=False)],
    out: OutOption,
    users: Annotated[
        str | None,
        typer.Option(
            help="A text file of ids, or a CSV or Parquet file with user_id and, optionally, the "
            "target domain of each user."
        ),
    ] = None,
    user: Annotated[list[str] | None, typer.Option("--user", help="An id; repeatable.")] = None,
    domain: Annotated[
        str | None, typer.Option(help="Target domain; default: every domain.")
    ] = None,
    k: Annotated[int, typer.Option("-k", help="Items in each list.")] = 20,
    history: Annotated[
        list[str] | None,
        typer.Option(
            "--history", help="Interactions since training, or of users who arrived after it."
        ),
    ] = None,
    favour_new: Annotated[
        float | None,
        typer.Option(
            "--favour-new",
            help="Rank new items higher: maximum relative NDCG loss on warm items, for the "
            "worst-off user group, accepted for it (0.2 = 20 %).",
        ),
    ] = None,
    include_seen: Annotated[
        bool, typer.Option("--include-seen", help="Include items already interacted with.")
    ] = False,
    column: ColumnOption = None,
    seed: SeedOption = 0,
) -> None:
    """Recommend items to users, known or new.

    \b
    interest recommend model/ --users users.txt --domain games -k 20 --out recs.csv
    interest recommend model/ --user ann --user bob --out recs.parquet
    interest recommend model/ --users new.txt --history their_log.csv --out recs.csv
    """
    from gnn.registry import load_model
    from gnn.requests import answer, read_requests, recommendation_format, write_recommendations
    from graphgen.errors import ConfigError
    from graphgen.log import read_log
    from graphgen.meaning import taken_in

    recommendation_format(out)
    check_outputs(out, inputs=[model, users, history])
    if (users is None) == (not user):
        raise ConfigError("Give either --users FILE or --user ID (repeatable).")
    fitted = load_model(model)
    if favour_new is not None:
        from gnn.models.interest.model import InterestGNN

        if not isinstance(fitted, InterestGNN):
            raise ConfigError(f"--favour-new is for interest-gnn; this is a {fitted.name} model.")
        fitted.favour_new(favour_new)
    requests = read_requests(users, user or [], columns=parse_columns(column))
    recs = answer(
        fitted,
        requests,
        domain=domain,
        k=k,
        exclude_seen=not include_seen,
        history=read_log(
            *history,
            columns=parse_columns(column),
            as_in=taken_in(fitted.provenance_.get("graph", {})),
        )
        if history
        else None,
        seed=seed,
        progress=True,
    )
    write_recommendations(recs, out)
    say(f"{len(recs):,} recommendations for {recs.user_id.nunique():,} users are in {out}.")
    next_step(f"interest evaluate {out} --truth test.csv --out report/")
