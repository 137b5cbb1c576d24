"""Stops in a given order are timed as early as every rule allows, and refused only where no timing exists."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from services.dispatch.planning.check import check
from services.dispatch.planning.plan import BreakTaken, Plan, Route, Visit, can_carry
from services.dispatch.planning.problem import Break, Request, RoutingProblem, Span, Stop, StopKind, Vehicle, pair
from services.dispatch.planning.schedule import Call, Item, calls_of, ride
from tests.strategies import problems

PICKUP, DROP = StopKind.PICKUP, StopKind.DROP
SECONDS = np.array([[0, 100, 200], [110, 0, 300], [210, 310, 0]])
REQUEST = pair("r", Stop(1, 1_000, 2_000, 60), Stop(2, 0, 9_000, 30), (5,))
VEHICLE = Vehicle("v", 0, 0, 500, 5_000, (10,))
PROBLEM = RoutingProblem(("depot", "a", "b"), (REQUEST,), (VEHICLE,), SECONDS, SECONDS * 3)


def calls(*requests: Request) -> list[Call]:
    return [Call(request, kind, number) for request in requests for kind, number, _ in request.stops]


def route(
    vehicle: Vehicle = VEHICLE,
    *,
    pickup: Mapping[str, Any] = MappingProxyType({}),
    drop: Mapping[str, Any] = MappingProxyType({}),
    rests: tuple[Break, ...] = (),
    **changes: Any,
) -> Route | None:
    """The request with changes to its pickup, its drop or itself, ridden by the vehicle with these breaks."""
    pickups, drops = (replace(REQUEST.pickups[0], **pickup),), (replace(REQUEST.drops[0], **drop),)
    changed = replace(REQUEST, pickups=pickups, drops=drops, **changes)
    return ride(PROBLEM, replace(vehicle, breaks=rests), calls(changed))


def test_times_loads_and_costs_of_a_route() -> None:
    assert route() == Route(
        vehicle_id="v",
        start_seconds=900,
        visits=(
            Visit("r", PICKUP, 1, 1_000, 1_000, 1_060, (5,)),
            Visit("r", DROP, 2, 1_360, 1_360, 1_390, (0,)),
        ),
        end_seconds=1_600,
        travel_seconds=610,
        travel_metres=1_830,
    )


def test_waiting_at_a_later_stop_is_arrival_before_start() -> None:
    timed = route(drop={"window_start_seconds": 3_000})
    assert timed is not None
    assert (timed.visits[1].arrival_seconds, timed.visits[1].start_seconds) == (1_360, 3_000)


def test_a_slower_bike_rides_longer_rounded_up() -> None:
    timed = route(replace(VEHICLE, ride_permille=1_001))
    assert timed is not None
    assert (timed.start_seconds, timed.visits[1].arrival_seconds, timed.travel_seconds) == (899, 1_361, 613)


@pytest.mark.parametrize(
    "changes",
    [
        {"pickup": {"window_start_seconds": 0, "window_end_seconds": 599}},
        {"drop": {"window_end_seconds": 1_359}},
        {"drop": {"window_end_seconds": 1_300, "latest_seconds": 1_359}},
        {"drop": {"window_start_seconds": 4_761}},
        {"drop": {"closures": (Span(1_300, 4_761),)}},
        {"pickup": {"loads": (11,)}, "drop": {"loads": (11,)}},
        {"pickup": {"units": 1_000, "seconds_per_unit": 4}},
        {"skills": frozenset({"trailer"})},
        {"allowed_vehicles": frozenset({"w"})},
        {"forbidden_vehicles": frozenset({"v"})},
        {"allowed_groups": frozenset({"north"})},
        {"forbidden_groups": frozenset({""})},
        {"locked_to": "w"},
        {"ride_seconds_at_most": 299},
        {"vehicle": replace(VEHICLE, range_metres=1_829)},
        {"rests": (Break(600, 700, 1_301),)},
        {"rests": (Break(600, 600, 500), Break(1_200, 1_200, 701))},
    ],
)
def test_a_rule_broken_is_no_route(changes: dict[str, Any]) -> None:
    assert route(**changes) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"pickup": {"window_start_seconds": 0, "window_end_seconds": 600}},
        {"drop": {"window_end_seconds": 1_360}},
        {"drop": {"window_end_seconds": 1_300, "latest_seconds": 1_360}},
        {"drop": {"window_start_seconds": 4_760}},
        {"drop": {"closures": (Span(1_300, 4_760),)}},
        {"pickup": {"loads": (10,)}, "drop": {"loads": (10,)}},
        {"ride_seconds_at_most": 300},
        {"vehicle": replace(VEHICLE, range_metres=1_830)},
        {"rests": (Break(600, 700, 1_300),)},
        {"rests": (Break(600, 600, 500), Break(1_200, 1_200, 700))},
    ],
)
def test_the_last_moment_is_still_in_time(changes: dict[str, Any]) -> None:
    assert route(**changes) is not None


def test_a_break_is_where_the_day_ends_soonest() -> None:
    timed = route(rests=(Break(500, 5_000, 400),))
    assert timed is not None
    assert (timed.breaks, timed.end_seconds) == ((BreakTaken(0, 500, 900),), 1_600)
    timed = route(rests=(Break(1_700, 5_000, 400),))
    assert timed is not None
    assert (timed.breaks, timed.end_seconds) == ((BreakTaken(2, 1_700, 2_100),), 1_600)


def test_a_break_can_be_told_its_place() -> None:
    rest = Break(500, 5_000, 400)
    vehicle = replace(VEHICLE, breaks=(rest,))
    pick, drop = calls(REQUEST)
    timed = ride(PROBLEM, vehicle, [pick, rest, drop])
    assert timed is not None
    assert (timed.breaks, timed.end_seconds) == ((BreakTaken(1, 1_060, 1_460),), 2_000)
    assert timed.visits[1].arrival_seconds == 1_760
    assert calls_of(replace(PROBLEM, vehicles=(vehicle,)), timed) == [pick, rest, drop]


def test_a_pickup_is_put_off_so_that_its_load_is_not_aboard_for_too_long() -> None:
    timed = route(drop={"window_start_seconds": 3_000}, ride_seconds_at_most=1_000)
    assert timed is not None
    assert (timed.start_seconds, timed.visits[0].start_seconds) == (1_840, 1_940)
    assert route(drop={"window_start_seconds": 3_000}, ride_seconds_at_most=939) is None


def test_a_ride_longer_than_its_limit_is_refused_without_putting_it_off_second_by_second() -> None:
    forever = {"window_start_seconds": 0, "window_end_seconds": 2**40}
    tireless = replace(VEHICLE, shift_end_seconds=2**40)
    assert route(tireless, pickup=forever, drop=forever, ride_seconds_at_most=299) is None
    assert route(tireless, pickup=forever, drop=forever, ride_seconds_at_most=300) is not None


def in_some_order(draw: st.DrawFn, requests: Sequence[Request]) -> list[Call]:
    """All stops of the requests in any order that has each request's pickups before its drops."""
    drawn = draw(st.permutations(calls(*requests)))
    order: list[Call] = []
    for one, _, _ in drawn:
        mine = sorted((call for call in drawn if call.request is one), key=lambda call: call.kind != PICKUP)
        order.append(mine[sum(call.request is one for call in order)])
    return order


@st.composite
def orders(draw: st.DrawFn) -> tuple[RoutingProblem, Vehicle, list[Item]]:
    """A problem of all that one vehicle is to serve, in some order with pickups first, its breaks placed or not."""
    problem = draw(problems(most_requests=4))
    assume(problem.vehicles)
    vehicle = draw(st.sampled_from(problem.vehicles))
    able = [request for request in problem.requests if can_carry(vehicle, request)]
    requests = tuple(able[: draw(st.integers(1, 4))])
    assume(requests)
    items: list[Item] = [*in_some_order(draw, requests)]
    for rest in vehicle.breaks if draw(st.booleans()) else ():
        items.insert(draw(st.integers(0, len(items))), rest)
    alone = replace(problem, requests=requests, shares=(), fleet_limits=(), hub_limits=())
    return alone, vehicle, items


@given(orders())
@settings(deadline=None, max_examples=60)
def test_the_judge_finds_nothing_wrong_with_a_timed_route(order: tuple[RoutingProblem, Vehicle, list[Item]]) -> None:
    problem, vehicle, items = order
    while items and (timed := ride(problem, vehicle, items)) is None:
        last = problem.requests[-1]  # without it there is more room for the others
        problem = replace(problem, requests=problem.requests[:-1])
        items = [item for item in items if isinstance(item, Break) or item.request is not last]
        items = items if problem.requests else []
    event(f"{len(items)} stops and breaks")
    if not items or timed is None:
        return
    assert check(problem, Plan((timed,), ())) == []
    assert [(one.request_id, one.kind, one.number) for one in timed.visits] == [
        (item.request.id, item.kind, item.number) for item in items if isinstance(item, Call)
    ]
    assert ride(problem, vehicle, calls_of(problem, timed)) == timed


def steps(draw: st.DrawFn, least: int, most: int) -> int:
    return draw(st.integers(least, most))


@st.composite
def minutes(draw: st.DrawFn) -> tuple[RoutingProblem, Vehicle, list[Item]]:
    """A vehicle with a dozen seconds, up to five stops in some order, and every rule of time."""
    size = steps(draw, 1, 3)
    cells = np.array(draw(st.lists(st.integers(0, 2), min_size=size * size, max_size=size * size)))

    def a_stop() -> Stop:
        start = steps(draw, -1, 6)
        end = start + draw(st.sampled_from([12, 4, 0]))
        closures = [steps(draw, 0, 9) for _ in range(draw(st.sampled_from([0, 0, 1, 2])))]
        return Stop(
            steps(draw, 0, size - 1),
            start,
            end,
            steps(draw, 0, 2),
            latest_seconds=draw(st.sampled_from([None, None, end, end + 3])),
            late_price=steps(draw, 0, 2),
            closures=tuple(Span(at, at + draw(st.sampled_from([3, 1, 0]))) for at in closures),
        )

    requests = []
    for number in range(steps(draw, 1, 2)):
        pickups = tuple(a_stop() for _ in range(draw(st.sampled_from([1, 1, 2 - number]))))
        limit = draw(st.none() | st.integers(0, 5))
        requests.append(Request(f"r{number}", pickups, (a_stop(),), ride_seconds_at_most=limit))
    end, clock, rests = steps(draw, 8, 13), 0, []
    for _ in range(draw(st.sampled_from([0, 0, 1, 2]))):
        start, length = steps(draw, -1, 8), steps(draw, 0, 3)
        clock = max(start, clock) + length
        if clock <= end:
            rests.append(Break(start, clock - length + steps(draw, 0, 4), length))
    vehicle = Vehicle("v", steps(draw, 0, size - 1), steps(draw, 0, size - 1), 0, end, breaks=tuple(rests))
    vehicle = replace(vehicle, ride_permille=draw(st.sampled_from([1_000, 1_000, 1_400])))
    matrix = cells.reshape(size, size)
    problem = RoutingProblem(("a", "b", "c")[:size], tuple(requests), (vehicle,), matrix, matrix)
    items: list[Item] = [*in_some_order(draw, requests)]
    for rest in rests if draw(st.sampled_from([False, False, True])) else ():
        items.insert(steps(draw, 0, len(items)), rest)
    return problem, vehicle, items


def timings(problem: RoutingProblem, vehicle: Vehicle, items: Sequence[Item]) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Try every second for everything: when the vehicle is home and when each stop begins, for each way that holds."""
    order = [item for item in items if isinstance(item, Call)]
    told = [
        sum(isinstance(one, Call) for one in items[:at]) for at, item in enumerate(items) if isinstance(item, Break)
    ]
    places = [vehicle.start_point, *(call.request.stop(call.kind, call.number).point for call in order)]
    places.append(vehicle.end_point)

    def go(
        position: int, clock: int, taken: int, starts: tuple[int, ...], home: int
    ) -> Iterator[tuple[int, tuple[int, ...]]]:
        if clock > vehicle.shift_end_seconds:
            return
        if taken < len(vehicle.breaks) and (not told or told[taken] == min(position, len(order))):
            rest = vehicle.breaks[taken]
            for start in range(max(clock, rest.window_start_seconds), rest.window_end_seconds + 1):
                yield from go(position, start + rest.length_seconds, taken + 1, starts, home)
        if position > len(order):
            if taken == len(vehicle.breaks):
                yield home, starts
            return
        ride_thousandths = int(problem.travel_seconds[places[position], places[position + 1]]) * vehicle.ride_permille
        clock += ride_thousandths // 1_000 + (ride_thousandths % 1_000 > 0)
        if position == len(order):
            yield from go(position + 1, clock, taken, starts, clock)
            return
        request, kind, number = order[position]
        stop = request.stop(kind, number)
        limit = vehicle.shift_end_seconds if request.ride_seconds_at_most is None else request.ride_seconds_at_most
        for start in range(max(clock, stop.window_start_seconds), vehicle.shift_end_seconds + 1):
            is_open = not any(start in range(*closure) for closure in stop.closures)
            is_in_time = start <= (stop.latest_seconds if stop.latest_seconds is not None else stop.window_end_seconds)
            aboard = [
                start - starts[at] - call.request.stop(call.kind, call.number).service_seconds
                for at, call in enumerate(order[:position])
                if kind is DROP and call.request is request and call.kind is PICKUP
            ]
            if is_open and is_in_time and max(aboard, default=0) <= limit:
                yield from go(position + 1, start + stop.service_seconds, taken, (*starts, start), home)

    return go(0, vehicle.shift_start_seconds, 0, (), 0)


def late(items: Sequence[Item], starts: Sequence[int]) -> int:
    stops = [item.request.stop(item.kind, item.number) for item in items if isinstance(item, Call)]
    pairs = zip(stops, starts, strict=True)
    return sum(one.late_price * (at - one.window_end_seconds) for one, at in pairs if at > one.window_end_seconds)


@given(minutes())
@settings(deadline=None, max_examples=300)
def test_an_order_is_refused_only_where_no_timing_exists(order: tuple[RoutingProblem, Vehicle, list[Item]]) -> None:
    problem, vehicle, items = order
    timed = ride(problem, vehicle, items)
    every = list(timings(problem, vehicle, items))
    event(f"{timed is not None}")
    assert (timed is not None) == bool(every)
    if timed is not None:
        assert check(problem, Plan((timed,), ())) == []
        starts = tuple(one.start_seconds for one in timed.visits)
        best = min((late(items, tried), home) for home, tried in every)
        assert (late(items, starts), timed.end_seconds) == best
        if not vehicle.breaks:
            assert starts == tuple(map(min, zip(*(tried for _, tried in every), strict=True)))
