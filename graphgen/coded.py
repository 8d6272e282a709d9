"""Rows of users and items whose ids are codes: each id is held once."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa

from graphgen.arrays import dense_codes
from graphgen.reading.cleaning import Codes, codes_of
from graphgen.reading.normalise import strings
from graphgen.schema import DOMAIN, ITEM_ID, POSITION, TIMESTAMP, USER_ID, WEIGHT

__all__ = ["CodedRows"]


class CodedRows:
    """A table of interactions, user and item ids in it as `graphgen.reading.cleaning.codes_of`."""

    def _set_frame(self, frame: pd.DataFrame) -> None:
        self._frame = frame
        self._text: pd.DataFrame | None = None
        self._codes: dict[str, Codes] = {}
        self._pairs: tuple[np.ndarray, np.ndarray] | None = None

    def __len__(self) -> int:
        return len(self._frame)

    @property
    def frame(self) -> pd.DataFrame:
        """The table; a copy-on-write view, so changing it does not change the log."""
        if self._text is None:
            ids = {name: strings(self.codes(name).decode()) for name in (USER_ID, ITEM_ID)}
            self._text = self._frame.assign(**ids)
        return self._text.copy(deep=False)

    @property
    def frame_of_codes(self) -> pd.DataFrame:
        """The table with ids as codes, see `codes`; it is not to be changed."""
        return self._frame

    @property
    def domain_codes(self) -> np.ndarray:
        """The number in `domains` of the domain of each row."""
        return self._frame[DOMAIN].cat.codes.to_numpy()

    @property
    def domains(self) -> list[str]:
        """Domains with at least one interaction, sorted."""
        return [str(name) for name in self._frame[DOMAIN].cat.categories]

    @property
    def has_time(self) -> bool:
        """Whether the interactions have timestamps."""
        return TIMESTAMP in self._frame

    @property
    def order(self) -> np.ndarray | None:
        """int64 [n], what orders the rows of a user: milliseconds since 1970 UTC, or positions."""
        if self.has_time:
            return self._frame[TIMESTAMP].astype("datetime64[ms, UTC]").astype("int64").to_numpy()
        return self._frame[POSITION].to_numpy() if POSITION in self._frame else None

    @property
    def n_users(self) -> int:
        """Number of distinct users."""
        return int((np.bincount(self.codes(USER_ID).codes, minlength=1) > 0).sum())

    @property
    def n_items(self) -> int:
        """Number of distinct pairs of domain and item id."""
        return len(self.item_codes()[1])

    @property
    def liked(self) -> np.ndarray:
        """Bool [n], the rows that are likes; the others were seen or disliked."""
        if WEIGHT not in self._frame:
            return np.ones(len(self), dtype=bool)
        return (self._frame[WEIGHT] > 0).to_numpy()

    def users(self) -> np.ndarray:
        """Return the id of each user once, an object array in no order."""
        coded = self.codes(USER_ID)
        used = np.bincount(coded.codes, minlength=len(coded.values)) > 0
        return np.asarray(coded.values.filter(pa.array(used)).to_numpy(zero_copy_only=False))

    def items(self, domain: str) -> np.ndarray:
        """Return the id of each item of a domain once, an object array in no order."""
        values = self.codes(ITEM_ID).values
        owner, value = np.divmod(self.item_codes()[1], max(len(values), 1))
        own = owner == self.domains.index(domain) if domain in self.domains else owner < 0
        return np.asarray(values.take(pa.array(value[own])).to_numpy(zero_copy_only=False))

    def codes(self, name: str) -> Codes:
        """Return the column of user or item ids as codes; some values may have no row."""
        if name not in self._codes:
            self._codes[name] = codes_of(self._frame[name])
        return self._codes[name]

    def item_codes(self) -> tuple[np.ndarray, np.ndarray]:
        """Return a dense code for the (domain, item) of each row, and what they stand for.

        Returns
        -------
        codes, pairs
            int64 [n], and int64 [n_items]: the number of the domain in `domains` times the number
            of values in ``codes("item_id")``, plus that of the value.
        """
        if self._pairs is None:
            items, domains = self.codes(ITEM_ID), self.domain_codes
            pair = domains.astype(np.int64) * max(len(items.values), 1) + items.codes
            self._pairs = dense_codes(pair)
        return self._pairs

    @property
    def user_codes(self) -> np.ndarray:
        """int32 [n], the code of the user of each row."""
        return self.codes(USER_ID).codes

    def pair_codes(self) -> np.ndarray:
        """Return a number for the user, domain and item of each row; int64 [n]."""
        items, pairs = self.item_codes()
        return self.user_codes.astype(np.int64) * max(len(pairs), 1) + items
