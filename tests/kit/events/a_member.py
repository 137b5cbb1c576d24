"""A member of the group `sink` in a process of its own, to be killed: KIND WHERE PREFIX DATABASE-URL."""

import asyncio
import sys
from pathlib import Path

from google.protobuf.wrappers_pb2 import StringValue
from sqlalchemy import insert

from services.kit.database import Database, Transaction
from services.kit.events.bus import Bus, Topic
from services.kit.events.consumer import Consumer
from services.kit.events.kafka import KafkaBus
from services.kit.events.log import LogBus
from tests.kit.events.lane import TOPIC, metadata, noted


def note(tx: Transaction, event: StringValue) -> None:
    tx.execute(insert(noted).values(word=event.value, by="the other process"))


async def main(kind: str, where: str, prefix: str, url: str) -> None:
    topics = [Topic(TOPIC, 6)]
    bus: Bus
    if kind == "kafka":
        bus = KafkaBus(where, topics, topic_prefix=prefix, session_seconds=1.0)
    else:
        bus = LogBus(Path(where), topics, member_seconds=1.0, glance_seconds=0.02)
    await Consumer(Database(url, metadata), bus, "sink", {StringValue: note}).run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
