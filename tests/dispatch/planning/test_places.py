"""Places are priced from below, all at once: none that can be ridden is missing, none costs less than was said."""

from dataclasses import replace

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.dispatch.planning import places as module
from services.dispatch.planning.near import ChangePrices, Near, StopKey, starts_of
from services.dispatch.planning.places import Line, places
from services.dispatch.planning.plan import LeftOut, Plan, Route, can_carry
from services.dispatch.planning.problem import Break, FaultyProblem, Request, RoutingProblem, Span, Stop, Vehicle, pair
from services.dispatch.planning.replan import insert
from services.dispatch.planning.schedule import Call, Item, calls_of, ride
from tests.strategies import examples, problems

MOVED_MINUTE = 7
BOUNDED = settings(deadline=None, max_examples=examples(60), suppress_health_check=list(HealthCheck))


def price_of(problem: RoutingProblem, route: Route, starts: dict[StopKey, int]) -> int:
    """Return what a route costs to ride, its lateness and its moved minutes."""
    price = problem.prices.ride_second * route.travel_seconds + problem.prices.ride_metre * route.travel_metres
    for visit in route.visits:
        stop = problem.requests_by_id[visit.request_id].stop(visit.kind, visit.number)
        price += stop.late_price * max(0, visit.start_seconds - stop.window_end_seconds)
        start = starts.get((visit.request_id, visit.kind, visit.number))
        if start is not None:
            price += MOVED_MINUTE * -(-abs(visit.start_seconds - start) // 60)
    return price


def blocks(items: list[Item], request: Request) -> list[list[int]]:
    """Return every order of the items with the pickups together, and the drops together behind them."""
    length, pickups = len(items), len(request.pickups)
    first = list(range(length, length + pickups))
    last = list(range(length + pickups, length + len(request.stops)))
    old = list(range(length))
    found = []
    for end in range(length + 1):
        for begin in range(end + 1) if pickups else [end]:
            found.append([*old[:begin], *first, *old[begin:end], *last, *old[end:]])
    return found


def line(first: Stop, last: Stop, home_seconds: int) -> tuple[RoutingProblem, Line]:
    """Return a shift from a that calls at b and c, and a request from e to f that is not in it yet.

    Rides take 100 s, but 150 from a to b, 130 from b to c and 1,000 from e to b.
    """
    apart = np.full((6, 6), 100) - 100 * np.eye(6, dtype=np.int64)
    apart[0, 1], apart[1, 2], apart[4, 1] = 150, 130, 1_000
    vehicle = Vehicle("v", 0, 0, 0, home_seconds)
    old = pair("old", first, last)
    problem = RoutingProblem(
        points=tuple("abcdef"),
        requests=(old, pair("new", Stop(4, 0, 100), Stop(5, 200, 9_000))),
        vehicles=(vehicle,),
        travel_seconds=apart,
        travel_metres=apart,
    )
    return problem, Line(vehicle, [Call(old, kind, number) for kind, number, _ in old.stops])


def orders_of(problem: RoutingProblem, one: Line) -> list[list[int]]:
    """Return the orders that may be feasible with the new request."""
    ((orders, _),) = places(problem, [one], problem.requests_by_id["new"], {}, 0)
    found: list[list[int]] = orders.tolist()
    return found


def test_what_leaves_just_enough_time_is_kept() -> None:
    b, c = Stop(1, 0, 9_000), Stop(2, 0, 430)  # by e, f and b: 100, 200, 300, 430 s
    assert [2, 3, 0, 1] in orders_of(*line(b, c, 530))
    assert [2, 3, 0, 1] not in orders_of(*line(b, replace(c, window_end_seconds=429), 530))
    assert not orders_of(*line(b, c, 529))


def test_a_stop_between_both_may_be_reached_at_its_last_moment() -> None:
    b, c = Stop(1, 0, 1_100), Stop(2, 0, 9_000)
    assert [2, 0, 3, 1] in orders_of(*line(b, c, 9_000))
    assert [2, 0, 3, 1] not in orders_of(*line(replace(b, window_end_seconds=1_099), c, 9_000))


def test_who_comes_when_a_site_closes_waits_until_it_opens() -> None:
    b, c = Stop(1, 0, 9_000), Stop(2, 0, 9_000, closures=(Span(430, 600),))
    assert [2, 3, 0, 1] in orders_of(*line(b, c, 700))
    assert [2, 3, 0, 1] not in orders_of(*line(b, c, 699))


@given(problems(most_requests=7), st.data(), st.sampled_from([1, 10**6]))
@BOUNDED
def test_every_order_that_can_be_ridden_is_there_at_no_more_than_it_costs(
    problem: RoutingProblem, data: st.DataObject, together: int
) -> None:
    if not problem.requests:
        return
    request = data.draw(st.sampled_from(problem.requests))
    others = tuple(other for other in problem.requests if other.id != request.id)
    try:
        without = replace(problem, requests=others)
    except FaultyProblem:
        return
    nothing = Plan((), tuple(LeftOut(other.id) for other in others))
    plan = insert(without, Near(nothing, ChangePrices()))
    routes = {route.vehicle_id: route for route in plan.routes}
    starts = {key: start + 90 for key, start in starts_of(plan).items()}
    lines = [
        Line(vehicle, calls_of(problem, routes[vehicle.id]) if vehicle.id in routes else [])
        for vehicle in problem.vehicles
        if can_carry(vehicle, request)
    ]
    calls = [Call(request, kind, number) for kind, number, _ in request.stops]

    before = module.MOST_TOGETHER
    module.MOST_TOGETHER = together  # in one go, or each line by itself
    try:
        found = places(problem, lines, request, starts, MOVED_MINUTE)
    finally:
        module.MOST_TOGETHER = before

    for (vehicle, items), (orders, prices) in zip(lines, found, strict=True):
        priced = {tuple(order): price for order, price in zip(orders.tolist(), prices.tolist(), strict=True)}
        both = [*items, *calls]
        is_seen_whole = len(vehicle.breaks) == sum(isinstance(item, Break) for item in items) and all(
            item.request.ride_seconds_at_most is None for item in both if isinstance(item, Call)
        )
        rideable = 0
        for order in blocks(list(items), request):
            route = ride(problem, vehicle, [both[index] for index in order])
            if route is None:
                continue
            rideable += 1
            price = price_of(problem, route, starts)
            assert priced[tuple(order)] <= price
            if is_seen_whole and not vehicle.breaks:
                assert priced[tuple(order)] == price
        if is_seen_whole and not vehicle.breaks:
            assert len(priced) == rideable
