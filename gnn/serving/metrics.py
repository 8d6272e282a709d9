"""Figures of a server in the text format of Prometheus, added up over its processes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import psutil

from graphgen.errors import MissingDependencyError

__all__ = ["Metrics"]

FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"
BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 10.0)


class Metrics:
    """Counters and gauges that every process of a server writes, and any of them shows.

    Parameters
    ----------
    folder
        An empty folder, in which each process keeps its own.

    Raises
    ------
    MissingDependencyError
        If prometheus-client is not installed.
    """

    def __init__(self, folder: Path) -> None:
        # prometheus_client looks at it once, when it is imported.
        os.environ[FOLDER] = str(folder)
        try:
            from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
        except ModuleNotFoundError as error:
            raise MissingDependencyError(
                "`interest serve` needs the package prometheus-client; install it with "
                "`pip install 'interest-expansion[serve]'`."
            ) from error
        own: Any = {"registry": CollectorRegistry()}
        self._requests = Counter(
            "interest_requests", "Requests answered.", ["route", "method", "status"], **own
        )
        self._seconds = Histogram(
            "interest_request_seconds", "Time to answer.", ["route"], buckets=BUCKETS, **own
        )
        self._running = Gauge(
            "interest_requests_in_progress", "Requests in work or waiting.",
            multiprocess_mode="livesum", **own,
        )  # fmt: skip
        self._events = Counter(
            "interest_events", "Events that arrived over HTTP, by what became of them.",
            ["result"], **own,
        )  # fmt: skip
        self._resident = Gauge(
            "interest_resident_bytes", "Memory of each process.", multiprocess_mode="liveall", **own
        )
        self._swaps = Counter(
            "interest_model_loads", "Models loaded, or refused.", ["result"], **own
        )
        self._consumed = Gauge(
            "interest_consumer", "What the consumer of --events has done, and how far it is.",
            ["what"], multiprocess_mode="livemostrecent", **own,
        )  # fmt: skip

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._requests.labels(route, method, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def running(self, change: int) -> None:
        """Count requests that came (1) or went (-1)."""
        self._running.inc(change)

    def events(self, results: Mapping[str, int]) -> None:
        """Count events by what became of them."""
        for result, number in results.items():
            if number:
                self._events.labels(result).inc(number)

    def consumed(self, figures: Mapping[str, float]) -> None:
        """Show the figures of the consumer."""
        for what, value in figures.items():
            self._consumed.labels(what).set(value)

    def loaded(self, result: str) -> None:
        """Count a model that was loaded, or refused."""
        self._swaps.labels(result).inc()

    def second(self) -> None:
        """Measure what is measured once a second."""
        self._resident.set(psutil.Process().memory_info().rss)

    def text(self, live: Mapping[str, int], model: Mapping[str, str]) -> bytes:
        """Return the figures of all processes, with those of the state and the model served."""
        from prometheus_client import CollectorRegistry, generate_latest
        from prometheus_client.metrics_core import GaugeMetricFamily, InfoMetricFamily
        from prometheus_client.multiprocess import MultiProcessCollector

        class Now:
            def collect(self) -> Iterator[Any]:
                yield GaugeMetricFamily(
                    "interest_live_events", "Events since training.", live.get("events", 0)
                )
                yield InfoMetricFamily("interest_model", "The model served.", dict(model))

        registry: Any = CollectorRegistry()
        MultiProcessCollector(registry)
        registry.register(Now())
        return bytes(generate_latest(registry))

    @staticmethod
    def forget(pid: int) -> None:
        """Leave out the gauges of a process that has ended; its counters stay."""
        from prometheus_client.multiprocess import mark_process_dead

        mark_process_dead(pid)
