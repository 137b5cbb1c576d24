"""What is said is kept if and only if the change is, in order, and wakes the relay."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import insert

from services.kit.database import Database
from services.kit.events import outbox
from services.kit.events.message import Message
from tests.kit.events.lane import noted, say, word


def pending(database: Database, limit: int = 1000) -> list[Message]:
    with database.view() as view:
        return [item.message for item in outbox.pending(view, limit)]


@pytest.mark.parametrize("count", [1, 2, 3, 700])
def test_messages_are_kept_as_they_were_said_in_the_order_of_the_calls(either: Database, count: int) -> None:
    said = [word(f"{number} « é » \x00", f"key {number % 3}") for number in range(count)]
    say(either, *said)
    assert pending(either) == said


def test_a_trace_and_another_zone_survive(either: Database) -> None:
    at = datetime(2026, 3, 29, 3, 30, tzinfo=UTC)
    message = Message("1", "a.v1.B", '/a "quoted"', "k", at, b"\x00\xff", "00-aa-bb-01")
    say(either, message)
    assert pending(either) == [message]


def test_the_oldest_come_first_and_no_more_than_asked_for(either: Database) -> None:
    said = [word(str(number), "k") for number in range(5)]
    for message in said:
        say(either, message)
    assert pending(either, 3) == said[:3]


def test_nothing_is_said_when_the_change_is_rolled_back(either: Database) -> None:
    with pytest.raises(LookupError), either.transaction() as tx:
        outbox.add(tx, word("never", "k"))
        raise LookupError
    assert pending(either) == []


def test_no_change_without_its_message_when_writing_the_message_fails(either: Database) -> None:
    said = word("twice", "k")
    broken = Message("x" * 10, "no topic", "/a", "k", said.time, None)  # type: ignore[arg-type]
    with pytest.raises(TypeError), either.transaction() as tx:
        tx.execute(insert(noted).values(word="change"))
        outbox.add(tx, broken)
    with either.view() as view:
        assert view.execute(noted.select()).all() == []


def test_what_the_bus_has_is_forgotten(either: Database) -> None:
    said = [word(str(number), "k") for number in range(4)]
    say(either, *said)
    with either.view() as view:
        numbers = [item.seq for item in outbox.pending(view, 10)]
    with either.transaction() as tx:
        outbox.forget(tx, [numbers[0], numbers[2]])
    assert pending(either) == [said[1], said[3]]


def test_the_relay_is_woken_after_the_commit_and_only_then(either: Database) -> None:
    woken: list[int] = []

    def wake() -> None:
        woken.append(len(pending(either)))

    outbox.listen(either, wake)
    with either.transaction() as tx:
        outbox.add(tx, word("one", "k"))
        outbox.add(tx, word("two", "k"))
        assert woken == []
    assert woken == [2]
    with pytest.raises(LookupError), either.transaction() as tx:
        outbox.add(tx, word("never", "k"))
        raise LookupError
    with either.transaction() as tx:
        tx.execute(insert(noted).values(word="nothing said"))
    assert woken == [2]
    outbox.unlisten(either, wake)
    say(either, word("three", "k"))
    assert woken == [2]


def test_a_message_that_a_bus_could_refuse_for_ever_is_refused_at_once(either: Database) -> None:
    with pytest.raises(ValueError, match="at most 524288"), either.transaction() as tx:
        outbox.add(tx, word("x" * 600_000, "k"))


def test_the_backlog_says_how_many_wait_and_since_when(either: Database) -> None:
    with either.view() as view:
        assert outbox.backlog(view) == outbox.Backlog(0, 0.0)
    say(either, word("one", "k"), word("two", "k"))
    with either.view() as view:
        backlog = outbox.backlog(view)
    assert backlog.count == 2
    assert 0 < backlog.oldest_seconds < 60
