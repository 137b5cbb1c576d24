"""The least change of each kind that would serve a request in the plan as it stands, and what is said of it."""

from collections.abc import Collection, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from services.dispatch.planning.near import Near, RouteChanges
from services.dispatch.planning.plan import Plan, ReasonCode, Remedy, Route
from services.dispatch.planning.problem import (
    TRAILER,
    Objective,
    Request,
    RoutingProblem,
    Stop,
    StopKind,
    Vehicle,
)
from services.dispatch.planning.reasons.insertion import Undecided, cheapest, fits, route_price
from services.dispatch.planning.schedule import Call, calls_of

MOST_REMEDIES = 3
"""Told for one request, at most one of each code."""

MOST_SECONDS = 14_400
"""By so much a window, a shift or a ride time may change; beyond four hours it is another day's work."""

VEHICLES_TRIED = 200
"""Vehicles tried for all left-out requests of a plan together, and `FEWEST_TRIED` at least for each of them."""

FEWEST_TRIED = 3

WEIGHS_SECONDS = {
    ReasonCode.CLOSED: 1_800,
    ReasonCode.SKILL: 1_800,
    ReasonCode.CAPACITY: 1_800,
    ReasonCode.RANGE: 1_800,
    ReasonCode.NOT_ALLOWED: 3_600,
    ReasonCode.LIMIT: 3_600,
    ReasonCode.SHARE: 7_200,
    ReasonCode.PRICE: 7_200,
}
"""How much a change that is not one of time is taken to weigh, so that the lightest can be told first."""

Numbers = NDArray[np.int64]

_TIMES = {ReasonCode.WINDOW, ReasonCode.SHIFT, ReasonCode.RIDE_TIME}
"""Codes of which only the least amount counts, whichever stop or end it is of."""

_COUNTED = _TIMES | {ReasonCode.CAPACITY, ReasonCode.RANGE}
"""Codes whose amount is looked for; those of the others follow from the plan."""


class Standing:
    """A plan as it stands, in the shape that insertions need.

    With `near`, what changing that plan costs counts too, and its day is under way: no shift begins earlier any more,
    and those of the vehicles that are `settled` are as they are.
    """

    def __init__(
        self, problem: RoutingProblem, plan: Plan, near: Near | None = None, settled: Collection[str] = ()
    ) -> None:
        self.problem = problem
        self._settled = settled
        self._near = RouteChanges(near) if near else None
        self.routes: dict[str, Route] = {route.vehicle_id: route for route in plan.routes}
        self._served: dict[str, int] = {}
        for route in plan.routes:
            group = problem.vehicles_by_id[route.vehicle_id].group
            self._served[group] = self._served.get(group, 0) + len(route.request_ids)
        self._calling = {
            hub.point: {route.vehicle_id for route in plan.routes if any(v.point == hub.point for v in route.visits)}
            for hub in problem.hub_limits
        }
        self._calls: dict[str, list[Call]] = {}
        self._gaps: dict[str, tuple[Numbers, Numbers, Numbers, Numbers]] = {}

    def calls(self, vehicle: Vehicle) -> list[Call]:
        """Return the stops of a vehicle in the order in which it rides them."""
        if vehicle.id not in self._calls:
            route = self.routes.get(vehicle.id)
            items = calls_of(self.problem, route) if route else []
            self._calls[vehicle.id] = [item for item in items if isinstance(item, Call)]
        return self._calls[vehicle.id]

    def reached(self, vehicle: Vehicle, request: Request) -> list[Remedy]:
        """Return how each share and limit would have to be raised that is used up for this request on this vehicle."""
        problem, found = self.problem, []
        for share in problem.shares:
            served = self._served.get(share.group, 0)
            if share.group == vehicle.group and served >= problem.most(share):
                permille = served * 1000 // len(problem.requests) + 1
                raised = permille - share.at_most_permille
                found.append(Remedy(ReasonCode.SHARE, vehicle.id, raised, share.group))
        for index, limit in enumerate(problem.fleet_limits):
            used = sum(id_ in limit.vehicles for id_ in self.routes)
            if vehicle.id in limit.vehicles and vehicle.id not in self.routes and used >= limit.at_most:
                found.append(Remedy(ReasonCode.LIMIT, vehicle.id, used + 1 - limit.at_most, f"fleet {index}"))
        points = {stop.point for _, _, stop in request.stops}
        for hub in problem.hub_limits:
            calling = self._calling[hub.point]
            if hub.point in points and vehicle.id not in calling and len(calling) >= hub.at_most:
                raised = len(calling) + 1 - hub.at_most
                found.append(Remedy(ReasonCode.LIMIT, vehicle.id, raised, f"hub {hub.point}"))
        return found

    def most_aboard(self, vehicle: Vehicle, dimension: int) -> int:
        """Return at least what is aboard at any time of the day, in one dimension."""
        route = self.routes.get(vehicle.id)
        if route is None:
            return 0
        before = sum(
            call.request.stop(call.kind, call.number).loads[dimension]
            for call in self.calls(vehicle)
            if not call.request.pickups
        )
        return max(visit.loads[dimension] for visit in route.visits) + before

    def seconds_late(self, vehicle: Vehicle, request: Request) -> int:
        """Return about how late the stops make each other and the day, each by itself at its best place."""
        if vehicle.id not in self._gaps:
            self._gaps[vehicle.id] = _gaps(vehicle, self.routes.get(vehicle.id), self.calls(vehicle))
        here, there, left, due = self._gaps[vehicle.id]
        seconds, late = self.problem.travel_seconds, 0
        for _, _, stop in request.stops:
            arrival = left + seconds[here, stop.point] * vehicle.ride_permille // 1000
            onward = np.maximum(arrival, stop.window_start_seconds) + stop.duration_seconds
            onward += seconds[stop.point, there] * vehicle.ride_permille // 1000
            late += int((np.maximum(arrival - stop.last_seconds, 0) + np.maximum(onward - due, 0)).min())
        return late

    def insert(self, vehicle: Vehicle, request: Request) -> tuple[int, Route] | None:
        """Return by how much the cheapest insertion changes the plan's price, and the route. Raises Undecided.

        `vehicle` and `request` may be changed ones; shares and limits are not looked at.
        """
        route = cheapest(self.problem, vehicle, self.calls(vehicle), request)
        return (self._added(vehicle, route, request), route) if route else None

    def ends_that_move(self, vehicle: Vehicle) -> tuple[str, ...]:
        """Return which ends of a vehicle's shift can be moved."""
        end = () if vehicle.id in self._settled else ("end",)
        return end if self._near else (*end, "start")

    def disturbance(self, vehicle_id: str, route: Route) -> int:
        """Return what is due for changing the plan in force, where this is the vehicle's route."""
        if self._near is None:
            return 0
        return self._near.cost(vehicle_id, route) - self._near.cost(vehicle_id, self.routes.get(vehicle_id))

    def pays(self, request: Request, added: int) -> bool:
        """Return whether serving it at that price makes the plan better.

        Without a price of its own it always does, unless what that changes in a plan in force costs more.
        """
        price = request.left_out_price
        if price is None and self._near:
            price = self.problem.left_out_price(request)
        return self.problem.objective is Objective.VEHICLES_FIRST or price is None or added < price

    def _added(self, vehicle: Vehicle, route: Route, request: Request) -> int:
        problem = self.problem
        old = self.routes.get(vehicle.id)
        added = route_price(problem, vehicle, route, request)
        added -= route_price(problem, vehicle, old, request) if old else 0
        days = {id_: other.end_seconds - other.start_seconds for id_, other in self.routes.items()}
        before = max(days.values(), default=0) - min(days.values(), default=0)
        days[vehicle.id] = route.end_seconds - route.start_seconds
        added += problem.prices.balance_per_second * (max(days.values()) - min(days.values()) - before)
        added += self.disturbance(vehicle.id, route)
        for share in problem.shares:
            if share.group == vehicle.group and self._served.get(share.group, 0) < problem.least(share):
                added -= problem.prices.below_share
        return added


def _gaps(vehicle: Vehicle, route: Route | None, calls: list[Call]) -> tuple[Numbers, Numbers, Numbers, Numbers]:
    """Return each ride of a day: from which point, to which, when it begins, and when it may end for all after it."""
    visits = route.visits if route else ()
    points = [vehicle.start_point, *(visit.point for visit in visits), vehicle.end_point]
    left = [vehicle.shift_start_seconds, *(visit.departure_seconds for visit in visits)]
    due = [vehicle.shift_end_seconds]
    slack = vehicle.shift_end_seconds - (route.end_seconds if route else vehicle.shift_start_seconds)
    for visit, call in zip(reversed(visits), reversed(calls), strict=True):
        slack = min(slack, call.request.stop(call.kind, call.number).last_seconds - visit.start_seconds)
        due.append(visit.start_seconds + slack)
    return np.array(points[:-1]), np.array(points[1:]), np.array(left), np.array(due[::-1])


def serve(problem: RoutingProblem, plan: Plan, request_id: str) -> Plan | None:
    """Return the plan with this request in its best place; no other changes vehicle or order, and none is dropped.

    None where it fits nowhere, or where leaving it out costs no more (with the objective of prices). A request that
    the plan does not speak of yet is taken as left out.
    """
    standing, request = Standing(problem, plan), problem.requests_by_id[request_id]
    best: tuple[bool, int, Route] | None = None
    for vehicle in problem.vehicles:
        if standing.reached(vehicle, request):
            continue
        try:
            found = standing.insert(vehicle, request)
        except Undecided:
            continue
        if found:
            is_new = problem.objective is Objective.VEHICLES_FIRST and vehicle.id not in standing.routes
            if best is None or (is_new, found[0]) < best[:2]:
                best = (is_new, *found)
    if best is None or not standing.pays(request, best[1]):
        return None
    routes = {**standing.routes, best[2].vehicle_id: best[2]}
    return Plan(tuple(routes.values()), tuple(item for item in plan.left_out if item.request_id != request_id))


def apply(problem: RoutingProblem, remedy: Remedy, request_id: str) -> RoutingProblem:
    """Return the problem with this remedy for this request carried out; the one given stays as it is."""
    request = problem.requests_by_id[request_id]
    requests = tuple(
        with_request(problem, remedy, request) if other.id == request_id else other for other in problem.requests
    )
    vehicles = tuple(
        with_vehicle(remedy, vehicle) if vehicle.id == remedy.vehicle_id else vehicle for vehicle in problem.vehicles
    )
    shares, fleet_limits, hub_limits = problem.shares, problem.fleet_limits, problem.hub_limits
    if remedy.code is ReasonCode.SHARE:
        shares = tuple(
            replace(share, at_most_permille=share.at_most_permille + remedy.amount)
            if share.group == remedy.what
            else share
            for share in shares
        )
    elif remedy.code is ReasonCode.LIMIT:
        fleet_limits = tuple(
            replace(limit, at_most=limit.at_most + remedy.amount) if remedy.what == f"fleet {index}" else limit
            for index, limit in enumerate(fleet_limits)
        )
        hub_limits = tuple(
            replace(hub, at_most=hub.at_most + remedy.amount) if remedy.what == f"hub {hub.point}" else hub
            for hub in hub_limits
        )
    return replace(
        problem,
        requests=requests,
        vehicles=vehicles,
        shares=shares,
        fleet_limits=fleet_limits,
        hub_limits=hub_limits,
    )


def with_vehicle(remedy: Remedy, vehicle: Vehicle) -> Vehicle:
    """Return the vehicle that the remedy names as it would be."""
    match remedy.code:
        case ReasonCode.SKILL:
            return replace(vehicle, skills=vehicle.skills | {remedy.what})
        case ReasonCode.CAPACITY:
            capacities = list(vehicle.capacities)
            capacities[int(remedy.what)] += remedy.amount
            return replace(vehicle, capacities=tuple(capacities))
        case ReasonCode.RANGE if vehicle.range_metres is not None:
            return replace(vehicle, range_metres=vehicle.range_metres + remedy.amount)
        case ReasonCode.SHIFT if remedy.what == "start":
            return replace(vehicle, shift_start_seconds=vehicle.shift_start_seconds - remedy.amount)
        case ReasonCode.SHIFT:
            return replace(vehicle, shift_end_seconds=vehicle.shift_end_seconds + remedy.amount)
        case _:
            return vehicle


def with_request(problem: RoutingProblem, remedy: Remedy, request: Request) -> Request:
    """Return the request as it would be."""
    match remedy.code:
        case ReasonCode.NOT_ALLOWED if remedy.vehicle_id is not None:
            vehicle = problem.vehicles_by_id[remedy.vehicle_id]
            vehicles, groups = request.allowed_vehicles, request.allowed_groups
            return replace(
                request,
                allowed_vehicles=None if vehicles is None else vehicles | {vehicle.id},
                forbidden_vehicles=request.forbidden_vehicles - {vehicle.id},
                allowed_groups=None if groups is None else groups | {vehicle.group},
                forbidden_groups=request.forbidden_groups - {vehicle.group},
            )
        case ReasonCode.RIDE_TIME if request.ride_seconds_at_most is not None:
            return replace(request, ride_seconds_at_most=request.ride_seconds_at_most + remedy.amount)
        case ReasonCode.PRICE:
            return replace(request, left_out_price=remedy.amount)
        case ReasonCode.WINDOW | ReasonCode.CLOSED if remedy.stop is not None:
            stops = [stop for _, _, stop in request.stops]
            stops[remedy.stop] = _with_stop(remedy, stops[remedy.stop])
            count = len(request.pickups)
            return replace(request, pickups=tuple(stops[:count]), drops=tuple(stops[count:]))
        case _:
            return request


def _with_stop(remedy: Remedy, stop: Stop) -> Stop:
    if remedy.code is ReasonCode.CLOSED:
        lifted = int(remedy.what)
        return replace(stop, closures=stop.closures[:lifted] + stop.closures[lifted + 1 :])
    if remedy.what == "start":
        return replace(stop, window_start_seconds=stop.window_start_seconds - remedy.amount)
    if stop.latest_seconds is not None:
        return replace(stop, latest_seconds=stop.latest_seconds + remedy.amount)
    return replace(stop, window_end_seconds=stop.window_end_seconds + remedy.amount)


def remedies(standing: Standing, request: Request, *, tried: int) -> tuple[Remedy, ...]:
    """Return the lightest changes that would serve the request in the plan as it stands, one of a code at most.

    Each is proven: with it the request can be inserted into the route of its vehicle, and the plan is then better than
    without it; with one unit less it cannot, on that vehicle. None are needed where it can be served as it is. Only
    the `tried` vehicles are looked at that lack fewest things, and of these the ones that seem least late; among them
    the least amount is found. Where an order of stops is beyond deciding (`Undecided`), that change is not told.
    """
    found: dict[tuple[ReasonCode, str], Remedy] = {}
    vehicles = _likeliest(standing, request, tried)
    if any(_serves_now(standing, vehicle, request) for vehicle in vehicles):
        return ()
    for vehicle in vehicles:
        for most in _changes(standing, vehicle, request):
            key = (most.code, "" if most.code in _TIMES else most.what)
            known = found.get(key)
            try:
                least = _least(standing, vehicle, request, most, known)
            except Undecided:
                continue
            if least:
                found[key] = least
    lightest: dict[ReasonCode, Remedy] = {}
    for remedy in sorted(found.values(), key=lambda remedy: WEIGHS_SECONDS.get(remedy.code, remedy.amount)):
        lightest.setdefault(remedy.code, remedy)
    return tuple(lightest.values())[:MOST_REMEDIES]


def _serves_now(standing: Standing, vehicle: Vehicle, request: Request) -> bool:
    if lacks(vehicle, request) or standing.reached(vehicle, request):
        return False
    try:
        if not fits(standing.problem, vehicle, standing.calls(vehicle), request):
            return False
        found = standing.insert(vehicle, request)
    except Undecided:
        return False
    return found is not None and standing.pays(request, found[0])


def _least(standing: Standing, vehicle: Vehicle, request: Request, most: Remedy, known: Remedy | None) -> Remedy | None:
    """Return the change with the least amount that does it and is less than what is known, None where there is none."""
    problem, calls = standing.problem, standing.calls(vehicle)
    is_priced = problem.objective is Objective.PRICES and request.left_out_price is not None

    def inserted(amount: int) -> int | None:
        """By how much it then changes the plan's price, None where it does not fit or does not pay."""
        remedy = replace(most, amount=amount)
        changed = with_request(problem, remedy, request)
        found = standing.insert(with_vehicle(remedy, vehicle), changed)
        return found[0] if found and standing.pays(changed, found[0]) else None

    def serves(amount: int) -> bool:
        remedy = replace(most, amount=amount)
        if is_priced:
            return inserted(amount) is not None
        return fits(problem, with_vehicle(remedy, vehicle), calls, with_request(problem, remedy, request))

    if most.code is ReasonCode.PRICE:
        found = standing.insert(vehicle, request) if is_priced else None
        is_less = found is not None and (known is None or found[0] + 1 < known.amount)
        return replace(most, amount=found[0] + 1) if found and is_less else None
    if most.code not in _COUNTED:
        return most if known is None and inserted(most.amount) is not None else None
    enough, short = most.amount if known is None else known.amount - 1, 0
    if enough <= short or not serves(enough):
        return None
    while enough - short > 1:
        middle = (enough + short) // 2
        enough, short = (middle, short) if serves(middle) else (enough, middle)
    return replace(most, amount=enough) if inserted(enough) is not None else None


def lacks(vehicle: Vehicle, request: Request) -> list[Remedy]:
    """Return what would let the vehicle carry the request if only permissions, skills and capacity mattered."""
    found = []
    if not request.allows(vehicle):
        found.append(Remedy(ReasonCode.NOT_ALLOWED, vehicle.id))
    found += [Remedy(ReasonCode.SKILL, vehicle.id, what=skill) for skill in sorted(request.skills - vehicle.skills)]
    for dimension, capacity in enumerate(vehicle.capacities):
        load = sum(stop.loads[dimension] for stop in request.pickups)
        if load > capacity:
            found.append(Remedy(ReasonCode.CAPACITY, vehicle.id, load, str(dimension)))
    return found


def _likeliest(standing: Standing, request: Request, tried: int) -> list[Vehicle]:
    """Return the vehicles to try: fewest lacks first, then the fewest seconds by which it is too late (estimated)."""
    ranked = []
    for index, vehicle in enumerate(standing.problem.vehicles):
        count = len(lacks(vehicle, request)) + len(standing.reached(vehicle, request))
        if count <= 1 and request.locked_to in (None, vehicle.id):
            ranked.append((count, index, vehicle))
    if len(ranked) > tried:
        ranked.sort(key=lambda each: (each[0], standing.seconds_late(each[2], request), each[1]))
    return [vehicle for _, _, vehicle in ranked[:tried]]


def _changes(standing: Standing, vehicle: Vehicle, request: Request) -> Iterator[Remedy]:
    """Yield the changes worth trying on a vehicle, each with the largest amount that it may have."""
    lacking = lacks(vehicle, request) + standing.reached(vehicle, request)
    if lacking:
        yield from lacking[:1] if len(lacking) == 1 else ()
        return
    yield Remedy(ReasonCode.PRICE, vehicle.id)
    for end in standing.ends_that_move(vehicle):
        yield Remedy(ReasonCode.SHIFT, vehicle.id, MOST_SECONDS, end)
    for end in ("end", "start"):
        for index in range(len(request.stops)):
            yield Remedy(ReasonCode.WINDOW, vehicle.id, MOST_SECONDS, end, index)
    for index, (_, _, stop) in enumerate(request.stops):
        for number in range(len(stop.closures)):
            yield Remedy(ReasonCode.CLOSED, vehicle.id, 0, str(number), index)
    if request.ride_seconds_at_most is not None:
        yield Remedy(ReasonCode.RIDE_TIME, vehicle.id, MOST_SECONDS)
    if vehicle.range_metres is not None:
        longest = int(standing.problem.travel_metres.max()) * 2 * len(request.stops)
        yield Remedy(ReasonCode.RANGE, vehicle.id, longest)
    for dimension in range(len(vehicle.capacities)):
        load = sum(stop.loads[dimension] for stop in request.pickups)
        if load and standing.most_aboard(vehicle, dimension) + load > vehicle.capacities[dimension]:
            yield Remedy(ReasonCode.CAPACITY, vehicle.id, load, str(dimension))


def remedy_words(remedy: Remedy, request: Request) -> str:
    """Return a remedy in French, to stand in a list; minutes are rounded up, which keeps it true.

    The engine knows no names and no clock: whoever has them tells the remedy again from its fields.
    """
    minutes = _minutes(remedy.amount)
    match remedy.code:
        case ReasonCode.NOT_ALLOWED:
            return "l'autorisation de la confier à une autre vacation"
        case ReasonCode.SKILL:
            return "une remorque" if remedy.what == TRAILER else f"la compétence « {remedy.what} »"
        case ReasonCode.CAPACITY:
            return "un vélo plus grand"
        case ReasonCode.CLOSED:
            return f"l'ouverture du site {_which(request, remedy)} pendant sa fermeture"
        case ReasonCode.WINDOW if remedy.what == "start":
            return f"le créneau {_which(request, remedy)} ouvert {minutes} plus tôt"
        case ReasonCode.WINDOW:
            return f"le créneau {_which(request, remedy)} prolongé de {minutes}"
        case ReasonCode.RIDE_TIME:
            return f"{minutes} de plus à bord pour la charge"
        case ReasonCode.RANGE:
            return f"{-(-remedy.amount // 100) / 10:.1f} km d'autonomie de plus".replace(".", ",")
        case ReasonCode.SHIFT if remedy.what == "start":
            return f"une vacation qui commence {minutes} plus tôt"
        case ReasonCode.SHIFT:
            return f"{minutes} de plus en fin de vacation"
        case ReasonCode.SHARE:
            return f"une part du marché relevée de {remedy.amount / 10:.1f} %".replace(".", ",")
        case ReasonCode.LIMIT if remedy.what.startswith("hub"):
            return "une place de plus à la base"
        case ReasonCode.LIMIT:
            return "un vélo de plus que la flotte n'en permet"
        case _:
            return "une priorité plus haute"


def _which(request: Request, remedy: Remedy) -> str:
    kind, number, _ = request.stops[remedy.stop or 0]
    word, several = ("enlèvement", request.pickups) if kind is StopKind.PICKUP else ("dépôt", request.drops)
    if len(several) > 1:
        return f"du {word} n° {number + 1}"
    return "de l'enlèvement" if kind is StopKind.PICKUP else "du dépôt"


def _minutes(seconds: int) -> str:
    minutes = -(-seconds // 60)
    return f"{minutes} minute" if minutes == 1 else f"{minutes} minutes"
