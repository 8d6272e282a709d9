"""A topic of Kafka, or of a broker that speaks its protocol."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from confluent_kafka import (
    Consumer,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
)

from gnn.live.events import now
from gnn.live.sources.source import Message, Unavailable

__all__ = ["KafkaSource"]

# Seconds that a question to the broker may take.
PATIENCE = 5.0
# The same, for whether it is there again.
SHORT = 1.0
# Seconds that messages may take to be delivered; the first ones may wait for a topic to be made.
DELIVERY = 30.0
# The topic or the group's coordinator is not there yet.
NOT_YET = {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._PARTITION_EOF}
# The group has shared out its partitions anew: what was not committed comes again.
SHARED_ANEW = {
    KafkaError.ILLEGAL_GENERATION, KafkaError.UNKNOWN_MEMBER_ID, KafkaError.REBALANCE_IN_PROGRESS,
}  # fmt: skip
DOWN = {KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT, KafkaError._RESOLVE}


class KafkaSource:
    """Messages of a topic, each partition to one consumer of the group.

    Offsets are committed when messages are acknowledged, so what was not comes again.

    Parameters
    ----------
    brokers
        ``host:port`` of some of them, separated by commas.
    topic
        Name of the topic.
    group
        Consumer group; a new one begins with the first message.
    **options
        Settings of librdkafka.
    """

    def __init__(
        self, brokers: str, topic: str, *, group: str = "interest", **options: str
    ) -> None:
        self._topic = topic
        self._problem = ""
        self._again: dict[int, TopicPartition] = {}
        # librdkafka writes to standard error itself, a line for each try to reconnect.
        common = {"bootstrap.servers": brokers, "log_level": 0, "error_cb": self._failed}
        self._for_consumer = common | {
            "group.id": group, "enable.auto.commit": False, "auto.offset.reset": "earliest",
            "allow.auto.create.topics": True, "topic.metadata.refresh.interval.ms": 1_000,
            "reconnect.backoff.max.ms": 2_000, "session.timeout.ms": 6_000,
            "heartbeat.interval.ms": 1_000, "fetch.wait.max.ms": 50,
            "socket.timeout.ms": 6_000, "on_commit": self._committed,
        } | options  # fmt: skip
        self._for_producer = (
            common | {"linger.ms": 5, "message.timeout.ms": round(DELIVERY * 1000)} | options
        )
        self._consumer_: Consumer | None = None
        self._producer_: Producer | None = None

    def _failed(self, error: KafkaError) -> None:
        if error.code() in DOWN:
            self._problem = error.str()

    def _committed(self, error: KafkaError | None, places: Sequence[TopicPartition]) -> None:
        for place in places:
            failed = error or place.error
            if failed and failed.code() not in SHARED_ANEW:
                self._again[place.partition] = TopicPartition(
                    place.topic, place.partition, place.offset
                )
            else:
                self._again.pop(place.partition, None)

    @property
    def _consumer(self) -> Consumer:
        if self._consumer_ is None:
            self._consumer_ = Consumer(self._for_consumer)
            self._consumer_.subscribe([self._topic])
        return self._consumer_

    def read(self, limit: int, wait: float) -> list[Message]:
        """Return up to `limit` messages; none if there are none for `wait` seconds."""
        found = []
        for message in self._consumer.consume(limit, wait):
            error = message.error()
            if error is None:
                found.append(_message(message))
            elif error.code() not in NOT_YET:
                self._problem = error.str()
        if not found and self._problem:
            try:
                self._consumer.list_topics(self._topic, SHORT)
            except KafkaException as error:
                raise Unavailable(f"Kafka: {self._problem}") from error
        self._problem = ""
        self._commit(list(self._again.values()))
        return found

    def acknowledge(self, messages: Sequence[Message]) -> None:
        """Commit the offsets behind messages, again and again while no broker confirms it."""
        last: dict[int, int] = {}
        for message in messages:
            partition, offset = message.token
            last[partition] = max(offset + 1, last.get(partition, 0))
        self._commit([TopicPartition(self._topic, *place) for place in last.items()])

    def _commit(self, offsets: list[TopicPartition]) -> None:
        if not offsets:
            return
        try:
            # To wait for the answer of a broker that is down would last until it is back.
            self._consumer.commit(offsets=offsets, asynchronous=True)
        except KafkaException as error:
            raise Unavailable(f"Kafka: {error.args[0].str()}") from error

    def send(self, objects: Iterable[Any]) -> None:
        """Produce messages, those of a user into one partition so that they stay in order."""
        if self._producer_ is None:
            self._producer_ = Producer(self._for_producer)
        failed: list[str] = []

        def delivered(error: KafkaError | None, _: Any) -> None:
            if error is not None:
                failed.append(error.str())

        for one in objects:
            key = str(one.get("user_id", "")) if isinstance(one, dict) else ""
            while True:
                try:
                    self._producer_.produce(
                        self._topic, json.dumps(one).encode(), key.encode(), on_delivery=delivered
                    )
                    break
                except BufferError:
                    self._producer_.poll(0.1)
        if left := self._producer_.flush(DELIVERY + PATIENCE):
            self._producer_.purge()
            self._producer_.flush(PATIENCE)
            raise Unavailable(f"Kafka: {left} messages were not delivered; {self._problem}")
        if failed:
            raise Unavailable(f"Kafka: {failed[0]}")

    def lag(self) -> int:
        """Return how many messages of the topic lie behind the committed offsets of the group."""
        try:
            found = self._consumer.list_topics(self._topic, PATIENCE).topics[self._topic]
            places = [TopicPartition(self._topic, number) for number in found.partitions]
            committed = self._consumer.committed(places, PATIENCE) if places else []
            return sum(max(0, self._end(place) - max(place.offset, 0)) for place in committed)
        except KafkaException as error:
            raise Unavailable(f"Kafka: {error.args[0].str()}") from error

    def _end(self, place: TopicPartition) -> int:
        # What fetches brought is newer, and needs no question.
        _, end = self._consumer.get_watermark_offsets(place, cached=True)
        return int(end if end >= 0 else self._consumer.get_watermark_offsets(place, PATIENCE)[1])

    def close(self) -> None:
        """Leave the group, so that others take over at once."""
        if self._consumer_ is not None:
            self._consumer_.close()
            self._consumer_ = None


def _message(message: Any) -> Message:
    kind, time = message.timestamp()
    return Message(
        message.value() or b"", (message.partition(), message.offset()), time if kind else now()
    )
