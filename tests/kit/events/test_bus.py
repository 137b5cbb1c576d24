"""Keys go where Kafka's own clients put them."""

from aiokafka.partitioner import murmur2
from hypothesis import given
from hypothesis import strategies as st

from services.kit.events.bus import partition_number


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60), st.integers(1, 48))
def test_a_key_has_the_partition_that_kafka_clients_choose(key: str, partitions: int) -> None:
    assert partition_number(key, partitions) == (murmur2(key.encode()) & 0x7FFFFFFF) % partitions
