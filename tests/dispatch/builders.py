"""Dispatch things with sensible defaults: say only what matters."""

from dataclasses import replace
from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from google.protobuf.timestamp_pb2 import Timestamp

from services.contracts.billing.v1 import events_pb2 as billing
from services.contracts.orders.v1 import events_pb2 as orders
from services.dispatch.domain.delivery import Delivery, DeliveryState, Load, Visit
from services.dispatch.domain.events import DeliveryId, StopKind
from services.dispatch.domain.ride import Report, ReportKind, Ride
from services.dispatch.domain.round import Round, RoundState, Stop

PARIS = ZoneInfo("Europe/Paris")
TODAY = date(2026, 11, 24)
NOW = datetime(2026, 11, 23, 16, 0, tzinfo=UTC)
"""The eve of TODAY, five in the afternoon in Nantes."""
CONTRACT = "01900000-0000-7000-8000-0000000000c1"
ORDER = "01900000-0000-7000-8000-000000000001"
PLACES = {
    "blanchisserie": (47.2059, -1.5601),
    "école": (47.2211, -1.5537),
    "musée": (47.2195, -1.5474),
    "jardin": (47.2194, -1.5426),
    "mairie": (47.2180, -1.5538),
}


def order_id(number: int) -> str:
    return f"01900000-0000-7000-8000-{number:012d}"


def at(hour: int, minute: int = 0, *, day: date = TODAY) -> datetime:
    """An instant of the wall clock in Nantes."""
    return datetime.combine(day, time(hour, minute), PARIS).astimezone(UTC)


def a_visit(place: str = "blanchisserie", *, start: datetime = at(8), end: datetime = at(12), **more: Any) -> Visit:
    latitude, longitude = PLACES[place]
    visit = Visit(
        site_id=f"site-{place}",
        site_name=place.capitalize(),
        address=f"1 rue de la {place.capitalize()}, Nantes",
        latitude=latitude,
        longitude=longitude,
        access_note="Sonner à l'accueil.",
        contact="Mme Roy, 02 40 00 00 00",
        window_start=start,
        window_end=end,
        service_seconds=180,
    )
    return replace(visit, **more)


BUNDLES = Load("ballot-linge", "ballot de linge", 3, 8_000, 40_000)


def a_delivery(number: int = 1, leg: int = 1, **changes: Any) -> Delivery:
    delivery = Delivery(
        id=DeliveryId(order_id(number), leg),
        reference=f"C-{number:04d}",
        contract_id=CONTRACT,
        department_id="proprete",
        service_date=TODAY,
        pickup=a_visit("blanchisserie"),
        drop=a_visit("école"),
        loads=(BUNDLES,),
        needs_trailer=False,
        note="",
        state=DeliveryState.PLANNABLE,
    )
    return replace(delivery, **changes)


def a_stop(kind: StopKind, delivery_id: DeliveryId = DeliveryId(ORDER, 1), **changes: Any) -> Stop:
    arrives_at = at(9) if kind is StopKind.PICKUP else at(9, 20)
    stop = Stop(
        id=f"{delivery_id}-{kind}",
        delivery_id=delivery_id,
        kind=kind,
        arrives_at=arrives_at,
        starts_at=arrives_at,
        leaves_at=arrives_at,
        aboard_grams=0,
        aboard_millilitres=0,
    )
    return replace(stop, **changes)


def a_ride(**changes: Any) -> Ride:
    delivery = a_delivery(state=DeliveryState.PLANNED, round_id="round", cooperative_id="erdre")
    ride = Ride(delivery, a_stop(StopKind.PICKUP), a_stop(StopKind.DROP), NOW)
    return replace(ride, **changes)


def a_round(ride: Ride | None = None, **changes: Any) -> Round:
    ride = ride or a_ride()
    round_ = Round(
        id="round",
        plan_id="plan",
        cooperative_id="erdre",
        courier_id="amel",
        bike_id="bike",
        shift_id="shift",
        shift_print="print",
        day=TODAY,
        starts_at=at(8, 45),
        ends_at=at(9, 45),
        travel_seconds=1200,
        travel_metres=4000,
        stops=(ride.pickup, ride.drop),
        state=RoundState.PUBLISHED,
        published_at=NOW,
    )
    return replace(round_, **changes)


def a_report(stop: Stop, kind: ReportKind, occurred_at: datetime, **changes: Any) -> Report:
    report = Report(
        event_id=f"{stop.id}-{kind}",
        stop_id=stop.id,
        kind=kind,
        occurred_at=occurred_at,
        received_at=at(18),
    )
    return replace(report, **changes)


def stamp(instant: datetime) -> Timestamp:
    told = Timestamp()
    told.FromDatetime(instant)
    return told


def a_told_visit(place: str, start: datetime, end: datetime, **more: Any) -> orders.Visit:
    latitude, longitude = PLACES[place]
    told = {
        "site_id": f"site-{place}",
        "site_name": place.capitalize(),
        "address": f"1 rue de la {place.capitalize()}, Nantes",
        "latitude": latitude,
        "longitude": longitude,
        "access_note": "Sonner à l'accueil.",
        "contact": "Mme Roy, 02 40 00 00 00",
        "window_start": stamp(start),
        "window_end": stamp(end),
        "service_seconds": 180,
    }
    return orders.Visit(**{**told, **more})


def a_leg(
    number: int = 1,
    *,
    pickup: str = "blanchisserie",
    drop: str = "école",
    day: date = TODAY,
    window: tuple[int, int] = (8, 12),
    count: int = 3,
    needs_trailer: bool = False,
) -> orders.Leg:
    start, end = (at(hour, day=day) for hour in window)
    return orders.Leg(
        number=number,
        service_date=day.isoformat(),
        pickup=a_told_visit(pickup, start, end),
        drop=a_told_visit(drop, start, end),
        loads=[
            orders.Load(
                kind="ballot-linge", label="ballot de linge", count=count, unit_grams=8_000, unit_millilitres=40_000
            )
        ],
        needs_trailer=needs_trailer,
    )


def order_placed(number: int = 1, *legs: orders.Leg, contract_id: str = CONTRACT, **changes: Any) -> orders.OrderPlaced:
    told = {
        "order_id": order_id(number),
        "reference": f"C-{number:04d}",
        "contract_id": contract_id,
        "department_id": "proprete",
        "flow": orders.FLOW_ONE_WAY,
        "legs": legs or [a_leg()],
        "placed_at": stamp(NOW),
        "note": "Fragile",
    }
    return orders.OrderPlaced(**{**told, **changes})


def order_cancelled(number: int = 1, *, legs: tuple[int, ...] = (1,), is_late: bool = False) -> orders.OrderCancelled:
    return orders.OrderCancelled(
        order_id=order_id(number), legs=legs, reason="Plus besoin", is_late=is_late, cancelled_at=stamp(NOW)
    )


def order_amended(number: int, *legs: orders.Leg) -> orders.OrderAmended:
    return orders.OrderAmended(order_id=order_id(number), legs=legs, note="Fragile", amended_at=stamp(NOW))


def amount_held(number: int = 1, *, contract_id: str = CONTRACT) -> billing.AmountHeld:
    return billing.AmountHeld(
        order_id=order_id(number), contract_id=contract_id, amount_cents=1000, left_cents=1, held_at=stamp(NOW)
    )


def hold_refused(number: int = 1) -> billing.HoldRefused:
    return billing.HoldRefused(
        order_id=order_id(number),
        contract_id=CONTRACT,
        reason_code="ceiling-exceeded",
        reason="Le plafond est atteint.",
        asked_cents=1000,
        left_cents=1,
        refused_at=stamp(NOW),
    )


def contract_registered(*cooperatives: str, contract_id: str = CONTRACT) -> billing.ContractRegistered:
    return billing.ContractRegistered(
        contract_id=contract_id,
        reference="2026-VELO-01",
        title="Tournées à vélo",
        buyer_name="Ville de Nantes",
        cooperatives=[billing.Party(id=id_, name=f"Coopérative {id_}") for id_ in cooperatives or ("erdre", "loire")],
        starts_on="2026-01-01",
        ends_on="2027-12-31",
        ceiling_cents=9_000_000,
        zone="Europe/Paris",
        cutoff_minutes=720,
        registered_at=stamp(NOW),
    )
