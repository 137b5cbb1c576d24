"""A problem that cannot be meant is refused with everything that is wrong with it."""

import inspect
import pickle
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.dispatch.planning import problem as module
from services.dispatch.planning.problem import (
    LARGEST_NUMBER,
    MOST_HUB_LIMITS,
    Break,
    Fault,
    FaultyProblem,
    FleetLimit,
    HubLimit,
    Matrix,
    Objective,
    Prices,
    Request,
    RoutingProblem,
    Share,
    Span,
    Stop,
    StopKind,
    Vehicle,
    locks_out_of_hours,
    pair,
)
from tests.strategies import problems

TOO_LARGE = LARGEST_NUMBER + 1
RIDES = np.array([[0, 60], [90, 0]])
REQUEST = pair("r", Stop(0, 0, 3_600, 60), Stop(1, 0, 3_600, 60), (5, 7))
VEHICLE = Vehicle("v", 0, 1, 0, 7_200, (10, 10))
NAMED = frozenset({"nobody"})


def a_problem(
    *,
    points: tuple[str, ...] = ("a", "b"),
    requests: tuple[Request, ...] = (REQUEST,),
    vehicles: tuple[Vehicle, ...] = (VEHICLE,),
    seconds: object = RIDES,
    metres: object = RIDES,
    **rules: Any,
) -> RoutingProblem:
    return RoutingProblem(points, requests, vehicles, seconds, metres, **rules)  # type: ignore[arg-type]


def faults_of(**given: Any) -> list[tuple[str, str]]:
    with pytest.raises(FaultyProblem) as refused:
        a_problem(**given)
    faults = refused.value.errors
    assert all(isinstance(fault, Fault) and fault.detail.endswith(".") for fault in faults)
    return [(fault.facts["kind"], fault.facts["item"]) for fault in faults]  # type: ignore[misc]


def with_pickup(**changes: Any) -> dict[str, Any]:
    return {"pickups": (replace(REQUEST.pickups[0], **changes),)}


def with_drop(**changes: Any) -> dict[str, Any]:
    return {"drops": (replace(REQUEST.drops[0], **changes),)}


FAULTY_REQUESTS: list[tuple[dict[str, Any], str]] = [
    (with_pickup(window_end_seconds=-1), "window-ends-before-it-starts"),
    (with_drop(window_end_seconds=-1), "window-ends-before-it-starts"),
    (with_pickup(latest_seconds=3_599), "window-ends-before-it-starts"),
    (with_pickup(closures=(Span(0, 9), Span(20, 19))), "window-ends-before-it-starts"),
    (with_pickup(point=2), "unknown-point"),
    (with_drop(point=-1), "unknown-point"),
    (with_pickup(service_seconds=-1), "negative-number"),
    (with_pickup(units=-1), "negative-number"),
    (with_pickup(seconds_per_unit=-1), "negative-number"),
    (with_pickup(late_price=-1), "negative-number"),
    ({"drops": (Stop(1, 0, 9, loads=(6, 7)), Stop(1, 0, 9, loads=(-1, 0)))}, "negative-number"),
    ({"ride_seconds_at_most": -1}, "negative-number"),
    ({"left_out_price": -1}, "negative-number"),
    ({"left_out_weight": -1}, "negative-number"),
    ({"left_out_weight": 0}, "weight-zero"),
    (with_pickup(window_end_seconds=TOO_LARGE), "overflow"),
    (with_pickup(window_start_seconds=-TOO_LARGE), "overflow"),
    (with_pickup(latest_seconds=TOO_LARGE), "overflow"),
    (with_pickup(service_seconds=TOO_LARGE), "overflow"),
    (with_pickup(units=2**21, seconds_per_unit=2**20), "overflow"),
    (with_pickup(late_price=TOO_LARGE), "overflow"),
    (with_pickup(closures=(Span(0, TOO_LARGE),)), "overflow"),
    ({"ride_seconds_at_most": TOO_LARGE}, "overflow"),
    ({"left_out_price": TOO_LARGE}, "overflow"),
    ({"drops": ()}, "stops-missing"),
    ({"pickups": ()}, "stops-missing"),
    (with_drop(loads=(5, 6)), "loads-differ"),
    (with_drop(loads=(5,)), "dimensions-differ"),
    ({**with_pickup(loads=()), **with_drop(loads=())}, "dimensions-differ"),
    ({**with_pickup(loads=(11, 0)), **with_drop(loads=(11, 0))}, "load-over-every-vehicle"),
    ({"pickups": REQUEST.pickups * 2, "drops": REQUEST.drops * 2}, "load-over-every-vehicle"),
    ({"allowed_vehicles": NAMED}, "unknown-vehicle"),
    ({"forbidden_vehicles": NAMED}, "unknown-vehicle"),
    ({"locked_to": "nobody"}, "unknown-vehicle"),
    ({"locked_to": "v", "allowed_vehicles": frozenset[str]()}, "lock-impossible"),
    ({"locked_to": "v", "forbidden_vehicles": frozenset({"v"})}, "lock-impossible"),
    ({"locked_to": "v", "allowed_groups": frozenset({"north"})}, "lock-impossible"),
    ({"locked_to": "v", "forbidden_groups": frozenset({""})}, "lock-impossible"),
    ({"locked_to": "v", "skills": frozenset({"trailer"})}, "lock-impossible"),
]
FAULTY_VEHICLES: list[tuple[dict[str, Any], str]] = [
    ({"start_point": 5}, "unknown-point"),
    ({"end_point": -1}, "unknown-point"),
    ({"shift_end_seconds": 0}, "shift-without-length"),
    ({"shift_end_seconds": -5}, "shift-without-length"),
    ({"capacities": (-1, 10)}, "negative-number"),
    ({"fixed_price": -1}, "negative-number"),
    ({"range_metres": -1}, "negative-number"),
    ({"ride_permille": 0}, "negative-number"),
    ({"capacities": (TOO_LARGE, 10)}, "overflow"),
    ({"shift_end_seconds": TOO_LARGE}, "overflow"),
    ({"shift_start_seconds": -TOO_LARGE}, "overflow"),
    ({"range_metres": TOO_LARGE}, "overflow"),
    ({"fixed_price": TOO_LARGE}, "overflow"),
    ({"ride_permille": TOO_LARGE}, "overflow"),
    ({"breaks": (Break(0, TOO_LARGE, 60),)}, "overflow"),
    ({"breaks": (Break(60, 59, 60),)}, "window-ends-before-it-starts"),
    ({"breaks": (Break(60, 60, -1),)}, "window-ends-before-it-starts"),
    ({"breaks": (Break(-60, -1, 60),)}, "break-outside-shift"),
    ({"breaks": (Break(7_200, 7_300, 60),)}, "break-outside-shift"),
    ({"breaks": (Break(0, 60, 7_201),)}, "break-outside-shift"),
    ({"breaks": (Break(0, 600, 3_600), Break(0, 3_599, 60))}, "break-outside-shift"),
]
FAULTY_MATRICES: list[tuple[Any, str]] = [
    ([[0, 60]], "matrix-not-square"),
    ([[0, 1, 2], [1, 0, 2], [1, 2, 0]], "matrix-not-square"),
    ([0, 60], "matrix-not-square"),
    ([[0, 60], [60]], "matrix-not-square"),
    ([[0, -60], [60, 0]], "matrix-negative"),
    ([[0, 60.5], [60, 0]], "matrix-not-whole"),
    ([[0, float("nan")], [60, 0]], "matrix-not-whole"),
    ([[0, 2**70], [60, 0]], "matrix-not-whole"),
    ([[0, TOO_LARGE], [60, 0]], "overflow"),
]
FAULTY_RULES: list[tuple[dict[str, Any], tuple[str, str]]] = [
    ({"shares": (Share("north", 0, 1_001),)}, ("share-out-of-bounds", "north")),
    ({"shares": (Share("north", -1),)}, ("share-out-of-bounds", "north")),
    ({"shares": (Share("north", 600, 500),)}, ("share-out-of-bounds", "north")),
    ({"shares": (Share("north", 500), Share("south", 501))}, ("share-out-of-bounds", "shares")),
    ({"shares": (Share("north"), Share("north"))}, ("given-twice", "north")),
    ({"fleet_limits": (FleetLimit(frozenset({"v"}), 1), FleetLimit(NAMED, 1))}, ("unknown-vehicle", "fleet limit 1")),
    ({"fleet_limits": (FleetLimit(frozenset({"v"}), -1),)}, ("negative-number", "fleet limit 0")),
    ({"fleet_limits": (FleetLimit(frozenset({"v"}), TOO_LARGE),)}, ("overflow", "fleet limit 0")),
    ({"hub_limits": (HubLimit(2, 1),)}, ("unknown-point", "hub 2")),
    ({"hub_limits": (HubLimit(-1, 1),)}, ("unknown-point", "hub -1")),
    ({"hub_limits": (HubLimit(1, -1),)}, ("negative-number", "hub 1")),
    ({"hub_limits": (HubLimit(1, TOO_LARGE),)}, ("overflow", "hub 1")),
    ({"hub_limits": (HubLimit(1, 0),) * (MOST_HUB_LIMITS + 1)}, ("too-many-hub-limits", "hub_limits")),
    ({"prices": Prices(ride_second=-1)}, ("price-out-of-bounds", "prices")),
    ({"prices": Prices(ride_metre=-1)}, ("price-out-of-bounds", "prices")),
    ({"prices": Prices(balance_per_second=TOO_LARGE)}, ("price-out-of-bounds", "prices")),
    ({"prices": Prices(below_share=-1)}, ("price-out-of-bounds", "prices")),
]


@pytest.mark.parametrize(("changes", "kind"), FAULTY_REQUESTS)
def test_a_faulty_request_is_named(changes: dict[str, Any], kind: str) -> None:
    assert faults_of(requests=(replace(REQUEST, **changes), replace(REQUEST, id="sound"))) == [(kind, "r")]


@pytest.mark.parametrize(("changes", "kind"), FAULTY_VEHICLES)
def test_a_faulty_vehicle_is_named(changes: dict[str, Any], kind: str) -> None:
    assert faults_of(vehicles=(replace(VEHICLE, **changes), replace(VEHICLE, id="sound"))) == [(kind, "v")]


def test_a_vehicle_with_other_dimensions_than_the_first_is_named() -> None:
    other = replace(VEHICLE, id="w", capacities=(10,))
    assert faults_of(vehicles=(VEHICLE, other)) == [("dimensions-differ", "w")]


@pytest.mark.parametrize(("matrix", "kind"), FAULTY_MATRICES)
def test_a_faulty_matrix_is_named(matrix: object, kind: str) -> None:
    assert faults_of(seconds=matrix) == [(kind, "travel_seconds")]
    assert faults_of(metres=matrix) == [(kind, "travel_metres")]


@pytest.mark.parametrize(("rules", "fault"), FAULTY_RULES)
def test_a_faulty_rule_is_named(rules: dict[str, Any], fault: tuple[str, str]) -> None:
    assert faults_of(**rules) == [fault]


def test_every_kind_of_fault_has_been_given() -> None:
    named = set(re.findall(r'Fault\(\s*"([a-z-]+)"', inspect.getsource(module)))
    given = {kind for _, kind in (*FAULTY_REQUESTS, *FAULTY_VEHICLES, *FAULTY_MATRICES)}
    assert named == given | {kind for _, (kind, _) in FAULTY_RULES} | {"lock-out-of-hours"}


def test_ids_given_twice_are_named() -> None:
    twice = faults_of(points=("a", "a"), requests=(REQUEST, REQUEST), vehicles=(VEHICLE, VEHICLE))
    assert twice == [("given-twice", "a"), ("given-twice", "r"), ("given-twice", "v")]


def test_sums_that_no_solver_could_form_are_an_overflow() -> None:
    requests = tuple(replace(REQUEST, id=f"r{index}") for index in range(2_000))
    assert faults_of(requests=requests, seconds=[[0, 2**39], [2**39, 0]]) == [("overflow", "problem")]


def test_sums_over_all_requests_are_an_overflow_where_vehicles_count_first_whatever_leaving_out_costs() -> None:
    requests = tuple(replace(REQUEST, id=f"r{index}", left_out_price=0) for index in range(2_000))
    faults = faults_of(requests=requests, seconds=[[0, 2**39], [2**39, 0]], objective=Objective.VEHICLES_FIRST)
    assert faults == [("overflow", "problem")]


def test_as_many_hub_limits_are_no_fault_as_are_told_apart_and_any_number_that_no_plan_exceeds() -> None:
    kept = (HubLimit(1, 0),) * MOST_HUB_LIMITS
    one_request = (HubLimit(1, 1),) * 9
    nobody_calls = (HubLimit(2, 0),) * 9
    problem = a_problem(
        points=("a", "b", "c"),
        vehicles=tuple(replace(VEHICLE, id=f"v{index}") for index in range(3)),
        seconds=np.zeros((3, 3), int),
        metres=np.zeros((3, 3), int),
        hub_limits=(*one_request, *kept, *nobody_calls),
    )
    assert problem.binding_hub_limits == kept
    two = a_problem(requests=(REQUEST, replace(REQUEST, id="s")), hub_limits=(HubLimit(1, 1), HubLimit(1, 0)))
    assert two.binding_hub_limits == (HubLimit(1, 0),)  # there is one vehicle


def test_what_is_locked_to_a_vehicle_that_is_too_small_for_it_is_named() -> None:
    large = replace(VEHICLE, id="large", capacities=(20, 20))
    heavy = replace(REQUEST, **with_pickup(loads=(11, 0)), **with_drop(loads=(11, 0)), locked_to="v")
    assert faults_of(requests=(heavy,), vehicles=(VEHICLE, large)) == [("lock-impossible", "r")]
    aboard = replace(heavy, pickups=())
    assert a_problem(requests=(aboard,), vehicles=(VEHICLE, large)).requests == (aboard,)


@pytest.mark.parametrize(
    ("changes", "stops"),
    [
        (with_pickup(window_start_seconds=-600, window_end_seconds=-1), 1),
        (with_pickup(window_start_seconds=7_141, window_end_seconds=9_000), 1),
        (with_pickup(closures=(Span(-1, 3_601),)), 1),
        (with_drop(service_seconds=7_201), 1),
        ({**with_pickup(service_seconds=7_201), **with_drop(window_start_seconds=-9, window_end_seconds=-1)}, 2),
        (with_pickup(window_start_seconds=-600, window_end_seconds=0), 0),
        (with_pickup(window_start_seconds=7_140, window_end_seconds=9_000), 0),
        (with_pickup(window_end_seconds=-1, window_start_seconds=-9, latest_seconds=0), 0),
    ],
)
def test_stops_that_the_shift_they_are_locked_to_leaves_no_time_for_are_told(
    changes: dict[str, Any], stops: int
) -> None:
    problem = a_problem(requests=(replace(REQUEST, **changes, locked_to="v"), replace(REQUEST, id="free", **changes)))
    told = [(fault.kind, fault.item) for fault in locks_out_of_hours(problem)]
    assert told == [("lock-out-of-hours", "r")] * stops


def test_every_fault_is_told_at_once() -> None:
    faults = faults_of(
        requests=(
            replace(REQUEST, **with_pickup(window_end_seconds=-1, point=7), allowed_vehicles=NAMED),
            replace(REQUEST, id="heavy", **with_pickup(loads=(99, 0)), **with_drop(loads=(99, 0))),
        ),
        vehicles=(replace(VEHICLE, shift_end_seconds=0, start_point=9),),
        seconds=[[0]],
        metres=[[0, 0.5], [1, 0]],
        hub_limits=(HubLimit(2, 1),),
        prices=Prices(ride_second=-1),
    )
    assert faults == [
        ("matrix-not-square", "travel_seconds"),
        ("matrix-not-whole", "travel_metres"),
        ("unknown-point", "v"),
        ("shift-without-length", "v"),
        ("unknown-point", "r"),
        ("window-ends-before-it-starts", "r"),
        ("unknown-vehicle", "r"),
        ("load-over-every-vehicle", "heavy"),
        ("unknown-point", "hub 2"),
        ("price-out-of-bounds", "prices"),
    ]


def test_nothing_at_all_is_no_fault() -> None:
    nothing = a_problem(points=(), requests=(), vehicles=(), seconds=np.zeros((0, 0), int), metres=RIDES[:0, :0])
    assert nothing.worst_cost == 1


def test_a_request_without_any_vehicle_is_no_fault() -> None:
    assert a_problem(vehicles=()).requests == (REQUEST,)


def test_what_is_aboard_already_may_be_more_than_any_bike_should_carry() -> None:
    aboard = Request("r", (), (Stop(0, 0, 9, loads=(99, 99)),), locked_to="v")
    assert a_problem(requests=(aboard,)).requests_by_id == {"r": aboard}


def test_a_cooperative_that_does_not_ride_today_is_no_fault() -> None:
    request = replace(REQUEST, allowed_groups=frozenset({"north"}), forbidden_groups=frozenset({"south"}))
    assert a_problem(requests=(request,), shares=(Share("north", 500),)).vehicles_by_id == {"v": VEHICLE}


@given(problems())
@settings(deadline=None, max_examples=20)
def test_sound_problems_travel_between_processes(problem: RoutingProblem) -> None:
    back = pickle.loads(pickle.dumps(problem))
    assert (back.requests, back.vehicles, back.prices) == (problem.requests, problem.vehicles, problem.prices)
    assert np.array_equal(back.travel_metres, problem.travel_metres)
    assert back.worst_cost == problem.worst_cost


def test_a_problem_cannot_be_changed_behind_its_back() -> None:
    mine: Matrix = RIDES.copy()
    problem = a_problem(seconds=mine)
    mine[0, 1] = -1
    assert problem.travel_seconds[0, 1] == 60
    with pytest.raises(ValueError, match="read-only"):
        problem.travel_seconds[0, 1] = -1


def test_faults_travel_between_processes() -> None:
    with pytest.raises(FaultyProblem) as refused:
        a_problem(vehicles=(replace(VEHICLE, shift_end_seconds=0),))
    back = pickle.loads(pickle.dumps(refused.value))
    assert [(fault.kind, fault.detail) for fault in back.errors] == [
        ("shift-without-length", "La vacation « v » doit finir après son début.")
    ]
    assert str(back) == str(refused.value)


def test_a_stop_takes_its_service_and_each_piece() -> None:
    assert Stop(0, 0, 9, 60, units=3, seconds_per_unit=7).duration_seconds == 81


def test_the_last_second_of_a_window_is_its_end_or_where_soft_its_latest() -> None:
    assert (Stop(0, 0, 9).last_seconds, Stop(0, 0, 9, latest_seconds=12).last_seconds) == (9, 12)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 4)), max_size=4), st.integers(-2, 12))
def test_a_stop_opens_at_the_first_second_that_is_allowed(closed: list[tuple[int, int]], seconds: int) -> None:
    closures = tuple(Span(start, start + length) for start, length in closed)
    allowed = [
        second
        for second in range(max(seconds, 1), 11)
        if not any(closure.start_seconds <= second < closure.end_seconds for closure in closures)
    ]
    assert Stop(0, 1, 8, latest_seconds=10, closures=closures).opens(seconds) == next(iter(allowed), None)


def test_a_bike_s_rides_are_longer_by_its_factor_rounded_up_and_priced() -> None:
    slow = replace(VEHICLE, ride_permille=1_017)
    problem = a_problem(vehicles=(slow,), metres=RIDES * 10, prices=Prices(ride_second=2, ride_metre=3))
    assert [problem.ride_seconds(slow, 0, 1), problem.ride_seconds(slow, 1, 0), problem.ride_seconds(slow, 0, 0)] == [
        62,
        92,
        0,
    ]
    assert problem.ride_price(slow, 0, 1) == 2 * 62 + 3 * 600


def test_a_share_is_rounded_down_where_it_should_and_up_where_it_may_be_reached() -> None:
    problem = a_problem(requests=tuple(replace(REQUEST, id=f"r{index}") for index in range(10)))
    assert [(problem.least(share), problem.most(share)) for share in (Share("", 250, 310), Share("", 300, 300))] == [
        (2, 4),
        (3, 3),
    ]


def test_stops_are_told_pickups_first_and_found_by_kind_and_number() -> None:
    two = replace(REQUEST, pickups=(REQUEST.pickups[0], Stop(1, 0, 9, loads=(0, 0))))
    assert [(kind, number) for kind, number, _ in two.stops] == [
        (StopKind.PICKUP, 0),
        (StopKind.PICKUP, 1),
        (StopKind.DROP, 0),
    ]
    assert all(two.stop(kind, number) is stop for kind, number, stop in two.stops)
