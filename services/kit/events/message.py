"""A message: CloudEvents 1.0 attributes in headers (binary mode) and plain protobuf as the value."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple

from google.protobuf.message import Message as Event

from services.kit.ids import new_id
from services.kit.telemetry import fact

CONTENT_TYPE = "application/protobuf"
LONGEST_ID = 100
LONGEST = 200
"""Characters of the attributes, as wide as the columns that keep them."""


class Message(NamedTuple):
    """A fact on its way: who said it, about what, when. (A tuple: hundreds are made for each batch.)

    `type` is the protobuf full name (`orders.v1.OrderPlaced`), `subject` the aggregate's id and the key that keeps its
    facts in order, `time` an aware instant, `data` the serialized protobuf.
    """

    id: str
    type: str
    source: str
    subject: str
    time: datetime
    data: bytes
    traceparent: str = ""

    @property
    def topic(self) -> str:
        """The package of the type."""
        return self.type.rpartition(".")[0]

    def headers(self) -> list[tuple[str, bytes]]:
        """Return the CloudEvents headers of the binary mode, UTF-8."""
        headers = [
            ("ce_specversion", b"1.0"),
            ("ce_id", self.id.encode()),
            ("ce_source", self.source.encode()),
            ("ce_type", self.type.encode()),
            ("ce_subject", self.subject.encode()),
            ("ce_time", self.time.isoformat().encode()),
            ("content-type", CONTENT_TYPE.encode()),
        ]
        if self.traceparent:
            headers.append(("traceparent", self.traceparent.encode()))
        return headers

    @classmethod
    def from_headers(cls, headers: Iterable[tuple[str, bytes]], data: bytes) -> "Message":
        """Read a message back.

        Raises
        ------
        ValueError
            When these are not the headers of a CloudEvent of version 1.0 with a protobuf value, or could not be kept.
        """
        given = dict(headers)
        try:
            if given["ce_specversion"] != b"1.0" or given["content-type"] != CONTENT_TYPE.encode():
                raise ValueError("not a CloudEvent 1.0 in protobuf")
            time = datetime.fromisoformat(given["ce_time"].decode())
            if time.tzinfo is None:
                raise ValueError("the time of a CloudEvent has a zone")
            return cls(
                id=_word(given["ce_id"], LONGEST_ID),
                type=_word(given["ce_type"]),
                source=_word(given["ce_source"]),
                subject=_word(given["ce_subject"]),
                time=time.astimezone(UTC),
                data=data,
                traceparent=given.get("traceparent", b"").decode(errors="replace").replace("\0", "")[:LONGEST],
            )
        except KeyError as missing:
            raise ValueError(f"not a CloudEvent: no header {missing}") from missing
        except OverflowError as error:
            raise ValueError("the time of a CloudEvent is out of range") from error


def _word(value: bytes, longest: int = LONGEST) -> str:
    """Read an attribute. Raises ValueError for one that no database column could keep."""
    word = value.decode()
    if not 0 < len(word) <= longest or "\0" in word:
        raise ValueError(f"an attribute of a CloudEvent has 1 to {longest} characters, none of them NUL")
    return word


def said(event: Event, *, source: str, subject: str, at: datetime) -> Message:
    """Make a message of an event: `source` says it (`/orders`) about `subject` (the key), it happened `at`.

    The trace of the request or message being handled goes on in it.
    """
    return Message(
        id=new_id(),
        type=event.DESCRIPTOR.full_name,
        source=source,
        subject=subject,
        time=at,
        data=event.SerializeToString(),
        traceparent=fact("traceparent"),
    )
