"""The examples of proto/examples and the topics they belong to, read once for all tests of this folder."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from google.protobuf.descriptor import Descriptor, FileDescriptor
from google.protobuf.json_format import Parse
from google.protobuf.message import Message

from services.contracts.billing.v1 import events_pb2 as billing_pb2
from services.contracts.dispatch.parts.v1 import events_pb2 as parts_pb2
from services.contracts.dispatch.v1 import events_pb2 as dispatch_pb2
from services.contracts.orders.v1 import events_pb2 as orders_pb2
from tests.servers.parts import PROJECT

PROTO = PROJECT / "proto"
FOLDER = PROTO / "examples"
SERVICES = ("orders", "dispatch", "billing")
MODULES = {
    "orders.v1": orders_pb2,
    "dispatch.v1": dispatch_pb2,
    "dispatch.parts.v1": parts_pb2,
    "billing.v1": billing_pb2,
}


@dataclass(frozen=True)
class Example:
    """One file: `type` is the event's full name, `text` the file as it is."""

    type: str
    path: Path
    text: str

    def __str__(self) -> str:
        return f"{self.type}/{self.path.stem}"

    @property
    def topic(self) -> str:
        return self.type.rpartition(".")[0]

    @property
    def fields(self) -> dict[str, Any]:
        """What the file says, as JSON."""
        fields: dict[str, Any] = json.loads(self.text)
        return fields

    @property
    def message(self) -> Message:
        """The event. Raises ParseError when the file says what the proto does not know."""
        return Parse(self.text, event_class(self.type)())

    @property
    def occurred_at(self) -> datetime:
        """The event's own time: its one instant at the top level named `..._at` that is not a plan."""
        event = self.message
        names = [field.name for field in event.DESCRIPTOR.fields if field.name.endswith("_at")]
        instant: datetime = getattr(event, names[-1]).ToDatetime(tzinfo=UTC)
        return instant


@cache
def topics() -> dict[str, dict[str, Any]]:
    """Return topics.yaml."""
    read: dict[str, dict[str, Any]] = yaml.safe_load((PROTO / "topics.yaml").read_text(encoding="utf-8"))
    return read


@cache
def examples() -> tuple[Example, ...]:
    """Return all examples in the order in which what they tell happened: together they are one story."""
    found = [
        Example(path.parent.name, path, path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*/*.json"))
    ]
    return tuple(sorted(found, key=lambda example: (example.occurred_at, example.type)))


def event_class(full_name: str) -> type[Message]:
    """Return the generated class of an event. Raises KeyError or AttributeError when there is none."""
    topic, _, name = full_name.rpartition(".")
    made: type[Message] = getattr(MODULES[topic], name)
    return made


def event_types() -> list[str]:
    """Return the full names of all events: the messages that no other message of their file is made of."""
    files: list[FileDescriptor] = [module.DESCRIPTOR for module in MODULES.values()]
    return [
        message.full_name
        for file in files
        for message in file.message_types_by_name.values()
        if not _is_part(message, file)
    ]


def _is_part(message: Descriptor, file: FileDescriptor) -> bool:
    return any(field.message_type is message for other in file.message_types_by_name.values() for field in other.fields)
