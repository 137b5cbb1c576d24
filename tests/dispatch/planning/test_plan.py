"""A route through given stops is timed as early as it can be, or refused."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from services.dispatch.planning.plan import LeftOut, Plan, Reason, ReasonCode, Route, StopKind, Visit, route_through
from services.dispatch.planning.problem import Request, RoutingProblem, Stop, Vehicle

SECONDS = np.array([[0, 100, 200], [110, 0, 300], [210, 310, 0]])
REQUEST = Request("r", Stop(1, 1_000, 2_000, 60), Stop(2, 0, 9_000, 30), (5,))
VEHICLE = Vehicle("v", 0, 0, 500, 5_000, (10,))
PROBLEM = RoutingProblem(("depot", "a", "b"), (REQUEST,), (VEHICLE,), SECONDS, SECONDS * 3)
CALLS = [(REQUEST, StopKind.PICKUP), (REQUEST, StopKind.DROP)]


def route(vehicle: Vehicle = VEHICLE, **changes: object) -> Route | None:
    request = replace(REQUEST, **changes)  # type: ignore[arg-type]
    return route_through(PROBLEM, vehicle, [(request, StopKind.PICKUP), (request, StopKind.DROP)])


def test_times_loads_and_costs_of_a_route() -> None:
    assert route() == Route(
        vehicle_id="v",
        start_seconds=900,
        visits=(
            Visit("r", StopKind.PICKUP, 1, 1_000, 1_000, 1_060, (5,)),
            Visit("r", StopKind.DROP, 2, 1_360, 1_360, 1_390, (0,)),
        ),
        end_seconds=1_600,
        travel_seconds=610,
        travel_metres=1_830,
    )


def test_waiting_at_a_later_stop_is_arrival_before_start() -> None:
    timed = route(drop=Stop(2, 3_000, 9_000, 30))
    assert timed is not None
    assert (timed.visits[1].arrival_seconds, timed.visits[1].start_seconds) == (1_360, 3_000)


@pytest.mark.parametrize(
    "changes",
    [
        {"pickup": Stop(1, 0, 599, 60)},
        {"drop": Stop(2, 0, 1_359, 30)},
        {"drop": Stop(2, 4_761, 9_000, 30)},
        {"loads": (11,)},
        {"needs_trailer": True},
        {"allowed_vehicles": frozenset({"w"})},
    ],
)
def test_a_rule_broken_is_no_route(changes: dict[str, Any]) -> None:
    assert route(**changes) is None


def test_the_last_moment_is_still_in_time() -> None:
    assert route(pickup=Stop(1, 0, 600, 60)) is not None
    assert route(drop=Stop(2, 0, 1_360, 30)) is not None
    assert route(drop=Stop(2, 4_760, 9_000, 30)) is not None


def test_a_plan_sums_its_routes_and_lists_what_it_serves() -> None:
    one = route()
    assert one is not None
    plan = Plan((one, one), (LeftOut("s", (Reason(ReasonCode.SHIFT, "v"), Reason(ReasonCode.TRAILER, "w"))),))
    assert (plan.travel_seconds, plan.travel_metres, plan.planned) == (1_220, 3_660, ("r", "r"))
    assert plan.left_out[0].codes == (ReasonCode.TRAILER, ReasonCode.SHIFT)
