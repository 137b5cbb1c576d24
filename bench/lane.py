"""The event lane end to end beside raw inserts of the same rows, in one run: python -m bench.lane [--only sqlite].

One event end to end is: an outbox row in the producing service's transaction, a row of the log (or a Kafka record), a
receipt and an effect row in the reading service's transaction, and the outbox row gone. The raw line writes the same
rows, in transactions of the same size, with the drivers alone and nothing deleted: what the storage itself allows.
"""

import argparse
import asyncio
import json
import sqlite3
import statistics
import tempfile
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

import psycopg
from aiokafka import AIOKafkaProducer
from sqlalchemy import BigInteger, Column, MetaData, String, Table, func, select
from sqlalchemy.engine import make_url

from bench.machine import machine
from services.contracts.billing.v1 import events_pb2
from services.kit.database import Database, Transaction, insert_all
from services.kit.events import add_lane_tables, outbox
from services.kit.events.bus import Bus, Topic
from services.kit.events.consumer import Consumer
from services.kit.events.kafka import KafkaBus
from services.kit.events.log import LogBus
from services.kit.events.message import Message, said
from services.kit.events.relay import Relay

TOPIC = "billing.v1"
PARTITIONS = 6
BATCHES = (1, 50, 500)
EVENTS = {1: 400, 50: 5_000, 500: 20_000}
ROUNDS = 3

metadata = MetaData()
effect = Table("effect", metadata, Column("order_id", String(36), primary_key=True), Column("amount_cents", BigInteger))
add_lane_tables(metadata)


def messages(count: int) -> list[Message]:
    """Make events as billing says them."""
    now = datetime.now(UTC)
    made = []
    for number in range(count):
        order_id = str(uuid.uuid4())
        event = events_pb2.AmountHeld(order_id=order_id, contract_id=order_id, amount_cents=number, left_cents=number)
        made.append(said(event, source="/billing", subject=order_id, at=now))
    return made


def on_amount_held(tx: Transaction, event: events_pb2.AmountHeld) -> None:
    """The smallest handler that leaves an effect: one row, written with the others of its transaction."""
    tx.gather(_write_effects, (event.order_id, event.amount_cents))


def _write_effects(tx: Transaction, rows: list[tuple[str, int]]) -> None:
    insert_all(tx, effect, rows)


async def through_the_lane(said_by: Database, heard_by: Database, bus: Bus, events: list[Message], batch: int) -> float:
    """Return the seconds from the first transaction to the last effect, with relay and consumer running beside."""
    before = _effects(heard_by)
    relay = Relay(said_by, bus, "writer")
    consumer = Consumer(heard_by, bus, "reader", {events_pb2.AmountHeld: on_amount_held})
    tasks = [asyncio.create_task(relay.run()), asyncio.create_task(consumer.run())]
    await asyncio.sleep(1.5)

    def say() -> None:
        for start in range(0, len(events), batch):
            with said_by.transaction() as tx:
                for message in events[start : start + batch]:
                    outbox.add(tx, message)

    began = perf_counter()
    await asyncio.to_thread(say)
    while await asyncio.to_thread(_effects, heard_by) < before + len(events):  # noqa: ASYNC110 - watched from outside
        await asyncio.sleep(0.002)
    seconds = perf_counter() - began
    relay.stop()
    consumer.stop()
    for task in tasks:
        with suppress(asyncio.CancelledError):
            await task
    return seconds


def _effects(database: Database) -> int:
    with database.view() as view:
        return int(view.execute(select(func.count()).select_from(effect)).scalar_one())


def raw_sqlite(folder: Path, events: list[Message], batch: int) -> float:
    """Return the seconds that sqlite3 alone needs for the same rows in three files."""
    outboxes, log, inboxes = (_raw_file(folder / f"raw-{uuid.uuid4().hex}.db") for _ in range(3))
    outboxes.execute(
        "CREATE TABLE outbox (seq INTEGER PRIMARY KEY, id, topic, key, type, payload, headers, created_at)"
    )
    log.execute(
        "CREATE TABLE log (topic, part, off, id, key, type, headers, payload, PRIMARY KEY (topic, part, off))"
        " WITHOUT ROWID"
    )
    inboxes.execute("CREATE TABLE inbox (id TEXT PRIMARY KEY, seen_at) WITHOUT ROWID")
    inboxes.execute("CREATE TABLE effect (order_id TEXT PRIMARY KEY, amount_cents INTEGER)")
    began = perf_counter()
    for start in range(0, len(events), batch):
        part = events[start : start + batch]
        _raw_insert(
            outboxes,
            "INSERT INTO outbox (id, topic, key, type, payload, headers, created_at) VALUES (?,?,?,?,?,?,?)",
            [(m.id, m.topic, m.subject, m.type, m.data, _headers(m), m.time.isoformat()) for m in part],
        )
        _raw_insert(
            log,
            "INSERT INTO log VALUES (?,?,?,?,?,?,?,?)",
            [
                (m.topic, n % PARTITIONS, start + n, m.id, m.subject, m.type, _headers(m), m.data)
                for n, m in enumerate(part)
            ],
        )
        inboxes.execute("BEGIN IMMEDIATE")
        inboxes.executemany("INSERT INTO inbox VALUES (?,?)", [(m.id, m.time.isoformat()) for m in part])
        inboxes.executemany("INSERT INTO effect VALUES (?,?)", [(m.subject, n) for n, m in enumerate(part)])
        inboxes.execute("COMMIT")
    return perf_counter() - began


def _raw_file(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA wal_autocheckpoint=10000")
    return connection


def _raw_insert(connection: sqlite3.Connection, statement: str, rows: list[tuple[object, ...]]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany(statement, rows)
    connection.execute("COMMIT")


def _headers(message: Message) -> str:
    return json.dumps({"source": message.source, "time": message.time.isoformat(), "traceparent": ""})


async def raw_postgres(
    said_url: str, heard_url: str, bootstrap: str, topic: str, events: list[Message], batch: int
) -> float:
    """Return the seconds that psycopg and aiokafka alone need for the same rows and records."""
    with psycopg.connect(said_url) as said_by, psycopg.connect(heard_url) as heard_by:
        said_by.execute(
            "CREATE TABLE IF NOT EXISTS raw_outbox (seq bigint generated always as identity primary key, id text,"
            " topic text, key text, type text, payload bytea, headers jsonb, created_at timestamptz)"
        )
        heard_by.execute("CREATE TABLE IF NOT EXISTS raw_inbox (id text primary key, seen_at timestamptz)")
        heard_by.execute("CREATE TABLE IF NOT EXISTS raw_effect (order_id text primary key, amount_cents bigint)")
        said_by.commit()
        heard_by.commit()
        producer = AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True)
        await producer.start()
        try:
            began = perf_counter()
            for start in range(0, len(events), batch):
                part = events[start : start + batch]
                with said_by.cursor() as cursor:
                    cursor.executemany(
                        "INSERT INTO raw_outbox (id, topic, key, type, payload, headers, created_at)"
                        " VALUES (%s,%s,%s,%s,%s,%s,%s)",
                        [(m.id, m.topic, m.subject, m.type, m.data, _headers(m), m.time) for m in part],
                    )
                said_by.commit()
                sent = [await producer.send(topic, m.data, key=m.subject.encode(), headers=m.headers()) for m in part]
                await asyncio.gather(*sent)
                with heard_by.cursor() as cursor:
                    cursor.executemany("INSERT INTO raw_inbox VALUES (%s,%s)", [(m.id, m.time) for m in part])
                    cursor.executemany(
                        "INSERT INTO raw_effect VALUES (%s,%s)", [(m.subject, n) for n, m in enumerate(part)]
                    )
                heard_by.commit()
            return perf_counter() - began
        finally:
            await producer.stop()


async def measure(
    name: str,
    lane: Callable[[list[Message], int], Awaitable[float]],
    raw: Callable[[list[Message], int], Awaitable[float]],
) -> None:
    """Print a row per batch size: raw and lane in turn, medians, and the ratio pair by pair."""
    print(f"\n{name} ({machine()}; median of {ROUNDS} pairs)")
    print(f"{'batch':>6} {'raw /s':>10} {'lane /s':>10} {'lane/raw':>9}")
    for batch in BATCHES:
        pairs = []
        for _ in range(ROUNDS):
            count = EVENTS[batch]
            raw_seconds = await raw(messages(count), batch)
            lane_seconds = await lane(messages(count), batch)
            pairs.append((count / raw_seconds, count / lane_seconds))
        ratio = statistics.median(lane_rate / raw_rate for raw_rate, lane_rate in pairs)
        print(
            f"{batch:>6} {statistics.median(pair[0] for pair in pairs):>10.0f}"
            f" {statistics.median(pair[1] for pair in pairs):>10.0f} {ratio:>9.2f}"
        )


@asynccontextmanager
async def sqlite_house(folder: Path) -> AsyncIterator[tuple[Database, Database, Bus]]:
    """Two SQLite databases and the embedded log."""
    said_by = Database(f"sqlite:///{folder}/writer.db", metadata)
    heard_by = Database(f"sqlite:///{folder}/reader.db", metadata)
    said_by.upgrade()
    heard_by.upgrade()
    bus = LogBus(folder / "log.db", [Topic(TOPIC, PARTITIONS)])
    yield said_by, heard_by, bus
    await bus.close()
    said_by.dispose()
    heard_by.dispose()


async def measure_sqlite() -> None:
    """SQLite and the embedded log."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with sqlite_house(folder) as (said_by, heard_by, bus):

            async def lane(events: list[Message], batch: int) -> float:
                return await through_the_lane(said_by, heard_by, bus, events, batch)

            async def raw(events: list[Message], batch: int) -> float:
                return await asyncio.to_thread(raw_sqlite, folder, events, batch)

            await measure("SQLite, embedded log", lane, raw)


async def measure_postgres() -> None:
    """PostgreSQL and Kafka, real ones, found or fetched and started here."""
    from tests.servers.kafka import KafkaServer
    from tests.servers.postgres import PostgresServer

    with KafkaServer() as kafka, PostgresServer() as postgres:
        urls = [postgres.create_database(), postgres.create_database()]
        said_by, heard_by = (Database(url, metadata) for url in urls)
        said_by.upgrade()
        heard_by.upgrade()
        prefix = f"bench-{uuid.uuid4().hex[:8]}-"
        bus = KafkaBus(kafka.bootstrap, [Topic(TOPIC, PARTITIONS), Topic("raw", PARTITIONS)], topic_prefix=prefix)
        plain = [make_url(url).set(drivername="postgresql").render_as_string(hide_password=False) for url in urls]

        async def lane(events: list[Message], batch: int) -> float:
            return await through_the_lane(said_by, heard_by, bus, events, batch)

        async def raw(events: list[Message], batch: int) -> float:
            await bus.ends([TOPIC])  # the topics exist now
            return await raw_postgres(plain[0], plain[1], kafka.bootstrap, f"{prefix}raw", events, batch)

        await measure(f"{postgres.description}, {kafka.description}", lane, raw)
        await bus.close()


def main() -> None:
    """Measure what is named, both by default."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=["sqlite", "postgres"])
    only = parser.parse_args().only
    if only != "postgres":
        asyncio.run(measure_sqlite())
    if only != "sqlite":
        asyncio.run(measure_postgres())


if __name__ == "__main__":
    main()
