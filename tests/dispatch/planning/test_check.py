"""The judge finds every kind of violation: each is planted in a good plan and seen."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from services.dispatch.planning.check import ViolationKind, check
from services.dispatch.planning.plan import LeftOut, Plan, Route, StopKind, Visit
from services.dispatch.planning.problem import Request, RoutingProblem, Stop, Vehicle

K = ViolationKind

PROBLEM = RoutingProblem(
    points=("depot", "a", "b"),
    requests=(
        Request("r", Stop(1, 1_000, 2_000, 60), Stop(2, 0, 9_000, 60), (5, 1)),
        Request("s", Stop(1, 0, 9_000, 60), Stop(2, 0, 9_000, 60), (5, 1), needs_trailer=True),
        Request("t", Stop(1, 0, 9_000, 60), Stop(2, 0, 9_000, 60), (5, 1), allowed_vehicles=frozenset({"v"})),
        Request("u", Stop(1, 0, 9_000, 60), Stop(2, 0, 9_000, 60), (5, 1)),
    ),
    vehicles=(
        Vehicle("v", 0, 0, 500, 5_000, (10, 9), has_trailer=True),
        Vehicle("w", 0, 0, 500, 5_000, (10, 9)),
    ),
    travel_seconds=np.array([[0, 100, 200], [110, 0, 300], [210, 310, 0]]),
    travel_metres=np.array([[0, 1, 2], [3, 0, 4], [5, 6, 0]]),
)


def visit(request_id: str, kind: StopKind, start: int, loads: tuple[int, int], arrival: int | None = None) -> Visit:
    point = 1 if kind is StopKind.PICKUP else 2
    return Visit(request_id, kind, point, start if arrival is None else arrival, start, start + 60, loads)


GOOD = Plan(
    routes=(
        Route(
            "v",
            900,
            (
                visit("r", StopKind.PICKUP, 1_000, (5, 1)),
                visit("s", StopKind.PICKUP, 1_060, (10, 2)),
                visit("r", StopKind.DROP, 1_420, (5, 1)),
                visit("s", StopKind.DROP, 1_480, (0, 0)),
            ),
            1_750,
            610,
            10,
        ),
    ),
    left_out=(LeftOut("t"), LeftOut("u")),
)
(ROUTE,) = GOOD.routes
PICK_R, PICK_S, DROP_R, DROP_S = ROUTE.visits


def a_ride(vehicle_id: str, request_id: str, loads: tuple[int, int] = (5, 1)) -> Route:
    visits = (visit(request_id, StopKind.PICKUP, 1_000, loads), visit(request_id, StopKind.DROP, 1_360, (0, 0)))
    return Route(vehicle_id, 900, visits, 1_630, 610, 10)


def with_route(**changes: object) -> Plan:
    return replace(GOOD, routes=(replace(ROUTE, **changes),))  # type: ignore[arg-type]


def with_visit(index: int, **changes: object) -> Plan:
    visits = list(ROUTE.visits)
    visits[index] = replace(visits[index], **changes)  # type: ignore[arg-type]
    return with_route(visits=tuple(visits))


def and_also(route: Route, left_out: str) -> Plan:
    return Plan((*GOOD.routes, route), (LeftOut(left_out),))


PLANTED: dict[str, tuple[ViolationKind, Plan]] = {
    "a vehicle nobody has": (K.UNKNOWN_VEHICLE, and_also(a_ride("x", "u"), "t")),
    "one vehicle in two routes": (K.VEHICLE_TWICE, and_also(a_ride("v", "t"), "u")),
    "a route without a stop": (K.EMPTY_ROUTE, replace(GOOD, routes=(*GOOD.routes, Route("w", 500, (), 500, 0, 0)))),
    "a request nobody made": (K.UNKNOWN_REQUEST, replace(GOOD, left_out=(*GOOD.left_out, LeftOut("x")))),
    "a visit for a request nobody made": (K.UNKNOWN_REQUEST, and_also(a_ride("w", "x"), "t")),
    "a request lost": (K.REQUEST_MISSING, replace(GOOD, left_out=(LeftOut("t"),))),
    "a request left out twice": (K.REQUEST_TWICE, replace(GOOD, left_out=(*GOOD.left_out, LeftOut("t")))),
    "a request planned and left out": (K.REQUEST_TWICE, replace(GOOD, left_out=(*GOOD.left_out, LeftOut("r")))),
    "a request in two routes": (K.REQUEST_TWICE, replace(GOOD, routes=(*GOOD.routes, a_ride("w", "r")))),
    "a request visited twice in one route": (
        K.REQUEST_TWICE,
        with_route(visits=(*ROUTE.visits, visit("r", StopKind.PICKUP, 1_900, (5, 1)))),
    ),
    "a drop of nothing": (K.NO_PICKUP, with_route(visits=(PICK_R, DROP_R, DROP_S))),
    "a load never dropped": (K.NO_DROP, with_route(visits=(PICK_R, PICK_S, DROP_R))),
    "a drop before its pickup": (K.DROP_BEFORE_PICKUP, with_route(visits=(PICK_R, DROP_S, DROP_R, PICK_S))),
    "a stop elsewhere": (K.WRONG_POINT, with_visit(0, point=0)),
    "a stop nowhere": (K.WRONG_POINT, with_visit(0, point=3)),
    "a ride faster than the matrix": (K.RIDES_TOO_FAST, with_visit(2, arrival_seconds=1_419)),
    "a first ride faster than the matrix": (K.RIDES_TOO_FAST, with_route(start_seconds=901)),
    "a way home faster than the matrix": (K.RIDES_TOO_FAST, with_route(end_seconds=1_749)),
    "a service before arriving": (K.STARTS_BEFORE_ARRIVAL, with_visit(3, arrival_seconds=1_481)),
    "a start before the window": (
        K.BEFORE_WINDOW,
        with_visit(0, arrival_seconds=999, start_seconds=999),
    ),
    "a start after the window": (K.AFTER_WINDOW, with_visit(0, start_seconds=2_001, departure_seconds=2_061)),
    "a service cut short": (K.LEAVES_TOO_EARLY, with_visit(3, departure_seconds=1_539)),
    "a start before the shift": (K.BEFORE_SHIFT, with_route(start_seconds=499)),
    "an end after the shift": (K.AFTER_SHIFT, with_route(end_seconds=5_001)),
    "too much in one dimension": (
        K.OVER_CAPACITY,
        with_route(visits=(PICK_R, PICK_S, visit("u", StopKind.PICKUP, 1_120, (15, 3)), DROP_R, DROP_S)),
    ),
    "a wrong account of what is on board": (K.WRONG_LOADS, with_visit(0, loads=(5, 2))),
    "no trailer": (K.NO_TRAILER, Plan((a_ride("w", "s"),), (LeftOut("r"), LeftOut("t"), LeftOut("u")))),
    "a vehicle that may not": (K.NOT_ALLOWED, Plan((a_ride("w", "t"),), (LeftOut("r"), LeftOut("s"), LeftOut("u")))),
    "fewer seconds than ridden": (K.WRONG_COST, with_route(travel_seconds=609)),
    "fewer metres than ridden": (K.WRONG_COST, with_route(travel_metres=9)),
}


def test_a_good_plan_has_no_violation() -> None:
    assert check(PROBLEM, GOOD) == []
    assert check(PROBLEM, and_also(a_ride("w", "u"), "t")) == []


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_violation_is_found(name: str) -> None:
    kind, plan = PLANTED[name]
    assert kind in {violation.kind for violation in check(PROBLEM, plan)}


def test_every_kind_has_been_planted() -> None:
    assert {kind for kind, _ in PLANTED.values()} == set(ViolationKind)


def test_one_small_fault_is_told_once_and_says_where() -> None:
    (violation,) = check(PROBLEM, with_visit(3, departure_seconds=1_539))
    assert (violation.kind, violation.vehicle_id, violation.request_id) == (K.LEAVES_TOO_EARLY, "v", "s")


def test_a_capacity_is_judged_in_each_dimension() -> None:
    small: Callable[[tuple[int, int]], RoutingProblem] = lambda capacities: replace(  # noqa: E731
        PROBLEM, vehicles=(replace(PROBLEM.vehicles[0], capacities=capacities), PROBLEM.vehicles[1])
    )
    for capacities in [(9, 9), (10, 1)]:
        assert {violation.kind for violation in check(small(capacities), GOOD)} == {K.OVER_CAPACITY}
