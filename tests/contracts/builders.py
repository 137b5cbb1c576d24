"""What the services' own records look like behind the published examples."""

from datetime import UTC, date, datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from services.billing.domain.contract import Contract as BillingContract
from services.billing.domain.contract import Cooperative
from services.billing.domain.contract import Department as BillingDepartment
from services.billing.domain.policy import Beyond, HoldPolicy
from services.billing.domain.price_list import PriceLine, Unit
from services.billing.domain.structure import Decision, Period, Structure
from services.contracts.orders.v1 import events_pb2 as orders_pb2
from services.orders.domain.load import Load
from services.orders.domain.order import Flow, Leg, Order, Visit
from services.orders.domain.window import Window
from tests.billing.builders import a_contract

FLOWS = {
    orders_pb2.FLOW_ONE_WAY: Flow.ONE_WAY,
    orders_pb2.FLOW_EXCHANGE: Flow.EXCHANGE,
    orders_pb2.FLOW_LOAN: Flow.LOAN,
}
# Billing's own terms, which the event does not tell.
PERIODS = Structure(
    (
        Period(1, date(2026, 1, 1), date(2026, 12, 31), 5_000, Decision.FIRM),
        Period(2, date(2027, 1, 1), date(2027, 12, 31), 5_000, Decision.TACIT),
    )
)
MORE_TERMS: dict[str, dict[str, Any]] = {
    "2026-VELO-07": {},
    "2026-VELO-08": {"structure": PERIODS, "policy": HoldPolicy(Beyond.APPROVAL, order_limit_cents=2_600)},
}
SIRETS = {"erdre": "90000010000017", "loire": "90000020900016"}


def instant(stamp: Timestamp) -> datetime:
    return stamp.ToDatetime(tzinfo=UTC)


def order_of(event: Any) -> Order:
    """Return the order that was placed, as orders knew it at that moment."""
    return Order(
        id=event.order_id,
        reference=event.reference,
        department_id=event.department_id,
        contract_id=event.contract_id,
        flow=FLOWS[event.flow],
        legs=tuple(
            Leg(
                number=leg.number,
                service_date=date.fromisoformat(leg.service_date),
                pickup=visit_of(leg.pickup),
                drop=visit_of(leg.drop),
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
            )
            for leg in event.legs
        ),
        placed_at=instant(event.placed_at),
        note=event.note,
        recurring_request_id=event.recurring_request_id or None,
    )


def visit_of(visit: Any) -> Visit:
    """Return one end of a leg."""
    return Visit(
        site_id=visit.site_id,
        site_name=visit.site_name,
        address=visit.address,
        latitude=visit.latitude,
        longitude=visit.longitude,
        access_note=visit.access_note,
        contact=visit.contact,
        service_seconds=visit.service_seconds,
        window=Window(instant(visit.window_start), instant(visit.window_end)),
    )


def registered_contract(event: Any) -> BillingContract:
    """Return the contract that was registered, as billing knows it."""
    return a_contract(
        id=event.contract_id,
        reference=event.reference,
        title=event.title,
        cooperatives=tuple(
            Cooperative(party.id, party.name, SIRETS[party.id], "Nantes") for party in event.cooperatives
        ),
        departments=tuple(BillingDepartment(party.id, party.name) for party in event.departments),
        starts_on=date.fromisoformat(event.starts_on),
        ends_on=date.fromisoformat(event.ends_on),
        ceiling_cents=event.ceiling_cents,
        cutoff_minutes=event.cutoff_minutes,
        **MORE_TERMS[event.reference],
        registered_at=instant(event.registered_at),
    )


def price_lines() -> tuple[PriceLine, ...]:
    """Return the price list of the story: its amounts follow from it."""
    return (
        PriceLine("COURSE", "Course", Unit.LEG, 1200),
        PriceLine("REMORQUE", "Supplément remorque", Unit.TRAILER, 600),
        PriceLine("LINGE", "Ballot de linge", Unit.LOAD, 150, "ballot-linge"),
        PriceLine("PANNEAU", "Panneau", Unit.LOAD, 200, "panneau"),
        PriceLine("OUTILS", "Caisse d'outils", Unit.LOAD, 0, "caisse-outils"),
    )
