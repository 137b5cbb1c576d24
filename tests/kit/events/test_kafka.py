"""What only Kafka can show: what is on the wire, foreign records, a broker that is late, frozen, or without memory."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from time import monotonic

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from google.protobuf.wrappers_pb2 import StringValue

from services.kit.events.bus import BusAway, Partition, Topic
from services.kit.events.consumer import Consumer, replay_dead_letters
from services.kit.events.kafka import KafkaBus, _KafkaSubscription
from tests.kit.events.lane import HEARS, TOPIC, Lane, dead_letters, read_all, say, starts, until, word, words, written
from tests.servers.kafka import KafkaServer
from tests.servers.parts import free_port


@pytest.fixture
async def kafka_lane(kafka_server: KafkaServer, tmp_path: Path) -> AsyncIterator[Lane]:
    lane = Lane("kafka", tmp_path, kafka_server)
    yield lane
    await lane.close()


async def test_on_the_wire_are_key_cloudevents_headers_and_plain_protobuf(
    kafka_lane: Lane, kafka_server: KafkaServer
) -> None:
    message = word("one", "anna")
    await kafka_lane.publish(message)
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka_server.bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    consumer.assign([TopicPartition(f"{kafka_lane.prefix}{TOPIC}", 1)])
    record = await asyncio.wait_for(consumer.getone(), 20)
    await consumer.stop()
    assert record.key == b"anna"
    assert record.value == message.data
    assert list(record.headers) == message.headers()
    assert record.timestamp == int(message.time.timestamp() * 1000)


async def test_topics_are_made_with_their_partitions_and_kept_for_ever(
    kafka_lane: Lane, kafka_server: KafkaServer
) -> None:
    await kafka_lane.bus.ends([TOPIC])
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_server.bootstrap)
    await admin.start()
    (found,) = await admin.describe_topics([f"{kafka_lane.prefix}{TOPIC}"])
    await admin.close()
    assert len(found["partitions"]) == 6
    again = kafka_lane.another_bus()
    assert len(await again.ends([TOPIC])) == 6


async def test_what_is_no_event_goes_aside_and_only_its_own_key_waits(
    kafka_lane: Lane, kafka_server: KafkaServer
) -> None:
    sink = kafka_lane.database("sink")
    await kafka_lane.publish(word("anna 1", "anna"))
    producer = AIOKafkaProducer(bootstrap_servers=kafka_server.bootstrap)
    await producer.start()
    topic = f"{kafka_lane.prefix}{TOPIC}"
    await producer.send_and_wait(topic, b"{}", key=b"an\0na", partition=1)
    await producer.send_and_wait(topic, None, key=b"louis", partition=1)
    await producer.send_and_wait(topic, b"no key", partition=1)
    await producer.stop()
    await kafka_lane.publish(word("anna 2", "anna"), word("louis 1", "louis"))
    kafka_lane.consumer(sink)
    await written(sink, ["anna 1"])
    await until(lambda: len(dead_letters(sink)) == 5)
    letters = dead_letters(sink)
    assert [letter.message.subject for letter in letters] == ["anna", "louis", "", "anna", "louis"]
    assert [letter.is_parked for letter in letters] == [False, False, False, True, True]
    assert letters[0].message.data == b"{}"
    assert letters[0].reason == "unreadable-event: Le message n'a pas les en-têtes d'un événement."
    assert replay_dead_letters(sink, HEARS).replayed == 0


async def test_a_house_that_starts_before_its_broker_waits_for_it(kafka_lane: Lane, kafka_server: KafkaServer) -> None:
    source, sink = kafka_lane.database("source"), kafka_lane.database("sink")
    await asyncio.to_thread(kafka_server.kill)
    kafka_lane.relay(source)
    kafka_lane.consumer(sink)
    say(source, word("anna 1", "anna"))
    with pytest.raises(BusAway):
        await kafka_lane.bus.ends([TOPIC])
    await asyncio.to_thread(kafka_server.start)
    await written(sink, ["anna 1"], seconds=40)


async def test_nothing_waits_for_ever_when_there_is_no_broker_at_all(tmp_path: Path) -> None:
    bus = KafkaBus(f"127.0.0.1:{free_port()}", [Topic(TOPIC, 6)], session_seconds=1.0)
    lane = Lane("kafka", tmp_path)
    source, sink = lane.database("source"), lane.database("sink")
    running = [lane.relay(source, bus), lane.consumer(sink, bus=bus)]
    say(source, word("anna 1", "anna"))
    await asyncio.sleep(0.5)
    began = monotonic()
    for one in running:
        await one.stop()
    await bus.close()
    assert monotonic() - began < 10
    await lane.close()


async def test_a_broker_that_hangs_delays_but_loses_and_doubles_nothing(
    kafka_lane: Lane, kafka_server: KafkaServer
) -> None:
    source, sink = kafka_lane.database("source"), kafka_lane.database("sink")
    kafka_lane.relay(source)
    kafka_lane.consumer(sink)
    say(source, *(word(f"anna {number}", "anna") for number in range(5)))
    await until(lambda: len(words(sink)) == 5)
    kafka_server.freeze()
    say(source, *(word(f"anna {number}", "anna") for number in range(5, 10)))
    await asyncio.sleep(3)  # longer than the group waits for a member
    kafka_server.thaw()
    await until(lambda: len(words(sink)) >= 10, seconds=40)
    assert words(sink) == [f"anna {number}" for number in range(10)]


async def test_a_producer_that_was_thrown_away_is_replaced(kafka_lane: Lane) -> None:
    bus = kafka_lane.bus
    assert isinstance(bus, KafkaBus)
    partition = bus.partition_of(TOPIC, "anna")
    await bus.publish(partition, [word("one", "anna")])
    assert bus._line is not None
    await bus._break(bus._line)
    await bus.publish(partition, [word("two", "anna")])
    (read,) = (await read_all(kafka_lane, 2)).values()
    assert [StringValue.FromString(one.message.data).value for one in read] == ["one", "two"]


async def test_what_was_read_during_a_new_assignment_is_read_again(kafka_lane: Lane) -> None:
    subscription = await kafka_lane.bus.subscribe("reader", [TOPIC], starts())
    assert isinstance(subscription, _KafkaSubscription)
    await kafka_lane.publish(word("one", "anna"))
    really = subscription._consumer.getmany

    async def interrupted(**arguments: object) -> object:
        found = await really(**arguments)
        if found:
            subscription._consumer.getmany = really
            subscription.on_partitions_assigned(subscription._assigned)
        return found

    subscription._consumer.getmany = interrupted
    read: list[int] = []
    async with asyncio.timeout(20):
        while not read:
            before = subscription._consumer.getmany
            found = await subscription.poll(10, 0.2)
            read = [len(batch) for batch in found.values()]
            if before is not subscription._consumer.getmany:
                assert read == []
    assert read == [1]
    await subscription.close()


async def test_a_batch_that_is_refused_for_good_is_told_and_the_next_one_passes(kafka_lane: Lane) -> None:
    bus = kafka_lane.bus
    partition = bus.partition_of(TOPIC, "anna")
    with pytest.raises(BusAway, match="MessageSizeTooLarge"):
        await bus.publish(partition, [word("x" * 2_000_000, "anna")])
    await bus.publish(partition, [word("two", "anna")])
    (read,) = (await read_all(kafka_lane, 1)).values()
    assert [StringValue.FromString(one.message.data).value for one in read] == ["two"]


async def test_a_topic_that_was_made_anew_stops_the_consumer_and_says_so(
    kafka_lane: Lane, kafka_server: KafkaServer
) -> None:
    sink = kafka_lane.database("sink")
    await kafka_lane.publish(*(word(f"anna {number}", "anna") for number in range(3)))
    first = kafka_lane.consumer(sink)
    await until(lambda: len(words(sink)) == 3)
    await first.stop()
    topic = f"{kafka_lane.prefix}{TOPIC}"
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_server.bootstrap)
    await admin.start()
    await admin.delete_topics([topic])
    while topic in await admin.list_topics():  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    await admin.close()
    bus = kafka_lane.another_bus()
    await bus.publish(Partition(TOPIC, 1), [word("anna new", "anna")])
    running = kafka_lane.consumer(sink, bus=bus)
    await asyncio.wait_for(running.task, 20)
    assert isinstance(running.part, Consumer)
    assert "google.protobuf" in running.part.stopped_because
    assert "at 3" in running.part.stopped_because


async def test_kafkas_own_tools_see_where_a_group_reads(kafka_lane: Lane, kafka_server: KafkaServer) -> None:
    sink = kafka_lane.database("sink")
    await kafka_lane.publish(word("anna 1", "anna"), word("anna 2", "anna"))
    kafka_lane.consumer(sink)
    await written(sink, ["anna 1", "anna 2"])
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_server.bootstrap)
    await admin.start()
    partition = TopicPartition(f"{kafka_lane.prefix}{TOPIC}", 1)
    async with asyncio.timeout(10):
        while True:
            seen = await admin.list_consumer_group_offsets(f"{kafka_lane.prefix}sink")
            if partition in seen and seen[partition].offset == 2:
                break
            await asyncio.sleep(0.1)
    await admin.close()
