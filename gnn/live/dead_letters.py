"""Messages that cannot be used, with the reason, one JSON object a line."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from gnn.live.events import now
from graphgen.errors import StorageError

__all__ = ["write_dead_letters"]

# Characters of a message that are kept.
KEPT = 10_000


def write_dead_letters(path: Path, letters: Iterable[tuple[Any, str]]) -> None:
    """Append messages, each with the reason why it is no event; durable on return.

    Raises
    ------
    StorageError
        If the file cannot be written; then it ends where it ended before.
    """
    at = now()
    lines = [json.dumps({"reason": reason, "at": at, "raw": _text(raw)}) for raw, reason in letters]
    if not lines:
        return
    try:
        # Without a buffer: a line that the disk refuses must not be tried again at the end.
        with path.open("ab", buffering=0) as file:
            end = file.tell()
            body = "".join(f"{line}\n" for line in lines).encode()
            try:
                if file.write(body) < len(body):
                    raise OSError("no space left on the device")
                os.fsync(file.fileno())
            except OSError:
                file.truncate(end)
                raise
    except OSError as error:
        raise StorageError(f"{path}: {error}.") from error


def _text(value: Any) -> str:
    text = value.decode(errors="replace") if isinstance(value, bytes) else value
    text = text if isinstance(text, str) else json.dumps(text)
    return text[:KEPT].encode(errors="replace").decode()
