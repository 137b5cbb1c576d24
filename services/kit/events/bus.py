"""The seam between a service and what carries its events: a log of topics, in words that hold for every bus.

- A topic is a history. It is cut into partitions; a message's key (its subject) decides which, always the same one.
- Order: within a partition, messages are read in the order in which they were published.
- Delivery: at least once. A publisher that does not know whether the bus took a message publishes it again; a reader
  that died is given again what it had not recorded. Readers recognise repeats by the message's id.
- A group's members share the partitions among them. Where the group reads next in a partition is the group's own
  business, in its own database: the bus asks for it whenever it gives a partition to a member. For a moment two members
  may both be given a partition; the group's database decides who is right.
- Nothing is ever skipped silently: a position that the bus no longer has is `HistoryLost`.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from struct import unpack_from
from typing import NamedTuple, Protocol

from services.kit.events.message import Message


class Partition(NamedTuple):
    """One ordered piece of a topic."""

    topic: str
    number: int


class Delivered(NamedTuple):
    """A message at its place. A message that could not be read has an empty `type`; its data is what was found."""

    offset: int
    message: Message


@dataclass(frozen=True)
class Topic:
    """A topic to be had: its name, into how many partitions it is cut, how long it is kept (-1: for ever)."""

    name: str
    partitions: int
    retention_days: int = -1


class BusAway(Exception):
    """The bus does not answer or did not take a batch; trying again is right."""


class HistoryLost(Exception):
    """A group's position is not in the topic: it was made anew or cut. Reading on would skip or repeat facts."""


Positions = Callable[[Collection[Partition]], Awaitable[Mapping[Partition, int]]]
"""Asked at each assignment: where the group reads next; a partition that is left out starts at its beginning."""


class Subscription(Protocol):
    """One member of a group."""

    async def poll(self, limit: int, seconds: float) -> Mapping[Partition, Sequence[Delivered]]:
        """Return up to `limit` messages of the partitions this member has, waiting at most `seconds` for the first.

        Each partition's messages follow those of the poll before. Raises HistoryLost, BusAway.
        """

    def pause(self, partition: Partition) -> None:
        """Give nothing of this partition until it is resumed or assigned anew."""

    def resume(self, partition: Partition) -> None:
        """Give messages of this partition again."""

    def seek(self, partition: Partition, offset: int) -> None:
        """Read on from `offset` in this partition, if this member still has it."""

    async def commit(self, positions: Mapping[Partition, int]) -> None:
        """Tell the bus where the group reads next; for onlookers only."""

    async def close(self) -> None:
        """Leave the group."""


class Bus(Protocol):
    """What carries messages between services."""

    def partition_of(self, topic: str, key: str) -> Partition:
        """Return the partition that a key belongs to. Raises KeyError for an unknown topic."""

    async def publish(self, partition: Partition, messages: Sequence[Message]) -> None:
        """Append messages to one partition, in order, and return when they are safe.

        Raises BusAway when that is not known; some of them may be in the topic then.
        """

    async def subscribe(self, group: str, topics: Collection[str], positions: Positions) -> Subscription:
        """Join a group. Raises BusAway."""

    async def ends(self, topics: Collection[str]) -> Mapping[Partition, int]:
        """Return the offset after the last message of each partition. Raises BusAway."""

    async def close(self) -> None:
        """Let go of connections and files."""


@lru_cache(maxsize=100_000)
def partition_number(key: str, partitions: int) -> int:
    """Return the partition of a key as Kafka's own clients choose it: murmur2, positive, modulo."""
    data = key.encode()
    length = len(data)
    h = 0x9747B28C ^ length
    for k in unpack_from(f"<{length // 4}I", data):
        k = k * 0x5BD1E995 & 0xFFFFFFFF
        h = (h * 0x5BD1E995 ^ (k ^ k >> 24) * 0x5BD1E995) & 0xFFFFFFFF
    rest = data[length & ~3 :]
    if rest:
        h = (h ^ int.from_bytes(rest, "little")) * 0x5BD1E995 & 0xFFFFFFFF
    h = (h ^ h >> 13) * 0x5BD1E995 & 0xFFFFFFFF
    return ((h ^ h >> 15) & 0x7FFFFFFF) % partitions
