"""The outbox: what a transaction says is kept beside what it did, and the relay fetches it from here.

Column names are those of Debezium's outbox router. Rows are deleted once the bus has acknowledged them.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import NamedTuple
from weakref import WeakKeyDictionary

from sqlalchemy import JSON, Column, LargeBinary, MetaData, String, Table, func, select, text
from sqlalchemy.dialects.postgresql import JSONB

from services.kit.clock import real_seconds
from services.kit.database import BigId, Database, Transaction, UtcDateTime, View, insert_all
from services.kit.events.message import LONGEST, LONGEST_ID, Message
from services.kit.failpoints import failpoint

LARGEST_BYTES = 512 * 1024

_OUTBOX = Table(
    "outbox",
    MetaData(),
    Column("seq", BigId, primary_key=True, autoincrement=True),
    Column("id", String(LONGEST_ID), nullable=False),
    Column("aggregatetype", String(LONGEST), nullable=False),  # the topic
    Column("aggregateid", String(LONGEST), nullable=False),  # the key
    Column("type", String(LONGEST), nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("headers", JSON().with_variant(JSONB, "postgresql"), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

_listeners: WeakKeyDictionary[Database, set[Callable[[], None]]] = WeakKeyDictionary()


def add_to(metadata: MetaData) -> None:
    """Add the outbox table."""
    _OUTBOX.to_metadata(metadata)


def add(tx: Transaction, message: Message) -> None:
    """Say `message` if and when `tx` commits. It is written just before the commit, in the order of the calls.

    Raises
    ------
    ValueError
        When it is larger than `LARGEST_BYTES`: a bus could refuse it for ever.
    """
    if len(message.data) > LARGEST_BYTES:
        raise ValueError(f"{message.type} of {len(message.data)} bytes; an event has at most {LARGEST_BYTES}")
    tx.gather(_write, message)


def _write(tx: Transaction, messages: list[Message]) -> None:
    now = datetime.fromtimestamp(real_seconds(), UTC).isoformat(timespec="microseconds")
    insert_all(
        tx,
        _OUTBOX,
        [
            (one.id, one.topic, one.subject, one.type, one.data, _headers(one.source, one.time, one.traceparent), now)
            for one in messages
        ],
    )
    tx.after_commit(partial(_committed, tx.database))
    failpoint("outbox.before_commit")


def _committed(database: Database) -> None:
    failpoint("outbox.after_commit")
    for wake in tuple(_listeners.get(database, ())):
        wake()


def listen(database: Database, wake: Callable[[], None]) -> None:
    """Call `wake`, from whatever thread, after each commit of this process that said something."""
    _listeners.setdefault(database, set()).add(wake)


def unlisten(database: Database, wake: Callable[[], None]) -> None:
    """Stop that."""
    _listeners.get(database, set()).discard(wake)


class Pending(NamedTuple):
    """A message that the bus has not acknowledged yet."""

    seq: int
    message: Message


def pending(view: View, limit: int) -> list[Pending]:
    """Return the oldest `limit` messages, in order.

    Always from the start: on PostgreSQL a lower number may be committed after a higher one was seen.
    """
    rows = view.execute(
        text(
            "SELECT seq, id, type, aggregateid, payload, CAST(headers AS TEXT) AS headers"
            " FROM outbox ORDER BY seq LIMIT :limit"
        ),
        {"limit": limit},
    )
    return [
        Pending(seq, _message(event_id, kind, subject, data, json.loads(headers)))
        for seq, event_id, kind, subject, data, headers in map(tuple, rows)
    ]


@lru_cache(maxsize=256)
def _headers(source: str, time: datetime, traceparent: str) -> str:
    # What is said together is mostly said by one service, of one instant, in one trace.
    return f'{{"source": {_quoted(source)}, "time": "{time.isoformat()}", "traceparent": {_quoted(traceparent)}}}'


@lru_cache(maxsize=256)
def _quoted(text: str) -> str:
    return json.dumps(text)


def _message(event_id: str, kind: str, subject: str, data: bytes, headers: Mapping[str, str]) -> Message:
    time = datetime.fromisoformat(headers["time"])
    return Message(event_id, kind, headers["source"], subject, time, data, headers["traceparent"])


def forget(tx: Transaction, seqs: Sequence[int]) -> None:
    """Delete the rows with these numbers: the bus has them."""
    first, last = min(seqs), max(seqs)
    if last - first + 1 == len(seqs):  # every number between them is among them: no other row can be
        tx.execute(text("DELETE FROM outbox WHERE seq BETWEEN :first AND :last"), {"first": first, "last": last})
    elif tx.dialect == "sqlite":
        numbers = {"seqs": json.dumps(seqs)}
        tx.execute(text("DELETE FROM outbox WHERE seq IN (SELECT value FROM json_each(:seqs))"), numbers)
    else:
        tx.execute(text("DELETE FROM outbox WHERE seq = ANY(:seqs)"), {"seqs": list(seqs)})


@dataclass(frozen=True)
class Backlog:
    """What waits to be relayed: how many, and the age of the oldest in seconds."""

    count: int
    oldest_seconds: float


def backlog(view: View) -> Backlog:
    """Return how much waits to be relayed."""
    row = view.execute(select(func.count().label("waiting"), func.min(_OUTBOX.c.created_at).label("oldest"))).one()
    return Backlog(row.waiting, max(0.0, real_seconds() - row.oldest.timestamp()) if row.oldest else 0.0)
