"""`interest consume`: events of a stream into the state of a model, until it is ended."""

from __future__ import annotations

import sys
from pathlib import Path
from time import monotonic
from typing import Annotated

from typer import Argument, Option

from eval.commands.console import next_step, say

# Seconds between two lines of the status where there is no terminal.
EVERY = 10.0


def consume(
    model: Annotated[Path, Argument(help="Folder of a trained model.", show_default=False)],
    source: Annotated[
        str,
        Option("--from", help="Address of the stream.", metavar="URL", show_default=False),
    ],
    state: Annotated[
        Path,
        Option(help="Folder of the state, made if missing.", metavar="DIR", show_default=False),
    ],
    once: Annotated[
        bool, Option("--once", help="Stop when the stream has no more messages.")
    ] = False,
    batch: Annotated[int, Option(help="Messages taken in at once.", min=1)] = 500,
) -> None:
    """Take events from a stream into the state of a model, each once, until it is ended.

    DIR/state.db holds the events, for `interest serve --state` and `interest update`;
    DIR/dead_letters.jsonl the messages that cannot be used, with the reasons. Ended or killed, the
    same command goes on where it was. While the stream is unreachable or the disk is full it waits,
    says so, and loses nothing.

    A message is a JSON object: user_id, item_id, domain; optional event, weight, time (ms or ISO
    8601), event_id.

    \b
    interest consume model/ --from kafka://localhost:9092/events --state live/
    interest consume model/ --from redis://localhost:6379/0/events?group=shop --state live/
    interest consume model/ --from sqlite:///events.db --state live/ --once
    """
    import signal
    import threading

    from gnn.live.consuming import Progress
    from gnn.live.consuming import consume as take
    from gnn.live.sources import open_source
    from gnn.live.state import STATE_FILE, LiveState
    from gnn.registry import load_model
    from graphgen.progress import progress_bar

    opened = open_source(source)
    fitted = load_model(model)
    live = LiveState(state / STATE_FILE, fitted)
    say(f"{live.n_events:,} events are in {state}. End with Ctrl-C.")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    letters = state / "dead_letters.jsonl"
    with progress_bar(f"Events from {source.split('?')[0]}", enabled=sys.stderr.isatty()) as bar:
        last, problem = monotonic(), ""

        def report(progress: Progress) -> None:
            nonlocal last, problem
            bar(0, progress.line())
            # A log file has no bar: it gets a line now and then, and for each new problem.
            if not sys.stderr.isatty() and (
                monotonic() - last > EVERY or progress.problem != problem
            ):
                last, problem = monotonic(), progress.problem
                say(progress.line())

        done = take(opened, live, letters, stop=stop, once=once, batch=batch, report=report)
    opened.close()
    total = live.n_events
    live.close()
    say(f"{done.line()}. {total:,} events are in {state}.")
    if done.rejected:
        say(f"{letters} says why {done.rejected:,} were rejected.")
    next_step(f"interest serve {model} --state {state}")
