"""What the embedded log promises beyond the contract: its file outlives it, and may be opened by several."""

import asyncio
import sqlite3
from pathlib import Path

import pytest
from google.protobuf.wrappers_pb2 import StringValue

from services.kit.events.bus import BusAway, HistoryLost, Partition, Topic
from services.kit.events.log import LogBus
from tests.kit.events.lane import TOPIC, Lane, read_all, starts, until, word


async def test_what_was_acknowledged_is_there_when_the_file_is_opened_again(log_lane: Lane) -> None:
    await log_lane.publish(word("one", "anna"))
    await log_lane.kill_broker()
    await log_lane.publish(word("two", "anna"))
    (read,) = (await read_all(log_lane, 2)).values()
    assert [StringValue.FromString(one.message.data).value for one in read] == ["one", "two"]


async def test_two_that_write_at_once_lose_nothing(log_lane: Lane) -> None:
    buses = [log_lane.another_bus(), log_lane.another_bus()]
    partition = buses[0].partition_of(TOPIC, "anna")

    async def write(number: int) -> None:
        for start in range(0, 100, 5):
            await buses[number].publish(partition, [word(f"{number}-{start + n}", "anna") for n in range(5)])

    await asyncio.gather(write(0), write(1))
    (read,) = (await read_all(log_lane, 200)).values()
    said = [StringValue.FromString(one.message.data).value for one in read]
    assert [one.offset for one in read] == list(range(200))
    for number in (0, 1):
        assert [one for one in said if one[0] == str(number)] == [f"{number}-{n}" for n in range(100)]


async def test_what_another_process_publishes_is_seen_soon(log_lane: Lane) -> None:
    subscription = await log_lane.bus.subscribe("reader", [TOPIC], starts())
    assert await subscription.poll(10, 0) == {}
    other = log_lane.another_bus()
    await other.publish(other.partition_of(TOPIC, "anna"), [word("one", "anna")])
    assert await subscription.poll(10, 2)


async def test_publishers_that_come_together_share_a_commit(log_lane: Lane) -> None:
    bus = log_lane.bus
    assert isinstance(bus, LogBus)
    partitions = [Partition(TOPIC, number) for number in range(6)]
    await asyncio.gather(*(bus.publish(partition, [word("x", "k")] * 10) for partition in partitions))
    assert bus.commits < 6


async def test_a_topic_that_is_added_later_leaves_the_others_as_they_were(tmp_path: Path) -> None:
    old = LogBus(tmp_path / "log.db", [Topic("b.v1", 3)])
    await old.publish(Partition("b.v1", 2), [word("one", "k")])
    await old.close()
    new = LogBus(tmp_path / "log.db", [Topic("a.v1", 2), Topic("b.v1", 3)])
    assert await new.ends(["a.v1", "b.v1"]) == {
        **{Partition("a.v1", number): 0 for number in range(2)},
        **{Partition("b.v1", number): int(number == 2) for number in range(3)},
    }
    await new.close()


async def test_a_log_that_was_thrown_away_is_noticed(tmp_path: Path) -> None:
    bus = LogBus(tmp_path / "another.db", [Topic(TOPIC, 6)])
    subscription = await bus.subscribe("reader", [TOPIC], starts(at={Partition(TOPIC, 1): 7}))
    with pytest.raises(HistoryLost, match="ends at 0, but was read up to 7"):
        await subscription.poll(10, 0)
    await bus.close()


async def test_who_is_in_which_group_may_be_forgotten(log_lane: Lane) -> None:
    bus = log_lane.bus
    subscription = await bus.subscribe("reader", [TOPIC], starts())
    await log_lane.kill_broker()
    for path in log_lane.folder.glob("log.db-members*"):
        path.unlink()
    subscription = await log_lane.bus.subscribe("reader", [TOPIC], starts())
    await log_lane.publish(word("one", "anna"))
    assert await subscription.poll(10, 2)


async def test_members_with_different_topics_share_only_what_both_read(tmp_path: Path) -> None:
    bus = LogBus(tmp_path / "log.db", [Topic("a.v1", 2), Topic("b.v1", 2)])
    asked: dict[str, set[Partition]] = {}

    def remember(name: str):  # type: ignore[no-untyped-def]
        async def positions(partitions: set[Partition]) -> dict[Partition, int]:
            asked[name] = set(partitions)
            return {}

        return positions

    both = await bus.subscribe("group", ["a.v1", "b.v1"], remember("both"))
    one = await bus.subscribe("group", ["a.v1"], remember("one"))
    for subscription in (both, one):
        await subscription.poll(1, 0)
    assert len(asked["one"]) == 1
    assert (
        asked["both"]
        == {Partition("a.v1", 0), Partition("a.v1", 1), *map(Partition, ["b.v1"] * 2, [0, 1])} - asked["one"]
    )
    await one.close()
    await both.poll(1, 0)
    assert len(asked["both"]) == 4
    await bus.close()


async def test_after_closing_it_takes_nothing(log_lane: Lane) -> None:
    bus = log_lane.bus
    await bus.close()
    with pytest.raises(BusAway):
        await bus.publish(Partition(TOPIC, 0), [word("late", "k")])
    await bus.close()


async def test_an_idle_member_stays_a_member(log_lane: Lane) -> None:
    asked: list[int] = []

    async def positions(partitions: set[Partition]) -> dict[Partition, int]:
        asked.append(len(partitions))
        return {}

    first = await log_lane.bus.subscribe("group", [TOPIC], positions)  # type: ignore[arg-type]
    other = log_lane.another_bus()
    second = await other.subscribe("group", [TOPIC], starts())
    await asyncio.sleep(1.5)  # longer than a member without a sign of life is kept
    await first.poll(1, 0)
    await second.poll(1, 0)
    assert asked[-1] == 3
    await other.close()
    await until(lambda: not is_shared(log_lane))
    await first.poll(1, 0.5)
    assert asked[-1] == 6


def is_shared(lane: Lane) -> bool:
    with sqlite3.connect(lane.folder / "log.db-members") as connection:
        return bool(connection.execute("SELECT count(*) > 1 FROM member").fetchone()[0])
