"""Routes seen on the way and plans put together from them: nothing is lost, and of a small pool nothing is better."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations
from random import Random

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from services.dispatch.planning.check import check
from services.dispatch.planning.choose import Candidate, choose
from services.dispatch.planning.plan import Plan, cost
from services.dispatch.planning.problem import Objective, RoutingProblem
from services.dispatch.planning.search import recombine
from services.dispatch.planning.search.arrays import Arrays
from services.dispatch.planning.search.recombine import Columns, Recombination, SeenRoutes
from services.dispatch.planning.search.run import COMBINED, SHORT_ROUTE, _Lane, search
from services.dispatch.planning.stop import Seconds, Steps
from tests.dispatch.planning.test_search import long_routes
from tests.strategies import simple_problems


def searched(problem: RoutingProblem, seed: int) -> tuple[_Lane, SeenRoutes]:
    """Return a lane after a short search, and what routes it and another one have seen, absent requests or not."""
    arrays = Arrays(problem)
    seen = SeenRoutes(arrays)
    lanes = [_Lane(arrays, seed, number) for number in range(2)]
    for lane in lanes:
        lane.construct()
        for _ in range(8):
            lane.loosen(3, 300.0, 40, 1.0)
            lane.show(seen.add)
        lane.adopt(lane.rows)
        lane.show(seen.add)
    return lanes[0], seen


def served(columns: Columns, routes: Sequence[int]) -> Counter[int]:
    return Counter(request for number in routes for request in columns.keys[number][1])


def cheapest(columns: Columns, begun: Recombination) -> int:
    """Return what the best plan of the routes seen costs that serves the same with no more vehicles, by trying all."""
    wanted = served(columns, list(begun.plan.values()))
    there = Counter(columns.seen.classes)

    def plans() -> Iterator[int]:
        inside = [number for number, key in enumerate(columns.keys) if key[1] <= set(wanted)]
        for count in range(1, len(begun.plan) + 1):
            for routes in combinations(inside, count):
                classes = Counter(columns.keys[number][0] for number in routes)
                if served(columns, routes) == wanted and classes <= there:
                    yield sum(columns.prices[number] for number in routes)

    return min(plans())


def vehicles_first() -> st.SearchStrategy[RoutingProblem]:
    return simple_problems().map(lambda problem: replace(problem, objective=Objective.VEHICLES_FIRST))


@settings(deadline=None)
@given(vehicles_first(), st.integers(0, 99))
def test_a_recombined_plan_serves_the_same_at_the_least_cost_there_is(problem: RoutingProblem, seed: int) -> None:
    assume(problem.requests and problem.vehicles)
    lane, seen = searched(problem, seed)
    columns = Columns(seen)
    assume(math.comb(len(columns.keys), min(3, len(problem.vehicles))) < 20_000)
    work = Recombination(columns, lane.rows, Random(seed))
    before = seen.arrays.plan_of(lane.rows)
    best = cheapest(columns, work) if work.plan else 0
    while work.improve(10.0):
        pass
    after = seen.arrays.plan_of(work.rows)
    assert check(problem, after) == []
    assert after.left_out == before.left_out
    assert len(after.routes) <= len(before.routes)
    assert cost(problem, after) <= cost(problem, before)
    assert sum(columns.prices[number] for number in work.plan.values()) == best
    lane.adopt(work.rows)
    assert cost(problem, seen.arrays.plan_of(lane.rows)) == cost(problem, after)


@settings(deadline=None)
@given(vehicles_first(), st.integers(0, 99))
def test_a_route_seen_can_be_ridden_and_costs_what_it_says(problem: RoutingProblem, seed: int) -> None:
    assume(problem.requests and problem.vehicles)
    _, seen = searched(problem, seed)
    alone = replace(problem, objective=Objective.PRICES)
    for (kind, requests), (price, v, nodes) in seen.routes.items():
        route = seen.arrays.route_of(v, nodes)
        assert route is not None
        assert kind == seen.classes[v]
        assert {problem.requests[number].id for number in requests} == set(route.request_ids)
        ridden = cost(alone, Plan((route,), ())) - problem.vehicles[v].fixed_price
        assert price - seen.arrays.fixed_price(v) == ridden


def test_of_the_same_requests_the_cheapest_route_is_kept_and_of_too_many_the_latest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    arrays = Arrays(long_routes(3))
    seen = SeenRoutes(arrays)
    alone = [arrays.rows_of(search(replace(arrays.problem, requests=(r,)), Steps(1))) for r in arrays.problem.requests]
    other_order = alone[0].copy()
    other_order[0, 2:4] = alone[0][0, 3:1:-1]

    def add(rows: np.ndarray, price: int) -> None:
        seen.add(rows, np.array([price, 0]))

    add(alone[0], 50)
    add(other_order, 40)
    add(alone[0], 30)  # the same sequence: it is not looked at again
    assert [price for price, *_ in seen.routes.values()] == [40]
    monkeypatch.setattr(recombine, "MOST_SEEN", 2)
    add(alone[1], 70)
    add(alone[2], 80)
    assert [sorted(requests) for _, requests in seen.routes] == [[1], [2]]
    add(other_order, 40)  # seen, and gone
    assert [sorted(requests) for _, requests in seen.routes] == [[1], [2]]
    seen.add_for_sure(other_order, np.array([40, 0]))
    assert [sorted(requests) for _, requests in seen.routes] == [[1], [2], [0]]


def a_choice(
    requests: int, vehicles: int, routes: Sequence[tuple[Sequence[int], int, int]], plan: Sequence[int]
) -> Recombination:
    """Return a plan of some of these routes: their requests, the price of their rides and their vehicles."""
    problem = long_routes(requests)
    own = [replace(problem.vehicles[0], id=f"v{k}") for k in range(vehicles)]
    own[0] = replace(own[0], shift_end_seconds=190_000)  # a class of its own
    arrays = Arrays(replace(problem, vehicles=tuple(own)))
    seen = SeenRoutes(arrays)
    for wanted, price, v in routes:
        nodes = np.array([node for r in wanted for node in (2 * r, 2 * r + 1)], dtype=np.int32)
        seen.routes[seen.key_of(v, nodes)] = (price + arrays.fixed_price(v), v, nodes)
    rows = arrays.empty_rows()
    for number in plan:
        _, v, nodes = list(seen.routes.values())[number]
        rows[v, 0], rows[v, 1 : len(nodes) + 1] = len(nodes), nodes
    return Recombination(Columns(seen), rows, Random(0))


def chosen_of(work: Recombination) -> set[frozenset[int]] | None:
    everything = range(len(work.columns.keys))
    chosen = work._choose(list(work.plan), list(everything), 10.0)
    return None if chosen is None else {work.columns.keys[number][1] for number in chosen}


def test_no_more_vehicles_ride_than_before_however_cheap() -> None:
    routes = [([0, 1], 50, 1), ([2, 3], 50, 2), *(([r], 5, 3) for r in range(4))]
    assert chosen_of(a_choice(4, 5, routes, [0, 1])) is None
    routes += [([1, 2, 3], 60, 3)]
    assert chosen_of(a_choice(4, 5, routes, [0, 1])) == {frozenset([0]), frozenset([1, 2, 3])}


def test_no_more_vehicles_of_a_class_ride_than_there_are() -> None:
    routes = [([0, 1], 50, 0), ([2, 3], 50, 1), ([0, 2], 10, 0), ([1, 3], 10, 0), ([0, 3], 40, 0), ([1, 2], 40, 1)]
    assert chosen_of(a_choice(4, 3, routes, [0, 1])) == {frozenset([0, 3]), frozenset([1, 2])}


@pytest.mark.parametrize("seed", range(3))
def test_a_small_gain_is_found_however_dear_vehicles_are(seed: int) -> None:
    chance = Random(seed)
    plan = [((k, k + 1, k + 2), 100_000, 1 + k // 3) for k in range(0, 24, 3)]
    drawn = {tuple(sorted(chance.sample(range(24), 3))): chance.randint(99_990, 100_010) for _ in range(250)}
    for wanted, *_ in plan:
        drawn.pop(wanted, None)
    routes = [*plan, *((wanted, price, 1) for wanted, price in drawn.items())]
    work = a_choice(24, 10, routes, range(len(plan)))
    columns = work.columns
    pool = [Candidate(1, requests, price) for (_, requests), price in zip(columns.keys, columns.prices, strict=True)]
    alike = replace(columns.seen.arrays.problem, vehicles=columns.seen.arrays.problem.vehicles[1:])
    found = choose(alike, [replace(one, vehicle=0) for one in pool], seconds=60, hint=range(len(plan)))
    chosen = work._choose(list(work.plan), list(range(len(pool))), 60.0)
    assert chosen is not None and found is not None
    assert sum(columns.prices[number] for number in chosen) == sum(pool[number].price for number in found) < 800_000


def test_parts_grow_where_they_lead_to_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recombine, "PART_ROUTES", 1)
    problem = replace(
        long_routes(12), vehicles=tuple(replace(long_routes(1).vehicles[0], id=f"v{k}") for k in range(4))
    )
    arrays = Arrays(problem)
    seen = SeenRoutes(arrays)
    lane = _Lane(arrays, 0, 0)
    quarters = [replace(problem, requests=problem.requests[k::4]) for k in range(4)]
    plan = Plan(
        tuple(
            replace(search(quarter, Steps(50), lanes=1).routes[0], vehicle_id=f"v{k}")
            for k, quarter in enumerate(quarters)
        ),
        (),
    )
    lane.adopt(arrays.rows_of(plan))
    lane.show(seen.add)
    work = Recombination(Columns(seen), lane.rows, Random(0))
    sizes = []
    choose = work._choose

    def chosen(part: Sequence[int], inside: Sequence[int], seconds: float) -> list[int] | None:
        sizes.append(len(part))
        return choose(part, inside, seconds)

    monkeypatch.setattr(work, "_choose", chosen)
    for _ in range(200):
        if not work.improve(1.0):
            break
    assert sizes[:5] == [1] * 5
    assert sizes[-1] == 4
    assert sizes == sorted(sizes)
    assert np.array_equal(work.rows, lane.rows)


@pytest.mark.parametrize(
    ("requests", "objective", "most"),
    [(5, Objective.VEHICLES_FIRST, COMBINED), (5, Objective.PRICES, 0), (SHORT_ROUTE, Objective.VEHICLES_FIRST, 0)],
)
def test_a_search_recombines_last_where_vehicles_come_first_and_routes_are_short(
    requests: int, objective: Objective, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, improve = [], Recombination.improve

    def improved(work: Recombination, seconds: float) -> bool:
        calls.append(seconds)
        improve(work, seconds)
        return True

    monkeypatch.setattr(Recombination, "improve", improved)
    problem = replace(long_routes(requests), objective=objective)
    plan = search(problem, Steps(2_000), lanes=1)
    assert len(calls) == most
    assert check(problem, plan) == []
    assert search(problem, Steps(2_000)) == search(problem, Steps(2_000))
    calls.clear()
    search(problem, Seconds(1.0), lanes=1)
    assert bool(calls) == bool(most)
    assert all(0 < seconds <= 0.5 for seconds in calls)
