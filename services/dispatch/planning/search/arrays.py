"""A problem as the flat arrays that the kernel reads, and the kernel's rows as a plan again."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.dispatch.planning.near import Near
from services.dispatch.planning.plan import LeftOut, Plan, Route, is_equipped
from services.dispatch.planning.problem import LARGEST_COST, Objective, RoutingProblem, StopKind
from services.dispatch.planning.schedule import Call, Item, ride
from services.dispatch.planning.search import kernel
from services.dispatch.planning.search import layout as L  # noqa: N812 - fields of flat arrays, named a hundred times

NEIGHBOURS = 120
"""How many of a stop's nearest stops its neighbourhood may reach."""

MOST_NARROW = 2**31 - 1
"""The largest number of a matrix that stands in half the room."""

MOST_CELLS = 4_000_000
"""Room for routes in memory, in positions; only absurdly long routes among thousands of vehicles ever meet it."""

Flat = NDArray[np.int64]
"""One of the kernel's two arrays, see `layout`."""

Rows = NDArray[np.int32]
"""Routes as the kernel keeps them: a row a vehicle, its length, then its nodes."""


class Arrays:
    """A problem flattened. Stop nodes are numbered request by request, pickups first."""

    def __init__(self, problem: RoutingProblem, near: Near | None = None) -> None:
        self.problem, self.near = problem, near
        self.stops = [
            (number, request, kind, place, stop)
            for number, request in enumerate(problem.requests)
            for kind, place, stop in request.stops
        ]
        self.node_of = {(request.id, kind, place): node for node, (_, request, kind, place, _) in enumerate(self.stops)}
        self.breaks = [(v, rest) for v, vehicle in enumerate(problem.vehicles) for rest in vehicle.breaks]
        self.starts = len(self.stops) + len(self.breaks)
        self.homes = self.starts + len(problem.vehicles)
        self.data = _flatten(self, near)

    def empty_rows(self) -> Rows:
        """Return routes without any stop."""
        count = len(self.problem.vehicles)
        rows = np.zeros((count, self.width + 1), dtype=np.int32)
        for v in range(count):
            self._write(rows, v, self._placed(v, self._breaks_of(v)))
        return rows

    def rows_of(self, plan: Plan) -> Rows:
        """Return a plan's routes; what the problem does not know is left out of them."""
        rows = self.empty_rows()
        index = {vehicle.id: v for v, vehicle in enumerate(self.problem.vehicles)}
        for route in plan.routes:
            if route.vehicle_id in index:
                self.put(rows, index[route.vehicle_id], route)
        return rows

    def put(self, rows: Rows, v: int, route: Route) -> None:
        """Write a route into the rows as that of vehicle `v`."""
        own = self._breaks_of(v)
        rests = route.breaks if len(route.breaks) == len(own) else ()
        nodes: list[int] = []
        late = [] if rests else own
        for position in range(len(route.visits) + 1):
            for node, taken in zip(own, rests, strict=False):
                if taken.after == position:
                    is_home = position == len(route.visits) and taken.start_seconds >= route.end_seconds
                    (late if is_home else nodes).append(node)
            if position < len(route.visits):
                visit = route.visits[position]
                stop = self.node_of.get((visit.request_id, visit.kind, visit.number))
                if stop is not None:
                    nodes.append(stop)
        self._write(rows, v, [self.starts + v, *nodes, self.homes + v, *late])

    def plan_of(self, rows: Rows) -> Plan:
        """Return the plan that the rows mean, timed by the schedule."""
        routes = []
        served: set[int] = set()
        for v in range(len(self.problem.vehicles)):
            stops = self.stops_of(rows, v)
            if stops.size:
                routes.append(self.timed(rows, v))
                served.update(self.stops[node][0] for node in stops)
        left_out = (LeftOut(request.id) for r, request in enumerate(self.problem.requests) if r not in served)
        return Plan(tuple(routes), tuple(left_out))

    def stops_of(self, rows: Rows, v: int) -> Rows:
        """Return what a vehicle's row calls at for requests, in order: no breaks, start or home."""
        nodes = rows[v, 1 : rows[v, 0] + 1]
        return nodes[nodes < len(self.stops)]

    def timed(self, rows: Rows, v: int) -> Route:
        """Return the route that a vehicle's row means, timed by the schedule.

        Raises RuntimeError where that says that it cannot be ridden.
        """
        route = self.route_of(v, rows[v, 1 : rows[v, 0] + 1])
        if route is None:
            raise RuntimeError(f"the search and the schedule disagree on vehicle {self.problem.vehicles[v].id}")
        return route

    def fixed_price(self, v: int) -> int:
        """Return what using vehicle `v` costs in the kernel, which is much where vehicles come first."""
        return int(self.data[self.data[L.VEHICLES] + v * self.data[L.VEHICLE_WIDTH] + L.FIXED])

    def route_of(self, v: int, nodes: NDArray[np.int32]) -> Route | None:
        """Return the route of vehicle `v` through these nodes, None where the schedule forbids it."""
        return ride(self.problem, self.problem.vehicles[v], self.items(nodes.tolist()))

    def _breaks_of(self, v: int) -> list[int]:
        """Return the nodes of a vehicle's breaks."""
        return [len(self.stops) + number for number, (owner, _) in enumerate(self.breaks) if owner == v]

    def items(self, nodes: Sequence[int]) -> list[Item]:
        """Return the stops and breaks behind these nodes."""
        items: list[Item] = []
        for node in nodes:
            if node < len(self.stops):
                _, request, kind, place, _ = self.stops[node]
                items.append(Call(request, kind, place))
            elif node < self.starts:
                items.append(self.breaks[node - len(self.stops)][1])
        return items

    def _placed(self, v: int, own: Sequence[int]) -> list[int]:
        """Return a route of breaks alone that can be kept: each before leaving, or from some on after coming home."""
        vehicle = self.problem.vehicles[v]
        there = self.problem.ride_seconds(vehicle, vehicle.start_point, vehicle.end_point)
        for before in range(len(own), -1, -1):
            clock, is_kept = vehicle.shift_start_seconds, True
            for number, rest in enumerate(vehicle.breaks):
                if number == before:
                    clock += there
                clock = max(clock, rest.window_start_seconds)
                is_kept = is_kept and clock <= rest.window_end_seconds
                clock += rest.length_seconds
            clock += there if before == len(own) else 0
            if is_kept and clock <= vehicle.shift_end_seconds:
                return [self.starts + v, *own[:before], self.homes + v, *own[before:]]
        return [self.starts + v, self.homes + v, *own]  # cannot be ridden: the vehicle stays unused

    def _write(self, rows: Rows, v: int, nodes: Sequence[int]) -> None:
        nodes = nodes[: rows.shape[1] - 1]
        rows[v, 0] = len(nodes)
        rows[v, 1 : len(nodes) + 1] = nodes

    @property
    def width(self) -> int:
        """The most positions that a route may have."""
        count = max(1, len(self.problem.vehicles))
        longest = len(self.stops) + max((len(vehicle.breaks) for vehicle in self.problem.vehicles), default=0) + 2
        return min(longest, max(64, MOST_CELLS // (2 * count)))


def new_state(arrays: Arrays, seed: int) -> Flat:
    """Return a search's state: routes without stops, every request absent."""
    D = arrays.data
    rows = arrays.empty_rows()
    vehicles, width = rows.shape[0], rows.shape[1] - 1
    requests, slots = len(arrays.problem.requests), 2 * rows.shape[0]
    lengths = {
        L.SLOTS: slots * L.SLOT_WIDTH,
        L.POSITIONS: slots * width * int(D[L.POSITION_WIDTH]),
        L.VEHICLE_STATE: 2 * vehicles,
        L.REQUEST_STATE: 4 * requests,
        L.SEEN: 3 * requests * vehicles,
        L.FREE: slots,
        L.TOUCHED: vehicles,
        **dict.fromkeys((L.ABSENT, L.OLD_ABSENT, L.ORDER, L.KEY), requests + 1),
        L.ACTIVE: vehicles,
        L.NEAR_MARK: vehicles,
        L.GROUP_SERVED: len(arrays.problem.shares),
        L.LIMIT_USED: len(arrays.problem.fleet_limits),
        L.HUB_USED: len(arrays.problem.binding_hub_limits),
        **dict.fromkeys((L.DROP_PRICE, L.LEAST_DROP, L.NOT_BEFORE), width + 3),
        **dict.fromkeys((L.TRIAL, L.TRIAL_LEG, L.TRIAL_START, L.TRIAL_BEST), width + 3),
        L.PLACE_OF: int(D[L.N_NODES]),
        L.RIDES: L.RIDE_WIDTH * int(D[L.N_NODES]),
    }
    S = np.zeros(L.S_HEAD + sum(lengths.values()), np.int64)
    place = L.S_HEAD
    for field, length in lengths.items():
        S[field] = place
        place += length
    S[L.RNG] = np.random.SeedSequence(seed).generate_state(1, np.uint64)[0].astype(np.int64) | 1
    for vehicle in range(vehicles):
        S[S[L.VEHICLE_STATE] + 2 * vehicle + L.SLOT] = vehicle
        S[S[L.VEHICLE_STATE] + 2 * vehicle + L.OLD_SLOT] = -1
        S[S[L.FREE] + vehicle] = vehicles + vehicle
    S[L.N_FREE] = vehicles
    kernel.read(D, S, rows)
    kernel.open_all(D, S)
    return S


def _flatten(arrays: Arrays, near: Near | None) -> Flat:
    problem = arrays.problem
    vehicles, requests, hubs = problem.vehicles, problem.requests, problem.binding_hub_limits
    tables = _Tables()
    dimensions = len(vehicles[0].capacities) if vehicles else 0
    classes: dict[tuple[Any, ...], int] = {}
    classed = np.array([classes.setdefault(_alike(problem, v), len(classes)) for v in range(len(vehicles))], np.int64)
    was = _Before(arrays, near)
    owns = _vehicles(arrays, classed, dimensions, was)
    profiles = sorted({vehicle.ride_permille for vehicle in vehicles}) or [1000]
    places, price = _add_travel(tables, problem, profiles)
    for v, vehicle in enumerate(vehicles):
        owns[v, [L.SECONDS, L.SECONDS_TO, L.PRICE, L.PRICE_TO]] = places[profiles.index(vehicle.ride_permille)]
    closures: list[int] = []
    nodes = _nodes(arrays, dimensions, closures, was)
    limits = np.array([[v.id in limit.vehicles for limit in problem.fleet_limits] for v in vehicles], np.int64).reshape(
        len(vehicles), len(problem.fleet_limits)
    )
    near_stops = _neighbours(arrays.stops, price)
    at = tables.add(L.CLOSURES, np.array(closures, np.int64))
    nodes[:, [L.CLOSED_FROM, L.CLOSED_TO]] += at
    told = _requests(problem)
    tables.add(L.NODES, nodes)
    tables.add(L.REQUESTS, told)
    tables.add(L.VEHICLES, owns)
    may = _bits(_may(problem, classed))
    tables.add(L.MAY, may)
    tables.add(L.EXTRA, was.extra)
    tables.add(L.NEAR, near_stops)
    near_requests = _near_requests(told, near_stops, nodes[: len(arrays.stops), L.REQUEST])
    tables.add(L.NEAR_REQUESTS, near_requests)
    has_range = any(vehicle.range_metres is not None for vehicle in vehicles)
    tables.add(L.METRES, problem.travel_metres if has_range else np.zeros(0, np.int64))
    tables.add(L.GROUP_MOST, np.array([problem.most(share) for share in problem.shares], np.int64))
    tables.add(L.GROUP_LEAST, np.array([problem.least(share) for share in problem.shares], np.int64))
    tables.add(L.LIMIT_MOST, np.array([limit.at_most for limit in problem.fleet_limits], np.int64))
    tables.add(L.HUB_MOST, np.array([hub.at_most for hub in hubs], np.int64))
    tables.add(L.IN_LIMIT, limits)
    tables.add(L.WAS, np.array(was.sequence, np.int64))
    moved_minute = near.prices.moved_minute if near else 0
    head = {
        L.N_STOPS: len(arrays.stops), L.N_NODES: len(nodes), L.N_REQUESTS: len(requests), L.N_VEHICLES: len(vehicles),
        L.N_POINTS: len(problem.points), L.DIMENSIONS: dimensions,
        L.WIDTH: arrays.width, L.NEAR_WIDTH: near_stops.shape[1],
        L.N_GROUPS: len(problem.shares), L.BELOW_SHARE: problem.prices.below_share,
        L.BALANCE: problem.prices.balance_per_second,
        L.N_LIMITS: len(problem.fleet_limits), L.N_HUBS: len(hubs), L.NODE_WIDTH: nodes.shape[1],
        L.VEHICLE_WIDTH: owns.shape[1], L.POSITION_WIDTH: L.LOADS + dimensions,
        L.HAS_LIMITS: bool(problem.shares or problem.fleet_limits or hubs),
        L.HAS_SLOW: bool(
            (told[:, L.RIDE_LIMIT] >= 0).any() or nodes[:, L.LATE].any() or moved_minute or owns[:, L.TOLD].any()
        ),
        L.HAS_RANGE: has_range, L.HAS_CLOSURES: bool(closures), L.HAS_EXTRA: was.extra.any(),
        L.MOVED_MINUTE: moved_minute, L.MAY_WIDTH: may.shape[1], L.NEAR_REQUESTS_WIDTH: near_requests.shape[1],
    }  # fmt: skip
    for field, value in head.items():
        tables.head[field] = int(value)
    return tables.joined()


class _Tables:
    """The problem's array while it is put together: a head, then tables one after another."""

    def __init__(self) -> None:
        self.head = np.zeros(L.D_HEAD, np.int64)
        self._parts: list[NDArray[np.int64]] = []
        self._place = L.D_HEAD

    def add(self, field: int | None, table: NDArray[Any]) -> int:
        """Add a table, note in the head where it begins, and return that."""
        place = self._place
        if field is not None:
            self.head[field] = place
        self._parts.append(np.ascontiguousarray(table, dtype=np.int64).reshape(-1))
        self._place += table.size
        return place

    def add_matrix(self, matrix: NDArray[np.int64]) -> int:
        """Add a matrix, two numbers in the room of one where all are narrow; return its place, counted in them."""
        if not self.head[L.IS_NARROW]:
            return self.add(None, matrix)
        halves = np.zeros(matrix.size + matrix.size % 2, np.int32)
        halves[: matrix.size] = matrix.reshape(-1)
        return 2 * self.add(None, halves.view(np.int64))

    def joined(self) -> Flat:
        return np.concatenate([self.head, *self._parts])


class _Before:
    """The plan in force as the kernel compares with it."""

    def __init__(self, arrays: Arrays, near: Near | None) -> None:
        problem = arrays.problem
        self.sequence: list[int] = []
        self.spans = np.zeros((len(problem.vehicles), 2), np.int64)
        self.starts: dict[int, int] = {}
        self.told = near.prices.courier_told if near else 0
        self.extra = np.zeros((len(problem.requests), len(problem.vehicles)) if near else (0, 0), np.int64)
        if near is None:
            return
        routes = {route.vehicle_id: route for route in near.plan.routes}
        numbers = {request.id: r for r, request in enumerate(problem.requests)}
        for v, vehicle in enumerate(problem.vehicles):
            self.spans[v] = len(self.sequence)
            if vehicle.id not in routes:
                continue
            for visit in routes[vehicle.id].visits:
                node = arrays.node_of.get((visit.request_id, visit.kind, visit.number))
                if node is not None:
                    self.sequence.append(node)
                    self.starts[node] = visit.start_seconds
            for request_id in routes[vehicle.id].request_ids:
                if request_id in numbers:
                    self.extra[numbers[request_id]] = near.prices.moved_order
                    self.extra[numbers[request_id], v] = 0
            self.spans[v, 1] = len(self.sequence)


def _nodes(arrays: Arrays, dimensions: int, closures: list[int], was: _Before) -> NDArray[np.int64]:
    """Return the table of nodes; their closures are places in `closures`, to which those are appended."""
    vehicles, stops = arrays.problem.vehicles, arrays.stops
    nodes = np.zeros((arrays.homes + len(vehicles), L.WINDOW + dimensions), np.int64)
    nodes[:, L.WAS_START] = -L.INFINITE
    for node, (number, _, what, _, stop) in enumerate(stops):
        begins = len(closures)
        for closure in sorted(stop.closures):
            closures += closure
        loads = stop.loads if what is StopKind.PICKUP else tuple(-load for load in stop.loads)
        nodes[node] = (
            stop.point, stop.window_start_seconds, stop.last_seconds, stop.window_end_seconds,
            stop.late_price if stop.latest_seconds is not None else 0, stop.duration_seconds, L.STOP, number,
            node == 0 or stops[node - 1][0] != number, begins, len(closures), was.starts.get(node, -L.INFINITE), *loads,
        )  # fmt: skip
    for node, (_, rest) in enumerate(arrays.breaks, start=len(stops)):
        nodes[node, [L.OPENS, L.CLOSES, L.BUSY]] = (
            rest.window_start_seconds, rest.window_end_seconds, rest.length_seconds,
        )  # fmt: skip
        nodes[node, L.KIND] = L.BREAK
    aboard = {vehicle.id: np.zeros(dimensions, np.int64) for vehicle in vehicles}
    for request in arrays.problem.requests:
        if not request.pickups and request.locked_to is not None:
            for stop in request.drops:
                aboard[request.locked_to] += np.array(stop.loads, np.int64)
    for v, vehicle in enumerate(vehicles):
        for node, point, kind in (
            (arrays.starts + v, vehicle.start_point, L.START),
            (arrays.homes + v, vehicle.end_point, L.HOME),
        ):
            nodes[node, [L.POINT, L.OPENS, L.CLOSES, L.KIND]] = (
                point, vehicle.shift_start_seconds, vehicle.shift_end_seconds, kind,
            )  # fmt: skip
        nodes[arrays.starts + v, L.WINDOW :] = aboard[vehicle.id]
    return nodes


def _vehicles(arrays: Arrays, classed: NDArray[np.int64], dimensions: int, was: _Before) -> NDArray[np.int64]:
    problem = arrays.problem
    groups = {share.group: g for g, share in enumerate(problem.shares)}
    owns = np.zeros((len(problem.vehicles), L.CAPACITY + dimensions), np.int64)
    for v, vehicle in enumerate(problem.vehicles):
        reach = L.INFINITE if vehicle.range_metres is None else vehicle.range_metres
        fixed = _fixed(problem, vehicle.fixed_price)
        alike = v if was.told else classed[v]
        group = groups.get(vehicle.group, -1)
        owns[v, : L.SECONDS] = (vehicle.shift_start_seconds, vehicle.shift_end_seconds, reach, fixed, alike, group)
        owns[v, [L.TOLD, L.WAS_FROM, L.WAS_TO]] = (was.told, *was.spans[v])
        owns[v, L.CAPACITY :] = vehicle.capacities
    return owns


def _requests(problem: RoutingProblem) -> NDArray[np.int64]:
    """Return the table of requests."""
    table = np.zeros((len(problem.requests), L.REQUEST_WIDTH), np.int64)
    starts = sorted({vehicle.start_point for vehicle in problem.vehicles}) or [0]
    nearest = problem.travel_seconds[starts].min(axis=0) if problem.points else np.zeros(1, np.int64)
    capacities = np.array([vehicle.capacities for vehicle in problem.vehicles], np.int64)
    largest = np.maximum(capacities.max(axis=0), 1) if capacities.size else np.ones(0, np.int64)
    first = 0
    absent = _absent(problem)
    for r, request in enumerate(problem.requests):
        stops = [stop for _, _, stop in request.stops]
        taken = np.sum([stop.loads for stop in request.pickups or request.drops], axis=0, dtype=np.int64)
        points = {stop.point for stop in stops}
        hubs = sum(1 << k for k, hub in enumerate(problem.binding_hub_limits) if hub.point in points)
        table[r] = (
            first, first + len(stops), len(request.pickups), absent[r],
            -1 if request.ride_seconds_at_most is None else request.ride_seconds_at_most,
            request.locked_to is not None, hubs,
            int(np.max(1000 * taken // largest)) if largest.size else 0,
            max(int(nearest[stop.point]) for stop in stops),
            sum(stop.last_seconds - stop.window_start_seconds for stop in stops),
            min(stop.window_start_seconds for stop in stops), max(stop.last_seconds for stop in stops),
            int(problem.travel_seconds[stops[0].point, stops[-1].point]),
        )  # fmt: skip
        first += len(stops)
    return table


def _may(problem: RoutingProblem, classed: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return who may and can carry what, (requests, vehicles)."""
    may = np.zeros((len(problem.requests), len(problem.vehicles)), np.bool_)
    for c in np.unique(classed):
        vehicle = problem.vehicles[int(np.argmax(classed == c))]
        may[:, classed == c] = [[is_equipped(problem, vehicle, request.id)] for request in problem.requests]
    for r, request in enumerate(problem.requests):
        if request.allowed_vehicles is not None or request.forbidden_vehicles or request.locked_to is not None:
            may[r] = [is_equipped(problem, vehicle, request.id) for vehicle in problem.vehicles]
    return may


def _fixed(problem: RoutingProblem, price: int) -> int:
    """Return what opening a vehicle costs the search: more than any detour where vehicles count first."""
    return problem.worst_cost + price if problem.objective is Objective.VEHICLES_FIRST else price


def _absent(problem: RoutingProblem) -> list[int]:
    """Return what leaving out each request costs the search.

    More than every vehicle where vehicles count first; for a locked request more than all that may give way to it.
    Where the first would be too large for a sum, it is as much as can be summed: `worst_cost` twice at least, so that
    no request is left out as long as a vehicle is free that could serve it alone.
    """
    most = problem.worst_cost * (len(problem.vehicles) + 2)
    if problem.objective is Objective.VEHICLES_FIRST:
        prices = [min(most, LARGEST_COST // (len(problem.requests) + 1))] * len(problem.requests)
    else:
        prices = [problem.left_out_price(request) for request in problem.requests]
    locked = min(2 * (most + sum(prices)), L.INFINITE // (2 * len(prices) + 2))
    return [
        price if request.locked_to is None else max(price, locked)
        for price, request in zip(prices, problem.requests, strict=True)
    ]


def _add_travel(
    tables: _Tables, problem: RoutingProblem, profiles: Sequence[int]
) -> tuple[list[list[int]], NDArray[np.int64]]:
    """Add the matrices; return for each profile where its four begin, and the prices of the first profile.

    Ride seconds row = from, then row = to, prices the same way; what is equal is there once.
    """
    ridden = [-(-problem.travel_seconds * permille // 1000) for permille in profiles]
    prices = [problem.prices.ride_second * each + problem.prices.ride_metre * problem.travel_metres for each in ridden]
    tables.head[L.IS_NARROW] = all(matrix.max(initial=0) <= MOST_NARROW for matrix in (*ridden, *prices))
    places = []
    for seconds, price in zip(ridden, prices, strict=True):
        here = tables.add_matrix(seconds)
        there = here if np.array_equal(seconds, seconds.T) else tables.add_matrix(seconds.T)
        if np.array_equal(seconds, price):
            places.append([here, there, here, there])
        else:
            paid = tables.add_matrix(price)
            places.append([here, there, paid, paid if np.array_equal(price, price.T) else tables.add_matrix(price.T)])
    return places, prices[0]


def _neighbours(stops: Sequence[Any], price: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return for each stop the others, nearest first, at most `NEIGHBOURS`; -1 where there are no more."""
    count = len(stops)
    width = min(NEIGHBOURS, count - 1)
    if width < 1:
        return np.full((count, 1), -1, np.int64)
    points = np.array([stop.point for *_, stop in stops])
    near = np.empty((count, width), np.int64)
    both = np.minimum(price, price.T)
    for node in range(count):
        apart = both[points[node], points]
        apart[node] = L.INFINITE
        found = np.argpartition(apart, width - 1)[:width]
        near[node] = found[np.argsort(apart[found], kind="stable")]
    return near


def _bits(table: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return each row as bits, the first in the lowest, 64 of them a number."""
    wide = np.zeros((table.shape[0], -(-max(1, table.shape[1]) // 64) * 64), np.bool_)
    wide[:, : table.shape[1]] = table
    return np.packbits(wide, axis=1, bitorder="little").view(np.int64)


def _near_requests(
    told: NDArray[np.int64], near_stops: NDArray[np.int64], request_of: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return for each request those that the stops nearest to its own belong to; -1 where there are no more."""
    found = []
    for first, last in told[:, [L.FIRST, L.LAST]]:
        stops = near_stops[first:last, : kernel.NEAR_STOPS]
        found.append(list(dict.fromkeys(request_of[stops[stops >= 0]].tolist())))
    table = np.full((len(told), max(1, max(map(len, found), default=0))), -1, np.int64)
    for r, requests in enumerate(found):
        table[r, : len(requests)] = requests
    return table


def _alike(problem: RoutingProblem, v: int) -> tuple[Any, ...]:
    """Return what makes two vehicles interchangeable but for requests that name one."""
    vehicle = problem.vehicles[v]
    limits = tuple(vehicle.id in limit.vehicles for limit in problem.fleet_limits)
    return (
        vehicle.start_point, vehicle.end_point, vehicle.shift_start_seconds, vehicle.shift_end_seconds,
        vehicle.capacities, vehicle.skills, vehicle.group, vehicle.ride_permille, vehicle.range_metres,
        vehicle.breaks, vehicle.fixed_price, limits,
    )  # fmt: skip
