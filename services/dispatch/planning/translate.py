"""A day in the field's words to a problem in whole numbers, and a plan back to rounds with instants."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from types import MappingProxyType
from typing import NamedTuple
from zoneinfo import ZoneInfo

from services.dispatch.planning.plan import LeftOut, Plan, Reason, ReasonCode
from services.dispatch.planning.problem import (
    TRAILER,
    Break,
    FleetLimit,
    HubLimit,
    Matrix,
    Prices,
    RoutingProblem,
    Share,
    Span,
    Stop,
    StopKind,
    Vehicle,
    pair,
)

PRICES = Prices(ride_second=1, below_share=3_600)
"""What a city's plan is weighed by where nobody said more: seconds ridden are the unit of all its prices.

Each delivery by which a cooperative stays below its share of the contract is worth an hour's detour.
"""

DIMENSIONS = ("grams", "millilitres", "pieces")
"""What the load dimensions of a day's problem are."""


class Place(NamedTuple):
    """A position in WGS 84 degrees."""

    longitude: float
    latitude: float


@dataclass(frozen=True, slots=True)
class VisitToMake:
    """Where and when one end of a delivery may happen; instants are aware.

    It does not begin during one of the `closures`, from their beginning until just before their end. It may begin
    `tolerance_seconds` after its window, where each second costs `late_price` seconds ridden.
    """

    place: Place
    window_start: datetime
    window_end: datetime
    service_seconds: int
    closures: tuple[tuple[datetime, datetime], ...] = ()
    tolerance_seconds: int = 0
    late_price: int = 0


@dataclass(frozen=True, slots=True)
class DeliveryToPlan:
    """A delivery as the engine needs it.

    `skills` are what courier and bike must have; `allowed_groups` (cooperatives) and `allowed_shifts` are None where
    any may ride it; `ride_seconds_at_most` is how long its load may be on the way. `left_out_price` and
    `left_out_weight` are `Request`'s, in seconds ridden.
    """

    id: str
    pickup: VisitToMake
    drop: VisitToMake
    load_grams: int
    load_millilitres: int
    load_pieces: int = 0
    needs_trailer: bool = False
    skills: frozenset[str] = frozenset()
    allowed_groups: frozenset[str] | None = None
    allowed_shifts: frozenset[str] | None = None
    forbidden_shifts: frozenset[str] = frozenset()
    left_out_price: int | None = None
    left_out_weight: int = 1
    ride_seconds_at_most: int | None = None


@dataclass(frozen=True, slots=True)
class BreakToTake:
    """A rest that begins within the window (both ends allowed) and lasts so long; instants are aware."""

    window_start: datetime
    window_end: datetime
    length_seconds: int


@dataclass(frozen=True, slots=True)
class ShiftToPlan:
    """A courier's shift with a bike, as the engine needs it; instants are aware.

    `capacity_pieces` is None where weight and volume alone say what fits; `speed_percent` is 100 for a bike as fast as
    the ride times are; `range_metres` bounds what is ridden in the shift; `group` is whose shift it is; `fixed_price`
    is what riding in it at all costs, in seconds ridden.
    """

    id: str
    start_place: Place
    end_place: Place
    starts_at: datetime
    ends_at: datetime
    capacity_grams: int
    capacity_millilitres: int
    capacity_pieces: int | None = None
    has_trailer: bool = False
    skills: frozenset[str] = frozenset()
    group: str = ""
    speed_percent: int = 100
    range_metres: int | None = None
    breaks: tuple[BreakToTake, ...] = ()
    fixed_price: int = 0


@dataclass(frozen=True, slots=True)
class PlannedStop:
    """One stop of a round, in UTC."""

    delivery_id: str
    kind: StopKind
    arrives_at: datetime
    starts_at: datetime
    leaves_at: datetime


class PlannedBreak(NamedTuple):
    """A rest in a round, in UTC."""

    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class PlannedRound:
    """One shift's stops and breaks in order, in UTC, with what is ridden."""

    shift_id: str
    starts_at: datetime
    stops: tuple[PlannedStop, ...]
    ends_at: datetime
    travel_seconds: int
    travel_metres: int
    breaks: tuple[PlannedBreak, ...] = ()


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
    shares: Sequence[Share] = (),
    prices: Prices = PRICES,
    fleet_limits: Sequence[FleetLimit] = (),
    calls_at_most: Mapping[Place, int] = MappingProxyType({}),
) -> RoutingProblem:
    """Return the day's problem; times are seconds elapsed since local midnight of `day`, also when clocks change.

    A delivery that is too heavy or too big for every bike is no part of it: `to_rounds` leaves it out with the reason.
    The matrices are over `places(deliveries, shifts)`; `shares` are of the groups, `fleet_limits` of the shifts, and
    `calls_at_most` says how many shifts may call at a place. Raises FaultyProblem.
    """
    where = {place: index for index, place in enumerate(places(deliveries, shifts))}
    midnight = _midnight(day, zone)

    def seconds(instant: datetime) -> int:
        return (instant - midnight) // timedelta(seconds=1)

    def stop(visit: VisitToMake) -> Stop:
        end = seconds(visit.window_end)
        return Stop(
            where[visit.place],
            seconds(visit.window_start),
            end,
            visit.service_seconds,
            latest_seconds=end + visit.tolerance_seconds if visit.tolerance_seconds else None,
            late_price=visit.late_price if visit.tolerance_seconds else 0,
            closures=tuple(Span(seconds(start), seconds(end)) for start, end in visit.closures),
        )

    known = {shift.id for shift in shifts}
    every_piece = sum(delivery.load_pieces for delivery in deliveries)
    requests = [
        pair(
            delivery.id,
            stop(delivery.pickup),
            stop(delivery.drop),
            (delivery.load_grams, delivery.load_millilitres, delivery.load_pieces),
            skills=delivery.skills | ({TRAILER} if delivery.needs_trailer else set()),
            allowed_groups=delivery.allowed_groups,
            # A shift that does not ride that day cannot be waited for.
            allowed_vehicles=None if delivery.allowed_shifts is None else delivery.allowed_shifts & known,
            forbidden_vehicles=delivery.forbidden_shifts & known,
            left_out_price=delivery.left_out_price,
            left_out_weight=delivery.left_out_weight,
            ride_seconds_at_most=delivery.ride_seconds_at_most,
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
            (
                shift.capacity_grams,
                shift.capacity_millilitres,
                every_piece if shift.capacity_pieces is None else shift.capacity_pieces,
            ),
            skills=shift.skills | ({TRAILER} if shift.has_trailer else set()),
            group=shift.group,
            ride_permille=-(-100_000 // shift.speed_percent),
            range_metres=shift.range_metres,
            breaks=tuple(
                Break(seconds(rest.window_start), seconds(rest.window_end), rest.length_seconds)
                for rest in shift.breaks
            ),
            fixed_price=shift.fixed_price,
        )
        for shift in shifts
    ]
    points = tuple(f"{place.longitude},{place.latitude}" for place in where)
    return RoutingProblem(
        points,
        tuple(requests),
        tuple(vehicles),
        travel_seconds,
        travel_metres,
        prices=prices,
        shares=tuple(shares),
        fleet_limits=tuple(fleet_limits),
        hub_limits=tuple(HubLimit(where[place], most) for place, most in calls_at_most.items()),
    )


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
            tuple(PlannedBreak(instant(rest.start_seconds), instant(rest.end_seconds)) for rest in route.breaks),
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
        delivery.load_grams <= shift.capacity_grams
        and delivery.load_millilitres <= shift.capacity_millilitres
        and (shift.capacity_pieces is None or delivery.load_pieces <= shift.capacity_pieces)
        for shift in shifts
    )


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    """Return the instant at which the day begins, in UTC: differences between UTC instants are elapsed time."""
    return datetime.combine(day, time.min, zone).astimezone(UTC)
