"""The smallest sensible change to a plan in force: insert first, then search whether changing more pays."""

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from services.dispatch.planning.changes import Changes, changes
from services.dispatch.planning.check import check
from services.dispatch.planning.near import ChangePrices, Near, change_cost, sequence, starts_of, vehicle_of
from services.dispatch.planning.places import Line, Numbers, places
from services.dispatch.planning.plan import LeftOut, Plan, Route, can_carry, rank
from services.dispatch.planning.problem import Break, Objective, Request, RoutingProblem, Vehicle
from services.dispatch.planning.reasons import explain
from services.dispatch.planning.remaining import Facts, hold, unlimited
from services.dispatch.planning.schedule import Call, Item, calls_of, loads_after, overload, ride
from services.dispatch.planning.solve import Limit, Watch, solve, warm_up

FREE_BREAK_TRIES = 50
"""Places tried per vehicle with its breaks elsewhere, where none was found with them as in force."""


@dataclass(frozen=True, slots=True)
class Replanned:
    """The next plan, the problem it keeps (`hold`: what cannot be as it should gave way), and what changes.

    `inserted` tells whether nothing but insertion was done: the search found nothing better, or was not asked.
    """

    problem: RoutingProblem
    plan: Plan
    changes: Changes
    inserted: bool


class Asked(NamedTuple):
    """What `replan` is given, as it travels to another process."""

    problem: RoutingProblem
    in_force: Plan
    stop: Limit | None
    seed: int
    prices: ChangePrices
    pinned: frozenset[str]
    facts: Facts


def answering() -> Callable[[Asked], Replanned]:
    """Return what a worker process answers with, and have ready what that needs."""
    warm_up()

    def answer(asked: Asked) -> Replanned:
        return replan(
            asked.problem,
            asked.in_force,
            stop=asked.stop,
            seed=asked.seed,
            prices=asked.prices,
            pinned=asked.pinned,
            facts=asked.facts,
        )

    return answer


def replan(
    problem: RoutingProblem,
    in_force: Plan,
    *,
    stop: Limit | None,
    seed: int = 0,
    prices: ChangePrices,
    pinned: frozenset[str] = frozenset(),
    facts: Facts | None = None,
    watch: Watch | None = None,
) -> Replanned:
    """Return what to ride now: the plan in force with what is new in it, changed further only where that pays.

    `problem` and `in_force` are the day as it is now, and `facts` what happened to it (`remaining` makes all three).
    What is new or homeless goes to its cheapest place first, and nothing else moves. Then a search until `stop`, with
    None no search, is taken where the plan's cost and the prices of all changes are together less. Pinned requests stay
    on their vehicle at their time. What is left out is explained.
    """
    held = hold(problem, in_force, pinned)
    near = Near(in_force, prices)
    best, is_inserted = insert(held, near), True
    if stop is not None and held.requests and held.vehicles:
        found = solve(held, stop, seed, watch=watch, near=near)
        if _worth(held, near, found) < _worth(held, near, best) and not check(held, found):
            best, is_inserted = found, False
    facts = facts or Facts(in_force, riding=frozenset(route.vehicle_id for route in in_force.routes))
    best = explain(held, best, near, facts.riding)
    return Replanned(held, best, changes(facts, best), is_inserted)


def insert(problem: RoutingProblem, near: Near) -> Plan:
    """Return the plan in force with every request it does not serve at its cheapest place, where it has one.

    Nothing moves to another vehicle but what its own can no longer serve: that is taken out, as little as possible,
    and goes where it is cheapest. Places are weighed by the problem's prices and those of the changes.
    """
    work = _Work(problem, near)
    requests = problem.requests_by_id
    order = sorted(
        (request for request in problem.requests if request.id not in work.riders),
        key=lambda request: (request.locked_to is None, -problem.left_out_price(request), _slack(request), request.id),
    )
    for request in order:
        if not work.place(request) and request.locked_to is not None:
            work.force(request)
    # What had to give way for a locked one is tried last.
    for request_id in work.homeless():
        work.place(requests[request_id])
    return work.plan()


def _worth(problem: RoutingProblem, near: Near, plan: Plan) -> tuple[int, ...]:
    *before, cost = rank(problem, plan)
    return (*before, cost + change_cost(near, plan))


def _slack(request: Request) -> int:
    return min(stop.last_seconds - stop.window_start_seconds for _, _, stop in request.stops)


class _Work:
    """Routes being changed, each with its stops and breaks in order and what it costs, changes included."""

    def __init__(self, problem: RoutingProblem, near: Near) -> None:
        self._problem = problem
        self._prices = near.prices
        self._starts = starts_of(near.plan)
        self._was = vehicle_of(near.plan)
        self._sequences = {route.vehicle_id: sequence(route) for route in near.plan.routes}
        self._routes: dict[str, Route] = {}
        self._items: dict[str, list[Item]] = {}
        self.riders: dict[str, str] = {}
        for route in near.plan.routes:
            self._mend(problem.vehicles_by_id[route.vehicle_id], calls_of(problem, route))

    def homeless(self) -> list[str]:
        """Return the requests that no route serves."""
        return [request.id for request in self._problem.requests if request.id not in self.riders]

    def plan(self) -> Plan:
        """Return the routes and what is left out, in the order of the problem."""
        routes = (self._routes[v.id] for v in self._problem.vehicles if v.id in self._routes)
        return Plan(tuple(routes), tuple(LeftOut(request_id) for request_id in self.homeless()))

    def place(self, request: Request) -> bool:
        """Put a request at its cheapest feasible place, unless leaving it out is cheaper; return whether it has one."""
        vehicles = [
            vehicle
            for vehicle in self._problem.vehicles
            if can_carry(vehicle, request) and self._is_allowed(vehicle, request)
        ]
        found = self._cheapest(vehicles, request, with_breaks=True)
        if found is None:
            found = self._cheapest([vehicle for vehicle in vehicles if vehicle.breaks], request, with_breaks=False)
        if found is None:
            return False
        price, vehicle, items, route = found
        is_dear = request.locked_to is None and price >= self._problem.left_out_price(request)
        if is_dear and self._problem.objective is Objective.PRICES:
            return False
        self._set(vehicle, items, route)
        return True

    def force(self, request: Request) -> None:
        """Put a locked request behind all others of its vehicle, and take out what that needs."""
        assert request.locked_to is not None
        vehicle = self._problem.vehicles_by_id[request.locked_to]
        calls = [Call(request, kind, number) for kind, number, _ in request.stops]
        self._mend(vehicle, [*self._items.get(vehicle.id, ()), *calls])

    def _mend(self, vehicle: Vehicle, items: Sequence[Item]) -> None:
        """Ride these, less what the vehicle cannot carry, and what else must go, one by one: least lateness first."""
        items = [item for item in items if not _is_refused(vehicle, item)]
        while True:
            route = self._ride(vehicle, items)
            if route is not None:
                self._set(vehicle, items, route)
                return
            calls = [item for item in items if isinstance(item, Call)]
            loose = {call.request.id: call.request for call in calls if call.request.locked_to is None}
            if not loose:
                self._drop(vehicle)
                return
            trials = [
                (self._violation(vehicle, _without(items, id_)), self._problem.left_out_price(request), id_)
                for id_, request in loose.items()
            ]
            items = _without(items, min(trials)[2])
            if not any(isinstance(item, Call) for item in items):
                self._drop(vehicle)
                return

    def _violation(self, vehicle: Vehicle, items: Sequence[Item]) -> int:
        """Return by how many seconds, and metres of range, these stops cannot be ridden."""
        calls = [item for item in items if isinstance(item, Call)]
        # Of several breaks all places together are too many to try for each request that might go.
        if not calls or self._ride(vehicle, items, moves_breaks=len(vehicle.breaks) < 2) is not None:
            return 0
        route = unlimited(self._problem, vehicle, items)
        if route is None:
            return 2**60 + overload(vehicle, calls, loads_after(vehicle, calls))
        late = sum(
            max(0, visit.start_seconds - call.request.stop(call.kind, call.number).last_seconds)
            for visit, call in zip(route.visits, calls, strict=True)
        )
        rests = sum(
            max(0, taken.start_seconds - rest.window_end_seconds)
            for rest, taken in zip(vehicle.breaks, route.breaks, strict=True)
        )
        far = 0 if vehicle.range_metres is None else max(0, route.travel_metres - vehicle.range_metres)
        return 1 + late + rests + far + max(0, route.end_seconds - vehicle.shift_end_seconds)

    def _ride(self, vehicle: Vehicle, items: Sequence[Item], *, moves_breaks: bool = True) -> Route | None:
        """Return the route with its breaks where they are, else, if they may move, where they fit."""
        if not any(isinstance(item, Call) for item in items):
            return None
        route = ride(self._problem, vehicle, items)
        if route is None and moves_breaks and any(isinstance(item, Break) for item in items):
            route = ride(self._problem, vehicle, [item for item in items if isinstance(item, Call)])
        return route

    def _set(self, vehicle: Vehicle, items: Sequence[Item], route: Route) -> None:
        self._drop(vehicle)
        self._routes[vehicle.id] = route
        self._items[vehicle.id] = calls_of(self._problem, route) if vehicle.breaks else list(items)
        for request_id in route.request_ids:
            self.riders[request_id] = vehicle.id

    def _drop(self, vehicle: Vehicle) -> None:
        route = self._routes.pop(vehicle.id, None)
        self._items.pop(vehicle.id, None)
        for request_id in route.request_ids if route else ():
            del self.riders[request_id]

    def _is_allowed(self, vehicle: Vehicle, request: Request) -> bool:
        """Return whether the rules that couple vehicles let this one serve the request too."""
        problem = self._problem
        groups = problem.vehicles_by_id
        for share in problem.shares:
            served = sum(groups[rider].group == share.group for rider in self.riders.values())
            if share.group == vehicle.group and served >= problem.most(share):
                return False
        if vehicle.id not in self._routes:
            for limit in problem.fleet_limits:
                used = len(limit.vehicles & self._routes.keys())
                if vehicle.id in limit.vehicles and used >= limit.at_most:
                    return False
        points = {stop.point for _, _, stop in request.stops}
        for hub in problem.hub_limits:
            calling = {id_ for id_, route in self._routes.items() if any(v.point == hub.point for v in route.visits)}
            if hub.point in points and vehicle.id not in calling and len(calling) >= hub.at_most:
                return False
        return True

    def _price(self, vehicle: Vehicle, route: Route | None) -> int:
        """What a route costs, with the prices of its changes but those of orders moved."""
        prices = self._problem.prices
        was = self._sequences.get(vehicle.id)
        if route is None:
            return self._prices.courier_told if was else 0
        total = (
            vehicle.fixed_price + prices.ride_second * route.travel_seconds + prices.ride_metre * route.travel_metres
        )
        for visit in route.visits:
            stop = self._problem.requests_by_id[visit.request_id].stop(visit.kind, visit.number)
            total += stop.late_price * max(0, visit.start_seconds - stop.window_end_seconds)
            start = self._starts.get((visit.request_id, visit.kind, visit.number))
            if start is not None:
                total += self._prices.moved_minute * -(-abs(visit.start_seconds - start) // 60)
        return total + (self._prices.courier_told if sequence(route) != was else 0)

    def _cheapest(
        self, vehicles: Sequence[Vehicle], request: Request, *, with_breaks: bool
    ) -> tuple[int, Vehicle, list[Item], Route] | None:
        """Return the least that serving the request adds to the cost, and how.

        All places of all vehicles are priced at once from below; then the cheapest are ridden one after another until
        none can be cheaper.
        """
        queue: list[tuple[int, int, int]] = []
        found: list[tuple[Vehicle, Sequence[Item], Numbers, Numbers, int]] = []
        calls = [Call(request, kind, n) for kind, n, _ in request.stops]
        was = self._was.get(request.id)
        lines = [Line(vehicle, self._items.get(vehicle.id, [])) for vehicle in vehicles]
        if not with_breaks:
            lines = [Line(vehicle, [item for item in items if isinstance(item, Call)]) for vehicle, items in lines]
        priced = places(self._problem, lines, request, self._starts, self._prices.moved_minute)
        for (vehicle, items), (orders, floors) in zip(lines, priced, strict=True):
            extra = self._prices.moved_order if was is not None and was != vehicle.id else 0
            extra -= self._price(vehicle, self._routes.get(vehicle.id))
            # Put back where it was, the courier may have nothing new to be told.
            floors += extra + vehicle.fixed_price + (self._prices.courier_told if was != vehicle.id else 0)
            cheapest = np.argsort(floors, kind="stable")[: None if with_breaks else FREE_BREAK_TRIES]
            if len(cheapest):
                queue.append((int(floors[cheapest[0]]), len(found), 0))
                found.append((vehicle, [*items, *calls], orders[cheapest], floors[cheapest], extra))
        heapq.heapify(queue)
        best: tuple[int, Vehicle, list[Item], Route] | None = None
        while queue and (best is None or queue[0][0] < best[0]):
            _, number, place = heapq.heappop(queue)
            vehicle, both, orders, floors, extra = found[number]
            if place + 1 < len(orders):
                heapq.heappush(queue, (int(floors[place + 1]), number, place + 1))
            tried = [both[index] for index in orders[place]]
            route = ride(self._problem, vehicle, tried)
            if route is not None:
                price = extra + self._price(vehicle, route)
                if best is None or price < best[0]:
                    best = price, vehicle, tried, route
        return best


def _is_refused(vehicle: Vehicle, item: Item) -> bool:
    """Return whether it is a stop of a request that the vehicle cannot carry, and need not."""
    return isinstance(item, Call) and item.request.locked_to is None and not can_carry(vehicle, item.request)


def _without(items: Sequence[Item], request_id: str) -> list[Item]:
    return [item for item in items if not (isinstance(item, Call) and item.request.id == request_id)]
