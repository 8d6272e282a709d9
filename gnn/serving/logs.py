"""Logs for machines: one JSON object a line, and no ids in it."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import Any

__all__ = ["JsonFormatter", "log_as_json", "log_request"]

logger = logging.getLogger(__name__)


class JsonFormatter(logging.Formatter):
    """Writes a record as JSON.

    Of a message only the template is written, and of an error its kind and places: what is filled
    in, and the text of an error, may name users.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {
            "time": time, "level": record.levelname.lower(), "logger": record.name,
            "process": record.process, "message": record.msg,
        }  # fmt: skip
        line |= getattr(record, "fields", {})
        if record.exc_info and record.exc_info[0] is not None:
            kind, _, trace = record.exc_info
            line["error"] = kind.__name__
            line["at"] = [f"{f.filename}:{f.lineno} {f.name}" for f in traceback.extract_tb(trace)]
        return json.dumps(line, default=lambda value: type(value).__name__)


def log_as_json() -> None:
    """Write the logs of this process and its children to standard error as JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)


def log_request(route: str, method: str, status: int, seconds: float) -> None:
    """Write a request; the route is its pattern."""
    fields = {"route": route, "method": method, "status": status, "ms": round(1000 * seconds, 1)}
    logger.info("request", extra={"fields": fields})
