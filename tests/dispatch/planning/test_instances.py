"""Benchmark files become problems, their plans the file's node numbers; a broken file is named."""

import math
import re
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.dispatch.planning.check import check
from services.dispatch.planning.instances import LILIM_UNITS, UnreadableInstance, detect, read, read_lilim, read_sartori
from services.dispatch.planning.plan import Plan
from services.dispatch.planning.problem import LARGEST_COST, LARGEST_NUMBER, FaultyProblem, Objective
from services.dispatch.planning.solve import Seconds, Steps, solve
from services.kit.errors import DomainError

LILIM = """3 10 1
0 0 0 0 0 1000 0 0 0
1 3 4 5 0 900 10 0 3
2 0 10 4 0 900 10 0 4
3 6 8 -5 0 900 10 1 0
4 0 20 -4 0 900 10 2 0
"""

ODD = ["-1", "0", "1e400", "-1e308", "nan", "9" * 30, "1_000", "1.5", "0x10", "\x00", "\u0663"]
SARTORI = """NAME: tiny
LOCATION: Nowhere
SIZE: 3
ROUTE-TIME: 240
CAPACITY: 300
NODES
0 41.39435330 2.14364870 0 0 240 0 0 0
1 41.40952070 2.14582110 113 0 84 5 0 2
2 41.44502020 2.18195650 -113 20 240 5 1 0
EDGES
0 7 9
8 0 4
11 5 0
EOF
"""


def test_a_lilim_file_becomes_a_problem() -> None:
    problem = read_lilim(LILIM).problem
    assert problem.objective is Objective.VEHICLES_FIRST
    assert [request.id for request in problem.requests] == ["1-3", "2-4"]
    assert [(vehicle.capacities, vehicle.fixed_price) for vehicle in problem.vehicles] == [((10,), 0)] * 2
    assert problem.travel_seconds[1, 3] == 5 * LILIM_UNITS
    assert problem.travel_seconds[1, 2] == math.ceil(math.hypot(3, 6) * LILIM_UNITS)
    (pickup,), (drop,) = problem.requests[0].pickups, problem.requests[0].drops
    assert (pickup.point, drop.point, pickup.loads, drop.loads) == (1, 3, (5,), (5,))
    assert (pickup.window_end_seconds, pickup.service_seconds) == (900 * LILIM_UNITS, 10 * LILIM_UNITS)


def test_vehicles_offered_are_a_limit() -> None:
    assert len(read_lilim(LILIM.replace("3 10 1", "1 10 1")).problem.vehicles) == 1


def test_a_sartori_file_becomes_a_problem() -> None:
    instance = read_sartori(SARTORI)
    problem = instance.problem
    assert problem.objective is Objective.VEHICLES_FIRST
    assert problem.travel_seconds.tolist() == [[0, 7, 9], [8, 0, 4], [11, 5, 0]]
    (request,), (vehicle,) = problem.requests, problem.vehicles
    assert (request.id, request.pickups[0].loads, request.drops[0].window_start_seconds) == ("1-2", (113,), 20)
    assert (vehicle.shift_end_seconds, vehicle.capacities) == (240, (300,))
    assert instance.positions[0].tolist() == [2.14364870, 41.39435330]


@pytest.mark.parametrize("text", [LILIM, SARTORI])
def test_blanks_tabs_line_ends_and_a_missing_last_word_make_no_difference(text: str) -> None:
    form = detect(text)
    plain = read(text, form).problem
    dressed = "\r\n \t\r\n".join(
        line if ":" in line else line.replace(" ", "\t ") + "\t " for line in text.replace("EOF\n", "").splitlines()
    )
    assert detect(dressed) == form
    problem = read(dressed, form).problem
    assert (problem.requests, problem.vehicles) == (plain.requests, plain.vehicles)
    assert problem.travel_seconds.tolist() == plain.travel_seconds.tolist()


def test_the_format_is_told_by_the_text() -> None:
    assert (detect(LILIM), detect(SARTORI), detect('\ufeff\n {"points": []}'), detect("")) == (
        "lilim",
        "sartori",
        "json",
        "lilim",
    )


def test_a_plan_is_told_in_the_numbers_of_the_file() -> None:
    instance = read_lilim(LILIM)
    plan = solve(instance.problem, Steps(50))
    (route,) = instance.routes(plan)
    assert sorted(route) == [1, 2, 3, 4]
    assert route.index(1) < route.index(3)
    corners = [(0, 0), (3, 4), (0, 10), (6, 8), (0, 20)]
    ridden = sum(math.dist(corners[here], corners[there]) for here, there in zip([0, *route], [*route, 0], strict=True))
    assert instance.distance(plan) == pytest.approx(ridden, abs=1e-9)
    instance = read_sartori(SARTORI)
    plan = solve(instance.problem, Steps(50))
    assert (instance.routes(plan), instance.distance(plan)) == ([[1, 2]], 7 + 4 + 11)


def test_one_vehicle_less_is_worth_any_distance() -> None:
    far = LILIM.replace("4 0 20 ", "4 0 300 ")
    assert len(solve(read_lilim(far).problem, Steps(50)).routes) == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "25 200\n0 0 0 0 0 1000 0 0 0\n",
        "25 many 1\n0 0 0 0 0 1000 0 0 0\n",
        "25 200 1\n",
        LILIM.replace("1 3 4 5 0 900 10 0 3", "1 3 4 5 0 900 10 0"),
        LILIM.replace("1 3 4 5 0 900 10 0 3", "1 3 4 5 0 900 10 0 77"),
        LILIM.replace("1 3 4 5 0 900 10 0 3", "1 3 4 5 0 900 10 0 4"),
        LILIM.replace("1 3 4 5", "7 3 4 5"),
        LILIM.replace("1 3 4 5", "1 nan 4 5"),
        LILIM.replace("1 3 4 5", "1 3 4 5.5"),
        LILIM.replace("10 0 3", "10 0 1e400"),
        LILIM + "5 0 20 -4 0 900 10 2 0\n",
    ],
)
def test_a_broken_lilim_file_is_refused(text: str) -> None:
    with pytest.raises(UnreadableInstance):
        read_lilim(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        SARTORI.replace("SIZE: 3", "SIZE: 4"),
        SARTORI.replace("SIZE: 3", ""),
        SARTORI.replace("8 0 4", "8 0"),
        SARTORI.replace("8 0 4", "8 0.5 4"),
        SARTORI.replace("8 0 4", "8 nan 4"),
        SARTORI.replace("NODES", ""),
        SARTORI.replace("8 0 4\n", ""),
        SARTORI.partition("EDGES")[0],
    ],
)
def test_a_broken_sartori_file_is_refused(text: str) -> None:
    with pytest.raises(UnreadableInstance):
        read_sartori(text)


@given(st.sampled_from([LILIM, SARTORI]), st.integers(0, 10_000), st.text() | st.sampled_from(ODD))
@settings(deadline=None, max_examples=150)
def test_no_change_of_a_good_file_crashes_the_reader(text: str, place: int, instead: str) -> None:
    words = re.split(r"(\s)", text)
    words[place % len(words)] = instead
    changed = "".join(words)
    for form in {detect(changed), "lilim", "sartori"} - {"json"}:
        with suppress(DomainError):
            read(changed, form)


def test_a_readable_file_with_impossible_contents_is_a_faulty_problem() -> None:
    with pytest.raises(FaultyProblem, match="1-3"):
        read_lilim(LILIM.replace("0 900 10 0 3", "950 900 10 0 3"))
    with pytest.raises(FaultyProblem, match="1-3"):
        read_lilim(LILIM.replace("3 6 8 -5", "3 6 8 -4"))
    with pytest.raises(FaultyProblem, match="trop grand"):
        read_lilim(LILIM.replace("1 3 4 5 0 900", "1 3e300 -1e308 5 0 1e308"))
    with pytest.raises(FaultyProblem, match="négative"):
        read_sartori(SARTORI.replace("8 0 4", "8 0 -4"))
    with pytest.raises(FaultyProblem, match="trop grand"):
        read_sartori(SARTORI.replace("8 0 4", "8 0 99999999999999999999999"))


def feasible_in_doubles(text: str, routes: list[list[int]]) -> bool:
    """Ride a Li-Lim plan in the file's own numbers, apart from everything the engine does."""
    lines = [line.split() for line in text.splitlines()]
    capacity = float(lines[0][1])
    nodes = [[float(cell) for cell in line] for line in lines[1:]]
    for route in routes:
        here, clock, load = nodes[0], 0.0, 0.0
        for number in [*route, 0]:
            node = nodes[number]
            clock = max(clock + math.hypot(node[1] - here[1], node[2] - here[2]), node[4])
            load += node[3]
            if clock > node[5] or load > capacity or (node[7] and int(node[7]) not in route[: route.index(number)]):
                return False
            clock += node[6]
            here = node
    return sorted(number for route in routes for number in route) == list(range(1, len(nodes)))


@pytest.mark.parametrize("name", ["lilim/100/lr104", "lilim/100/lc206", "lilim/200/lr1_2_7", "sartori/100/poa-n100-6"])
def test_public_instances_are_planned_whole(shared_folder: Path, name: str) -> None:
    text, form = (shared_folder / "bench" / f"{name}.txt").read_text(), name.partition("/")[0]
    instance = read(text, form)
    plan: Plan = solve(instance.problem, Seconds(1.5), seed=1)
    assert check(instance.problem, plan) == []
    assert plan.left_out == ()
    if form == "lilim":
        assert feasible_in_doubles(text, instance.routes(plan))


@pytest.mark.parametrize("form", ["lilim", "sartori"])
def test_every_public_instance_can_be_read(shared_folder: Path, form: str) -> None:
    files = sorted((shared_folder / "bench" / form).glob("*/*.txt"))
    assert len(files) >= 16
    for file in files:
        text = file.read_text()
        assert detect(text) == form
        problem = read(text, form).problem
        assert 2 * len(problem.requests) == len(problem.points) - 1
        assert 100 * int(problem.travel_seconds.max()) < LARGEST_NUMBER
        assert problem.worst_cost * len(problem.requests) < LARGEST_COST / 100
