"""Tables of interests, which are evaluated as items of one domain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from eval.evaluation.inputs import clean_ids
from graphgen.log import InteractionLog
from graphgen.reading.columns import INTEREST_LISTS, LOG, missing_roles
from graphgen.reading.files import open_table, read_tables
from graphgen.reading.sources import Source
from graphgen.schema import DOMAIN, INTEREST, INTERESTS, ITEM_ID, RANK, SCORE, USER_ID

__all__ = ["holds_interests", "read_interest_lists", "read_interests"]


def holds_interests(
    source: Source,
    *,
    columns: Mapping[str, str] | None = None,
    delimiter: str | None = None,
    encoding: str | None = None,
    **_: Any,
) -> bool:
    """Whether a file, by its header, is a table of interests and none of items.

    The options are those of `graphgen.read_log` about the form of a file.
    """
    opened = open_table(source, INTEREST_LISTS, columns, delimiter=delimiter, encoding=encoding)
    if opened is None:
        return False
    mapping = {**(opened.columns or {}), **opened.own}
    header = opened.file.header
    is_log = ITEM_ID not in missing_roles(header, mapping, LOG)
    return not is_log and INTEREST not in missing_roles(header, mapping, INTEREST_LISTS)


def read_interest_lists(*sources: Any, **options: Any) -> pd.DataFrame:
    """Read user_id, interest, and rank or score, as lists of one domain; see `read_lists`."""
    frames, _, _ = read_tables(sources, INTEREST_LISTS, clean_ids, **options)
    frame = pd.concat(frames, ignore_index=True).rename(columns={INTEREST: ITEM_ID})
    frame = frame[[name for name in (USER_ID, ITEM_ID, RANK, SCORE) if name in frame]]
    return frame.assign(**{DOMAIN: INTERESTS})


def read_interests(*sources: Any, **options: Any) -> InteractionLog:
    """Read the interests held out by `eval.splits.new_interest`, as a truth of one domain."""
    frame = read_interest_lists(*sources, **options)
    return InteractionLog(frame[[USER_ID, DOMAIN, ITEM_ID]].drop_duplicates())
