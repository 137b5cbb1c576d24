"""OR-Tools' routing library as an engine: what it returns can be ridden, whatever is asked."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from services.dispatch.planning.check import check
from services.dispatch.planning.plan import Plan, rank
from services.dispatch.planning.problem import (
    Break,
    FleetLimit,
    HubLimit,
    Objective,
    Prices,
    Request,
    RoutingProblem,
    Share,
    Span,
    Stop,
    StopKind,
    Vehicle,
    pair,
)
from services.dispatch.planning.routing import first_plan, route
from services.dispatch.planning.schedule import MOST_ANY_ORDER
from services.dispatch.planning.stop import Seconds, Steps
from tests.strategies import problems

HOUR = 3600
FROM_THE_HUB = Stop(0, 0, 8 * HOUR, 60)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiny problems need no more."""
    monkeypatch.setattr("services.dispatch.planning.routing.PATIENCE_SECONDS", 0.2)


def a_stop(point: int, **rules: Any) -> Stop:
    return Stop(point, rules.pop("start", 0), rules.pop("end", 8 * HOUR), rules.pop("service", 60), **rules)


def a_request(request_id: str, point: int, load: int = 10, **rules: Any) -> Request:
    return pair(request_id, FROM_THE_HUB, a_stop(point), (load,), **rules)


def a_vehicle(vehicle_id: str, **rules: Any) -> Vehicle:
    return Vehicle(vehicle_id, 0, 0, 0, 8 * HOUR, (100,), **rules)


def a_line(requests: Sequence[Request], vehicles: Sequence[Vehicle], **rules: Any) -> RoutingProblem:
    """Five points on a street, ten minutes and 3 km from one to the next; the hub is the first."""
    steps = np.abs(np.arange(5)[:, None] - np.arange(5))
    names = tuple(f"p{index}" for index in range(5))
    return RoutingProblem(names, tuple(requests), tuple(vehicles), 600 * steps, 3_000 * steps, **rules)


def planned(problem: RoutingProblem, steps: int = 20, **rules: Any) -> dict[str, set[str]]:
    """Return what each vehicle serves in a plan that the judge accepts."""
    plan = route(problem, Steps(steps), **rules)
    assert check(problem, plan) == []
    return {one.vehicle_id: set(one.request_ids) for one in plan.routes}


@settings(max_examples=40, deadline=None)
@given(problems(most_requests=8))
def test_every_plan_can_be_ridden_and_loses_no_request(problem: RoutingProblem) -> None:
    plan = route(problem, Steps(20))
    assert check(problem, plan) == []
    assert sorted([*plan.planned, *(one.request_id for one in plan.left_out)]) == sorted(problem.requests_by_id)


def test_nothing_to_do_is_an_empty_plan() -> None:
    assert route(a_line([], [a_vehicle("v")]), Steps(5)) == Plan((), ())
    assert route(a_line([a_request("a", 1)], []), Steps(5)).planned == ()


def test_several_pickups_and_drops_are_one_ride() -> None:
    request = Request(
        "a",
        (a_stop(3, loads=(20,)), a_stop(1, loads=(10,))),
        (a_stop(2, loads=(25,)), a_stop(4, loads=(5,))),
    )
    plan = route(a_line([request, a_request("b", 2)], [a_vehicle("v"), a_vehicle("w")]), Steps(50))
    [only] = plan.routes
    calls = [(visit.kind, visit.point) for visit in only.visits if visit.request_id == "a"]
    assert [kind for kind, _ in calls] == [StopKind.PICKUP] * 2 + [StopKind.DROP] * 2
    assert only.travel_seconds == 8 * 600


def with_drops(points: Sequence[int]) -> Request:
    return Request("many", (a_stop(0, loads=(len(points),)),), tuple(a_stop(point, loads=(1,)) for point in points))


def test_a_few_drops_are_put_into_the_cheapest_order() -> None:
    points = [4, 1, 3, 2, 4][:MOST_ANY_ORDER]
    [only] = first_plan(a_line([with_drops(points)], [a_vehicle("v")])).routes
    assert len(only.visits) == 1 + len(points)
    assert only.travel_seconds == 8 * 600


def test_many_drops_are_planned_in_the_order_given() -> None:
    points = [1, 2] * 11
    problem = a_line([with_drops(points), a_request("b", 2)], [a_vehicle("v"), a_vehicle("w")])
    found = first_plan(problem)
    assert check(problem, found) == []
    [drops] = [
        [visit.point for visit in one.visits if visit.request_id == "many" and visit.kind is StopKind.DROP]
        for one in found.routes
        if "many" in one.request_ids
    ]
    assert drops == points
    assert sorted(request for served in planned(problem).values() for request in served) == ["b", "many"]


def test_a_site_that_is_closed_is_waited_for() -> None:
    drop = a_stop(1, closures=(Span(0, 2 * HOUR), Span(2 * HOUR, 3 * HOUR)))
    problem = a_line([pair("a", FROM_THE_HUB, drop, (1,))], [a_vehicle("v")])
    [only] = route(problem, Steps(5)).routes
    assert only.visits[-1].start_seconds == 3 * HOUR


def test_a_site_that_never_opens_does_not_stop_the_others() -> None:
    never = pair("a", FROM_THE_HUB, a_stop(1, closures=(Span(0, 9 * HOUR),)), (1,))
    assert planned(a_line([never, a_request("b", 2)], [a_vehicle("v")])) == {"v": {"b"}}


@pytest.mark.parametrize(("late_price", "served"), [(1, {"a", "b"}), (100, {"a"})])
def test_lateness_is_weighed_against_leaving_out(late_price: int, served: set[str]) -> None:
    soft = a_stop(4, start=600, end=601, latest_seconds=2 * HOUR, late_price=late_price)
    requests = [a_request("a", 1), pair("b", FROM_THE_HUB, soft, (1,), left_out_price=10_000)]
    assert planned(a_line(requests, [a_vehicle("v")])) == {"v": served}


def test_breaks_are_taken() -> None:
    rests = (Break(HOUR, HOUR, 1800), Break(3 * HOUR, 4 * HOUR, 600))
    requests = [pair(f"r{n}", FROM_THE_HUB, a_stop(n, start=HOUR, service=900), (1,)) for n in range(1, 5)]
    problem = a_line(requests, [a_vehicle("v", breaks=rests)])
    [only] = route(problem, Steps(30)).routes
    assert len(only.request_ids) == 4
    assert len(only.breaks) == 2


def test_a_range_is_not_exceeded() -> None:
    requests = [a_request("near", 1), a_request("far", 4)]
    vehicles = [a_vehicle("short", range_metres=6_000), a_vehicle("long", fixed_price=9_000)]
    assert planned(a_line(requests, vehicles))["long"] >= {"far"}
    assert planned(a_line(requests, vehicles[:1])) == {"short": {"near"}}


def test_a_load_is_not_aboard_for_longer_than_it_may() -> None:
    requests = [pair("a", a_stop(4), FROM_THE_HUB, (1,), ride_seconds_at_most=2_400)]
    requests.append(pair("b", a_stop(3, service=1200), FROM_THE_HUB, (1,)))
    [only] = route(a_line(requests, [a_vehicle("v")]), Steps(30)).routes
    assert [visit.request_id for visit in only.visits if visit.kind is StopKind.PICKUP] == ["b", "a"]


def test_who_may_and_can_rides() -> None:
    requests = [
        a_request("skilled", 1, skills=frozenset({"trailer"})),
        a_request("theirs", 1, allowed_groups=frozenset({"north"})),
        a_request("not his", 1, forbidden_vehicles=frozenset({"plain", "trailer"})),
    ]
    vehicles = [
        a_vehicle("plain"),
        a_vehicle("trailer", skills=frozenset({"trailer"})),
        a_vehicle("north", group="north"),
    ]
    found = planned(a_line(requests, vehicles))
    assert found == {"trailer": {"skilled"}, "north": {"theirs", "not his"}}


def test_what_is_aboard_or_locked_stays_with_its_vehicle() -> None:
    aboard = Request("aboard", (), (a_stop(4, loads=(150,)),), locked_to="v", left_out_price=0)
    requests = [aboard, a_request("locked", 1, locked_to="v", left_out_price=0), a_request("free", 1)]
    found = planned(a_line(requests, [a_vehicle("v"), a_vehicle("w")]))
    assert found["v"] >= {"aboard", "locked"}


def test_what_costs_more_than_leaving_it_out_is_left_out() -> None:
    requests = [a_request("cheap", 4, left_out_price=4_799), a_request("dear", 4, left_out_price=4_801)]
    assert planned(a_line(requests[:1], [a_vehicle("v")])) == {}
    assert planned(a_line(requests[1:], [a_vehicle("v")])) == {"v": {"dear"}}


def test_a_slow_bike_takes_longer_for_the_same_way() -> None:
    drop = a_stop(2, end=1_300)
    problem = a_line([pair("a", FROM_THE_HUB, drop, (1,))], [a_vehicle("slow", ride_permille=1_100), a_vehicle("fast")])
    assert planned(problem) == {"fast": {"a"}}


SPREAD = [a_request(f"r{point}", point, 60, left_out_price=100_000) for point in (1, 2, 3, 4)]
FOUR = [a_vehicle(f"v{number}", group="ab"[number % 2]) for number in range(4)]
TIGHT = [pair(f"t{point}", a_stop(0, end=60), a_stop(point, start=HOUR, end=HOUR), (60,)) for point in (1, 2, 3)]


def test_a_fleet_limit_holds() -> None:
    limits = (FleetLimit(frozenset({"v0", "v1", "v2"}), 1),)
    assert len(planned(a_line(TIGHT, FOUR))) == 3
    assert len(planned(a_line(TIGHT, FOUR, fleet_limits=limits))) == 2


def test_a_hub_limit_holds() -> None:
    assert len(planned(a_line(TIGHT, FOUR, hub_limits=(HubLimit(0, 2),)))) == 2


def test_a_share_is_not_exceeded() -> None:
    found = planned(a_line(SPREAD, FOUR, shares=(Share("a", at_most_permille=250),)))
    served = {"a": 0, "b": 0}
    for vehicle_id, requests in found.items():
        served["ab"[int(vehicle_id[1]) % 2]] += len(requests)
    assert served["a"] <= 1
    assert sum(served.values()) == 4


def test_the_fewest_vehicles_come_first_where_the_problem_says_so() -> None:
    # Two bikes that start where the loads are ride less than one.
    requests = [pair(f"r{point}", a_stop(point), a_stop(point), (1,)) for point in (0, 4)]
    vehicles = [a_vehicle("v"), Vehicle("w", 4, 4, 0, 8 * HOUR, (100,))]
    assert len(planned(a_line(requests, vehicles))) == 2
    assert len(planned(a_line(requests, vehicles, objective=Objective.VEHICLES_FIRST))) == 1


def test_metres_may_cost_instead_of_seconds() -> None:
    problem = a_line([a_request("a", 1, left_out_price=5_999)], [a_vehicle("v")], prices=Prices(0, 1))
    assert planned(problem) == {}


def test_a_plan_to_begin_from_is_never_made_worse() -> None:
    problem = a_line(SPREAD, FOUR)
    good = route(problem, Steps(100))
    found = route(problem, Seconds(0.001), start=good)
    assert check(problem, found) == []
    assert rank(problem, found) <= rank(problem, good)


def test_each_better_plan_is_told() -> None:
    told: list[Plan] = []
    problem = a_line(SPREAD, FOUR)
    found = route(problem, Steps(50), watch=lambda _, plan: told.append(plan))
    ranks = [rank(problem, plan) for plan in told]
    assert ranks == sorted(set(ranks), reverse=True)
    assert told[-1] == found
    assert all(check(problem, plan) == [] for plan in told)


def test_with_steps_the_same_seed_gives_the_same_plan() -> None:
    problem = a_line(SPREAD, FOUR)
    assert route(problem, Steps(20), 7) == route(problem, Steps(20), 7)


def test_whoever_wants_the_plan_now_gets_what_is_inserted_so_far() -> None:
    problem = a_line(SPREAD, FOUR)
    assert len(route(problem, Steps(1), should_stop=lambda: True).planned) == 1
    assert len(route(problem, Steps(1)).planned) == 4
