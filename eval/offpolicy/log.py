"""Reading logs of recommendations with propensities."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pandas as pd

from graphgen.reading.columns import LOG, TableSpec
from graphgen.reading.files import read_tables
from graphgen.reading.normalise import concat_frames, interaction_frame
from graphgen.rewards import with_rewards
from graphgen.schema import RATING

__all__ = ["read_shown"]

SHOWN_LOG: Final = TableSpec(
    "a log of recommendations", tuple(role for role in LOG.roles if role.name != RATING)
)


def read_shown(
    *sources: Any, rewards: Mapping[str, float] | None = None, **options: Any
) -> tuple[pd.DataFrame, list[str]]:
    """Read logs of recommendations and of the events that followed; see `with_rewards`.

    Sources and options are those of `graphgen.read_log` about the form of files.
    """
    frames, names, _ = read_tables(sources, SHOWN_LOG, interaction_frame, **options)
    return with_rewards(concat_frames(frames, names), rewards)
