"""The bus as an append-only log in one SQLite file: what a house in one process uses, with a broker's promises.

Durable before it is acknowledged, read by position, as often as wanted. Publishers of one process share commits. Who is
in which group is kept in a second file that may be thrown away; a member that gives no sign of life loses its
partitions.
"""

import asyncio
import json
import sqlite3
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar

from services.kit.clock import real_seconds
from services.kit.database import many_values
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
from services.kit.events.message import Message
from services.kit.ids import new_id

T = TypeVar("T")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS partition (
  id INTEGER PRIMARY KEY, topic TEXT NOT NULL, number INTEGER NOT NULL, next INTEGER NOT NULL, UNIQUE (topic, number)
);
CREATE TABLE IF NOT EXISTS entry (
  place INTEGER PRIMARY KEY, -- partition id and offset in one number: each partition lies together, in order
  id TEXT NOT NULL, type TEXT NOT NULL, source TEXT NOT NULL, subject TEXT NOT NULL, time TEXT NOT NULL,
  traceparent TEXT NOT NULL, data BLOB NOT NULL
);
"""
_MEMBERS_SCHEMA = """
CREATE TABLE IF NOT EXISTS member (
  name TEXT PRIMARY KEY, team TEXT NOT NULL, topics TEXT NOT NULL, alive_until REAL NOT NULL
) WITHOUT ROWID;
"""
_OFFSETS_PER_PARTITION = 1 << 40


def _connect(path: Path, *, synchronous: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False, cached_statements=64)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute(f"PRAGMA synchronous={synchronous}")
    connection.execute("PRAGMA wal_autocheckpoint=10000")
    return connection


class LogBus:
    """The embedded bus. Use it from one event loop."""

    def __init__(
        self, path: Path, topics: Sequence[Topic], *, member_seconds: float = 5.0, glance_seconds: float = 0.1
    ) -> None:
        """Open or make the log at `path`.

        A member is taken for dead after `member_seconds` without a sign of life. What other processes publish is seen
        after `glance_seconds` at the latest; what this one publishes, at once.
        """
        self.member_seconds = member_seconds
        self.glance_seconds = glance_seconds
        self.commits = 0
        """How many commits this bus has made so far; several batches may share one."""
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._writer = _connect(path, synchronous="FULL")
        self._writer.executescript(_SCHEMA)
        self._writer.executemany(
            "INSERT OR IGNORE INTO partition (topic, number, next) VALUES (?, ?, 0)",
            [(topic.name, number) for topic in topics for number in range(topic.partitions)],
        )
        rows = self._writer.execute("SELECT topic, number, id FROM partition ORDER BY topic, number").fetchall()
        wanted = {topic.name: topic.partitions for topic in topics}
        self._ids = {Partition(topic, number): row for topic, number, row in rows if number < wanted.get(topic, 0)}
        self._partitions = wanted
        self._members = _connect(path.with_name(f"{path.name}-members"), synchronous="OFF")
        self._members.executescript(_MEMBERS_SCHEMA)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="log-writer")
        self._unwritten: list[tuple[Partition, Sequence[Message], asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None
        self._subscriptions: set[_LogSubscription] = set()
        self._is_closed = False

    def partition_of(self, topic: str, key: str) -> Partition:
        """Return the partition that a key belongs to."""
        return Partition(topic, partition_number(key, self._partitions[topic]))

    async def publish(self, partition: Partition, messages: Sequence[Message]) -> None:
        """Append messages, with whatever else is waiting, in one durable commit."""
        if self._is_closed:
            raise BusAway("the log is closed")
        written = asyncio.get_running_loop().create_future()
        self._unwritten.append((partition, messages, written))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())
        await written

    async def _write(self) -> None:
        while self._unwritten:
            batches, self._unwritten = self._unwritten, []
            try:
                await self._in_thread(self._append, [(partition, messages) for partition, messages, _ in batches])
            except sqlite3.Error as error:
                failure = BusAway(f"the log cannot be written: {error}")
                for _, _, written in batches:
                    if not written.done():
                        written.set_exception(failure)
            else:
                for _, _, written in batches:
                    if not written.done():
                        written.set_result(None)
                for subscription in self._subscriptions:
                    subscription.wake()

    def _append(self, batches: Sequence[tuple[Partition, Sequence[Message]]]) -> None:
        self._writer.execute("BEGIN IMMEDIATE")
        try:
            ends = dict(self._writer.execute("SELECT id, next FROM partition"))
            rows = []
            for partition, messages in batches:
                row = self._ids[partition]
                place = row * _OFFSETS_PER_PARTITION + ends[row]
                ends[row] += len(messages)
                for message in messages:
                    rows.append(
                        (
                            place,
                            message.id,
                            message.type,
                            message.source,
                            message.subject,
                            message.time.isoformat(),
                            message.traceparent,
                            message.data,
                        )
                    )
                    place += 1
            for statement, values in many_values("INSERT INTO entry", rows):
                self._writer.execute(statement, values)
            touched = {self._ids[partition] for partition, _ in batches}
            self._writer.executemany(
                "UPDATE partition SET next = ? WHERE id = ?", [(ends[row], row) for row in touched]
            )
            self._writer.execute("COMMIT")
            self.commits += 1
        except BaseException:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            raise

    async def subscribe(self, group: str, topics: Collection[str], positions: Positions) -> Subscription:
        """Join a group."""
        partitions = {partition: row for partition, row in self._ids.items() if partition.topic in topics}
        subscription = _LogSubscription(self, self._path, group, partitions, positions)
        self._subscriptions.add(subscription)
        await subscription.join()
        return subscription

    async def ends(self, topics: Collection[str]) -> Mapping[Partition, int]:
        """Return the offset after the last message of each partition."""
        return await self._in_thread(self._ends, topics)

    def _ends(self, topics: Collection[str]) -> dict[Partition, int]:
        rows = self._writer.execute("SELECT topic, number, next FROM partition")
        ends = {Partition(topic, number): end for topic, number, end in rows}
        return {partition: ends[partition] for partition in self._ids if partition.topic in topics}

    def meet(self, name: str, group: str, topics: Collection[str]) -> Awaitable[list[tuple[str, list[str]]]]:
        """Give a sign of life as member `name`; return the living members of the group with their topics."""
        return self._in_thread(self._meet, name, group, topics)

    def _meet(self, name: str, group: str, topics: Collection[str]) -> list[tuple[str, list[str]]]:
        now = real_seconds()
        self._members.execute(
            "INSERT OR REPLACE INTO member VALUES (?, ?, ?, ?)",
            (name, group, json.dumps(sorted(topics)), now + self.member_seconds),
        )
        self._members.execute("DELETE FROM member WHERE alive_until < ?", (now,))
        rows = self._members.execute("SELECT name, topics FROM member WHERE team = ? ORDER BY name", (group,))
        return [(name, json.loads(topics)) for name, topics in rows]

    async def leave(self, subscription: "_LogSubscription") -> None:
        """Take a member off."""
        self._subscriptions.discard(subscription)
        await self._in_thread(self._members.execute, "DELETE FROM member WHERE name = ?", (subscription.name,))
        await self.meet_again(subscription.group)

    async def meet_again(self, group: str) -> None:
        """Let this process's members of a group notice at once that somebody came or went."""
        for other in tuple(self._subscriptions):
            if other.group == group:
                await other.meet()

    async def close(self) -> None:
        """Finish what is being written and close the files."""
        if self._is_closed:
            return
        self._is_closed = True
        for subscription in tuple(self._subscriptions):
            await subscription.close()
        if self._writing is not None:
            await self._writing
        await self._in_thread(self._writer.close)
        await self._in_thread(self._members.close)
        self._thread.shutdown()

    async def _in_thread(self, function: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)


class _LogSubscription:
    """One member of a group that reads the log."""

    def __init__(
        self, bus: LogBus, path: Path, group: str, partitions: Mapping[Partition, int], positions: Positions
    ) -> None:
        self.name = new_id()
        self.group = group
        self._bus = bus
        self._partitions = partitions
        self._topics = {partition.topic for partition in partitions}
        self._ask_positions = positions
        self._next: dict[Partition, int] = {}
        self._assigned: frozenset[Partition] = frozenset()
        self._is_placed = False
        self._paused: set[Partition] = set()
        self._first = 0
        self._reader = _connect(path, synchronous="FULL")
        self._reader.execute("PRAGMA query_only=ON")
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"{group}-log-reader")
        self._news = asyncio.Event()
        self._beating: asyncio.Task[None] | None = None

    def wake(self) -> None:
        """There is something new."""
        self._news.set()

    async def join(self) -> None:
        """Become a member."""
        await self._bus.meet(self.name, self.group, self._topics)
        await self._bus.meet_again(self.group)
        self._beating = asyncio.create_task(self._beat())

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._bus.member_seconds / 5)
            with suppress(sqlite3.Error):
                await self.meet()

    async def meet(self) -> None:
        """See who is there, and take the partitions that are this member's share."""
        members = await self._bus.meet(self.name, self.group, self._topics)
        share = []
        for topic in self._topics:
            readers = [name for name, topics in members if topic in topics]
            mine = [partition for partition in self._partitions if partition.topic == topic]
            share += [p for p in mine if readers and readers[p.number % len(readers)] == self.name]
        if frozenset(share) != self._assigned:
            self._assigned = frozenset(share)
            self._is_placed = False
            self._news.set()

    async def poll(self, limit: int, seconds: float) -> Mapping[Partition, Sequence[Delivered]]:
        """Return what is new."""
        until = monotonic() + seconds
        while True:
            self._news.clear()
            if not self._is_placed:
                await self._place()
            active = [
                (partition, self._partitions[partition], offset)
                for partition, offset in self._next.items()
                if partition not in self._paused
            ]
            try:
                found = await asyncio.get_running_loop().run_in_executor(self._thread, self._read, active, limit)
            except sqlite3.Error as error:
                raise BusAway(f"the log cannot be read: {error}") from error
            if not self._is_placed:
                continue
            for partition, delivered in found.items():
                self._next[partition] = delivered[-1].offset + 1
            left = until - monotonic()
            if found or left <= 0:
                return found
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), min(left, self._bus.glance_seconds))

    async def _place(self) -> None:
        assigned = self._assigned
        known = await self._ask_positions(assigned)
        if assigned == self._assigned:
            self._next = {partition: known.get(partition, 0) for partition in sorted(assigned)}
            self._paused.clear()
            self._is_placed = True

    def _read(self, active: Sequence[tuple[Partition, int, int]], limit: int) -> dict[Partition, list[Delivered]]:
        ends = dict(self._reader.execute("SELECT id, next FROM partition"))
        found: dict[Partition, list[Delivered]] = {}
        # Start with another partition each time, so that a full one does not keep the others waiting.
        self._first += 1
        turn = self._first % (len(active) or 1)
        for partition, row, offset in [*active[turn:], *active[:turn]]:
            if offset > ends[row]:
                raise HistoryLost(f"{partition} ends at {ends[row]}, but was read up to {offset}")
            if offset == ends[row] or limit <= 0:
                continue
            start = row * _OFFSETS_PER_PARTITION
            with closing(
                self._reader.execute(
                    "SELECT * FROM entry WHERE place >= ? AND place < ? ORDER BY place LIMIT ?",
                    (start + offset, start + _OFFSETS_PER_PARTITION, limit),
                )
            ) as rows:
                found[partition] = [
                    Delivered(
                        place - start,
                        Message(name, kind, source, subject, datetime.fromisoformat(time), data, traceparent),
                    )
                    for place, name, kind, source, subject, time, traceparent, data in rows.fetchall()
                ]
            limit -= len(found[partition])
        return found

    def pause(self, partition: Partition) -> None:
        """Give nothing of this partition for a while."""
        self._paused.add(partition)

    def resume(self, partition: Partition) -> None:
        """Give messages of this partition again."""
        self._paused.discard(partition)

    def seek(self, partition: Partition, offset: int) -> None:
        """Read on from `offset`."""
        if partition in self._next:
            self._next[partition] = offset

    async def commit(self, positions: Mapping[Partition, int]) -> None:
        """Do nothing: nobody but the groups themselves looks at this log."""

    async def close(self) -> None:
        """Leave the group."""
        if self._beating is not None:
            self._beating.cancel()
            with suppress(asyncio.CancelledError):
                await self._beating
            self._beating = None
            await self._bus.leave(self)
            self._thread.shutdown()
            self._reader.close()
