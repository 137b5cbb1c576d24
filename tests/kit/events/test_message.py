"""CloudEvents in binary mode: what is written in headers is read back, and nothing else is taken for an event."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from google.protobuf.wrappers_pb2 import StringValue
from hypothesis import given
from hypothesis import strategies as st

from services.kit import telemetry
from services.kit.events.message import Message, said
from services.kit.ids import is_id

AT = datetime(2026, 11, 24, 8, 30, 0, 123456, UTC)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=100)
messages = st.builds(
    Message,
    id=texts,
    type=texts,
    source=texts,
    subject=texts,
    time=st.builds(datetime.fromtimestamp, st.floats(0, 4e9), st.sampled_from([UTC, timezone(timedelta(hours=2))])),
    data=st.binary(max_size=30),
    traceparent=st.just("") | texts,
)


@given(messages)
def test_what_is_written_is_read_back(message: Message) -> None:
    assert Message.from_headers(message.headers(), message.data) == message


def test_the_headers_are_those_of_cloudevents_in_kafka_binary_mode() -> None:
    message = Message("1", "orders.v1.OrderPlaced", "/orders", "o-1", AT, b"")
    assert message.headers() == [
        ("ce_specversion", b"1.0"),
        ("ce_id", b"1"),
        ("ce_source", b"/orders"),
        ("ce_type", b"orders.v1.OrderPlaced"),
        ("ce_subject", b"o-1"),
        ("ce_time", b"2026-11-24T08:30:00.123456+00:00"),
        ("content-type", b"application/protobuf"),
    ]


def test_the_topic_is_the_package_of_the_type() -> None:
    assert Message("1", "orders.v1.OrderPlaced", "", "", AT, b"").topic == "orders.v1"


@pytest.mark.parametrize(
    "missing", ["ce_specversion", "ce_id", "ce_source", "ce_type", "ce_subject", "ce_time", "content-type"]
)
def test_without_one_of_its_headers_it_is_not_an_event(missing: str) -> None:
    headers = [pair for pair in Message("1", "a.B", "/a", "k", AT, b"").headers() if pair[0] != missing]
    with pytest.raises(ValueError, match="not a CloudEvent"):
        Message.from_headers(headers, b"")


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("ce_specversion", b"0.3"),
        ("content-type", b"application/json"),
        ("ce_time", b"yesterday"),
        ("ce_time", b"2026-11-24T08:30:00"),
        ("ce_id", b"\xff"),
        ("ce_id", b""),
        ("ce_id", b"x" * 101),
        ("ce_type", b""),
        ("ce_subject", b"x" * 201),
        ("ce_subject", b"a\0b"),
        ("ce_time", b"0001-01-01T00:00:00+05:00"),
    ],
)
def test_with_a_header_of_another_kind_it_is_not_an_event(header: str, value: bytes) -> None:
    headers = dict(Message("1", "a.B", "/a", "k", AT, b"").headers()) | {header: value}
    with pytest.raises(ValueError):
        Message.from_headers(headers.items(), b"")


def test_a_trace_that_no_column_could_keep_is_cut() -> None:
    headers = [*Message("1", "a.B", "/a", "k", AT, b"").headers(), ("traceparent", b"\xff\0" + b"x" * 300)]
    assert Message.from_headers(headers, b"").traceparent == "\N{REPLACEMENT CHARACTER}" + "x" * 199


def test_said_makes_a_message_of_an_event_with_an_id_of_its_own() -> None:
    first, second = (said(StringValue(value="x"), source="/a", subject="k", at=AT) for _ in range(2))
    assert first.type == "google.protobuf.StringValue"
    assert (first.source, first.subject, first.time, first.traceparent) == ("/a", "k", AT, "")
    assert StringValue.FromString(first.data).value == "x"
    assert is_id(first.id)
    assert first.id < second.id


def test_the_trace_of_what_is_being_handled_goes_on() -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with telemetry.about(traceparent=trace):
        assert said(StringValue(), source="/a", subject="k", at=AT).traceparent == trace
