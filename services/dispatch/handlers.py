"""What dispatch listens to."""

from collections.abc import Callable, Mapping
from typing import Any

from google.protobuf.message import Message as ProtoMessage

from services.contracts.billing.v1.events_pb2 import AmountHeld, ContractRegistered, HoldRefused
from services.contracts.dispatch.parts.v1.events_pb2 import PlanPartRequested
from services.contracts.orders.v1.events_pb2 import OrderAmended, OrderCancelled, OrderPlaced
from services.dispatch import messages
from services.dispatch.use_cases import orders, parts
from services.kit.database import Transaction


def on_order_placed(tx: Transaction, event: OrderPlaced) -> None:
    """A department asked: each leg waits for its hold."""
    orders.keep_order(tx, messages.deliveries(event))


def on_order_amended(tx: Transaction, event: OrderAmended) -> None:
    """Windows changed: drafts become stale, published rounds show it."""
    legs = {leg.number: (messages.visit(leg.pickup), messages.visit(leg.drop)) for leg in event.legs}
    orders.amend_order(tx, event.order_id, legs, event.note, at=messages.instant(event.amended_at))


def on_order_cancelled(tx: Transaction, event: OrderCancelled) -> None:
    """The department asked to cancel: dispatch decides, and says so."""
    at = messages.instant(event.cancelled_at)
    orders.cancel_legs(tx, event.order_id, set(event.legs), is_late=event.is_late, at=at)


def on_contract_registered(tx: Transaction, event: ContractRegistered) -> None:
    """A contract or its terms are known: only its cooperatives ride under it."""
    parties = [(party.id, party.name) for party in event.cooperatives]
    orders.keep_contract(tx, event.contract_id, event.reference, parties)


def on_amount_held(tx: Transaction, event: AmountHeld) -> None:
    """There is money for the order: it may be planned."""
    orders.hold(tx, event.order_id, event.contract_id)


def on_hold_refused(tx: Transaction, event: HoldRefused) -> None:
    """There is none: it will not be ridden."""
    orders.refuse_hold(tx, event.order_id)


def on_plan_part_requested(tx: Transaction, event: PlanPartRequested) -> None:
    """A process of dispatch plans a big day: a part of it may be searched here, once this transaction is over."""
    parts.hear_of_part(tx, event.part_id)


HEARS: Mapping[type[ProtoMessage], Callable[[Transaction, Any], None]] = {
    OrderPlaced: on_order_placed,
    OrderAmended: on_order_amended,
    OrderCancelled: on_order_cancelled,
    ContractRegistered: on_contract_registered,
    AmountHeld: on_amount_held,
    HoldRefused: on_hold_refused,
    PlanPartRequested: on_plan_part_requested,
}
