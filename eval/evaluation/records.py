"""Tables as JSON types."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

__all__ = ["records"]


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a table as JSON types; NaN and infinity become null.

    Examples
    --------
    >>> records(pd.DataFrame({"metric": ["auc"], "low": [float("nan")]}))
    [{'metric': 'auc', 'low': None}]
    """
    columns = {}
    for name in frame.columns:
        column = frame[name]
        if pd.api.types.is_float_dtype(column):
            finite = np.isfinite(column.to_numpy(np.float64))
            columns[name] = column.astype(object).where(finite, None).tolist()
        else:
            columns[name] = column.astype(object).where(column.notna(), None).tolist()
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
