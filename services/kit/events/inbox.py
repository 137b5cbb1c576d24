"""What a service has read and what it had to set aside: positions, receipts and dead letters."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Row,
    String,
    Table,
    Text,
    bindparam,
    delete,
    func,
    insert,
    select,
    text,
    tuple_,
    update,
)

from services.kit.clock import real_seconds
from services.kit.database import BigId, Transaction, UtcDateTime, View, insert_all, insert_new
from services.kit.events.bus import Delivered, Partition
from services.kit.events.message import LONGEST, LONGEST_ID, Message

_OFFSETS = Table(
    "consumer_offset",
    MetaData(),
    Column("topic", String(LONGEST), primary_key=True),
    Column("part", Integer, primary_key=True),
    Column("next", BigInteger, nullable=False),
)

_INBOX = Table(
    "inbox",
    MetaData(),
    Column("event_id", String(LONGEST_ID), primary_key=True),
)

_DEAD_LETTERS = Table(
    "dead_letter",
    MetaData(),
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("topic", String(LONGEST), nullable=False),
    Column("part", Integer, nullable=False),
    Column("off", BigInteger, nullable=False),
    Column("key", String(LONGEST), nullable=False),
    Column("event_id", String(LONGEST_ID), nullable=False),
    Column("type", String(LONGEST), nullable=False),
    Column("source", String(LONGEST), nullable=False),
    Column("time", UtcDateTime, nullable=False),
    Column("traceparent", String(LONGEST), nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("is_parked", Boolean, nullable=False),
    Column("reason", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("first_seen", UtcDateTime, nullable=False),
    Index("dead_letter_by_key", "topic", "key", "id"),
)


def add_to(metadata: MetaData) -> None:
    """Add the three tables."""
    for table in (_OFFSETS, _INBOX, _DEAD_LETTERS):
        table.to_metadata(metadata)


@dataclass(frozen=True)
class DeadLetter:
    """An event that was set aside: refused, failing, unreadable, or (`is_parked`) waiting behind one of the same key.

    `reason` says what went wrong last; `attempts` counts the tries; `first_seen` is an aware instant of the real clock.
    """

    id: int
    partition: Partition
    offset: int
    message: Message
    is_parked: bool
    reason: str
    attempts: int
    first_seen: datetime


def positions(view: View) -> dict[Partition, int]:
    """Return where this service reads next, in each partition it has read from."""
    rows = view.execute(select(_OFFSETS))
    return {Partition(row.topic, row.part): row.next for row in rows}


def start(tx: Transaction, partitions: Collection[Partition]) -> None:
    """Make a position, the beginning, for each of these partitions that has none."""
    if partitions:
        insert_new(tx, _OFFSETS, [{"topic": topic, "part": number, "next": 0} for topic, number in partitions])


def lock(tx: Transaction, partitions: Collection[Partition]) -> dict[Partition, int]:
    """Return where this service reads next in these partitions; nobody else moves on in them until `tx` ends."""
    rows = tx.execute(
        select(_OFFSETS)
        .where(tuple_(_OFFSETS.c.topic, _OFFSETS.c.part).in_(list(partitions)))
        .order_by(_OFFSETS.c.topic, _OFFSETS.c.part)
        .with_for_update()
    )
    return {Partition(row.topic, row.part): row.next for row in rows}


def advance(tx: Transaction, positions: Mapping[Partition, int]) -> None:
    """Read on from these offsets."""
    tx.execute(
        update(_OFFSETS)
        .where(_OFFSETS.c.topic == bindparam("of_topic"), _OFFSETS.c.part == bindparam("of_part"))
        .values(next=bindparam("to")),
        [{"of_topic": topic, "of_part": number, "to": offset} for (topic, number), offset in positions.items()],
    )


def known(tx: Transaction, ids: Sequence[str]) -> set[str]:
    """Return those of the event ids that have a receipt."""
    if not ids:
        return set()
    if tx.dialect == "sqlite":
        statement = text("SELECT event_id FROM inbox WHERE event_id IN (SELECT value FROM json_each(:ids))")
        return set(tx.execute(statement, {"ids": json.dumps(ids)}).scalars())
    return set(tx.execute(text("SELECT event_id FROM inbox WHERE event_id = ANY(:ids)"), {"ids": list(ids)}).scalars())


def receive(tx: Transaction, ids: Sequence[str]) -> None:
    """Write a receipt for each of these event ids; none of them may have one."""
    insert_all(tx, _INBOX, [(event_id,) for event_id in ids])


def dead_keys(view: View) -> set[tuple[str, str]]:
    """Return topic and key of everything that has a dead letter."""
    rows = view.execute(select(_DEAD_LETTERS.c.topic, _DEAD_LETTERS.c.key).distinct())
    return {(row.topic, row.key) for row in rows}


def set_aside(
    tx: Transaction, partition: Partition, delivered: Delivered, *, is_parked: bool, reason: str, attempts: int
) -> None:
    """Keep an event as a dead letter."""
    message = delivered.message
    tx.execute(
        insert(_DEAD_LETTERS),
        {
            "topic": partition.topic,
            "part": partition.number,
            "off": delivered.offset,
            "key": message.subject,
            "event_id": message.id,
            "type": message.type,
            "source": message.source,
            "time": message.time,
            "traceparent": message.traceparent,
            "payload": message.data,
            "is_parked": is_parked,
            "reason": reason,
            "attempts": attempts,
            "first_seen": datetime.fromtimestamp(real_seconds(), UTC),
        },
    )


def dead_letters(view: View, *, limit: int = 1000) -> list[DeadLetter]:
    """Return the dead letters, oldest first."""
    return [_letter(row) for row in view.execute(select(_DEAD_LETTERS).order_by(_DEAD_LETTERS.c.id).limit(limit))]


def count_dead_letters(view: View) -> int:
    """Return how many dead letters there are, parked ones included."""
    number: int = view.execute(select(func.count()).select_from(_DEAD_LETTERS)).scalar_one()
    return number


def keys_of(view: View, ids: Collection[int] | None) -> list[tuple[Partition, str]]:
    """Return partition and key of these dead letters (None: of all), oldest first, each once."""
    chosen = select(_DEAD_LETTERS.c.topic, _DEAD_LETTERS.c.part, _DEAD_LETTERS.c.key).order_by(_DEAD_LETTERS.c.id)
    if ids is not None:
        chosen = chosen.where(_DEAD_LETTERS.c.id.in_(list(ids)))
    return list(dict.fromkeys((Partition(row.topic, row.part), row.key) for row in view.execute(chosen)))


def oldest_of_key(tx: Transaction, topic: str, key: str) -> DeadLetter | None:
    """Return the first dead letter of a key."""
    row = tx.execute(
        select(_DEAD_LETTERS)
        .where(_DEAD_LETTERS.c.topic == topic, _DEAD_LETTERS.c.key == key)
        .order_by(_DEAD_LETTERS.c.id)
        .limit(1)
        .with_for_update()
    ).one_or_none()
    return _letter(row) if row else None


def bury(tx: Transaction, letter: DeadLetter) -> None:
    """Delete a dead letter: its effect is in the same transaction."""
    tx.execute(delete(_DEAD_LETTERS).where(_DEAD_LETTERS.c.id == letter.id))


def still_dead(tx: Transaction, letter: DeadLetter, reason: str) -> None:
    """Note that a dead letter was tried again in vain."""
    tx.execute(
        update(_DEAD_LETTERS)
        .where(_DEAD_LETTERS.c.id == letter.id)
        .values(reason=reason, attempts=_DEAD_LETTERS.c.attempts + 1, is_parked=False)
    )


def _letter(row: Row[Any]) -> DeadLetter:
    return DeadLetter(
        id=row.id,
        partition=Partition(row.topic, row.part),
        offset=row.off,
        message=Message(row.event_id, row.type, row.source, row.key, row.time, row.payload, row.traceparent),
        is_parked=row.is_parked,
        reason=row.reason,
        attempts=row.attempts,
        first_seen=row.first_seen,
    )
