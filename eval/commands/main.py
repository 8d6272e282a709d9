"""The root of the command line."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from eval.commands.abtest import abtest, power
from eval.commands.bench import app as bench
from eval.commands.build import build
from eval.commands.clean import clean
from eval.commands.compare import compare
from eval.commands.console import Commands, run, say
from eval.commands.consume import consume
from eval.commands.demo import demo
from eval.commands.describe import describe
from eval.commands.doctor import doctor
from eval.commands.evaluate import evaluate
from eval.commands.expand import expand
from eval.commands.explain import explain
from eval.commands.explore import explore
from eval.commands.export import export
from eval.commands.importing import import_
from eval.commands.inspect import inspect
from eval.commands.models import models
from eval.commands.offpolicy import offpolicy
from eval.commands.profile import profile
from eval.commands.recommend import recommend
from eval.commands.replay import replay
from eval.commands.rules import app as rules
from eval.commands.serve import serve
from eval.commands.settings import (
    build_settings,
    clean_settings,
    models_settings,
    split_settings,
    with_settings,
)
from eval.commands.similar import similar
from eval.commands.simulate import simulate
from eval.commands.split import split
from eval.commands.synth import synth
from eval.commands.train import train
from eval.commands.update import update
from eval.commands.windows import windows

# In the order in which one uses them.
COMMANDS = (
    demo, doctor, synth, inspect, import_, clean, build, describe, explore, export, split, models,
    train, update, recommend, explain, similar, profile, expand, serve, consume, windows, evaluate,
    compare, replay, simulate, abtest, power, offpolicy,
)  # fmt: skip

app = typer.Typer(
    name="interest",
    cls=Commands,
    help="Cross-domain interest graphs with BERT features and graph neural networks.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
MODELS_TITLE = "Settings (`interest models NAME` explains them)"
HELP = {
    build: with_settings("Settings (--set NAME=VALUE, or --config)", build_settings),
    clean: with_settings("Settings (--set NAME=VALUE, or --config)", clean_settings),
    split: with_settings("Protocols and their options (--set NAME=VALUE)", split_settings),
    train: with_settings(MODELS_TITLE, models_settings),
    compare: with_settings(MODELS_TITLE, models_settings),
}
for command in COMMANDS:
    app.command(command.__name__.rstrip("_"), cls=HELP.get(command))(command)
app.add_typer(rules, name="rules")
app.add_typer(bench, name="bench")


def with_all_domains(arguments: Sequence[str]) -> list[str]:
    """Write the value ``all`` behind a --separate-users that has none.

    Examples
    --------
    >>> with_all_domains(["build", "--separate-users", "books=a.csv", "--out", "graph"])
    ['build', '--separate-users', 'all', 'books=a.csv', '--out', 'graph']
    """
    result: list[str] = []
    for argument, value in itertools.pairwise([*arguments, "-"]):
        result.append(argument)
        if argument != "--separate-users":
            continue
        # Not of other values: a long list is no file name, and asking for it is an error.
        if value.startswith("-") or "=" in value or Path(value).exists():
            result.append("all")
    return result


def main() -> None:
    """Run the console script ``interest``."""
    run(lambda: app(with_all_domains(sys.argv[1:])))


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", is_eager=True)
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Log progress.")] = False,
) -> None:
    """Build an interest graph, train on it, recommend across domains, and evaluate the result."""
    if verbose:
        import logging

        logging.getLogger().setLevel(logging.INFO)
    if version:
        from graphgen.storage import package_version

        say(package_version())
        raise typer.Exit()
