"""A day in the field's words to a problem in whole numbers, and a plan back to rounds with instants."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from services.dispatch.planning.plan import LeftOut, Plan, Reason, ReasonCode, StopKind
from services.dispatch.planning.problem import Matrix, Request, RoutingProblem, Stop, Vehicle


class Place(NamedTuple):
    """A position in WGS 84 degrees."""

    longitude: float
    latitude: float


@dataclass(frozen=True, slots=True)
class VisitToMake:
    """Where and when one end of a delivery may happen; instants are aware."""

    place: Place
    window_start: datetime
    window_end: datetime
    service_seconds: int


@dataclass(frozen=True, slots=True)
class DeliveryToPlan:
    """A delivery as the engine needs it; `allowed_shifts` is None where any shift may ride it."""

    id: str
    pickup: VisitToMake
    drop: VisitToMake
    load_grams: int
    load_millilitres: int
    needs_trailer: bool = False
    allowed_shifts: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class ShiftToPlan:
    """A courier's shift with a bike, as the engine needs it; instants are aware."""

    id: str
    start_place: Place
    end_place: Place
    starts_at: datetime
    ends_at: datetime
    capacity_grams: int
    capacity_millilitres: int
    has_trailer: bool = False


@dataclass(frozen=True, slots=True)
class PlannedStop:
    """One stop of a round, in UTC."""

    delivery_id: str
    kind: StopKind
    arrives_at: datetime
    starts_at: datetime
    leaves_at: datetime


@dataclass(frozen=True, slots=True)
class PlannedRound:
    """One shift's stops in order, in UTC, with what is ridden."""

    shift_id: str
    starts_at: datetime
    stops: tuple[PlannedStop, ...]
    ends_at: datetime
    travel_seconds: int
    travel_metres: int


@dataclass(frozen=True, slots=True)
class DayPlan:
    """What a plan means: rounds, and every delivery of the day that is in none of them, with reasons."""

    rounds: tuple[PlannedRound, ...]
    left_out: tuple[LeftOut, ...]


def places(deliveries: Sequence[DeliveryToPlan], shifts: Sequence[ShiftToPlan]) -> list[Place]:
    """Return each place once, in the order that the matrices of `to_problem` must have."""
    visited = [visit.place for delivery in deliveries for visit in (delivery.pickup, delivery.drop)]
    return list(
        dict.fromkeys([*visited, *(place for shift in shifts for place in (shift.start_place, shift.end_place))])
    )


def to_problem(
    deliveries: Sequence[DeliveryToPlan],
    shifts: Sequence[ShiftToPlan],
    *,
    travel_seconds: Matrix,
    travel_metres: Matrix,
    day: date,
    zone: ZoneInfo,
) -> RoutingProblem:
    """Return the day's problem; times are seconds elapsed since local midnight of `day`, also when clocks change.

    A delivery that is too heavy or too big for every bike is no part of it: `to_rounds` leaves it out with the reason.
    The matrices are over `places(deliveries, shifts)`. Raises FaultyProblem.
    """
    where = {place: index for index, place in enumerate(places(deliveries, shifts))}
    midnight = _midnight(day, zone)

    def seconds(instant: datetime) -> int:
        return (instant - midnight) // timedelta(seconds=1)

    def stop(visit: VisitToMake) -> Stop:
        return Stop(
            where[visit.place],
            seconds(visit.window_start),
            seconds(visit.window_end),
            visit.service_seconds,
        )

    requests = [
        Request(
            delivery.id,
            stop(delivery.pickup),
            stop(delivery.drop),
            (delivery.load_grams, delivery.load_millilitres),
            delivery.needs_trailer,
            # A shift that does not ride that day cannot be waited for.
            delivery.allowed_shifts and delivery.allowed_shifts & {shift.id for shift in shifts},
        )
        for delivery in deliveries
        if not shifts or not _is_too_much(delivery, shifts)
    ]
    vehicles = [
        Vehicle(
            shift.id,
            where[shift.start_place],
            where[shift.end_place],
            seconds(shift.starts_at),
            seconds(shift.ends_at),
            (shift.capacity_grams, shift.capacity_millilitres),
            shift.has_trailer,
        )
        for shift in shifts
    ]
    points = tuple(f"{place.longitude},{place.latitude}" for place in where)
    return RoutingProblem(points, tuple(requests), tuple(vehicles), travel_seconds, travel_metres)


def to_rounds(
    plan: Plan,
    deliveries: Sequence[DeliveryToPlan],
    shifts: Sequence[ShiftToPlan],
    *,
    day: date,
    zone: ZoneInfo,
) -> DayPlan:
    """Return the explained plan in ids and instants: rounds + left out = the deliveries that went in."""
    midnight = _midnight(day, zone)

    def instant(seconds: int) -> datetime:
        return midnight + timedelta(seconds=seconds)

    rounds = tuple(
        PlannedRound(
            route.vehicle_id,
            instant(route.start_seconds),
            tuple(
                PlannedStop(
                    visit.request_id,
                    visit.kind,
                    instant(visit.arrival_seconds),
                    instant(visit.start_seconds),
                    instant(visit.departure_seconds),
                )
                for visit in route.visits
            ),
            instant(route.end_seconds),
            route.travel_seconds,
            route.travel_metres,
        )
        for route in plan.routes
    )
    told = {item.request_id for item in plan.left_out}.union(plan.planned)
    too_much = tuple(
        LeftOut(
            delivery.id,
            tuple(Reason(ReasonCode.CAPACITY, shift.id) for shift in shifts),
            "Trop lourde ou volumineuse pour chaque vélo du jour. Prévoyez un vélo plus grand ou partagez la charge.",
        )
        for delivery in deliveries
        if delivery.id not in told
    )
    return DayPlan(rounds, plan.left_out + too_much)


def _is_too_much(delivery: DeliveryToPlan, shifts: Sequence[ShiftToPlan]) -> bool:
    return not any(
        delivery.load_grams <= shift.capacity_grams and delivery.load_millilitres <= shift.capacity_millilitres
        for shift in shifts
    )


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    """Return the instant at which the day begins, in UTC: differences between UTC instants are elapsed time."""
    return datetime.combine(day, time.min, zone).astimezone(UTC)
