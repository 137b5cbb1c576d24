"""A lane for a test: a bus of either kind that can be killed, services of one table; all ended afterwards."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from google.protobuf.message import Message as Event
from google.protobuf.wrappers_pb2 import StringValue
from sqlalchemy import Column, MetaData, String, Table, insert, select

from services.kit.database import BigId, Database, Transaction
from services.kit.events import add_lane_tables, inbox, outbox
from services.kit.events.bus import Bus, Delivered, Partition, Positions, Topic
from services.kit.events.consumer import Consumer, Handler, Patience
from services.kit.events.kafka import KafkaBus
from services.kit.events.log import LogBus
from services.kit.events.message import Message, said
from services.kit.events.relay import Relay
from tests.servers.kafka import KafkaServer

TOPIC = "google.protobuf"

metadata = MetaData()
add_lane_tables(metadata)
noted = Table(
    "noted",
    metadata,
    Column("row", BigId, primary_key=True),
    Column("word", String(100)),
    Column("by", String(20), nullable=False, default=""),
)

HURRIED = Patience(not_yet_seconds=1.0, attempts=3, first_wait_seconds=0.01, longest_wait_seconds=0.1)
"""For tests that wait for the end of patience."""


def word(text: str, key: str) -> Message:
    """A message that says one word about `key`."""
    return said(StringValue(value=text), source="/test", subject=key, at=datetime.now(UTC))


def note(tx: Transaction, event: StringValue) -> None:
    """A handler that writes the word down."""
    tx.execute(insert(noted).values(word=event.value))


HEARS: dict[type[Event], Handler] = {StringValue: note}


def words(database: Database) -> list[str]:
    """Return what was written down, in order."""
    with database.view() as view:
        return list(view.execute(select(noted.c.word).order_by(noted.c.row)).scalars())


def say(database: Database, *messages: Message) -> None:
    """Say all of it in one transaction."""
    with database.transaction() as tx:
        for message in messages:
            outbox.add(tx, message)


def dead_letters(database: Database) -> list[inbox.DeadLetter]:
    with database.view() as view:
        return inbox.dead_letters(view)


async def until(condition: Callable[[], bool], *, seconds: float = 20.0) -> None:
    """Wait until something is so."""
    try:
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"not within {seconds} s") from None


async def written(database: Database, expected: Sequence[str], *, seconds: float = 20.0) -> None:
    """Wait until exactly this was written down; keys may interleave, so the order is asserted by the caller."""
    await until(lambda: len(words(database)) >= len(expected), seconds=seconds)
    assert sorted(words(database)) == sorted(expected)


def starts(*, at: dict[Partition, int] | None = None) -> Positions:
    async def positions(partitions: object) -> dict[Partition, int]:
        return at or {}

    return positions


async def read_all(lane: "Lane", count: int) -> dict[Partition, list[Delivered]]:
    """Read a topic from the beginning as a group of its own."""
    subscription = await lane.bus.subscribe("reader", [TOPIC], starts())
    found: dict[Partition, list[Delivered]] = {}
    async with asyncio.timeout(20):
        while sum(map(len, found.values())) < count:
            for partition, delivered in (await subscription.poll(100, 0.2)).items():
                found.setdefault(partition, []).extend(delivered)
    await subscription.close()
    return found


@dataclass
class Running:
    """A relay or consumer and its task."""

    part: Relay | Consumer
    task: asyncio.Task[None]

    async def stop(self) -> None:
        self.part.stop()
        await asyncio.wait_for(self.task, 20)


@dataclass
class Lane:
    """One topic of six partitions, of its own for each test."""

    kind: str
    folder: Path
    kafka: KafkaServer | None = None
    prefix: str = field(default_factory=lambda: f"{uuid4().hex[:8]}.")
    partitions: int = 6

    def __post_init__(self) -> None:
        self._buses: list[Bus] = []
        self._databases: list[Database] = []
        self._running: list[Running] = []
        self._bus: Bus | None = None

    @property
    def bus(self) -> Bus:
        """The bus of this process."""
        if self._bus is None:
            self._bus = self.another_bus()
        return self._bus

    def another_bus(self) -> Bus:
        """The same topics through connections of its own, as another process would have."""
        topics = [Topic(TOPIC, self.partitions)]
        bus: Bus
        if self.kafka is not None:
            bus = KafkaBus(self.kafka.bootstrap, topics, topic_prefix=self.prefix, session_seconds=1.0)
        else:
            bus = LogBus(self.folder / "log.db", topics, member_seconds=1.0, glance_seconds=0.02)
        self._buses.append(bus)
        return bus

    def database(self, name: str, url: str = "") -> Database:
        database = Database(url or f"sqlite:///{self.folder}/{name}.db", metadata)
        database.upgrade()
        self._databases.append(database)
        return database

    def relay(self, database: Database, bus: Bus | None = None) -> Running:
        return self._run(Relay(database, bus or self.bus, "source"))

    def consumer(
        self,
        database: Database,
        hears: Mapping[type[Event], Callable[[Transaction, Any], None]] | None = None,
        *,
        bus: Bus | None = None,
        service: str = "sink",
        patience: Patience = HURRIED,
    ) -> Running:
        return self._run(Consumer(database, bus or self.bus, service, hears or HEARS, patience=patience))

    def _run(self, part: Relay | Consumer) -> Running:
        running = Running(part, asyncio.create_task(part.run()))
        self._running.append(running)
        return running

    async def publish(self, *messages: Message) -> None:
        """Put messages on the bus without any outbox."""
        for message in messages:
            await self.bus.publish(self.bus.partition_of(TOPIC, message.subject), [message])

    async def kill_broker(self) -> None:
        """Kafka: SIGKILL. Log: whatever ran on it ends, the file stays."""
        if self.kafka is not None:
            await asyncio.to_thread(self.kafka.kill)
            return
        await self._end_running()
        await self.bus.close()
        self._bus = None

    async def revive_broker(self) -> None:
        """Start it again on the same data."""
        if self.kafka is not None:
            await asyncio.to_thread(self.kafka.start)

    async def close(self) -> None:
        if self.kafka is not None:
            await asyncio.to_thread(self.kafka.start)
        await self._end_running()
        for bus in self._buses:
            await bus.close()
        for database in self._databases:
            database.dispose()

    async def _end_running(self) -> None:
        for running in self._running:
            running.part.stop()
        await asyncio.gather(*(running.task for running in self._running), return_exceptions=True)
        self._running.clear()
