"""Peak memory of a block of code."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Self

import psutil

__all__ = ["PeakMemory"]

INTERVAL_SECONDS = 0.05
MEGABYTE = 1e6


class PeakMemory:
    """Samples the resident memory of this process while a ``with`` block runs.

    Attributes
    ----------
    megabytes
        The most that was resident, in 10^6 bytes.

    Examples
    --------
    >>> with PeakMemory() as peak:
    ...     _ = bytearray(1_000_000)
    >>> peak.megabytes > 1
    True
    """

    def __init__(self) -> None:
        self.megabytes = 0.0
        self._process = psutil.Process()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def _sample(self) -> None:
        while True:
            self.megabytes = max(self.megabytes, self._process.memory_info().rss / MEGABYTE)
            if self._stop.wait(INTERVAL_SECONDS):
                return

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()
