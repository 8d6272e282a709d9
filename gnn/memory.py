"""A check of the memory that a closed form needs, before it starts."""

from __future__ import annotations

import logging

import psutil

from graphgen.errors import ConfigError

__all__ = ["require_memory"]

logger = logging.getLogger(__name__)

GIGABYTE = 1e9


def require_memory(needed: int, what: str, remedy: str) -> None:
    """Log how much memory comes next, in bytes, and refuse more than the machine has.

    `what` is the subject of the sentence that says so, `remedy` a sentence of its own.

    Raises
    ------
    ConfigError
        If less is available.

    Examples
    --------
    >>> require_memory(1 << 60, "It", "Use less.")
    Traceback (most recent call last):
        ...
    graphgen.errors.ConfigError: It needs 1,152,921,504.6 GB of memory; ... available. Use less.
    """
    available = psutil.virtual_memory().available
    need, have = needed / GIGABYTE, available / GIGABYTE
    logger.info("%s needs %.2f GB of memory; %.2f GB are available.", what, need, have)
    if needed > available:
        raise ConfigError(
            f"{what} needs {need:,.1f} GB of memory; {have:,.1f} GB are available. {remedy}"
        )
