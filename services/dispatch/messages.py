"""Events as they travel <-> what the domain says and hears."""

from datetime import UTC, date, datetime
from functools import singledispatch

from google.protobuf.message import Message as ProtoMessage
from google.protobuf.timestamp_pb2 import Timestamp

from services.contracts.dispatch.parts.v1 import events_pb2 as asks
from services.contracts.dispatch.v1 import events_pb2 as says
from services.contracts.orders.v1 import events_pb2 as hears
from services.dispatch.domain import events
from services.dispatch.domain.delivery import Delivery, Load, Visit
from services.dispatch.domain.events import BikeKind, DeliveryId, Ridden, StopKind
from services.dispatch.domain.part import PlanPart
from services.kit.events.message import Message, said

SOURCE = "/dispatch"

_BIKE_KINDS = {BikeKind.MUSCLE: says.BIKE_KIND_MUSCLE, BikeKind.ELECTRIC: says.BIKE_KIND_ELECTRIC}
_STOP_KINDS = {StopKind.PICKUP: says.STOP_KIND_PICKUP, StopKind.DROP: says.STOP_KIND_DROP}


def message(fact: events.Fact) -> Message:
    """Return a fact as it is told: keyed by its order."""
    event, at = _event(fact)
    return said(event, source=SOURCE, subject=fact.delivery_id.order_id, at=at)


def part_requested(part: PlanPart) -> Message:
    """Return what the other processes are told of a part, keyed by it: parts go different ways."""
    event = asks.PlanPartRequested(part_id=part.id, plan_id=part.plan_id, requested_at=_timestamp(part.requested_at))
    return said(event, source=SOURCE, subject=part.id, at=part.requested_at)


def deliveries(event: hears.OrderPlaced) -> list[Delivery]:
    """Return the deliveries of an order that was placed."""
    return [
        Delivery(
            id=DeliveryId(event.order_id, leg.number),
            reference=event.reference,
            contract_id=event.contract_id,
            department_id=event.department_id,
            service_date=date.fromisoformat(leg.service_date),
            pickup=visit(leg.pickup),
            drop=visit(leg.drop),
            loads=tuple(
                Load(
                    load.kind,
                    load.label,
                    load.count,
                    load.unit_grams,
                    load.unit_millilitres,
                    load.unit_seconds,
                    load.longest_ride_seconds if load.HasField("longest_ride_seconds") else None,
                )
                for load in leg.loads
            ),
            needs_trailer=leg.needs_trailer,
            note=event.note,
        )
        for leg in event.legs
    ]


def visit(told: hears.Visit) -> Visit:
    """Return one end of a leg."""
    return Visit(
        site_id=told.site_id,
        site_name=told.site_name,
        address=told.address,
        latitude=told.latitude,
        longitude=told.longitude,
        access_note=told.access_note,
        contact=told.contact,
        window_start=instant(told.window_start),
        window_end=instant(told.window_end),
        service_seconds=told.service_seconds,
    )


def instant(told: Timestamp) -> datetime:
    """Return an aware instant in UTC."""
    return told.ToDatetime(tzinfo=UTC)


def _timestamp(at: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(at)
    return stamp


def _ridden(ridden: Ridden | None) -> says.Ridden | None:
    if ridden is None:
        return None
    told = says.Ridden(round_id=ridden.round_id, round_metres=ridden.round_metres, load_grams=ridden.load_grams)
    if ridden.bike_kind is not None:
        told.bike_kind = _BIKE_KINDS[ridden.bike_kind]
    if ridden.direct_metres is not None:
        told.direct_metres = ridden.direct_metres
        told.distance_source = says.DISTANCE_SOURCE_ESTIMATED if ridden.is_estimated else says.DISTANCE_SOURCE_STREETS
    return told


@singledispatch
def _event(fact: events.Fact) -> tuple[ProtoMessage, datetime]:
    raise TypeError(type(fact))


@_event.register
def _(fact: events.DeliveryPlanned) -> tuple[ProtoMessage, datetime]:
    event = says.DeliveryPlanned(
        order_id=fact.delivery_id.order_id,
        leg=fact.delivery_id.leg,
        round_id=fact.round_id,
        cooperative_id=fact.cooperative_id,
        pickup_at=_timestamp(fact.pickup_at),
        drop_at=_timestamp(fact.drop_at),
        planned_at=_timestamp(fact.planned_at),
    )
    return event, fact.planned_at


@_event.register
def _(fact: events.DeliveryWithdrawn) -> tuple[ProtoMessage, datetime]:
    event = says.DeliveryWithdrawn(
        order_id=fact.delivery_id.order_id,
        leg=fact.delivery_id.leg,
        round_id=fact.round_id,
        reason=fact.reason,
        withdrawn_at=_timestamp(fact.withdrawn_at),
    )
    return event, fact.withdrawn_at


@_event.register
def _(fact: events.DeliveryLeftOut) -> tuple[ProtoMessage, datetime]:
    event = says.DeliveryLeftOut(
        order_id=fact.delivery_id.order_id,
        leg=fact.delivery_id.leg,
        reason_codes=fact.reason_codes,
        reason=fact.reason,
        left_out_at=_timestamp(fact.left_out_at),
    )
    return event, fact.left_out_at


@_event.register
def _(fact: events.StopCompleted) -> tuple[ProtoMessage, datetime]:
    event = says.StopCompleted(
        order_id=fact.delivery_id.order_id,
        leg=fact.delivery_id.leg,
        stop_kind=_STOP_KINDS[fact.stop_kind],
        cooperative_id=fact.cooperative_id,
        completed_at=_timestamp(fact.completed_at),
        loads=[says.CountedLoad(kind=load.kind, announced=load.announced, counted=load.counted) for load in fact.loads],
        note=fact.note,
        proof_ids=fact.proof_ids,
        ridden=_ridden(fact.ridden),
    )
    return event, fact.completed_at


@_event.register
def _(fact: events.StopFailed) -> tuple[ProtoMessage, datetime]:
    event = says.StopFailed(
        order_id=fact.delivery_id.order_id,
        leg=fact.delivery_id.leg,
        stop_kind=_STOP_KINDS[fact.stop_kind],
        cooperative_id=fact.cooperative_id,
        failed_at=_timestamp(fact.failed_at),
        reason_code=fact.reason_code,
        reason=fact.reason,
        is_billable=fact.is_billable,
        note=fact.note,
        proof_ids=fact.proof_ids,
        ridden=_ridden(fact.ridden),
    )
    return event, fact.failed_at


@_event.register
def _(fact: events.DeliveryCancelled) -> tuple[ProtoMessage, datetime]:
    event = says.DeliveryCancelled(
        order_id=fact.delivery_id.order_id,
        leg=fact.delivery_id.leg,
        cooperative_id=fact.cooperative_id,
        is_late=fact.is_late,
        cancelled_at=_timestamp(fact.cancelled_at),
    )
    return event, fact.cancelled_at


@_event.register
def _(fact: events.DeliveryLapsed) -> tuple[ProtoMessage, datetime]:
    event = says.DeliveryLapsed(
        order_id=fact.delivery_id.order_id, leg=fact.delivery_id.leg, lapsed_at=_timestamp(fact.lapsed_at)
    )
    return event, fact.lapsed_at
