"""The judge: whether a plan can be ridden as it says; knows no solver and shares no arithmetic with those it judges."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from services.dispatch.planning.plan import Plan, Route, StopKind
from services.dispatch.planning.problem import Request, RoutingProblem, Stop, Vehicle


class ViolationKind(StrEnum):
    """What can be wrong with a plan."""

    UNKNOWN_VEHICLE = "unknown-vehicle"
    VEHICLE_TWICE = "vehicle-twice"
    EMPTY_ROUTE = "empty-route"
    UNKNOWN_REQUEST = "unknown-request"
    REQUEST_MISSING = "request-missing"  # neither planned nor left out
    REQUEST_TWICE = "request-twice"  # planned or left out more than once, or both
    NO_PICKUP = "no-pickup"  # dropped without being picked up in the same route
    NO_DROP = "no-drop"  # picked up and not dropped in the same route
    DROP_BEFORE_PICKUP = "drop-before-pickup"
    WRONG_POINT = "wrong-point"
    RIDES_TOO_FAST = "rides-too-fast"  # there before the matrix says it can be
    STARTS_BEFORE_ARRIVAL = "starts-before-arrival"
    BEFORE_WINDOW = "before-window"
    AFTER_WINDOW = "after-window"
    LEAVES_TOO_EARLY = "leaves-too-early"  # before the service is done
    BEFORE_SHIFT = "before-shift"
    AFTER_SHIFT = "after-shift"
    OVER_CAPACITY = "over-capacity"
    WRONG_LOADS = "wrong-loads"  # what is said to be on board is not
    NO_TRAILER = "no-trailer"
    NOT_ALLOWED = "not-allowed"
    WRONG_COST = "wrong-cost"  # seconds or metres ridden are not those of the matrices


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing a plan does that cannot or may not be done."""

    kind: ViolationKind
    detail: str
    vehicle_id: str | None = None
    request_id: str | None = None


def check(problem: RoutingProblem, plan: Plan) -> list[Violation]:
    """Return everything that is wrong with the plan; an empty list means it can be ridden as it says."""
    vehicles = {vehicle.id: vehicle for vehicle in problem.vehicles}
    requests = {request.id: request for request in problem.requests}
    found = [*_whole(requests, plan)]
    for vehicle_id, count in Counter(route.vehicle_id for route in plan.routes).items():
        if count > 1:
            found.append(Violation(ViolationKind.VEHICLE_TWICE, f"{count} routes", vehicle_id))
    for route in plan.routes:
        vehicle = vehicles.get(route.vehicle_id)
        if vehicle is None:
            found.append(Violation(ViolationKind.UNKNOWN_VEHICLE, "no such vehicle", route.vehicle_id))
        elif not route.visits:
            found.append(Violation(ViolationKind.EMPTY_ROUTE, "a vehicle that is not used has no route", vehicle.id))
        elif all(visit.request_id in requests for visit in route.visits):
            found += _pairs(route)
            off = [visit for visit in route.visits if not 0 <= visit.point < len(problem.points)]
            found += [Violation(ViolationKind.WRONG_POINT, "no such point", vehicle.id, v.request_id) for v in off]
            if off:
                continue
            found += _times(problem, requests, vehicle, route)
            found += _loads(requests, vehicle, route)
    return found


def _whole(requests: dict[str, Request], plan: Plan) -> Iterator[Violation]:
    """Every request is planned once or left out once, and no other is spoken of."""
    pickups = Counter(
        visit.request_id for route in plan.routes for visit in route.visits if visit.kind == StopKind.PICKUP
    )
    drops = Counter(visit.request_id for route in plan.routes for visit in route.visits if visit.kind == StopKind.DROP)
    left_out = Counter(item.request_id for item in plan.left_out)
    for request_id in sorted((pickups.keys() | drops.keys() | left_out.keys()) - requests.keys()):
        yield Violation(ViolationKind.UNKNOWN_REQUEST, "no such request", None, request_id)
    for request_id in requests:
        times = max(pickups[request_id], drops[request_id]) + left_out[request_id]
        if times == 0:
            yield Violation(ViolationKind.REQUEST_MISSING, "neither planned nor left out", None, request_id)
        elif times > 1:
            yield Violation(ViolationKind.REQUEST_TWICE, f"told {times} times", None, request_id)


def _pairs(route: Route) -> Iterator[Violation]:
    """What is picked up is dropped, afterwards, by the same vehicle."""
    picked_up: set[str] = set()
    dropped: set[str] = set()
    for visit in route.visits:
        (picked_up if visit.kind == StopKind.PICKUP else dropped).add(visit.request_id)
        if visit.kind == StopKind.PICKUP and visit.request_id in dropped:
            yield Violation(
                ViolationKind.DROP_BEFORE_PICKUP, "dropped before it is picked up", route.vehicle_id, visit.request_id
            )
    for request_id in sorted(picked_up - dropped):
        yield Violation(ViolationKind.NO_DROP, "picked up and never dropped", route.vehicle_id, request_id)
    for request_id in sorted(dropped - picked_up):
        yield Violation(ViolationKind.NO_PICKUP, "dropped and never picked up", route.vehicle_id, request_id)


def _times(
    problem: RoutingProblem, requests: dict[str, Request], vehicle: Vehicle, route: Route
) -> Iterator[Violation]:
    """The clock: shift, rides, windows and services."""
    if route.start_seconds < vehicle.shift_start_seconds:
        yield Violation(ViolationKind.BEFORE_SHIFT, f"starts at {route.start_seconds}", vehicle.id)
    if route.end_seconds > vehicle.shift_end_seconds:
        yield Violation(ViolationKind.AFTER_SHIFT, f"ends at {route.end_seconds}", vehicle.id)
    here, free_at, seconds, metres = vehicle.start_point, route.start_seconds, 0, 0
    for visit in route.visits:
        request = requests[visit.request_id]
        stop: Stop = request.pickup if visit.kind == StopKind.PICKUP else request.drop
        where = vehicle.id, visit.request_id
        if visit.point != stop.point:
            yield Violation(ViolationKind.WRONG_POINT, f"at {visit.point} instead of {stop.point}", *where)
        earliest = free_at + int(problem.travel_seconds[here, visit.point])
        if visit.arrival_seconds < earliest:
            yield Violation(
                ViolationKind.RIDES_TOO_FAST, f"arrives at {visit.arrival_seconds}, at best {earliest}", *where
            )
        if visit.start_seconds < visit.arrival_seconds:
            yield Violation(ViolationKind.STARTS_BEFORE_ARRIVAL, f"starts at {visit.start_seconds}", *where)
        if visit.start_seconds < stop.window_start_seconds:
            yield Violation(ViolationKind.BEFORE_WINDOW, f"starts at {visit.start_seconds}", *where)
        if visit.start_seconds > stop.window_end_seconds:
            yield Violation(ViolationKind.AFTER_WINDOW, f"starts at {visit.start_seconds}", *where)
        if visit.departure_seconds < visit.start_seconds + stop.service_seconds:
            yield Violation(ViolationKind.LEAVES_TOO_EARLY, f"leaves at {visit.departure_seconds}", *where)
        seconds += int(problem.travel_seconds[here, visit.point])
        metres += int(problem.travel_metres[here, visit.point])
        here, free_at = visit.point, visit.departure_seconds
    home = int(problem.travel_seconds[here, vehicle.end_point])
    if route.end_seconds < free_at + home:
        yield Violation(ViolationKind.RIDES_TOO_FAST, f"is back at {route.end_seconds}", vehicle.id)
    seconds += home
    metres += int(problem.travel_metres[here, vehicle.end_point])
    if (route.travel_seconds, route.travel_metres) != (seconds, metres):
        yield Violation(ViolationKind.WRONG_COST, f"rides {seconds} s and {metres} m", vehicle.id)


def _loads(requests: dict[str, Request], vehicle: Vehicle, route: Route) -> Iterator[Violation]:
    """What is on board, and whether this vehicle may carry it."""
    aboard = [0] * len(vehicle.capacities)
    for visit in route.visits:
        request = requests[visit.request_id]
        where = vehicle.id, visit.request_id
        for dimension, load in enumerate(request.loads):
            aboard[dimension] += load if visit.kind == StopKind.PICKUP else -load
            if aboard[dimension] > vehicle.capacities[dimension]:
                yield Violation(
                    ViolationKind.OVER_CAPACITY,
                    f"{aboard[dimension]} of {vehicle.capacities[dimension]} in dimension {dimension}",
                    *where,
                )
        if visit.loads != tuple(aboard):
            yield Violation(ViolationKind.WRONG_LOADS, f"says {visit.loads}, has {tuple(aboard)}", *where)
        if visit.kind == StopKind.PICKUP and request.needs_trailer and not vehicle.has_trailer:
            yield Violation(ViolationKind.NO_TRAILER, "needs a trailer", *where)
        if (
            visit.kind == StopKind.PICKUP
            and request.allowed_vehicles is not None
            and vehicle.id not in request.allowed_vehicles
        ):
            yield Violation(ViolationKind.NOT_ALLOWED, "is for other vehicles", *where)
