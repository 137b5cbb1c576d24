"""The judge: whether a plan can be ridden as it says; knows no solver and shares no arithmetic with those it judges."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple

from services.dispatch.planning.plan import BreakTaken, Plan, Route, Visit
from services.dispatch.planning.problem import Break, Request, RoutingProblem, Stop, StopKind, Vehicle


class ViolationKind(StrEnum):
    """What can be wrong with a plan."""

    UNKNOWN_VEHICLE = "unknown-vehicle"
    VEHICLE_TWICE = "vehicle-twice"
    EMPTY_ROUTE = "empty-route"
    UNKNOWN_REQUEST = "unknown-request"
    UNKNOWN_STOP = "unknown-stop"  # the request has no such pickup or drop
    REQUEST_MISSING = "request-missing"  # neither planned nor left out
    REQUEST_TWICE = "request-twice"  # one of its stops is planned more than once, it is left out twice, or both
    NO_PICKUP = "no-pickup"  # a pickup is not in the route that has others of its stops
    NO_DROP = "no-drop"  # a drop is not in the route that has others of its stops
    DROP_BEFORE_PICKUP = "drop-before-pickup"
    WRONG_POINT = "wrong-point"
    RIDES_TOO_FAST = "rides-too-fast"  # there before the matrix says it can be
    STARTS_BEFORE_ARRIVAL = "starts-before-arrival"
    BEFORE_WINDOW = "before-window"
    AFTER_WINDOW = "after-window"  # for a soft window: after its latest second
    CLOSED = "closed"  # begins while the site is closed
    LEAVES_TOO_EARLY = "leaves-too-early"  # before the service is done
    BEFORE_SHIFT = "before-shift"
    AFTER_SHIFT = "after-shift"
    OVER_CAPACITY = "over-capacity"
    WRONG_LOADS = "wrong-loads"  # what is said to be on board is not
    SKILL_MISSING = "skill-missing"
    NOT_ALLOWED = "not-allowed"  # the request names other vehicles or groups, or forbids this one
    LOCK_BROKEN = "lock-broken"  # a locked request is left out or rides on another vehicle
    RIDE_TOO_LONG = "ride-too-long"  # a load is aboard for longer than it may
    OVER_RANGE = "over-range"
    BREAK_MISSING = "break-missing"
    UNKNOWN_BREAK = "unknown-break"  # one that the shift does not have, or after a visit that is not there
    BREAK_OUTSIDE_WINDOW = "break-outside-window"
    BREAK_TOO_SHORT = "break-too-short"
    DURING_BREAK = "during-break"  # rides, works or takes another break during one
    OVER_SHARE = "over-share"
    OVER_FLEET_LIMIT = "over-fleet-limit"
    OVER_HUB_LIMIT = "over-hub-limit"
    WRONG_COST = "wrong-cost"  # seconds or metres ridden are not those of the matrices


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing a plan does that cannot or may not be done."""

    kind: ViolationKind
    detail: str
    vehicle_id: str | None = None
    request_id: str | None = None


class _Call(NamedTuple):
    """A visit with what it should be."""

    visit: Visit
    request: Request
    stop: Stop


def check(problem: RoutingProblem, plan: Plan) -> list[Violation]:
    """Return everything that is wrong with the plan; an empty list means it can be ridden as it says.

    A plan may hold any nonsense; what depends on an unknown vehicle, stop or point is then not judged.
    """
    vehicles = {vehicle.id: vehicle for vehicle in problem.vehicles}
    requests = {request.id: request for request in problem.requests}
    found = [*_whole(requests, plan), *_limits(problem, vehicles, plan)]
    for route in plan.routes:
        vehicle = vehicles.get(route.vehicle_id)
        if vehicle is None:
            found.append(Violation(ViolationKind.UNKNOWN_VEHICLE, "no such vehicle", route.vehicle_id))
            continue
        if not route.visits:
            found.append(Violation(ViolationKind.EMPTY_ROUTE, "a vehicle that is not used has no route", vehicle.id))
            continue
        calls = []
        for visit in route.visits:
            request = requests.get(visit.request_id)
            stop = _stops(request).get((visit.kind, visit.number)) if request else None
            if request and stop:
                calls.append(_Call(visit, request, stop))
            elif request:
                detail = f"no {visit.kind} number {visit.number}"
                found.append(Violation(ViolationKind.UNKNOWN_STOP, detail, vehicle.id, request.id))
        found += [*_pairs(vehicle, calls), *_permissions(vehicle, calls), *_points(vehicle, calls)]
        if len(calls) == len(route.visits):
            found += [*_loads(vehicle, calls), *_ride_times(vehicle, calls), *_windows(vehicle, calls)]
            if all(0 <= visit.point < len(problem.points) for visit in route.visits):
                found += [*_clock(problem, vehicle, route), *_distance(problem, vehicle, route)]
    return found


def _stops(request: Request) -> Mapping[tuple[str, int], Stop]:
    stops: dict[tuple[str, int], Stop] = {}
    for kind, of_kind in ((StopKind.PICKUP, request.pickups), (StopKind.DROP, request.drops)):
        stops |= {(kind, number): stop for number, stop in enumerate(of_kind)}
    return stops


def _whole(requests: Mapping[str, Request], plan: Plan) -> Iterator[Violation]:
    """Every request is planned once or left out once, and no other is spoken of."""
    told = Counter((v.request_id, v.kind, v.number) for route in plan.routes for v in route.visits)
    times: dict[str, int] = {}
    for (request_id, _, _), count in told.items():
        times[request_id] = max(times.get(request_id, 0), count)
    left_out = Counter(item.request_id for item in plan.left_out)
    for request_id in sorted((times.keys() | left_out.keys()) - requests.keys()):
        yield Violation(ViolationKind.UNKNOWN_REQUEST, "no such request", None, request_id)
    for request_id, request in requests.items():
        count = times.get(request_id, 0) + left_out[request_id]
        if count == 0:
            yield Violation(ViolationKind.REQUEST_MISSING, "neither planned nor left out", None, request_id)
        elif count > 1:
            yield Violation(ViolationKind.REQUEST_TWICE, f"told {count} times", None, request_id)
        if request.locked_to is not None and left_out[request_id]:
            yield Violation(ViolationKind.LOCK_BROKEN, "left out", request.locked_to, request_id)


def _limits(problem: RoutingProblem, vehicles: Mapping[str, Vehicle], plan: Plan) -> Iterator[Violation]:
    """What couples the vehicles: each has one route, shares, fleet and hubs."""
    for vehicle_id, count in Counter(route.vehicle_id for route in plan.routes).items():
        if count > 1:
            yield Violation(ViolationKind.VEHICLE_TWICE, f"{count} routes", vehicle_id)
    for share in problem.shares:
        served = {
            visit.request_id
            for route in plan.routes
            if route.vehicle_id in vehicles and vehicles[route.vehicle_id].group == share.group
            for visit in route.visits
        }
        if (len(served) - 1) * 1000 >= len(problem.requests) * share.at_most_permille and served:
            detail = f"{share.group}: {len(served)} of {len(problem.requests)}, {share.at_most_permille} permille"
            yield Violation(ViolationKind.OVER_SHARE, detail)
    used = {route.vehicle_id for route in plan.routes}
    for fleet in problem.fleet_limits:
        if len(used & fleet.vehicles) > fleet.at_most:
            detail = f"{sorted(used & fleet.vehicles)} are used, at most {fleet.at_most} may be"
            yield Violation(ViolationKind.OVER_FLEET_LIMIT, detail)
    for hub in problem.hub_limits:
        callers = {route.vehicle_id for route in plan.routes if any(visit.point == hub.point for visit in route.visits)}
        if len(callers) > hub.at_most:
            detail = f"{sorted(callers)} call at {hub.point}, at most {hub.at_most} may"
            yield Violation(ViolationKind.OVER_HUB_LIMIT, detail)


def _pairs(vehicle: Vehicle, calls: Sequence[_Call]) -> Iterator[Violation]:
    """What is picked up is dropped, afterwards and whole, by the same vehicle."""
    for request in {call.request.id: call.request for call in calls}.values():
        made = [(call.visit.kind, call.visit.number) for call in calls if call.request.id == request.id]
        for kind, number in sorted(_stops(request).keys() - set(made)):
            missing = ViolationKind.NO_PICKUP if kind == StopKind.PICKUP else ViolationKind.NO_DROP
            yield Violation(missing, f"{kind} number {number} is not made", vehicle.id, request.id)
        kinds = [kind for kind, _ in made]
        if StopKind.DROP in kinds and StopKind.PICKUP in kinds[kinds.index(StopKind.DROP) :]:
            detail = "dropped before it is picked up"
            yield Violation(ViolationKind.DROP_BEFORE_PICKUP, detail, vehicle.id, request.id)


def _permissions(vehicle: Vehicle, calls: Sequence[_Call]) -> Iterator[Violation]:
    """Whether this vehicle may carry it."""
    for request in {call.request.id: call.request for call in calls}.values():
        where = vehicle.id, request.id
        for skill in sorted(request.skills):
            if skill not in vehicle.skills:
                yield Violation(ViolationKind.SKILL_MISSING, f"needs {skill}", *where)
        if request.allowed_vehicles is not None and vehicle.id not in request.allowed_vehicles:
            yield Violation(ViolationKind.NOT_ALLOWED, "is for other vehicles", *where)
        if vehicle.id in request.forbidden_vehicles:
            yield Violation(ViolationKind.NOT_ALLOWED, "is forbidden to this vehicle", *where)
        if request.allowed_groups is not None and vehicle.group not in request.allowed_groups:
            yield Violation(ViolationKind.NOT_ALLOWED, "is for other groups", *where)
        if vehicle.group in request.forbidden_groups:
            yield Violation(ViolationKind.NOT_ALLOWED, "is forbidden to this group", *where)
        if request.locked_to is not None and request.locked_to != vehicle.id:
            yield Violation(ViolationKind.LOCK_BROKEN, f"is locked to {request.locked_to}", *where)


def _points(vehicle: Vehicle, calls: Sequence[_Call]) -> Iterator[Violation]:
    for visit, request, stop in calls:
        if visit.point != stop.point:
            detail = f"at {visit.point} instead of {stop.point}"
            yield Violation(ViolationKind.WRONG_POINT, detail, vehicle.id, request.id)


def _loads(vehicle: Vehicle, calls: Sequence[_Call]) -> Iterator[Violation]:
    """What is on board; what was there from before the start may be too much, what is picked up then may not."""
    dimensions = range(len(vehicle.capacities))
    aboard = [0 for _ in dimensions]
    for request in {call.request.id: call.request for call in calls}.values():
        if not request.pickups:
            for dimension in dimensions:
                aboard[dimension] += sum(stop.loads[dimension] for stop in request.drops)
    for visit, request, stop in calls:
        for dimension in dimensions:
            if visit.kind == StopKind.DROP:
                aboard[dimension] -= stop.loads[dimension]
                continue
            aboard[dimension] += stop.loads[dimension]
            if aboard[dimension] > vehicle.capacities[dimension]:
                detail = f"{aboard[dimension]} of {vehicle.capacities[dimension]} in dimension {dimension}"
                yield Violation(ViolationKind.OVER_CAPACITY, detail, vehicle.id, request.id)
        if visit.loads != tuple(aboard):
            detail = f"says {visit.loads}, has {tuple(aboard)}"
            yield Violation(ViolationKind.WRONG_LOADS, detail, vehicle.id, request.id)


def _ride_times(vehicle: Vehicle, calls: Sequence[_Call]) -> Iterator[Violation]:
    """How long each load is aboard: from the end of its pickup to the beginning of its drop."""
    picked_up: dict[str, int] = {}
    for visit, request, stop in calls:
        if request.ride_seconds_at_most is None:
            continue
        if visit.kind == StopKind.PICKUP:
            done = visit.start_seconds + _seconds_at(stop)
            picked_up[request.id] = min(done, picked_up.get(request.id, done))
        elif request.id in picked_up:
            aboard = visit.start_seconds - picked_up[request.id]
            if aboard > request.ride_seconds_at_most:
                detail = f"{aboard} s aboard, at most {request.ride_seconds_at_most}"
                yield Violation(ViolationKind.RIDE_TOO_LONG, detail, vehicle.id, request.id)


def _windows(vehicle: Vehicle, calls: Sequence[_Call]) -> Iterator[Violation]:
    """When each service begins and ends."""
    for visit, request, stop in calls:
        where = vehicle.id, request.id
        start = visit.start_seconds
        if start < visit.arrival_seconds:
            yield Violation(ViolationKind.STARTS_BEFORE_ARRIVAL, f"starts at {start}", *where)
        if start < stop.window_start_seconds:
            yield Violation(ViolationKind.BEFORE_WINDOW, f"starts at {start}", *where)
        if start > (stop.window_end_seconds if stop.latest_seconds is None else stop.latest_seconds):
            yield Violation(ViolationKind.AFTER_WINDOW, f"starts at {start}", *where)
        if any(closes <= start < opens for closes, opens in stop.closures):
            yield Violation(ViolationKind.CLOSED, f"starts at {start}", *where)
        if visit.departure_seconds < start + _seconds_at(stop):
            yield Violation(ViolationKind.LEAVES_TOO_EARLY, f"leaves at {visit.departure_seconds}", *where)


def _seconds_at(stop: Stop) -> int:
    return stop.service_seconds + stop.units * stop.seconds_per_unit


def _seconds_between(problem: RoutingProblem, vehicle: Vehicle, here: int, there: int) -> int:
    thousandths = int(problem.travel_seconds[here, there]) * vehicle.ride_permille
    return (thousandths + 999) // 1000


def _clock(problem: RoutingProblem, vehicle: Vehicle, route: Route) -> Iterator[Violation]:
    """Shift, breaks and rides; those between two visits begin where and when the first is over."""
    if route.start_seconds < vehicle.shift_start_seconds:
        yield Violation(ViolationKind.BEFORE_SHIFT, f"starts at {route.start_seconds}", vehicle.id)
    if route.end_seconds > vehicle.shift_end_seconds:
        yield Violation(ViolationKind.AFTER_SHIFT, f"ends at {route.end_seconds}", vehicle.id)
    yield from _breaks(vehicle, route)
    here, free_at = vehicle.start_point, route.start_seconds
    for index, visit in enumerate(route.visits):
        ride = _seconds_between(problem, vehicle, here, visit.point)
        if visit.arrival_seconds < free_at + ride:
            detail = f"arrives at {visit.arrival_seconds}, at best {free_at + ride}"
            yield Violation(ViolationKind.RIDES_TOO_FAST, detail, vehicle.id, visit.request_id)
        leaves = route.start_seconds if index == 0 else visit.arrival_seconds - ride
        for rest in route.breaks:
            if rest.after == index and rest.end_seconds > leaves:
                detail = f"rides at {leaves}, rests until {rest.end_seconds}"
                yield Violation(ViolationKind.DURING_BREAK, detail, vehicle.id, visit.request_id)
        here, free_at = visit.point, visit.departure_seconds
    ride = _seconds_between(problem, vehicle, here, vehicle.end_point)
    if route.end_seconds < free_at + ride:
        yield Violation(ViolationKind.RIDES_TOO_FAST, f"is back at {route.end_seconds}", vehicle.id)
    for rest in route.breaks:
        # At the end point it begins after coming home; where the last visit was it ends before riding home.
        is_at_home = rest.start_seconds >= route.end_seconds
        if rest.after == len(route.visits) and not is_at_home and rest.end_seconds + ride > route.end_seconds:
            detail = f"rides home until {route.end_seconds}, rests until {rest.end_seconds}"
            yield Violation(ViolationKind.DURING_BREAK, detail, vehicle.id)


def _breaks(vehicle: Vehicle, route: Route) -> Iterator[Violation]:
    """Each of the shift's breaks is taken, in its window, whole, and within the shift."""
    for given, rest in zip(vehicle.breaks, route.breaks, strict=False):
        yield from _break(vehicle, given, rest)
    for given in vehicle.breaks[len(route.breaks) :]:
        yield Violation(ViolationKind.BREAK_MISSING, f"none from {given.window_start_seconds} on", vehicle.id)
    for rest in route.breaks[len(vehicle.breaks) :]:
        yield Violation(ViolationKind.UNKNOWN_BREAK, f"no break of the shift is at {rest.start_seconds}", vehicle.id)
    by_start = sorted(route.breaks, key=lambda rest: (rest.start_seconds, rest.end_seconds))
    for one, other in pairwise(by_start):
        if other.start_seconds < one.end_seconds:
            yield Violation(ViolationKind.DURING_BREAK, f"two breaks at {other.start_seconds}", vehicle.id)
    for rest in route.breaks:
        if not 0 <= rest.after <= len(route.visits):
            yield Violation(ViolationKind.UNKNOWN_BREAK, f"there is no visit number {rest.after}", vehicle.id)
        elif rest.after and rest.start_seconds < route.visits[rest.after - 1].departure_seconds:
            visit = route.visits[rest.after - 1]
            detail = f"works until {visit.departure_seconds}, rests from {rest.start_seconds}"
            yield Violation(ViolationKind.DURING_BREAK, detail, vehicle.id, visit.request_id)


def _break(vehicle: Vehicle, given: Break, rest: BreakTaken) -> Iterator[Violation]:
    if not given.window_start_seconds <= rest.start_seconds <= given.window_end_seconds:
        yield Violation(ViolationKind.BREAK_OUTSIDE_WINDOW, f"begins at {rest.start_seconds}", vehicle.id)
    if rest.end_seconds < rest.start_seconds + given.length_seconds:
        detail = f"from {rest.start_seconds} to {rest.end_seconds}, should be {given.length_seconds} s"
        yield Violation(ViolationKind.BREAK_TOO_SHORT, detail, vehicle.id)
    if rest.start_seconds < vehicle.shift_start_seconds:
        yield Violation(ViolationKind.BEFORE_SHIFT, f"rests from {rest.start_seconds}", vehicle.id)
    if rest.end_seconds > vehicle.shift_end_seconds:
        yield Violation(ViolationKind.AFTER_SHIFT, f"rests until {rest.end_seconds}", vehicle.id)


def _distance(problem: RoutingProblem, vehicle: Vehicle, route: Route) -> Iterator[Violation]:
    """What is ridden in all, as told and as the bike can."""
    places = [vehicle.start_point, *(visit.point for visit in route.visits), vehicle.end_point]
    legs = list(pairwise(places))
    seconds = sum(_seconds_between(problem, vehicle, here, there) for here, there in legs)
    metres = sum(int(problem.travel_metres[here, there]) for here, there in legs)
    if (route.travel_seconds, route.travel_metres) != (seconds, metres):
        yield Violation(ViolationKind.WRONG_COST, f"rides {seconds} s and {metres} m", vehicle.id)
    if vehicle.range_metres is not None and metres > vehicle.range_metres:
        yield Violation(ViolationKind.OVER_RANGE, f"{metres} m of {vehicle.range_metres}", vehicle.id)
