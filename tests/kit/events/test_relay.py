"""The relay: in order, one at a time, past what is stuck, on both databases."""

import asyncio
import threading
from collections.abc import Sequence

import pytest
from google.protobuf.wrappers_pb2 import StringValue
from sqlalchemy import text

from services.kit.database import Database
from services.kit.events import outbox
from services.kit.events.bus import Bus, BusAway, Partition
from services.kit.events.message import Message
from tests.kit.events.lane import TOPIC, Lane, read_all, say, until, word
from tests.servers.postgres import PostgresServer


class Witness:
    """A bus that notes what is published, and takes nothing for the partitions in `refused`."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self.published: list[str] = []
        self.attempts: list[tuple[Partition, list[str]]] = []
        self.refused: set[Partition] = set()

    def __getattr__(self, name: str) -> object:
        return getattr(self._bus, name)

    async def publish(self, partition: Partition, messages: Sequence[Message]) -> None:
        said = [StringValue.FromString(message.data).value for message in messages]
        self.attempts.append((partition, said))
        if partition in self.refused:
            raise BusAway("refused")
        await self._bus.publish(partition, messages)
        self.published += said


@pytest.fixture
def witness(log_lane: Lane) -> Witness:
    return Witness(log_lane.bus)


def left(database: Database) -> int:
    with database.view() as view:
        return int(view.execute(text("SELECT count(*) FROM outbox")).scalar() or 0)


async def test_what_the_bus_has_leaves_the_outbox(log_lane: Lane, either: Database, witness: Witness) -> None:
    log_lane.relay(either, witness)  # type: ignore[arg-type]
    said = [f"word {number}" for number in range(1200)]
    say(either, *(word(one, "anna") for one in said))
    await until(lambda: left(either) == 0)
    assert witness.published == said


async def test_what_was_said_before_the_relay_started_is_relayed_too(
    log_lane: Lane, either: Database, witness: Witness
) -> None:
    say(either, word("early", "anna"))
    log_lane.relay(either, witness)  # type: ignore[arg-type]
    await until(lambda: left(either) == 0)
    assert witness.published == ["early"]


async def test_a_partition_in_trouble_keeps_its_order_and_lets_the_others_go_on(
    log_lane: Lane, either: Database, witness: Witness
) -> None:
    stuck = witness._bus.partition_of(TOPIC, "anna")
    witness.refused.add(stuck)
    say(either, *(word(f"anna {number}", "anna") for number in range(700)))
    log_lane.relay(either, witness)  # type: ignore[arg-type]
    await until(lambda: len(witness.attempts) > 2)
    say(either, word("diego", "diego"), word("anna 700", "anna"))
    await until(lambda: witness.published == ["diego"])
    first = witness.attempts[0]
    assert first == (stuck, [f"anna {number}" for number in range(500)])
    assert all(attempt == first for attempt in witness.attempts if attempt[0] == stuck), "nothing newer passed it"
    witness.refused.clear()
    await until(lambda: left(either) == 0)
    assert witness.published[1:] == [f"anna {number}" for number in range(701)]


async def test_a_lower_number_that_is_committed_later_is_not_lost(
    log_lane: Lane, postgres_server: PostgresServer, witness: Witness
) -> None:
    """SQLite has one writer: there numbers are committed in order."""
    either = log_lane.database("source", postgres_server.create_database())
    is_written, may_commit = threading.Event(), threading.Event()

    def slow() -> None:
        with either.transaction() as tx:
            outbox.add(tx, word("lower", "anna"))
            tx.write_gathered()
            is_written.set()
            may_commit.wait(20)

    log_lane.relay(either, witness)  # type: ignore[arg-type]
    late = asyncio.create_task(asyncio.to_thread(slow))
    await asyncio.to_thread(is_written.wait, 20)
    say(either, word("higher", "diego"))
    await until(lambda: witness.published == ["higher"])
    await until(lambda: left(either) == 0)
    may_commit.set()
    await late
    await until(lambda: witness.published == ["higher", "lower"])
    await until(lambda: left(either) == 0)


async def test_only_one_relay_of_a_service_works_and_another_takes_over(
    log_lane: Lane, either: Database, witness: Witness
) -> None:
    first = log_lane.relay(either, witness)  # type: ignore[arg-type]
    say(either, word("one", "anna"))
    await until(lambda: witness.published == ["one"])
    idle = Witness(log_lane.bus)
    log_lane.relay(either, idle)  # type: ignore[arg-type]
    say(either, word("two", "anna"))
    await until(lambda: witness.published == ["one", "two"])
    assert idle.attempts == []
    await first.stop()
    say(either, word("three", "anna"))
    await until(lambda: idle.published == ["three"])


async def test_a_relay_that_is_stopped_while_the_bus_is_away_ends_and_keeps_everything(
    log_lane: Lane, either: Database, witness: Witness
) -> None:
    witness.refused.add(witness._bus.partition_of(TOPIC, "anna"))
    running = log_lane.relay(either, witness)  # type: ignore[arg-type]
    say(either, word("one", "anna"))
    await until(lambda: len(witness.attempts) > 0)
    await running.stop()
    assert left(either) == 1


async def test_a_database_that_comes_back_is_relayed_from(
    log_lane: Lane, witness: Witness, postgres_server: PostgresServer
) -> None:
    database = log_lane.database("source", postgres_server.create_database())
    log_lane.relay(database, witness)  # type: ignore[arg-type]
    say(database, word("before", "anna"))
    await until(lambda: left(database) == 0)
    await asyncio.to_thread(postgres_server.kill)
    await asyncio.sleep(0.3)
    await asyncio.to_thread(postgres_server.start)
    await asyncio.to_thread(say, database, word("after", "anna"))
    await until(lambda: witness.published == ["before", "after"])


async def test_two_relays_at_once_repeat_but_do_not_reorder(log_lane: Lane, either: Database) -> None:
    first, second = Witness(log_lane.another_bus()), Witness(log_lane.another_bus())
    log_lane.relay(either, first)  # type: ignore[arg-type]
    said = ["start"]
    say(either, word("start", "anna"))
    await until(lambda: first.published == ["start"])
    with either.transaction() as tx:  # as if the first had not been seen for long; it will notice in seconds
        tx.execute(text("UPDATE lease SET expires = 0"))
    log_lane.relay(either, second)  # type: ignore[arg-type]
    async with asyncio.timeout(20):
        while len(first.published) + len(second.published) <= len(said):
            said += [str(len(said) + more) for more in range(20)]
            await asyncio.to_thread(say, either, *(word(one, "anna") for one in said[-20:]))
            await until(lambda: left(either) == 0)
    assert second.published
    (in_topic,) = (await read_all(log_lane, len(said))).values()
    words = [StringValue.FromString(one.message.data).value for one in in_topic]
    assert len(words) > len(said)
    assert list(dict.fromkeys(words)) == said
