"""`interest rules`: check a file of rules against a graph, and mine rules from one."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

from typer import Argument, Context, Option, Typer

from eval.commands import options
from eval.commands.console import next_step, say, show_rows
from graphgen.errors import counted

app = Typer(help="Check a file of rules, or mine rules from a graph.", no_args_is_help=True)

SHOWN = 20


@app.command("check")
def check_rules(
    file: Annotated[Path, Argument(help="Rule file, TOML.", show_default=False)],
    graph: Annotated[Path, Option(help="Graph that the rules are for.", show_default=False)],
) -> None:
    """Check a rule file against a graph, and show how its rules fare.

    Every problem is named with its line, and exits with code 2. The table has, for each rule, the
    users for whom it fires, the items it favours, the share of these users with such an item, and
    that share as a multiple of that of all users. Both shares are of users active in all domains
    that the rule names.

    \b
    interest rules check rules.toml --graph graph/
    interest train graph/ --model rules --set file=rules.toml --out model/
    """
    from gnn.data import TrainingData
    from gnn.rules.applying import RuleBook
    from gnn.rules.language import read_rules
    from graphgen.graph import load_graph

    text = read_rules(file)
    data = TrainingData.from_graph(load_graph(graph))
    book = RuleBook(text, data, str(file))
    rows = [
        [
            effect.rule.name,
            f"{effect.rule.weight:g}",
            str(effect.rule.priority),
            f"{effect.users:,}",
            f"{effect.items:,}",
            *("–" if math.isnan(x) else f"{x:.2f}" for x in (effect.confidence, effect.lift)),
        ]
        for effect in book.effects()
    ]
    columns = ["weight", "priority", "users", "items", "confidence", "lift"]
    show_rows(["rule", *columns], rows, right=columns)
    say(f"{file} is right: {counted(len(rows), 'rule')}.")
    silent = sum(row[3] == "0" for row in rows)
    if silent:
        say(f"{counted(silent, 'rule')} fires for nobody in the graph; see users = 0.")
    next_step(f"interest train {graph} --model rules --set file={file} --out model/")


@app.command("mine")
def mine(
    context: Context,
    graph: options.Graph,
    out: Annotated[
        Path, Option(help="Rule file (.toml), or all figures (.csv).", show_default=False)
    ],
    levels: Annotated[
        str | None,
        Option(
            help="Comma-separated: item, category, interest; default: category and interest, or "
            "item where these give no rule.",
            show_default=False,
        ),
    ] = None,
    per_pair: Annotated[int, Option(help="Rules of each level from a domain to a domain.")] = 20,
    fdr: Annotated[float, Option(help="False discovery rate (Benjamini-Hochberg).")] = 0.05,
    min_users: Annotated[
        int, Option(help="Least users of either side, active in both domains.")
    ] = 5,
    within: Annotated[bool, Option("--within", help="Also rules inside a domain.")] = False,
) -> None:
    """Mine rules across domains, significant ones first.

    Two items, categories or interests make a rule if users have both more often than chance gives:
    Fisher's exact test among the users active in both domains. The file is for reading and editing.

    \b
    interest rules mine graph/ --out rules.toml
    interest rules mine graph/ --levels item --per-pair 1000000 --out rules.csv
    """
    from gnn.data import TrainingData
    from gnn.rules.terms import LEVELS
    from gnn.rules.writing import mine_table, rules_file
    from graphgen.errors import ConfigError, near_miss
    from graphgen.graph import load_graph
    from graphgen.storage import atomic_file

    options.check_outputs(context, graph, suffixes=(".toml", ".csv"))
    chosen = options.names_in(levels)
    for level in chosen:
        if level not in LEVELS:
            hint = near_miss(level, LEVELS, f"there are {', '.join(LEVELS)}.")
            raise ConfigError(f"--levels has no {level!r}; {hint}")
    if not 0 < fdr <= 1 or per_pair < 1 or min_users < 1:
        raise ConfigError("--fdr is above 0 and at most 1, --per-pair and --min-users at least 1.")
    data = TrainingData.from_graph(load_graph(graph))
    table = mine_table(
        data, levels=chosen, per_pair=per_pair, fdr=fdr, min_users=min_users, within=within
    )
    with atomic_file(out) as temporary:
        if out.suffix == ".csv":
            table.to_csv(temporary, index=False)
        else:
            temporary.write_text(rules_file(table, data), encoding="utf-8")
    best = table.sort_values("p", kind="stable").head(SHOWN)
    rows = [
        [
            f"{row.source_domain}: {row.source}",
            f"{row.target_domain}: {row.target}",
            f"{row.together:,} of {row.n_source:,}",
            *(f"{x:.2f}" for x in (row.confidence, row.lift)),
            f"{row.q:.1g}",
        ]
        for row in best.itertuples()
    ]
    columns = ["users", "confidence", "lift", "q"]
    show_rows(["if", "then", *columns], rows, right=columns)
    say(f"{counted(len(table), 'rule')} in {out}, the most significant {len(rows)} above.")
    if out.suffix == ".toml":
        next_step(f"interest rules check {out} --graph {graph}")
