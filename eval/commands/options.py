"""Options that several commands share, and their parsers."""

from __future__ import annotations

import functools
import inspect
import itertools
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_type_hints

from typer import Argument, Context, Option

from graphgen.errors import ConfigError, StorageError

if TYPE_CHECKING:
    from graphgen.reading.columns import ColumnMap

Graph = Annotated[Path, Argument(help="A graph folder.", show_default=False)]
Out = Annotated[Path, Option(help="Folder or file to write.", show_default=False)]
OutTable = Annotated[
    Path | None, Option(help="CSV, TSV or Parquet file; default: a table in the terminal.")
]
Overwrite = Annotated[
    bool,
    Option(
        "--overwrite",
        help="Replace an earlier output of the same kind that has other inputs or settings, which "
        "is otherwise renamed to OUT.1.",
    ),
]
Port = Annotated[int, Option(help="Port; 0 for any that is free.", min=0, max=65535)]
Host = Annotated[str, Option(help="Address; one that other machines reach needs --token-file.")]
TokenFile = Annotated[Path | None, Option(help="File with the token that requests must bring.")]
Workers = Annotated[
    int, Option(help="Processes that answer; they share the memory of the model.", min=1)
]
ShowIds = Annotated[bool, Option("--show-ids", help="Show user ids; default: their hashes.")]
Seed = Annotated[int, Option(help="Random seed; the same seed gives the same result.")]
Config = Annotated[Path | None, Option(help="TOML file of settings.", show_default=False)]
Set = Annotated[
    list[str] | None, Option("--set", help="A setting, NAME=VALUE; repeatable.", show_default=False)
]
ModelSet = Annotated[
    list[str] | None, Option("--set", help="A model's setting, MODEL.NAME=VALUE; repeatable.")
]
Event = Annotated[
    list[str] | None,
    Option(
        "--event",
        help="Meaning of an event, NAME=WEIGHT, NAME=negative, NAME=seen or NAME=drop, such as "
        "play=0.3; repeatable. All others are likes of weight 1.",
        show_default=False,
    ),
]
Positive = Annotated[
    list[str] | None,
    Option(
        "--positive",
        help="Condition of a like, such as 'rating>=4' or 'books:rating>=4'; rows with the column "
        "that do not fulfil it were seen. Default: ratings from 4 of 5 on. Repeatable.",
        show_default=False,
    ),
]
Negative = Annotated[
    list[str] | None,
    Option(
        "--negative",
        help="Condition of a dislike, such as 'rating<=2'; repeatable.",
        show_default=False,
    ),
]
SeparateUsers = Annotated[
    str | None,
    Option(
        "--separate-users",
        help="Customer numbers of these domains (comma-separated; none for all) are their own: 7 "
        "in books and 7 in films are two users, books:7 and films:7.",
        metavar="[DOMAINS]",
        show_default=False,
    ),
]
Graded = Annotated[
    bool,
    Option(
        "--graded",
        help="Relevance by rating: each rating above 0 is relevant, and NDCG weighs it.",
    ),
]
Ordered = Annotated[
    bool,
    Option(
        "--ordered",
        help="The rows of each user are in order; for logs without timestamps and positions.",
    ),
]
UserTable = Annotated[
    list[str] | None, Option(help="User table with a group: groups are compared (fairness).")
]
Lengths = Annotated[list[int] | None, Option("-k", help="Length of a list; repeatable.")]
Curves = Annotated[
    bool, Option("--curves", help="Add ROC curves, roc-auc and pr-auc of models; doubles the time.")
]
Metrics = Annotated[
    str | None,
    Option(help="Comma-separated; default: all that the input allows, without roc-auc and pr-auc."),
]


def names_in(text: str | None) -> list[str]:
    """Split a comma-separated list.

    Examples
    --------
    >>> names_in("ease, popularity,")
    ['ease', 'popularity']
    """
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def chosen_metrics(names: str | None, curves: bool) -> list[str] | None:
    """Return the metrics of --metrics and --curves; None is the default."""
    from eval.metrics.registry import select_metrics

    chosen = names_in(names)
    if not curves:
        return chosen or None
    return [*(chosen or [m.name for m in select_metrics(None)]), "roc-auc", "pr-auc"]


def given_settings(config: Path | None, assignments: list[str] | None) -> dict[str, Any]:
    """Return the settings of a TOML file, and those of --set, which win."""
    from graphgen.config import parse_assignments, read_toml

    return {**(read_toml(config) if config else {}), **parse_assignments(assignments or [])}


def model_settings(
    config: Path | None, assignments: list[str] | None, names: list[str]
) -> dict[str, dict[str, Any]]:
    """Return settings by model, from TOML tables and ``MODEL.NAME=VALUE``."""
    from gnn.registry import model_class

    settings: dict[str, dict[str, Any]] = given_settings(config, None)
    for key, value in given_settings(None, assignments).items():
        model, dot, name = key.partition(".")
        if not dot:
            raise ConfigError(f"--set is written MODEL.NAME=VALUE here; got {key!r}.")
        settings.setdefault(model, {})[name] = value
    for model, values in settings.items():
        if model not in names:
            raise ConfigError(f"There are settings for {model!r}, which is not compared.")
        model_class(model).Config.make(values)
    return settings


@dataclass(frozen=True)
class TableOptions:
    """How the tables of a command are read: the options that `with_tables` adds to it."""

    column: Annotated[
        list[str] | None,
        Option(
            "--column",
            help="Column mapping for all tables, NAME=COLUMN_IN_FILE, such as user_id=reviewerID, "
            "or a TOML file of them; repeatable. For one file: PATH?user_id=reviewerID.",
            show_default=False,
        ),
    ] = None
    encoding: Annotated[
        str | None, Option("--encoding", help="Text encoding, such as gb18030.")
    ] = None
    delimiter: Annotated[
        str | None, Option("--delimiter", help="Column separator; detected automatically.")
    ] = None
    on_bad_rows: Annotated[
        Literal["error", "quarantine"],
        Option("--on-bad-rows", help="error: stop at bad rows; quarantine: write them to a file."),
    ] = "error"
    day_first: Annotated[
        bool | None,
        Option(
            "--day-first/--month-first",
            help="Order of dates such as 03/04/2025; detected where a day is above 12.",
            show_default=False,
        ),
    ] = None

    @cached_property
    def read(self) -> dict[str, Any]:
        """The options as those of `read_log`, `read_items` and `read_users`."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {"columns": parse_columns(values.pop("column")), **values}

    def check(self) -> None:
        """Raise `InputError` if --column names a column that no table has."""
        if self.read["columns"] is not None:
            self.read["columns"].check()


def with_tables(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of `TableOptions` to a command, which gets them as its argument `tables`."""
    signature = inspect.signature(command, eval_str=True)
    hints = get_type_hints(TableOptions, include_extras=True)
    added = [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=field.default,
            annotation=hints[field.name],
        )
        for field in fields(TableOptions)
    ]

    @functools.wraps(command)
    def wrapper(**given: Any) -> None:
        chosen = {parameter.name: given.pop(parameter.name) for parameter in added}
        command(**given, tables=TableOptions(**chosen))

    own = [parameter for parameter in signature.parameters.values() if parameter.name != "tables"]
    wrapper.__signature__ = signature.replace(parameters=[*own, *added])  # type: ignore[attr-defined]
    wrapper.__annotations__ = {parameter.name: parameter.annotation for parameter in [*own, *added]}
    return wrapper


def parse_columns(columns: Sequence[str] | None) -> ColumnMap | None:
    """Turn ``["user_id=reviewerID"]``, or the path of a TOML file, into a mapping.

    In the file, a table such as ``[books]`` or ``["books.csv"]`` is for the files of that domain or
    name. One file may serve all commands: what it says of tables that are not read is not used.

    Examples
    --------
    >>> parse_columns(["user_id=reviewerID"])
    {'user_id': 'reviewerID'}
    """
    from graphgen.config import read_toml
    from graphgen.reading.columns import ColumnMap

    if not columns:
        return None
    result: dict[str, str] = {}
    shared: dict[str, str] = {}
    by_file: dict[str, dict[str, str]] = {}
    for column in columns:
        ours, equals, theirs = column.partition("=")
        if equals:
            result[ours.strip()] = theirs.strip()
        elif column.endswith(".toml"):
            for name, value in read_toml(Path(column)).items():
                if isinstance(value, dict):
                    by_file[name] = {ours: str(theirs) for ours, theirs in value.items()}
                else:
                    shared[name] = str(value)
        else:
            raise ConfigError(
                f"--column is written NAME=COLUMN_IN_FILE, or names a TOML file; got {column!r}."
            )
    return ColumnMap(result, shared, by_file)


def named_paths(given: Sequence[str] | None, option: str) -> dict[str, str]:
    """Turn a repeated NAME=PATH into a mapping.

    Examples
    --------
    >>> named_paths(["sound=vggish.npy"], "--vectors")
    {'sound': 'vggish.npy'}
    """
    pairs = [text.partition("=") for text in given or []]
    for name, _, path in pairs:
        if not name.strip() or not path:
            raise ConfigError(
                f"{option} is written NAME=PATH; got {name + (path and '=' + path)!r}."
            )
    return {name.strip(): path for name, _, path in pairs}


def meaning_options(
    event: Sequence[str] | None,
    positive: Sequence[str] | None,
    negative: Sequence[str] | None,
    separate: str | None = None,
) -> dict[str, Any]:
    """Turn --event, --positive, --negative, --separate-users into options of `graphgen.read_log`.

    Examples
    --------
    >>> meaning_options(["play=0.3", "skip=negative"], None, None)["events"]
    {'play': '0.3', 'skip': 'negative'}
    """
    events = {}
    for text in event or []:
        name, equals, value = text.rpartition("=")
        if not equals or not name.strip():
            raise ConfigError(
                f"--event is written NAME=WEIGHT, or =negative, =seen or =drop; got {text!r}."
            )
        events[name.strip()] = value.strip()
    own = separate == "all" or names_in(separate)
    return {"events": events, "positive": positive, "negative": negative, "separate_users": own}


def say_meaning(log: Any, *, always: bool = False) -> None:
    """Print in one line what a like is, where ratings, weights or events say something."""
    from eval.commands.console import say

    taken = log.report.taken
    if not always and all(row["signal"] == "none" for row in taken.rows):
        return
    counts = ", ".join(f"{n:,} {name}" for name, n in taken.counts().items() if n)
    say(f"{taken.line()} {counts}.")
    if not taken.options and any(row["signal"].startswith("event ") for row in taken.rows):
        say("--event NAME=WEIGHT (or negative, seen, drop) gives events other meanings.")


def seed_numbers(text: str | None) -> list[int] | None:
    """Read ``0,1,2``."""
    if text is None:
        return None
    try:
        return [int(seed) for seed in text.split(",")]
    except ValueError:
        raise ConfigError(f"--seeds is written 0,1,2; got {text!r}.") from None


def check_outputs(
    context: Context,
    *inputs: Any,
    kind: str | None = None,
    overwrite: bool = False,
    files: Iterable[Path | None] = (),
    suffixes: Sequence[str] = (),
) -> str:
    """Check all outputs of the present command, --out first of all, before it does any work.

    Parameters
    ----------
    context
        Gives the options of the command, --out and --overwrite among them.
    *inputs
        What the command reads: paths, what `read_log` takes, lists of them, or None.
    kind, overwrite
        As in `graphgen.storage.check_output`, which raises.
    files
        Other files that it writes, or None.
    suffixes
        Those that --out may end in; none for any.

    Returns
    -------
    str
        Fingerprint of command, options and inputs, for the manifest of a folder; "" for a file.
    """
    from graphgen.storage import check_output, fingerprint

    lists = (given if isinstance(given, list) else [given] for given in inputs)
    read = [_input_path(str(one)) for one in itertools.chain(*lists) if one is not None]
    options = dict(context.params)
    out, replace = options.pop("out", None), options.pop("overwrite", overwrite)
    made_from = fingerprint([context.info_name, options], read) if kind else ""
    written = [Path(os.path.realpath(path)) for path in (*files, out) if path is not None]
    for one, other in itertools.permutations(written, 2):
        if one == other or other in one.parents:
            raise StorageError(f"Two outputs have one path, {one}; choose another for one of them.")
    for path in filter(None, files):
        check_output(path, inputs=read)
    if out is not None:
        if suffixes and Path(out).suffix.lower() not in suffixes:
            raise StorageError(f"--out must end in {' or '.join(suffixes)}; got {out}.")
        check_output(out, kind=kind, overwrite=replace, made_from=made_from, inputs=read)
    return made_from


def _input_path(source: str) -> Path:
    """Return the path in ``DOMAIN=PATH?user_id=NAME#column=value``, where it exists."""
    bare = [source, source.rpartition("#")[0]]
    bare += [text.rpartition("?")[0] for text in bare]
    for text in (*bare, *(text.partition("=")[2] for text in bare)):
        if text and Path(text).expanduser().exists():
            return Path(text).expanduser()
    return Path(source)
