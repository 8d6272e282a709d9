"""Lists of ``user item item ...`` lines, the format of the LightGCN and NGCF releases."""

from __future__ import annotations

import logging

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from graphgen.schema import ITEM_ID, USER_ID

__all__ = ["looks_like_adjacency_list", "read_adjacency_list"]

logger = logging.getLogger(__name__)

INTEGER = r"^-?\d+$"
REASON = "must be a list of integers, as the other lines are"
BadToken = tuple[int, str, str, str]


def looks_like_adjacency_list(tokens: list[str]) -> bool:
    """Tell whether the first line of a file is ``user item item ...`` rather than prose.

    Examples
    --------
    >>> looks_like_adjacency_list(["0", "17"]), looks_like_adjacency_list(["org_id", "remap_id"])
    (True, False)
    """
    return bool(tokens) and all(token.isdecimal() and token.isascii() for token in tokens)


def read_adjacency_list(
    text: str,
) -> tuple[dict[str, pa.ChunkedArray], np.ndarray, list[BadToken]]:
    r"""Read the lines of an adjacency list, vectorised.

    Parameters
    ----------
    text
        The whole file.

    Returns
    -------
    columns : dict
        ``user_id`` and ``item_id``, one row for each item of each line.
    lines : numpy.ndarray
        int64 line of each row, from 1.
    bad : list of tuple
        Line, token, reason and text of each line that is not a list of integers.

    Examples
    --------
    >>> columns, lines, bad = read_adjacency_list("0 7 8\n1\n\n2 7\n3 x\n")
    >>> columns["user_id"].to_pylist(), columns["item_id"].to_pylist(), lines.tolist()
    (['0', '0', '2'], ['7', '8', '7'], [1, 1, 4])
    >>> bad
    [(5, 'x', 'must be a list of integers, as the other lines are', '3 x')]
    """
    whole = pa.array([text.replace("\r\n", "\n").replace("\r", "\n")], pa.large_string())
    rows = pc.utf8_trim_whitespace(pc.split_pattern(whole, "\n").flatten())
    filled = np.flatnonzero(pc.not_equal(rows, "").to_numpy(zero_copy_only=False))
    tokens = pc.utf8_split_whitespace(rows.take(pa.array(filled)))
    encoded = tokens.flatten().dictionary_encode()
    counts = pc.list_value_length(tokens).to_numpy()
    codes = encoded.indices.to_numpy()
    starts = np.cumsum(counts) - counts

    owner = np.repeat(np.arange(len(counts)), counts)
    sound = pc.match_substring_regex(encoded.dictionary, INTEGER).to_numpy(zero_copy_only=False)
    wrong = np.flatnonzero(~np.asarray(sound, dtype=bool)[codes])
    bad_rows, first = np.unique(owner[wrong], return_index=True)
    bad = [
        (
            int(filled[row]) + 1,
            encoded.dictionary[int(codes[wrong[at]])].as_py(),
            REASON,
            rows[int(filled[row])].as_py(),
        )
        for row, at in zip(bad_rows, first, strict=True)
    ]
    is_item = np.ones(len(codes), dtype=bool)
    is_item[starts] = False
    is_item &= ~np.isin(owner, bad_rows)
    lonely = int((counts == 1).sum())
    if lonely:
        logger.info("%d users have no items; they are not in the log.", lonely)

    def column(picked: np.ndarray) -> pa.ChunkedArray:
        return pa.chunked_array([pa.DictionaryArray.from_arrays(picked, encoded.dictionary)])

    user_codes = codes[starts][owner[is_item]] if len(codes) else codes
    columns = {USER_ID: column(user_codes), ITEM_ID: column(codes[is_item])}
    return columns, filled[owner[is_item]].astype(np.int64) + 1, bad
