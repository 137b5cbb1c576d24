"""Bus -> handler: receipt, effect and position in one transaction; what cannot be handled goes aside with its reason.

As much as was read is handled in one transaction. If anything in it fails, it is rolled back and the message that
failed is tried alone, in a transaction of its own, before anything is decided about it:

- refused (`DomainError`) or unreadable: a dead letter at once; it would be refused again;
- `NotYet`: its partition waits, the others go on, until a patient limit;
- any other exception: its partition waits and it is tried again, a limited number of times;
- a database that is away: everything waits, for ever.

Behind a dead letter, later events of the same topic and key are parked, so that `replay_dead_letters` can give them in
order. Everything else flows.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from random import uniform
from time import monotonic, sleep
from typing import Any, TypeVar

from google.protobuf.message import DecodeError
from google.protobuf.message import Message as Event

from services.kit import telemetry
from services.kit.database import Database, Transaction, is_outage
from services.kit.errors import DomainError, NotYet, Refusals
from services.kit.events import inbox, outbox
from services.kit.events.bus import Bus, BusAway, Delivered, HistoryLost, Partition, Subscription
from services.kit.events.message import Message
from services.kit.failpoints import failpoint

log = logging.getLogger(__name__)
T = TypeVar("T")

Handler = Callable[[Transaction, Any], None]
Hears = Mapping[type[Event], Handler]

BATCH = 500
_LONGEST_REASON = 2000
_BREATH_SECONDS = 0.001
"""Between two transactions of one batch: long enough for a writer who waits for the same database to get in."""


@dataclass(frozen=True)
class Patience:
    """How long the consumer keeps trying.

    An event that came before the fact it needs is tried for `not_yet_seconds`; one whose handler fails, `attempts`
    times; the waits between start at `first_wait_seconds` and double up to `longest_wait_seconds`. A transaction that
    takes longer than `slice_seconds` ends early, so that others can write too.
    """

    not_yet_seconds: float = 600.0
    attempts: int = 8
    first_wait_seconds: float = 0.02
    longest_wait_seconds: float = 5.0
    longest_not_yet_wait_seconds: float = 0.5
    slice_seconds: float = 0.05

    def wait_seconds(self, failures: int, longest: float) -> float:
        """Return how long to wait after so many failures in a row, with jitter."""
        return min(longest, self.first_wait_seconds * 2.0 ** min(failures - 1, 20)) * uniform(0.5, 1.0)  # noqa: S311


class Unreadable(DomainError):
    """What came is not an event that this house can read."""

    code = "unreadable-event"
    title = "Événement illisible"


class _Failed(Exception):
    """A message could not be handled; its transaction was rolled back. The cause says why."""

    def __init__(self, partition: Partition, index: int) -> None:
        super().__init__()
        self.partition = partition
        self.index = index


class _Overtaken(Exception):
    """Somebody else has read on in a partition; its transaction was rolled back."""

    def __init__(self, partition: Partition, position: int) -> None:
        super().__init__()
        self.partition = partition
        self.position = position


@dataclass
class _Held:
    """Messages of one partition that wait for another try of the first of them."""

    messages: Sequence[Delivered]
    failures: int
    since: float
    due: float
    is_early: bool = False


@dataclass
class _Outcome:
    """What came of a batch: where each partition reads on, what waits, what must be read elsewhere."""

    positions: dict[Partition, int] = field(default_factory=dict)
    held: dict[Partition, _Held] = field(default_factory=dict)
    seek: dict[Partition, int] = field(default_factory=dict)


class Dispatch:
    """Which handler an event is for."""

    def __init__(self, hears: Hears) -> None:
        self._handlers = {event.DESCRIPTOR.full_name: (event, handler) for event, handler in hears.items()}

    @property
    def topics(self) -> list[str]:
        """The topics these events come in."""
        return sorted({name.rpartition(".")[0] for name in self._handlers})

    def hears(self, message: Message) -> bool:
        """Return whether somebody must look at it; unreadable ones too."""
        return message.type in self._handlers or not message.type

    def handle(self, tx: Transaction, message: Message) -> None:
        """Give an event to its handler. Raises Unreadable, and what the handler raises."""
        if not message.type:
            raise Unreadable("Le message n'a pas les en-têtes d'un événement.")
        kind, handler = self._handlers[message.type]
        try:
            event = kind.FromString(message.data)
        except DecodeError as error:
            raise Unreadable(f"Le contenu n'est pas un « {message.type} » : {error}.") from error
        telemetry.now_about(message_id=message.id, traceparent=message.traceparent)
        handler(tx, event)


class Consumer:
    """The consumer of one service in this process: a member of the service's group."""

    def __init__(
        self, database: Database, bus: Bus, service: str, hears: Hears, *, patience: Patience | None = None
    ) -> None:
        self._database = database
        self._bus = bus
        self._service = service
        self._dispatch = Dispatch(hears)
        self._patience = patience or Patience()
        self._held: dict[Partition, _Held] = {}
        self._is_stopping = asyncio.Event()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"{service}-consumer")
        self.stopped_because = ""
        """Why this consumer gave up for good; empty while all is well."""

    async def run(self) -> None:
        """Consume until `stop`, or until the bus has lost history. Whatever else fails is logged and tried again."""
        telemetry.LANE_STOPPED.labels(self._service).set(0)
        if not self._dispatch.topics:
            await self._is_stopping.wait()
        failures = 0
        subscription: Subscription | None = None
        try:
            while not self._is_stopping.is_set():
                try:
                    if subscription is None:
                        subscription = await self._bus.subscribe(self._service, self._dispatch.topics, self._positions)
                    await self._round(subscription)
                    failures = 0
                except HistoryLost as lost:
                    self.stopped_because = str(lost)
                    telemetry.LANE_STOPPED.labels(self._service).set(1)
                    log.critical("consumer stopped: %s", lost, extra={"facts": {"service": self._service}})
                    return
                except Exception as error:
                    failures += 1
                    log.warning(
                        "consumer failed, to be tried again: %r",
                        error,
                        exc_info=not (isinstance(error, BusAway) or is_outage(error)),
                        extra={"facts": {"service": self._service, "attempts": failures}},
                    )
                    await self._sleep(self._patience.wait_seconds(failures, self._patience.longest_wait_seconds))
        finally:
            if subscription is not None:
                await subscription.close()
            self._thread.shutdown(wait=False)

    def stop(self) -> None:
        """End after the batch in hand."""
        self._is_stopping.set()

    async def _round(self, subscription: Subscription) -> None:
        """Poll once and handle what came, together with what is due again."""
        now = monotonic()
        due = {partition: held for partition, held in self._held.items() if held.due <= now}
        wait = 0.0 if due else min([0.2, *(held.due - now for held in self._held.values())])
        polled = await subscription.poll(BATCH, wait)
        # A new assignment lets go of everything in hand: it is all read again.
        due = {partition: held for partition, held in due.items() if partition in self._held}
        batches = {**{partition: held.messages for partition, held in due.items()}, **polled}
        if not batches:
            return
        try:
            outcome = await self._in_thread(self._work, batches, due)
        except BaseException:
            for partition, batch in polled.items():
                subscription.seek(partition, batch[0].offset)
            raise
        for partition in due:
            del self._held[partition]
            if partition not in outcome.held:
                subscription.resume(partition)
        for partition, held in outcome.held.items():
            self._held[partition] = held
            subscription.pause(partition)
        for partition, position in outcome.seek.items():
            subscription.seek(partition, position)
        if outcome.positions:
            self._hurry()
            await subscription.commit(outcome.positions)
            failpoint("consumer.after_bus_commit")

    def _hurry(self) -> None:
        """Something was handled: perhaps what others waited for."""
        soon = monotonic() + self._patience.first_wait_seconds
        for held in self._held.values():
            if held.is_early:
                held.due = min(held.due, soon)

    async def _positions(self, partitions: Collection[Partition]) -> Mapping[Partition, int]:
        """Answer the bus where to read; partitions that were never read from start at their beginning."""
        self._held.clear()
        return await self._in_thread(self._start, partitions)

    def _start(self, partitions: Collection[Partition]) -> Mapping[Partition, int]:
        with self._database.view() as view:
            known = inbox.positions(view)
        new = [partition for partition in partitions if partition not in known]
        if new:
            with self._database.transaction() as tx:
                inbox.start(tx, new)
        return {partition: known[partition] for partition in partitions if known.get(partition)}

    # -- in the thread ------------------------------------------------------------------------------------------------

    def _work(self, batches: Mapping[Partition, Sequence[Delivered]], due: Mapping[Partition, _Held]) -> _Outcome:
        """Handle as much as can be handled now."""
        with telemetry.about():
            return self._handle_in_turns(batches, due)

    def _handle_in_turns(
        self, batches: Mapping[Partition, Sequence[Delivered]], due: Mapping[Partition, _Held]
    ) -> _Outcome:
        waiting = {partition: list(messages) for partition, messages in batches.items()}
        outcome = _Outcome()
        next_turn: dict[Partition, list[Delivered]] | None = None
        while waiting:
            turn = next_turn or waiting
            next_turn = None
            try:
                handled = self._commit(turn)
            except _Overtaken as overtaken:
                del waiting[overtaken.partition]
                outcome.seek[overtaken.partition] = overtaken.position
                continue
            except _Failed as failed:
                partition, index = failed.partition, failed.index
                assert failed.__cause__ is not None
                if is_outage(failed.__cause__):
                    self._hold_all(waiting, due, outcome, failed.__cause__)
                    break
                if len(turn) > 1 or len(turn[partition]) > 1:
                    # What comes before it goes ahead without it; then it is tried alone.
                    next_turn = {partition: waiting[partition][: index or 1]}
                    waiting = {partition: waiting.pop(partition), **waiting}
                    continue
                held = self._judge(partition, waiting[partition], failed.__cause__, due.get(partition))
                if held is not None:
                    outcome.held[partition] = held
                    del waiting[partition]
                    continue
                handled = {partition: 1}
            except Exception as error:
                if not is_outage(error):
                    raise
                self._hold_all(waiting, due, outcome, error)
                break
            for partition, count in handled.items():
                outcome.positions[partition] = waiting[partition][count - 1].offset + 1
                del waiting[partition][:count]
                if not waiting[partition]:
                    del waiting[partition]
            if waiting:
                sleep(_BREATH_SECONDS)
        return outcome

    def _commit(self, batches: Mapping[Partition, Sequence[Delivered]]) -> dict[Partition, int]:
        """Handle a batch in one transaction, or the part of it that fits in a slice; return how many of each.

        Raises
        ------
        _Failed
            When a message could not be handled. Where the database refuses at the commit what handlers had left for
            it, nobody knows which message it was: half of a partition's batch is named, so that trying again finds it.
        _Overtaken
            When somebody else has read on.
        """
        try:
            return self._commit_all(batches)
        except (_Failed, _Overtaken):
            raise
        except Exception as error:
            if is_outage(error):
                raise
            partition = max(batches, key=lambda one: len(batches[one]))
            raise _Failed(partition, len(batches[partition]) // 2) from error

    def _commit_all(self, batches: Mapping[Partition, Sequence[Delivered]]) -> dict[Partition, int]:
        handled: dict[Partition, int] = {}
        repeated = 0
        with self._database.transaction() as tx:
            self._check(batches, inbox.lock(tx, batches.keys()))
            heard = [one.message.id for batch in batches.values() for one in batch if self._dispatch.hears(one.message)]
            receipts = inbox.known(tx, heard)
            dead = inbox.dead_keys(tx)
            fresh: list[str] = []
            until = monotonic() + self._patience.slice_seconds
            for partition, index, delivered in _each(batches):
                message = delivered.message
                handled[partition] = index + 1
                if not self._dispatch.hears(message):
                    continue
                if message.id in receipts:
                    repeated += 1
                    continue
                receipts.add(message.id)
                fresh.append(message.id)
                if (partition.topic, message.subject) in dead:
                    inbox.set_aside(tx, partition, delivered, is_parked=True, reason="", attempts=0)
                    telemetry.DEAD.labels(self._service, partition.topic).inc()
                    continue
                failpoint("consumer.before_handler")
                try:
                    self._dispatch.handle(tx, message)
                except Exception as error:
                    raise _Failed(partition, index) from error
                if monotonic() > until:
                    break
            inbox.receive(tx, fresh)
            self._advance(tx, batches, handled)
            failpoint("consumer.before_commit")
        failpoint("consumer.after_commit")
        for partition, count in handled.items():
            telemetry.HANDLED.labels(self._service, partition.topic).inc(count)
        return handled

    def _check(self, batches: Mapping[Partition, Sequence[Delivered]], positions: Mapping[Partition, int]) -> None:
        for partition, batch in batches.items():
            if positions[partition] > batch[0].offset:
                raise _Overtaken(partition, positions[partition])

    def _advance(
        self, tx: Transaction, batches: Mapping[Partition, Sequence[Delivered]], handled: Mapping[Partition, int]
    ) -> None:
        inbox.advance(tx, {partition: batches[partition][count - 1].offset + 1 for partition, count in handled.items()})

    def _judge(
        self, partition: Partition, messages: Sequence[Delivered], cause: BaseException, before: _Held | None
    ) -> _Held | None:
        """Decide about a message that failed alone: hold its partition for another try, or set it aside (None)."""
        now = monotonic()
        is_same = before is not None and before.messages[0].offset == messages[0].offset
        failures = before.failures + 1 if before and is_same else 1
        since = before.since if before and is_same else now
        message = messages[0].message
        facts = {"service": self._service, "partition": partition, "message_id": message.id, "type": message.type}
        if isinstance(cause, NotYet) and now - since < self._patience.not_yet_seconds:
            telemetry.RETRIED.labels(self._service, partition.topic, "not-yet").inc()
            wait = self._patience.wait_seconds(failures, self._patience.longest_not_yet_wait_seconds)
            return _Held(messages, failures, since, now + wait, is_early=True)
        if not isinstance(cause, NotYet | DomainError) and failures < self._patience.attempts:
            telemetry.RETRIED.labels(self._service, partition.topic, "failed").inc()
            log.warning("event failed, to be tried again: %r", cause, exc_info=cause, extra={"facts": facts})
            wait = self._patience.wait_seconds(failures, self._patience.longest_wait_seconds)
            return _Held(messages, failures, since, now + wait)
        reason = reason_of(cause)
        with self._database.transaction() as tx:
            self._check({partition: messages}, inbox.lock(tx, [partition]))
            inbox.receive(tx, [message.id])
            inbox.set_aside(tx, partition, messages[0], is_parked=False, reason=reason, attempts=failures)
            self._advance(tx, {partition: messages}, {partition: 1})
        telemetry.DEAD.labels(self._service, partition.topic).inc()
        log.error("event set aside: %s", reason, extra={"facts": facts})
        return None

    def _hold_all(
        self,
        waiting: Mapping[Partition, Sequence[Delivered]],
        due: Mapping[Partition, _Held],
        outcome: _Outcome,
        error: BaseException,
    ) -> None:
        """The database is away: keep everything and try again later, as often as it takes."""
        failures = 1 + max((due[partition].failures for partition in waiting if partition in due), default=0)
        wait = self._patience.wait_seconds(failures, self._patience.longest_wait_seconds)
        log.warning("the database is away, trying again in %.2f s: %s", wait, error)
        now = monotonic()
        for partition, messages in waiting.items():
            telemetry.RETRIED.labels(self._service, partition.topic, "outage").inc()
            outcome.held[partition] = _Held(messages, failures, now, now + wait)

    async def _sleep(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._is_stopping.wait(), seconds)

    async def _in_thread(self, function: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)


def _each(batches: Mapping[Partition, Sequence[Delivered]]) -> Iterable[tuple[Partition, int, Delivered]]:
    for partition, batch in batches.items():
        for index, delivered in enumerate(batch):
            yield partition, index, delivered


def reason_of(error: BaseException) -> str:
    """Return what an operator needs to read about an error."""
    if isinstance(error, Refusals):
        reason = " / ".join(reason_of(one) for one in error.errors)
    elif isinstance(error, DomainError):
        reason = f"{error.code}: {error.detail}"
    else:
        reason = f"{type(error).__name__}: {error}"
    return reason.replace("\0", "")[:_LONGEST_REASON]


@dataclass(frozen=True)
class Replay:
    """What came of a replay: how many dead letters took effect, how many are still there."""

    replayed: int
    still_dead: int


def replay_dead_letters(database: Database, hears: Hears, ids: Collection[int] | None = None) -> Replay:
    """Give the keys of these dead letters (None: of all) their events again, in order, each once.

    A key stops at the first event that fails again; its reason is noted, the other keys go on.
    """
    dispatch = Dispatch(hears)
    replayed = 0
    with database.view() as view:
        keys = inbox.keys_of(view, ids)
    for partition, key in keys:
        while _replay_one(database, dispatch, partition, key):
            replayed += 1
    with database.view() as view:
        return Replay(replayed, inbox.count_dead_letters(view))


def _replay_one(database: Database, dispatch: Dispatch, partition: Partition, key: str) -> bool:
    """Replay the oldest dead letter of a key; return whether it took effect."""
    letter: inbox.DeadLetter | None = None
    try:
        with telemetry.about(), database.transaction() as tx:
            inbox.lock(tx, [partition])  # the consumer parks nothing behind it meanwhile
            letter = inbox.oldest_of_key(tx, partition.topic, key)
            if letter is None:
                return False
            if dispatch.hears(letter.message):
                dispatch.handle(tx, letter.message)
            inbox.bury(tx, letter)
    except Exception as error:
        if letter is None or is_outage(error):
            raise
        with database.transaction() as tx:
            inbox.still_dead(tx, letter, reason_of(error))
        return False
    return True


@dataclass(frozen=True)
class LaneStatus:
    """How the lane of one service stands: what waits to be said, how far behind it is by topic, what is set aside.

    `lag` is empty when the bus does not answer; `handled` counts what was read of each topic since its beginning.
    """

    pending: int
    oldest_pending_seconds: float
    lag: Mapping[str, int]
    handled: Mapping[str, int]
    dead_letters: int


async def lane_status(database: Database, bus: Bus, hears: Hears) -> LaneStatus:
    """Return how a service's lane stands now."""

    def stored() -> tuple[outbox.Backlog, dict[Partition, int], int]:
        with database.view() as view:
            return outbox.backlog(view), inbox.positions(view), inbox.count_dead_letters(view)

    backlog, positions, dead = await asyncio.to_thread(stored)
    lag: Counter[str] = Counter()
    handled: Counter[str] = Counter()
    for partition, end in (await bus.ends(Dispatch(hears).topics)).items():
        lag[partition.topic] += end - positions.get(partition, 0)
        handled[partition.topic] += positions.get(partition, 0)
    return LaneStatus(backlog.count, backlog.oldest_seconds, lag, handled, dead)
