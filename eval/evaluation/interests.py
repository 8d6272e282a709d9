"""Tables of interests, which are evaluated as items of one domain."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from eval.evaluation.inputs import clean_ids
from graphgen.log import InteractionLog
from graphgen.reading.columns import LISTS
from graphgen.reading.files import read_tables
from graphgen.schema import DOMAIN, INTEREST, INTERESTS, ITEM_ID, RANK, SCORE, USER_ID

__all__ = ["holds_interests", "read_interest_lists", "read_interests"]


def holds_interests(source: Any) -> bool:
    """Whether a CSV or Parquet file has a column ``interest`` and none of items."""
    path = Path(str(source))
    if not path.is_file():
        return False
    if path.suffix == ".parquet":
        columns = pq.read_schema(path).names
    else:
        try:
            columns = list(pd.read_csv(path, nrows=0, sep=None, engine="python").columns)
        except (ValueError, pd.errors.ParserError):
            return False
    return INTEREST in columns and ITEM_ID not in columns


def read_interest_lists(source: Any, **options: Any) -> pd.DataFrame:
    """Read user_id, interest, and rank or score, as lists of one domain; see `read_lists`."""
    options |= {"columns": {ITEM_ID: INTEREST}}
    frames, _, _ = read_tables([source], LISTS, clean_ids, **options)
    frame = frames[0][[c for c in (USER_ID, ITEM_ID, RANK, SCORE) if c in frames[0]]]
    return frame.assign(**{DOMAIN: INTERESTS})


def read_interests(source: Any, **options: Any) -> InteractionLog:
    """Read the interests held out by `eval.splits.new_interest`, as a truth of one domain."""
    frame = read_interest_lists(source, **options)
    return InteractionLog(frame[[USER_ID, DOMAIN, ITEM_ID]])
