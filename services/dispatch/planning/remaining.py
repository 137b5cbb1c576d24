"""A day as it is now: what is done is gone, what is aboard stays on its bike, what has happened is true."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import combinations, compress, pairwise

from services.dispatch.planning.near import StopKey, vehicle_of
from services.dispatch.planning.plan import BreakTaken, LeftOut, Plan, Route, Visit, can_carry
from services.dispatch.planning.problem import (
    LARGEST_NUMBER,
    Break,
    FleetLimit,
    HubLimit,
    Request,
    RoutingProblem,
    Share,
    Span,
    Stop,
    StopKind,
    Vehicle,
)
from services.dispatch.planning.schedule import Call, Item, ride

LATE_WEIGHT = 100
"""A second by which what cannot be left out is late weighs as much as so many seconds of riding."""


PROMISED_WEIGHT = 2
"""What was in a route in force weighs so many times as much as it would anew: it is promised, another one not yet."""


class ChangeCode(StrEnum):
    """Why something changes."""

    NEW = "new"  # it was in no route in force
    CANCELLED = "cancelled"
    VEHICLE_LOST = "vehicle-lost"  # its vehicle rides no more
    SHIFT_SHORTENED = "shift-shortened"
    LATE_COURIER = "late-courier"
    CLOSED_SITE = "closed-site"
    MAKES_ROOM = "makes-room"  # for another one
    SAVES = "saves"  # the change saves more than it costs
    NO_LONGER_FITS = "no-longer-fits"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a vehicle is: at `point`, from where it goes on at `free_seconds` at the earliest.

    `ended` are its stops that are not to be ridden any more, with the end of their service: done ones, and those
    `started` (the courier is on the way to them, or there), at their expected end and place. `ridden_metres` count for
    its range.
    """

    vehicle_id: str
    point: int
    free_seconds: int
    ended: Mapping[StopKey, int] = field(default_factory=dict)
    started: frozenset[StopKey] = frozenset()
    ridden_metres: int = 0


@dataclass(frozen=True, slots=True)
class VehicleLost:
    """It rides no more. What is aboard can be collected at `aboard_point`; without one it is lost to the plan."""

    vehicle_id: str
    aboard_point: int | None = None


@dataclass(frozen=True, slots=True)
class ShiftEnds:
    """It must be at its end point earlier than planned."""

    vehicle_id: str
    seconds: int


@dataclass(frozen=True, slots=True)
class Late:
    """It goes on so many seconds later than it should have."""

    vehicle_id: str
    seconds: int


@dataclass(frozen=True, slots=True)
class SiteClosed:
    """Nothing begins at this point meanwhile."""

    point: int
    span: Span


@dataclass(frozen=True, slots=True)
class Cancelled:
    """It is not to be ridden; what is aboard already is ridden all the same."""

    request_id: str


Event = VehicleLost | ShiftEnds | Late | SiteClosed | Cancelled


@dataclass(frozen=True, slots=True)
class Facts:
    """What happened: `before` is all that was still to be ridden, also by vehicles and of requests that are gone.

    `gone` requests are no part of the day any more; `vehicles` and `requests` tell whom something happened to. The
    shifts of those `riding` in the plan in force are settled.
    """

    before: Plan
    gone: Mapping[str, ChangeCode] = field(default_factory=dict)
    vehicles: Mapping[str, ChangeCode] = field(default_factory=dict)
    requests: Mapping[str, ChangeCode] = field(default_factory=dict)
    riding: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Remaining:
    """What is still to be ridden, and the part of the plan in force that speaks of it."""

    problem: RoutingProblem
    plan: Plan
    facts: Facts


def remaining(
    problem: RoutingProblem,
    in_force: Plan,
    progress: Iterable[Progress] = (),
    events: Iterable[Event] = (),
    *,
    now_seconds: int,
) -> Remaining:
    """Return the problem as it is at `now_seconds`, and what is left of the plan in force.

    Requests of `problem` that the plan does not serve are new, or were left out and are tried again; those of the plan
    that are not begun and no part of `problem`, as no vehicle has the room for them, are gone. A request of
    which everything is collected is aboard: without pickups, locked to its vehicle. One of which a part is collected
    has that part as a pickup where its vehicle goes on. Stops are numbered anew. A vehicle without progress has not
    left. Shares and limits count what was ridden before; the balance of days, which began before, is not weighed.
    """
    known = {item.vehicle_id: item for item in progress}
    events = list(events)
    lost = {event.vehicle_id: event for event in events if isinstance(event, VehicleLost)}
    cancelled = {event.request_id for event in events if isinstance(event, Cancelled)}
    vehicles = {
        vehicle.id: now
        for vehicle in problem.vehicles
        if vehicle.id not in lost
        for now in [_vehicle_now(vehicle, known.get(vehicle.id), in_force, events, now_seconds)]
    }
    riders = vehicle_of(in_force)
    cuts: dict[str, _Cut] = {}
    gone: dict[str, ChangeCode] = {}
    for request in problem.requests:
        rider = riders.get(request.id, request.locked_to)
        standing = known.get(rider) if rider is not None else None
        ended = dict(standing.ended) if standing else {}
        if standing and rider in lost:
            ended = {key: end for key, end in ended.items() if key not in standing.started}
        cut = _Cut.of(request, ended)
        if request.id in cancelled and not cut.collected:
            gone[request.id] = ChangeCode.CANCELLED
        elif cut.drops:
            cuts[request.id] = cut
    for request_id, rider in riders.items():
        begun = known[rider].ended if rider in known else {}
        if request_id not in problem.requests_by_id and all(key[0] != request_id for key in begun):
            gone[request_id] = ChangeCode.NO_LONGER_FITS
    requests: dict[str, Request] = {}
    for request_id, cut in cuts.items():
        rider = riders.get(request_id, cut.request.locked_to)
        if cut.collected and rider in lost:
            point = lost[rider].aboard_point
            if point is None:
                gone[request_id] = ChangeCode.VEHICLE_LOST
            else:
                requests[request_id] = cut.waiting(point, now_seconds)
        elif cut.collected:
            assert rider is not None
            requests[request_id] = cut.aboard(vehicles[rider])
        elif rider is not None:
            requests[request_id] = _promised(cut.request)
        else:
            requests[request_id] = cut.request
    busy = {request.locked_to for request in requests.values()}
    over = {id_ for id_, one in vehicles.items() if one.shift_end_seconds <= one.shift_start_seconds}
    # A shift that is over still brings home what is aboard; `hold` says until when.
    vehicles = {
        id_: replace(one, shift_end_seconds=one.shift_start_seconds + 1, breaks=()) if id_ in over else one
        for id_, one in vehicles.items()
        if id_ not in over or id_ in busy
    }
    closed: dict[int, tuple[Span, ...]] = {}
    for event in events:
        if isinstance(event, SiteClosed):
            closed[event.point] = (*closed.get(event.point, ()), event.span)
    requests = {id_: _closed_at(_ridden_by(request, vehicles.keys()), closed) for id_, request in requests.items()}
    for request_id, request in list(requests.items()):
        if not _has_room(request, vehicles.values()):
            gone[request_id] = ChangeCode.NO_LONGER_FITS
            del requests[request_id]
    before = Plan(
        tuple(
            filter(None, (_route_left(problem, route, cuts, requests, known, now_seconds) for route in in_force.routes))
        ),
        (),
    )
    before = _with_gone(before, in_force, gone)
    plan = _within(before, requests, vehicles)
    now = replace(
        problem,
        requests=tuple(requests.values()),
        vehicles=tuple(vehicles.values()),
        prices=replace(problem.prices, balance_per_second=0),
        shares=(),
        fleet_limits=(),
        hub_limits=(),
    )
    now = replace(
        now,
        shares=tuple(_share_now(problem, now, plan, share, riders, requests) for share in problem.shares),
        fleet_limits=tuple(_fleet_now(limit, known, vehicles, plan) for limit in problem.fleet_limits),
        hub_limits=tuple(_hub_now(problem, limit, known, plan) for limit in problem.hub_limits),
    )
    riding = frozenset(route.vehicle_id for route in in_force.routes)
    return Remaining(now, plan, Facts(before, gone, *_blame(events, over, requests), riding))


def hold(problem: RoutingProblem, in_force: Plan, pinned: frozenset[str] = frozenset()) -> RoutingProblem:
    """Return the problem in which pinned and locked requests can be served, and pinned ones as in force.

    A pinned request keeps its vehicle and the planned start of each stop, unless that may not carry it any more. Where
    what happened makes that impossible, or keeps what is locked from its windows, its vehicle from its shift, its range
    or its breaks, those limits give way as far as the vehicle needs for these requests alone, in the order in force,
    and lateness costs `LATE_WEIGHT`.
    """
    riders = vehicle_of(in_force)
    starts = {
        (visit.request_id, visit.kind, visit.number): visit.start_seconds
        for route in in_force.routes
        for visit in route.visits
    }
    requests = dict(problem.requests_by_id)
    for request_id in sorted(pinned & riders.keys() & requests.keys()):
        request = requests[request_id]
        if not can_carry(problem.vehicles_by_id[riders[request_id]], request):
            continue
        requests[request_id] = replace(
            _each_stop(request, lambda stop, key: _at(stop, starts[key]) if key in starts else stop),
            locked_to=riders[request_id],
        )
    vehicles = dict(problem.vehicles_by_id)
    locked: dict[str, list[Request]] = {}
    for request in requests.values():
        if request.locked_to is not None:
            locked.setdefault(request.locked_to, []).append(request)
    order = {route.vehicle_id: [(v.request_id, v.kind, v.number) for v in route.visits] for route in in_force.routes}
    for vehicle_id, held in locked.items():
        ids = {request.id for request in held}
        keys = [key for key in order.get(vehicle_id, ()) if key[0] in ids]
        seen = {key[0] for key in keys}
        keys += [
            (request.id, kind, number)
            for request in held
            if request.id not in seen
            for kind, number, _ in request.stops
        ]
        needed = unlimited(problem, vehicles[vehicle_id], [Call(requests[key[0]], *key[1:]) for key in keys])
        if needed is None:
            continue
        vehicles[vehicle_id] = _giving_way(vehicles[vehicle_id], needed)
        price = LATE_WEIGHT * max(problem.prices.ride_second, 1)
        for request in held:
            requests[request.id] = _as_late_as(requests[request.id], needed, price)
    return replace(problem, requests=tuple(requests.values()), vehicles=tuple(vehicles.values()))


def _as_late_as(request: Request, needed: Route, late_price: int) -> Request:
    """Return the request with stops that may begin as late as in this route."""
    starts = {(v.request_id, v.kind, v.number): v.start_seconds for v in needed.visits}

    def soften(stop: Stop, key: StopKey) -> Stop:
        if starts[key] <= stop.last_seconds:
            return stop
        return replace(stop, latest_seconds=starts[key], late_price=max(late_price, stop.late_price))

    return _each_stop(request, soften)


def unlimited(problem: RoutingProblem, vehicle: Vehicle, items: Sequence[Item]) -> Route | None:
    """Return the route through these stops, and breaks if any are named, if no window closed, no shift ended and the
    range were endless.
    """
    far = LARGEST_NUMBER // 2
    free = replace(
        vehicle,
        shift_end_seconds=far,
        range_metres=None,
        breaks=tuple(replace(rest, window_end_seconds=far) for rest in vehicle.breaks),
    )

    def unhurried(call: Call) -> Call:
        return call._replace(
            request=_each_stop(call.request, lambda stop, _: replace(stop, latest_seconds=far, late_price=0))
        )

    return ride(problem, free, [unhurried(item) if isinstance(item, Call) else item for item in items])


@dataclass(frozen=True, slots=True)
class _Cut:
    """A request and what is left of it: the numbers of its stops that are still to be ridden."""

    request: Request
    pickups: tuple[int, ...]
    drops: tuple[int, ...]
    ended: Mapping[StopKey, int]

    @classmethod
    def of(cls, request: Request, ended: Mapping[StopKey, int]) -> "_Cut":
        def left(kind: StopKind) -> tuple[int, ...]:
            return tuple(n for k, n, _ in request.stops if k is kind and (request.id, k, n) not in ended)

        return cls(request, left(StopKind.PICKUP), left(StopKind.DROP), ended)

    @property
    def collected(self) -> bool:
        """Whether something of it is, or was, aboard."""
        return len(self.pickups) < len(self.request.pickups) or not self.request.pickups

    def number_now(self, kind: StopKind, number: int) -> int | None:
        """Return the number that a stop has now; None when it is not to be ridden."""
        left = self.pickups if kind is StopKind.PICKUP else self.drops
        return left.index(number) if number in left else None

    def aboard(self, vehicle: Vehicle) -> Request:
        """Return it as it stands on its vehicle."""
        pickups = tuple(self.request.pickups[n] for n in self.pickups)
        if pickups:
            here = vehicle.shift_start_seconds
            pickups = (*pickups, Stop(vehicle.start_point, here, here, loads=self._collected_loads()))
        # That it is there is a fact, whatever its bike and courier may carry by now.
        return replace(
            self.request,
            pickups=pickups,
            drops=self._drops(),
            locked_to=vehicle.id,
            skills=frozenset(),
            allowed_vehicles=None,
            forbidden_vehicles=frozenset(),
            allowed_groups=None,
            forbidden_groups=frozenset(),
        )

    def waiting(self, point: int, now_seconds: int) -> Request:
        """Return it as it lies where its vehicle stopped."""
        took = max((stop.service_seconds for stop in self.request.pickups), default=0)
        last = max(now_seconds, *(self.request.drops[n].last_seconds for n in self.drops))
        lies = Stop(point, now_seconds, last, took, self._collected_loads())
        pickups = (*(self.request.pickups[n] for n in self.pickups), lies)
        return replace(self.request, pickups=pickups, drops=self._drops(), locked_to=None)

    def _collected_loads(self) -> tuple[int, ...]:
        """What is aboard of it: all that is still to be dropped, less what is still to be collected."""
        given = [self.request.drops[n].loads for n in self.drops]
        taken = [self.request.pickups[n].loads for n in self.pickups]
        return tuple(sum(loads[d] for loads in given) - sum(loads[d] for loads in taken) for d in range(len(given[0])))

    def _drops(self) -> tuple[Stop, ...]:
        """Its drops, no later than the longest ride of what was collected allows."""
        drops = tuple(self.request.drops[n] for n in self.drops)
        collected = [
            end for (id_, kind, _), end in self.ended.items() if id_ == self.request.id and kind is StopKind.PICKUP
        ]
        if self.request.ride_seconds_at_most is None or not collected:
            return drops
        limit = min(collected) + self.request.ride_seconds_at_most
        return tuple(_no_later(stop, limit) for stop in drops)


def _no_later(stop: Stop, limit: int) -> Stop:
    limit = max(limit, stop.window_start_seconds)
    return replace(
        stop,
        window_end_seconds=min(stop.window_end_seconds, limit),
        latest_seconds=None if stop.latest_seconds is None else min(stop.latest_seconds, limit),
    )


def _at(stop: Stop, seconds: int) -> Stop:
    """Return the stop that begins just then."""
    return replace(stop, window_start_seconds=seconds, window_end_seconds=seconds, latest_seconds=None, late_price=0)


def _each_stop(request: Request, change: Callable[[Stop, StopKey], Stop]) -> Request:
    return replace(
        request,
        pickups=tuple(change(stop, (request.id, StopKind.PICKUP, n)) for n, stop in enumerate(request.pickups)),
        drops=tuple(change(stop, (request.id, StopKind.DROP, n)) for n, stop in enumerate(request.drops)),
    )


def _vehicle_now(
    vehicle: Vehicle, standing: Progress | None, in_force: Plan, events: Iterable[Event], now_seconds: int
) -> Vehicle:
    """Return the vehicle from now on; its shift may be over."""
    late = sum(event.seconds for event in events if isinstance(event, Late) and event.vehicle_id == vehicle.id)
    ends = [event.seconds for event in events if isinstance(event, ShiftEnds) and event.vehicle_id == vehicle.id]
    end = min([vehicle.shift_end_seconds, *ends])
    route = next((route for route in in_force.routes if route.vehicle_id == vehicle.id), None)
    planned = _planned_breaks(vehicle, route) if route else {}
    running = {n for n, rest in planned.items() if route and _is_running(route, rest, standing, now_seconds)}
    free = max(
        vehicle.shift_start_seconds,
        now_seconds,
        standing.free_seconds if standing else now_seconds,
        *(planned[number].end_seconds for number in running),
    )
    free += late
    breaks = []
    clock = free
    for number, rest in enumerate(vehicle.breaks):
        # Whoever had nothing to ride could rest; whoever rode did when it was planned.
        is_over = planned[number].end_seconds <= now_seconds if number in planned else rest.window_end_seconds < free
        begins = max(rest.window_start_seconds, clock)
        if not is_over and number not in running and begins + rest.length_seconds <= end:
            breaks.append(replace(rest, window_end_seconds=max(rest.window_end_seconds, begins)))
            clock = begins + rest.length_seconds
    has_ridden = standing is not None and bool(standing.ended)
    return replace(
        vehicle,
        start_point=standing.point if standing else vehicle.start_point,
        shift_start_seconds=free,
        shift_end_seconds=end,
        range_metres=None
        if vehicle.range_metres is None
        else max(0, vehicle.range_metres - (standing.ridden_metres if standing else 0)),
        breaks=tuple(breaks),
        fixed_price=0 if has_ridden else vehicle.fixed_price,
    )


def _planned_breaks(vehicle: Vehicle, route: Route) -> dict[int, BreakTaken]:
    """Return which of the vehicle's breaks, by number, the route's are.

    A route that was planned when the day was under way has only those that were not over by then: of all ways to tell
    which they are, in order, the one in which they lie least outside their windows, the later ones first.
    """

    def outside(numbers: tuple[int, ...]) -> int:
        pairs = [(vehicle.breaks[n], taken.start_seconds) for n, taken in zip(numbers, route.breaks, strict=False)]
        return sum(max(0, rest.window_start_seconds - at, at - rest.window_end_seconds) for rest, at in pairs)

    count = min(len(vehicle.breaks), len(route.breaks))
    ways: list[tuple[int, ...]] = sorted(combinations(range(len(vehicle.breaks)), count), reverse=True)
    likeliest = min(ways, key=outside)
    return dict(zip(likeliest, route.breaks, strict=False))


def _is_running(route: Route, rest: BreakTaken, standing: Progress | None, now_seconds: int) -> bool:
    """Return whether a break is being taken: its time has come, all before it is done, and nothing is begun."""
    before = {(visit.request_id, visit.kind, visit.number) for visit in route.visits[: rest.after]}
    is_riding = standing is not None and bool(standing.started)
    ended = standing.ended.keys() if standing else set()
    return rest.start_seconds <= now_seconds < rest.end_seconds and before <= ended and not is_riding


def _promised(request: Request) -> Request:
    price = request.left_out_price
    return replace(
        request,
        left_out_weight=PROMISED_WEIGHT * request.left_out_weight,
        left_out_price=None if price is None else min(LARGEST_NUMBER, PROMISED_WEIGHT * price),
    )


def _ridden_by(request: Request, vehicle_ids: Iterable[str]) -> Request:
    """Return the request without vehicles that ride no more."""
    known = frozenset(vehicle_ids)
    return replace(
        request,
        allowed_vehicles=None if request.allowed_vehicles is None else request.allowed_vehicles & known,
        forbidden_vehicles=request.forbidden_vehicles & known,
        locked_to=request.locked_to if request.locked_to in known else None,
    )


def _closed_at(request: Request, closed: Mapping[int, tuple[Span, ...]]) -> Request:
    if not any(stop.point in closed for _, _, stop in request.stops):
        return request
    return _each_stop(
        request,
        lambda stop, _: replace(stop, closures=(*stop.closures, *closed[stop.point])) if stop.point in closed else stop,
    )


def _has_room(request: Request, vehicles: Iterable[Vehicle]) -> bool:
    vehicles = list(vehicles)
    taken = [sum(loads) for loads in zip(*(stop.loads for stop in request.pickups), strict=True)]
    return not vehicles or any(
        all(load <= capacity for load, capacity in zip(taken, vehicle.capacities, strict=False)) for vehicle in vehicles
    )


def _route_left(
    problem: RoutingProblem,
    route: Route,
    cuts: Mapping[str, _Cut],
    requests: Mapping[str, Request],
    known: Mapping[str, Progress],
    now_seconds: int,
) -> Route | None:
    """Return what is left of a route, at the times in force; None when nothing is."""
    visits: list[Visit] = []
    kept = [0]  # how many of the first so many visits are left
    for visit in route.visits:
        cut = cuts.get(visit.request_id)
        number = cut.number_now(visit.kind, visit.number) if cut else None
        if number is not None:
            visits.append(_renumbered(visit, number))
        kept.append(len(visits))
    standing = known.get(route.vehicle_id)
    start = max(route.start_seconds, standing.free_seconds if standing else now_seconds)
    for request_id in dict.fromkeys(visit.request_id for visit in visits):
        cut, request = cuts[request_id], requests.get(request_id)
        if cut.collected and request is not None and request.pickups:
            # What is aboard of it stands as its last pickup.
            stop = request.pickups[-1]
            visits.insert(
                0,
                Visit(
                    request_id, StopKind.PICKUP, stop.point, start, start, start, stop.loads, len(request.pickups) - 1
                ),
            )
    if not visits:
        return None
    aboard = len(visits) - kept[-1]
    points = [visits[0].point, *(visit.point for visit in visits)]
    return replace(
        route,
        start_seconds=start,
        visits=tuple(visits),
        travel_seconds=sum(int(problem.travel_seconds[a, b]) for a, b in pairwise(points)),
        travel_metres=sum(int(problem.travel_metres[a, b]) for a, b in pairwise(points)),
        breaks=tuple(
            replace(rest, after=aboard + kept[rest.after])
            for rest in route.breaks
            if rest.end_seconds > now_seconds and not _is_running(route, rest, standing, now_seconds)
        ),
    )


def _renumbered(visit: Visit, number: int) -> Visit:
    return visit if visit.number == number else replace(visit, number=number)


def _with_gone(before: Plan, in_force: Plan, gone: Mapping[str, ChangeCode]) -> Plan:
    """Return the plan with the whole visits of what is gone, so that it can be told what is."""
    told = {request_id for route in before.routes for request_id in route.request_ids}
    missing = gone.keys() - told
    routes = {route.vehicle_id: route for route in before.routes}
    for route in in_force.routes:
        visits = tuple(visit for visit in route.visits if visit.request_id in missing)
        if visits:
            kept = routes.get(route.vehicle_id)
            merged = sorted((*(kept.visits if kept else ()), *visits), key=lambda visit: visit.start_seconds)
            behind = [0, *(n for n, visit in enumerate(merged, start=1) if visit.request_id not in missing)]
            rests = tuple(replace(rest, after=behind[rest.after]) for rest in kept.breaks) if kept else ()
            routes[route.vehicle_id] = replace(kept or route, visits=tuple(merged), breaks=rests)
    return Plan(tuple(routes.values()), ())


def _within(before: Plan, requests: Mapping[str, Request], vehicles: Mapping[str, Vehicle]) -> Plan:
    """Return the part of the plan that the problem knows; what that does not serve is left out."""
    routes = []
    for route in before.routes:
        stays = [visit.request_id in requests for visit in route.visits]
        if any(stays) and route.vehicle_id in vehicles:
            routes.append(
                replace(
                    route,
                    visits=tuple(compress(route.visits, stays)),
                    breaks=tuple(replace(rest, after=sum(stays[: rest.after])) for rest in route.breaks),
                )
            )
    served = {request_id for route in routes for request_id in route.request_ids}
    return Plan(tuple(routes), tuple(LeftOut(request_id) for request_id in requests if request_id not in served))


def _share_now(
    problem: RoutingProblem,
    now: RoutingProblem,
    plan: Plan,
    share: Share,
    riders: Mapping[str, str],
    requests: Mapping[str, Request],
) -> Share:
    """Return the share of what remains that keeps the share of the whole; what is in force stays allowed."""
    groups = {vehicle.id: vehicle.group for vehicle in problem.vehicles}
    done = sum(groups[rider] == share.group for id_, rider in riders.items() if id_ not in requests)
    in_force = sum(len(route.request_ids) for route in plan.routes if groups[route.vehicle_id] == share.group)
    count = max(len(now.requests), 1)
    most = max(problem.most(share) - done, in_force)
    at_most = min(1000, most * 1000 // count)
    if -(-count * at_most // 1000) < in_force:
        at_most = min(1000, at_most + 1)
    at_least = max(0, problem.least(share) - done) * 1000 // count
    return Share(share.group, min(at_least, share.at_least_permille, at_most), at_most)


def _fleet_now(
    limit: FleetLimit, known: Mapping[str, Progress], vehicles: Mapping[str, Vehicle], plan: Plan
) -> FleetLimit:
    """Return the limit of those that have not ridden yet: using the others again costs nothing."""
    ridden = {id_ for id_ in limit.vehicles if id_ in known and known[id_].ended}
    fresh = limit.vehicles - ridden
    used = sum(route.vehicle_id in fresh for route in plan.routes)
    return FleetLimit(fresh & vehicles.keys(), max(limit.at_most - len(ridden), used))


def _hub_now(problem: RoutingProblem, limit: HubLimit, known: Mapping[str, Progress], plan: Plan) -> HubLimit:
    """Return the limit less those that called there and do not call again."""
    calls = {route.vehicle_id for route in plan.routes for visit in route.visits if visit.point == limit.point}
    called = {
        id_
        for id_, standing in known.items()
        for request_id, kind, number in standing.ended
        if request_id in problem.requests_by_id
        and problem.requests_by_id[request_id].stop(kind, number).point == limit.point
    }
    return HubLimit(limit.point, max(limit.at_most - len(called - calls), len(calls)))


def _blame(
    events: Iterable[Event], over: Iterable[str], requests: Mapping[str, Request]
) -> tuple[dict[str, ChangeCode], dict[str, ChangeCode]]:
    """Return what happened to vehicles and to requests."""
    vehicles = dict.fromkeys(over, ChangeCode.SHIFT_SHORTENED)
    closed: set[int] = set()
    for event in events:
        match event:
            case VehicleLost():
                vehicles[event.vehicle_id] = ChangeCode.VEHICLE_LOST
            case ShiftEnds():
                vehicles[event.vehicle_id] = ChangeCode.SHIFT_SHORTENED
            case Late():
                vehicles.setdefault(event.vehicle_id, ChangeCode.LATE_COURIER)
            case SiteClosed():
                closed.add(event.point)
            case Cancelled():
                pass
    return vehicles, {
        request.id: ChangeCode.CLOSED_SITE
        for request in requests.values()
        if any(stop.point in closed for _, _, stop in request.stops)
    }


def _giving_way(vehicle: Vehicle, needed: Route) -> Vehicle:
    """Return the vehicle with limits that let it ride this route."""
    end = max([needed.end_seconds, *(rest.end_seconds for rest in needed.breaks)])
    return replace(
        vehicle,
        shift_end_seconds=max(vehicle.shift_end_seconds, end),
        range_metres=None if vehicle.range_metres is None else max(vehicle.range_metres, needed.travel_metres),
        breaks=tuple(
            Break(rest.window_start_seconds, max(rest.window_end_seconds, taken.start_seconds), rest.length_seconds)
            for rest, taken in zip(vehicle.breaks, needed.breaks, strict=True)
        ),
    )
