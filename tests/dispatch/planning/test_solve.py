"""Whatever is asked, the solver answers with a plan that can be ridden and loses no request."""

import pickle
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context

import numpy as np
import pytest
from hypothesis import given, settings

from services.dispatch.planning.check import check
from services.dispatch.planning.near import ChangePrices, Near, change_cost
from services.dispatch.planning.plan import Plan, cost, rank
from services.dispatch.planning.problem import TRAILER, Prices, RoutingProblem, Share, Stop, Vehicle, pair
from services.dispatch.planning.reasons import explain
from services.dispatch.planning.solve import Limit, Seconds, Steps, solve
from tests.strategies import examples, problems

DAY = (0, 86_400)


def a_street(requests: list[tuple[int, int]], vehicles: int = 1, **vehicle: object) -> RoutingProblem:
    """A street of eleven points 100 seconds and 400 metres apart, everything open all day, depot at point 0."""
    apart = np.abs(np.arange(11)[:, None] - np.arange(11)[None, :])
    given = {"shift_start_seconds": 0, "shift_end_seconds": 86_400, "capacities": (10,)} | vehicle
    return RoutingProblem(
        points=tuple(f"p{index}" for index in range(11)),
        requests=tuple(
            pair(f"r{index}", Stop(start, *DAY, 60), Stop(end, *DAY, 60), (4,))
            for index, (start, end) in enumerate(requests)
        ),
        vehicles=tuple(Vehicle(f"v{index}", 0, 0, **given) for index in range(vehicles)),  # type: ignore[arg-type]
        travel_seconds=apart * 100,
        travel_metres=apart * 400,
    )


@given(problems())
@settings(deadline=None)
def test_every_plan_is_rideable_and_loses_no_request(problem: RoutingProblem) -> None:
    plan = solve(problem, Steps(20))
    assert check(problem, plan) == []
    told = Counter([*plan.planned, *(item.request_id for item in plan.left_out)])
    assert told == Counter(request.id for request in problem.requests)
    assert check(problem, explain(problem, plan)) == []


@pytest.mark.parametrize("seed", range(4))
def test_a_whole_day_is_rideable_and_loses_no_request(seed: int) -> None:
    chance = np.random.default_rng(seed)
    size = 60
    seconds = chance.integers(60, 1_800, (size, size))
    requests = []
    for index in range(50):
        pickup, drop, opens = chance.integers(0, size), chance.integers(0, size), int(chance.integers(0, 20_000))
        length = int(chance.choice([600, 3_600, 30_000]))
        requests.append(
            pair(
                f"r{index}",
                Stop(int(pickup), opens, opens + length, 120),
                Stop(int(drop), opens, opens + length + 3_600, 60),
                tuple(int(load) for load in chance.integers(1, 60, 2)),
                skills=frozenset({TRAILER} if chance.random() < 0.1 else ()),
            )
        )
    vehicles = [
        Vehicle(
            f"v{index}",
            index,
            index,
            3_600 * (index % 3),
            3_600 * (index % 3 + 6),
            (60 + 20 * index, 100),
            frozenset({TRAILER} if index == 0 else ()),
        )
        for index in range(3)
    ]
    names = tuple(f"p{index}" for index in range(size))
    problem = RoutingProblem(names, tuple(requests), tuple(vehicles), seconds, seconds * 4)
    plan = explain(problem, solve(problem, Steps(40), seed=seed))
    assert check(problem, plan) == []
    assert plan.planned
    assert plan.left_out
    assert len(plan.planned) + len(plan.left_out) == 50


@given(problems())
@settings(deadline=None, max_examples=25)
def test_the_same_steps_and_seed_give_the_same_plan(problem: RoutingProblem) -> None:
    assert solve(problem, Steps(10), seed=7) == solve(problem, Steps(10), seed=7)


def test_requests_on_the_way_share_one_ride() -> None:
    plan = solve(a_street([(1, 9), (2, 8)]), Steps(50))
    assert (plan.travel_seconds, plan.travel_metres) == (1_800, 7_200)
    assert plan.left_out == ()


def test_capacity_makes_a_vehicle_ride_twice() -> None:
    problem = a_street([(1, 9)] * 3)
    plan = solve(problem, Steps(50))
    assert plan.left_out == ()
    assert plan.travel_seconds == 3_400  # two of them fit at once
    assert check(problem, plan) == []


def test_as_many_as_possible_are_served_even_if_that_is_a_longer_ride() -> None:
    far = a_street([(10, 9), (9, 10)], shift_end_seconds=2_300)
    near = pair("near", Stop(1, 1_000, 1_000, 60), Stop(2, *DAY, 60), (4,))
    either = RoutingProblem(far.points, (near, *far.requests), far.vehicles, far.travel_seconds, far.travel_metres)
    plan = solve(either, Steps(50))
    assert sorted(plan.planned) == ["r0", "r1"]  # and not the near one alone, ridden in 400 seconds


def test_a_vehicle_that_costs_is_not_used_without_need() -> None:
    requests = [(5, 6), (6, 5)]
    assert len(solve(a_street(requests, 2, fixed_price=10_000), Steps(50)).routes) == 1


def test_requests_pay_together_for_a_vehicle_that_none_of_them_pays_for() -> None:
    street = a_street([(1, 2), (2, 3), (3, 4)], 2, fixed_price=14_400)
    problem = replace(street, requests=tuple(replace(one, left_out_price=14_000) for one in street.requests))
    plan = solve(problem, Steps(500))
    assert len(plan.routes) == 1
    assert plan.left_out == ()
    assert cost(problem, plan) == 14_400 + 800


def test_the_vehicle_leaves_late_enough_not_to_wait_at_its_first_stop() -> None:
    problem = a_street([(3, 4)])
    late = RoutingProblem(
        problem.points,
        (pair("r", Stop(3, 36_000, 40_000, 60), Stop(4, 0, 86_400, 60), (4,)),),
        problem.vehicles,
        problem.travel_seconds,
        problem.travel_metres,
    )
    (route,) = solve(late, Steps(5)).routes
    assert (route.start_seconds, route.visits[0].arrival_seconds) == (35_700, 36_000)


@pytest.mark.parametrize("limit", [Steps(5), Seconds(0.05)])
def test_nothing_to_do_and_nobody_to_do_it_are_plans_too(limit: Limit) -> None:
    assert solve(a_street([]), limit) == Plan((), ())
    assert [item.request_id for item in solve(a_street([(1, 2)], vehicles=0), limit).left_out] == ["r0"]
    nowhere = np.zeros((0, 0), dtype=np.int64)
    assert solve(RoutingProblem((), (), (), nowhere, nowhere), limit) == Plan((), ())


def test_a_vehicle_whose_shift_is_too_short_to_go_home_disturbs_nobody() -> None:
    problem = a_street([(1, 2)], vehicles=1)
    stuck = Vehicle("stuck", 0, 10, 0, 1, (10,))
    with_stuck = RoutingProblem(
        problem.points, problem.requests, (stuck, *problem.vehicles), problem.travel_seconds, problem.travel_metres
    )
    assert [route.vehicle_id for route in solve(with_stuck, Steps(5)).routes] == ["v0"]


def test_a_request_left_aside_for_lack_of_time_is_still_put_where_it_fits() -> None:
    problem = a_street([(index % 10, 10) for index in range(40)], vehicles=8)
    plan = solve(problem, Seconds(0.001))
    assert check(problem, plan) == []


def test_the_time_limit_is_kept() -> None:
    problem = a_street([(index % 10, 10) for index in range(40)], vehicles=8)
    began = time.monotonic()
    solve(problem, Seconds(0.3))
    assert time.monotonic() - began < 3  # a generous bound: the machine is shared


def test_each_better_plan_is_shown_and_can_be_ridden() -> None:
    problem = a_street([(index % 10, (index * 7) % 11) for index in range(12)], vehicles=3)
    seen: list[Plan] = []
    plan = solve(problem, Steps(100), watch=lambda _seconds, better: seen.append(better))
    assert seen[-1] == plan
    assert all(check(problem, better) == [] for better in seen)
    ranks = [rank(problem, better) for better in seen]
    assert ranks == sorted(ranks, reverse=True)


def test_it_runs_in_a_worker_process() -> None:
    problem = a_street([(1, 9), (2, 8)])
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as workers:
        plan = workers.submit(solve, problem, Steps(20)).result(timeout=60)
    assert plan == solve(pickle.loads(pickle.dumps(problem)), Steps(20))


def test_the_second_engine_answers_the_same_question() -> None:
    problem = a_street([(1, 9), (2, 8)])
    assert solve(problem, Steps(20), engine="ortools").travel_seconds == 1_800
    with pytest.raises(ValueError, match="engine"):
        solve(problem, Steps(1), engine="abacus")


def test_a_search_that_is_told_to_stop_gives_what_it_has() -> None:
    problem = a_street([(index % 10, 10) for index in range(40)], vehicles=8)
    began = time.monotonic()
    plan = solve(problem, Seconds(60), should_stop=lambda: True)
    assert time.monotonic() - began < 30
    assert check(problem, plan) == []
    assert plan.planned


def test_a_small_day_ends_before_its_time() -> None:
    began = time.monotonic()
    solve(a_street([(1, 9)]), Seconds(300))
    assert time.monotonic() - began < 60


def test_a_group_gets_the_share_that_the_contract_says() -> None:
    street = a_street([(1, 2), (2, 3), (1, 3), (3, 1)])
    vehicles = (Vehicle("ours", 0, 0, *DAY, (10,), group="near"), Vehicle("theirs", 10, 10, *DAY, (10,), group="far"))
    shared = RoutingProblem(
        street.points,
        street.requests,
        vehicles,
        street.travel_seconds,
        street.travel_metres,
        prices=Prices(below_share=100_000),
        shares=(Share("far", at_least_permille=500),),
    )
    served = {route.vehicle_id: len(route.request_ids) for route in solve(shared, Steps(200)).routes}
    assert served["theirs"] >= 2


@given(problems())
@settings(deadline=None, max_examples=examples(40))
def test_near_a_plan_in_force_no_change_costs_more_than_it_saves(problem: RoutingProblem) -> None:
    in_force = solve(problem, Steps(5), seed=1)
    near = Near(in_force, ChangePrices(moved_order=1_000, moved_minute=1, courier_told=100))
    plan = solve(problem, Steps(30), seed=2, near=near)
    assert check(problem, plan) == []
    before, after = rank(problem, in_force), rank(problem, plan)
    assert (*after[:3], cost(problem, plan) + change_cost(near, plan)) <= before
