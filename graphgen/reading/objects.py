"""Tables that are no delimited text: JSON and Excel."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from graphgen.errors import InputError, MissingDependencyError
from graphgen.reading.cleaning import arrow_column
from graphgen.reading.records import BadRecord, RawTable

__all__ = ["read_excel", "read_json"]

NOT_AN_OBJECT = "must be a JSON object, one a line"


def read_json(lines: Iterable[str], name: str) -> RawTable:
    r"""Read one JSON object a line, or one array of objects.

    Raises
    ------
    InputError
        If there is no object.

    Examples
    --------
    >>> table = read_json(['{"user_id": 7, "item_id": "a"}\n', "oops\n"], "log.jsonl")
    >>> table.columns["user_id"].to_pylist(), table.bad[0].line
    ([7], 2)
    """
    bad: list[BadRecord] = []
    objects: list[dict[str, Any]] = []
    places: list[int] = []
    kept = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if kept and kept[0][1].lstrip().startswith("["):
        found = _parsed("".join(line for _, line in kept))
        rows = found if isinstance(found, list) else []
        kept = []
        for number, row in enumerate(rows, 1):
            if isinstance(row, dict):
                objects.append(row)
                places.append(number)
            else:
                bad.append(BadRecord(number, "", str(row), NOT_AN_OBJECT, str(row)))
    for number, line in kept:
        row = _parsed(line)
        if isinstance(row, dict):
            objects.append(row)
            places.append(number)
        else:
            text = line.rstrip("\r\n")
            bad.append(BadRecord(number, "", text, NOT_AN_OBJECT, text))
    if not objects:
        raise InputError(f"{name} holds no JSON object; write one a line, or an array of them.")
    keys = list(dict.fromkeys(_sound(key) for row in objects for key in row))
    columns = {key: arrow_column([row.get(key) for row in objects]) for key in keys}
    return RawTable(columns, len(objects), np.array(places, np.int64), bad)


def _sound(text: str) -> str:
    return text.encode(errors="replace").decode()


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def read_excel(path: Path, name: str) -> RawTable:
    """Read the first sheet of a workbook that has rows; its first row is the header.

    Raises
    ------
    InputError
        If the workbook is damaged or empty.
    MissingDependencyError
        If openpyxl is not installed.
    """
    try:
        import openpyxl
    except ImportError:
        raise MissingDependencyError(
            f"{name} is an Excel workbook. Install its reader: "
            "pip install 'interest-expansion[excel]', or export the sheet as CSV."
        ) from None
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        sheets = (
            [row for row in sheet.iter_rows(values_only=True) if _filled(row)] for sheet in book
        )
        rows = next(filter(None, sheets), [])
        book.close()
    except Exception as error:  # a damaged archive fails in many ways
        raise InputError(f"{name} is not a whole Excel workbook ({error}).") from None
    if not rows:
        raise InputError(f"{name} is empty.")
    header = ["" if value is None else str(value) for value in rows[0]]
    values = [[*row, *[None] * (len(header) - len(row))] for row in rows[1:]]
    columns: dict[str, pa.ChunkedArray] = {}
    for place, key in enumerate(header):
        unique = key if key not in columns else f"{key} ({place + 1})"
        columns[unique or " " * (place + 1)] = arrow_column([row[place] for row in values])
    return RawTable(columns, len(values), np.arange(2, len(values) + 2))


def _filled(row: tuple[Any, ...]) -> bool:
    return any(value is not None and value != "" for value in row)
