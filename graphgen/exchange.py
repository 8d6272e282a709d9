"""Exchange of two folders in one step."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

__all__ = ["put_in_place"]

# Of Linux; see renameat2(2).
AT_FDCWD, RENAME_EXCHANGE = -100, 2


def put_in_place(new: Path, target: Path, *, old: Path) -> None:
    """Put the folder `new` in the place of `target`, and the latter at `old`.

    On Linux `target` is there at every moment; elsewhere it is gone between two renames.
    """
    if _exchange(new, target):
        new.rename(old)
        return
    target.rename(old)
    try:
        new.rename(target)
    except OSError:
        old.rename(target)
        raise


def _exchange(first: Path, second: Path) -> bool:
    """Exchange two folders in one step; False where the operating system cannot."""
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    names = os.fsencode(first), os.fsencode(second)
    return bool(rename(AT_FDCWD, names[0], AT_FDCWD, names[1], RENAME_EXCHANGE) == 0)
