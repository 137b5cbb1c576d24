"""Outbox -> bus: in order, until told to stop, one relay per service by lease.

What is read is always the oldest that the bus has not acknowledged, so for each key the first copy of every message
reaches the bus in order, whatever fails in between and even if two relays overlap for a moment; later copies are
recognised by the readers.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from random import uniform
from time import monotonic
from typing import Any, TypeVar

from services.kit import leases, telemetry
from services.kit.database import Database, is_outage
from services.kit.events import outbox
from services.kit.events.bus import Bus, BusAway, Partition
from services.kit.events.outbox import Pending
from services.kit.failpoints import failpoint

log = logging.getLogger(__name__)
T = TypeVar("T")

BATCH = 500
_MOST_ROWS = 10_000
_IDLE_SECONDS = 0.05
_GRACE_SECONDS = 1.0
_LEASE_SECONDS = 10.0
_LONGEST_WAIT_SECONDS = 2.0


class Relay:
    """The relay of one service in this process; it works while it holds the lease."""

    def __init__(self, database: Database, bus: Bus, service: str) -> None:
        self._database = database
        self._bus = bus
        self._service = service
        self._holder = f"{service}-{id(self)}"
        self._stopping = False
        self._wake = asyncio.Event()
        self._sending: dict[Partition, asyncio.Task[list[int]]] = {}
        self._fresh: list[asyncio.Task[list[int]]] = []
        self._lease_until = 0.0
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"{service}-relay")

    async def run(self) -> None:
        """Relay until `stop`. Whatever fails is logged and tried again."""
        loop = asyncio.get_running_loop()

        def wake() -> None:
            with suppress(RuntimeError):  # the loop was closed meanwhile
                loop.call_soon_threadsafe(self._wake.set)

        outbox.listen(self._database, wake)
        failures = 0
        acknowledged: list[int] = []
        reach = BATCH
        try:
            while not self._stopping:
                self._wake.clear()
                try:
                    if not await self._lead():
                        await self._rest(_LEASE_SECONDS / 10)
                        continue
                    pending = await self._in_thread(self._advance, acknowledged, reach)
                    acknowledged = []
                    failures = 0
                    skipped = self._send_new(pending)
                    # Rows of a partition in trouble stay in front; look past them for those of the others.
                    reach = min(BATCH + skipped, _MOST_ROWS)
                    acknowledged = await self._acknowledged()
                    if not acknowledged:
                        await self._rest(_IDLE_SECONDS)
                except Exception as error:
                    failures += 1
                    log.warning(
                        "relay failed, to be tried again: %r",
                        error,
                        exc_info=not is_outage(error),
                        extra={"facts": {"service": self._service, "attempts": failures}},
                    )
                    await self._rest(_wait_seconds(failures))
        finally:
            outbox.unlisten(self._database, wake)
            await self._end(acknowledged)

    def stop(self) -> None:
        """End after what is under way."""
        self._stopping = True
        self._wake.set()

    async def _lead(self) -> bool:
        """Hold the lease; renew it when a third of it has passed."""
        now = monotonic()
        if now < self._lease_until - _LEASE_SECONDS * 2 / 3:
            return True
        is_held = await self._in_thread(self._take)
        self._lease_until = now + _LEASE_SECONDS if is_held else 0.0
        return is_held

    def _take(self) -> bool:
        return leases.take(self._database, "relay", seconds=_LEASE_SECONDS, holder=self._holder)

    def _advance(self, acknowledged: list[int], limit: int) -> list[Pending]:
        """Delete what the bus has, read what it has not."""
        if acknowledged:
            with self._database.transaction() as tx:
                outbox.forget(tx, acknowledged)
                failpoint("relay.before_delete_commit")
            failpoint("relay.after_delete")
        with self._database.view() as view:
            return outbox.pending(view, limit)

    def _send_new(self, pending: list[Pending]) -> int:
        """Send what belongs to partitions that nothing is being sent to; return how many messages must wait."""
        batches: dict[Partition, list[Pending]] = {}
        for item in pending:
            partition = self._bus.partition_of(item.message.topic, item.message.subject)
            batches.setdefault(partition, []).append(item)
        skipped = 0
        for partition, batch in batches.items():
            if partition in self._sending:
                skipped += len(batch)
            else:
                self._sending[partition] = asyncio.create_task(self._send(partition, batch))
                self._fresh.append(self._sending[partition])
        return skipped

    async def _send(self, partition: Partition, batch: list[Pending]) -> list[int]:
        """Publish one batch, the same one until the bus has it; return its numbers."""
        messages = [item.message for item in batch]
        failures = 0
        while True:
            failpoint("relay.before_publish")
            try:
                await self._bus.publish(partition, messages)
            except Exception as error:
                failures += 1
                telemetry.RELAY_FAILURES.labels(self._service, partition.topic).inc()
                log.warning(
                    "the bus did not take a batch: %s",
                    error,
                    exc_info=not isinstance(error, BusAway),
                    extra={"facts": {"service": self._service, "partition": partition, "attempts": failures}},
                )
                await asyncio.sleep(_wait_seconds(failures))
            else:
                telemetry.RELAYED.labels(self._service, partition.topic).inc(len(batch))
                return [item.seq for item in batch]

    async def _acknowledged(self) -> list[int]:
        """Wait for what is being sent, not long for partitions in trouble; return the numbers that arrived."""
        if self._fresh:
            await asyncio.wait(self._fresh, timeout=_GRACE_SECONDS)
            self._fresh.clear()
        done = [partition for partition, task in self._sending.items() if task.done()]
        numbers = [number for partition in done for number in self._sending.pop(partition).result()]
        if numbers:
            failpoint("relay.after_publish")
        return numbers

    async def _rest(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), seconds)

    async def _end(self, acknowledged: list[int]) -> None:
        for task in self._sending.values():
            task.cancel()
        await asyncio.gather(*self._sending.values(), return_exceptions=True)
        with suppress(Exception):  # the database is away: the lease runs out, what was sent is sent again
            await self._in_thread(self._give_up, acknowledged)
        self._thread.shutdown(wait=False)

    def _give_up(self, acknowledged: list[int]) -> None:
        self._advance(acknowledged, 0)
        leases.give_back(self._database, "relay", holder=self._holder)

    async def _in_thread(self, function: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)


def _wait_seconds(failures: int) -> float:
    """Return how long to wait after so many failures in a row: doubling, with jitter, up to a limit."""
    return min(_LONGEST_WAIT_SECONDS, 0.02 * 2.0 ** min(failures, 10)) * uniform(0.5, 1.0)  # noqa: S311 - only jitter
