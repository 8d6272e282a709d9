"""Counts of items in windows of time, and sessions of users, kept by Quix Streams on Kafka."""

from __future__ import annotations

import json
import socket
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from quixstreams import Application
from quixstreams.models import TopicConfig

from gnn.live.events import read_events, read_json
from gnn.live.sources.opening import kafka_address

__all__ = ["windows"]

MINUTE: Final = 60_000
# Seconds between two transactions: the longest that a result waits for its readers.
EVERY = 1.0
# Of topics that are made here.
MADE: Final = TopicConfig(1, 1, {"retention.ms": "-1", "retention.bytes": "-1"})


def windows(
    url: str,
    state: Path,
    *,
    domain: str | None = None,
    minutes: int = 60,
    gap: int = 30,
    late: int = 5,
) -> Application:
    """Return a job that reads the events of a topic and writes two topics; `run` starts it.

    ``TOPIC-items`` has the number of events of each item in each window of `minutes`:
    ``{"domain", "item_id", "start", "end", "events"}``, times in milliseconds since 1970 UTC.
    ``TOPIC-sessions`` has the sessions of users, which end after `gap` minutes without an event:
    ``{"user_id", "start", "end", "events"}``. Each is written once, when a later event of the same
    partition shows that no more are to come: results, offsets and state are one transaction of
    Kafka. Killed at any moment, a job with the same `state` goes on; its state is in topics of the
    broker, too. Messages that are no events are left out.

    Parameters
    ----------
    url
        ``kafka://host:9092/TOPIC``, as of `open_source`, keyed by user. Processes of one group
        share its partitions.
    state
        Folder of the state of this process, and of no other.
    domain
        Domain of events that name none.
    minutes, gap, late
        Length of a window, of a pause that ends a session, and of the delay of late events;
        later ones do not count.

    Raises
    ------
    ConfigError
        If the address has another form.
    """
    brokers, topic, options = kafka_address(url)
    group = options.pop("group", "interest-windows")
    options.setdefault("log_level", "3")  # it warns of options for consumers given to producers
    # The name by which a broker ends the transaction that a killed process left open.
    own = f"{group}-{socket.gethostname()}-{state.resolve()}"
    job = Application(
        broker_address=brokers, consumer_group=group, state_dir=state, loglevel="WARNING",
        processing_guarantee="exactly-once", auto_offset_reset="earliest", commit_interval=EVERY,
        consumer_extra_config=options, producer_extra_config=options | {"transactional.id": own},
    )  # fmt: skip

    def read(value: bytes, _: Any, time: int, __: Any) -> list[dict[str, Any]]:
        try:
            events, _ = read_events([read_json(value)], domain=domain, times=[time])
        except ValueError:
            return []
        return [asdict(event) for event in events]

    source = job.topic(topic, value_deserializer="bytes", config=MADE)
    # Topics of the state are kept as long; a broker may be silent about it.
    source.broker_config.extra_config.setdefault("retention.ms", "-1")
    events = job.dataframe(source).apply(read, expand=True, metadata=True)
    events = events.set_timestamp(lambda event, *_: event["time"])
    grace = late * MINUTE

    ended = events.session_window(gap * MINUTE, grace_ms=grace).count().final("partition")
    ended = ended.apply(lambda found, key, *_: _row(found, user_id=_text(key)), metadata=True)
    ended.to_topic(job.topic(f"{topic}-sessions", config=MADE))

    items = events.group_by(lambda one: json.dumps([one["domain"], one["item_id"]]), name="item")
    closed = items.tumbling_window(minutes * MINUTE, grace_ms=grace).count().final("partition")
    closed = closed.apply(lambda found, key, *_: _row(found, **_item(key)), metadata=True)
    closed.to_topic(job.topic(f"{topic}-items", key_serializer="str", config=MADE))
    return job


def _row(found: dict[str, Any], **names: str) -> dict[str, Any]:
    return names | {"start": found["start"], "end": found["end"], "events": found["value"]}


def _item(key: bytes | str) -> dict[str, str]:
    return dict(zip(("domain", "item_id"), json.loads(key), strict=True))


def _text(key: bytes | str) -> str:
    return key.decode() if isinstance(key, bytes) else key
