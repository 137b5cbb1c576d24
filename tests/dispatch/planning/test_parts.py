"""Parts of a plan that are searched by themselves: nothing is lost or shared, and what is near is in one part."""

from dataclasses import replace
from itertools import pairwise
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.dispatch.planning.check import check
from services.dispatch.planning.plan import Plan
from services.dispatch.planning.problem import FleetLimit, RoutingProblem, Stop, Vehicle, pair
from services.dispatch.planning.search import parts as module
from services.dispatch.planning.search.arrays import Arrays
from services.dispatch.planning.search.parts import PART_REQUESTS, PART_ROUTES, have_parts, parts
from services.dispatch.planning.search.run import PARTS_UNTIL, WHOLE_SHARE, _Lane, _Search, search
from services.dispatch.planning.stop import ALL, Steps
from tests.dispatch.planning.test_search import long_routes
from tests.strategies import problems


def alone(problem: RoutingProblem) -> RoutingProblem:
    """Return the problem without what couples vehicles."""
    uncoupled = replace(problem.prices, balance_per_second=0, below_share=0)
    return replace(problem, shares=(), fleet_limits=(), hub_limits=(), prices=uncoupled)


def towns(count: int, requests: int) -> RoutingProblem:
    """So many spirals, far from each other and as far from the depot, each a day's work for two vehicles at most."""
    town = long_routes(requests)
    size = len(town.points) - 1
    apart = np.full((count * size + 1, count * size + 1), 30_000, np.int64)
    for k in range(count):
        inside = slice(1 + k * size, 1 + (k + 1) * size)
        apart[inside, inside] = town.travel_seconds[1:, 1:]
    apart[np.diag_indices(len(apart))] = 0

    def moved(stop: Stop, k: int) -> Stop:
        begins, ends = stop.window_start_seconds + 30_000, stop.window_end_seconds + 30_000
        return replace(stop, point=stop.point + k * size, window_start_seconds=begins, window_end_seconds=ends)

    return replace(
        town,
        points=tuple(f"p{k}" for k in range(len(apart))),
        requests=tuple(
            pair(f"{k}-{each.id}", moved(each.pickups[0], k), moved(each.drops[0], k))
            for k in range(count)
            for each in town.requests
        ),
        vehicles=tuple(Vehicle(f"v{k}", 0, 0, 0, 300_000) for k in range(2 * count)),
        travel_seconds=apart,
        travel_metres=apart,
    )


def small_parts(monkeypatch: pytest.MonkeyPatch, routes: int, requests: int) -> None:
    monkeypatch.setattr(module, "PART_ROUTES", routes)
    monkeypatch.setattr(module, "PART_REQUESTS", requests)


def test_a_plan_has_parts_where_two_of_them_have_room() -> None:
    assert have_parts(2 * PART_ROUTES, 2 * PART_REQUESTS)
    assert not have_parts(2 * PART_ROUTES - 1, 1_000)
    assert not have_parts(100, 2 * PART_REQUESTS - 1)


@settings(deadline=None)
@given(problems(most_requests=12, most_vehicles=6).map(alone), st.integers(0, 99), st.integers(1, 3))
def test_parts_share_no_route_and_put_back_are_the_plan_they_are_cut_from(
    problem: RoutingProblem, seed: int, count: int
) -> None:
    plan = search(problem, Steps(30), seed)
    if not plan.routes:
        return  # drawn too often to be left to `assume`
    arrays = Arrays(problem)
    rows = arrays.rows_of(plan)
    with pytest.MonkeyPatch.context() as monkeypatch:
        small_parts(monkeypatch, 2, 1)
        found = parts(arrays, rows, Random(seed), count)
    vehicles = [v for part in found for v in part.vehicles]
    assert len(set(vehicles)) == len(vehicles)
    assert bool(found) == (len(plan.routes) > 1)
    assert len(found) <= count
    routes = {route.vehicle_id: route for route in plan.routes}
    for part in found:
        own = part.arrays.plan_of(part.rows)
        assert check(part.arrays.problem, own) == []
        assert own.left_out == ()
        assert {route.vehicle_id for route in own.routes} == {problem.vehicles[v].id for v in part.vehicles}
        for route in own.routes:
            whole = routes[route.vehicle_id]
            assert route.request_ids == whole.request_ids
            assert (route.start_seconds, route.end_seconds) == (whole.start_seconds, whole.end_seconds)
    again = arrays.empty_rows()
    for part in found:
        part.put_back(part.rows, arrays, again)
    assert arrays.plan_of(again).routes == tuple(r for v, r in enumerate(arrays_routes(arrays, plan)) if v in vehicles)


def test_a_vehicle_that_a_part_can_do_without_is_unused_in_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    small_parts(monkeypatch, 2, 1)
    problem = long_routes(6)
    arrays = Arrays(problem)
    one = arrays.rows_of(search(problem, Steps(200)))
    rows = arrays.empty_rows()
    used = int(np.flatnonzero(one[:, 0] > 2)[0])
    nodes = one[used, 2 : one[used, 0]].tolist()
    for v in range(2):  # half of the requests each
        row = [arrays.starts + v, *(node for node in nodes if (node >= 6) == v), arrays.homes + v]
        rows[v, 0], rows[v, 1 : len(row) + 1] = len(row), row
    (part,) = parts(arrays, rows, Random(0), 2)
    assert len(arrays.plan_of(rows).routes) == 2
    part.put_back(one, arrays, rows)  # the part is the whole here
    assert arrays.plan_of(rows) == arrays.plan_of(one)


def arrays_routes(arrays: Arrays, plan: Plan) -> list[object]:
    """Return the route of each vehicle by number, None where it has none."""
    routes = {route.vehicle_id: route for route in plan.routes}
    return [routes.get(vehicle.id) for vehicle in arrays.problem.vehicles]


def test_a_part_is_what_lies_near_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    small_parts(monkeypatch, 2, 1)
    problem = towns(3, 12)
    # Two vehicles for each town: one serves the first of its requests, one the others.
    arrays = Arrays(problem)
    lane = _Lane(arrays, 0, 0)
    rows = arrays.empty_rows()
    for v in range(6):
        nodes = [24 * (v // 2) + 12 * (v % 2) + k for k in range(12)]
        row = [arrays.starts + v, *nodes, arrays.homes + v]
        rows[v, 0], rows[v, 1 : len(row) + 1] = len(row), row
    lane.adopt(rows)
    for seed in range(20):
        found = parts(arrays, rows, Random(seed), 3)
        assert sorted(part.vehicles for part in found) == [[0, 1], [2, 3], [4, 5]]


def test_where_there_are_parts_a_search_loosens_the_whole_first_then_part_by_part(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    small_parts(monkeypatch, 2, 10)
    problem = towns(4, 20)
    one = _Search(problem, 0, None, None, 2, ALL)
    whole: list[float] = []
    inside: list[float] = []
    ended: list[tuple[int, int, float]] = []
    waver, part_by_part = _Lane.waver, _Search._part_by_part

    def wavers(lane: _Lane, *args: object, **told: object) -> None:
        (whole if lane in one.lanes else inside).append(one.clock.done)
        waver(lane, *args, **told)  # type: ignore[arg-type]

    def parted(search: _Search, until: float) -> None:
        before = search.best.best
        part_by_part(search, until)
        ended.append((before, search.best.best, search.clock.done))

    monkeypatch.setattr(_Lane, "waver", wavers)
    monkeypatch.setattr(_Search, "_part_by_part", parted)
    steps = Steps(40_000)
    plan = one.run(steps, None, lambda: False)
    assert check(problem, plan) == []
    assert plan.left_out == ()
    assert whole and inside
    assert max(whole) < min(inside)
    assert max(inside) < PARTS_UNTIL
    middle = whole[0] + WHOLE_SHARE * (0.9 - whole[0])
    assert max(whole) < middle + 0.05
    [(before, after, done)] = ended
    assert after <= before
    assert PARTS_UNTIL <= done < PARTS_UNTIL + 0.02
    assert all(a <= b for a, b in pairwise(inside[::2]))
    monkeypatch.undo()
    small_parts(monkeypatch, 2, 10)
    assert search(problem, steps) == search(problem, steps)


def test_a_plan_whose_vehicles_are_coupled_is_not_searched_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    small_parts(monkeypatch, 2, 10)
    problem, asked = towns(4, 20), list[float]()
    monkeypatch.setattr(_Search, "_part_by_part", lambda _, until: asked.append(until))
    search(problem, Steps(60_000))
    assert len(asked) == 1
    limit = FleetLimit(frozenset(vehicle.id for vehicle in problem.vehicles), len(problem.vehicles) - 1)
    search(replace(problem, fleet_limits=(limit,)), Steps(60_000))
    assert len(asked) == 1
