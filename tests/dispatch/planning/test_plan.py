"""What a plan sums up, what it costs, and who may carry what."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from services.dispatch.planning.check import ViolationKind, check
from services.dispatch.planning.plan import (
    BreakTaken,
    LeftOut,
    Plan,
    Reason,
    ReasonCode,
    Route,
    Visit,
    can_carry,
    cost,
    is_equipped,
    rank,
)
from services.dispatch.planning.problem import (
    Objective,
    Prices,
    RoutingProblem,
    Share,
    Stop,
    StopKind,
    Vehicle,
    pair,
)
from services.dispatch.planning.schedule import Call, Item, ride
from tests.strategies import problems

PICKUP, DROP = StopKind.PICKUP, StopKind.DROP
OPEN = (0, 9_000)
REQUEST = pair("r", Stop(1, 700, 950, 60, latest_seconds=1_100, late_price=7), Stop(2, *OPEN, 30), (5, 2))
VEHICLE = Vehicle("v", 0, 0, 500, 5_000, (5, 2), skills=frozenset({"trailer"}), group="north", fixed_price=1_000)
PROBLEM = RoutingProblem(
    points=("depot", "a", "b"),
    requests=(REQUEST, replace(REQUEST, id="s"), replace(REQUEST, id="t", left_out_price=40)),
    vehicles=(VEHICLE, replace(VEHICLE, id="w", group="south", fixed_price=0)),
    travel_seconds=np.array([[0, 100, 200], [110, 0, 300], [210, 310, 0]]),
    travel_metres=np.array([[0, 1, 2], [3, 0, 4], [5, 6, 0]]),
)
ROUTE = Route(
    vehicle_id="v",
    start_seconds=900,
    visits=(Visit("r", PICKUP, 1, 1_000, 1_000, 1_060, (5, 2)), Visit("r", DROP, 2, 1_360, 1_360, 1_390, (0, 0))),
    end_seconds=1_600,
    travel_seconds=610,
    travel_metres=10,
    breaks=(BreakTaken(2, 2_000, 2_600),),
)
SECOND = replace(
    ROUTE, vehicle_id="w", visits=tuple(replace(visit, request_id="s") for visit in ROUTE.visits), end_seconds=1_640
)
PLAN = Plan((ROUTE, SECOND), (LeftOut("t"),))


def test_a_plan_sums_its_routes_and_lists_what_it_serves() -> None:
    assert (PLAN.travel_seconds, PLAN.travel_metres, PLAN.planned) == (1_220, 20, ("r", "s"))


def test_a_request_with_several_stops_is_listed_once() -> None:
    again = replace(ROUTE.visits[0], request_id="s", number=1)
    assert replace(ROUTE, visits=(*ROUTE.visits, again, again)).request_ids == ("r", "s")


def test_the_reasons_of_a_request_left_out_are_told_once_and_in_order() -> None:
    reasons = (Reason(ReasonCode.SHIFT, "v"), Reason(ReasonCode.SKILL, "w"), Reason(ReasonCode.SHIFT, "w"))
    assert LeftOut("r", reasons).codes == (ReasonCode.SKILL, ReasonCode.SHIFT)


@pytest.mark.parametrize(
    ("prices", "expected"),
    [
        ({"ride_second": 0}, 0),
        ({"ride_second": 3}, 3 * 1_220),
        ({"ride_second": 0, "ride_metre": 2}, 40),
        ({"ride_second": 0, "balance_per_second": 11}, 440),
        ({"ride_second": 0, "below_share": 500}, 500),
    ],
)
def test_each_price_is_counted(prices: dict[str, int], expected: int) -> None:
    """Of three requests, 667 thousandths are two and 333 thousandths none."""
    priced = replace(PROBLEM, prices=Prices(**prices), shares=(Share("south", 667), Share("east", 333)))
    left_out, vehicles, late = 40, 1_000, 2 * 50 * 7
    assert cost(priced, PLAN) == expected + left_out + vehicles + late


def test_a_plan_of_nothing_costs_what_it_leaves_out() -> None:
    nothing = Plan((), tuple(LeftOut(request.id) for request in PROBLEM.requests))
    assert cost(PROBLEM, nothing) == 2 * PROBLEM.worst_cost + 40


def test_plans_are_ranked_by_cost_or_by_requests_and_vehicles_first() -> None:
    assert rank(PROBLEM, PLAN) == (0, 0, 0, cost(PROBLEM, PLAN))
    first = replace(PROBLEM, objective=Objective.VEHICLES_FIRST)
    assert rank(first, PLAN) == (0, 1, 2, cost(PROBLEM, PLAN))


def ridden(problem: RoutingProblem) -> Plan:
    """Give each vehicle in turn every request that it can ride after those it has."""
    routes, left = [], list(problem.requests)
    for vehicle in problem.vehicles:
        items: list[Item] = []
        timed = None
        for request in [*left]:
            more = [*items, *(Call(request, kind, number) for kind, number, _ in request.stops)]
            longer = ride(problem, vehicle, more)
            if longer:
                timed, items = longer, more
                left.remove(request)
        routes += [timed] if timed else []
    return Plan(tuple(routes), tuple(LeftOut(request.id) for request in left))


@given(problems())
@settings(deadline=None, max_examples=60)
def test_the_cost_is_that_of_the_matrices_and_clocks(problem: RoutingProblem) -> None:
    plan = ridden(problem)
    prices, total = problem.prices, 0.0
    served = dict.fromkeys((share.group for share in problem.shares), 0)
    days = []
    for route in plan.routes:
        (vehicle,) = (one for one in problem.vehicles if one.id == route.vehicle_id)
        places = [vehicle.start_point, *(visit.point for visit in route.visits), vehicle.end_point]
        for here, there in pairwise(places):
            total += prices.ride_second * np.ceil(problem.travel_seconds[here, there] * vehicle.ride_permille / 1_000)
            total += prices.ride_metre * problem.travel_metres[here, there]
        total += vehicle.fixed_price
        days.append(route.end_seconds - route.start_seconds)
        for request in problem.requests:
            mine = [visit for visit in route.visits if visit.request_id == request.id]
            if mine and vehicle.group in served:
                served[vehicle.group] += 1
            for visit in mine:
                stop = (request.pickups if visit.kind is PICKUP else request.drops)[visit.number]
                if visit.start_seconds > stop.window_end_seconds:
                    total += stop.late_price * (visit.start_seconds - stop.window_end_seconds)
    total += prices.balance_per_second * (max(days) - min(days)) if days else 0
    for share in problem.shares:
        should = int(len(problem.requests) * share.at_least_permille / 1_000)
        total += prices.below_share * (should - served[share.group]) if should > served[share.group] else 0
    assert total < problem.worst_cost, "leaving out what has no price is always worse"
    for item in plan.left_out:
        (request,) = (one for one in problem.requests if one.id == item.request_id)
        priceless = problem.worst_cost * request.left_out_weight
        total += priceless if request.left_out_price is None else request.left_out_price
    assert cost(problem, plan) == total
    judged = replace(problem, shares=(), fleet_limits=(), hub_limits=())
    assert {violation.kind for violation in check(judged, plan)} <= {ViolationKind.LOCK_BROKEN}


@pytest.mark.parametrize(
    "changes",
    [
        {"locked_to": "w"},
        {"allowed_vehicles": frozenset({"w"})},
        {"allowed_vehicles": frozenset[str]()},
        {"forbidden_vehicles": frozenset({"v"})},
        {"allowed_groups": frozenset({"south"})},
        {"forbidden_groups": frozenset({"north"})},
        {"skills": frozenset({"trailer", "cold"})},
        {"pickups": (Stop(1, *OPEN, loads=(3, 1)), Stop(1, *OPEN, loads=(3, 1)))},
        {"pickups": (Stop(1, *OPEN, loads=(5, 3)),)},
    ],
)
def test_who_may_not_or_cannot_carry_a_request(changes: dict[str, Any]) -> None:
    assert not can_carry(VEHICLE, replace(REQUEST, **changes))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"locked_to": "v"},
        {"allowed_vehicles": frozenset({"v", "w"})},
        {"forbidden_vehicles": frozenset({"w"})},
        {"allowed_groups": frozenset({"north"})},
        {"forbidden_groups": frozenset({"south"})},
        {"skills": frozenset({"trailer"})},
        {"pickups": (), "drops": (Stop(1, *OPEN, loads=(50, 50)),)},
    ],
)
def test_who_can_carry_a_request(changes: dict[str, Any]) -> None:
    assert can_carry(VEHICLE, replace(REQUEST, **changes))


def test_whether_a_vehicle_is_equipped_is_asked_by_the_request_s_id() -> None:
    named = replace(PROBLEM, requests=(replace(REQUEST, allowed_vehicles=frozenset({"w"})),))
    assert [is_equipped(named, vehicle, "r") for vehicle in named.vehicles] == [False, True]
