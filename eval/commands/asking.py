"""What commands ask of a model: users, and what they did since."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

from typer import Argument, Context, Option

from eval.commands import options
from graphgen.errors import ConfigError
from graphgen.schema import WEIGHT

if TYPE_CHECKING:
    import pandas as pd

    from gnn.base import Model
    from graphgen.log import InteractionLog

ModelFolder = Annotated[Path, Argument(help="A model folder.", show_default=False)]
User = Annotated[list[str] | None, Option(help="An id; repeatable.")]
Users = Annotated[
    str | None, Option(help="A text file of ids, or a CSV or Parquet file with user_id.")
]
History = Annotated[
    list[str] | None,
    Option(
        help="Interactions since training, or of users who arrived after it; dislikes among them "
        "lower the item and its near neighbours."
    ),
]


class Question(NamedTuple):
    """A fitted model, user_id (and perhaps domain) of each request, and a history.

    `requests` are None for all users of training, `history` is None without any.
    """

    model: Model
    requests: pd.DataFrame | None
    history: InteractionLog | None


def read_question(
    context: Context,
    tables: options.TableOptions,
    model: Path,
    users: str | None,
    user: Sequence[str] | None,
    history: Sequence[str] | None,
    *inputs: Path | str | None,
    domain: Sequence[str] | None = None,
    everybody: bool = False,
) -> Question:
    """Check the outputs of a command, then read the model and whom it is asked about.

    Parameters
    ----------
    context, inputs
        As for `eval.commands.options.check_outputs`: `inputs` are what else it reads.
    tables, model, users, user, history
        Its options.
    domain
        Domains that are asked for, whose users ids without one are of.
    everybody
        Whether --users and --user may both be missing.

    Raises
    ------
    ConfigError
        If not one of --users and --user is given.
    """
    from gnn.registry import load_model
    from gnn.requests import as_frame, own_requests, read_requests
    from graphgen.log_files import read_log
    from graphgen.meaning import taken_in

    options.check_outputs(context, model, users, history, *inputs)
    if (users is None) == (not user) and not (everybody and users is None):
        raise ConfigError("Give either --users FILE or --user ID (repeatable).")
    fitted = load_model(model)
    meaning = taken_in(fitted.provenance_.get("graph", {}))
    requests = None
    if users is not None or user:
        asked = read_requests(users, user or [], **tables.read)
        requests = as_frame(own_requests(asked, meaning.get("separate", ()), domain))
    rows = read_log(*history, **tables.read, as_in=meaning) if history else None
    if rows is not None and WEIGHT in rows.frame and (rows.frame[WEIGHT] < 0).any():
        from gnn.live.feedback import follow_dislikes

        follow_dislikes(fitted)
    return Question(fitted, requests, rows)
