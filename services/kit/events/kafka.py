"""The bus on Apache Kafka, through aiokafka: the only file that knows it.

An idempotent producer keeps a partition's batches in order through retries; when a batch fails for good the producer is
thrown away, because the numbers it stamps on batches would have a gap. Positions come from the group's database at each
assignment; what Kafka keeps of them is for onlookers.
"""

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from time import monotonic
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import (
    IllegalStateError,
    KafkaError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
    TopicAlreadyExistsError,
    for_code,
)

from services.kit.events.bus import (
    BusAway,
    Delivered,
    HistoryLost,
    Partition,
    Positions,
    Subscription,
    Topic,
    partition_number,
)
from services.kit.events.message import LONGEST, Message

log = logging.getLogger(__name__)

_BATCH_BYTES = 900_000
_PUBLISH_SECONDS = 15.0
_ANSWER_SECONDS = 10.0
_CLOSE_SECONDS = 3.0
_COMMIT_EVERY_SECONDS = 0.5
_COMMIT_PAUSE_SECONDS = 5.0


class KafkaBus:
    """The distributed bus. Use it from one event loop. Nothing is asked of the broker before it is needed."""

    def __init__(
        self, bootstrap: str, topics: Sequence[Topic], *, topic_prefix: str = "", session_seconds: float = 10.0
    ) -> None:
        """Know a broker by `host:port[,host:port...]`.

        `topic_prefix` is put before topic and group names on the wire only, so that several houses share a broker. A
        member is taken for dead after `session_seconds` without a sign of life.
        """
        self._bootstrap = bootstrap
        self._topics = {topic.name: topic for topic in topics}
        self._prefix = topic_prefix
        self._session_seconds = session_seconds
        self._is_ready = False
        self._getting_ready = asyncio.Lock()
        self._line: _Line | None = None
        self._onlooker: AIOKafkaConsumer | None = None
        self._subscriptions: set[_KafkaSubscription] = set()

    def partition_of(self, topic: str, key: str) -> Partition:
        """Return the partition that a key belongs to."""
        return Partition(topic, partition_number(key, self._topics[topic].partitions))

    def on_wire(self, partition: Partition) -> TopicPartition:
        """Return Kafka's name of a partition."""
        return TopicPartition(self._prefix + partition.topic, partition.number)

    def off_wire(self, partition: TopicPartition) -> Partition:
        """Return our name of a partition."""
        return Partition(partition.topic.removeprefix(self._prefix), partition.partition)

    async def publish(self, partition: Partition, messages: Sequence[Message]) -> None:
        """Append messages in as few requests as their size allows."""
        line = await self._producing()
        topic = self._prefix + partition.topic
        try:
            position = 0
            while position < len(messages):
                batch = line.producer.create_batch()
                while position < len(messages) and _put(batch, messages[position]):
                    position += 1
                batch.close()
                async with asyncio.timeout(_PUBLISH_SECONDS):
                    sent = await line.producer.send_batch(batch, topic, partition=partition.number)
                    await asyncio.wait({sent, line.broken}, return_when=asyncio.FIRST_COMPLETED)
                if not sent.done():
                    raise BusAway("the producer was thrown away")
                sent.result()
        except (KafkaError, TimeoutError, AssertionError) as error:  # an assertion: a partition not yet known
            await self._break(line)
            raise BusAway(f"{partition} was not taken: {error!r}") from error

    async def _producing(self) -> "_Line":
        async with self._getting_ready:
            await self._make_topics()
            if self._line is None:
                producer = AIOKafkaProducer(
                    bootstrap_servers=self._bootstrap,
                    enable_idempotence=True,
                    max_batch_size=_BATCH_BYTES,
                    request_timeout_ms=int(_ANSWER_SECONDS * 1000),
                )
                try:
                    async with asyncio.timeout(_ANSWER_SECONDS):
                        await producer.start()
                except (KafkaError, TimeoutError, OSError) as error:
                    await _let_go(producer)
                    raise BusAway(f"Kafka does not answer at {self._bootstrap}: {error!r}") from error
                self._line = _Line(producer)
            return self._line

    async def _break(self, line: "_Line") -> None:
        """Throw a producer away, once."""
        if self._line is line:
            self._line = None
        if not line.broken.done():
            line.broken.set_result(None)
            await _let_go(line.producer)

    async def _make_topics(self) -> None:
        """Make the topics that are missing; once in a bus's life."""
        if self._is_ready:
            return
        admin = AIOKafkaAdminClient(bootstrap_servers=self._bootstrap, request_timeout_ms=int(_ANSWER_SECONDS * 1000))
        wanted = [
            NewTopic(
                self._prefix + topic.name,
                topic.partitions,
                -1,  # as many replicas as the cluster does by default
                replica_assignments={},
                topic_configs={
                    "retention.ms": str(topic.retention_days * 86_400_000 if topic.retention_days >= 0 else -1)
                },
            )
            for topic in self._topics.values()
        ]
        try:
            async with asyncio.timeout(2 * _ANSWER_SECONDS):
                await admin.start()
                answer = await admin.create_topics(wanted)
                for name, code, *text in answer.topic_errors:
                    if code and for_code(code) is not TopicAlreadyExistsError:
                        raise BusAway(f"topic {name} could not be made: {for_code(code).__name__} {text}")
                names = [topic.name for topic in wanted]
                while True:
                    found = {topic["topic"]: len(topic["partitions"]) for topic in await admin.describe_topics(names)}
                    if all(found.get(topic.name, 0) >= topic.num_partitions for topic in wanted):
                        break
                    await asyncio.sleep(0.05)
        except (KafkaError, TimeoutError, OSError) as error:
            raise BusAway(f"Kafka does not answer at {self._bootstrap}: {error!r}") from error
        finally:
            with suppress(Exception):
                await admin.close()
        self._is_ready = True

    async def subscribe(self, group: str, topics: Collection[str], positions: Positions) -> Subscription:
        """Join a group."""
        async with self._getting_ready:
            await self._make_topics()
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap,
            group_id=self._prefix + group,
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            heartbeat_interval_ms=int(self._session_seconds * 1000 / 5),
            session_timeout_ms=int(self._session_seconds * 1000),
            request_timeout_ms=int(max(_ANSWER_SECONDS, self._session_seconds + 5) * 1000),
            fetch_max_wait_ms=200,
            retry_backoff_ms=50,
        )
        subscription = _KafkaSubscription(self, consumer, positions)
        consumer.subscribe([self._prefix + topic for topic in topics], listener=subscription)
        try:
            async with asyncio.timeout(_ANSWER_SECONDS + self._session_seconds):
                await consumer.start()
        except (KafkaError, TimeoutError, OSError) as error:
            await _let_go(consumer)
            raise BusAway(f"Kafka does not answer at {self._bootstrap}: {error!r}") from error
        self._subscriptions.add(subscription)
        return subscription

    def left(self, subscription: "_KafkaSubscription") -> None:
        """A member has gone."""
        self._subscriptions.discard(subscription)

    async def ends(self, topics: Collection[str]) -> Mapping[Partition, int]:
        """Return the offset after the last message of each partition."""
        wanted = [
            self.on_wire(Partition(topic, number))
            for topic in topics
            for number in range(self._topics[topic].partitions)
        ]
        async with self._getting_ready:
            await self._make_topics()
            try:
                async with asyncio.timeout(_ANSWER_SECONDS):
                    if self._onlooker is None:
                        onlooker = AIOKafkaConsumer(bootstrap_servers=self._bootstrap)
                        self._onlooker = onlooker
                        await onlooker.start()
                    ends = await self._onlooker.end_offsets(wanted)
            except (KafkaError, TimeoutError, OSError) as error:
                if self._onlooker is not None:
                    await _let_go(self._onlooker)
                    self._onlooker = None
                raise BusAway(f"Kafka does not answer at {self._bootstrap}: {error!r}") from error
        return {self.off_wire(partition): end for partition, end in ends.items()}

    async def close(self) -> None:
        """Close every connection; what was not acknowledged is not waited for."""
        for subscription in tuple(self._subscriptions):
            await subscription.close()
        if self._line is not None:
            await self._break(self._line)
        if self._onlooker is not None:
            await _let_go(self._onlooker)
            self._onlooker = None


class _Line:
    """A producer, and whether it has been thrown away."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self.producer = producer
        self.broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()


def _put(batch: Any, message: Message) -> bool:
    """Add a message to a batch; return whether there was room."""
    return (
        batch.append(
            key=message.subject.encode(),
            value=message.data,
            timestamp=int(message.time.timestamp() * 1000),
            headers=message.headers(),
        )
        is not None
    )


async def _let_go(client: Any) -> None:
    """Close a producer or consumer, whether or not the broker is there to hear it."""
    with suppress(Exception):
        async with asyncio.timeout(_CLOSE_SECONDS):
            await client.stop()
            return
    sender = getattr(client, "_sender", None)  # a producer that could not flush goes on trying otherwise
    for rest in (sender, getattr(client, "client", None) or getattr(client, "_client", None)):
        if rest is not None:
            with suppress(Exception):
                async with asyncio.timeout(_CLOSE_SECONDS):
                    await rest.close()


class _KafkaSubscription(ConsumerRebalanceListener):  # type: ignore[misc]
    """One member of a group that reads from Kafka.

    Placing happens in `poll`, not in the listener: a listener that waits for a database is not alive to the group.
    """

    def __init__(self, bus: KafkaBus, consumer: AIOKafkaConsumer, positions: Positions) -> None:
        self._bus = bus
        self._consumer = consumer
        self._ask_positions = positions
        self._assignments = 0
        self._assigned: frozenset[TopicPartition] = frozenset()
        self._is_placed = False
        self._news = asyncio.Event()
        self._commit_after = 0.0

    def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:  # noqa: ARG002 - all of them
        """Give nothing until the next assignment."""
        self._assigned = frozenset()
        self._changed()

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Place anew before giving anything."""
        self._assigned = frozenset(assigned)
        self._changed()

    def _changed(self) -> None:
        self._assignments += 1
        self._is_placed = False
        self._news.set()

    async def poll(self, limit: int, seconds: float) -> Mapping[Partition, Sequence[Delivered]]:
        """Return what is new."""
        if not self._is_placed:
            self._news.clear()
            if not self._assigned:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._news.wait(), seconds)
            if not self._assigned:
                return {}
            await self._place()
            if not self._is_placed:
                return {}
        assignments = self._assignments
        try:
            # getmany waits for a rebalance without limit; the second more is for that.
            async with asyncio.timeout(seconds + 1):
                found = await self._consumer.getmany(timeout_ms=int(seconds * 1000), max_records=limit)
        except OffsetOutOfRangeError as error:
            raise HistoryLost(f"{self._offsets(error)} not in the topic any more") from error
        except (NoOffsetForPartitionError, IllegalStateError, TimeoutError):
            self._is_placed = False
            return {}
        except KafkaError as error:
            raise BusAway(f"Kafka cannot be read: {error!r}") from error
        if assignments != self._assignments:
            # What was read may be from before the new positions were set.
            self._is_placed = False
            return {}
        return {
            self._bus.off_wire(partition): [_delivered(record) for record in records]
            for partition, records in found.items()
        }

    async def _place(self) -> None:
        """Set every assigned partition to where the group reads next."""
        assignments, assigned = self._assignments, self._assigned
        known = await self._ask_positions([self._bus.off_wire(partition) for partition in assigned])
        new = [partition for partition in assigned if self._bus.off_wire(partition) not in known]
        starts: Mapping[TopicPartition, int] = {}
        if new:
            try:
                async with asyncio.timeout(_ANSWER_SECONDS):
                    starts = await self._consumer.beginning_offsets(new)
            except (KafkaError, TimeoutError) as error:
                raise BusAway(f"Kafka does not say where topics begin: {error!r}") from error
        if assignments != self._assignments:
            return
        with suppress(IllegalStateError):  # taken away in this moment: the listener is about to be told
            for partition in assigned:
                position = known.get(self._bus.off_wire(partition))
                self._consumer.seek(partition, starts[partition] if position is None else position)
            self._consumer.resume(*self._consumer.paused())
            self._is_placed = True

    def _offsets(self, error: OffsetOutOfRangeError) -> str:
        partitions = error.args[0] if error.args and isinstance(error.args[0], dict) else {}
        return ", ".join(f"{self._bus.off_wire(partition)} at {at}" for partition, at in partitions.items())

    def pause(self, partition: Partition) -> None:
        """Give nothing of this partition for a while."""
        with suppress(IllegalStateError):
            self._consumer.pause(self._bus.on_wire(partition))

    def resume(self, partition: Partition) -> None:
        """Give messages of this partition again."""
        with suppress(IllegalStateError):
            self._consumer.resume(self._bus.on_wire(partition))

    def seek(self, partition: Partition, offset: int) -> None:
        """Read on from `offset`."""
        with suppress(IllegalStateError):
            self._consumer.seek(self._bus.on_wire(partition), offset)

    async def commit(self, positions: Mapping[Partition, int]) -> None:
        """Tell Kafka now and then, so that its own tools show the lag."""
        if monotonic() < self._commit_after:
            return
        self._commit_after = monotonic() + _COMMIT_EVERY_SECONDS
        try:
            async with asyncio.timeout(1):
                await self._consumer.commit({self._bus.on_wire(one): offset for one, offset in positions.items()})
        except (KafkaError, TimeoutError):
            self._commit_after = monotonic() + _COMMIT_PAUSE_SECONDS

    async def close(self) -> None:
        """Leave the group."""
        self._bus.left(self)
        await _let_go(self._consumer)


def _delivered(record: Any) -> Delivered:
    """Return a record as a message; an unreadable one keeps its key and value and has an empty type."""
    try:
        message = Message.from_headers(record.headers, record.value or b"")
    except ValueError:
        key = (record.key or b"").decode(errors="replace").replace("\0", "")[:LONGEST]
        place = f"{record.topic}/{record.partition}/{record.offset}"
        message = Message(place, "", "", key, datetime.now(UTC), record.value or b"")
    return Delivered(record.offset, message)
