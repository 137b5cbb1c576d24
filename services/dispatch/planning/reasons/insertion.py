"""Where one request fits into a route as it stands: the stops there keep their order, its breaks may move.

A table over (stops ridden, stops of the request done, breaks taken, place) holds the earliest time of each; an earlier
time is never worse, so this finds a way in if there is one, without trying every pair of places. With a range or prices
a cell holds every time that no other beats in all of time, metres and price. Ride-time limits are the exception: they
put pickups off. What the table finds is then ridden, and where that fails the orders are ridden one by one.

Source: labels and dominance as in shortest paths with resources, Irnich and Desaulniers (2005).
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np

from services.dispatch.planning.plan import Route, can_carry
from services.dispatch.planning.problem import LARGEST_NUMBER, Break, Request, RoutingProblem, Stop, StopKind, Vehicle
from services.dispatch.planning.schedule import Call, Item, next_stops, ride

MOST_ORDERS = 200
"""Orders of stops ridden one by one, where a ride-time limit asks for it, before `Undecided` is raised."""


class Undecided(Exception):
    """Too many orders of stops would have to be ridden to know."""


_RESTED = -1
"""The step that is a break."""

_Cell = tuple[int, int, int, int]
"""Stops kept that are ridden, the request's stops done (a bit each), breaks taken, place."""

_Label = tuple[int, int, int, Any, int]
"""One way to a cell: when that place can be left, metres ridden, price paid, the label before, the last step."""


def fits(problem: RoutingProblem, vehicle: Vehicle, kept: Sequence[Call], request: Request) -> bool:
    """Return whether the vehicle can serve the request among the stops that it keeps, whatever that costs.

    Raises
    ------
    Undecided
    """
    if not can_carry(vehicle, request):
        return False
    items = _Table(problem, vehicle, kept, request).items(is_priced=False)
    if items is None or not _is_ride_limited(kept, request) or ride(problem, vehicle, items):
        return items is not None
    return any(ride(problem, vehicle, calls) for calls in _orders(problem, vehicle, kept, request))


def cheapest(problem: RoutingProblem, vehicle: Vehicle, kept: Sequence[Call], request: Request) -> Route | None:
    """Return the route that serves the request among the stops kept for the least price of rides and lateness.

    Lateness that comes of putting pickups off for a ride-time limit is not looked ahead at.

    Raises
    ------
    Undecided
    """
    if not can_carry(vehicle, request):
        return None
    items = _Table(problem, vehicle, kept, request).items(is_priced=True)
    route = ride(problem, vehicle, items) if items else None
    if items is None or route or not _is_ride_limited(kept, request):
        return route
    found = [ride(problem, vehicle, calls) for calls in _orders(problem, vehicle, kept, request)]
    return min(
        (route for route in found if route),
        key=lambda route: route_price(problem, vehicle, route, request),
        default=None,
    )


def route_price(problem: RoutingProblem, vehicle: Vehicle, route: Route, request: Request) -> int:
    """Return what a route costs by itself: the vehicle, rides and lateness; `request` is to be read as given here."""
    price = vehicle.fixed_price + problem.prices.ride_second * route.travel_seconds
    price += problem.prices.ride_metre * route.travel_metres
    for visit in route.visits:
        served = request if visit.request_id == request.id else problem.requests_by_id[visit.request_id]
        stop = served.stop(visit.kind, visit.number)
        price += stop.late_price * max(0, visit.start_seconds - stop.window_end_seconds)
    return price


def _is_ride_limited(kept: Sequence[Call], request: Request) -> bool:
    return request.ride_seconds_at_most is not None or any(
        call.request.ride_seconds_at_most is not None for call in kept
    )


class _Table:
    """The table of one request and one route; its places: the start, the stops kept, the request's own, the end."""

    def __init__(self, problem: RoutingProblem, vehicle: Vehicle, kept: Sequence[Call], request: Request) -> None:
        self.problem = problem
        self.vehicle = vehicle
        self.calls = [*kept, *(Call(request, kind, number) for kind, number, _ in request.stops)]
        self.kept = len(kept)
        self.request = request
        self.stops: list[Stop] = [call.request.stop(call.kind, call.number) for call in self.calls]
        points = [vehicle.start_point, *(stop.point for stop in self.stops), vehicle.end_point]
        cells = np.ix_(points, points)
        seconds = -(-problem.travel_seconds[cells] * vehicle.ride_permille // 1000)
        metres = problem.travel_metres[cells]
        self.seconds: list[list[int]] = seconds.tolist()
        self.metres: list[list[int]] = metres.tolist()
        self.prices: list[list[int]] = (
            problem.prices.ride_second * seconds + problem.prices.ride_metre * metres
        ).tolist()
        self.home = len(self.calls) + 1
        self.is_pickup = [False, *(call.kind is StopKind.PICKUP for call in self.calls)]
        self.windows: list[tuple[int, int, int, Stop | None]] = [
            (-LARGEST_NUMBER, LARGEST_NUMBER, 0, None),
            *((stop.window_start_seconds, stop.last_seconds, stop.duration_seconds, stop) for stop in self.stops),
            (-LARGEST_NUMBER, 2 * LARGEST_NUMBER, 0, None),
        ]
        self.longest = LARGEST_NUMBER if vehicle.range_metres is None else vehicle.range_metres
        self.following = next_stops(request)
        self.has_room = self._room()

    def _room(self) -> list[dict[int, bool]] | None:
        """Return whether a pickup may follow each number of stops kept with each set of the request's stops done.

        None where there is room for the whole request all day. What is aboard from before may be more than the bike
        should carry, so only pickups are looked at, as `ride` does.
        """
        dimensions = range(len(self.vehicle.capacities))
        aboard = [0 for _ in dimensions]
        for request in {call.request.id: call.request for call in self.calls[: self.kept]}.values():
            if not request.pickups:
                for stop in request.drops:
                    aboard = [aboard[d] + stop.loads[d] for d in dimensions]
        before = [aboard]
        for call, stop in zip(self.calls[: self.kept], self.stops, strict=False):
            sign = 1 if call.kind is StopKind.PICKUP else -1
            before.append([before[-1][d] + sign * stop.loads[d] for d in dimensions])
        free = [[self.vehicle.capacities[d] - loads[d] for d in dimensions] for loads in before]
        own = [stop.loads for stop in self.stops[self.kept :]]
        pickups = len(self.request.pickups)
        whole = [sum(loads[d] for loads in own[:pickups]) for d in dimensions]
        if all(whole[d] <= room[d] for room in free for d in dimensions):
            return None
        taken = {
            done: [
                sum(loads[d] if index < pickups else -loads[d] for index, loads in enumerate(own) if done >> index & 1)
                for d in dimensions
            ]
            for done in self.following
        }
        return [{done: all(loads[d] <= room[d] for d in dimensions) for done, loads in taken.items()} for room in free]

    def items(self, *, is_priced: bool) -> list[Item] | None:
        """Return stops and breaks in the cheapest order (else in one that is home early), None where there is none."""
        rests = self.vehicle.breaks
        starts: list[_Label] = [(self.vehicle.shift_start_seconds, 0, 0, None, 0)]
        labels: dict[_Cell, list[_Label]] = {(0, 0, 0, 0): starts}
        for _ in range(len(self.calls) + len(rests) + 1):
            reached: dict[_Cell, list[_Label]] = {}
            for cell, ways in labels.items():
                ridden, done, rested, place = cell
                for then in self._next(cell):
                    self._go(ways, place, then[3], is_priced, reached.setdefault(then, []))
                if rested < len(rests):
                    self._rest(ways, rests[rested], reached.setdefault((ridden, done, rested + 1, place), []))
            labels = {cell: ways for cell, ways in reached.items() if ways}
        ends = [way for ways in labels.values() for way in ways]
        return self._trace(min(ends, key=lambda way: (way[2], way[0]))) if ends else None

    def _next(self, cell: _Cell) -> list[_Cell]:
        """Return the cells one ride further: a stop kept, a stop of the request, or home."""
        ridden, done, rested, place = cell
        if place == self.home:
            return []
        room, kept = self.has_room, self.kept
        found = []
        if ridden < kept and (room is None or not self.is_pickup[ridden + 1] or room[ridden + 1][done]):
            found.append((ridden + 1, done, rested, ridden + 1))
        for index, then in self.following[done]:
            if room is None or not self.is_pickup[kept + 1 + index] or room[ridden][then]:
                found.append((ridden, then, rested, kept + 1 + index))
        if ridden == kept and not self.following[done]:
            found.append((ridden, done, rested, self.home))
        return found

    def _go(self, ways: list[_Label], place: int, to: int, is_priced: bool, there: list[_Label]) -> None:
        """Ride from a place to the next, and put what comes of it into the cell there."""
        seconds = self.seconds[place][to]
        metres = self.metres[place][to] if self.vehicle.range_metres is not None else 0
        price = self.prices[place][to] if is_priced else 0
        begins, last, duration, stop = self.windows[to]
        for way in ways:
            clock = way[0] + seconds
            paid = way[2] + price
            if clock < begins:
                clock = begins
            if stop is not None and stop.closures:
                opens = stop.opens(clock)
                if opens is None:
                    continue
                clock = opens
            if clock > last or clock + duration > self.vehicle.shift_end_seconds or way[1] + metres > self.longest:
                continue
            if is_priced and stop is not None and clock > stop.window_end_seconds:
                paid += stop.late_price * (clock - stop.window_end_seconds)
            _keep(there, (clock + duration, way[1] + metres, paid, way, to))

    def _rest(self, ways: list[_Label], rest: Break, there: list[_Label]) -> None:
        for way in ways:
            clock = max(way[0], rest.window_start_seconds)
            if clock <= rest.window_end_seconds and clock + rest.length_seconds <= self.vehicle.shift_end_seconds:
                _keep(there, (clock + rest.length_seconds, way[1], way[2], way, _RESTED))

    def _trace(self, way: _Label) -> list[Item]:
        """Return the steps that led there, in order."""
        items: list[Item] = []
        rest = len(self.vehicle.breaks)
        while way[3] is not None:
            if way[4] == _RESTED:
                rest -= 1
                items.append(self.vehicle.breaks[rest])
            elif way[4] != self.home:
                items.append(self.calls[way[4] - 1])
            way = way[3]
        return items[::-1]


def _keep(ways: list[_Label], label: _Label) -> None:
    """Add a label to its cell unless one there is as good in everything; drop those that it beats."""
    if ways:
        clock, metres, price = label[:3]
        for way in ways:
            if way[0] <= clock and way[1] <= metres and way[2] <= price:
                return
        ways[:] = [way for way in ways if way[0] < clock or way[1] < metres or way[2] < price]
    ways.append(label)


def _orders(problem: RoutingProblem, vehicle: Vehicle, kept: Sequence[Call], request: Request) -> Iterator[list[Call]]:
    """Yield every order of the stops kept and the request's that windows and shift allow, breaks aside.

    Raises
    ------
    Undecided
    """
    table = _Table(problem, vehicle, kept, request)

    def steps(ridden: int, done: int, place: int, clock: int) -> Iterator[list[Call]]:
        if ridden == table.kept and not table.following[done]:
            if clock + table.seconds[place][table.home] <= vehicle.shift_end_seconds:
                yield []
            return
        ways = [(ridden, then, table.kept + 1 + index) for index, then in table.following[done]]
        if ridden < table.kept:
            ways.append((ridden + 1, done, ridden + 1))
        for ridden_then, done_then, to in ways:
            stop = table.stops[to - 1]
            opens = stop.opens(clock + table.seconds[place][to])
            if opens is not None and opens + stop.duration_seconds <= vehicle.shift_end_seconds:
                for rest in steps(ridden_then, done_then, to, opens + stop.duration_seconds):
                    yield [table.calls[to - 1], *rest]

    found = steps(0, 0, 0, vehicle.shift_start_seconds)
    yield from islice(found, MOST_ORDERS)
    if next(found, None) is not None:
        raise Undecided
