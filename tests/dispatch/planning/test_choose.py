"""The best plan of a pool under the rules that couple vehicles: as brute force over all its subsets finds it."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.dispatch.planning.choose import Candidate, _Choice, _most_promising, choose, vehicle_classes
from services.dispatch.planning.problem import (
    FleetLimit,
    HubLimit,
    Objective,
    Prices,
    Request,
    RoutingProblem,
    Share,
    Stop,
    Vehicle,
    pair,
)

LOCKED = {"locked_to": "v0"}


def a_request(number: int, **rules: Any) -> Request:
    stop = Stop(0, 0, 3600)
    return pair(f"r{number}", stop, stop, **rules)


def a_vehicle(number: int, group: str = "", fixed_price: int = 0) -> Vehicle:
    return Vehicle(f"v{number}", 0, 0, 0, 3600, group=group, fixed_price=fixed_price)


def a_problem(requests: Sequence[Request], vehicles: Sequence[Vehicle], **rules: Any) -> RoutingProblem:
    matrix = np.zeros((1, 1), dtype=np.int64)
    return RoutingProblem(("somewhere",), tuple(requests), tuple(vehicles), matrix, matrix, **rules)


def a_candidate(
    requests: Sequence[int], price: int, vehicle: int = 0, day: int = 0, hubs: Sequence[int] = ()
) -> Candidate:
    return Candidate(vehicle, frozenset(requests), price, day, frozenset(hubs))


def served(pool: Sequence[Candidate], chosen: Sequence[int] | None) -> list[set[int]]:
    assert chosen is not None
    return sorted((set(pool[index].requests) for index in chosen), key=min)


def chosen_from(problem: RoutingProblem, pool: Sequence[Candidate], hint: Sequence[int] = ()) -> list[int] | None:
    return choose(problem, pool, seconds=20, hint=hint)


FOUR = [a_request(number, left_out_price=100) for number in range(4)]
TWO_EACH = [a_vehicle(0, "a"), a_vehicle(1, "a"), a_vehicle(2, "b"), a_vehicle(3, "b")]


def test_the_cheapest_routes_that_serve_each_request_once_are_chosen() -> None:
    problem = a_problem(FOUR, [a_vehicle(number) for number in range(4)])
    pool = [a_candidate(r, price) for r, price in (([0, 1], 9), ([2, 3], 9), ([0, 1, 2], 8), ([3], 2), ([2], 7))]
    assert served(pool, chosen_from(problem, pool)) == [{0, 1, 2}, {3}]


def test_a_request_that_costs_more_than_its_price_is_left_out() -> None:
    problem = a_problem(FOUR[:2], [a_vehicle(0), a_vehicle(1)])
    pool = [a_candidate([0], 99), a_candidate([1], 101)]
    assert served(pool, chosen_from(problem, pool)) == [{0}]


def test_a_locked_request_is_served_at_any_price() -> None:
    problem = a_problem([a_request(0, left_out_price=1, **LOCKED)], [a_vehicle(0)])
    pool = [a_candidate([0], 50)]
    assert served(pool, chosen_from(problem, pool)) == [{0}]


def test_a_class_has_no_more_routes_than_vehicles() -> None:
    problem = a_problem(FOUR, [a_vehicle(0), a_vehicle(1), a_vehicle(2, fixed_price=5)])
    pool = [a_candidate([number], 10 + number) for number in range(4)]
    assert served(pool, chosen_from(problem, pool)) == [{0}, {1}]


def test_vehicles_that_a_rule_tells_apart_are_of_two_classes() -> None:
    vehicles = [a_vehicle(number) for number in range(6)]
    requests = [a_request(0, **LOCKED), a_request(1, allowed_vehicles=frozenset({"v1"}))]
    requests.append(a_request(2, forbidden_vehicles=frozenset({"v2"})))
    limits = (FleetLimit(frozenset({"v3"}), 1),)
    assert vehicle_classes(a_problem(requests, vehicles, fleet_limits=limits)) == (0, 1, 2, 3, 4, 4)


def test_a_share_is_never_exceeded() -> None:
    problem = a_problem(FOUR, TWO_EACH, shares=(Share("a", at_most_permille=500),))
    pool = [a_candidate([0, 1, 2], 1), a_candidate([3], 1), a_candidate([0, 1], 5), a_candidate([2, 3], 5, vehicle=2)]
    assert served(pool, chosen_from(problem, pool)) == [{0, 1}, {2, 3}]


@pytest.mark.parametrize(("below_share", "expected"), [(1, [{0, 1}, {2, 3}]), (3, [{0, 1, 2}, {3}])])
def test_a_share_not_reached_costs(below_share: int, expected: list[set[int]]) -> None:
    shares = (Share("b", at_least_permille=750),)
    problem = a_problem(FOUR, TWO_EACH, shares=shares, prices=Prices(below_share=below_share))
    pool = [a_candidate([0, 1], 5), a_candidate([2, 3], 5, vehicle=2), a_candidate([0, 1, 2], 6, vehicle=2)]
    pool.append(a_candidate([3], 6))
    assert served(pool, chosen_from(problem, pool)) == expected


def test_a_fleet_limit_holds() -> None:
    limits = (FleetLimit(frozenset({"v0", "v2"}), 1),)
    problem = a_problem(FOUR, TWO_EACH, fleet_limits=limits)
    pool = [a_candidate([0, 1], 1), a_candidate([2, 3], 1, vehicle=2), a_candidate([2, 3], 7, vehicle=3)]
    assert chosen_from(problem, pool) == [0, 2]


def test_a_hub_limit_holds() -> None:
    problem = a_problem(FOUR, TWO_EACH, hub_limits=(HubLimit(0, 1),))
    pool = [a_candidate([0, 1], 1, hubs=[0]), a_candidate([2, 3], 1, hubs=[0]), a_candidate([2, 3], 7)]
    assert chosen_from(problem, pool) == [0, 2]


@pytest.mark.parametrize(("balance", "expected"), [(0, [{0, 1, 2}, {3}]), (1, [{0, 1}, {2, 3}])])
def test_unequal_days_cost(balance: int, expected: list[set[int]]) -> None:
    problem = a_problem(FOUR, TWO_EACH, prices=Prices(balance_per_second=balance))
    pool = [a_candidate([0, 1, 2], 4, day=60), a_candidate([3], 4, day=20)]
    pool += [a_candidate([0, 1], 10, day=45), a_candidate([2, 3], 10, day=40)]
    assert served(pool, chosen_from(problem, pool)) == expected


def test_vehicles_come_before_prices_where_the_problem_says_so() -> None:
    vehicles = [a_vehicle(number) for number in range(4)]
    pool = [a_candidate([0, 1], 1), a_candidate([2, 3], 1), a_candidate([0, 1, 2, 3], 90), a_candidate([0, 1, 2], 1)]
    assert chosen_from(a_problem(FOUR, vehicles), pool) == [0, 1]
    assert chosen_from(a_problem(FOUR, vehicles, objective=Objective.VEHICLES_FIRST), pool) == [2]


def test_a_plan_as_good_as_what_is_known_is_not_told() -> None:
    problem = a_problem(FOUR, TWO_EACH)
    pool = [a_candidate([0, 1], 5), a_candidate([2, 3], 5), a_candidate([0, 1, 2, 3], 10)]
    assert chosen_from(problem, pool, hint=[0, 1]) is None
    assert chosen_from(problem, pool, hint=[0]) is not None


def test_a_known_plan_that_breaks_a_rule_is_replaced_by_a_dearer_one() -> None:
    problem = a_problem(FOUR, TWO_EACH, fleet_limits=(FleetLimit(frozenset({"v0", "v1"}), 1),))
    pool = [a_candidate([0, 1], 5), a_candidate([2, 3], 5)]
    assert chosen_from(problem, pool, hint=[0, 1]) in ([0], [1])


def test_from_no_routes_nothing_is_chosen() -> None:
    assert chosen_from(a_problem(FOUR, TWO_EACH), []) is None
    assert chosen_from(a_problem([a_request(0, **LOCKED)], TWO_EACH), []) is None


def test_with_a_bound_on_the_work_the_answer_is_the_same_again() -> None:
    problem = a_problem(FOUR, TWO_EACH)
    pool = [a_candidate([a, b], 7 + (a * b) % 5) for a in range(4) for b in range(a + 1, 4)]
    answers = [choose(problem, pool, seconds=20, seed=3, deterministic=0.5) for _ in range(3)]
    assert answers[0] is not None
    assert answers[0] == answers[1] == answers[2]


@st.composite
def pools(draw: st.DrawFn) -> tuple[RoutingProblem, list[Candidate], list[int]]:
    """A problem with every rule that couples vehicles, routes for it, and some of them as a hint."""
    count = draw(st.integers(1, 5))
    vehicles = [
        a_vehicle(n, draw(st.sampled_from("ab")), draw(st.sampled_from([0, 7]))) for n in range(draw(st.integers(1, 4)))
    ]
    requests = [
        a_request(
            number,
            left_out_price=draw(st.one_of(st.none(), st.integers(0, 60))),
            locked_to=draw(st.sampled_from([None] * 5 + ["v0"])),
        )
        for number in range(count)
    ]
    permilles = st.sampled_from([0, 250, 500, 1000])
    shares = []
    for group in draw(st.sets(st.sampled_from("ab"))):
        least = min(draw(permilles), 500)
        shares.append(Share(group, least, max(least, draw(permilles))))
    ids = st.sets(st.sampled_from([vehicle.id for vehicle in vehicles])).map(frozenset)
    problem = a_problem(
        requests,
        vehicles,
        prices=Prices(balance_per_second=draw(st.integers(0, 2)), below_share=draw(st.integers(0, 30))),
        objective=draw(st.sampled_from(Objective)),
        shares=tuple(shares),
        fleet_limits=tuple(FleetLimit(draw(ids), draw(st.integers(0, 2))) for _ in range(draw(st.integers(0, 2)))),
        hub_limits=(HubLimit(0, draw(st.integers(0, 2))),),
    )
    candidates = st.builds(
        Candidate,
        st.integers(0, len(vehicles) - 1),
        st.frozensets(st.integers(0, count - 1), min_size=1),
        st.integers(0, 80),
        st.integers(0, 20),
        st.frozensets(st.just(0)),
    )
    pool = draw(st.lists(candidates, max_size=8))
    hint = draw(st.lists(st.integers(0, len(pool) - 1), unique=True, max_size=3)) if pool else []
    return problem, pool, hint


@settings(max_examples=150, deadline=None)
@given(pools())
def test_no_subset_of_the_pool_is_better_than_what_is_chosen(
    case: tuple[RoutingProblem, list[Candidate], list[int]],
) -> None:
    problem, pool, hint = case
    ranks = {
        subset: found
        for size in range(len(pool) + 1)
        for subset in combinations(range(len(pool)), size)
        if (found := rank_of(problem, [pool[index] for index in subset])) is not None
    }
    known = ranks.get(tuple(sorted(hint)))
    chosen = chosen_from(problem, pool, hint)
    best = min(ranks.values(), default=None)
    if chosen is None:
        assert best in (None, known)
    else:
        assert ranks[tuple(sorted(chosen))] == best
        assert known is None or best < known


def rank_of(problem: RoutingProblem, routes: Sequence[Candidate]) -> tuple[int, ...] | None:
    """Return `plan.rank` of these routes, None where they break a rule."""
    classes = vehicle_classes(problem)
    requests = [request for route in routes for request in route.requests]
    absent = set(range(len(problem.requests))) - set(requests)
    if len(requests) != len(set(requests)) or any(problem.requests[r].locked_to is not None for r in absent):
        return None
    for number in set(classes):
        if sum(classes[route.vehicle] == number for route in routes) > classes.count(number):
            return None
    used = [problem.vehicles[route.vehicle] for route in routes]
    for limit in problem.fleet_limits:
        if sum(vehicle.id in limit.vehicles for vehicle in used) > limit.at_most:
            return None
    for number, hub in enumerate(problem.hub_limits):
        if sum(number in route.hubs for route in routes) > hub.at_most:
            return None
    price = sum(route.price for route in routes) + sum(problem.left_out_price(problem.requests[r]) for r in absent)
    for share in problem.shares:
        parts = [len(r.requests) for r, vehicle in zip(routes, used, strict=True) if vehicle.group == share.group]
        if sum(parts) > problem.most(share):
            return None
        price += problem.prices.below_share * max(0, problem.least(share) - sum(parts))
    days = [route.day_seconds for route in routes] or [0]
    price += problem.prices.balance_per_second * (max(days) - min(days))
    return (len(absent), len(routes), price) if problem.objective == "vehicles-first" else (price,)


def test_of_a_large_pool_the_promising_routes_are_weighed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.dispatch.planning.choose.MOST_CANDIDATES", 6)
    problem = a_problem([a_request(n, left_out_price=999) for n in range(12)], [a_vehicle(n) for n in range(12)])
    pool = [a_candidate([a, b], 50 + a) for a in range(12) for b in range(a + 1, 12)]
    pool += [a_candidate(range(first, first + 3), 40) for first in range(0, 12, 3)]
    known = [index for index, one in enumerate(pool) if one.requests in [{a, a + 1} for a in range(0, 12, 2)]]
    assert served(pool, chosen_from(problem, pool, known)) == [{a, a + 1, a + 2} for a in range(0, 12, 3)]


def test_a_linear_relaxation_ends_with_its_time() -> None:
    # Of a thousand requests and twenty thousand routes it takes minutes; to guess instead finds nothing.
    problem = a_problem([a_request(n, left_out_price=999) for n in range(12)], [a_vehicle(n) for n in range(12)])
    choice = _Choice(problem, [a_candidate([a, b], 50 + a) for a in range(12) for b in range(a + 1, 12)], [])
    assert _most_promising(choice, seconds=0) is None
    assert _most_promising(choice, seconds=20) is not None
