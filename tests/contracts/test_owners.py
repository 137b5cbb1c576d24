"""Who writes what: from what it knows, the owner of a topic writes exactly what the examples say.

Billing's half, where amounts are computed, is `tests/billing/test_examples.py`.
"""

from dataclasses import fields
from datetime import datetime
from typing import Any

import pytest

from services.contracts.dispatch.v1 import events_pb2 as dispatch_pb2
from services.dispatch import messages as dispatch_messages
from services.dispatch.domain import events as dispatch_events
from services.dispatch.domain.events import BikeKind, CountedLoad, DeliveryId, Ridden, StopKind
from services.dispatch.domain.part import PlanPart
from services.kit.events.message import Message
from services.orders import messages as orders_messages
from services.orders.domain.contract import Contract
from services.orders.domain.order import Actor, Order, place
from tests.contracts.builders import instant, order_of, visit_of
from tests.contracts.examples import Example, event_class, examples


def _said(topic: str, name: str = "") -> list[Example]:
    return [example for example in examples() if example.topic == topic and example.type.endswith(name)]


def _check(message: Message, example: Example) -> None:
    assert event_class(message.type).FromString(message.data) == example.message
    assert message.type == example.type
    assert message.topic == example.topic
    assert message.source == f"/{example.topic.partition('.')[0]}"
    assert message.subject == example.fields["orderId"]
    assert message.time == example.occurred_at


def _order(example: Example) -> Order:
    placed = (one for one in _said("orders.v1", "OrderPlaced") if one.fields["orderId"] == example.fields["orderId"])
    return order_of(next(placed).message)


def _contract() -> Contract:
    registered: Any = _said("billing.v1", "ContractRegistered")[0].message
    return orders_messages.contract(registered)


@pytest.mark.parametrize("example", _said("orders.v1", "OrderPlaced"), ids=str)
def test_orders_writes_that_an_order_was_placed(example: Example) -> None:
    (fact,) = place(_order(example), actor=Actor.DEPARTMENT).said
    _check(orders_messages.message_of(fact), example)


@pytest.mark.parametrize("example", _said("orders.v1", "OrderAmended"), ids=str)
def test_orders_writes_that_an_order_was_amended(example: Example) -> None:
    event: Any = example.message
    windows = {leg.number: (visit_of(leg.pickup).window, visit_of(leg.drop).window) for leg in event.legs}
    change = _order(example).amend(
        windows, event.note, _contract(), at=instant(event.amended_at), actor=Actor.DEPARTMENT
    )
    (fact,) = change.said
    _check(orders_messages.message_of(fact), example)


@pytest.mark.parametrize("example", _said("orders.v1", "OrderCancelled"), ids=str)
def test_orders_writes_that_a_cancellation_was_asked(example: Example) -> None:
    event: Any = example.message
    change = _order(example).cancel(
        list(event.legs), event.reason, _contract(), at=instant(event.cancelled_at), actor=Actor.DEPARTMENT
    )
    (fact,) = change.said
    _check(orders_messages.message_of(fact), example)


@pytest.mark.parametrize("example", _said("dispatch.v1"), ids=str)
def test_dispatch_writes_what_became_of_a_delivery(example: Example) -> None:
    event: Any = example.message
    fact: Any = getattr(dispatch_events, example.type.rpartition(".")[2])
    known = {
        field.name: _known(field.name, getattr(event, field.name))
        for field in fields(fact)
        if field.name != "delivery_id"
    }
    _check(dispatch_messages.message(fact(delivery_id=DeliveryId(event.order_id, event.leg), **known)), example)


@pytest.mark.parametrize("example", _said("dispatch.parts.v1"), ids=str)
def test_dispatch_writes_that_a_part_is_to_be_searched(example: Example) -> None:
    event: Any = example.message
    part = PlanPart(event.part_id, event.plan_id, instant(event.requested_at), 10.0, 1, b"problem", None)
    message = dispatch_messages.part_requested(part)
    assert event_class(message.type).FromString(message.data) == event
    assert (message.topic, message.subject) == ("dispatch.parts.v1", event.part_id)


def _known(name: str, value: Any) -> Any:
    """Return a field of an event as dispatch's domain has it."""
    if name.endswith("_at"):
        moment: datetime = instant(value)
        return moment
    if name == "stop_kind":
        return {dispatch_pb2.STOP_KIND_PICKUP: StopKind.PICKUP, dispatch_pb2.STOP_KIND_DROP: StopKind.DROP}[value]
    if name == "loads":
        return tuple(CountedLoad(load.kind, load.announced, load.counted) for load in value)
    if name == "ridden":
        return _ridden(value) if value.round_id else None
    return tuple(value) if name in ("proof_ids", "reason_codes") else value


def _ridden(told: dispatch_pb2.Ridden) -> Ridden:
    kinds = {dispatch_pb2.BIKE_KIND_MUSCLE: BikeKind.MUSCLE, dispatch_pb2.BIKE_KIND_ELECTRIC: BikeKind.ELECTRIC}
    is_estimated = told.distance_source == dispatch_pb2.DISTANCE_SOURCE_ESTIMATED
    return Ridden(
        told.round_id, told.round_metres, told.direct_metres, is_estimated, kinds[told.bike_kind], told.load_grams
    )
