"""OR-Tools' routing library as an engine: the referee on small problems, the fallback where nothing compiled runs."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from ortools.constraint_solver import pywrapcp, routing_enums_pb2

from services.dispatch.planning.plan import LeftOut, Plan, Route, is_equipped, rank
from services.dispatch.planning.problem import (
    LARGEST_COST,
    Matrix,
    Objective,
    Request,
    RoutingProblem,
    Stop,
    StopKind,
    Vehicle,
)
from services.dispatch.planning.schedule import Call, calls_of, next_stops, ride
from services.dispatch.planning.stop import Limit, Seconds, Steps, Watch

PATIENCE_SECONDS = 5.0
"""When steps are counted, the library is given up after so long; only then may two runs differ."""

SHARE_OF_THE_LIBRARY = 0.9
"""Of the time given; the rest is for requests that it left aside."""

UNSERVED = -1
"""What the library calls the vehicle of a node that none visits."""

BEAM = 30
"""Ways to place some stops of a request before a given stop of a route that are followed further."""

MOST_RIDES = 60
"""Places of a request whose timetable is made before it is left aside."""


def route(
    problem: RoutingProblem,
    stop: Limit,
    seed: int = 0,
    *,
    watch: Watch | None = None,
    start: Plan | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Plan:
    """Return the best plan found until `stop`, never worse than `start`.

    `should_stop` is asked after each request that is inserted, but no more once the library searches.
    What it does not serve is in `plan.left_out`. Prices of balance and of shares not reached choose among the plans
    found; the library does not search for them. Blocks and keeps the interpreter busy.

    Source: pickup and delivery with time windows, Li and Lim (2001); the search, Christiaens and Vanden Berghe (2020)
    as OR-Tools' iterated local search has it.
    """
    began = time.monotonic()
    deadline = began + stop.seconds if isinstance(stop, Seconds) else None
    candidates = _candidates(problem, seed)

    def is_over() -> bool:
        return should_stop() or (deadline is not None and time.monotonic() > deadline)

    best = _Best(problem, began, watch)
    draft = _Draft(problem)
    if start is not None:
        best.offer(start)
        draft.take(_sequences_of(problem, start))
    # A plan is there at once: on a large problem the library takes many seconds to its first.
    draft.insert_all(candidates, is_over)
    best.offer(draft.plan())
    # Its model alone takes seconds then, which no limit interrupts.
    gone = time.monotonic() - began
    if candidates and not should_stop() and (isinstance(stop, Steps) or gone < stop.seconds / 2):
        model = _Model(problem, candidates)

        def better(sequences: list[list[Call]]) -> None:
            found = _Draft(problem)
            found.take(sequences)
            best.offer(found.plan())

        if watch:
            model.watch(better)
        if (sequences := model.search(stop, time.monotonic() - began)) is not None:
            draft = _Draft(problem)
            draft.take(sequences)
            draft.insert_all(candidates, is_over)
            best.offer(draft.plan())
    return best.plan


def first_plan(problem: RoutingProblem, seed: int = 0, *, is_over: Callable[[], bool] = lambda: False) -> Plan:
    """Return a plan by cheapest insertion alone: locked requests first, with second thoughts about their order.

    Once it `is_over` the rest is left aside, but for what is locked.
    """
    draft = _Draft(problem)
    draft.insert_all(_candidates(problem, seed), is_over)
    return draft.plan()


def _candidates(problem: RoutingProblem, seed: int) -> list[Request]:
    """Return what can be served at all: locked first, then what is dear to leave out, then by chance."""
    candidates = [request for request in problem.requests if _is_servable(problem, request)]
    shuffled = [candidates[index] for index in np.random.default_rng(seed).permutation(len(candidates))]
    return sorted(shuffled, key=lambda request: (request.locked_to is None, -problem.left_out_price(request)))


def _is_servable(problem: RoutingProblem, request: Request) -> bool:
    """Return whether each of its sites opens at all and some vehicle can carry it: the library knows no other."""
    return all(stop.opens(stop.window_start_seconds) is not None for _, _, stop in request.stops) and any(
        is_equipped(problem, vehicle, request.id) for vehicle in problem.vehicles
    )


def _sequences_of(problem: RoutingProblem, plan: Plan) -> list[list[Call]]:
    """Return the calls of a plan's routes, one list for each vehicle of the problem."""
    calls: dict[str, list[Call]] = {vehicle.id: [] for vehicle in problem.vehicles}
    for one in plan.routes:
        calls[one.vehicle_id] = [item for item in calls_of(problem, one) if isinstance(item, Call)]
    return list(calls.values())


class _Best:
    """The best plan so far."""

    def __init__(self, problem: RoutingProblem, began: float, watch: Watch | None) -> None:
        self._problem = problem
        self._began = began
        self._watch = watch
        self._rank: tuple[int, ...] | None = None
        self.plan = Plan((), ())

    def offer(self, plan: Plan) -> None:
        """Keep this plan if it is better than what is known."""
        requests = self._problem.requests_by_id
        locked = sum(requests[item.request_id].locked_to is not None for item in plan.left_out)
        found = (locked, *rank(self._problem, plan))
        if self._rank is None or found < self._rank:
            self._rank, self.plan = found, plan
            if self._watch:
                self._watch(time.monotonic() - self._began, plan)


class _Draft:
    """Routes in the making: each of them can be ridden, and together they keep the rules that couple vehicles.

    What is locked to a vehicle counts as its own from the start.
    """

    def __init__(self, problem: RoutingProblem) -> None:
        self._problem = problem
        self._legs = _Legs(problem)
        self._tables = [_Timetable(self._legs, vehicle, []) for vehicle in problem.vehicles]
        self._routes: list[Route | None] = [None] * len(problem.vehicles)
        self._most = {share.group: problem.most(share) for share in problem.shares}
        self._locked: list[list[Request]] = [[] for _ in problem.vehicles]
        places = {vehicle.id: index for index, vehicle in enumerate(problem.vehicles)}
        for request in problem.requests:
            if request.locked_to is not None:
                self._locked[places[request.locked_to]].append(request)
        self._own: list[dict[str, Request]] = [{request.id: request for request in some} for some in self._locked]

    def take(self, sequences: Sequence[Sequence[Call]]) -> None:
        """Take over these calls of each vehicle; requests that break a rule are left aside."""
        for index, given in enumerate(sequences):
            taken = set()
            for request in {call.request.id: call.request for call in given}.values():
                if _is_whole(request, given) and self._admits(index, request):
                    self._own[index][request.id] = request
                    taken.add(request.id)
            calls = self._rideable(index, [call for call in given if call.request.id in taken])
            self._set(index, calls)

    def insert_all(self, requests: Sequence[Request], is_over: Callable[[], bool]) -> None:
        """Serve each request that is in no route at its cheapest place, where there is one that is worth it.

        Once it `is_over` the rest is left aside, but for what is locked.
        """
        for index in range(len(self._tables)):
            self._insert_locked(index)
        planned = {call.request.id for table in self._tables for call in table.calls}
        for request in requests:
            if request.id not in planned and request.locked_to is None:
                self._insert(request)
                if is_over():
                    return

    def plan(self) -> Plan:
        """Return the plan as it stands."""
        routes = tuple(one for one in self._routes if one is not None)
        planned = {request_id for one in routes for request_id in one.request_ids}
        return Plan(routes, tuple(LeftOut(r.id) for r in self._problem.requests if r.id not in planned))

    def _set(self, index: int, calls: list[Call]) -> bool:
        """Give the vehicle these calls; return False where they cannot be ridden."""
        vehicle = self._problem.vehicles[index]
        found = ride(self._problem, vehicle, calls) if calls else None
        if calls and found is None:
            return False
        self._routes[index] = found
        self._tables[index] = _Timetable(self._legs, vehicle, calls)
        self._own[index] = {r.id: r for r in [*self._locked[index], *(call.request for call in calls)]}
        return True

    def _insert_locked(self, index: int) -> None:
        """Serve what is locked to the vehicle, if need be without what it serves besides."""
        served = {call.request.id for call in self._tables[index].calls}
        missing = [request for request in self._locked[index] if request.id not in served]
        if missing and not all(self._insert(request) for request in missing):
            tries = iter(range(MOST_RIDES * len(self._locked[index])))
            calls = self._with_all([], self._tables[index].vehicle, self._locked[index], tries)
            if calls is not None:
                self._set(index, calls)

    def _with_all(
        self, calls: list[Call], vehicle: Vehicle, requests: Sequence[Request], tries: Iterator[int]
    ) -> list[Call] | None:
        """Return the calls with all these requests, None where that is not found in so many tries."""
        if not requests:
            return calls
        request = requests[0]
        table = _Timetable(self._legs, vehicle, calls)
        behind = [*calls, *(Call(request, kind, number) for kind, number, _ in request.stops)]
        for longer in (behind, *(table.with_stops(request, place) for place in sorted(table.places(request)))):
            if next(tries, None) is None:
                return None
            if ride(self._problem, vehicle, longer) is not None:
                found = self._with_all(longer, vehicle, requests[1:], tries)
                if found is not None:
                    return found
        return None

    def _insert(self, request: Request) -> bool:
        places: list[tuple[int, int, _Place]] = []
        empty: set[Vehicle] = set()
        opening = self._problem.worst_cost if self._problem.objective is Objective.VEHICLES_FIRST else 0
        for index, table in enumerate(self._tables):
            if not is_equipped(self._problem, table.vehicle, request.id) or not self._admits(index, request):
                continue
            extra = 0
            if not table.calls:
                alike = replace(table.vehicle, id="")
                if alike in empty:
                    continue
                empty.add(alike)
                extra = opening + table.vehicle.fixed_price
            places += [(extra + place.price, index, place) for place in table.places(request)]
        places.sort(key=lambda found: found[:2])
        for price, index, place in places[:MOST_RIDES]:
            is_worth_it = price <= self._problem.left_out_price(request)
            if self._problem.objective is Objective.PRICES and request.locked_to is None and not is_worth_it:
                return False
            if self._set(index, self._tables[index].with_stops(request, place)):
                return True
        return False

    def _admits(self, index: int, request: Request) -> bool:
        """Return whether the rules that couple vehicles let this one serve the request beside its own."""
        problem, vehicle = self._problem, self._problem.vehicles[index]
        if request.id in self._own[index]:
            return True
        if vehicle.group in self._most:
            served = sum(
                len(own) for own, other in zip(self._own, problem.vehicles, strict=True) if other.group == vehicle.group
            )
            if served >= self._most[vehicle.group]:
                return False
        if not self._own[index]:
            used = {other.id for own, other in zip(self._own, problem.vehicles, strict=True) if own}
            for limit in problem.fleet_limits:
                if vehicle.id in limit.vehicles and len(used & limit.vehicles) >= limit.at_most:
                    return False
        for hub in problem.hub_limits:
            is_new = _calls_at(hub.point, [request]) and not _calls_at(hub.point, self._own[index].values())
            if is_new and sum(_calls_at(hub.point, own.values()) for own in self._own) >= hub.at_most:
                return False
        return True

    def _rideable(self, index: int, calls: list[Call]) -> list[Call]:
        """Return the calls without the requests for which they cannot be ridden; locked requests go last."""
        vehicle = self._problem.vehicles[index]
        while calls and ride(self._problem, vehicle, calls) is None:
            requests = list({call.request.id: call.request for call in reversed(calls)}.values())
            requests.sort(key=lambda request: request.locked_to is not None)
            shorter = [[call for call in calls if call.request.id != request.id] for request in requests]
            calls = next((s for s in shorter if s and ride(self._problem, vehicle, s) is not None), shorter[0])
        return calls


def _is_whole(request: Request, calls: Sequence[Call]) -> bool:
    """Return whether all its stops are among the calls, pickups first."""
    kinds = [call.kind for call in calls if call.request.id == request.id]
    return kinds == [kind for kind, _, _ in request.stops]


def _calls_at(point: int, requests: Iterable[Request]) -> bool:
    return any(stop.point == point for request in requests for _, _, stop in request.stops)


class _Legs:
    """What a ride takes and costs, by how fast the bike is."""

    def __init__(self, problem: RoutingProblem) -> None:
        self._problem = problem
        self._known: dict[int, tuple[list[list[int]], list[list[int]]]] = {}

    def of(self, permille: int) -> tuple[list[list[int]], list[list[int]]]:
        """Return seconds and prices, (n, n) over the points."""
        if permille not in self._known:
            seconds, prices = _seconds_and_prices(self._problem, permille)
            self._known[permille] = (seconds.tolist(), prices.tolist())
        return self._known[permille]


def _seconds_and_prices(problem: RoutingProblem, permille: int) -> tuple[Matrix, Matrix]:
    seconds = -(-problem.travel_seconds * permille // 1000)
    return seconds, problem.prices.ride_second * seconds + problem.prices.ride_metre * problem.travel_metres


class _Place(NamedTuple):
    """Where a request's stops go: `befores` has (call before which it is ridden to, index among the stops) in order."""

    price: int
    befores: tuple[tuple[int, int], ...]


class _Label(NamedTuple):
    """Some stops of a request placed, the vehicle standing at `point` at `clock`."""

    price: int
    clock: int
    point: int
    befores: tuple[tuple[int, int], ...]


class _Timetable:
    """A vehicle's calls with how early it leaves each and how late it may begin it: a place is tried without a ride.

    Breaks, ride times and range are not looked at: what has no place here has none, what has one is for `ride` to say.
    """

    def __init__(self, legs: _Legs, vehicle: Vehicle, calls: list[Call]) -> None:
        self.vehicle = vehicle
        self.calls = calls
        self._seconds, self._prices = legs.of(vehicle.ride_permille)
        self._stops = [call.request.stop(call.kind, call.number) for call in calls]
        self._points = [vehicle.start_point, *(stop.point for stop in self._stops), vehicle.end_point]
        self._leaves = [vehicle.shift_start_seconds]  # [k]: before call k
        self._ridden = [0]  # [k]: price of the way to where call k is ridden from
        self._aboard = [[0] * len(vehicle.capacities)]  # [k]: before call k
        for request in {call.request.id: call.request for call in calls}.values():
            if not request.pickups:
                for stop in request.drops:
                    self._aboard[0] = [a + b for a, b in zip(self._aboard[0], stop.loads, strict=True)]
        for index, (call, stop) in enumerate(zip(calls, self._stops, strict=True)):
            here = self._points[index]
            arrival = self._leaves[-1] + self._seconds[here][stop.point]
            opens = stop.opens(arrival)
            self._leaves.append((arrival if opens is None else opens) + stop.duration_seconds)
            self._ridden.append(self._ridden[-1] + self._prices[here][stop.point])
            sign = 1 if call.kind is StopKind.PICKUP else -1
            self._aboard.append([a + sign * b for a, b in zip(self._aboard[-1], stop.loads, strict=True)])
        self._latest = [vehicle.shift_end_seconds]  # [k]: to begin call k, or to be home
        for index in range(len(calls) - 1, -1, -1):
            stop = self._stops[index]
            leg = self._seconds[stop.point][self._points[index + 2]]
            self._latest.insert(0, min(stop.last_seconds, self._latest[0] - leg - stop.duration_seconds))

    def with_stops(self, request: Request, place: _Place) -> list[Call]:
        """Return the calls with the request at this place."""
        calls: list[Call] = []
        done = 0
        for before, index in place.befores:
            calls += self.calls[done:before]
            done = before
            kind, number, _ = request.stops[index]
            calls.append(Call(request, kind, number))
        return calls + self.calls[done:]

    def places(self, request: Request) -> list[_Place]:
        """Return places for the request with what each adds to the price of the rides, lateness of others apart."""
        stops = [stop for _, _, stop in request.stops]
        ways = dict(sorted(next_stops(request).items()))  # from none placed to all
        everything = (1 << len(stops)) - 1
        added = {placed: self._added(request, stops, placed) for placed in ways}
        labels: dict[int, list[_Label]] = {placed: [] for placed in ways}  # by which stops are placed
        places: list[_Place] = []
        for before in range(len(self.calls) + 1):
            labels[0] = [_Label(self._ridden[before], self._leaves[before], self._points[before], ())]
            for placed, following_stops in ways.items():
                if placed != everything:
                    labels[placed] = sorted(labels[placed])[:BEAM]
                for index, then in following_stops:
                    if index < len(request.pickups) and self._is_over(before, added[then]):
                        continue
                    for label in labels[placed]:
                        if moved := self._move(label, stops[index], before, index):
                            labels[then].append(moved)
            following = self._points[before + 1]
            latest = self._latest[before]
            so_far = self._ridden[before] + self._prices[self._points[before]][following] if self.calls else 0
            for label in labels[everything]:
                if label.clock + self._seconds[label.point][following] <= latest:
                    extra = label.price + self._prices[label.point][following] - so_far
                    places.append(_Place(extra, label.befores))
            labels[everything] = []
            if before == len(self.calls):
                break
            # On to the next call, with what is aboard.
            for placed in list(ways)[1:-1]:
                is_over = self.calls[before].kind is StopKind.PICKUP and self._is_over(before + 1, added[placed])
                kept = [] if is_over else labels[placed]
                labels[placed] = []
                for label in kept:
                    moved = self._move(label, self._stops[before], before)
                    if moved and moved.clock - self._stops[before].duration_seconds <= latest:
                        labels[placed].append(moved)
        return places

    def _move(self, label: _Label, stop: Stop, before: int, index: int | None = None) -> _Label | None:
        """Return the label after this stop; `index` is given where it is one of the request's own."""
        opens = stop.opens(label.clock + self._seconds[label.point][stop.point])
        if opens is None:
            return None
        price = label.price + self._prices[label.point][stop.point]
        befores = label.befores
        if index is not None:
            price += stop.late_price * max(0, opens - stop.window_end_seconds)
            befores = (*befores, (before, index))
        return _Label(price, opens + stop.duration_seconds, stop.point, befores)

    def _added(self, request: Request, stops: Sequence[Stop], placed: int) -> list[int]:
        """Return what the request adds to what is aboard once these of its stops are placed."""
        added = [0] * len(self.vehicle.capacities)
        for index, stop in enumerate(stops):
            is_pickup = index < len(request.pickups)
            if request.pickups and placed >> index & 1:
                added = [a + (b if is_pickup else -b) for a, b in zip(added, stop.loads, strict=True)]
            elif not request.pickups and not placed >> index & 1:
                added = [a + b for a, b in zip(added, stop.loads, strict=True)]
        return added

    def _is_over(self, before: int, added: Sequence[int]) -> bool:
        aboard = self._aboard[before]
        return any(a + b > c for a, b, c in zip(aboard, added, self.vehicle.capacities, strict=True))


class _Model:
    """The routing library's model of a problem.

    Nodes are the requests' stops, then a start and an end for each vehicle, so that an unused vehicle rides nothing
    even where its shift is too short for the way from its start to its end.
    """

    def __init__(self, problem: RoutingProblem, requests: Sequence[Request]) -> None:
        self._problem = problem
        self._requests = requests
        self._calls = [Call(request, kind, number) for request in requests for kind, number, _ in request.stops]
        self._stops = [call.request.stop(call.kind, call.number) for call in self._calls]
        vehicles = problem.vehicles
        self._starts = list(range(len(self._stops), len(self._stops) + len(vehicles)))
        self._ends = [start + len(vehicles) for start in self._starts]
        points = [stop.point for stop in self._stops]
        points += [vehicle.start_point for vehicle in vehicles] + [vehicle.end_point for vehicle in vehicles]
        self._cells = np.ix_(points, points)
        self._manager = pywrapcp.RoutingIndexManager(len(points), len(vehicles), self._starts, self._ends)
        self._routing = pywrapcp.RoutingModel(self._manager)
        self._add_rides()
        self._add_breaks()
        self._add_loads()
        self._add_stops()
        self._add_requests()
        self._add_limits()

    def _add_rides(self) -> None:
        problem, routing, vehicles = self._problem, self._routing, self._problem.vehicles
        durations = np.array([stop.duration_seconds for stop in self._stops] + [0] * (2 * len(vehicles)))
        self._opening = opening = min(
            *(stop.window_start_seconds for stop in self._stops), *(v.shift_start_seconds for v in vehicles)
        )
        closing = max(*(stop.last_seconds for stop in self._stops), *(v.shift_end_seconds for v in vehicles))
        clocks: dict[int, int] = {}
        costs: dict[int, int] = {}
        means = []
        for permille in sorted({vehicle.ride_permille for vehicle in vehicles}):
            seconds, prices = (self._matrix(matrix) for matrix in _seconds_and_prices(problem, permille))
            clocks[permille] = routing.RegisterTransitMatrix((seconds + durations[:, None]).tolist())
            costs[permille] = routing.RegisterTransitMatrix(prices.tolist())
            means.append(float(prices.mean()))
        self._mean_leg = sum(means) / len(means)
        opened = problem.worst_cost if problem.objective is Objective.VEHICLES_FIRST else 0
        self._absent = opened * (len(vehicles) + 1)
        for index, vehicle in enumerate(vehicles):
            routing.SetArcCostEvaluatorOfVehicle(costs[vehicle.ride_permille], index)
            routing.SetFixedCostOfVehicle(vehicle.fixed_price + opened, index)
        horizon = closing - opening
        transits = [clocks[vehicle.ride_permille] for vehicle in vehicles]
        routing.AddDimensionWithVehicleTransits(transits, horizon, horizon, False, "time")
        self._clock = routing.GetDimensionOrDie("time")
        for index, vehicle in enumerate(vehicles):
            for end in (routing.Start(index), routing.End(index)):
                self._clock.CumulVar(end).SetRange(
                    vehicle.shift_start_seconds - opening, vehicle.shift_end_seconds - opening
                )
        if any(vehicle.range_metres is not None for vehicle in vehicles):
            metres = routing.RegisterTransitMatrix(self._matrix(problem.travel_metres).tolist())
            most = [LARGEST_COST if vehicle.range_metres is None else vehicle.range_metres for vehicle in vehicles]
            routing.AddDimensionWithVehicleCapacity(metres, 0, most, True, "metres")

    def _matrix(self, matrix: Matrix) -> Matrix:
        """Return it over the nodes."""
        cells = matrix[self._cells]
        cells[self._starts, self._ends] = 0
        return cells

    def _add_breaks(self) -> None:
        # A break begins once the service is over: the library must know how long that is.
        busy = [0] * self._routing.Size()
        for node, stop in enumerate(self._stops):
            busy[self._manager.NodeToIndex(node)] = stop.duration_seconds
        solver = self._routing.solver()
        for index, vehicle in enumerate(self._problem.vehicles):
            rests = []
            for number, rest in enumerate(vehicle.breaks):
                first = max(rest.window_start_seconds, vehicle.shift_start_seconds)
                last = min(rest.window_end_seconds, vehicle.shift_end_seconds - rest.length_seconds)
                begin, end = first - self._opening, last - self._opening
                name = f"break {number} of {index}"
                rests.append(solver.FixedDurationIntervalVar(begin, end, rest.length_seconds, False, name))
            if rests:
                self._clock.SetBreakIntervalsOfVehicle(rests, index, busy)

    def _add_loads(self) -> None:
        vehicles = self._problem.vehicles
        places = {vehicle.id: index for index, vehicle in enumerate(vehicles)}
        for dimension in range(len(vehicles[0].capacities)):
            changes = [
                stop.loads[dimension] if call.kind is StopKind.PICKUP else -stop.loads[dimension]
                for call, stop in zip(self._calls, self._stops, strict=True)
            ]
            aboard = [0] * len(vehicles)
            for request in self._requests:
                if not request.pickups and request.locked_to is not None:
                    aboard[places[request.locked_to]] += sum(stop.loads[dimension] for stop in request.drops)
            # What is aboard from before may be more than the bike should carry.
            capacities = [max(v.capacities[dimension], load) for v, load in zip(vehicles, aboard, strict=True)]
            vector = self._routing.RegisterUnaryTransitVector(changes + [0] * (2 * len(vehicles)))
            name = f"load {dimension}"
            self._routing.AddDimensionWithVehicleCapacity(vector, 0, capacities, False, name)
            loads = self._routing.GetDimensionOrDie(name)
            for index, load in enumerate(aboard):
                loads.CumulVar(self._routing.Start(index)).SetValue(load)

    def _add_stops(self) -> None:
        for node, stop in enumerate(self._stops):
            index = self._manager.NodeToIndex(node)
            begin = self._clock.CumulVar(index)
            begin.SetRange(stop.window_start_seconds - self._opening, stop.last_seconds - self._opening)
            for closure in stop.closures:
                if closure.end_seconds > closure.start_seconds:
                    begin.RemoveInterval(closure.start_seconds - self._opening, closure.end_seconds - self._opening - 1)
            if stop.late_price and stop.last_seconds > stop.window_end_seconds:
                self._clock.SetCumulVarSoftUpperBound(index, stop.window_end_seconds - self._opening, stop.late_price)

    def _add_requests(self) -> None:
        problem, routing = self._problem, self._routing
        node = 0
        for request in self._requests:
            indices = [self._manager.NodeToIndex(node + number) for number in range(len(request.stops))]
            node += len(indices)
            pickups, drops = indices[: len(request.pickups)], indices[len(request.pickups) :]
            absent = self._absent + problem.left_out_price(request)
            if request.locked_to is not None:
                absent = max(absent, problem.worst_cost)
            equipped = [i for i, v in enumerate(problem.vehicles) if is_equipped(problem, v, request.id)]
            for number, index in enumerate(indices):
                routing.AddDisjunction([index], absent // len(indices) + (absent % len(indices) if not number else 0))
                if len(equipped) < len(problem.vehicles):
                    routing.VehicleVar(index).SetValues([UNSERVED, *equipped])
                if index not in (indices[0], indices[-1]):
                    # The library adds stop after stop; what it leaves in pieces is left aside afterwards.
                    vehicle, main = routing.VehicleVar(index), routing.VehicleVar(indices[0])
                    routing.solver().Add((vehicle == main) + (vehicle == UNSERVED) >= 1)
            if pickups:
                routing.AddPickupAndDelivery(pickups[0], drops[-1])
                routing.solver().Add(routing.VehicleVar(pickups[0]) == routing.VehicleVar(drops[-1]))
            for pickup in pickups:
                busy = request.stop(StopKind.PICKUP, pickups.index(pickup)).duration_seconds
                for drop in drops:
                    if len(indices) > 2:
                        self._clock.AddNodePrecedence(pickup, drop, busy)
                    if request.ride_seconds_at_most is not None:
                        self._clock.AddNodePrecedence(drop, pickup, -busy - request.ride_seconds_at_most)

    def _add_limits(self) -> None:
        problem, routing, solver = self._problem, self._routing, self._routing.solver()
        vehicles = problem.vehicles
        for limit in problem.fleet_limits:
            used = [routing.ActiveVehicleVar(i) for i, v in enumerate(vehicles) if v.id in limit.vehicles]
            solver.Add(solver.Sum(used) <= limit.at_most)
        firsts = [call.number == 0 and call.kind is (call.request.stops[0][0]) for call in self._calls]
        served = self._counted("served", firsts) if problem.shares else []
        for share in problem.shares:
            inside = [count for count, vehicle in zip(served, vehicles, strict=True) if vehicle.group == share.group]
            solver.Add(solver.Sum(inside) <= problem.most(share))
        for number, hub in enumerate(problem.hub_limits):
            calls = self._counted(f"hub {number}", [stop.point == hub.point for stop in self._stops])
            solver.Add(solver.Sum([count > 0 for count in calls]) <= hub.at_most)

    def _counted(self, name: str, counts: Sequence[bool]) -> list[pywrapcp.IntVar]:
        """Return how many of these stops each vehicle visits."""
        vector = self._routing.RegisterUnaryTransitVector([*map(int, counts)] + [0] * (2 * len(self._starts)))
        self._routing.AddDimension(vector, 0, len(counts), True, name)
        dimension = self._routing.GetDimensionOrDie(name)
        return [dimension.CumulVar(self._routing.End(index)) for index in range(len(self._starts))]

    def search(self, stop: Limit, seconds_gone: float) -> list[list[Call]] | None:
        """Return the best sequence of calls found for each vehicle, None where the time was too short for any.

        `seconds_gone` were used up by making the model.
        """
        parameters = pywrapcp.DefaultRoutingSearchParameters()
        strategies = routing_enums_pb2.FirstSolutionStrategy
        parameters.first_solution_strategy = strategies.PARALLEL_CHEAPEST_INSERTION
        # Descend once, then tear strings of stops out and put them back in random order: of the library's modes the
        # one that came nearest to the best known plans of public instances.
        parameters.local_search_metaheuristic = routing_enums_pb2.LocalSearchMetaheuristic.GREEDY_DESCENT
        iterated = parameters.iterated_local_search_parameters
        iterated.improve_perturbed_solution = False
        ruin = iterated.ruin_recreate_parameters.ruin_strategies.add().sisr
        ruin.max_removed_sequence_size = 10
        ruin.avg_num_removed_visits = 10
        ruin.bypass_factor = 0.01
        recreate = iterated.ruin_recreate_parameters.recreate_strategy
        recreate.heuristic = strategies.LOCAL_CHEAPEST_INSERTION
        insertion = recreate.parameters.local_cheapest_insertion
        insertion.pickup_delivery_strategy = insertion.BEST_PICKUP_DELIVERY_PAIR
        insertion.insertion_sorting_properties.append(insertion.SORTING_PROPERTY_RANDOM)
        if isinstance(stop, Seconds):
            annealing = iterated.reference_solution_acceptance_strategy.simulated_annealing
            annealing.initial_temperature = max(1.0, self._mean_leg)
            annealing.final_temperature = max(0.01, self._mean_leg / 100)
            seconds_left = stop.seconds * SHARE_OF_THE_LIBRARY - seconds_gone
            parameters.time_limit.FromMilliseconds(max(1, round(seconds_left * 1000)))
        else:
            # The temperature may follow the clock; improvement alone does not.
            iterated.reference_solution_acceptance_strategy.greedy_descent.SetInParent()
            parameters.solution_limit = max(1, stop.steps)
            # Steps are solutions: where rules couple vehicles the first may never come.
            parameters.time_limit.FromMilliseconds(round(PATIENCE_SECONDS * 1000))
        assignment = self._routing.SolveWithIteratedLocalSearch(parameters)
        if assignment is None:
            return None
        return self._sequences(lambda index: int(assignment.Value(self._routing.NextVar(index))))

    def watch(self, better: Callable[[list[list[Call]]], None]) -> None:
        """Call `better` with each solution that costs less than all before."""
        lowest: int | None = None

        def look() -> None:
            nonlocal lowest
            # With soft windows the library has not settled all of the cost yet when it tells; its least is that.
            cost = int(self._routing.CostVar().Min())
            if lowest is None or cost < lowest:
                lowest = cost
                better(self._sequences(lambda index: int(self._routing.NextVar(index).Value())))

        self._routing.AddAtSolutionCallback(look)

    def _sequences(self, following: Callable[[int], int]) -> list[list[Call]]:
        sequences = []
        for vehicle in range(self._routing.vehicles()):
            calls: list[Call] = []
            index = following(self._routing.Start(vehicle))
            while not self._routing.IsEnd(index):
                calls.append(self._calls[self._manager.IndexToNode(index)])
                index = following(index)
            sequences.append(calls)
        return sequences
