"""Big days: a problem is cut into parts, each is searched by itself, and what they give is one plan again.

A first plan of the whole is made quickly and is far from good. Then the routes of the plan so far are cut into parts
again and again, each time along other lines, so that borders move. A part is a problem of its own, with its own
vehicles and the matrices of its own points. Parts have no vehicle and no request in common; of what is for all, each
has its allotment:

- A share of the contract, a fleet limit or a hub limit is divided into whole numbers: what the routes of a part use of
  it already, and of what is still free as much as belongs to its vehicles (of a hub: to its requests), remainders to
  the largest. So the parts together never use more than there is, whichever of their plans is kept.
- A minimal share and the balance of hours are prices: a part gets its allotment of the first and the balance among its
  own. What that does to the whole is seen when the part comes back: its plan is kept where the whole costs no more.

Source: decomposition by route barycentres, Santini et al. (2023); by neighbouring routes, POPMUSIC, Taillard and Voss
(2002). Places without coordinates: landmarks and multidimensional scaling, de Silva and Tenenbaum (2004).
"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from time import monotonic

import numpy as np
from numpy.typing import NDArray

from services.dispatch.planning.part import part_of
from services.dispatch.planning.plan import LeftOut, Plan, Route, can_carry, rank
from services.dispatch.planning.problem import (
    FleetLimit,
    HubLimit,
    Request,
    RoutingProblem,
    Share,
)
from services.dispatch.planning.stop import Limit, Seconds, Span, Steps, Watch

BIG_REQUESTS = 2_000
"""From so many requests on a day is cut."""

PART_REQUESTS = 2_500
"""About how many requests a part has at most; fewer where that gives each core one."""

MOST_LEFT_OUT, SMALL_PART = 50, 250
"""About how many that nobody serves yet a part has at most, for each step of a search tries them all; but it is not cut
smaller than the second for that.
"""

ROUNDS = 6
"""How often a day is cut, where the time allows it."""

WHOLE_SHARE = 0.15
"""Of the time, for the first plan of the whole."""

NOTHING_SHARE = 0.4
"""Of the time, for the first round where it begins with nothing."""

LEAST_SECONDS = 2.0
"""What a part is searched for at least before another round is worth its overhead."""

SHORTEST_SECONDS = 0.05
LANDMARKS = 60
DIMENSIONS = 3

BLOCK = 8
"""Vehicles that are dealt to both sides of a cut together: alike in what they can do, apart in where they start."""

SolvePart = Callable[[RoutingProblem, Limit, int, Plan | None, Span], Plan]
"""Searches a part: when to stop, seed, plan to start from, and which span of the search of the day that is."""

SolveWhole = Callable[[RoutingProblem, Limit, int, Span], Plan]
"""Searches the first plan of all: when to stop, seed, and which span of the search of the day that is."""

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Part:
    """A problem of its own within a greater one, with what the plan so far says of it, None where that is nothing."""

    problem: RoutingProblem
    start: Plan | None


def solve_big(
    problem: RoutingProblem,
    stop: Limit,
    seed: int = 0,
    *,
    solve_part: SolvePart,
    solve_whole: SolveWhole | None = None,
    watch: Watch | None = None,
    start: Plan | None = None,
    workers: int = 2,
    size: int = PART_REQUESTS,
    should_stop: Callable[[], bool] = lambda: False,
) -> Plan:
    """Return the best plan found by cutting the day into parts of about `size` requests, `workers` at a time.

    `solve_part` uses one core and is called in so many threads. `solve_whole` may use them all: it makes the first
    plan, unless there is one to `start` from; without it the first cut is made through all that is to be carried.
    `watch` hears of the first plan and of each better one. `should_stop` is asked before each part whether the best
    plan so far is wanted now. With `Steps`, which are divided among all, the same problem and seed give the same plan.
    """
    began = monotonic()
    cutter = _Cutter(problem, seed)
    plan = start or join(problem, ())
    whole = 0.0
    if solve_whole and start is None:
        whole = WHOLE_SHARE
        plan = solve_whole(problem, _piece(stop, whole), seed, (0.0, whole))
        if watch:
            watch(monotonic() - began, plan)
    clock = _Clock(stop, began, whole, cutter.count(plan, size, workers), workers, should_stop, not plan.routes)
    with ThreadPoolExecutor(max_workers=workers, thread_name_prefix="part") as threads:
        for number in range(clock.rounds):
            if plan.routes and should_stop():
                break
            parts = cutter.cut(plan, size, workers, number)

            def searched(one: int, parts: list[Part] = parts, number: int = number) -> Plan:
                part = parts[one]
                if part.start is not None and should_stop():
                    return part.start
                limit = clock.of_part(number, one, len(parts))
                return solve_part(part.problem, limit, seed + 1_000 * number + one, part.start, clock.span(number))

            for part, answer in zip(parts, threads.map(searched, range(len(parts))), strict=True):
                changed = _with_part(problem, plan, part, answer)
                before, after = rank(problem, plan), rank(problem, changed)
                was_whole = cutter.has_all_locked(plan)
                if after <= before or not was_whole:
                    plan = changed
                    if watch and cutter.has_all_locked(plan) and (after < before or not was_whole):
                        watch(monotonic() - began, plan)
    return plan


def split(problem: RoutingProblem, plan: Plan | None, size: int, *, seed: int = 0) -> list[Part]:
    """Return parts of about `size` requests: no vehicle and no request is in two of them.

    The plan's routes stay whole; what it leaves out is offered where a vehicle may carry it; another seed cuts
    elsewhere. A request that no vehicle can carry is in no part.
    """
    return _Cutter(problem, seed).cut(plan or join(problem, ()), size, 1, seed)


def join(problem: RoutingProblem, plans: Iterable[Plan]) -> Plan:
    """Return the routes of all parts as one plan of the whole; each request that nobody serves is left out."""
    return _of_routes(problem, [_renumbered(problem, route) for plan in plans for route in plan.routes])


# -- time --------------------------------------------------------------------------------------------------------------


def _piece(stop: Limit, share: float) -> Limit:
    """Return a share of the time, or of the steps."""
    if isinstance(stop, Steps):
        return Steps(max(1, round(stop.steps * share)))
    return Seconds(max(SHORTEST_SECONDS, stop.seconds * share))


class _Clock:
    """Gives each part its time: rounds share what the first plan left of it, a round's parts evenly, wave by wave."""

    def __init__(
        self,
        stop: Limit,
        began: float,
        whole: float,
        parts: int,
        workers: int,
        should_stop: Callable[[], bool],
        has_nothing: bool,
    ) -> None:
        """`whole` is the first plan's share of the time; `has_nothing` where there is none before the first round."""
        self._stop, self._began, self._workers, self._should_stop = stop, began, workers, should_stop
        self._whole = whole
        self.rounds = ROUNDS if parts > 1 else 1
        if isinstance(stop, Seconds):
            waves = -(-parts // workers)
            self.rounds = max(1, min(self.rounds, int(stop.seconds * (1.0 - whole) / (waves * LEAST_SECONDS))))
        shares = np.ones(self.rounds)
        if has_nothing and self.rounds > 1:
            shares[0] = NOTHING_SHARE / (1.0 - NOTHING_SHARE) * (self.rounds - 1)
        self._until = [whole + (1.0 - whole) * float(share) for share in np.cumsum(shares) / shares.sum()]
        self._until[-1] = 1.0

    def span(self, number: int) -> Span:
        """Return which piece of the whole search a round is: it gets colder as if nothing were cut."""
        return (self._until[number - 1] if number else self._whole), self._until[number]

    def of_part(self, number: int, one: int, parts: int) -> Limit:
        """Return when part `one` of a round ends; with seconds, of what is left as it begins."""
        if isinstance(self._stop, Steps):
            begin, end = self.span(number)
            return _piece(self._stop, (end - begin) / parts)
        left = self._began + self._stop.seconds * self._until[number] - monotonic()
        wanted = 0.0 if self._should_stop() else left / -(-(parts - one) // self._workers)
        return Seconds(max(SHORTEST_SECONDS, wanted))


# -- cutting -----------------------------------------------------------------------------------------------------------


class _Cutter:
    """Cuts one problem again and again; what does not change between cuts is computed once."""

    def __init__(self, problem: RoutingProblem, seed: int) -> None:
        self._problem = problem
        self._seed = seed
        self._places = _places(problem, np.random.default_rng(seed))
        self._may = _may_carry(problem)
        self._index = {request.id: number for number, request in enumerate(problem.requests)}
        self._locked = {request.id for request in problem.requests if request.locked_to is not None}
        stops = [[stop for _, _, stop in request.stops] for request in problem.requests]
        self._centres = self._middles([[stop.point for stop in own] for own in stops])
        self._homes = self._middles([[one.start_point, one.end_point] for one in problem.vehicles])
        self._whens = np.array(
            [np.mean([stop.window_start_seconds + stop.window_end_seconds for stop in own]) / 2 for own in stops]
        )
        self._alike = _alike(problem)

    def _middles(self, points: Sequence[Sequence[int]]) -> Floats:
        return np.array([self._places[own].mean(axis=0) for own in points]).reshape(-1, DIMENSIONS)

    def count(self, plan: Plan, size: int, workers: int) -> int:
        """Return how many parts there will be: as many for each worker, if there are that many vehicles."""
        requests = len(self._problem.requests)
        wanted = max(-(-requests // size), min(-(-len(self._left_out(plan)) // MOST_LEFT_OUT), requests // SMALL_PART))
        return max(1, min(-(-wanted // workers) * workers, len(self._problem.vehicles)))

    def _left_out(self, plan: Plan) -> list[int]:
        """Return what the plan leaves out though there is somebody who can carry it, by number."""
        left_out = [self._index[item.request_id] for item in plan.left_out]
        return [request for request in left_out if self._may[request].any()]

    def has_all_locked(self, plan: Plan) -> bool:
        """Return whether the plan serves what must not be left out."""
        return not any(item.request_id in self._locked for item in plan.left_out)

    def cut(self, plan: Plan, size: int, workers: int, number: int) -> list[Part]:
        """Return the parts of the cut with this number."""
        count = self.count(plan, size, workers)
        of_vehicle = np.zeros(len(self._problem.vehicles), np.intp)
        of_request = np.full(len(self._problem.requests), -1, np.intp)
        self._cut_routes(plan, count, np.random.default_rng([self._seed, number]), of_vehicle, of_request)
        self._place_the_rest(of_vehicle, of_request, count, number)
        chosen = [(np.flatnonzero(of_request == part), np.flatnonzero(of_vehicle == part)) for part in range(count)]
        chosen = [(requests, vehicles) for requests, vehicles in chosen if len(requests)]
        allotted = _allotted(self._problem, plan, chosen)
        return [
            _part(self._problem, plan, requests, vehicles, allotment)
            for (requests, vehicles), allotment in zip(chosen, allotted, strict=True)
        ]

    def _cut_routes(
        self, plan: Plan, count: int, rng: np.random.Generator, of_vehicle: Indices, of_request: Indices
    ) -> None:
        """Cut the routes, and what is left out, by where and when they are, along lines drawn by chance.

        Of the idle vehicles each side gets as many of every kind, those that start nearer.
        """
        owner = {vehicle.id: v for v, vehicle in enumerate(self._problem.vehicles)}
        owners = [owner[route.vehicle_id] for route in plan.routes]
        idle = self._alike[~np.isin(self._alike, owners)]
        of_route = [[self._index[request_id] for request_id in route.request_ids] for route in plan.routes]
        left_out = self._left_out(plan)
        # First the routes, then each left out request as if it were one.
        groups = [*of_route, *([request] for request in left_out)]
        sizes = np.array([len(own) for own in groups])
        where = np.array([self._centres[own].mean(axis=0) for own in groups]).reshape(-1, DIMENSIONS)
        when = np.array([*((one.start_seconds + one.end_seconds) / 2 for one in plan.routes), *self._whens[left_out]])
        # Between nothing and half as much as the place: whom the clock keeps apart can rarely exchange anything.
        hours = when * (where.std() / when.std() * rng.uniform(0.0, 0.5) if len(when) and when.std() else 0.0)
        features = np.column_stack([where, hours])

        def cut(chosen: Indices, idle: Indices, first: int, count: int) -> None:
            if count == 1:
                of_vehicle[idle] = first
                for group in chosen:
                    of_request[groups[group]] = first
                    if group < len(owners):
                        of_vehicle[owners[group]] = first
                return
            near = count // 2 if rng.random() < 0.5 else count - count // 2
            own = features[chosen]
            # A mix of them by chance lies along their longer axes more often than across.
            axis = (own - own.mean(axis=0)).T @ rng.standard_normal(len(own)) if len(own) else np.ones(own.shape[1])
            order = chosen[np.argsort(own @ axis, kind="stable")]
            reached = np.cumsum(sizes[order])
            border = int(np.searchsorted(reached, reached[-1] * near / count, side="right")) if len(order) else 0
            goes = _dealt(idle, self._homes @ axis[:DIMENSIONS], near / count)
            cut(order[:border], idle[goes], first, near)
            cut(order[border:], idle[~goes], first + near, count - near)

        cut(np.arange(len(groups)), idle, 0, count)

    def _place_the_rest(self, of_vehicle: Indices, of_request: Indices, count: int, number: int) -> None:
        """Put what no vehicle of its part may carry into a near part that has one: from cut to cut into another."""
        may = np.zeros((len(of_request), count), bool)
        for part in range(count):
            may[:, part] = self._may[:, of_vehicle == part].any(axis=1)
        centres = np.full((count, self._centres.shape[1]), np.inf)
        for part in range(count):
            own = self._centres[of_request == part]
            if len(own):
                centres[part] = own.mean(axis=0)
        for request in np.flatnonzero(may.any(axis=1)):
            part = of_request[request]
            if not may[request, part]:
                able = np.flatnonzero(may[request])
                away = np.linalg.norm(centres[able] - self._centres[request], axis=1)
                nearest = able[np.argsort(away, kind="stable")]
                of_request[request] = nearest[number % min(3, len(nearest))]


def _places(problem: RoutingProblem, rng: np.random.Generator) -> Floats:
    """Return (n, DIMENSIONS) places whose distances are about the seconds between the points, both ways' mean."""
    size = len(problem.points)
    used = np.unique(
        [
            *(stop.point for request in problem.requests for _, _, stop in request.stops),
            *(point for vehicle in problem.vehicles for point in (vehicle.start_point, vehicle.end_point)),
        ]
    ).astype(np.intp)
    placed = np.zeros((size, DIMENSIONS))
    marks = np.sort(rng.permutation(used)[:LANDMARKS])
    if not len(marks):
        return placed
    to_marks = (problem.travel_seconds[:, marks] + problem.travel_seconds[marks, :].T) / 2.0
    # What cannot be reached is far away, not at infinity: else everything else lies in one place.
    to_marks = np.minimum(to_marks, 4.0 * max(1.0, float(np.median(to_marks[used]))))
    squares = to_marks**2
    between = squares[marks]
    means = between.mean(axis=0)
    centred = -(between - means - means[:, None] + means.mean()) / 2
    values, vectors = np.linalg.eigh((centred + centred.T) / 2)
    kept = [index for index in np.argsort(values)[::-1][:DIMENSIONS] if values[index] > 1e-6]
    for axis, index in enumerate(kept):
        placed[:, axis] = -(squares - means) @ (vectors[:, index] / np.sqrt(values[index])) / 2
    return placed


def _may_carry(problem: RoutingProblem) -> NDArray[np.bool_]:
    """Return (requests, vehicles): who may and can carry what, whatever the time."""
    rules: dict[tuple[object, ...], NDArray[np.bool_]] = {}
    may = np.zeros((len(problem.requests), len(problem.vehicles)), bool)
    capacities = np.array([vehicle.capacities for vehicle in problem.vehicles])
    for number, request in enumerate(problem.requests):
        key = (
            request.skills,
            request.allowed_vehicles,
            request.forbidden_vehicles,
            request.allowed_groups,
            request.forbidden_groups,
            request.locked_to,
        )
        if key not in rules:
            empty = replace(request, pickups=())
            rules[key] = np.array([can_carry(vehicle, empty) for vehicle in problem.vehicles], bool)
        may[number] = rules[key]
        if request.pickups and len(problem.vehicles):
            may[number] &= (np.sum([stop.loads for stop in request.pickups], axis=0) <= capacities).all(axis=1)
    return may


def _alike(problem: RoutingProblem) -> Indices:
    """Return the vehicles in an order in which neighbours can do about the same; where they start does not matter."""
    named = {share.group for share in problem.shares}
    for request in problem.requests:
        named |= {*(request.allowed_groups or ()), *request.forbidden_groups}
    kinds = [
        (
            one.group if one.group in named else "",
            sorted(one.skills),
            one.shift_start_seconds,
            one.shift_end_seconds,
            one.capacities,
        )
        for one in problem.vehicles
    ]
    return np.array(sorted(range(len(kinds)), key=kinds.__getitem__), np.intp)


def _dealt(vehicles: Indices, along: Floats, part: float) -> NDArray[np.bool_]:
    """Return which vehicles go to the near side, about `part` of them: of each block of similar ones the nearest."""
    wanted = round(len(vehicles) * part)
    chosen = np.zeros(len(vehicles), bool)
    for begin in range(0, len(vehicles), BLOCK):
        block = np.arange(begin, min(begin + BLOCK, len(vehicles)))
        take = round(wanted * (block[-1] + 1) / len(vehicles)) - int(chosen.sum())
        chosen[block[np.argsort(along[vehicles[block]], kind="stable")][:take]] = True
    return chosen


# -- allotments --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Allotment:
    """What a part may use of what all share, in the order of the problem's shares and limits."""

    most: tuple[int, ...]
    least: tuple[int, ...]
    fleet: tuple[int, ...]
    hubs: tuple[int, ...]


def _allotted(problem: RoutingProblem, plan: Plan, chosen: Sequence[tuple[Indices, Indices]]) -> list[_Allotment]:
    """Divide the shares and limits among parts of these requests and vehicles."""
    vehicles = [[problem.vehicles[v] for v in own] for _, own in chosen]
    served = _served(problem, plan)
    used = [[one for one in own if one.id in served] for own in vehicles]

    def of_share(share: Share, total: int) -> list[int]:
        members = [[one for one in own if one.group == share.group] for own in vehicles]
        return _divided(
            total,
            [sum(len(served.get(one.id, ())) for one in own) for own in members],
            [len(own) for own in members],
        )

    def of_fleet(limit: FleetLimit) -> list[int]:
        here = [[sum(one.id in limit.vehicles for one in own) for own in side] for side in (used, vehicles)]
        return _divided(limit.at_most, *here)

    def of_hub(hub: HubLimit) -> list[int]:
        callers = [sum(any(_calls(request, hub) for request in served[one.id]) for one in own) for own in used]
        return _divided(hub.at_most, callers, [sum(_calls(problem.requests[r], hub) for r in own) for own, _ in chosen])

    columns = (
        [of_share(share, problem.most(share)) for share in problem.shares],
        [of_share(share, problem.least(share)) for share in problem.shares],
        [of_fleet(limit) for limit in problem.fleet_limits],
        [of_hub(hub) for hub in problem.hub_limits],
    )
    return [_Allotment(*(tuple(one[part] for one in column) for column in columns)) for part in range(len(chosen))]


def _served(problem: RoutingProblem, plan: Plan) -> dict[str, list[Request]]:
    """Return what each vehicle serves by the plan, or has to because it is locked to it."""
    requests = problem.requests_by_id
    served = {route.vehicle_id: [requests[one] for one in route.request_ids] for route in plan.routes}
    for item in plan.left_out:
        vehicle_id = requests[item.request_id].locked_to
        if vehicle_id is not None:
            served.setdefault(vehicle_id, []).append(requests[item.request_id])
    return served


def _calls(request: Request, hub: HubLimit) -> bool:
    return any(stop.point == hub.point for _, _, stop in request.stops)


def _divided(total: int, used: Sequence[int], weights: Sequence[int]) -> list[int]:
    """Divide a total into whole numbers: to each what it uses, and of the rest by weight, remainders to the largest.

    Where less is there than is used, each gives up in proportion.
    """
    base = np.array(used, np.int64)
    rest = total - int(base.sum())
    if rest < 0:
        return _divided(total, [0] * len(used), used)
    if not sum(weights):
        weights = [1] * len(weights)
    exact = rest * np.array(weights, np.float64) / sum(weights)
    given = np.floor(exact).astype(np.int64)
    largest = np.argsort(given - exact, kind="stable")
    given[largest[: rest - int(given.sum())]] += 1
    return [int(number) for number in base + given]


# -- parts and wholes --------------------------------------------------------------------------------------------------


def _part(problem: RoutingProblem, plan: Plan, requests: Indices, vehicles: Indices, allotment: _Allotment) -> Part:
    """Make a problem of some requests and vehicles, and the plan of it that the whole's plan contains."""
    part = part_of(
        problem,
        requests,
        vehicles,
        shares=_shares(problem, len(requests), allotment),
        fleet_limits=[replace(one, at_most=n) for one, n in zip(problem.fleet_limits, allotment.fleet, strict=True)],
        hub_limits=[replace(one, at_most=n) for one, n in zip(problem.hub_limits, allotment.hubs, strict=True)],
    )
    routes = [_renumbered(part, route) for route in plan.routes if route.vehicle_id in part.vehicles_by_id]
    return Part(part, _of_routes(part, routes) if routes else None)


def _shares(problem: RoutingProblem, count: int, allotment: _Allotment) -> tuple[Share, ...]:
    """Return the shares of a part with so many requests: as many thousandths as give its numbers, never more."""
    shares = []
    left = 1000
    for share, most, least in zip(problem.shares, allotment.most, allotment.least, strict=True):
        at_most = min(1000, 1000 * most // count)
        at_least = min(at_most, left, -(-1000 * least // count))
        left -= at_least
        shares.append(replace(share, at_least_permille=at_least, at_most_permille=at_most))
    return tuple(shares)


def _renumbered(problem: RoutingProblem, route: Route) -> Route:
    """Return the route with the points as this problem numbers them."""
    requests = problem.requests_by_id
    return replace(
        route,
        visits=tuple(
            replace(visit, point=requests[visit.request_id].stop(visit.kind, visit.number).point)
            for visit in route.visits
        ),
    )


def _of_routes(problem: RoutingProblem, routes: Sequence[Route]) -> Plan:
    served = {visit.request_id for route in routes for visit in route.visits}
    return Plan(tuple(routes), tuple(LeftOut(one.id) for one in problem.requests if one.id not in served))


def _with_part(problem: RoutingProblem, plan: Plan, part: Part, answer: Plan) -> Plan:
    """Return the whole's plan with a part's answer in place of what it said of that part's vehicles."""
    others = [route for route in plan.routes if route.vehicle_id not in part.problem.vehicles_by_id]
    return _of_routes(problem, [*others, *(_renumbered(problem, route) for route in answer.routes)])
