"""The benchmark's judge finds what is planted, peers are told the same instance, tables count what they should."""

import json
from pathlib import Path

import pytest

from bench.planning import CELLS, PEER_UNITS, Cell, Known, best_known, entry, judge, key, runs_of, sheet, told_to_a_peer
from services.dispatch.planning.instances import read
from tests.dispatch.planning.test_instances import LILIM, SARTORI

TIGHT = """2 9 1
0 0 0 0 0 100 0 0 0
1 3 4 5 0 6 10 0 3
2 0 10 4 0 90 10 0 4
3 6 8 -5 0 20.5 10 1 0
4 0 20 -4 0 90 10 2 0
"""


@pytest.mark.parametrize(
    ("routes", "says"),
    [
        ([[1, 3, 2, 4]], None),
        ([[1, 3], [2, 4]], None),
        ([[1, 3]], "every node once"),
        ([[1, 3, 2, 4, 4]], "every node once"),
        ([[1, 3], [2, 4], []], "more vehicles"),
        ([[2, 1, 3, 4]], "late at 1"),
        ([[1, 2, 3, 4]], "late at 3"),
        ([[1, 3, 4, 2]], "4 is dropped before"),
        ([[1, 4, 3], [2]], "4 is dropped before"),
    ],
)
def test_the_judge_finds_what_is_wrong(routes: list[list[int]], says: str | None) -> None:
    ridden, fault = judge(sheet("lilim", TIGHT), routes)
    if says is None:
        assert fault is None
        assert ridden > 40
    else:
        assert fault is not None
        assert says in fault


def test_the_judge_weighs() -> None:
    assert judge(sheet("lilim", LILIM.replace("3 10 1", "3 8 1")), [[1, 2, 4, 3]])[1] == "too heavy at 2"


def test_the_judge_rides_a_real_city() -> None:
    assert judge(sheet("sartori", SARTORI), [[1, 2]]) == (22.0, None)


def test_a_peer_is_told_the_same_instance_in_whole_units() -> None:
    told = json.loads(told_to_a_peer(read(LILIM, "lilim").problem, "lilim", 3, 7))
    assert told["nodes"][1] == [5, 0, 900 * PEER_UNITS, 10 * PEER_UNITS, 0, 3]
    assert told["nodes"][3] == [-5, 0, 900 * PEER_UNITS, 10 * PEER_UNITS, 1, 0]
    assert told["nodes"][0] == [0, 0, 1000 * PEER_UNITS, 0, 0, 0]
    assert told["legs"][1][3] == 5 * PEER_UNITS
    assert told["legs"][1][2] == 33_542  # 6.7082, to fifths of a thousandth, rounded up
    assert (told["capacity"], told["vehicles"], told["seconds"], told["seed"]) == (10, 2, 3, 7)
    assert json.loads(told_to_a_peer(read(SARTORI, "sartori").problem, "sartori", 3, 7))["legs"][1] == [8, 0, 4]


def test_a_cell_tells_vehicles_above_the_best_and_the_gap_where_they_are_equal() -> None:
    known = {"a": Known("a", 9, 1_000.0)}
    one = {"solver": "ours", "instance": "a", "fault": None, "vehicles": 9, "distance": 1_010.0}
    runs = [one, {**one, "vehicles": 10, "distance": 900.0}, {**one, "fault": "late at 3"}]
    assert entry(runs, known) == "+0.50 v, 1.00 %, 1 of 3 unsolved"
    assert entry(runs[2:], known) == "nothing (1)"


def test_of_two_runs_alike_the_later_one_counts(tmp_path: Path) -> None:
    run = {"solver": "ours", **CELLS[0]._asdict(), "instance": "a", "seed": 0, "vehicles": 9}
    file = tmp_path / "runs"
    file.write_text(json.dumps(run) + "\n" + json.dumps({**run, "vehicles": 8}) + "\n")
    (found,) = runs_of(file)
    assert found["vehicles"] == 8
    assert key(found) == ("ours", *Cell("lilim", 100, 10), "a", 0)
    assert runs_of(tmp_path / "none") == []


def test_every_cell_has_its_instances(shared_folder: Path) -> None:
    for cell in CELLS:
        for known in best_known(cell.form, cell.size):
            assert (shared_folder / "bench" / cell.form / str(cell.size) / f"{known.instance}.txt").is_file()
