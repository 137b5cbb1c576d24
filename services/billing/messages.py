"""Events <-> domain: what billing hears in its own words, and what it says in everybody's."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from functools import lru_cache

from google.protobuf.timestamp_pb2 import Timestamp

from services.billing.domain.acceptance import Decision
from services.billing.domain.approval import Approval
from services.billing.domain.ceiling import LevelCrossed
from services.billing.domain.charge import (
    Acceptance,
    Amendment,
    Charge,
    Fact,
    FactKind,
    HoldDecision,
    Order,
    OrderedLeg,
    Outcome,
    Place,
    Settlement,
)
from services.billing.domain.contract import Contract
from services.billing.domain.credit_note import CreditNote
from services.billing.domain.emissions import BikeKind, DistanceSource, MassSource, Ridden
from services.billing.domain.errors import CeilingExceeded, OrderUnreadable
from services.billing.domain.leg_facts import LegFacts, straight_metres
from services.billing.domain.price_list import LegToPrice, Load
from services.billing.domain.statement import Statement
from services.contracts.billing.v1 import events_pb2 as said_pb2
from services.contracts.dispatch.v1 import events_pb2 as dispatch_pb2
from services.contracts.orders.v1 import events_pb2 as orders_pb2
from services.kit.events.message import Message, said
from services.kit.ids import is_id

SOURCE = "/billing"

OUTCOMES = {
    Outcome.DELIVERED: said_pb2.OUTCOME_DELIVERED,
    Outcome.FAILED_CHARGED: said_pb2.OUTCOME_FAILED_CHARGED,
    Outcome.CANCELLED_CHARGED: said_pb2.OUTCOME_CANCELLED_CHARGED,
    Outcome.RELEASED: said_pb2.OUTCOME_RELEASED,
}

_BIKE_KINDS: dict[int, BikeKind] = {
    dispatch_pb2.BIKE_KIND_MUSCLE: BikeKind.MUSCLE,
    dispatch_pb2.BIKE_KIND_ELECTRIC: BikeKind.ELECTRIC,
}
_DISTANCE_SOURCES: dict[int, DistanceSource] = {
    dispatch_pb2.DISTANCE_SOURCE_ESTIMATED: DistanceSource.ESTIMATED,
    dispatch_pb2.DISTANCE_SOURCE_STREETS: DistanceSource.STREETS,
    dispatch_pb2.DISTANCE_SOURCE_TRACKED: DistanceSource.TRACKED,
}

ACCEPTANCES = {
    Acceptance.DELIVERED: said_pb2.ACCEPTANCE_UNSPECIFIED,
    Acceptance.ACCEPTED: said_pb2.ACCEPTANCE_ACCEPTED,
    Acceptance.DISPUTED: said_pb2.ACCEPTANCE_DISPUTED,
    Acceptance.REDUCED: said_pb2.ACCEPTANCE_REDUCED,
    Acceptance.REJECTED: said_pb2.ACCEPTANCE_REJECTED,
}


def order(event: orders_pb2.OrderPlaced, event_id: str = "") -> Order:
    """Read an order. Raises OrderUnreadable: nothing that gets past here can stop its neighbours at the commit."""
    numbers = [leg.number for leg in event.legs]
    if not is_id(event.order_id) or not numbers or len(set(numbers)) < len(numbers):
        raise OrderUnreadable("La commande n'a pas d'identifiant, pas de trajet, ou deux fois le même trajet.")
    return Order(
        id=event.order_id,
        reference=_clean(event.reference),
        contract_id=_clean(event.contract_id),
        department_id=_clean(event.department_id),
        legs=tuple(
            OrderedLeg(
                LegToPrice(
                    number=leg.number,
                    service_date=_day(leg.service_date),
                    needs_trailer=leg.needs_trailer,
                    loads=tuple(Load(_clean(load.kind), _clean(load.label), load.count) for load in leg.loads),
                    facts=_facts(event, leg, is_first=leg.number == min(numbers)),
                ),
                origin=Place(_clean(leg.pickup.site_id), _clean(leg.pickup.site_name)),
                destination=Place(_clean(leg.drop.site_id), _clean(leg.drop.site_name)),
                promised_until=_instant(leg.drop.window_end) if leg.drop.HasField("window_end") else None,
            )
            for leg in event.legs
        ),
        placed_at=_instant(event.placed_at) if event.HasField("placed_at") else None,
        event_id=event_id,
    )


def _facts(event: orders_pb2.OrderPlaced, leg: orders_pb2.Leg, *, is_first: bool) -> LegFacts:
    ends = leg.pickup, leg.drop
    is_placed = all(visit.latitude or visit.longitude for visit in ends)
    return LegFacts(
        metres=straight_metres(leg.pickup.latitude, leg.pickup.longitude, leg.drop.latitude, leg.drop.longitude)
        if is_placed
        else None,
        pickup_at=_instant(leg.pickup.window_start) if leg.pickup.HasField("window_start") else None,
        placed_at=_instant(event.placed_at) if event.HasField("placed_at") else None,
        is_first=is_first,
    )


def amendment(event: orders_pb2.OrderAmended, event_id: str = "") -> Amendment:
    """Read until when the drops of some legs are promised from now on."""
    return Amendment(
        order_id=event.order_id,
        promised_until={
            leg.number: _instant(leg.drop.window_end) for leg in event.legs if leg.drop.HasField("window_end")
        },
        amended_at=_instant(event.amended_at),
        event_id=event_id,
    )


def hand_over(event: dispatch_pb2.StopCompleted) -> Fact:
    """Read that a load was handed over, as counted."""
    counted: dict[str, int] = {}
    for load in event.loads:
        counted[load.kind] = counted.get(load.kind, 0) + load.counted
    return Fact(
        kind=FactKind.HANDED_OVER,
        order_id=event.order_id,
        leg=event.leg,
        occurred_at=_instant(event.completed_at),
        cooperative_id=event.cooperative_id,
        counted=counted,
        note=event.note,
        proof_ids=tuple(event.proof_ids),
        ridden=_ridden(event),
    )


def failure(event: dispatch_pb2.StopFailed) -> Fact:
    """Read that a delivery failed."""
    return Fact(
        kind=FactKind.FAILED,
        order_id=event.order_id,
        leg=event.leg,
        occurred_at=_instant(event.failed_at),
        cooperative_id=event.cooperative_id,
        is_charged=event.is_billable,
        reason_code=event.reason_code,
        reason=event.reason,
        note=event.note,
        proof_ids=tuple(event.proof_ids),
        ridden=_ridden(event),
    )


def cancellation(event: dispatch_pb2.DeliveryCancelled) -> Fact:
    """Read that a delivery was cancelled before it was collected."""
    return Fact(
        kind=FactKind.CANCELLED,
        order_id=event.order_id,
        leg=event.leg,
        occurred_at=_instant(event.cancelled_at),
        cooperative_id=event.cooperative_id,
        is_charged=event.is_late,
    )


def lapse(event: dispatch_pb2.DeliveryLapsed) -> Fact:
    """Read that nobody rode a delivery."""
    return Fact(FactKind.LAPSED, event.order_id, event.leg, occurred_at=_instant(event.lapsed_at))


def _ridden(event: dispatch_pb2.StopCompleted | dispatch_pb2.StopFailed) -> Ridden | None:
    """Read how a leg was ridden; None when it was not told. A mass of zero is one that nobody knows."""
    if not event.HasField("ridden"):
        return None
    told = event.ridden
    if told.is_load_weighed:
        mass = MassSource.WEIGHED
    elif told.load_grams or event.stop_kind == dispatch_pb2.STOP_KIND_PICKUP:  # no pickup, nothing aboard
        mass = MassSource.CATALOGUE
    else:
        mass = MassSource.DEFAULT
    return Ridden(
        round_id=_clean(told.round_id),
        round_metres=max(0, told.round_metres),
        direct_metres=max(0, told.direct_metres),
        distance_source=_DISTANCE_SOURCES.get(told.distance_source, DistanceSource.UNKNOWN),
        bike_kind=_BIKE_KINDS.get(told.bike_kind),
        load_grams=max(0, told.load_grams),
        mass_source=mass,
    )


def _clean(text: str) -> str:
    # PostgreSQL keeps no text with this character in it.
    return text.replace("\0", "")


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise OrderUnreadable(f"« {text} » n'est pas une date de service.") from error


def _instant(stamp: Timestamp) -> datetime:
    return stamp.ToDatetime(tzinfo=UTC)


@lru_cache(maxsize=256)
def _stamp(instant: datetime) -> Timestamp:
    """Return an instant as events carry it; who is given it copies it, and never changes it."""
    stamp = Timestamp()
    stamp.FromDatetime(instant)
    return stamp


def contract_registered(contract: Contract, *, at: datetime | None = None) -> Message:
    """Say that departments may order under a contract; said again, at an instant, when its terms have changed."""
    event = said_pb2.ContractRegistered(
        contract_id=contract.id,
        reference=contract.reference,
        title=contract.title,
        buyer_name=contract.buyer.name,
        cooperatives=[said_pb2.Party(id=party.id, name=party.name) for party in contract.cooperatives],
        departments=[said_pb2.Party(id=party.id, name=party.name) for party in contract.departments],
        starts_on=contract.starts_on.isoformat(),
        ends_on=contract.open_until.isoformat(),
        ceiling_cents=contract.ceiling_cents,
        zone=contract.zone,
        cutoff_minutes=contract.cutoff_minutes,
        registered_at=_stamp(contract.registered_at),
    )
    return said(event, source=SOURCE, subject=contract.id, at=at or contract.registered_at)


def amount_held(decision: HoldDecision) -> Message:
    """Say that an order's estimate is set aside."""
    event = said_pb2.AmountHeld(
        order_id=decision.order_id,
        contract_id=decision.contract_id,
        amount_cents=decision.asked_cents,
        left_cents=decision.left_cents,
        held_at=_stamp(decision.decided_at),
    )
    return said(event, source=SOURCE, subject=decision.order_id, at=decision.decided_at)


def hold_refused(decision: HoldDecision, exhausted: Sequence[CeilingExceeded] = ()) -> Message:
    """Say that an order may not be carried out, and why; parts of the contract that are exhausted are named."""
    event = said_pb2.HoldRefused(
        order_id=decision.order_id,
        contract_id=decision.contract_id,
        reason_code=decision.refusal_code,
        reason=decision.refusal,
        asked_cents=decision.asked_cents,
        left_cents=decision.left_cents,
        refused_at=_stamp(decision.decided_at),
        scopes=[
            said_pb2.ExhaustedScope(
                key=one.scope_key,
                name=one.scope_name,
                ceiling_cents=one.ceiling_cents,
                asked_cents=one.asked_cents,
                left_cents=one.left_cents,
            )
            for one in exhausted
            if one.scope_key
        ],
    )
    return said(event, source=SOURCE, subject=decision.order_id, at=decision.decided_at)


def approval_requested(approval: Approval) -> Message:
    """Say that an order is not held until a named person approves it."""
    event = said_pb2.ApprovalRequested(
        order_id=approval.order.id,
        contract_id=approval.order.contract_id,
        reason_code=approval.reason_code,
        reason=approval.reason,
        asked_cents=approval.asked_cents,
        requested_at=_stamp(approval.asked_at),
    )
    return said(event, source=SOURCE, subject=approval.order.id, at=approval.asked_at)


def leg_settled(charge: Charge, settlement: Settlement) -> Message:
    """Say what a leg came to."""
    event = said_pb2.LegSettled(
        order_id=charge.order_id,
        leg=charge.leg,
        contract_id=charge.contract_id,
        outcome=OUTCOMES[settlement.outcome],
        amount_cents=settlement.amount_cents,
        settled_at=_stamp(settlement.settled_at),
    )
    return said(event, source=SOURCE, subject=charge.order_id, at=settlement.settled_at)


def ceiling_nearly_reached(contract_id: str, crossed: LevelCrossed, *, at: datetime) -> Message:
    """Say that an alert level was crossed upwards."""
    event = said_pb2.CeilingNearlyReached(
        contract_id=contract_id,
        threshold_percent=crossed.percent,
        ceiling_cents=crossed.ceiling_cents,
        committed_cents=crossed.committed_cents,
        left_cents=crossed.left_cents,
        crossed_at=_stamp(at),
        scope_key=crossed.scope_key,
        scope_name=crossed.scope_name,
    )
    return said(event, source=SOURCE, subject=contract_id, at=at)


def statement_closed(statement: Statement) -> Message:
    """Say that a seller's month is closed for good."""
    event = said_pb2.StatementClosed(
        statement_id=statement.id,
        contract_id=statement.contract_id,
        cooperative_id=statement.seller.id,
        number=statement.number,
        month=str(statement.month),
        lines=statement.legs,  # one line of account for each leg, whatever prices it is made of
        total_cents=statement.net_cents,
        tax_cents=statement.tax_cents,
        closed_at=_stamp(statement.closed_at),
    )
    return said(event, source=SOURCE, subject=statement.contract_id, at=statement.closed_at)


def charge_decided(charge: Charge, decision: Decision) -> Message:
    """Say what the buyer decided about a leg; `charge` is the leg after it. Who decided stays here."""
    event = said_pb2.ChargeDecided(
        order_id=decision.order_id,
        leg=decision.leg,
        contract_id=charge.contract_id,
        number=decision.number,
        acceptance=ACCEPTANCES[decision.acceptance],
        reason=decision.reason,
        amount_cents=charge.due_cents,
        given_back_cents=decision.given_back_cents,
        decided_at=_stamp(decision.decided_at),
    )
    return said(event, source=SOURCE, subject=decision.order_id, at=decision.decided_at)


def statement_credited(note: CreditNote) -> Message:
    """Say that a closed statement is corrected."""
    event = said_pb2.StatementCredited(
        credit_note_id=note.id,
        statement_id=note.statement_id,
        contract_id=note.contract_id,
        cooperative_id=note.seller.id,
        number=note.number,
        is_internal=note.is_internal,
        is_billed_anew=note.is_billed_anew,
        lines=len(note.legs),
        total_cents=note.net_cents,
        tax_cents=note.tax_cents,
        reason=note.reason,
        issued_at=_stamp(note.issued_at),
    )
    return said(event, source=SOURCE, subject=note.contract_id, at=note.issued_at)
