"""Events <-> domain: what orders says, and what it understands of what billing and dispatch say."""

from datetime import UTC, date, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from services.contracts.billing.v1 import events_pb2 as billing
from services.contracts.dispatch.v1 import events_pb2 as dispatch
from services.contracts.orders.v1 import events_pb2 as orders
from services.kit.events.message import Message, said
from services.orders.domain.contract import CeilingWarning, Contract, Department
from services.orders.domain.order import (
    Amended,
    CancellationAsked,
    CountedLoad,
    Flow,
    Leg,
    Placed,
    Planning,
    Refusal,
    Report,
    Said,
    Settlement,
    Visit,
)

SOURCE = "/orders"

_FLOWS = {Flow.ONE_WAY: orders.FLOW_ONE_WAY, Flow.EXCHANGE: orders.FLOW_EXCHANGE, Flow.LOAN: orders.FLOW_LOAN}
_OUTCOMES = {
    billing.OUTCOME_DELIVERED: "delivered",
    billing.OUTCOME_FAILED_CHARGED: "failed-charged",
    billing.OUTCOME_CANCELLED_CHARGED: "cancelled-charged",
    billing.OUTCOME_RELEASED: "released",
}


def message_of(fact: Said) -> Message:
    """Return the message that tells a fact."""
    match fact:
        case Placed():
            order = fact.order
            return said(order_placed(fact), source=SOURCE, subject=order.id, at=order.placed_at)
        case Amended():
            return said(order_amended(fact), source=SOURCE, subject=fact.order.id, at=fact.at)
        case CancellationAsked():
            return said(order_cancelled(fact), source=SOURCE, subject=fact.order_id, at=fact.at)


def order_placed(fact: Placed) -> orders.OrderPlaced:
    """Say that a dated order exists."""
    order = fact.order
    return orders.OrderPlaced(
        order_id=order.id,
        reference=order.reference,
        contract_id=order.contract_id,
        department_id=order.department_id,
        flow=_FLOWS[order.flow],
        recurring_request_id=order.recurring_request_id or "",
        legs=[_leg(leg) for leg in order.legs],
        placed_at=_timestamp(order.placed_at),
        note=order.note,
    )


def order_amended(fact: Amended) -> orders.OrderAmended:
    """Say that windows or the note have changed."""
    return orders.OrderAmended(
        order_id=fact.order.id,
        legs=[_leg(leg) for leg in fact.order.legs if leg.number in fact.legs],
        note=fact.order.note,
        amended_at=_timestamp(fact.at),
    )


def order_cancelled(fact: CancellationAsked) -> orders.OrderCancelled:
    """Say that the department gives up some legs."""
    return orders.OrderCancelled(
        order_id=fact.order_id,
        legs=fact.legs,
        reason=fact.reason,
        is_late=fact.is_late,
        cancelled_at=_timestamp(fact.at),
    )


def _leg(leg: Leg) -> orders.Leg:
    return orders.Leg(
        number=leg.number,
        service_date=leg.service_date.isoformat(),
        pickup=_visit(leg.pickup),
        drop=_visit(leg.drop),
        loads=[
            orders.Load(
                kind=load.kind,
                label=load.label,
                count=load.count,
                unit_grams=load.unit_grams,
                unit_millilitres=load.unit_millilitres,
                unit_seconds=load.unit_seconds,
                longest_ride_seconds=load.longest_ride_seconds,
            )
            for load in leg.loads
        ],
        needs_trailer=leg.needs_trailer,
    )


def _visit(visit: Visit) -> orders.Visit:
    return orders.Visit(
        site_id=visit.site_id,
        site_name=visit.site_name,
        address=visit.address,
        latitude=visit.latitude,
        longitude=visit.longitude,
        access_note=visit.access_note,
        contact=visit.contact,
        window_start=_timestamp(visit.window.start),
        window_end=_timestamp(visit.window.end),
        service_seconds=visit.service_seconds,
    )


def contract(event: billing.ContractRegistered) -> Contract:
    """Understand a contract's terms."""
    return Contract(
        id=event.contract_id,
        reference=event.reference,
        title=event.title,
        departments=tuple(Department(party.id, party.name) for party in event.departments),
        starts_on=date.fromisoformat(event.starts_on),
        ends_on=date.fromisoformat(event.ends_on),
        zone=event.zone or "Europe/Paris",
        cutoff_minutes=event.cutoff_minutes,
        registered_at=instant(event.registered_at),
    )


def warning(event: billing.CeilingNearlyReached) -> CeilingWarning:
    """Understand that a contract nears its ceiling."""
    return CeilingWarning(
        event.threshold_percent, event.ceiling_cents, event.left_cents, instant(event.crossed_at), event.scope_name
    )


def refusal(event: billing.HoldRefused) -> Refusal:
    """Understand why an order may not be carried out."""
    return Refusal(event.reason_code, event.reason, event.asked_cents, event.left_cents)


def settlement(event: billing.LegSettled) -> Settlement:
    """Understand what a leg cost."""
    return Settlement(_OUTCOMES.get(event.outcome, "unknown"), event.amount_cents, instant(event.settled_at))


def planning(event: dispatch.DeliveryPlanned) -> Planning:
    """Understand where a leg stands in a round."""
    return Planning(event.round_id, event.cooperative_id, instant(event.pickup_at), instant(event.drop_at))


def report(event: dispatch.StopCompleted) -> Report:
    """Understand what a courier told of a stop."""
    return Report(
        at=instant(event.completed_at),
        cooperative_id=event.cooperative_id,
        counted=tuple(CountedLoad(load.kind, load.announced, load.counted) for load in event.loads),
        remark=event.note,
        proof_ids=tuple(event.proof_ids),
    )


def failure(event: dispatch.StopFailed) -> Report:
    """Understand what a courier told of a stop that could not be carried out."""
    return Report(
        at=instant(event.failed_at),
        cooperative_id=event.cooperative_id,
        remark=event.note,
        proof_ids=tuple(event.proof_ids),
    )


def is_drop(event: dispatch.StopCompleted) -> bool:
    """Return whether the stop was the hand-over."""
    return event.stop_kind == dispatch.STOP_KIND_DROP


def instant(timestamp: Timestamp) -> datetime:
    """Return a timestamp as an aware instant."""
    return timestamp.ToDatetime(tzinfo=UTC)


def _timestamp(moment: datetime) -> Timestamp:
    timestamp = Timestamp()
    timestamp.FromDatetime(moment)
    return timestamp
