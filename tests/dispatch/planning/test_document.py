"""Documents: nothing is lost on the way, times and points have readable forms, every fault is named with its place."""

import copy
import json
import random
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.dispatch.planning import document
from services.dispatch.planning.plan import (
    BreakTaken,
    LeftOut,
    Plan,
    Reason,
    ReasonCode,
    Remedy,
    Route,
    Visit,
)
from services.dispatch.planning.problem import (
    Break,
    FaultyProblem,
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
)
from services.kit.errors import DomainError, Refusals
from tests.strategies import problems

PICKUP = Stop(
    point=1,
    window_start_seconds=28_800,
    window_end_seconds=30_000,
    service_seconds=60,
    loads=(5, 2),
    units=3,
    seconds_per_unit=20,
    latest_seconds=31_000,
    late_price=2,
    closures=(Span(29_000, 29_100), Span(29_500, 29_600)),
)
RICH = RoutingProblem(
    points=("hub", "école", "north/south"),
    requests=(
        Request(
            id="linge",
            pickups=(PICKUP,),
            drops=(Stop(2, 0, 99_000, loads=(3, 1)), Stop(0, -600, 99_000, loads=(2, 1))),
            skills=frozenset({"trailer", "keys"}),
            allowed_vehicles=frozenset({"early", "late"}),
            forbidden_vehicles=frozenset({"late"}),
            allowed_groups=frozenset({"coop"}),
            forbidden_groups=frozenset({"other"}),
            ride_seconds_at_most=7_200,
            left_out_price=1_000,
            left_out_weight=2,
        ),
        Request("aboard", (), (Stop(2, 0, 99_000, loads=(1, 0)),), locked_to="early"),
    ),
    vehicles=(
        Vehicle(
            id="early",
            start_point=0,
            end_point=2,
            shift_start_seconds=25_000,
            shift_end_seconds=60_000,
            capacities=(10, 10),
            skills=frozenset({"trailer", "keys"}),
            group="coop",
            ride_permille=1_100,
            range_metres=40_000,
            breaks=(Break(40_000, 45_000, 1_800),),
            fixed_price=500,
        ),
        Vehicle("late", 0, 0, 50_000, 100_000, (20, 20), group="other"),
    ),
    travel_seconds=np.array([[0, 70, 800], [60, 0, 90_000], [900, 5, 0]]),
    travel_metres=np.array([[0, 1, 2], [3, 0, 4], [5, 2**39, 0]]),
    prices=Prices(ride_second=2, ride_metre=1, balance_per_second=3, below_share=4),
    objective=Objective.VEHICLES_FIRST,
    shares=(Share("coop", 100, 900),),
    fleet_limits=(FleetLimit(frozenset({"early", "late"}), 1),),
    hub_limits=(HubLimit(0, 2),),
)
SMALL: dict[str, Any] = {
    "points": ["hub", "school"],
    "requests": [
        {
            "id": "cloths",
            "pickups": [{"point": "hub", "window_start_seconds": "08:00", "window_end_seconds": "D+1 00:15:30"}],
            "drops": [{"point": 1, "window_start_seconds": "D-1 23:00", "window_end_seconds": 40_000}],
        }
    ],
    "vehicles": [
        {
            "id": "bike",
            "start_point": "hub",
            "end_point": "school",
            "shift_start_seconds": "7:30",
            "shift_end_seconds": "24:00",
        }
    ],
    "travel_seconds": [[0, 300], [320, 0]],
    "travel_metres": [[0, 900], [950, 0]],
}


ENDLESS = {
    "point": 0,
    "window_start_seconds": 0,
    "window_end_seconds": 0,
    "latest_seconds": 2**40,
    "late_price": 2**40,
}
"""A stop that may cost more than is ever added up."""


def same(one: RoutingProblem, other: RoutingProblem) -> bool:
    """Return whether every field is equal."""
    pairs = ((getattr(one, field.name), getattr(other, field.name)) for field in fields(RoutingProblem))
    return all(np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b for a, b in pairs)


def through_json(value: object) -> object:
    return document.parse(json.dumps(value))


def refused(value: object) -> dict[str | None, str]:
    """Return what is wrong with a document: a sentence for each pointer."""
    with pytest.raises(DomainError) as caught:
        document.from_document(value)
    errors = caught.value.errors if isinstance(caught.value, Refusals) else (caught.value,)
    return {error.pointer: error.detail for error in errors}


def changed(path: str, value: object) -> Any:
    """Return SMALL with another value at a pointer."""
    whole = copy.deepcopy(SMALL)
    *way, last = path.split("/")[1:]
    place = whole
    for step in way:
        place = place[int(step)] if isinstance(place, list) else place[step]
    place[int(last) if isinstance(place, list) else last] = value
    return whole


def test_every_field_comes_back() -> None:
    assert same(document.from_document(through_json(document.to_document(RICH))), RICH)
    assert same(document.unpack(document.pack(RICH)), RICH)


def test_an_example_with_every_field_changed_from_its_default_is_what_the_round_trip_is_tried_on() -> None:
    request, vehicle = RICH.requests[0], RICH.vehicles[0]
    for thing in (PICKUP, vehicle, RICH.prices, RICH.shares[0]):
        assert all(getattr(thing, field.name) != field.default for field in fields(thing))
    same_as_default = {field.name for field in fields(request) if getattr(request, field.name) == field.default}
    assert same_as_default == {"locked_to"}
    assert all(getattr(RICH, field.name) != field.default for field in fields(RICH) if not field.name.startswith("tr"))


@given(problems())
@settings(deadline=None, max_examples=60)
def test_any_problem_comes_back_whole(problem: RoutingProblem) -> None:
    assert same(document.from_document(through_json(document.to_document(problem))), problem)
    assert same(document.unpack(document.pack(problem)), problem)


def test_a_packed_problem_is_small() -> None:
    size = 200
    cells = np.random.default_rng(0).integers(0, 2_000, (size, size))
    problem = RoutingProblem(tuple(map(str, range(size))), (), (), cells, cells)
    assert len(document.pack(problem)) < len(json.dumps(document.to_document(problem))) / 2.5


@pytest.mark.parametrize("packed", [b"", b"not packed", document.pack(RICH)[:-20]])
def test_bytes_that_are_no_problem_are_refused(packed: bytes) -> None:
    with pytest.raises(document.UnreadableDocument):
        document.unpack(packed)


def test_defaults_are_left_out() -> None:
    written = document.to_document(document.from_document(SMALL))
    assert set(written) == set(SMALL)
    assert set(written["vehicles"][0]) == set(SMALL["vehicles"][0])


def test_times_and_points_have_readable_forms() -> None:
    problem = document.from_document(SMALL)
    (request,), (vehicle,) = problem.requests, problem.vehicles
    assert (request.pickups[0].window_start_seconds, request.pickups[0].window_end_seconds) == (28_800, 87_330)
    assert request.drops[0].window_start_seconds == -3_600
    assert (vehicle.shift_start_seconds, vehicle.shift_end_seconds) == (27_000, 86_400)
    assert (request.pickups[0].point, request.drops[0].point, vehicle.end_point) == (0, 1, 1)


def test_missing_matrices_are_estimated_where_every_point_has_a_position() -> None:
    asked: list[object] = []

    def travel(positions: object) -> tuple[list[list[int]], list[list[int]]]:
        asked.append(positions)
        return [[0, 7], [7, 0]], [[0, 20], [20, 0]]

    placed: Any = {
        **SMALL,
        "points": [{"id": "hub", "lon": 6.18, "lat": 48}, {"id": "school", "lon": 6.2, "lat": 48.7}],
    }
    del placed["travel_seconds"], placed["travel_metres"]
    problem = document.from_document(placed, travel)
    assert asked == [[(6.18, 48.0), (6.2, 48.7)]] == [document.positions(placed)]
    assert (problem.travel_seconds.tolist(), problem.travel_metres[0, 1]) == ([[0, 7], [7, 0]], 20)
    placed["travel_metres"] = [[0, 900], [950, 0]]
    assert document.from_document(placed, travel).travel_metres[1, 0] == 950
    assert set(refused(placed)) == {"/travel_seconds"}
    del placed["points"][1]["lon"], placed["points"][1]["lat"]
    with pytest.raises(document.UnreadableDocument, match="lon"):
        document.from_document(placed, travel)
    assert document.positions(placed) is None


@pytest.mark.parametrize(
    ("pointer", "value", "says"),
    [
        ("/points", "hub", "une liste"),
        ("/points/1", "hub", "deux fois"),
        ("/points/1", {"id": "school", "lon": 200, "lat": 4}, ""),
        ("/points/1", "line\nbreak", "contrôle"),
        ("/requests", {}, "une liste"),
        ("/requests/0", [], "un objet"),
        ("/requests/0/id", 7, "un texte"),
        ("/requests/0/pickup", [], "« pickups »"),
        ("/requests/0/a~b", 1, "inconnu"),
        ("/requests/0/skills", "keys", "une liste"),
        ("/requests/0/pickups/0/point", "nowhere", "« nowhere »"),
        ("/requests/0/pickups/0/window_start_seconds", "8h", "08:30"),
        ("/requests/0/pickups/0/window_start_seconds", "25:00", "08:30"),
        ("/requests/0/pickups/0/service_seconds", "00:10", "un nombre entier"),
        ("/requests/0/pickups/0/service_seconds", 1.5, "un nombre entier"),
        ("/requests/0/pickups/0/service_seconds", True, "un nombre entier"),
        ("/requests/0/pickups/0/loads", [2**63], "64 bits"),
        ("/vehicles/0/range_metres", [], "un nombre entier"),
        ("/objective", "speed", "vehicles-first"),
        ("/prices", {"ride_second": None}, ""),
        ("/travel_seconds/1", [0], "1 nombres"),
        ("/travel_seconds/1", [0, 1.0], "entiers"),
        ("/travel_seconds/1", [0, True], "entiers"),
        ("/travel_metres/1", [0, 2**70], "entiers"),
        ("/travel_metres", [1, 2], "une liste de lignes"),
    ],
)
def test_a_fault_of_shape_is_named_with_its_place(pointer: str, value: object, says: str) -> None:
    ((place, sentence),) = refused(changed(pointer, value)).items()
    assert place is not None
    assert place.replace("~0", "~").startswith(pointer)
    assert says in sentence
    assert sentence.startswith(place)


def test_all_faults_of_shape_are_told_together() -> None:
    wrong = changed("/requests/0/id", 7)
    wrong["vehicles"] = [{"id": "bike", "colour": "red"}]
    wrong["depot"] = 1
    del wrong["travel_metres"]
    assert set(refused(wrong)) == {
        "/depot",
        "/requests/0/id",
        "/travel_metres",
        *(
            f"/vehicles/0/{name}"
            for name in ("colour", "start_point", "end_point", "shift_start_seconds", "shift_end_seconds")
        ),
    }


def test_unknown_members_are_told_in_the_order_of_the_file() -> None:
    wrong = {**SMALL, **{f"unknown {letter}": 1 for letter in "fbdaehcg"}}
    assert list(refused(wrong)) == [f"/unknown {letter}" for letter in "fbdaehcg"]


def test_a_member_given_twice_is_told_with_its_place_and_the_other_faults() -> None:
    text = json.dumps(changed("/requests/0/id", 7)).replace('"start_point": "hub"', '"group": "a", "group": "b"')
    told = refused(document.parse(text))
    assert list(told) == ["/requests/0/id", "/vehicles/0/group", "/vehicles/0/start_point"]
    assert "deux fois" in told["/vehicles/0/group"]


def test_right_shapes_with_impossible_contents_are_a_faulty_problem() -> None:
    with pytest.raises(FaultyProblem):
        document.from_document(changed("/vehicles/0/shift_end_seconds", "07:30"))


def test_what_is_locked_to_a_shift_at_other_hours_is_told_before_any_search() -> None:
    early = changed("/requests/0/locked_to", "bike")
    assert document.from_document(early).requests[0].locked_to == "bike"
    early["requests"][0]["pickups"][0]["window_end_seconds"] = "08:30"
    early["vehicles"][0]["shift_start_seconds"] = "09:00"
    with pytest.raises(FaultyProblem, match="« cloths », enlèvement : hors des heures de la vacation « bike »"):
        document.from_document(early)


@pytest.mark.parametrize(
    ("pointer", "value", "place"),
    [
        ("/vehicles/0/shift_end_seconds", "07:30", "/vehicles/0"),
        ("/requests/0/drops/0/window_end_seconds", "D-1 22:00", "/requests/0"),
        ("/requests/0/locked_to", "van", "/requests/0"),
        ("/requests", SMALL["requests"] * 2, "/requests/1"),
        ("/vehicles", SMALL["vehicles"] * 3, "/vehicles/2"),
        ("/travel_metres/0/1", -1, "/travel_metres"),
        ("/prices", {"ride_metre": -1}, "/prices"),
        ("/shares", [{"group": "a"}, {"group": "b", "at_most_permille": 1_001}], "/shares/1"),
        ("/shares", [{"group": "a"}, {"group": "a"}], "/shares/1"),
        ("/shares", [{"group": one, "at_least_permille": 600} for one in "ab"], "/shares"),
        (
            "/fleet_limits",
            [{"vehicles": ["bike"], "at_most": 1}, {"vehicles": ["van"], "at_most": 1}],
            "/fleet_limits/1",
        ),
        ("/hub_limits", [{"point": 0, "at_most": 1}, {"point": 1, "at_most": -1}], "/hub_limits/1"),
        ("/requests/0/pickups/0", ENDLESS, ""),
        ("/hub_limits", [{"point": 0, "at_most": 0}] * 64, "/hub_limits"),
    ],
)
def test_a_fault_of_content_is_named_with_the_place_of_what_it_is_about(
    pointer: str, value: object, place: str
) -> None:
    ((told, sentence),) = refused(changed(pointer, value)).items()
    assert told == place
    assert sentence.startswith(f"{place or 'Le fichier'} : ")


def test_faults_of_a_request_and_of_a_vehicle_of_the_same_id_have_each_its_place() -> None:
    wrong = changed("/vehicles/0/shift_end_seconds", "07:30")
    wrong["requests"][0] |= {"id": "bike", "left_out_price": -1}
    told = refused(wrong)
    assert list(told) == ["/vehicles/0", "/requests/0"]
    assert "La demande « bike »" in told["/requests/0"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("hub"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.sampled_from([*SMALL]), inner),
    max_leaves=12,
)


@given(JSON)
@settings(deadline=None, max_examples=100)
def test_no_json_crashes_the_reader(value: object) -> None:
    with pytest.raises(DomainError):
        document.from_document(value)
    with pytest.raises(DomainError):
        document.plan_from_document(RICH, value)


@given(st.randoms(use_true_random=False), JSON | st.integers(-(2**64), 2**64))
@settings(deadline=None, max_examples=300)
def test_no_change_of_a_good_document_crashes_the_reader(chance: random.Random, value: object) -> None:
    whole = copy.deepcopy(chance.choice([SMALL, document.to_document(RICH)]))
    place: Any = whole
    while True:
        key = chance.choice([*(place if isinstance(place, dict) else range(len(place)))])
        if not (isinstance(place[key], dict | list) and place[key] and chance.random() < 0.8):
            break
        place = place[key]
    place[key] = value
    try:
        problem = document.from_document(whole)
    except DomainError as error:
        assert error.detail
    else:
        assert same(document.from_document(document.to_document(problem)), problem)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "1" * 10_000, '{"points": [}', "\ufeff{}", "NaN,"])
def test_a_text_that_is_no_sound_json_is_refused(text: str) -> None:
    with pytest.raises(document.UnreadableDocument):
        document.parse(text)


PLAN = Plan(
    routes=(
        Route(
            "early",
            28_000,
            (
                Visit("linge", StopKind.PICKUP, 1, 28_070, 28_800, 28_920, (6, 2)),
                Visit("linge", StopKind.DROP, 0, 29_000, 29_000, 29_000, (4, 1), 1),
            ),
            60_000,
            300,
            400,
            (BreakTaken(1, 40_000, 41_800),),
        ),
    ),
    left_out=(
        LeftOut(
            "aboard",
            (Reason(ReasonCode.SHIFT, "late"), Reason(ReasonCode.NO_VEHICLE)),
            "Allongez la vacation.",
            (Remedy(ReasonCode.SHIFT, "late", 720, "end", 1), Remedy(ReasonCode.SKILL, None, what="trailer")),
        ),
        LeftOut("linge"),
    ),
)


def test_a_plan_comes_back_whole() -> None:
    written = through_json(document.plan_document(RICH, PLAN))
    assert isinstance(written, dict)
    assert written["routes"][0]["visits"][0]["point"] == "école"
    assert document.plan_from_document(RICH, {**written, "cost": 7, "violations": [], "trace": []}) == PLAN


def test_a_plan_of_another_shape_is_refused() -> None:
    written: Any = document.plan_document(RICH, PLAN)
    written["routes"][0]["visits"][0]["point"] = "nowhere"
    written["routes"][0]["colour"] = "red"
    written["left_out"][0]["reasons"][0]["code"] = "bad-luck"
    with pytest.raises(Refusals) as caught:
        document.plan_from_document(RICH, written)
    assert {error.pointer for error in caught.value.errors} == {
        "/routes/0/visits/0/point",
        "/routes/0/colour",
        "/left_out/0/reasons/0/code",
    }
