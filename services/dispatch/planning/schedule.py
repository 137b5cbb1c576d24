"""When a vehicle is where, for stops in a given order: the earliest times that keep every rule, or None."""

from collections.abc import Iterator, Sequence
from itertools import combinations_with_replacement
from typing import NamedTuple

from services.dispatch.planning.plan import BreakTaken, Route, Visit, can_carry
from services.dispatch.planning.problem import Break, Request, RoutingProblem, StopKind, Vehicle

MOST_ANY_ORDER = 5
"""Of more pickups (or drops) of one request than this only the given order is tried."""


class Call(NamedTuple):
    """One stop of a request, to be ridden to."""

    request: Request
    kind: StopKind
    number: int = 0


Item = Call | Break


def calls_of(problem: RoutingProblem, route: Route) -> list[Item]:
    """Return a route's stops and breaks in order."""
    rests = list(zip(problem.vehicles_by_id[route.vehicle_id].breaks, route.breaks, strict=False))
    items: list[Item] = []
    for position in range(len(route.visits) + 1):
        items += [rest for rest, taken in rests if taken.after == position]
        if position < len(route.visits):
            visit = route.visits[position]
            items.append(Call(problem.requests_by_id[visit.request_id], visit.kind, visit.number))
    return items


def next_stops(request: Request) -> dict[int, list[tuple[int, int]]]:
    """Return for each set of stops done (a bit each, pickups first) which may follow: its index, and the set then."""
    count, pickups = len(request.stops), len(request.pickups)
    found: dict[int, list[tuple[int, int]]] = {}
    waiting = [0]
    while waiting:
        done = waiting.pop()
        if done in found:
            continue
        picks = [index for index in range(pickups) if not done >> index & 1]
        left = picks or [index for index in range(pickups, count) if not done >> index & 1]
        if (pickups if picks else count - pickups) > MOST_ANY_ORDER:
            left = left[:1]
        found[done] = [(index, done | 1 << index) for index in left]
        waiting += [then for _, then in found[done]]
    return found


def ride(problem: RoutingProblem, vehicle: Vehicle, items: Sequence[Item]) -> Route | None:
    """Return the route of `vehicle` through these stops in this order, or None where a rule forbids it.

    Where `items` name no break the vehicle's breaks are put where lateness costs least, then where the day ends
    soonest. Rules are windows, closures, loads, who may ride what, breaks, ride times, range and the shift; that every
    pickup and drop is there, pickups first, is the caller's affair. At least one stop is given. Everything begins as
    early as it can, and the vehicle leaves its start point as late as that allows.
    """
    calls = [item for item in items if isinstance(item, Call)]
    if not all(can_carry(vehicle, call.request) for call in calls):
        return None
    loads = loads_after(vehicle, calls)
    if overload(vehicle, calls, loads):
        return None
    points = [vehicle.start_point, *(call.request.stop(call.kind, call.number).point for call in calls)]
    points.append(vehicle.end_point)
    legs = [problem.ride_seconds(vehicle, points[k], points[k + 1]) for k in range(len(points) - 1)]
    metres = sum(int(problem.travel_metres[points[k], points[k + 1]]) for k in range(len(points) - 1))
    if vehicle.range_metres is not None and metres > vehicle.range_metres:
        return None
    places = _break_places(vehicle, items, len(calls))
    found = [times for afters in places if (times := _times(vehicle, calls, legs, afters))]
    if not found:
        return None
    starts, breaks, end = min(found, key=lambda times: (_late_price(calls, times[0]), times[2]))
    visits: list[Visit] = []
    for index, call in enumerate(calls):
        stop = call.request.stop(call.kind, call.number)
        start = starts[index]
        resumes = max([b.end_seconds for b in breaks if b.after == index], default=vehicle.shift_start_seconds)
        left = max(resumes, visits[-1].departure_seconds) if visits else start - legs[0]
        visits.append(
            Visit(
                call.request.id,
                call.kind,
                stop.point,
                left + legs[index],  # the first stop is reached when it opens, not waited for
                start,
                start + stop.duration_seconds,
                loads[index],
                call.number,
            )
        )
    return Route(
        vehicle_id=vehicle.id,
        start_seconds=starts[0] - legs[0],
        visits=tuple(visits),
        end_seconds=end,
        travel_seconds=sum(legs),
        travel_metres=metres,
        breaks=tuple(breaks),
    )


def loads_after(vehicle: Vehicle, calls: Sequence[Call]) -> list[tuple[int, ...]]:
    """Return what is aboard after each stop, too much or not."""
    aboard = [0] * len(vehicle.capacities)
    for request in {call.request.id: call.request for call in calls}.values():
        if not request.pickups:  # aboard already
            for stop in request.drops:
                aboard = [a + b for a, b in zip(aboard, stop.loads, strict=True)]
    told = []
    for call in calls:
        sign = 1 if call.kind is StopKind.PICKUP else -1
        loads = call.request.stop(call.kind, call.number).loads
        aboard = [a + sign * b for a, b in zip(aboard, loads, strict=True)]
        told.append(tuple(aboard))
    return told


def overload(vehicle: Vehicle, calls: Sequence[Call], loads: Sequence[tuple[int, ...]]) -> int:
    """Return by how much too much is aboard after pickups, of all kinds of load together.

    What is aboard from before may be more than the bike should carry; it only gets less.
    """
    return sum(
        max(0, aboard - capacity)
        for call, after in zip(calls, loads, strict=True)
        if call.kind is StopKind.PICKUP
        for aboard, capacity in zip(after, vehicle.capacities, strict=True)
    )


def _late_price(calls: Sequence[Call], starts: Sequence[int]) -> int:
    stops = [call.request.stop(call.kind, call.number) for call in calls]
    pairs = zip(stops, starts, strict=True)
    return sum(stop.late_price * max(0, start - stop.window_end_seconds) for stop, start in pairs)


def _break_places(vehicle: Vehicle, items: Sequence[Item], stops: int) -> Iterator[tuple[int, ...]]:
    """Yield, break by break, after how many stops each is taken; stops + 1 means after coming home."""
    named = [index for index, item in enumerate(items) if isinstance(item, Break)]
    if not vehicle.breaks:
        yield ()
    elif len(named) == len(vehicle.breaks):
        afters = tuple(index - number for number, index in enumerate(named))
        home = sum(after == stops for after in afters)
        # Behind the last stop it is taken where that stop was, or at home.
        for late in range(home + 1):
            yield tuple(stops + 1 if number >= len(afters) - late else after for number, after in enumerate(afters))
    else:
        yield from combinations_with_replacement(range(stops + 2), len(vehicle.breaks))


def _times(
    vehicle: Vehicle, calls: Sequence[Call], legs: Sequence[int], afters: Sequence[int]
) -> tuple[list[int], list[BreakTaken], int] | None:
    """Return the least start of each stop, the breaks, and when the vehicle is home; None where a rule is broken.

    Ride-time limits put pickups off: the times are the least ones that satisfy every "not before", found by raising
    what is violated until nothing is; where there are none, a window or the shift is overrun on the way. A ride that
    is too long without any waiting is never mended by that and is refused first, so that few rounds are needed: no
    more than there are limits, for each closure that a stop is pushed into.
    """
    stops = [call.request.stop(call.kind, call.number) for call in calls]
    limits = [
        (first, last, limit)
        for first, a in enumerate(calls)
        if (limit := a.request.ride_seconds_at_most) is not None and a.kind is StopKind.PICKUP
        for last, b in enumerate(calls)
        if b.kind is StopKind.DROP and b.request.id == a.request.id
    ]
    for first, last, limit in limits:
        between = sum(legs[first + 1 : last + 1]) + sum(stop.duration_seconds for stop in stops[first + 1 : last])
        pauses = zip(vehicle.breaks, afters, strict=True)
        between += sum(rest.length_seconds for rest, after in pauses if first < after <= last)
        if first < last and between > limit:
            return None
    not_before = [vehicle.shift_start_seconds] * len(calls)
    while True:
        clock = vehicle.shift_start_seconds
        starts: list[int] = []
        breaks: list[BreakTaken] = []
        for position in range(len(calls) + 2):
            # `clock` is now the time at which the place of stop `position` - 1 can be left.
            for rest, after in zip(vehicle.breaks, afters, strict=True):
                if after == position:
                    clock = max(clock, rest.window_start_seconds)
                    if clock > rest.window_end_seconds:
                        return None
                    breaks.append(BreakTaken(min(position, len(calls)), clock, clock + rest.length_seconds))
                    clock += rest.length_seconds
            if position < len(calls):
                opens = stops[position].opens(max(clock + legs[position], not_before[position]))
                if opens is None:
                    return None
                starts.append(opens)
                clock = opens + stops[position].duration_seconds
            elif position == len(calls):
                clock += legs[position]
                end = clock
        if clock > vehicle.shift_end_seconds:
            return None
        is_kept = True
        for first, last, limit in limits:
            least = starts[last] - limit - stops[first].duration_seconds
            if starts[first] < least:
                not_before[first] = max(not_before[first], least)
                is_kept = False
        if is_kept:
            return starts, breaks, end
