"""The judge finds every kind of violation: each is planted in a good plan and seen, and nothing else with it."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.dispatch.planning.check import ViolationKind, check
from services.dispatch.planning.plan import BreakTaken, LeftOut, Plan, Route, Visit
from services.dispatch.planning.problem import (
    Break,
    FleetLimit,
    HubLimit,
    Request,
    RoutingProblem,
    Share,
    Span,
    Stop,
    StopKind,
    Vehicle,
    pair,
)
from tests.strategies import problems

K = ViolationKind
PICKUP, DROP = StopKind.PICKUP, StopKind.DROP
OPEN = (0, 9_000)

PROBLEM = RoutingProblem(
    points=("depot", "a", "b"),
    requests=(
        pair(
            "r",
            Stop(1, 700, 950, 60, latest_seconds=1_000, late_price=2),
            Stop(2, *OPEN, 30, units=3, seconds_per_unit=10),
            (5, 1),
            ride_seconds_at_most=1_202,
        ),
        Request(
            "s",
            (Stop(1, *OPEN, 60, (2, 0)), Stop(2, *OPEN, 60, (1, 1))),
            (Stop(1, 2_700, 9_000, 60, (1, 0), closures=(Span(2_600, 2_900),)), Stop(2, *OPEN, 60, (2, 1))),
            skills=frozenset({"trailer"}),
            allowed_vehicles=frozenset({"v"}),
            forbidden_vehicles=frozenset({"w"}),
            allowed_groups=frozenset({"north"}),
            forbidden_groups=frozenset({"south"}),
        ),
        Request("t", (), (Stop(1, *OPEN, 60, (3, 0)),), locked_to="v"),
        pair("u", Stop(1, 1_000, 9_000, 60), Stop(2, *OPEN, 60), (5, 1)),
        pair("x", Stop(1, *OPEN, 60), Stop(2, *OPEN, 60), (5, 1)),
    ),
    vehicles=(
        Vehicle(
            id="v",
            start_point=0,
            end_point=0,
            shift_start_seconds=600,
            shift_end_seconds=3_900,
            capacities=(8, 2),
            skills=frozenset({"trailer"}),
            group="north",
            ride_permille=1_005,
            range_metres=14,
            breaks=(Break(600, 700, 200), Break(1_600, 1_700, 300), Break(3_000, 4_500, 400)),
        ),
        Vehicle("w", 0, 0, 900, 3_000, (5, 9), group="south"),
    ),
    travel_seconds=np.array([[0, 100, 200], [110, 0, 300], [210, 310, 0]]),
    travel_metres=np.array([[0, 1, 2], [3, 0, 4], [5, 6, 0]]),
    shares=(Share("north", 0, 600), Share("south", 0, 400)),
    fleet_limits=(FleetLimit(frozenset({"v", "w"}), 2),),
    hub_limits=(HubLimit(0, 1), HubLimit(1, 2)),
)
BREAKS = PROBLEM.vehicles[0].breaks
RESTS = REST_BEFORE, REST_BETWEEN, REST_AFTER = (
    BreakTaken(0, 600, 800),
    BreakTaken(3, 1_600, 1_900),
    BreakTaken(7, 3_071, 3_900),
)
ROUTE = Route(
    vehicle_id="v",
    start_seconds=899,
    visits=(
        Visit("r", PICKUP, 1, 1_000, 1_000, 1_060, (8, 1)),
        Visit("t", DROP, 1, 1_060, 1_060, 1_120, (5, 1)),
        Visit("s", PICKUP, 1, 1_120, 1_120, 1_180, (7, 1)),
        Visit("s", PICKUP, 2, 2_202, 2_202, 2_262, (8, 2), 1),
        Visit("r", DROP, 2, 2_262, 2_262, 2_322, (3, 1)),
        Visit("s", DROP, 2, 2_322, 2_322, 2_382, (1, 0), 1),
        Visit("s", DROP, 1, 2_694, 2_900, 2_960, (0, 0)),
    ),
    end_seconds=3_071,
    travel_seconds=826,
    travel_metres=14,
    breaks=RESTS,
)
OTHER = Route(
    vehicle_id="w",
    start_seconds=900,
    visits=(Visit("u", PICKUP, 1, 1_000, 1_000, 1_060, (5, 1)), Visit("u", DROP, 2, 1_360, 1_360, 1_420, (0, 0))),
    end_seconds=1_630,
    travel_seconds=610,
    travel_metres=10,
)
GOOD = Plan(routes=(ROUTE, OTHER), left_out=(LeftOut("x"),))
PICK_R, DROP_T, PICK_S, PICK_S_TOO, DROP_R, DROP_S_TOO, DROP_S = ROUTE.visits


def with_route(**changes: Any) -> Plan:
    return replace(GOOD, routes=(replace(ROUTE, **changes), OTHER))


def with_visit(index: int, **changes: Any) -> Plan:
    visits = list(ROUTE.visits)
    visits[index] = replace(visits[index], **changes)
    return with_route(visits=tuple(visits))


def with_breaks(*breaks: BreakTaken) -> Plan:
    return with_route(breaks=breaks)


def with_other(**changes: Any) -> Plan:
    return replace(GOOD, routes=(ROUTE, replace(OTHER, **changes)))


def for_other(request_id: str) -> tuple[Visit, ...]:
    return tuple(replace(visit, request_id=request_id) for visit in OTHER.visits)


def leaving_out(*request_ids: str) -> Plan:
    return replace(GOOD, left_out=tuple(LeftOut(request_id) for request_id in request_ids))


def with_requests(**changes: Any) -> RoutingProblem:
    """The problem with one field of every request named changed: `r={"skills": ...}`."""
    requests = tuple(replace(request, **changes.get(request.id, {})) for request in PROBLEM.requests)
    return replace(PROBLEM, requests=requests)


def with_vehicle(**changes: Any) -> RoutingProblem:
    return replace(PROBLEM, vehicles=(replace(PROBLEM.vehicles[0], **changes), PROBLEM.vehicles[1]))


def with_pickup_of_r(**changes: Any) -> RoutingProblem:
    return with_requests(r={"pickups": (replace(PROBLEM.requests[0].pickups[0], **changes),)})


Case = tuple[set[ViolationKind], RoutingProblem, Plan]

PLANTED: dict[str, Case] = {
    "a vehicle nobody has": ({K.UNKNOWN_VEHICLE}, PROBLEM, with_other(vehicle_id="y")),
    "one vehicle in two routes": (
        {K.VEHICLE_TWICE},
        PROBLEM,
        replace(GOOD, routes=(*GOOD.routes, replace(OTHER, visits=for_other("x"))), left_out=()),
    ),
    "a route without a stop": ({K.EMPTY_ROUTE, K.REQUEST_MISSING}, PROBLEM, with_other(visits=())),
    "a request nobody made": ({K.UNKNOWN_REQUEST}, PROBLEM, leaving_out("x", "y")),
    "a visit for a request nobody made": (
        {K.UNKNOWN_REQUEST},
        PROBLEM,
        Plan((ROUTE, replace(OTHER, visits=for_other("y"))), (LeftOut("x"), LeftOut("u"))),
    ),
    "a pickup that the request does not have": ({K.UNKNOWN_STOP, K.NO_PICKUP}, PROBLEM, with_visit(3, number=2)),
    "a pickup before the first": ({K.UNKNOWN_STOP, K.NO_PICKUP}, PROBLEM, with_visit(3, number=-1)),
    "a pickup of what is aboard": (
        {K.UNKNOWN_STOP},
        PROBLEM,
        with_route(visits=(replace(PICK_S, request_id="t"), *ROUTE.visits)),
    ),
    "a request lost": ({K.REQUEST_MISSING}, PROBLEM, leaving_out()),
    "a request left out twice": ({K.REQUEST_TWICE}, PROBLEM, leaving_out("x", "x")),
    "a request planned and left out": ({K.REQUEST_TWICE}, PROBLEM, leaving_out("x", "r")),
    "a request in two routes": ({K.REQUEST_TWICE, K.REQUEST_MISSING}, PROBLEM, with_other(visits=for_other("r"))),
    "one of several drops made twice": (
        {K.REQUEST_TWICE},
        PROBLEM,
        with_route(
            visits=(
                *ROUTE.visits,
                replace(DROP_S, arrival_seconds=2_960, start_seconds=2_960, departure_seconds=3_020, loads=(-1, 0)),
            ),
            end_seconds=3_131,
            breaks=(*RESTS[:2], replace(REST_AFTER, after=8, start_seconds=3_131)),
        ),
    ),
    "a pickup that is not made": (
        {K.NO_PICKUP, K.WRONG_LOADS},
        PROBLEM,
        with_route(
            visits=ROUTE.visits[1:], breaks=(REST_BEFORE, replace(REST_BETWEEN, after=2), replace(REST_AFTER, after=6))
        ),
    ),
    "one of several pickups that is not made": (
        {K.NO_PICKUP, K.WRONG_LOADS},
        PROBLEM,
        with_route(visits=(*ROUTE.visits[:3], *ROUTE.visits[4:]), breaks=(*RESTS[:2], replace(RESTS[2], after=6))),
    ),
    "one of several drops that is not made": (
        {K.NO_DROP, K.WRONG_LOADS},
        PROBLEM,
        with_route(visits=(*ROUTE.visits[:5], DROP_S), breaks=(*RESTS[:2], replace(RESTS[2], after=6))),
    ),
    "a drop in another route": (
        {K.NO_DROP, K.NO_PICKUP, K.WRONG_LOADS},
        PROBLEM,
        Plan(
            (
                replace(
                    ROUTE,
                    visits=(PICK_R, DROP_T, PICK_S, PICK_S_TOO, DROP_S_TOO, DROP_S),
                    breaks=(*RESTS[:2], replace(RESTS[2], after=6)),
                ),
                replace(OTHER, visits=(*OTHER.visits, DROP_R), end_seconds=2_532),
            ),
            GOOD.left_out,
        ),
    ),
    "a drop before one of its pickups": (
        {K.DROP_BEFORE_PICKUP},
        PROBLEM,
        with_route(
            visits=(
                *ROUTE.visits[:3],
                Visit("s", DROP, 2, 2_202, 2_202, 2_262, (5, 0), 1),
                replace(DROP_R, loads=(0, -1)),
                Visit("s", PICKUP, 2, 2_322, 2_322, 2_382, (1, 0), 1),
                DROP_S,
            )
        ),
    ),
    "a stop elsewhere": ({K.WRONG_POINT, K.RIDES_TOO_FAST}, PROBLEM, with_visit(0, point=0)),
    "a stop nowhere": ({K.WRONG_POINT}, PROBLEM, with_visit(0, point=3)),
    "a ride faster than the matrix": (
        {K.RIDES_TOO_FAST},
        PROBLEM,
        with_other(visits=(OTHER.visits[0], replace(OTHER.visits[1], arrival_seconds=1_359))),
    ),
    "a first ride faster than the bike": ({K.RIDES_TOO_FAST}, PROBLEM, with_route(start_seconds=900)),
    "a ride faster than the bike": ({K.RIDES_TOO_FAST}, PROBLEM, with_visit(6, arrival_seconds=2_693)),
    "a way home faster than the bike": ({K.RIDES_TOO_FAST}, PROBLEM, with_route(end_seconds=3_070)),
    "a service before arriving": ({K.STARTS_BEFORE_ARRIVAL}, PROBLEM, with_visit(6, arrival_seconds=2_901)),
    "a start before the window": (
        {K.BEFORE_WINDOW},
        with_pickup_of_r(window_start_seconds=1_001, window_end_seconds=2_000, latest_seconds=None),
        GOOD,
    ),
    "a start after the window": ({K.AFTER_WINDOW}, with_pickup_of_r(latest_seconds=None), GOOD),
    "a start after the latest second": ({K.AFTER_WINDOW}, with_pickup_of_r(latest_seconds=999), GOOD),
    "a start while it is closed": ({K.CLOSED}, PROBLEM, with_visit(6, start_seconds=2_899)),
    "a start when it closes": ({K.CLOSED}, with_pickup_of_r(closures=(Span(1_000, 1_001), Span(0, 1_000))), GOOD),
    "a service cut short": ({K.LEAVES_TOO_EARLY}, PROBLEM, with_visit(6, departure_seconds=2_959)),
    "a service without time for each piece": (
        {K.LEAVES_TOO_EARLY},
        with_pickup_of_r(units=1, seconds_per_unit=1),
        GOOD,
    ),
    "a start before the shift": ({K.BEFORE_SHIFT}, with_vehicle(shift_start_seconds=601), GOOD),
    "leaving before the shift": ({K.BEFORE_SHIFT}, PROBLEM, with_other(start_seconds=899)),
    "an end after the shift": ({K.AFTER_SHIFT}, PROBLEM, with_other(end_seconds=3_001)),
    "a break after the shift": ({K.AFTER_SHIFT}, PROBLEM, with_breaks(*RESTS[:2], BreakTaken(7, 3_501, 3_901))),
    "too much with what is aboard": ({K.OVER_CAPACITY}, with_vehicle(capacities=(7, 2)), GOOD),
    "too much in another dimension": ({K.OVER_CAPACITY}, with_vehicle(capacities=(8, 1)), GOOD),
    "a wrong account of what is on board": ({K.WRONG_LOADS}, PROBLEM, with_visit(0, loads=(8, 2))),
    "an account of too few dimensions": ({K.WRONG_LOADS}, PROBLEM, with_visit(0, loads=(8,))),
    "no trailer": ({K.SKILL_MISSING}, with_vehicle(skills=frozenset({"cold"})), GOOD),
    "a vehicle that is not named": ({K.NOT_ALLOWED}, with_requests(s={"allowed_vehicles": frozenset({"w"})}), GOOD),
    "a vehicle that is forbidden": ({K.NOT_ALLOWED}, with_requests(s={"forbidden_vehicles": frozenset({"v"})}), GOOD),
    "a group that is not named": ({K.NOT_ALLOWED}, with_requests(s={"allowed_groups": frozenset({"south"})}), GOOD),
    "a group that is forbidden": ({K.NOT_ALLOWED}, with_requests(s={"forbidden_groups": frozenset({"north"})}), GOOD),
    "a locked request elsewhere": ({K.LOCK_BROKEN}, with_requests(u={"locked_to": "v"}), GOOD),
    "a locked request left out": ({K.LOCK_BROKEN}, with_requests(x={"locked_to": "v"}), GOOD),
    "a load aboard for too long": ({K.RIDE_TOO_LONG}, with_requests(r={"ride_seconds_at_most": 1_201}), GOOD),
    "one of several loads aboard for too long": (
        {K.RIDE_TOO_LONG},
        with_requests(s={"ride_seconds_at_most": 1_719}),
        GOOD,
    ),
    "too far for the bike": ({K.OVER_RANGE}, with_vehicle(range_metres=13), GOOD),
    "no break": ({K.BREAK_MISSING}, PROBLEM, with_breaks()),
    "a break too few": ({K.BREAK_MISSING}, PROBLEM, with_breaks(REST_BEFORE, REST_BETWEEN)),
    "a break too many": ({K.UNKNOWN_BREAK}, PROBLEM, with_breaks(*RESTS, BreakTaken(7, 3_900, 3_950))),
    "a break after a visit that is not there": (
        {K.UNKNOWN_BREAK},
        PROBLEM,
        with_breaks(*RESTS[:2], replace(REST_AFTER, after=8)),
    ),
    "a break before the first place": (
        {K.UNKNOWN_BREAK},
        PROBLEM,
        with_breaks(replace(REST_BEFORE, after=-1), REST_BETWEEN, REST_AFTER),
    ),
    "a break before its window": (
        {K.BREAK_OUTSIDE_WINDOW},
        PROBLEM,
        with_breaks(REST_BEFORE, replace(REST_BETWEEN, start_seconds=1_599), REST_AFTER),
    ),
    "a break after its window": (
        {K.BREAK_OUTSIDE_WINDOW},
        with_vehicle(breaks=(*BREAKS[:2], Break(3_000, 3_070, 400))),
        GOOD,
    ),
    "a break cut short": (
        {K.BREAK_TOO_SHORT},
        PROBLEM,
        with_breaks(REST_BEFORE, replace(REST_BETWEEN, end_seconds=1_899), REST_AFTER),
    ),
    "leaving during a break": (
        {K.DURING_BREAK},
        PROBLEM,
        with_breaks(BreakTaken(0, 700, 900), REST_BETWEEN, REST_AFTER),
    ),
    "working during a break": ({K.DURING_BREAK}, PROBLEM, with_visit(2, departure_seconds=1_601)),
    "riding during a break": (
        {K.DURING_BREAK},
        PROBLEM,
        with_breaks(REST_BEFORE, replace(REST_BETWEEN, end_seconds=1_901), REST_AFTER),
    ),
    "riding home during a break": (
        {K.DURING_BREAK},
        with_vehicle(breaks=(*BREAKS[:2], Break(2_900, 3_070, 400))),
        with_breaks(*RESTS[:2], BreakTaken(7, 3_070, 3_470)),
    ),
    "riding home too soon after a break": (
        {K.DURING_BREAK},
        with_vehicle(breaks=(*BREAKS[:2], Break(2_900, 3_070, 40))),
        with_breaks(*RESTS[:2], BreakTaken(7, 2_960, 3_000)),
    ),
    "two breaks at once": (
        {K.DURING_BREAK},
        with_vehicle(breaks=(Break(600, 700, 200), Break(600, 800, 5), Break(3_000, 4_500, 400))),
        with_breaks(REST_BEFORE, BreakTaken(0, 799, 804), REST_AFTER),
    ),
    "more than a group's share": ({K.OVER_SHARE}, replace(PROBLEM, shares=(Share("north", 0, 400),)), GOOD),
    "a share of nothing": ({K.OVER_SHARE}, replace(PROBLEM, shares=(Share("south", 0, 0),)), GOOD),
    "more vehicles than there are bikes": (
        {K.OVER_FLEET_LIMIT},
        replace(PROBLEM, fleet_limits=(FleetLimit(frozenset({"v"}), 1), FleetLimit(frozenset({"v", "w"}), 1))),
        GOOD,
    ),
    "more vehicles than a hub has docks": (
        {K.OVER_HUB_LIMIT},
        replace(PROBLEM, hub_limits=(HubLimit(0, 0), HubLimit(2, 1))),
        GOOD,
    ),
    "fewer seconds than ridden": ({K.WRONG_COST}, PROBLEM, with_route(travel_seconds=825)),
    "fewer metres than ridden": ({K.WRONG_COST}, PROBLEM, with_route(travel_metres=13)),
}


def test_a_good_plan_with_every_rule_has_no_violation() -> None:
    assert check(PROBLEM, GOOD) == []


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_violation_is_found(name: str) -> None:
    kinds, problem, plan = PLANTED[name]
    assert kinds == {violation.kind for violation in check(problem, plan)}


def test_every_kind_has_been_planted() -> None:
    assert {kind for kinds, _, _ in PLANTED.values() for kind in kinds} == set(ViolationKind)


def test_one_small_fault_is_told_once_and_says_where() -> None:
    (violation,) = check(PROBLEM, with_visit(6, departure_seconds=2_959))
    assert (violation.kind, violation.vehicle_id, violation.request_id) == (K.LEAVES_TOO_EARLY, "v", "s")


def test_a_break_where_the_last_visit_was_is_before_riding_home() -> None:
    rested = with_route(breaks=(*RESTS[:2], BreakTaken(7, 2_960, 3_360)), end_seconds=3_471)
    assert check(with_vehicle(breaks=(*BREAKS[:2], Break(2_000, 2_960, 400)), shift_end_seconds=3_471), rested) == []


def test_what_is_aboard_may_be_more_than_the_bike_should_carry_until_something_is_added() -> None:
    visits = (DROP_T, *ROUTE.visits[2:4], DROP_S_TOO, DROP_S)
    drop, *others = (replace(visit, loads=(0, 0)) for visit in visits)
    alone = with_requests(t={"drops": (Stop(1, *OPEN, 60, (20, 20)),)})
    served = with_route(visits=(drop,), breaks=(*RESTS[:2], replace(REST_AFTER, after=1)))
    assert K.OVER_CAPACITY not in {violation.kind for violation in check(alone, served)}
    before = with_route(visits=(others[0], drop))
    assert K.OVER_CAPACITY in {violation.kind for violation in check(alone, before)}


NAMES = st.sampled_from(["v0", "v1", "r0", "r1", "nobody", ""])
NUMBERS = st.integers(-2, 5) | st.integers(-(2**70), 2**70)
NONSENSE = st.builds(
    Plan,
    st.lists(
        st.builds(
            Route,
            NAMES,
            NUMBERS,
            st.lists(
                st.builds(
                    Visit,
                    NAMES,
                    st.sampled_from(StopKind),
                    NUMBERS,
                    NUMBERS,
                    NUMBERS,
                    NUMBERS,
                    st.lists(NUMBERS).map(tuple),
                    NUMBERS,
                ),
                max_size=4,
            ).map(tuple),
            NUMBERS,
            NUMBERS,
            NUMBERS,
            st.lists(st.builds(BreakTaken, NUMBERS, NUMBERS, NUMBERS), max_size=3).map(tuple),
        ),
        max_size=3,
    ).map(tuple),
    st.lists(st.builds(LeftOut, NAMES), max_size=3).map(tuple),
)


@given(problems(most_requests=3), NONSENSE)
@settings(deadline=None)
def test_nonsense_is_judged_like_any_plan(problem: RoutingProblem, plan: Plan) -> None:
    told = {violation.vehicle_id for violation in check(problem, plan) if violation.kind is K.UNKNOWN_VEHICLE}
    assert told == {route.vehicle_id for route in plan.routes} - {vehicle.id for vehicle in problem.vehicles}
