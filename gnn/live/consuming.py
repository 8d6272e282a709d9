"""From a source into the state: at least once delivered, once applied, nothing lost."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event as Signal
from time import monotonic
from typing import Any

from gnn.live.dead_letters import write_dead_letters
from gnn.live.events import Event, read_events, read_json
from gnn.live.sources.source import Message, Source, Unavailable
from gnn.live.state import Applied, LiveState
from graphgen.errors import StorageError

__all__ = ["Progress", "consume"]

logger = logging.getLogger(__name__)

# Messages taken in at once: one transaction.
BATCH = 500
# Seconds to wait for the first message of a batch; the most that an event waits to be seen.
WAIT = 0.2
# Seconds before the next try, doubled with each, and the most.
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
# Seconds between two questions for what is left.
ASK = 1.0


@dataclass
class Progress:
    """How far a consumer is.

    Attributes
    ----------
    applied
        What became of the events since it began.
    rejected
        Messages that went to the dead letters.
    lag
        Messages left at the last count, None before it.
    problem
        Why it waits now; "" while all is well.
    retries
        How often something had to be tried again.
    """

    applied: Applied = field(default_factory=Applied)
    rejected: int = 0
    lag: int | None = None
    problem: str = ""
    retries: int = 0

    def line(self) -> str:
        """Return the status as one line.

        Examples
        --------
        >>> Progress(Applied(new=5, duplicates=1), rejected=2, lag=0).line()
        '5 new, 1 duplicate, 2 rejected, 0 left'
        """
        one = self.applied
        said = [f"{one.new:,} new", f"{one.duplicates:,} duplicate"]
        names = ("late", "unknown_users", "unknown_items", "unknown_domains")
        counts = {name.replace("_", " "): getattr(one, name) for name in names}
        said += [f"{count:,} {name}" for name, count in counts.items() if count]
        said.append(f"{self.rejected:,} rejected")
        if self.lag is not None:
            said.append(f"{self.lag:,} left")
        if self.problem:
            said.append(f"waiting: {self.problem}")
        return ", ".join(said)


def consume(
    source: Source,
    state: LiveState,
    dead_letters: Path,
    *,
    stop: Signal,
    once: bool = False,
    batch: int = BATCH,
    report: Callable[[Progress], None] = lambda progress: None,
) -> Progress:
    """Take in messages until `stop` is set, or with `once` until the source has none left.

    A message is acknowledged only after its event is durable in the state, or its text in the
    dead letters: killed in between, it comes again and is known by its id. What fails, such as a
    broker that is down or a full disk, is tried again, and nothing is acknowledged meanwhile.

    Parameters
    ----------
    source
        Where messages come from.
    state
        Where events go.
    dead_letters
        JSON Lines file for messages that are no events, with the reasons.
    stop
        Ends the work after the batch at hand.
    once
        Stop when nothing is left.
    batch
        Messages taken in at once, in one transaction.
    report
        Called with the progress after each step.
    """
    return _Consuming(source, state, dead_letters, stop, report).run(once, batch)


class _Consuming:
    def __init__(
        self,
        source: Source,
        state: LiveState,
        dead_letters: Path,
        stop: Signal,
        report: Callable[[Progress], None],
    ) -> None:
        self.source, self.state, self.dead_letters = source, state, dead_letters
        self.stop, self.report = stop, report
        self.progress = Progress()
        self.asked = monotonic()

    def run(self, once: bool, batch: int) -> Progress:
        progress = self.progress
        while not self.stop.is_set():
            try:
                messages = self._until_done(self.source.read, batch, WAIT)
                if messages:
                    self._take(messages)
                if not messages or monotonic() - self.asked > ASK:
                    progress.lag = self._until_done(self.source.lag)
                    self.asked = monotonic()
            except _Stopped:
                break
            self.report(progress)
            if once and not messages and progress.lag == 0:
                break
        return progress

    def _take(self, messages: list[Message]) -> None:
        events, letters = _sorted(messages, self.state.domain)
        self.progress.applied += self._until_done(self.state.apply, events)
        self._until_done(write_dead_letters, self.dead_letters, letters)
        self.progress.rejected += len(letters)
        self._until_done(self.source.acknowledge, messages)

    def _until_done(self, step: Callable[..., Any], *given: Any) -> Any:
        """Return what a step returns, tried until it works."""
        pause = FIRST_PAUSE
        while True:
            try:
                result = step(*given)
            except (Unavailable, StorageError) as error:
                if not self.progress.problem:
                    logger.warning("%s Trying again until it works.", error)
                self.progress.problem = str(error)
                self.progress.retries += 1
                self.report(self.progress)
                if self.stop.wait(pause):
                    raise _Stopped from error
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                self.progress.problem = ""
                return result


class _Stopped(Exception):
    """The signal to stop came while something did not work."""


def _sorted(
    messages: list[Message], domain: str | None
) -> tuple[list[Event], list[tuple[Any, str]]]:
    """Return the events among messages, and the others with the reason."""
    objects, times = [], []
    letters: list[tuple[Any, str]] = []
    for message in messages:
        try:
            objects.append(read_json(message.raw))
            times.append(message.time)
        except ValueError as error:
            letters.append((message.raw, str(error)))
    events, rejected = read_events(objects, domain=domain, times=times)
    return events, letters + [tuple(one) for one in rejected]
