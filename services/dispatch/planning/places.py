"""Every place of one request in routes as they stand, priced from below at once: which are worth riding first."""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.dispatch.planning.near import StopKey
from services.dispatch.planning.problem import Break, Request, RoutingProblem, Span, StopKind, Vehicle
from services.dispatch.planning.schedule import Call, Item

MOST_TOGETHER = 1_000_000
"""Stops in orders that are priced in one go, unless one route has more: what that takes of memory."""

Numbers = NDArray[np.int64]

_REST = -1
"""The point of a break: it is taken where the courier stands."""


class Line(NamedTuple):
    """A vehicle with its stops and breaks in order."""

    vehicle: Vehicle
    items: Sequence[Item]


class _Node(NamedTuple):
    """A stop or a break of one line, in numbers."""

    point: int
    opens: int
    ends: int
    last: int
    takes: int
    late_price: int
    was: int
    minute_price: int
    is_pickup: bool
    loads: tuple[int, ...]
    closures: tuple[Span, ...]


class _Orders(NamedTuple):
    """The orders of one line that pass a first look."""

    line: Line
    nodes: list[_Node]
    ways: Numbers
    aboard: Numbers


def places(
    problem: RoutingProblem, lines: Sequence[Line], request: Request, starts: Mapping[StopKey, int], moved_minute: int
) -> list[tuple[Numbers, Numbers]]:
    """Return for each line the orders of its items, then the request's stops, that may be feasible, and their prices.

    Orders are (orders, items + stops), numbered as the items and then the request's stops stand; prices are what each
    costs at least. Only ride-time limits, and breaks that a line does not name, are not seen: they make it later, never
    earlier. Prices are those of riding, lateness and moved minutes, all stops.
    """
    calls = [Call(request, kind, number) for kind, number, _ in request.stops]
    own = [_node(call, starts, moved_minute) for call in calls]
    looked = []
    for line in lines:
        nodes = [*(_node(item, starts, moved_minute) for item in line.items), *own]
        aboard = np.zeros(len(line.vehicle.capacities), dtype=np.int64)
        for item in (*line.items, *calls):
            if isinstance(item, Call) and not item.request.pickups:
                aboard += np.array(item.request.stop(item.kind, item.number).loads, dtype=np.int64)
        ways = _in_time(problem, line.vehicle, nodes, len(request.pickups), len(request.drops))
        looked.append(_Orders(line, nodes, ways, aboard))
    found: dict[int, tuple[Numbers, Numbers]] = {}
    for numbers in _together(looked):
        priced = _priced(problem, [looked[number] for number in numbers])
        found.update(zip(numbers, priced, strict=True))
    return [found[number] for number in range(len(looked))]


def _node(item: Item, starts: Mapping[StopKey, int], moved_minute: int) -> _Node:
    if isinstance(item, Break):
        end = item.window_end_seconds
        return _Node(_REST, item.window_start_seconds, end, end, item.length_seconds, 0, 0, 0, False, (), ())
    stop = item.request.stop(item.kind, item.number)
    start = starts.get((item.request.id, item.kind, item.number))
    is_pickup = item.kind is StopKind.PICKUP
    return _Node(
        point=stop.point,
        opens=stop.window_start_seconds,
        ends=stop.window_end_seconds,
        last=stop.last_seconds,
        takes=stop.duration_seconds,
        late_price=stop.late_price,
        was=start or 0,
        minute_price=0 if start is None else moved_minute,
        is_pickup=is_pickup,
        loads=stop.loads if is_pickup else tuple(-load for load in stop.loads),
        closures=tuple(sorted(stop.closures)),
    )


@lru_cache(maxsize=512)
def _orders(length: int, pickups: int, drops: int) -> tuple[Numbers, Numbers, Numbers]:
    """Return every way to put a block of pickups, and a block of drops not before it, among so many items.

    (ways, length + pickups + drops): items are numbered from 0, then come the pickups, then the drops. With them before
    which item the first block stands in each way, and before which the last.
    """
    first = list(range(length, length + pickups))
    last = list(range(length + pickups, length + pickups + drops))
    items = list(range(length))
    found = [(i, j) for i in range(length + 1) for j in range(i, length + 1) if pickups or i == j]
    ways = [[*items[:i], *first, *items[i:j], *last, *items[j:]] for i, j in found]
    firsts, lasts = (np.array(column, dtype=np.int64) for column in zip(*found, strict=True))
    return np.array(ways, dtype=np.int64), firsts, lasts


def _in_time(problem: RoutingProblem, vehicle: Vehicle, nodes: Sequence[_Node], pickups: int, drops: int) -> Numbers:
    """Return the orders whose first new stops are in time, and leave time for what follows, as the last one does.

    What comes before the first new stop is ridden as it is, what comes after the last one in the same order: nearly all
    orders of a long route fail here, before any is ridden.
    """
    length = len(nodes) - pickups - drops
    block, last = nodes[length : length + (pickups or drops)], nodes[-1]
    points = np.array([vehicle.start_point, *(node.point for node in nodes[:length] if node.point != _REST)])

    def seconds(starts: Numbers | int, ends: Numbers | int) -> Numbers:
        rides: Numbers = -(-problem.travel_seconds[starts, ends] * vehicle.ride_permille // 1000)
        return rides

    legs: list[int] = seconds(points[:-1], points[1:]).tolist()
    # Before each item: where the courier stands, by its number among the points, and from when.
    stands, clocks = [0], [vehicle.shift_start_seconds]
    for node in nodes[:length]:
        is_ride = node.point != _REST
        ridden = clocks[-1] + (legs[stands[-1]] if is_ride else 0)
        clocks.append(max(ridden, node.opens) + node.takes)
        stands.append(stands[-1] + is_ride)
    # For each item, and for coming home: when it must begin at the latest, and how long it is to it from a new stop. A
    # rest is taken where the courier is, so what follows it is reached from before it: no ride is the least.
    latest = np.zeros(length + 1, dtype=np.int64)
    latest[length] = limit = vehicle.shift_end_seconds
    is_followed = False
    for index in range(length - 1, -1, -1):
        node = nodes[index]
        leg = legs[stands[index + 1]] if is_followed else 0
        latest[index] = limit = min(node.last, limit - leg - node.takes)
        is_followed = node.point != _REST
    ends = np.array([vehicle.end_point if k == length else nodes[k].point for k in range(length + 1)])
    is_ride = ends != _REST
    # After the first new stops, put before each item.
    here: Numbers | int = points[stands]
    clock = np.array(clocks)
    is_reached = np.ones(length + 1, dtype=bool)
    for node in block:
        clock = np.maximum(clock + seconds(here, node.point), node.opens)
        is_reached &= clock <= node.last
        clock += node.takes
        here = node.point
    goes_on = clock + np.where(is_ride, seconds(here, ends), 0) <= latest
    ways, firsts, lasts = _orders(length, pickups, drops)
    is_kept = (is_reached & goes_on)[firsts]
    if pickups:
        leaves = np.maximum(clock, last.opens)[firsts] + last.takes
        leaves += np.where(is_ride, seconds(last.point, ends), 0)[lasts]
        is_kept = is_reached[firsts] & (goes_on[firsts] | (firsts == lasts)) & (leaves <= latest[lasts])
    kept: Numbers = ways[is_kept]
    return kept


def _together(looked: Sequence[_Orders]) -> Iterator[list[int]]:
    """Yield numbers of lines whose orders are priced in one go, the longest lines first."""
    together: list[int] = []
    stops = 0
    for number in sorted(range(len(looked)), key=lambda number: -len(looked[number].nodes)):
        more = looked[number].ways.size
        if together and stops + more > MOST_TOGETHER:
            yield together
            together, stops = [], 0
        together.append(number)
        stops += more
    if together:
        yield together


def _priced(problem: RoutingProblem, looked: Sequence[_Orders]) -> list[tuple[Numbers, Numbers]]:
    """Return for each line, the longest of which is the first, the orders that may be feasible, and their prices.

    All are ridden at once, one stop after the other: those of shorter lines are home before.
    """
    counts = [len(each.ways) for each in looked]
    sizes = np.repeat([len(each.nodes) for each in looked], counts)
    total, width = sum(counts), max(len(each.nodes) for each in looked)

    def of_each(values: Sequence[int]) -> Numbers:
        return np.repeat(np.array(values, dtype=np.int64), counts)

    orders = np.zeros((total, width), dtype=np.int64)
    ends = np.cumsum([0, *counts])
    offset = 0
    for each, (begin, end) in zip(looked, pairwise(ends.tolist()), strict=True):
        orders[begin:end, : len(each.nodes)] = each.ways + offset
        offset += len(each.nodes)
    stops = _Stops([node for each in looked for node in each.nodes], len(looked[0].aboard))
    vehicles = [each.line.vehicle for each in looked]
    permille = of_each([vehicle.ride_permille for vehicle in vehicles])
    room = np.repeat(np.array([vehicle.capacities for vehicle in vehicles], dtype=np.int64), counts, axis=0)
    room -= np.repeat(np.array([each.aboard for each in looked]), counts, axis=0)
    clock = of_each([vehicle.shift_start_seconds for vehicle in vehicles])
    here = of_each([vehicle.start_point for vehicle in vehicles])
    ridden, price = np.zeros(total, dtype=np.int64), np.zeros(total, dtype=np.int64)
    is_right = np.ones(total, dtype=bool)

    def ride(to: Numbers, moves: NDArray[np.bool_] | bool, rows: slice) -> None:
        """Let the couriers of these rows ride there, where they move: else no ride, whatever the matrix says."""
        seconds = np.where(moves, -(-problem.travel_seconds[here[rows], to] * permille[rows] // 1000), 0)
        metres = np.where(moves, problem.travel_metres[here[rows], to], 0)
        clock[rows] += seconds
        ridden[rows] += metres
        price[rows] += problem.prices.ride_second * seconds + problem.prices.ride_metre * metres
        here[rows] = to

    for index in range(width):
        rows = slice(int(np.count_nonzero(sizes > index)))
        at = orders[rows, index]
        moves = stops.points[at] != _REST
        ride(np.where(moves, stops.points[at], here[rows]), moves, rows)
        start = np.maximum(clock[rows], stops.opens[at])
        for k in range(stops.closed_from.shape[1]):
            is_shut = (stops.closed_from[at, k] <= start) & (start < stops.closed_to[at, k])
            start = np.where(is_shut, stops.closed_to[at, k], start)
        room[rows] -= stops.loads[at]
        is_right[rows] &= (start <= stops.lasts[at]) & ((room[rows] >= 0).all(axis=1) | ~stops.is_pickup[at])
        price[rows] += stops.late_prices[at] * np.maximum(0, start - stops.ends[at])
        price[rows] += stops.minute_prices[at] * -(-np.abs(start - stops.was[at]) // 60)
        clock[rows] = start + stops.takes[at]
    ride(of_each([vehicle.end_point for vehicle in vehicles]), True, slice(total))
    is_right &= clock <= of_each([vehicle.shift_end_seconds for vehicle in vehicles])
    longest = np.iinfo(np.int64).max
    is_right &= ridden <= of_each([longest if v.range_metres is None else v.range_metres for v in vehicles])
    found = []
    for each, (begin, end) in zip(looked, pairwise(ends.tolist()), strict=True):
        kept = is_right[begin:end]
        found.append((each.ways[kept], price[begin:end][kept]))
    return found


class _Stops:
    """The nodes of all lines, one after another, a column for each of their fields."""

    def __init__(self, nodes: Sequence[_Node], dimensions: int) -> None:
        numbers = np.array([node[:9] for node in nodes], dtype=np.int64).T
        self.points, self.opens, self.ends, self.lasts, self.takes = numbers[:5]
        self.late_prices, self.was, self.minute_prices = numbers[5:8]
        self.is_pickup = numbers[8].astype(bool)
        nothing = (0,) * dimensions
        self.loads = np.array([node.loads or nothing for node in nodes], dtype=np.int64).reshape(len(nodes), dimensions)
        most = max((len(node.closures) for node in nodes), default=0)
        closed = np.zeros((len(nodes), most, 2), dtype=np.int64)  # from 0 to 0: never
        for index, node in enumerate(nodes):
            if node.closures:
                closed[index, : len(node.closures)] = node.closures
        self.closed_from, self.closed_to = closed[:, :, 0], closed[:, :, 1]
