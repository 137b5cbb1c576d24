"""What a solver proposes: routes in seconds and loads, and what is left out with the reasons."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from services.dispatch.planning.problem import Request, RoutingProblem, Stop, Vehicle


class StopKind(StrEnum):
    """What happens at a visit."""

    PICKUP = "pickup"
    DROP = "drop"


class ReasonCode(StrEnum):
    """Why a request is not in a vehicle's route; each is true of the request tried alone on that vehicle."""

    NOT_ALLOWED = "not-allowed"  # the request names other vehicles
    TRAILER = "trailer"  # it needs a trailer, this bike has none
    CAPACITY = "capacity"  # it is more than this bike carries
    WINDOW = "window"  # its own windows cannot be met, whatever the shift
    SHIFT = "shift"  # without the limits of this shift it would fit
    OUTWEIGHED = "outweighed"  # it would fit alone; with the others the plan is better without it
    NO_VEHICLE = "no-vehicle"  # nobody rides at all


@dataclass(frozen=True, slots=True)
class Visit:
    """One stop of a route: the service lasts from start to departure; `loads` is on board after it."""

    request_id: str
    kind: StopKind
    point: int
    arrival_seconds: int
    start_seconds: int
    departure_seconds: int
    loads: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Route:
    """One vehicle's visits in order, with when it leaves its start point and when it is at its end point."""

    vehicle_id: str
    start_seconds: int
    visits: tuple[Visit, ...]
    end_seconds: int
    travel_seconds: int
    travel_metres: int


@dataclass(frozen=True, slots=True)
class Reason:
    """Why one vehicle does not serve a request; `vehicle_id` is None where it is true without naming one."""

    code: ReasonCode
    vehicle_id: str | None = None


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A request that the plan does not serve; `reasons` and the French `sentence` are filled by `reasons.explain`."""

    request_id: str
    reasons: tuple[Reason, ...] = ()
    sentence: str = ""

    @property
    def codes(self) -> tuple[ReasonCode, ...]:
        """The different codes, in the order of `ReasonCode`."""
        found = {reason.code for reason in self.reasons}
        return tuple(code for code in ReasonCode if code in found)


@dataclass(frozen=True, slots=True)
class Plan:
    """Routes (only of vehicles that are used) and what is left out. Every request of the problem is in exactly one."""

    routes: tuple[Route, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def travel_seconds(self) -> int:
        """Seconds ridden, all routes."""
        return sum(route.travel_seconds for route in self.routes)

    @property
    def travel_metres(self) -> int:
        """Metres ridden, all routes."""
        return sum(route.travel_metres for route in self.routes)

    @property
    def planned(self) -> tuple[str, ...]:
        """Ids of the requests that are served, route by route in the order of their pickups."""
        return tuple(
            visit.request_id for route in self.routes for visit in route.visits if visit.kind is StopKind.PICKUP
        )


def route_through(problem: RoutingProblem, vehicle: Vehicle, calls: Sequence[tuple[Request, StopKind]]) -> Route | None:
    """Return the route of `vehicle` through these stops in this order, or None where a rule forbids it.

    Rules are windows, loads, trailer, allowed vehicles and the shift; that each pickup has its drop is the caller's
    affair. At least one stop is given. Every service begins as early as it can, and the vehicle leaves its start point
    as late as that allows.
    """
    seconds, metres = problem.travel_seconds, problem.travel_metres
    visits: list[Visit] = []
    loads = [0] * len(vehicle.capacities)
    point, clock, ridden, distance = vehicle.start_point, vehicle.shift_start_seconds, 0, 0
    for request, kind in calls:
        stop = stop_of(request, kind)
        leg = int(seconds[point, stop.point])
        arrival = clock + leg
        start = max(arrival, stop.window_start_seconds)
        if start > stop.window_end_seconds or not is_equipped(vehicle, request):
            return None
        sign = 1 if kind is StopKind.PICKUP else -1
        loads = [aboard + sign * load for aboard, load in zip(loads, request.loads, strict=True)]
        if any(aboard > capacity for aboard, capacity in zip(loads, vehicle.capacities, strict=True)):
            return None
        clock = start + stop.service_seconds
        # The first stop is reached when it opens, not waited for.
        visits.append(Visit(request.id, kind, stop.point, arrival if visits else start, start, clock, tuple(loads)))
        ridden += leg
        distance += int(metres[point, stop.point])
        point = stop.point
    leg = int(seconds[point, vehicle.end_point])
    if clock + leg > vehicle.shift_end_seconds:
        return None
    return Route(
        vehicle_id=vehicle.id,
        start_seconds=visits[0].start_seconds - int(seconds[vehicle.start_point, visits[0].point]),
        visits=tuple(visits),
        end_seconds=clock + leg,
        travel_seconds=ridden + leg,
        travel_metres=distance + int(metres[point, vehicle.end_point]),
    )


def is_equipped(vehicle: Vehicle, request: Request) -> bool:
    """Return whether the vehicle may and can carry the request, whatever the time."""
    return (
        (request.allowed_vehicles is None or vehicle.id in request.allowed_vehicles)
        and (vehicle.has_trailer or not request.needs_trailer)
        and all(load <= capacity for load, capacity in zip(request.loads, vehicle.capacities, strict=True))
    )


def stop_of(request: Request, kind: StopKind) -> Stop:
    """Return the stop of that kind."""
    return request.pickup if kind is StopKind.PICKUP else request.drop
