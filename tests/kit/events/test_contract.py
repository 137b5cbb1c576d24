"""What the lane promises, on the embedded log and on a real Kafka: one suite."""

import asyncio
import sys
from collections import Counter
from pathlib import Path

import pytest
from google.protobuf.wrappers_pb2 import Int64Value, StringValue
from sqlalchemy import create_engine, insert, text

from services.kit.database import Database, Transaction
from services.kit.errors import DomainError, NotYet
from services.kit.events.bus import Delivered, Partition, partition_number
from services.kit.events.consumer import Consumer, Patience, lane_status, replay_dead_letters
from services.kit.events.message import Message
from services.kit.events.relay import Relay
from tests.kit.events.lane import (
    HEARS,
    TOPIC,
    Lane,
    dead_letters,
    note,
    noted,
    read_all,
    say,
    starts,
    until,
    word,
    words,
    written,
)

KEYS = ("anna", "diego", "marie", "louis")  # louis shares the partition of anna


class NotWanted(DomainError):
    code = "not-wanted"
    title = "Refusé"


def by_key(said: list[str]) -> dict[str, list[str]]:
    """Words start with their key."""
    return {key: [one for one in said if one.startswith(key)] for key in KEYS}


def test_the_keys_of_these_tests_share_a_partition_and_spread_over_others() -> None:
    numbers = [partition_number(key, 6) for key in KEYS]
    assert numbers[0] == numbers[3]
    assert {number % 2 for number in numbers} == {0, 1}


# -- the bus ----------------------------------------------------------------------------------------------------------


async def test_a_message_arrives_as_it_was_said_in_the_partition_of_its_key(lane: Lane) -> None:
    sent = [word(f"{key} é", key) for key in KEYS]
    await lane.publish(*sent)
    found = await read_all(lane, 4)
    assert {one.message.id: one.message for batch in found.values() for one in batch} == {one.id: one for one in sent}
    for partition, batch in found.items():
        assert all(lane.bus.partition_of(TOPIC, one.message.subject) == partition for one in batch)


async def test_a_partition_is_read_in_the_order_in_which_it_was_published(lane: Lane) -> None:
    partition = lane.bus.partition_of(TOPIC, "anna")
    for start in range(0, 30, 10):
        await lane.bus.publish(partition, [word(f"{number}", "anna") for number in range(start, start + 10)])
    (read,) = (await read_all(lane, 30)).values()
    assert [StringValue.FromString(one.message.data).value for one in read] == [str(number) for number in range(30)]
    assert [one.offset for one in read] == sorted({one.offset for one in read})


async def test_a_batch_larger_than_a_request_arrives_whole_and_in_order(lane: Lane) -> None:
    partition = lane.bus.partition_of(TOPIC, "anna")
    await lane.bus.publish(partition, [word(f"{number} {'x' * 60_000}", "anna") for number in range(40)])
    (read,) = (await read_all(lane, 40)).values()
    assert [StringValue.FromString(one.message.data).value.split()[0] for one in read] == [
        str(number) for number in range(40)
    ]


async def test_a_group_reads_on_from_where_its_database_says(lane: Lane) -> None:
    partition = lane.bus.partition_of(TOPIC, "anna")
    await lane.bus.publish(partition, [word(str(number), "anna") for number in range(5)])
    subscription = await lane.bus.subscribe("reader", [TOPIC], starts(at={partition: 3}))
    read: list[Delivered] = []
    async with asyncio.timeout(10):
        while len(read) < 2:
            read += (await subscription.poll(100, 0.2)).get(partition, [])
    assert [one.offset for one in read] == [3, 4]
    await subscription.close()


async def test_a_paused_partition_gives_nothing_and_loses_nothing(lane: Lane) -> None:
    await lane.publish(*(word(key, key) for key in KEYS))
    paused = lane.bus.partition_of(TOPIC, "anna")
    subscription = await lane.bus.subscribe("reader", [TOPIC], starts())
    async with asyncio.timeout(10):
        while not await subscription.poll(1, 0.1):
            pass
    subscription.pause(paused)
    for partition in {lane.bus.partition_of(TOPIC, key) for key in KEYS}:
        subscription.seek(partition, 0)
    read = Counter[Partition]()
    async with asyncio.timeout(10):
        while sum(read.values()) < sum(lane.bus.partition_of(TOPIC, key) != paused for key in KEYS):
            read.update({partition: len(batch) for partition, batch in (await subscription.poll(100, 0.1)).items()})
    assert not (await subscription.poll(100, 0.2)).get(paused)
    assert paused not in read
    subscription.resume(paused)
    async with asyncio.timeout(10):
        while not (await subscription.poll(100, 0.2)).get(paused):
            pass
    await subscription.close()


async def test_the_ends_of_the_partitions_count_what_was_published(lane: Lane) -> None:
    assert sum((await lane.bus.ends([TOPIC])).values()) == 0
    await lane.publish(word("one", "anna"), word("two", "anna"))
    ends = await lane.bus.ends([TOPIC])
    assert len(ends) == 6
    assert ends[lane.bus.partition_of(TOPIC, "anna")] == sum(ends.values()) == 2


# -- from outbox to effect --------------------------------------------------------------------------------------------


async def test_each_key_is_handled_in_order_and_each_event_once(lane: Lane) -> None:
    source, sink = lane.database("source"), lane.database("sink")
    lane.relay(source)
    lane.consumer(sink)
    expected = [f"{key} {number}" for number in range(30) for key in KEYS]
    for start in range(0, len(expected), 7):
        say(source, *(word(one, one.split()[0]) for one in expected[start : start + 7]))
    await written(sink, expected)
    assert by_key(words(sink)) == by_key(expected)


async def test_an_event_whose_handler_failed_is_given_again_and_takes_effect_once(lane: Lane) -> None:
    source, sink = lane.database("source"), lane.database("sink")
    tries = Counter[str]()

    def stumble(tx: Transaction, event: StringValue) -> None:
        note(tx, event)
        tries[event.value] += 1
        if event.value == "anna 2" and tries[event.value] < 3:
            raise ConnectionError("somebody did not answer")

    lane.relay(source)
    lane.consumer(sink, {StringValue: stumble}, patience=Patience(attempts=9, first_wait_seconds=0.01))
    expected = [f"{key} {number}" for number in range(5) for key in KEYS]
    say(source, *(word(one, one.split()[0]) for one in expected))
    await written(sink, expected)
    assert by_key(words(sink)) == by_key(expected)
    assert tries["anna 2"] >= 3
    assert dead_letters(sink) == []


async def test_the_same_message_published_again_takes_effect_once(lane: Lane) -> None:
    sink = lane.database("sink")
    first, second = word("anna 1", "anna"), word("anna 2", "anna")
    partition = lane.bus.partition_of(TOPIC, "anna")
    await lane.bus.publish(partition, [first, first])
    await lane.bus.publish(partition, [first, second])
    await lane.bus.publish(partition, [first, second])
    lane.consumer(sink)
    await written(sink, ["anna 1", "anna 2"])
    await until(lambda: reads_on(sink, partition) == 6)
    assert words(sink) == ["anna 1", "anna 2"]


def reads_on(database: Database, partition: Partition) -> int:
    with database.view() as view:
        return int(
            view.execute(
                text("SELECT next FROM consumer_offset WHERE topic = :topic AND part = :number"), partition._asdict()
            ).scalar()
            or 0
        )


async def test_two_members_of_a_group_share_the_partitions(lane: Lane) -> None:
    source, sink, sink_too = lane.database("source"), lane.database("sink"), lane.database("sink")

    def by(name: str):  # type: ignore[no-untyped-def]
        return lambda tx, event: tx.execute(insert(noted).values(word=event.value, by=name))

    lane.consumer(sink, {StringValue: by("one")})
    lane.consumer(sink_too, {StringValue: by("two")}, bus=lane.another_bus())
    lane.relay(source)
    expected: list[str] = []
    deadline = asyncio.get_running_loop().time() + 20
    while len(members(sink)) < 2:
        assert asyncio.get_running_loop().time() < deadline, "one member has everything"
        fresh = [f"{key} {len(expected)}" for key in (*KEYS, "felix", "gina", "hugo")]
        expected += fresh
        say(source, *(word(one, one.split()[0]) for one in fresh))
        await written(sink, expected)
    assert by_key(words(sink)) == by_key(expected)


def members(database: Database) -> set[str]:
    with database.view() as view:
        return set(view.execute(text('SELECT DISTINCT "by" FROM noted')).scalars())


async def test_when_a_member_is_killed_another_takes_its_partitions(lane: Lane) -> None:
    source, sink = lane.database("source"), lane.database("sink")
    lane.relay(source)
    where = lane.kafka.bootstrap if lane.kafka else str(lane.folder / "log.db")
    member = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.kit.events.a_member", lane.kind, where, lane.prefix, str(sink.url)),
        cwd=Path(__file__).parents[3],
    )
    try:
        say(source, *(word(f"{key} 1", key) for key in KEYS))
        await written(sink, [f"{key} 1" for key in KEYS])
        assert members(sink) == {"the other process"}
    finally:
        member.kill()
    await member.wait()
    say(source, *(word(f"{key} 2", key) for key in KEYS))
    lane.consumer(sink)
    expected = [f"{key} {number}" for number in (1, 2) for key in KEYS]
    await written(sink, expected)
    assert by_key(words(sink)) == by_key(expected)


async def test_a_broker_that_was_killed_and_came_back_lost_nothing(lane: Lane) -> None:
    source, sink = lane.database("source"), lane.database("sink")
    lane.relay(source)
    lane.consumer(sink)
    expected = [f"{key} {number}" for number in range(9) for key in KEYS]
    say(source, *(word(one, one.split()[0]) for one in expected[:12]))
    await written(sink, expected[:12])
    say(source, *(word(one, one.split()[0]) for one in expected[12:24]))
    await lane.kill_broker()
    say(source, *(word(one, one.split()[0]) for one in expected[24:]))
    await lane.revive_broker()
    if lane.kind == "log":
        lane.relay(source)
        lane.consumer(sink)
    await written(sink, expected, seconds=40)
    assert by_key(words(sink)) == by_key(expected)
    assert dead_letters(sink) == []


# -- what cannot be handled -------------------------------------------------------------------------------------------


def choosy(tx: Transaction, event: StringValue) -> None:
    """A handler that refuses one word and fails on another."""
    note(tx, event)
    if event.value.endswith("refused"):
        raise NotWanted("Ce mot n'est pas admis.")
    if event.value.endswith("failing"):
        raise LookupError("a mistake in our own code")


async def test_poison_goes_aside_with_its_reason_while_its_neighbours_flow(lane: Lane) -> None:
    source, sink = lane.database("source"), lane.database("sink")
    broken = Message("broken", "google.protobuf.StringValue", "/test", "marie", word("", "").time, b"\xff\xff")
    lane.relay(source)
    lane.consumer(sink, {StringValue: choosy})
    say(
        source,
        *(word("anna 1", "anna"), word("anna refused", "anna"), word("anna 2", "anna"), word("anna 3", "anna")),
        *(word("diego 1", "diego"), word("diego failing", "diego"), word("diego 2", "diego")),
        *(word("marie 1", "marie"), broken, word("marie 2", "marie")),
        *(word(f"louis {number}", "louis") for number in range(20)),
    )
    await until(lambda: len(dead_letters(sink)) == 7)
    await written(sink, ["anna 1", "diego 1", "marie 1", *(f"louis {number}" for number in range(20))])
    aside = {letter.message.id: letter for letter in dead_letters(sink)}
    reasons = sorted(letter.reason for letter in aside.values() if not letter.is_parked)
    assert reasons[0] == "LookupError: a mistake in our own code"
    assert reasons[1] == "not-wanted: Ce mot n'est pas admis."
    assert reasons[2].startswith("unreadable-event: Le contenu n'est pas un « google.protobuf.StringValue »")
    assert sorted(letter.attempts for letter in aside.values()) == [0, 0, 0, 0, 1, 1, 3]
    assert [letter.message.subject for letter in aside.values() if letter.is_parked].count("anna") == 2
    assert aside["broken"].message == broken


async def test_parked_events_are_replayed_in_order_each_once(lane: Lane) -> None:
    source, sink = lane.database("source"), lane.database("sink")
    lane.relay(source)
    lane.consumer(sink, {StringValue: choosy})
    expected = ["anna 1", "anna refused", "anna 2", "anna 3"]
    say(source, *(word(one, "anna") for one in expected))
    await until(lambda: len(dead_letters(sink)) == 3)
    in_vain = replay_dead_letters(sink, {StringValue: choosy})
    assert (in_vain.replayed, in_vain.still_dead) == (0, 3)
    assert [letter.attempts for letter in dead_letters(sink)] == [2, 0, 0]
    done = replay_dead_letters(sink, HEARS, [dead_letters(sink)[1].id])
    assert (done.replayed, done.still_dead) == (3, 0)
    assert words(sink) == expected
    assert replay_dead_letters(sink, HEARS).replayed == 0
    say(source, word("anna 4", "anna"))
    await written(sink, [*expected, "anna 4"])


class Unhurried(Patience):
    """Waits for ever, unless something happens."""

    def wait_seconds(self, failures: int, longest: float) -> float:
        return 3600.0


async def test_an_event_that_came_too_early_waits_for_the_fact_it_needs_and_nothing_passes_it(lane: Lane) -> None:
    sink = lane.database("sink")
    tries = 0

    def needs_anna(tx: Transaction, event: StringValue) -> None:
        nonlocal tries
        tries += event.value.startswith("diego")
        if event.value.startswith("diego") and "anna" not in tx.execute(noted.select()).scalars("word").all():
            raise NotYet("anna has not been heard of")
        note(tx, event)

    lane.consumer(sink, {StringValue: needs_anna}, patience=Unhurried())
    await lane.publish(word("diego 1", "diego"), word("diego 2", "diego"))
    await until(lambda: tries > 0)
    await lane.publish(word("diego 3", "diego"))
    await asyncio.sleep(0.3)
    assert words(sink) == []
    await lane.publish(word("anna", "anna"))
    await written(sink, ["anna", "diego 1", "diego 2", "diego 3"])
    await lane.publish(word("diego 4", "diego"))
    await until(lambda: len(words(sink)) == 5)
    assert words(sink) == ["anna", "diego 1", "diego 2", "diego 3", "diego 4"]


async def test_patience_for_a_missing_fact_ends_in_a_dead_letter(lane: Lane) -> None:
    sink = lane.database("sink")

    def never(tx: Transaction, event: StringValue) -> None:
        if event.value == "anna 1":
            raise NotYet("waiting for Godot")
        note(tx, event)

    lane.consumer(sink, {StringValue: never}, patience=Patience(not_yet_seconds=0.2))
    await lane.publish(word("anna 1", "anna"), word("anna 2", "anna"))
    await until(lambda: len(dead_letters(sink)) == 2)
    first, second = dead_letters(sink)
    assert first.reason == "NotYet: waiting for Godot"
    assert (first.is_parked, second.is_parked) == (False, True)
    assert first.attempts > 2


async def test_a_database_that_is_away_is_waited_for_longer_than_any_patience(lane: Lane) -> None:
    sink = lane.database("sink")
    locked = create_engine(f"sqlite:///{lane.folder}/locked.db", connect_args={"timeout": 0})
    with locked.begin() as connection:
        connection.execute(text("CREATE TABLE held (n INTEGER)"))
    holder = locked.connect()
    holder.exec_driver_sql("BEGIN EXCLUSIVE")
    tries = 0

    def write_elsewhere(tx: Transaction, event: StringValue) -> None:
        nonlocal tries
        tries += 1
        with locked.begin() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        note(tx, event)

    lane.consumer(sink, {StringValue: write_elsewhere}, patience=Patience(attempts=2, longest_wait_seconds=0.05))
    await lane.publish(word("anna 1", "anna"), word("anna 2", "anna"))
    await until(lambda: tries > 6)
    assert dead_letters(sink) == []
    holder.close()
    await written(sink, ["anna 1", "anna 2"])
    locked.dispose()


# -- history ----------------------------------------------------------------------------------------------------------


async def test_reading_again_from_the_beginning_changes_nothing(lane: Lane) -> None:
    sink = lane.database("sink")
    expected = [f"{key} {number}" for number in range(5) for key in KEYS]
    await lane.publish(*(word(one, one.split()[0]) for one in expected))
    first = lane.consumer(sink)
    await written(sink, expected)
    await first.stop()
    before = words(sink)
    with sink.transaction() as tx:
        tx.execute(text("UPDATE consumer_offset SET next = 0"))
    lane.consumer(sink)
    await until(lambda: sum(reads_on(sink, Partition(TOPIC, number)) for number in range(6)) == len(expected))
    assert words(sink) == before


async def test_a_new_reader_starts_at_the_beginning_and_gets_the_same_state(lane: Lane) -> None:
    expected = [f"{key} {number}" for number in range(5) for key in KEYS]
    await lane.publish(*(word(one, one.split()[0]) for one in expected))
    for name in ("first", "second"):
        database = lane.database(name)
        lane.consumer(database, service=name)
        await written(database, expected)
        assert by_key(words(database)) == by_key(expected)


async def test_a_position_that_is_not_in_the_topic_stops_the_consumer_and_says_so(lane: Lane) -> None:
    sink = lane.database("sink")
    await lane.publish(word("anna 1", "anna"))
    partition = lane.bus.partition_of(TOPIC, "anna")
    with sink.transaction() as tx:
        tx.execute(
            text("INSERT INTO consumer_offset (topic, part, next) VALUES (:topic, :part, 99)"),
            {"topic": partition.topic, "part": partition.number},
        )
    running = lane.consumer(sink)
    await asyncio.wait_for(running.task, 20)
    assert isinstance(running.part, Consumer)
    assert "99" in running.part.stopped_because
    assert words(sink) == []


async def test_a_reader_that_was_overtaken_reads_on_behind_whoever_is_ahead(lane: Lane) -> None:
    sink = lane.database("sink")
    partition = lane.bus.partition_of(TOPIC, "anna")
    release = asyncio.Event()

    class Slow:
        """The bus, to a reader who is held up between reading and handling."""

        def __getattr__(self, name: str) -> object:
            return getattr(lane.bus, name)

        async def subscribe(self, *arguments: object) -> object:
            subscription = await lane.bus.subscribe(*arguments)  # type: ignore[arg-type]
            poll = subscription.poll

            async def held_up(limit: int, seconds: float) -> object:
                found = await poll(limit, seconds)
                if found:
                    await release.wait()
                return found

            subscription.poll = held_up  # type: ignore[method-assign, assignment]
            return subscription

    lane.consumer(sink, bus=Slow())  # type: ignore[arg-type]
    await lane.publish(word("anna 1", "anna"), word("anna 2", "anna"))
    await until(lambda: reads_on_known(sink))
    await asyncio.sleep(0.3)
    with sink.transaction() as tx:  # what another member did meanwhile
        tx.execute(insert(noted).values(word="anna 1"))
        tx.execute(text("UPDATE consumer_offset SET next = 1 WHERE part = :part"), {"part": partition.number})
    release.set()
    await written(sink, ["anna 1", "anna 2"])
    assert words(sink) == ["anna 1", "anna 2"]


def reads_on_known(database: Database) -> bool:
    with database.view() as view:
        return bool(view.execute(text("SELECT count(*) FROM consumer_offset")).scalar())


async def test_what_was_read_when_the_consumer_itself_failed_is_read_again(lane: Lane) -> None:
    sink = lane.database("sink")
    lane.consumer(sink)
    await lane.publish(word("anna 1", "anna"))
    await written(sink, ["anna 1"])
    with sink.transaction() as tx:
        tx.execute(text("ALTER TABLE inbox RENAME TO mislaid"))
    await lane.publish(word("anna 2", "anna"))
    await asyncio.sleep(0.3)
    await lane.publish(word("anna 3", "anna"))
    with sink.transaction() as tx:
        tx.execute(text("ALTER TABLE mislaid RENAME TO inbox"))
    await written(sink, ["anna 1", "anna 2", "anna 3"])
    assert words(sink) == ["anna 1", "anna 2", "anna 3"]


async def test_the_status_says_what_waits_how_far_behind_and_what_is_aside(lane: Lane) -> None:
    source, sink = lane.database("source"), lane.database("sink")
    say(source, word("anna 1", "anna"), word("anna refused", "anna"))
    waiting = await lane_status(source, lane.bus, {})
    assert (waiting.pending, waiting.lag, waiting.dead_letters) == (2, {}, 0)
    assert 0 <= waiting.oldest_pending_seconds < 20
    relay = lane.relay(source)
    await until(lambda: reads_pending(source) == 0)
    assert (await lane_status(sink, lane.bus, HEARS)).lag == {TOPIC: 2}
    lane.consumer(sink, {StringValue: choosy, Int64Value: note})
    await until(lambda: len(dead_letters(sink)) == 1)
    done = await lane_status(sink, lane.bus, HEARS)
    assert (done.pending, done.oldest_pending_seconds, done.lag, done.dead_letters) == (0, 0.0, {TOPIC: 0}, 1)
    assert isinstance(relay.part, Relay)


def reads_pending(database: Database) -> int:
    with database.view() as view:
        return int(view.execute(text("SELECT count(*) FROM outbox")).scalar() or 0)


@pytest.mark.parametrize("members", [1, 2])
async def test_stopping_and_starting_under_load_loses_and_doubles_nothing(lane: Lane, members: int) -> None:
    source, sink = lane.database("source"), lane.database("sink")
    expected = [f"{key} {number}" for number in range(60) for key in KEYS]
    lane.relay(source)
    running = [lane.consumer(sink) for _ in range(members)]
    for start in range(0, len(expected), 40):
        say(source, *(word(one, one.split()[0]) for one in expected[start : start + 40]))
        await asyncio.sleep(0.05)
        await running.pop(0).stop()
        running.append(lane.consumer(sink))
    await written(sink, expected, seconds=40)
    assert by_key(words(sink)) == by_key(expected)
