"""Benchmark files become problems, their plans the file's node numbers; a broken file is named."""

import math
from pathlib import Path

import pytest

from services.dispatch.planning.check import check
from services.dispatch.planning.instances import UnreadableInstance, plan_file, read, read_lilim, read_sartori
from services.dispatch.planning.plan import Plan
from services.dispatch.planning.problem import FaultyProblem, RoutingProblem
from services.dispatch.planning.solve import Seconds, Steps, solve

LILIM = """3 10 1
0 0 0 0 0 1000 0 0 0
1 3 4 5 0 900 10 0 3
2 0 10 4 0 900 10 0 4
3 6 8 -5 0 900 10 1 0
4 0 20 -4 0 900 10 2 0
"""

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
    instance = read_lilim("tiny", LILIM)
    problem = instance.problem
    assert [request.id for request in problem.requests] == ["1-3", "2-4"]
    assert [vehicle.capacities for vehicle in problem.vehicles] == [(10,)] * 3
    assert instance.distances[1, 3] == 5
    assert problem.travel_seconds[1, 3] == 50_000
    assert problem.travel_seconds[1, 2] == math.ceil(math.hypot(3, 6) * 10_000)
    request = problem.requests[0]
    assert (request.pickup.point, request.drop.point, request.loads) == (1, 3, (5,))
    assert (request.pickup.window_end_seconds, request.pickup.service_seconds) == (9_000_000, 100_000)


def test_a_sartori_file_becomes_a_problem() -> None:
    problem = read_sartori("tiny", SARTORI).problem
    assert problem.travel_seconds.tolist() == [[0, 7, 9], [8, 0, 4], [11, 5, 0]]
    (request,), (vehicle,) = problem.requests, problem.vehicles
    assert (request.id, request.loads, request.drop.window_start_seconds) == ("1-2", (113,), 20)
    assert (vehicle.shift_end_seconds, vehicle.capacities) == (240, (300,))


def test_a_plan_is_told_in_the_numbers_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "tiny.txt"
    file.write_text(LILIM)
    answer = plan_file(file, "lilim", lambda problem, watch: solve(problem, limit=Steps(50), watch=watch))
    (route,) = answer["routes"]
    assert sorted(route) == [1, 2, 3, 4]
    assert route.index(1) < route.index(3)
    (*_, (seconds, vehicles, distance)) = answer["trace"]
    instance = read(file, "lilim")
    ridden = sum(instance.distances[here, there] for here, there in zip([0, *route], [*route, 0], strict=True))
    assert vehicles == 1
    assert distance == pytest.approx(ridden)
    assert seconds >= 0


def test_one_vehicle_less_is_worth_any_distance() -> None:
    far = LILIM.replace("4 0 20 ", "4 0 300 ")
    problem = read_lilim("far", far).problem
    assert len(solve(problem, limit=Steps(50)).routes) == 1


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
        LILIM + "5 0 20 -4 0 900 10 2 0\n",
    ],
)
def test_a_broken_lilim_file_is_refused(text: str) -> None:
    with pytest.raises(UnreadableInstance):
        read_lilim("broken", text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        SARTORI.replace("SIZE: 3", "SIZE: 4"),
        SARTORI.replace("SIZE: 3", ""),
        SARTORI.replace("8 0 4", "8 0"),
        SARTORI.replace("8 0 4\n", ""),
        SARTORI.partition("EDGES")[0],
    ],
)
def test_a_broken_sartori_file_is_refused(text: str) -> None:
    with pytest.raises(UnreadableInstance):
        read_sartori("broken", text)


def test_a_readable_file_with_impossible_contents_is_a_faulty_problem() -> None:
    with pytest.raises(FaultyProblem):
        read_lilim("reversed", LILIM.replace("0 900 10 0 3", "950 900 10 0 3"))
    with pytest.raises(FaultyProblem):
        read_sartori("negative", SARTORI.replace("8 0 4", "8 0 -4"))


def test_no_file_and_no_such_format(tmp_path: Path) -> None:
    with pytest.raises(UnreadableInstance, match="ne peut pas être lu"):
        read(tmp_path / "none.txt", "lilim")
    with pytest.raises(UnreadableInstance, match="inconnu"):
        read(tmp_path / "none.txt", "vrp")


def feasible_in_doubles(path: Path, routes: list[list[int]]) -> bool:
    """Ride a Li-Lim plan in the file's own numbers, apart from everything the engine does."""
    lines = [line.split() for line in path.read_text().splitlines()]
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
    path, form = shared_folder / "bench" / f"{name}.txt", name.partition("/")[0]
    seen: list[tuple[RoutingProblem, Plan]] = []

    def engine(problem: RoutingProblem, watch: object) -> Plan:
        plan = solve(problem, limit=Seconds(1.5), seed=1)
        seen.append((problem, plan))
        return plan

    routes = plan_file(path, form, engine)["routes"]
    ((problem, plan),) = seen
    assert check(problem, plan) == []
    assert plan.left_out == ()
    if form == "lilim":
        assert feasible_in_doubles(path, routes)


@pytest.mark.parametrize("form", ["lilim", "sartori"])
def test_every_public_instance_can_be_read(shared_folder: Path, form: str) -> None:
    files = sorted((shared_folder / "bench" / form).glob("*/*.txt"))
    assert len(files) >= 16
    for file in files:
        instance = read(file, form)
        assert 2 * len(instance.problem.requests) == len(instance.problem.points) - 1
