"""A day in the field's words to a problem in whole numbers, and a plan back to rounds with instants."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from services.dispatch.planning.plan import LeftOut, Plan, StopKind
from services.dispatch.planning.problem import Matrix, RoutingProblem


@dataclass(frozen=True, slots=True)
class Place:
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
    raise NotImplementedError


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

    A delivery that is too heavy or too big for every bike is no part of it; `to_rounds` leaves it out with the reason.
    The matrices are over `places(deliveries, shifts)`. Raises FaultyProblem.
    """
    raise NotImplementedError


def to_rounds(
    plan: Plan,
    deliveries: Sequence[DeliveryToPlan],
    shifts: Sequence[ShiftToPlan],
    *,
    day: date,
    zone: ZoneInfo,
) -> DayPlan:
    """Return the explained plan in ids and instants: rounds + left out = the deliveries that went in."""
    raise NotImplementedError
