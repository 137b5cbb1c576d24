"""A problem that cannot be meant is refused with everything that is wrong with it."""

import pickle
from dataclasses import replace

import numpy as np
import pytest

from services.dispatch.planning.problem import (
    LARGEST_NUMBER,
    Fault,
    FaultyProblem,
    Matrix,
    Request,
    RoutingProblem,
    Stop,
    Vehicle,
)

RIDES = np.array([[0, 60], [90, 0]])
REQUEST = Request("r", Stop(0, 0, 3_600, 60), Stop(1, 0, 3_600, 60), (5, 7))
VEHICLE = Vehicle("v", 0, 1, 0, 7_200, (10, 10))


def a_problem(
    *,
    points: tuple[str, ...] = ("a", "b"),
    requests: tuple[Request, ...] = (REQUEST,),
    vehicles: tuple[Vehicle, ...] = (VEHICLE,),
    seconds: object = RIDES,
    metres: object = RIDES,
) -> RoutingProblem:
    return RoutingProblem(points, requests, vehicles, np.asarray(seconds), np.asarray(metres))


def faults_of(**given: object) -> list[tuple[str, str]]:
    with pytest.raises(FaultyProblem) as refused:
        a_problem(**given)  # type: ignore[arg-type]
    faults = refused.value.errors
    assert all(isinstance(fault, Fault) and fault.detail.endswith(".") for fault in faults)
    return [(fault.facts["kind"], fault.facts["item"]) for fault in faults]  # type: ignore[misc]


def with_pickup(**changes: int) -> Request:
    return replace(REQUEST, pickup=replace(REQUEST.pickup, **changes))


@pytest.mark.parametrize(
    ("request_", "kind"),
    [
        (with_pickup(window_end_seconds=-1), "window-ends-before-it-starts"),
        (with_pickup(point=2), "unknown-point"),
        (with_pickup(point=-1), "unknown-point"),
        (with_pickup(service_seconds=-1), "negative-number"),
        (with_pickup(window_end_seconds=LARGEST_NUMBER + 1), "overflow"),
        (replace(REQUEST, loads=(11, 0)), "load-over-every-vehicle"),
        (replace(REQUEST, loads=(-1, 0)), "negative-number"),
        (replace(REQUEST, loads=(5,)), "dimensions-differ"),
        (replace(REQUEST, allowed_vehicles=frozenset({"w"})), "unknown-vehicle"),
    ],
)
def test_a_faulty_request_is_named(request_: Request, kind: str) -> None:
    assert faults_of(requests=(request_,)) == [(kind, "r")]


@pytest.mark.parametrize(
    ("vehicle", "kind"),
    [
        (replace(VEHICLE, start_point=5), "unknown-point"),
        (replace(VEHICLE, end_point=5), "unknown-point"),
        (replace(VEHICLE, shift_end_seconds=0), "shift-without-length"),
        (replace(VEHICLE, shift_end_seconds=-5), "shift-without-length"),
        (replace(VEHICLE, capacities=(-1, 10)), "negative-number"),
        (replace(VEHICLE, fixed_cost_seconds=-1), "negative-number"),
        (replace(VEHICLE, capacities=(LARGEST_NUMBER + 1, 10)), "overflow"),
    ],
)
def test_a_faulty_vehicle_is_named(vehicle: Vehicle, kind: str) -> None:
    assert faults_of(vehicles=(vehicle,), requests=()) == [(kind, "v")]


@pytest.mark.parametrize(
    ("matrix", "kind"),
    [
        ([[0, 60]], "matrix-not-square"),
        ([[0, 1, 2], [1, 0, 2], [1, 2, 0]], "matrix-not-square"),
        ([0, 60], "matrix-not-square"),
        ([[0, -60], [60, 0]], "matrix-negative"),
        ([[0, 60.5], [60, 0]], "matrix-not-whole"),
        ([[0, float("nan")], [60, 0]], "matrix-not-whole"),
        ([[0, LARGEST_NUMBER + 1], [60, 0]], "overflow"),
    ],
)
def test_a_faulty_matrix_is_named(matrix: list[list[float]], kind: str) -> None:
    assert faults_of(seconds=matrix)[0] == (kind, "travel_seconds")
    assert faults_of(metres=matrix)[0] == (kind, "travel_metres")


def test_ids_given_twice_are_named() -> None:
    twice = faults_of(points=("a", "a"), requests=(REQUEST, REQUEST), vehicles=(VEHICLE, VEHICLE))
    assert twice == [("given-twice", "a"), ("given-twice", "r"), ("given-twice", "v")]


def test_sums_that_no_solver_could_form_are_an_overflow() -> None:
    requests = tuple(replace(REQUEST, id=f"r{index}") for index in range(2_000))
    assert faults_of(requests=requests, seconds=[[0, 2**39], [2**39, 0]]) == [("overflow", "problem")]


def test_every_fault_is_told_at_once() -> None:
    reversed_window = with_pickup(window_end_seconds=-1)
    too_heavy = replace(REQUEST, id="heavy", loads=(99, 0))
    faults = faults_of(requests=(reversed_window, too_heavy), seconds=[[0]])
    assert faults == [
        ("matrix-not-square", "travel_seconds"),
        ("window-ends-before-it-starts", "r"),
        ("load-over-every-vehicle", "heavy"),
    ]


def test_a_request_without_any_vehicle_is_no_fault() -> None:
    assert a_problem(vehicles=()).requests == (REQUEST,)


def test_a_problem_cannot_be_changed_behind_its_back() -> None:
    mine: Matrix = RIDES.copy()
    problem = a_problem(seconds=mine)
    mine[0, 1] = -1
    assert problem.travel_seconds[0, 1] == 60
    with pytest.raises(ValueError, match="read-only"):
        problem.travel_seconds[0, 1] = -1


def test_problems_and_faults_travel_between_processes() -> None:
    problem = pickle.loads(pickle.dumps(a_problem()))
    assert (problem.requests, problem.points) == ((REQUEST,), ("a", "b"))
    with pytest.raises(FaultyProblem) as refused:
        a_problem(vehicles=(replace(VEHICLE, shift_end_seconds=0),))
    back = pickle.loads(pickle.dumps(refused.value))
    assert [(fault.kind, fault.detail) for fault in back.errors] == [
        ("shift-without-length", "La vacation « v » doit finir après son début.")
    ]
    assert str(back) == str(refused.value)
