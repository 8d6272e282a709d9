"""A server that lives on: its processes are replaced, by a new model or one by one, not its port.

The supervisor holds the port and knows no model. A generation is a process that loads a model and
forks those that answer, which share its memory. For another model a second generation is made ready
beside the first; then the first takes no further connections and ends with those that it has.
"""

from __future__ import annotations

import gc
import logging
import multiprocessing
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, Pipe, wait
from multiprocessing.process import BaseProcess as Process
from pathlib import Path
from threading import Event as Signal
from threading import Lock, Thread
from typing import Any, Final

import torch

from gnn.live.feedback import follow_dislikes
from gnn.live.state import STATE_FILE, LiveState
from gnn.registry import load_model
from gnn.serving.app import make_app
from gnn.serving.exploring import Exploring
from gnn.serving.live import Live
from gnn.serving.metrics import Metrics
from gnn.serving.security import Token
from gnn.serving.server import DRAIN, PATIENCE, address, answer, listen
from gnn.serving.service import Service
from gnn.trained_on import graph_of
from graphgen.errors import ConfigError, InterestError

__all__ = ["Serving", "supervise"]

logger = logging.getLogger(__name__)
_fork: Final = multiprocessing.get_context("fork")

DEAD_LETTERS: Final = "dead_letters.jsonl"
READY: Final = "ready"
BUSY: Final = "Another model is being loaded; ask again when it is served."
# Seconds between looks at what signals asked for, and before a process that ended is replaced.
TICK, PAUSE = 0.1, 0.5
# Seconds before a consumer that failed is started anew.
TRY_AGAIN = 5.0


@dataclass(frozen=True)
class Serving:
    """What is served, and how.

    Attributes
    ----------
    model, graph
        Folders; without a graph there are no neighbourhoods and no paths.
    state
        Folder of the events since training, and of those that could not be used.
    token, admin
        What requests must bring; what those must bring that change the model.
    workers
        Processes that answer.
    most
        Requests in work or waiting in each of them.
    events
        URL of a stream that the first of them consumes; "" for none.
    show_ids
        Show user ids as they are.
    explore
        Exploration of lists by default; see `gnn.serving.exploring.Exploring`.
    """

    model: Path
    state: Path
    graph: Path | None = None
    token: Token | None = None
    admin: Token | None = None
    workers: int = 1
    most: int = 64
    events: str = ""
    show_ids: bool = False
    explore: str = ""


def supervise(
    serving: Serving,
    metrics: Metrics,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    ready: Callable[[str], None] = lambda url: None,
) -> None:
    """Serve until SIGTERM or SIGINT; SIGHUP loads the folder of the model anew.

    Requests in work are answered before it ends.

    Parameters
    ----------
    serving
        What is served.
    metrics
        Written by all processes.
    host, port
        Where; port 0 is any that is free.
    ready
        Called with the address when requests are answered.

    Raises
    ------
    ConfigError
        If the host needs a token, the port is taken, or the model cannot be loaded.
    """
    with listen(host, port, guarded=serving.token is not None) as listener:
        _Supervisor(serving, metrics, listener).run(lambda: ready(address(listener)))


class _Supervisor:
    def __init__(self, serving: Serving, metrics: Metrics, listener: socket.socket) -> None:
        self.serving, self.metrics, self.listener = serving, metrics, listener
        self.current: _Generation | None = None
        self.coming: _Generation | None = None
        self.leaving: list[_Generation] = []
        self.asking: Connection | None = None

    def run(self, ready: Callable[[], None]) -> None:
        with _caught(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as caught:
            try:
                self.load(self.serving)
                while not caught & {signal.SIGTERM, signal.SIGINT}:
                    before = self.current
                    self.look()
                    if before is None and self.current is not None:
                        ready()
                    if signal.SIGHUP in caught and self.coming is None:
                        caught.discard(signal.SIGHUP)
                        self.load(self.serving)
            finally:
                self.end()

    def load(self, serving: Serving) -> None:
        self.coming = _Generation(serving, self.metrics, self.listener)

    def look(self) -> None:
        """Hear what processes say, and see which ended."""
        generations = [g for g in (self.current, self.coming, *self.leaving) if g is not None]
        heard = [pipe for generation in generations for pipe in generation.pipes]
        for pipe in wait([*heard, *(g.process.sentinel for g in generations)], TICK):
            if isinstance(pipe, Connection):
                self.hear(pipe)
        self.leaving = [g for g in self.leaving if g.process.is_alive()]
        if self.coming is not None and not self.coming.process.is_alive():
            self.refused("The process that loaded it ended.")
        if self.current is not None and not self.current.process.is_alive():
            # The connections that come meanwhile wait at the port.
            logger.error("all processes ended; starting anew")
            self.current = None
            if self.coming is None:
                time.sleep(PAUSE)
                self.load(self.serving)

    def hear(self, pipe: Connection) -> None:
        try:
            said, what = pipe.recv()
        except (EOFError, OSError):
            return
        if self.coming is not None and pipe is self.coming.pipes[-1]:
            if said == READY:
                self.exchange(self.coming)
            else:
                self.refused(what)
        elif self.coming is not None:
            pipe.send(BUSY)
        else:
            self.asking = pipe
            model = self.serving.model if what is None else Path(what)
            self.load(replace(self.serving, model=model))

    def exchange(self, coming: _Generation) -> None:
        """Let a generation that is ready answer alone."""
        former, self.current, self.coming = self.current, coming, None
        self.serving = coming.serving
        self.metrics.loaded("served")
        logger.info("model served", extra={"fields": {"model": str(self.serving.model)}})
        self.reply("")
        if former is not None:
            former.tell(DRAIN)
            self.leaving.append(former)

    def refused(self, reason: str) -> None:
        """Keep the model that is served in place of one that failed."""
        failed, self.coming = self.coming, None
        if failed is not None:
            failed.process.join()
        if self.current is None:
            raise ConfigError(reason)
        self.metrics.loaded("refused")
        logger.error("model refused", extra={"fields": {"reason": reason}})
        self.reply(reason)

    def reply(self, text: str) -> None:
        if self.asking is not None:
            with suppress(OSError):  # its process may have ended
                self.asking.send(text)
        self.asking = None

    def end(self) -> None:
        generations = [g for g in (self.current, self.coming, *self.leaving) if g is not None]
        for generation in generations:
            generation.tell(signal.SIGTERM)
        for generation in generations:
            generation.process.join(PATIENCE)
            generation.process.kill()


class _Generation:
    """The processes of one loaded model; pipes from each, the last from the one that loads."""

    def __init__(self, serving: Serving, metrics: Metrics, listener: socket.socket) -> None:
        self.serving = serving
        pairs = [Pipe() for _ in range(serving.workers + 1)]
        self.pipes, theirs = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        self.process = _fork.Process(target=_generate, args=(serving, metrics, listener, theirs))
        self.process.start()
        for one in theirs:
            one.close()

    def tell(self, what: int) -> None:
        if self.process.is_alive() and self.process.pid:
            os.kill(self.process.pid, what)


def _generate(
    serving: Serving, metrics: Metrics, listener: socket.socket, pipes: list[Connection]
) -> None:
    """Load a model, and keep the processes that answer by it alive until told to end."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    parent = os.getppid()
    with _caught(signal.SIGTERM, signal.SIGINT, DRAIN) as caught:
        live = Live(metrics, serving.most, serving.admin, lambda _: "")
        try:
            service = _loaded(serving)
        except InterestError as error:
            pipes[-1].send(("failed", str(error)))
            return
        except Exception as error:
            logger.error("loading failed", exc_info=error)
            pipes[-1].send(("failed", "The model cannot be loaded; the log says more."))
            return
        app = make_app(service, token=serving.token, live=live)
        open_ = multiprocessing.RawArray("i", serving.workers)
        up = multiprocessing.RawArray("i", serving.workers)

        def start(number: int) -> Process:
            def work() -> None:
                live.swap = _swapper(pipes[number])
                with _living(service, serving, metrics, first=number == 0):
                    answer(
                        app, listener, open_, number,
                        ready=lambda: up.__setitem__(number, 1), second=metrics.second,
                        alone=lambda: bool(caught) or os.getppid() != generation,
                    )  # fmt: skip

            open_[number] = 0
            process = _fork.Process(target=work)
            process.start()
            return process

        generation = os.getpid()
        workers = [start(number) for number in range(serving.workers)]
        told = False
        while not caught and os.getppid() == parent:
            if not told and all(up):
                pipes[-1].send((READY, ""))
                told = True
            wait([one.sentinel for one in workers], TICK)
            for number, one in enumerate(workers):
                if one.is_alive() or caught:
                    continue
                if not told:
                    pipes[-1].send(("failed", "A process ended before it answered; see the log."))
                    caught.add(signal.SIGTERM)
                    break
                logger.error("process replaced", extra={"fields": {"number": number}})
                metrics.forget(one.pid or 0)
                time.sleep(PAUSE)
                workers[number] = start(number)
        for one in workers:
            if one.is_alive() and one.pid:
                os.kill(one.pid, DRAIN if caught == {DRAIN} else signal.SIGTERM)
        _join(workers, caught, metrics)


def _join(workers: list[Process], caught: set[int], metrics: Metrics) -> None:
    """Wait for the end of processes; a later signal to end is passed on."""
    passed = caught != {DRAIN}
    for one in workers:
        while one.is_alive():
            one.join(TICK)
            if not passed and caught != {DRAIN}:
                passed = True
                for other in workers:
                    other.terminate()
        metrics.forget(one.pid or 0)


def _loaded(serving: Serving) -> Service:
    # Parallel are the requests; a pool of threads inside each would only make them wait.
    torch.set_num_threads(1)
    if serving.events:
        from gnn.live.sources import open_source

        open_source(serving.events).close()  # not connected yet; a wrong address is an error
    model = follow_dislikes(load_model(serving.model))
    graph = None if serving.graph is None else graph_of(model, serving.graph)
    # A file that cannot be opened is said before anything is served.
    LiveState(serving.state / STATE_FILE, model).close()
    exploring = Exploring(model, serving.state, serving.explore)
    service = Service(model, graph, show_ids=serving.show_ids, exploring=exploring)
    service.warm_up()
    # What is shared stays shared: a collection would write into every object.
    gc.collect()
    gc.freeze()
    return service


@contextmanager
def _living(service: Service, serving: Serving, metrics: Metrics, *, first: bool) -> Iterator[None]:
    """Open the state in this process; the first one consumes the stream, too."""
    state = service.state = LiveState(serving.state / STATE_FILE, service.model)
    stop = Signal()
    consumer = Thread(target=_consume, args=(serving, state, metrics, stop), daemon=True)
    if first and serving.events:
        consumer.start()
    try:
        yield
    finally:
        stop.set()
        if consumer.is_alive():
            consumer.join()
        state.close()


def _consume(serving: Serving, state: LiveState, metrics: Metrics, stop: Signal) -> None:
    """Consume the stream until told to stop."""
    from gnn.live.consuming import Progress, consume
    from gnn.live.sources import open_source

    def report(progress: Progress) -> None:
        figures = vars(progress.applied) | {"rejected": progress.rejected}
        figures |= {"retries": progress.retries, "waiting": bool(progress.problem)}
        metrics.consumed(figures | ({} if progress.lag is None else {"lag": progress.lag}))

    while not stop.is_set():
        source = open_source(serving.events)
        try:
            consume(source, state, serving.state / DEAD_LETTERS, stop=stop, report=report)
        except Exception as error:
            # A fault of ours; events go on waiting in the stream.
            logger.error("consumer failed; starting anew", exc_info=error)
            stop.wait(TRY_AGAIN)
        finally:
            source.close()


def _swapper(pipe: Connection) -> Callable[[str | None], str]:
    """Return a function that asks the supervisor for another model."""
    lock = Lock()

    def swap(model: str | None) -> str:
        if not lock.acquire(blocking=False):
            return BUSY
        try:
            pipe.send(("swap", model))
            return str(pipe.recv())
        finally:
            lock.release()

    return swap


@contextmanager
def _caught(*signals: signal.Signals) -> Iterator[set[int]]:
    """Collect signals, to be looked at."""
    caught: set[int] = set()
    former: dict[int, Any] = {
        one: signal.signal(one, lambda number, _: caught.add(number)) for one in signals
    }
    try:
        yield caught
    finally:
        for one, handler in former.items():
            signal.signal(one, handler)
