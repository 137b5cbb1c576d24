"""What a service has read and what it had to set aside: positions, receipts and dead letters."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

from services.kit.database import BigId, UtcDateTime

_OFFSETS = Table(
    "consumer_offset",
    MetaData(),
    Column("topic", String(200), primary_key=True),
    Column("part", Integer, primary_key=True),
    Column("next", BigInteger, nullable=False),
)

_INBOX = Table(
    "inbox",
    MetaData(),
    Column("event_id", String(100), primary_key=True),
)

_DEAD_LETTERS = Table(
    "dead_letter",
    MetaData(),
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("topic", String(200), nullable=False),
    Column("part", Integer, nullable=False),
    Column("off", BigInteger, nullable=False),
    Column("key", String(200), nullable=False),
    Column("event_id", String(100), nullable=False),
    Column("type", String(200), nullable=False),
    Column("source", String(200), nullable=False),
    Column("time", UtcDateTime, nullable=False),
    Column("traceparent", String(200), nullable=False),
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
