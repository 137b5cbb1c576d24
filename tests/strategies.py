"""Hypothesis strategies: whole inputs with all their features mixed."""

from dataclasses import replace
from typing import TypeVar

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from services.dispatch.planning.problem import (
    Break,
    FleetLimit,
    HubLimit,
    Objective,
    Prices,
    Request,
    RoutingProblem,
    Share,
    Span,
    Stop,
    Vehicle,
)
from services.dispatch.planning.schedule import Call, Item, ride

GROUPS = ("north", "south", "")
SKILLS = ("trailer", "cold")
NOBODY: frozenset[str] = frozenset()
Value = TypeVar("Value")


def examples(usual: int) -> int:
    """Return how many examples a property is tried on: so many, or all that a greater profile asks for."""
    asked = settings().max_examples
    return max(usual, asked) if asked >= 1_000 else usual


@st.composite
def problems(draw: st.DrawFn, *, most_requests: int = 12, most_vehicles: int = 4) -> RoutingProblem:
    """Draw small problems with every feature mixed; what is locked can be ridden, each vehicle's all together."""
    bare = draw(_bare_problems(most_vehicles))
    dimensions = len(bare.vehicles[0].capacities) if bare.vehicles else draw(st.integers(0, 2))
    locked: dict[str, list[Item]] = {}
    requests: list[Request] = []
    for number in range(draw(st.integers(0, most_requests))):
        request = draw(_requests(f"r{number}", bare, dimensions))
        if bare.vehicles and draw(st.sampled_from([False, False, True])):
            request = draw(_locked(request, bare, locked))
        if request.pickups or request.locked_to:
            requests.append(request)
    return draw(_coupled(replace(bare, requests=tuple(requests)), locked))


@st.composite
def simple_problems(draw: st.DrawFn, *, most_requests: int = 7, most_vehicles: int = 4) -> RoutingProblem:
    """Draw small problems of plain pairs: windows, one or two dimensions, shifts and odd matrices, nothing else."""
    rich = draw(_bare_problems(most_vehicles))
    vehicles = tuple(
        Vehicle(one.id, one.start_point, one.end_point, one.shift_start_seconds, one.shift_end_seconds, one.capacities)
        for one in rich.vehicles
    )
    bare = RoutingProblem(rich.points, (), vehicles, rich.travel_seconds, rich.travel_metres)
    dimensions = len(vehicles[0].capacities) if vehicles else 1
    requests = []
    for number in range(draw(st.integers(0, most_requests))):
        loads = tuple(draw(st.integers(0, most)) for most in draw(_limits(bare, dimensions)))
        shift = draw(_shifts(bare))
        pickup, drop = (
            replace(stop, latest_seconds=None, closures=(), units=0, loads=loads)
            for stop in (draw(_stops(bare, shift, loads)), draw(_stops(bare, shift, loads)))
        )
        requests.append(Request(f"r{number}", (pickup,), (drop,)))
    return replace(bare, requests=tuple(requests))


@st.composite
def _bare_problems(draw: st.DrawFn, most_vehicles: int) -> RoutingProblem:
    """Draw points, matrices, vehicles and prices; nothing to carry yet."""
    size = draw(st.integers(1, 6))
    cells = st.lists(st.integers(0, draw(st.sampled_from([300, 900, 60]))), min_size=size * size, max_size=size * size)
    seconds = np.array(draw(cells)).reshape(size, size)
    metres = np.array(draw(cells)).reshape(size, size)
    dimensions = draw(st.sampled_from([2, 1, 3, 0]))
    vehicles = tuple(
        draw(_vehicles(f"v{index}", size, dimensions))
        for index in range(min(draw(st.sampled_from([2, 1, 3, 4, 2, 3, 4, 0])), most_vehicles))
    )
    prices = Prices(
        ride_second=draw(st.sampled_from([1, 0, 3])),
        ride_metre=draw(st.sampled_from([0, 1])),
        balance_per_second=draw(st.sampled_from([0, 0, 2])),
        below_share=draw(st.sampled_from([0, 500, 100_000])),
    )
    names = tuple(f"p{index}" for index in range(size))
    return RoutingProblem(names, (), vehicles, seconds, metres, prices, draw(st.sampled_from(Objective)))


@st.composite
def _vehicles(draw: st.DrawFn, vehicle_id: str, size: int, dimensions: int) -> Vehicle:
    start = draw(st.sampled_from([0, -3_600, 7_200, 82_800]))
    end = start + draw(st.sampled_from([28_800] * 4 + [14_400] * 4 + [3_600, 1]))
    return Vehicle(
        id=vehicle_id,
        start_point=draw(st.integers(0, size - 1)),
        end_point=draw(st.integers(0, size - 1)),
        shift_start_seconds=start,
        shift_end_seconds=end,
        capacities=tuple(draw(st.sampled_from([100, 60, 20, 0])) for _ in range(dimensions)),
        skills=draw(st.sampled_from([frozenset(SKILLS), frozenset(SKILLS), NOBODY, frozenset(SKILLS[:1])])),
        group=draw(st.sampled_from(GROUPS)),
        ride_permille=draw(st.sampled_from([1_000, 1_000, 1_333, 701, 1])),
        range_metres=draw(st.sampled_from([None, None, None, 6_000, 2_000])),
        breaks=draw(_breaks(start, end)),
        fixed_price=draw(st.sampled_from([0, 500, 20_000])),
    )


@st.composite
def _breaks(draw: st.DrawFn, start: int, end: int) -> tuple[Break, ...]:
    """Draw up to two breaks that a vehicle with nothing to do could take, one after the other."""
    breaks = []
    clock = start
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 1, 2]))):
        opens = clock + draw(st.sampled_from([-600, 0, 1_800, (end - start) // 3]))
        length = draw(st.sampled_from([900, 1_800, 60, 0]))
        begins = max(opens, clock)
        if begins + length <= end:
            breaks.append(Break(opens, begins + draw(st.sampled_from([0, 600, 7_200])), length))
            clock = begins + length
    return tuple(breaks)


@st.composite
def _requests(draw: st.DrawFn, request_id: str, problem: RoutingProblem, dimensions: int) -> Request:
    counts = st.sampled_from([1, 1, 1, 2, 3])
    pickups, drops = draw(counts), draw(counts)
    totals = [draw(st.integers(0, most)) for most in draw(_limits(problem, dimensions))]
    ids = [vehicle.id for vehicle in problem.vehicles]
    some_ids = st.frozensets(st.sampled_from(ids)) if ids else st.just(NOBODY)
    some_groups = st.frozensets(st.sampled_from(GROUPS), min_size=1)
    shift = draw(_shifts(problem))
    forbidden_vehicles, forbidden_groups = draw(_seldom(some_ids)), draw(_seldom(some_groups))
    return Request(
        id=request_id,
        pickups=tuple(draw(_stops(problem, shift, loads)) for loads in draw(_parts(totals, pickups))),
        drops=tuple(draw(_stops(problem, shift, loads)) for loads in draw(_parts(totals, drops))),
        skills=draw(st.sampled_from([NOBODY] * 6 + [frozenset({skill}) for skill in SKILLS])),
        allowed_vehicles=draw(_seldom(some_ids)),
        forbidden_vehicles=forbidden_vehicles or NOBODY,
        allowed_groups=draw(_seldom(some_groups)),
        forbidden_groups=forbidden_groups or NOBODY,
        ride_seconds_at_most=draw(_seldom(st.sampled_from([7_200, 3_600, 900, 0]))),
        left_out_price=draw(st.none() | st.sampled_from([0, 300, 3_000, 1_000_000])),
        left_out_weight=draw(st.sampled_from([1, 1, 10])),
    )


def _seldom(values: st.SearchStrategy[Value]) -> st.SearchStrategy[Value | None]:
    return st.sampled_from([False] * 7 + [True]).flatmap(lambda is_given: values if is_given else st.none())


def _shifts(problem: RoutingProblem) -> st.SearchStrategy[int]:
    return st.sampled_from([vehicle.shift_start_seconds for vehicle in problem.vehicles] or [0])


def _limits(problem: RoutingProblem, dimensions: int) -> st.SearchStrategy[tuple[int, ...]]:
    """A load over every vehicle is refused with the problem: it fits at least one of them."""
    if not problem.vehicles:
        return st.just((100,) * dimensions)
    return st.sampled_from([vehicle.capacities for vehicle in problem.vehicles])


@st.composite
def _parts(draw: st.DrawFn, totals: list[int], count: int) -> list[tuple[int, ...]]:
    """Draw how the totals of each dimension are spread over so many stops."""
    by_dimension = []
    for total in totals:
        cuts = [0, *sorted(draw(st.integers(0, total)) for _ in range(count - 1)), total]
        by_dimension.append([cuts[k + 1] - cuts[k] for k in range(count)])
    return [tuple(parts[k] for parts in by_dimension) for k in range(count)]


@st.composite
def _stops(draw: st.DrawFn, problem: RoutingProblem, shift: int, loads: tuple[int, ...]) -> Stop:
    """Draw windows about a shift that begins at that second."""
    start = shift + draw(st.sampled_from([0, 0, 0, 3_600]) | st.integers(-3_600, 14_400))
    end = start + draw(st.sampled_from([100_000, 100_000, 40_000, 10_000, 3_600, 300, 0]))
    late = draw(st.sampled_from([None, None, None, 0, 600, 7_200]))
    closures = []
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        closes = start + draw(st.integers(-600, 7_200))
        closures.append(Span(closes, closes + draw(st.sampled_from([1_800, 7_200, 0]))))
    return Stop(
        point=draw(st.integers(0, len(problem.points) - 1)),
        window_start_seconds=start,
        window_end_seconds=end,
        service_seconds=draw(st.sampled_from([60, 60, 0, 600])),
        loads=loads,
        units=draw(st.sampled_from([0, 0, 1, 5])),
        seconds_per_unit=draw(st.sampled_from([0, 7, 60])),
        latest_seconds=None if late is None else end + late,
        late_price=draw(st.sampled_from([0, 1, 7])),
        closures=tuple(closures),
    )


@st.composite
def _locked(draw: st.DrawFn, request: Request, bare: RoutingProblem, locked: dict[str, list[Item]]) -> Request:
    """Lock a request to a vehicle that can ride it after what is locked there; leave it as it is where none can.

    `locked` holds each vehicle's stops so far; some requests are aboard already.
    """
    vehicle = draw(st.sampled_from(bare.vehicles))
    one = replace(request, locked_to=vehicle.id)
    if draw(st.booleans()):
        one = replace(one, pickups=())
    before = locked.get(vehicle.id, [])
    items = [*before, *(Call(one, kind, number) for kind, number, _ in one.stops)]
    if ride(bare, vehicle, items) is None:
        return request
    locked[vehicle.id] = items
    return one


@st.composite
def _coupled(draw: st.DrawFn, problem: RoutingProblem, locked: dict[str, list[Item]]) -> RoutingProblem:
    """Add shares, fleet and hub limits that what is locked does not exceed."""
    ids = [vehicle.id for vehicle in problem.vehicles]
    fleet = []
    for _ in range(draw(st.sampled_from([0, 0, 1, 2])) if ids else 0):
        some = draw(st.frozensets(st.sampled_from(ids), min_size=1))
        fleet.append(FleetLimit(some, max(draw(st.integers(0, len(some))), len(some & locked.keys()))))
    hubs = []
    for _ in range(draw(st.sampled_from([0, 0, 1, 2]))):
        point = draw(st.integers(0, len(problem.points) - 1))
        calling = sum(any(_point(item) == point for item in items) for items in locked.values())
        hubs.append(HubLimit(point, max(draw(st.integers(0, 3)), calling)))
    shares = []
    for group in draw(st.sampled_from([(), (), GROUPS[:1], GROUPS[:2], GROUPS])):
        most = draw(st.sampled_from([1_000, 700, 400, 100, 0]))
        share = Share(group, min(most, draw(st.integers(0, 333))), most)
        members = {vehicle.id for vehicle in problem.vehicles if vehicle.group == group}
        held = sum(request.locked_to in members for request in problem.requests)
        shares.append(share if held <= problem.most(share) else replace(share, at_most_permille=1_000))
    return replace(problem, fleet_limits=tuple(fleet), hub_limits=tuple(hubs), shares=tuple(shares))


def _point(item: Item) -> int | None:
    return item.request.stop(item.kind, item.number).point if isinstance(item, Call) else None
