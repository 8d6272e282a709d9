"""`interest recommend`: lists for users."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Context, Option

from eval.commands import asking, options
from eval.commands.console import next_step, say, say_below, show_table

if TYPE_CHECKING:
    from gnn.base import Model
    from gnn.recommending import Chooser
    from graphgen.log import InteractionLog


@options.with_tables
def recommend(
    context: Context,
    tables: options.TableOptions,
    model: asking.ModelFolder,
    users: Annotated[
        str | None,
        Option(
            help="A text file of ids, or a CSV or Parquet file with user_id and, optionally, the "
            "target domain of each user."
        ),
    ] = None,
    user: asking.User = None,
    out: options.OutTable = None,
    domain: Annotated[
        list[str] | None, Option(help="Target domain; repeatable; default: every domain.")
    ] = None,
    mix: Annotated[
        bool,
        Option(
            "--mix",
            help="One list over the domains; scores are relative within a domain: 1 for the user's "
            "best candidate there, 0 for the user's mean score.",
        ),
    ] = False,
    only: Annotated[
        str | None, Option(help="Recommend only these items: ids, one a line, or a table.")
    ] = None,
    without: Annotated[
        str | None, Option(help="Never recommend these items: ids, one a line, or a table.")
    ] = None,
    where: Annotated[
        str | None,
        Option(
            help="Condition on item columns, such as 'available=yes and price<20' (and, or, not, "
            "parentheses, = != < <= > >=, in (a, b), 'quoted text')."
        ),
    ] = None,
    titles: Annotated[bool, Option("--titles", help="Add a column of titles.")] = False,
    reasons: Annotated[
        bool,
        Option(
            "--reasons",
            help="Add reasons: a column reason, the model or the kind of fallback, and a column "
            "because, a sentence; in the terminal a line below each item.",
        ),
    ] = False,
    k: Annotated[int, Option("-k", help="Items in each list.")] = 20,
    history: asking.History = None,
    favour_new: Annotated[
        float | None,
        Option(
            help="Rank new items higher: maximum relative NDCG loss on warm items, for the "
            "worst-off user group, accepted for it (0.2 = 20 %)."
        ),
    ] = None,
    include_seen: Annotated[
        bool, Option("--include-seen", help="Include items already interacted with.")
    ] = False,
    rerank: Annotated[
        str | None,
        Option(
            metavar="METHOD",
            help="Choose the list out of 200 candidates: mmr or dpp (unlike items), calibrated "
            "(interests in the shares that they have in the user's history), quota (bounds on "
            "each interest, and with --mix on each domain), epsilon (places for random "
            "candidates), thompson (interests drawn at random, the user's own more often). "
            "Default: the order by score.",
            show_default=False,
        ),
    ] = None,
    strength: Annotated[
        float | None,
        Option(
            help="Strength of --rerank, 0 to 1: 0 keeps the order by score. Default: a strength "
            "that keeps at least 98 % of NDCG@20 on validation rows.",
            show_default=False,
        ),
    ] = None,
    graph: Annotated[
        Path | None,
        Option(
            help="Graph that gives --rerank text vectors and interests; default: vectors and "
            "interests of the model.",
            show_default=False,
        ),
    ] = None,
    explore: Annotated[
        str | None,
        Option(
            metavar="METHOD[=SHARE]",
            help="Give a share of the places (default 0.1) to random candidates, and log the "
            "probability of each shown item (column propensity): epsilon (the others by score), "
            "thompson (by a draw of the expected reward) or linucb (by its upper bound). "
            "`interest offpolicy` and `interest abtest` read --out as it is. The seed is drawn "
            "anew unless --seed is given.",
            show_default=False,
        ),
    ] = None,
    learn_from: Annotated[
        list[str] | None,
        Option(
            help="Earlier lists of --explore, and the events that followed, from which thompson "
            "and linucb learn the expected rewards; repeatable."
        ),
    ] = None,
    variant: Annotated[
        str | None,
        Option(help="Name of these lists in the log of --explore; default: METHOD[=SHARE]."),
    ] = None,
    seed: options.Seed = 0,
) -> None:
    """Recommend items to users, known or new.

    \b
    interest recommend model/ --users users.txt --domain games -k 20 --out recs.csv
    interest recommend model/ --user ann --domain books --domain films --mix
    interest recommend model/ --user ann --domain books --reasons
    interest recommend model/ --users users.txt --where "available=yes and price<20" --out recs.csv
    interest recommend model/ --users new.txt --history their_log.csv --out recs.csv
    interest recommend model/ --users users.txt --rerank calibrated --strength 0.3 --out recs.csv
    interest recommend model/ --users users.txt --explore thompson=0.1 --out shown.csv
    """
    from gnn.candidates import read_ids
    from graphgen.errors import ConfigError
    from graphgen.storage import table_format, write_table

    if out is not None:
        table_format(out)
    if rerank is None and (strength is not None or graph is not None):
        raise ConfigError("--strength and --graph are for --rerank METHOD, which is missing.")
    if explore is None and (learn_from is not None or variant is not None):
        raise ConfigError("--learn-from and --variant are for --explore METHOD, which is missing.")
    if explore is not None and (rerank is not None or mix):
        raise ConfigError(
            "--explore makes lists by score of one domain each: leave out --rerank and --mix."
        )
    fitted, requests, rows = asking.read_question(
        context, tables, model, users, user, history, only, without, graph, *learn_from or (),
        domain=domain,
    )  # fmt: skip
    if favour_new is not None:
        from gnn.models.interest.model import InterestGNN

        if not isinstance(fitted, InterestGNN):
            raise ConfigError(f"--favour-new is for interest-gnn; this is a {fitted.name} model.")
        fitted.favour_new(favour_new)
    chooser: Chooser | None = None
    if explore is not None:
        chooser, seed = _explorer(context, tables, fitted, explore, learn_from, rows, seed)
    if rerank is not None:
        from gnn.interests.reranking import Reranker
        from graphgen.graph import load_graph

        of = None if graph is None else load_graph(graph)
        chooser = Reranker.of(fitted, rerank, strength, graph=of, seed=seed)
    listed = [read_ids(ids, **tables.read) if ids else None for ids in (only, without)]
    tables.check()
    recs = fitted.recommend(
        requests,
        domain=domain or None,
        k=k,
        exclude_seen=not include_seen,
        only=listed[0],
        without=listed[1],
        where=where,
        mix=mix,
        titles=titles or out is None,
        reasons=reasons,
        history=rows,
        rerank=chooser,
        seed=seed,
        progress=True,
    )
    if explore is not None:
        import pandas as pd

        from graphgen.rewards import as_exposures

        recs = as_exposures(recs, variant or explore, pd.Timestamp.now("UTC").floor("s"))
    if reasons:
        from gnn.explaining import Explainer

        if fitted.inductive:
            recs = recs.assign(because=Explainer(fitted).reasons(recs, rows))
        else:
            say(f"No sentences: {fitted.name} does not score users by their history.")
    if out is None and "because" in recs:
        for of, lists in recs.groupby("user_id", sort=False):
            say(f"For {of}")
            for row in lists.itertuples():
                name = row.title or row.item_id
                say(f"{row.rank:>3}.  {name} [{row.domain}], score {row.score:.4g}")
                say_below(row.because)
        return
    if out is None:
        for (of, *_), lists in recs.groupby(["user_id"], sort=False):
            show_table(lists.drop(columns="user_id"), title=f"For {of}")
        return
    write_table(recs, out)
    say(f"{len(recs):,} recommendations for {recs.user_id.nunique():,} users are in {out}.")
    if explore is not None:
        next_step(f"interest offpolicy {out} events.csv --model {model} --policy greedy")
    elif not mix:
        next_step(f"interest evaluate {out} --truth test.csv --out report/")


def _explorer(
    context: Context,
    tables: options.TableOptions,
    model: Model,
    explore: str,
    learn_from: list[str] | None,
    history: InteractionLog | None,
    seed: int,
) -> tuple[Chooser, int]:
    """Return what chooses the lists, and its seed: a new one unless the user gave it."""
    import secrets

    from eval.offpolicy.log import read_shown
    from gnn.live.exploration import Explorer
    from gnn.live.exposures import with_states
    from gnn.live.feedback import REWARDS

    given = context.get_parameter_source("seed")
    if given is not None and given.name == "DEFAULT":
        seed = secrets.randbelow(1 << 31)
    explorer = Explorer.of(model, explore, seed=seed)
    if learn_from:
        shown, _ = read_shown(*with_states(learn_from), rewards=REWARDS, **tables.read)
        explorer.learn(shown, history)
    return explorer, seed
