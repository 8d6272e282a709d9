"""Answers that are remembered, up to a number of them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Generic, TypeVar

__all__ = ["Remembered"]

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")
MOST = 100_000


class Remembered(Generic[Key, Value]):
    """A function of many keys at once, asked only for those that it was not asked for before.

    Examples
    --------
    >>> length = Remembered(lambda words: [print("asked", words)] and map(len, words))
    >>> length(["a", "of", "a"]), length(["of"])
    asked ['a', 'of']
    ([1, 2, 1], [2])
    """

    def __init__(self, function: Callable[[list[Key]], Iterable[Value]], most: int = MOST) -> None:
        self._function, self._most = function, most
        self._known: dict[Key, Value] = {}

    def __call__(self, keys: Sequence[Key]) -> list[Value]:
        """Return the value of each key."""
        # Another thread may begin anew meanwhile.
        known = self._known
        missing = [key for key in dict.fromkeys(keys) if key not in known]
        if missing and len(known) + len(missing) > self._most:
            known, missing = {}, list(dict.fromkeys(keys))
        if missing:
            known |= zip(missing, self._function(missing), strict=True)
            self._known = known
        return [known[key] for key in keys]
