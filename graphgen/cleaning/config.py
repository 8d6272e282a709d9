"""Settings of the steps that clean a log."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import pydantic

from graphgen.config import Config

__all__ = ["CleanConfig"]


class CleanConfig(Config):
    """What `clean_log` does, in this order; every step but the first is off."""

    exact_duplicates: bool = True
    """Rows that equal an earlier one in every column leave. Rows of events stay where the log has
    no times, or whole days only: they may be repeats."""
    since: datetime | None = None
    """Rows before this instant leave (UTC where no zone is given)."""
    until: datetime | None = None
    """Rows at or after this instant leave."""
    max_rate: int | None = pydantic.Field(None, ge=1)
    """Users with more interactions than this within `window` leave, with all their rows."""
    max_repetition: float | None = pydantic.Field(None, ge=0, lt=1)
    """Users of whose interactions a larger share repeats an earlier item leave."""
    min_gap_entropy: float | None = pydantic.Field(None, gt=0)
    """Users whose times between interactions have less entropy (bits, of their length in quarters
    of an octave) leave: machines act at regular intervals."""
    judged_from: int = pydantic.Field(20, ge=2)
    """Interactions that a user needs to be judged by `max_repetition` and `min_gap_entropy`."""
    max_burst: int | None = pydantic.Field(None, ge=1)
    """A row leaves if its user had this many interactions within `window` before it."""
    window: float = pydantic.Field(60.0, gt=0)
    """Minutes of `max_rate` and `max_burst`."""
    ratings: Literal["as-given", "centered", "standardised"] = "as-given"
    """Ratings of each user and domain moved to the mean of the domain (``centered``), and scaled to
    its spread too (``standardised``); what is a like is decided anew."""
    half_life: float | None = pydantic.Field(None, gt=0)
    """Days after which the weight of a like halves, counted back from the last row of the log."""
    min_weight: float = pydantic.Field(0.0, ge=0)
    """Likes of less weight than this leave; for models that ignore weights, with `half_life`."""
    repeats: Literal["keep", "last", "first", "count"] = "keep"
    """One row for each user and item: ``last`` is the latest; ``first`` the same at the first time;
    ``count`` has the sum of the weights, which decay with `half_life`."""
    min_user: int = pydantic.Field(0, ge=0)
    """Likes that a user needs; counted again until all users and items have enough."""
    min_item: int = pydantic.Field(0, ge=0)
    """Likes that an item needs."""
