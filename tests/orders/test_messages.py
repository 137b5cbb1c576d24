from datetime import UTC, date, datetime

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from services.contracts.orders.v1 import events_pb2 as events
from services.orders import messages
from services.orders.domain.load import Load
from services.orders.domain.order import Amended, CancellationAsked, Flow, Leg, Order, Placed, Visit
from services.orders.domain.window import Window
from tests.contracts.examples import Example, examples

FLOWS = {events.FLOW_ONE_WAY: Flow.ONE_WAY, events.FLOW_EXCHANGE: Flow.EXCHANGE, events.FLOW_LOAN: Flow.LOAN}


def of_type(name: str) -> list[Example]:
    return [example for example in examples() if example.type == name]


def order_told_by(event: events.OrderPlaced) -> Order:
    """The order that an event tells of."""
    return Order(
        id=event.order_id,
        reference=event.reference,
        department_id=event.department_id,
        contract_id=event.contract_id,
        flow=FLOWS[event.flow],
        legs=tuple(leg_told_by(leg) for leg in event.legs),
        placed_at=instant(event.placed_at),
        note=event.note,
        recurring_request_id=event.recurring_request_id or None,
        occurrence_date=date.fromisoformat(event.legs[0].service_date) if event.recurring_request_id else None,
    )


def leg_told_by(leg: events.Leg) -> Leg:
    loads = tuple(
        Load(
            each.kind,
            each.label,
            each.count,
            each.unit_grams,
            each.unit_millilitres,
            each.unit_seconds,
            each.longest_ride_seconds if each.HasField("longest_ride_seconds") else None,
        )
        for each in leg.loads
    )
    return Leg(
        leg.number,
        date.fromisoformat(leg.service_date),
        visit_told_by(leg.pickup),
        visit_told_by(leg.drop),
        loads,
        leg.needs_trailer,
    )


def visit_told_by(visit: events.Visit) -> Visit:
    return Visit(
        visit.site_id,
        visit.site_name,
        visit.address,
        visit.latitude,
        visit.longitude,
        visit.access_note,
        visit.contact,
        visit.service_seconds,
        Window(instant(visit.window_start), instant(visit.window_end)),
    )


def instant(timestamp: Timestamp) -> datetime:
    return timestamp.ToDatetime(tzinfo=UTC)


@pytest.mark.parametrize("example", of_type("orders.v1.OrderPlaced"), ids=str)
def test_every_placed_order_of_the_examples_is_said_like_that(example: Example) -> None:
    event = example.message
    assert isinstance(event, events.OrderPlaced)
    message = messages.message_of(Placed(order_told_by(event)))
    assert events.OrderPlaced.FromString(message.data) == event
    assert (message.type, message.subject, message.time) == (example.type, event.order_id, instant(event.placed_at))


@pytest.mark.parametrize("example", of_type("orders.v1.OrderAmended"), ids=str)
def test_every_amendment_of_the_examples_is_said_like_that(example: Example) -> None:
    event = example.message
    assert isinstance(event, events.OrderAmended)
    placed = next(
        one.message
        for one in of_type("orders.v1.OrderPlaced")
        if isinstance(one.message, events.OrderPlaced) and one.message.order_id == event.order_id
    )
    assert isinstance(placed, events.OrderPlaced)
    order = order_told_by(placed)
    new = {leg.number: leg_told_by(leg) for leg in event.legs}
    order = Order(
        **{
            **{name: getattr(order, name) for name in Order.__dataclass_fields__},
            "legs": tuple(new.get(leg.number, leg) for leg in order.legs),
            "note": event.note,
        }
    )
    message = messages.message_of(Amended(order, tuple(new), instant(event.amended_at)))
    assert events.OrderAmended.FromString(message.data) == event


@pytest.mark.parametrize("example", of_type("orders.v1.OrderCancelled"), ids=str)
def test_every_cancellation_of_the_examples_is_said_like_that(example: Example) -> None:
    event = example.message
    assert isinstance(event, events.OrderCancelled)
    asked = CancellationAsked(
        event.order_id, tuple(event.legs), event.reason, is_late=event.is_late, at=instant(event.cancelled_at)
    )
    assert events.OrderCancelled.FromString(messages.message_of(asked).data) == event
