"""The consumer beyond the contract: who waits for whom, what is skipped, what an operator reads and repairs."""

import asyncio
import threading
from collections import Counter
from pathlib import Path
from statistics import median
from time import monotonic, sleep

import pytest
from google.protobuf.wrappers_pb2 import Int64Value, StringValue
from sqlalchemy import insert, text

from services.kit.database import Database, Transaction
from services.kit.errors import DomainError, refuse_all
from services.kit.events.consumer import Consumer, Patience, Replay, reason_of, replay_dead_letters
from services.kit.events.message import said
from tests.kit.events.lane import (
    HEARS,
    TOPIC,
    Lane,
    dead_letters,
    note,
    noted,
    say,
    until,
    word,
    words,
    written,
)
from tests.servers.postgres import PostgresServer


class NotWanted(DomainError):
    code = "not-wanted"


def refuse(tx: Transaction, event: StringValue) -> None:
    note(tx, event)
    if "refused" in event.value:
        raise NotWanted("Non.")


def count(database: Database, table: str) -> int:
    with database.view() as view:
        return int(view.execute(text(f"SELECT count(*) FROM {table}")).scalar() or 0)


async def test_what_nobody_listens_to_is_passed_over_without_a_receipt(log_lane: Lane) -> None:
    sink = log_lane.database("sink")
    log_lane.consumer(sink)
    number = said(Int64Value(value=1), source="/test", subject="anna", at=word("", "").time)
    await log_lane.publish(number, word("anna 1", "anna"), number)
    await written(sink, ["anna 1"])
    await until(lambda: count(sink, "consumer_offset WHERE next = 3") == 1)
    assert count(sink, "inbox") == 1


async def test_a_service_that_listens_to_nothing_just_waits_to_be_stopped(log_lane: Lane) -> None:
    consumer = Consumer(log_lane.database("sink"), log_lane.bus, "sink", {})
    task = asyncio.create_task(consumer.run())
    await asyncio.sleep(0.05)
    assert not task.done()
    consumer.stop()
    await asyncio.wait_for(task, 5)


async def test_handlers_do_not_run_on_the_event_loop(log_lane: Lane) -> None:
    sink = log_lane.database("sink")
    threads: set[str] = set()

    def slow(tx: Transaction, event: StringValue) -> None:
        threads.add(threading.current_thread().name)
        sleep(0.3)
        note(tx, event)

    log_lane.consumer(sink, {StringValue: slow})
    await log_lane.publish(word("anna 1", "anna"))
    longest = 0.0
    while not words(sink):
        began = monotonic()
        await asyncio.sleep(0.005)
        longest = max(longest, monotonic() - began)
    assert threads == {"sink-consumer_0"}
    assert longest < 0.2


async def test_a_long_backlog_does_not_keep_other_writers_waiting(log_lane: Lane) -> None:
    sink = log_lane.database("sink")

    def busy(tx: Transaction, event: StringValue) -> None:
        sleep(0.001)
        note(tx, event)

    partition = log_lane.bus.partition_of(TOPIC, "anna")
    await log_lane.bus.publish(partition, [word(str(number), "anna") for number in range(1500)])
    log_lane.consumer(sink, {StringValue: busy}, patience=Patience(slice_seconds=0.02))
    await until(lambda: len(words(sink)) > 0)
    waits = []

    def write() -> None:
        for _ in range(20):
            began = monotonic()
            with sink.transaction():
                waits.append(monotonic() - began)
            sleep(0.01)

    await asyncio.to_thread(write)
    assert len(words(sink)) < 1500, "the backlog was too short to show anything"
    assert median(waits) < 0.1


async def test_many_that_are_refused_do_not_make_the_others_wait_long(log_lane: Lane) -> None:
    sink = log_lane.database("sink")
    tries = Counter[str]()

    def counted(tx: Transaction, event: StringValue) -> None:
        tries[event.value] += 1
        refuse(tx, event)

    expected = [f"key-{number} good" for number in range(100)]
    messages = [
        word(text, text.split()[0]) for number in range(100) for text in (f"refused-{number} refused", expected[number])
    ]
    log_lane.consumer(sink, {StringValue: counted})
    await log_lane.publish(*messages)
    await written(sink, expected)
    await until(lambda: len(dead_letters(sink)) == 100)
    assert max(tries.values()) < 60


def leave_a_row(tx: Transaction, event: StringValue) -> None:
    """Leave a row for just before the commit; the database refuses the poisoned ones, all of the batch with them."""
    tx.gather(write_rows, {"word": event.value, "by": None if "poison" in event.value else ""})


def write_rows(tx: Transaction, rows: list[dict[str, str | None]]) -> None:
    tx.execute(insert(noted), rows)


async def test_what_the_database_refuses_at_the_commit_goes_aside_and_its_neighbours_flow(log_lane: Lane) -> None:
    sink = log_lane.database("sink")
    expected = [f"key-{number} good" for number in range(150)]
    messages = [word(text, text.split()[0]) for text in expected]
    messages[70:70] = [word("anna poison", "anna"), word("anna behind", "anna")]
    await log_lane.publish(*messages)
    log_lane.consumer(sink, {StringValue: leave_a_row})
    await written(sink, expected)
    await until(lambda: len(dead_letters(sink)) == 2)
    assert [letter.is_parked for letter in dead_letters(sink)] == [False, True]


async def test_repeats_of_an_event_that_was_set_aside_are_known(log_lane: Lane) -> None:
    sink = log_lane.database("sink")
    refused, parked = word("anna refused", "anna"), word("anna 2", "anna")
    log_lane.consumer(sink, {StringValue: refuse})
    await log_lane.publish(refused, parked, refused, parked)
    await until(lambda: count(sink, "consumer_offset WHERE next = 4") == 1)
    assert [letter.message for letter in dead_letters(sink)] == [refused, parked]


async def test_a_replay_goes_key_by_key_and_stops_a_key_at_what_still_fails(log_lane: Lane) -> None:
    sink = log_lane.database("sink")
    log_lane.consumer(sink, {StringValue: refuse})
    await log_lane.publish(
        *(word(f"anna {what}", "anna") for what in ("1 refused", "2", "3 refused", "4")),
        *(word(f"diego {what}", "diego") for what in ("1 refused", "2")),
    )
    await until(lambda: len(dead_letters(sink)) == 6)

    def milder(tx: Transaction, event: StringValue) -> None:
        note(tx, event)
        if event.value == "anna 3 refused":
            raise LookupError("still\0 no")

    chosen = [letter.id for letter in dead_letters(sink) if letter.message.subject == "anna"][-1:]
    assert replay_dead_letters(sink, {StringValue: milder}, chosen) == Replay(replayed=2, still_dead=4)
    assert words(sink) == ["anna 1 refused", "anna 2"]
    first = next(letter for letter in dead_letters(sink) if letter.message.subject == "anna")
    assert (first.reason, first.attempts, first.is_parked) == ("LookupError: still no", 1, False)
    assert replay_dead_letters(sink, HEARS) == Replay(replayed=4, still_dead=0)
    assert [one for one in words(sink)[2:] if "anna" in one] == ["anna 3 refused", "anna 4"]
    assert [one for one in words(sink)[2:] if "diego" in one] == ["diego 1 refused", "diego 2"]


async def test_an_event_that_arrives_during_a_replay_is_not_left_behind(log_lane: Lane, either: Database) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def held_up(tx: Transaction, event: StringValue) -> None:
        inside.set()
        go_on.wait(20)
        note(tx, event)

    log_lane.consumer(either, {StringValue: refuse})
    await log_lane.publish(word("anna refused", "anna"))
    await until(lambda: len(dead_letters(either)) == 1)
    replay = asyncio.create_task(asyncio.to_thread(replay_dead_letters, either, {StringValue: held_up}))
    await asyncio.to_thread(inside.wait, 20)
    await log_lane.publish(word("anna 2", "anna"))
    await asyncio.sleep(0.3)  # the consumer has it now, and must not park it behind what is just being replayed
    go_on.set()
    assert await replay == Replay(replayed=1, still_dead=0)
    await written(either, ["anna refused", "anna 2"])
    assert words(either) == ["anna refused", "anna 2"]


async def test_two_members_on_one_postgresql_do_everything_once(
    log_lane: Lane, postgres_server: PostgresServer
) -> None:
    url = postgres_server.create_database()
    source = log_lane.database("source", postgres_server.create_database())
    one, two = log_lane.database("sink", url), log_lane.database("sink", url)
    log_lane.relay(source)
    log_lane.consumer(one)
    second = log_lane.consumer(two, bus=log_lane.another_bus())
    expected = [f"key-{number % 20} {number}" for number in range(400)]
    for start in range(0, 400, 40):
        say(source, *(word(text, text.split()[0]) for text in expected[start : start + 40]))
        if start == 200:
            await second.stop()
    await written(one, expected)
    for key in range(20):
        assert [text for text in words(one) if text.startswith(f"key-{key} ")] == expected[key::20]


async def test_a_postgresql_that_dies_in_the_middle_costs_time_and_nothing_else(
    log_lane: Lane, postgres_server: PostgresServer
) -> None:
    sink = log_lane.database("sink", postgres_server.create_database())
    expected = [f"anna {number}" for number in range(200)]

    def slow(tx: Transaction, event: StringValue) -> None:
        note(tx, event)
        sleep(0.002)

    log_lane.consumer(sink, {StringValue: slow}, patience=Patience(attempts=2, slice_seconds=0.02))
    await log_lane.publish(*(word(one, "anna") for one in expected))
    await until(lambda: len(words(sink)) > 10)
    await asyncio.to_thread(postgres_server.kill)
    await asyncio.sleep(0.5)
    await asyncio.to_thread(postgres_server.start)
    await until(lambda: count(sink, "noted") >= 200)
    assert words(sink) == expected
    assert dead_letters(sink) == []


def test_an_operator_reads_every_reason_of_a_refusal() -> None:
    with pytest.raises(DomainError) as caught:
        refuse_all([NotWanted("Un."), NotWanted("Deux.")])
    assert reason_of(caught.value) == "not-wanted: Un. / not-wanted: Deux."
    assert len(reason_of(ValueError("x" * 10_000))) == 2000


def test_waits_double_up_to_the_longest_and_differ(tmp_path: Path) -> None:
    patience = Patience(first_wait_seconds=0.02)
    assert 0.01 <= patience.wait_seconds(1, 5) <= 0.02
    assert 0.04 <= patience.wait_seconds(3, 5) <= 0.08
    assert 2.5 <= patience.wait_seconds(10_000, 5) <= 5
    assert len({patience.wait_seconds(5, 5) for _ in range(20)}) > 1
