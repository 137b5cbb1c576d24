"""Pictures of plans: sound XML whatever the names, everything that is planned and left out is on it."""

from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest

from services.dispatch.planning.drawing import Progress, clock, draw, plane
from services.dispatch.planning.plan import BreakTaken, LeftOut, Plan, Route, Visit
from services.dispatch.planning.problem import Break, Request, RoutingProblem, Stop, StopKind, Vehicle, pair

SVG = "{http://www.w3.org/2000/svg}"
POSITIONS = [(0.0, 0.0), (3.0, 1.0), (1.0, 2.0)]


def a_request(request_id: str) -> Request:
    return pair(request_id, Stop(1, 0, 90_000, 60), Stop(2, 0, 90_000, 60))


PROBLEM = RoutingProblem(
    ("hub", "a", "b"),
    (a_request("linge <1>"), a_request("outils & co")),
    (Vehicle("vélo \x00\ud800 & co", 0, 0, 0, 90_000, breaks=(Break(3_600, 7_200, 900),)), Vehicle("v2", 0, 0, 0, 9)),
    np.full((3, 3), 300),
    np.full((3, 3), 1_000),
)
PLAN = Plan(
    (
        Route(
            PROBLEM.vehicles[0].id,
            0,
            (
                Visit("linge <1>", StopKind.PICKUP, 1, 300, 300, 360, ()),
                Visit("linge <1>", StopKind.DROP, 2, 660, 660, 720, ()),
            ),
            86_500,
            900,
            3_000,
            (BreakTaken(1, 3_600, 4_500),),
        ),
    ),
    (LeftOut("outils & co", sentence="Ajoutez une vacation."),),
)
PROGRESS = [Progress(0.1, 2, 5_000), Progress(0.5, 1, 4_000.5)]


def texts(svg: str) -> str:
    return " ".join("".join(element.itertext()) for element in ElementTree.fromstring(svg).iter(f"{SVG}text"))


@pytest.mark.parametrize("positions", [POSITIONS, None])
def test_a_picture_is_sound_and_asks_for_nothing_from_outside(positions: list[tuple[float, float]] | None) -> None:
    svg = draw(PROBLEM, PLAN, positions, PROGRESS, title="jour <1> & nuit")
    root = ElementTree.fromstring(svg)
    assert root.tag == f"{SVG}svg"
    assert root.get("viewBox")
    assert svg.count("http") == 1
    said = texts(svg)
    assert "1 sur 2 vacations" in said
    assert "1 sur 2 demandes" in said
    assert "3.0 km de trajet" in said
    assert "coût 5 000 → 4 000" in said
    assert "jour <1> & nuit" in said


def test_pickups_are_filled_and_drops_are_open() -> None:
    root = ElementTree.fromstring(draw(PROBLEM, PLAN, POSITIONS))
    (group,) = (
        each for each in root.iter(f"{SVG}g") if each.find(f"{SVG}circle") is not None and not each.get("transform")
    )
    pickup, drop = group.findall(f"{SVG}circle")
    assert (pickup.get("fill"), drop.get("fill")) == (pickup.get("stroke"), "#ffffff")


def test_what_is_left_out_is_marked_with_why() -> None:
    root = ElementTree.fromstring(draw(PROBLEM, PLAN, POSITIONS))
    assert "outils & co : Ajoutez une vacation." in {title.text for title in root.iter(f"{SVG}title")}
    assert "outils & co" in texts(draw(PROBLEM, PLAN, None))


def test_everything_is_inside_the_frame() -> None:
    root = ElementTree.fromstring(draw(PROBLEM, PLAN, [(1e6, -5.0), (1e6, 70.0), (1e6, 3.0)]))
    stops = [circle for circle in root.iter(f"{SVG}circle") if circle.get("cy") != "-4"]  # those of the key are moved
    assert len(stops) == 2
    for circle in stops:
        assert 0 <= float(circle.get("cx", "")) <= 1280
        assert 0 <= float(circle.get("cy", "")) <= 880


@pytest.mark.parametrize("positions", [[(2.0, 2.0)] * 3, None])
def test_a_plan_without_routes_can_be_drawn(positions: list[tuple[float, float]] | None) -> None:
    nothing = Plan((), tuple(LeftOut(request.id) for request in PROBLEM.requests))
    assert "0 sur 2 vacations" in texts(draw(PROBLEM, nothing, positions))
    empty = RoutingProblem((), (), (), np.zeros((0, 0), int), np.zeros((0, 0), int))
    assert "0 sur 0 demandes" in texts(draw(empty, Plan((), ()), None))


def test_two_hundred_routes_have_colours_of_their_own_and_are_not_all_listed() -> None:
    vehicles = tuple(Vehicle(str(number), 0, 0, 0, 90_000) for number in range(200))
    problem = RoutingProblem(PROBLEM.points, PROBLEM.requests, vehicles, PROBLEM.travel_seconds, PROBLEM.travel_metres)
    plan = Plan(tuple(replace(PLAN.routes[0], vehicle_id=vehicle.id) for vehicle in vehicles), ())
    for positions in (POSITIONS, None):
        svg = draw(problem, plan, positions)
        colours = {path.get("stroke") for path in ElementTree.fromstring(svg).iter(f"{SVG}path")}
        assert len(colours) >= 200
        assert "autres" in texts(svg)


def test_a_plane_keeps_the_shape_of_a_city() -> None:
    (west, _), (east, _) = plane([(6.0, 60.0), (7.0, 60.0)])
    assert east - west == pytest.approx(0.5)


def test_a_clock_tells_the_day_where_it_is_another() -> None:
    assert (clock(29_100), clock(87_300), clock(-60)) == ("08:05", "00:15 J+1", "23:59 J-1")
