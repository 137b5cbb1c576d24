"""What billing and dispatch said, and what it means for an order."""

from collections.abc import Callable, Mapping
from typing import Any

from google.protobuf.message import Message as ProtoMessage

from services.contracts.billing.v1 import events_pb2 as billing
from services.contracts.dispatch.v1 import events_pb2 as dispatch
from services.kit.database import Transaction
from services.orders import messages
from services.orders.messages import instant
from services.orders.use_cases import registers
from services.orders.use_cases.orders import hear


def on_contract_registered(tx: Transaction, event: billing.ContractRegistered) -> None:
    """A contract may be ordered under, or its terms have changed."""
    registers.learn_contract(tx, messages.contract(event))


def on_ceiling_nearly_reached(tx: Transaction, event: billing.CeilingNearlyReached) -> None:
    """A contract nears its ceiling: its departments are warned."""
    registers.learn_warning(tx, event.contract_id, messages.warning(event))


def on_amount_held(tx: Transaction, event: billing.AmountHeld) -> None:
    """The order is accepted."""
    hear(tx, event.order_id, lambda order: order.held(event.amount_cents, at=instant(event.held_at)))


def on_approval_requested(tx: Transaction, event: billing.ApprovalRequested) -> None:
    """The order waits for a named person; it is neither accepted nor refused yet."""
    hear(tx, event.order_id, lambda order: order.awaits_approval(event.reason, at=instant(event.requested_at)))


def on_hold_refused(tx: Transaction, event: billing.HoldRefused) -> None:
    """The order is refused, with the figures."""
    hear(tx, event.order_id, lambda order: order.refused(messages.refusal(event), at=instant(event.refused_at)))


def on_leg_settled(tx: Transaction, event: billing.LegSettled) -> None:
    """A leg's final price is known."""
    hear(tx, event.order_id, lambda order: order.settled(event.leg, messages.settlement(event)))


def on_delivery_planned(tx: Transaction, event: dispatch.DeliveryPlanned) -> None:
    """A leg stands in a published round."""
    hear(
        tx,
        event.order_id,
        lambda order: order.planned(event.leg, messages.planning(event), at=instant(event.planned_at)),
    )


def on_delivery_withdrawn(tx: Transaction, event: dispatch.DeliveryWithdrawn) -> None:
    """A published round was taken back."""
    hear(tx, event.order_id, lambda order: order.withdrawn(event.leg, event.reason, at=instant(event.withdrawn_at)))


def on_delivery_left_out(tx: Transaction, event: dispatch.DeliveryLeftOut) -> None:
    """A published plan does not serve a leg."""
    hear(tx, event.order_id, lambda order: order.left_out(event.leg, event.reason, at=instant(event.left_out_at)))


def on_stop_completed(tx: Transaction, event: dispatch.StopCompleted) -> None:
    """A load was collected, or handed over."""
    report = messages.report(event)
    hear(
        tx,
        event.order_id,
        lambda order: (
            order.delivered(event.leg, report) if messages.is_drop(event) else order.collected(event.leg, report)
        ),
    )


def on_stop_failed(tx: Transaction, event: dispatch.StopFailed) -> None:
    """A stop could not be carried out."""
    hear(tx, event.order_id, lambda order: order.failed(event.leg, messages.failure(event), event.reason))


def on_delivery_cancelled(tx: Transaction, event: dispatch.DeliveryCancelled) -> None:
    """A cancellation took effect."""
    hear(
        tx,
        event.order_id,
        lambda order: order.cancelled(event.leg, is_late=event.is_late, at=instant(event.cancelled_at)),
    )


def on_delivery_lapsed(tx: Transaction, event: dispatch.DeliveryLapsed) -> None:
    """A leg's day passed and nobody rode it."""
    hear(tx, event.order_id, lambda order: order.lapsed(event.leg, at=instant(event.lapsed_at)))


HEARS: Mapping[type[ProtoMessage], Callable[[Transaction, Any], None]] = {
    billing.ContractRegistered: on_contract_registered,
    billing.CeilingNearlyReached: on_ceiling_nearly_reached,
    billing.AmountHeld: on_amount_held,
    billing.ApprovalRequested: on_approval_requested,
    billing.HoldRefused: on_hold_refused,
    billing.LegSettled: on_leg_settled,
    dispatch.DeliveryPlanned: on_delivery_planned,
    dispatch.DeliveryWithdrawn: on_delivery_withdrawn,
    dispatch.DeliveryLeftOut: on_delivery_left_out,
    dispatch.StopCompleted: on_stop_completed,
    dispatch.StopFailed: on_stop_failed,
    dispatch.DeliveryCancelled: on_delivery_cancelled,
    dispatch.DeliveryLapsed: on_delivery_lapsed,
}
