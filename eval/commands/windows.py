"""`interest windows`: counts of items in windows of time, and sessions of users, on Kafka."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from eval.commands.console import say


def windows(
    source: Annotated[
        str,
        Argument(
            help="Topic of events: kafka://HOST:PORT/TOPIC.", metavar="URL", show_default=False
        ),
    ],
    state: Annotated[
        Path,
        Option(
            help="Folder of the state of this process, made if missing.",
            metavar="DIR",
            show_default=False,
        ),
    ],
    domain: Annotated[
        str | None, Option(help="Domain of events that name none.", show_default=False)
    ] = None,
    minutes: Annotated[int, Option(help="Length of a window.", min=1)] = 60,
    gap: Annotated[int, Option(help="Minutes without an event that end a session.", min=1)] = 30,
    late: Annotated[
        int, Option(help="Minutes that an event may be late; later ones do not count.", min=0)
    ] = 5,
) -> None:
    """Count the events of each item in windows of time, and find the sessions of users.

    Results are in the topics TOPIC-items and TOPIC-sessions, each once: ended or killed, the same
    command goes on where it was. Several processes, each with a state of its own, share the
    partitions of the topic.

    \b
    interest windows kafka://localhost:9092/events --state windows/
    interest windows kafka://localhost:9092/events --state windows/ --minutes 10 --gap 20
    """
    from graphgen.errors import StorageError, needing

    with needing("Windows need", "windows"):
        from confluent_kafka import KafkaException
        from quixstreams.exceptions import QuixException

        from gnn.live.windows import windows as job_of
    try:
        job = job_of(source, state, domain=domain, minutes=minutes, gap=gap, late=late)
        address = source.split("?")[0]
        say(f"Results are in {address}-items and {address}-sessions. End with Ctrl-C.")
        job.run()
    except (KafkaException, QuixException) as error:
        raise StorageError(f"Kafka: {error} Nothing is lost; start it again.") from error
