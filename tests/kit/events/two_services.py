"""Two small services and the lane between them, as a program that can be killed anywhere and started again.

`source` says numbered words; `sink` writes each down and answers with its number; `source` writes the answers down. It
ends when `source` has every answer. Run as `python -m tests.kit.events.two_services SETTINGS`, with JSON settings:
`source` and `sink` (database URLs), `log` (a path) or `kafka` (host:port) with `prefix`, and `events`, how many.
"""

import asyncio
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from google.protobuf.wrappers_pb2 import Int64Value, StringValue
from sqlalchemy import Column, Integer, MetaData, String, Table, func, insert, select

from services.kit.database import BigId, Database, Transaction
from services.kit.events import add_lane_tables, outbox
from services.kit.events.bus import Bus, Topic
from services.kit.events.consumer import Consumer
from services.kit.events.kafka import KafkaBus
from services.kit.events.log import LogBus
from services.kit.events.message import said
from services.kit.events.relay import Relay

KEYS = ("a", "b", "c")
TOPIC = Topic("google.protobuf", 6)

metadata = MetaData()
add_lane_tables(metadata)
told = Table("told", metadata, Column("number", Integer, primary_key=True))
# No uniqueness but that of the row itself: a doubled effect must show.
written = Table("written", metadata, Column("row", BigId, primary_key=True), Column("word", String(100)))
answers = Table("answers", metadata, Column("row", BigId, primary_key=True), Column("number", Integer))


@dataclass(frozen=True)
class Settings:
    """Where everything is."""

    source: str
    sink: str
    events: int
    log: str = ""
    kafka: str = ""
    prefix: str = ""

    def text(self) -> str:
        return json.dumps(asdict(self))

    def bus(self) -> Bus:
        if self.kafka:
            return KafkaBus(self.kafka, [TOPIC], topic_prefix=self.prefix, session_seconds=1.0)
        return LogBus(Path(self.log), [TOPIC], member_seconds=1.0)


def key_of(number: int) -> str:
    """Return the key of an event."""
    return KEYS[number % len(KEYS)]


def write_down(tx: Transaction, event: StringValue) -> None:
    """Sink: keep the word, answer with its number."""
    tx.execute(insert(written).values(word=event.value))
    number = int(event.value.partition(" ")[2])
    answer = said(Int64Value(value=number), source="/sink", subject=key_of(number), at=datetime.now(UTC))
    outbox.add(tx, answer)


def hear_answer(tx: Transaction, event: Int64Value) -> None:
    """Source: keep the answer."""
    tx.execute(insert(answers).values(number=event.value))


def tell(database: Database, events: int) -> None:
    """Source: say what has not been said yet, in transactions of three."""
    with database.view() as view:
        number = view.execute(select(func.count()).select_from(told)).scalar_one()
    while number < events:
        with database.transaction() as tx:
            for _ in range(min(3, events - number)):
                tx.execute(insert(told).values(number=number))
                word = StringValue(value=f"word {number}")
                outbox.add(tx, said(word, source="/source", subject=key_of(number), at=datetime.now(UTC)))
                number += 1


def rows(database: Database, table: Table) -> list[Mapping[str, object]]:
    """Return a table in the order in which it was written."""
    with database.view() as view:
        return [dict(row) for row in view.execute(select(table).order_by(*table.primary_key)).mappings()]


async def main(settings: Settings) -> None:
    """Run both services until every answer has been heard."""
    source, sink = Database(settings.source, metadata), Database(settings.sink, metadata)
    source.upgrade()
    sink.upgrade()
    bus = settings.bus()
    lanes: list[Relay | Consumer] = [
        Relay(source, bus, "source"),
        Consumer(source, bus, "source", {Int64Value: hear_answer}),
        Relay(sink, bus, "sink"),
        Consumer(sink, bus, "sink", {StringValue: write_down}),
    ]
    tasks = [asyncio.create_task(lane.run()) for lane in lanes]
    await asyncio.to_thread(tell, source, settings.events)
    while len(rows(source, answers)) < settings.events:  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    for lane in lanes:
        lane.stop()
    await asyncio.gather(*tasks)
    await bus.close()
    source.dispose()
    sink.dispose()


if __name__ == "__main__":
    asyncio.run(main(Settings(**json.loads(sys.argv[1]))))
