"""What billing hears: an order to hold, and what became of each of its legs."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from google.protobuf.message import Message as ProtoMessage

from services.billing import messages, use_cases
from services.billing.domain.charge import Amendment, Fact, Order
from services.contracts.dispatch.v1 import events_pb2 as dispatch_pb2
from services.contracts.orders.v1 import events_pb2 as orders_pb2
from services.kit.clock import utc_now
from services.kit.database import Transaction
from services.kit.telemetry import fact as fact_of_now


def on_order_placed(tx: Transaction, event: orders_pb2.OrderPlaced) -> None:
    """A department asked: hold the estimate or refuse."""
    _gather(tx, messages.order(event, _event_id()))


def on_order_amended(tx: Transaction, event: orders_pb2.OrderAmended) -> None:
    """Windows changed: what is late is told by the new ones."""
    _gather(tx, messages.amendment(event, _event_id()))


def on_stop_completed(tx: Transaction, event: dispatch_pb2.StopCompleted) -> None:
    """A load was handed over: what was held is owed. A pickup alone ends nothing."""
    if event.stop_kind == dispatch_pb2.STOP_KIND_DROP:
        _settle(tx, messages.hand_over(event))


def on_stop_failed(tx: Transaction, event: dispatch_pb2.StopFailed) -> None:
    """A delivery failed, at either end: charge by rule or give the hold back."""
    _settle(tx, messages.failure(event))


def on_delivery_cancelled(tx: Transaction, event: dispatch_pb2.DeliveryCancelled) -> None:
    """A delivery was cancelled: charge a late one by rule, give the hold of the others back."""
    _settle(tx, messages.cancellation(event))


def on_delivery_lapsed(tx: Transaction, event: dispatch_pb2.DeliveryLapsed) -> None:
    """Nobody rode it: give the hold back."""
    _settle(tx, messages.lapse(event))


def _settle(tx: Transaction, fact: Fact) -> None:
    use_cases.check_fact(tx, fact)
    _gather(tx, replace(fact, event_id=_event_id()))


def _event_id() -> str:
    """Return the id of the event that is being heard: each cent can be told back to it."""
    return fact_of_now("message_id")


def _gather(tx: Transaction, heard: Order | Amendment | Fact) -> None:
    tx.gather(_book, heard)


def _book(tx: Transaction, heard: list[Order | Amendment | Fact]) -> None:
    """Book what one transaction heard together, just before its commit: contracts are locked late and for short."""
    orders = [one for one in heard if isinstance(one, Order)]
    facts = [one for one in heard if isinstance(one, Fact)]
    amendments = [one for one in heard if isinstance(one, Amendment)]
    use_cases.book(tx, orders, facts, amendments, at=utc_now())


HEARS: Mapping[type[ProtoMessage], Callable[[Transaction, Any], None]] = {
    orders_pb2.OrderPlaced: on_order_placed,
    orders_pb2.OrderAmended: on_order_amended,
    dispatch_pb2.StopCompleted: on_stop_completed,
    dispatch_pb2.StopFailed: on_stop_failed,
    dispatch_pb2.DeliveryCancelled: on_delivery_cancelled,
    dispatch_pb2.DeliveryLapsed: on_delivery_lapsed,
}
