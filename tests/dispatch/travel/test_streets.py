"""Over streets that were imported: rides follow them, whatever happens to the process that knows them."""

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.dispatch import travel
from services.dispatch.travel import Point, Roads, Snap, network
from services.dispatch.travel import roads as roads_module
from services.dispatch.travel.streets import LocalStreets, import_network
from tests.dispatch.travel.town import (
    ALONG_THE_PATH,
    BOUNDS,
    ISLAND,
    THROUGH_THE_GAP,
    UP_THE_STEPS,
    corner,
    write_town,
)
from tests.servers.parts import PROJECT
from tests.servers.process import wait_for

Opened = Callable[[str, Path], Roads]

NORTH_EAST, SOUTH_WEST, SOUTH_EAST = corner(4, 4), corner(0, 0), corner(4, 0)


@pytest.fixture
def roads(town: Path, opened: Opened) -> Roads:
    return opened("", town)


def worker() -> int:
    """Return the process id of the one that rides beside us."""
    (process,) = [child for child in multiprocessing.active_children() if child.name == "streets"]
    assert process.pid is not None
    return process.pid


def test_rides_follow_the_streets(roads: Roads) -> None:
    ridden = roads.matrix([SOUTH_WEST, NORTH_EAST])
    assert not ridden.estimated.any()
    assert ridden.metres[0, 1] == pytest.approx(800, abs=10)
    assert 800 / (15 / 3.6) < ridden.seconds[0, 1] < 800 / (12 / 3.6)
    assert (np.diagonal(ridden.seconds) == 0).all()


def test_a_one_way_street_makes_rides_asymmetric(roads: Roads) -> None:
    ridden = roads.matrix([corner(1, 0)], [corner(3, 0)]), roads.matrix([corner(3, 0)], [corner(1, 0)])
    assert ridden[1].seconds[0, 0] > ridden[0].seconds[0, 0] + 20


def test_sources_and_targets_may_differ_in_number_and_repeat(roads: Roads) -> None:
    ridden = roads.matrix([SOUTH_WEST, SOUTH_WEST, corner(2, 2)], [NORTH_EAST])
    assert ridden.seconds.shape == (3, 1)
    assert ridden.seconds[0, 0] == ridden.seconds[1, 0] > ridden.seconds[2, 0]
    assert roads.matrix([], [SOUTH_WEST]).seconds.shape == (0, 1)
    assert roads.matrix([]).seconds.shape == (0, 0)


def test_where_there_is_no_way_the_ride_is_estimated_and_only_there(roads: Roads) -> None:
    points = [SOUTH_WEST, NORTH_EAST, *ISLAND]
    ridden, guess = roads.matrix(points), travel.matrix(points)
    on_island = np.array([False, False, True, True])
    assert (ridden.estimated == (on_island[:, None] != on_island[None, :])).all()
    assert (ridden.seconds[ridden.estimated] == guess.seconds[ridden.estimated]).all()
    assert (ridden.metres[ridden.estimated] == guess.metres[ridden.estimated]).all()


def test_a_point_off_the_map_is_estimated(roads: Roads) -> None:
    near, far = corner(6, 2), corner(7, 2)  # 200 m and 300 m from the last street
    ridden = roads.matrix([corner(2, 2), near, far])
    assert ridden.estimated.tolist() == [[False, False, True], [False, False, True], [True, True, True]]
    again = roads.matrix([far, near], [corner(1, 1), corner(2, 1)])
    assert again.estimated.tolist() == [[True, True], [False, False]]


def test_a_cargo_bike_climbs_no_steps_and_passes_no_gap(roads: Roads) -> None:
    ridden = roads.matrix([SOUTH_WEST], [UP_THE_STEPS, THROUGH_THE_GAP, ALONG_THE_PATH])
    assert ridden.estimated.tolist() == [[True, True, False]]


def test_neighbours_on_one_spot_of_a_street_are_a_second_apart_at_least(roads: Roads) -> None:
    longitude, latitude = corner(2, 2)
    ridden = roads.matrix([(longitude, latitude), (longitude + 1e-6, latitude)])
    assert ridden.seconds.tolist() == [[0, 1], [1, 0]]
    assert ridden.metres.tolist() == [[0, 1], [1, 0]]
    assert not ridden.estimated.any()


def test_one_place_alone_is_no_fault_of_the_engine(roads: Roads) -> None:
    assert not roads.matrix([NORTH_EAST]).estimated.any()
    assert not roads.matrix([NORTH_EAST, SOUTH_WEST]).estimated.any()


def test_more_places_than_one_question_holds(town: Path, opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    points = [corner(x, y) for x in range(3) for y in range(3)]
    whole = opened("", town).matrix(points)
    (town / "rides.db").unlink()
    monkeypatch.setattr(LocalStreets, "largest_table", 4)  # the last part is one place to itself
    parts = opened("", town).matrix(points)
    assert (parts.seconds == whole.seconds).all()
    assert not parts.estimated.any()


def test_a_door_away_from_the_street_is_not_reached_faster_than_a_bike_can(roads: Roads) -> None:
    longitude, latitude = corner(4, 2)
    doors = [(longitude + 0.0005, latitude), (longitude + 0.003, latitude)]  # both are put on one spot of the street
    ridden = roads.matrix(doors)
    assert not ridden.estimated.any()
    assert ridden.metres[0, 1] == pytest.approx(189, abs=2)
    assert ridden.seconds[0, 1] == pytest.approx(189 / (25 / 3.6), abs=2)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.floats(-1.60, -1.49), st.floats(47.19, 47.23)), min_size=1, max_size=6))
def test_every_cell_is_whole_there_and_no_faster_than_a_bike(roads: Roads, points: list[Point]) -> None:
    ridden, guess = roads.matrix(points), travel.matrix(points)
    assert ridden.seconds.dtype == ridden.metres.dtype == np.int64
    straight = guess.metres / 1.2  # the estimate is never shorter than that
    for first, source in enumerate(points):
        for second, target in enumerate(points):
            assert ridden.seconds[first, second] >= (source != target)
            assert ridden.metres[first, second] >= (source != target)
            assert ridden.seconds[first, second] >= (straight[first, second] - 351) / (25 / 3.6)
    assert (ridden.seconds[ridden.estimated] == guess.seconds[ridden.estimated]).all()
    assert not np.diagonal(ridden.seconds).any()


def test_points_that_are_none_are_refused(roads: Roads) -> None:
    with pytest.raises(travel.PointOffTheMap, match="Corrigez la position"):
        roads.matrix([(200.0, 0.0)])
    with pytest.raises(travel.PointOffTheMap):
        roads.lines([[SOUTH_WEST, (0.0, float("nan"))]])


def test_a_route_tells_its_stretches_as_the_matrix_does(roads: Roads) -> None:
    stops = [SOUTH_WEST, NORTH_EAST, corner(0, 4), *ISLAND, SOUTH_WEST, SOUTH_WEST]
    route, ridden = roads.route(stops), roads.matrix(stops)
    assert [stretch.seconds for stretch in route.stretches] == [ridden.seconds[n, n + 1] for n in range(len(stops) - 1)]
    assert [stretch.metres for stretch in route.stretches] == [ridden.metres[n, n + 1] for n in range(len(stops) - 1)]
    assert [stretch.is_estimated for stretch in route.stretches] == [False, False, True, False, True, False]
    assert (route.seconds, route.is_estimated) == (sum(stretch.seconds for stretch in route.stretches), True)
    assert roads.route([SOUTH_WEST]).stretches == ()


def test_a_line_turns_where_the_street_turns_and_ends_at_the_doors(roads: Roads) -> None:
    door = (SOUTH_WEST[0] + 0.0001, SOUTH_WEST[1] - 0.0001)
    line = roads.line([door, corner(0, 4), corner(4, 4)])
    assert not line.is_estimated
    assert line.points[0] == door
    assert line.points[-1] == corner(4, 4)
    assert len(line.points) <= 6  # crossings that are ridden straight over are left out
    assert min(abs(x - corner(0, 4)[0]) + abs(y - corner(0, 4)[1]) for x, y in line.points) < 2e-5


def test_a_line_to_where_no_way_leads_is_straight_there(roads: Roads) -> None:
    straight, street = roads.lines([[SOUTH_WEST, ISLAND[0]], [SOUTH_WEST, NORTH_EAST]])
    assert straight == ([SOUTH_WEST, ISLAND[0]], True)
    assert len(street.points) > 2
    assert not street.is_estimated
    assert roads.lines([[], [SOUTH_WEST], [SOUTH_WEST, SOUTH_WEST]]) == [
        ([], False),
        ([SOUTH_WEST], False),
        ([SOUTH_WEST, SOUTH_WEST], False),
    ]


def test_a_point_is_put_on_the_nearest_street(roads: Roads) -> None:
    longitude, latitude = corner(1.5, 1)
    snap = roads.snap((longitude, latitude + 0.0002))
    assert snap.point == pytest.approx((longitude, latitude), abs=1e-5)
    assert snap.metres == pytest.approx(22, abs=1)
    assert not snap.is_estimated


def test_what_is_ridden_on_is_told(roads: Roads) -> None:
    info = roads.info()
    assert (info.engine, info.profile, info.bounds) == ("osrm", "cargo_bike", BOUNDS)
    assert "OpenStreetMap" in info.attribution


def test_a_process_that_was_killed_is_started_again(
    roads: Roads, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(roads_module, "_REST_SECONDS", 0.0)
    roads.matrix([SOUTH_WEST, NORTH_EAST])
    first = worker()
    os.kill(first, signal.SIGKILL)
    assert wait_for(lambda: first not in [child.pid for child in multiprocessing.active_children()], seconds=5)
    assert not roads.matrix([SOUTH_WEST, corner(3, 3)]).estimated.any()
    assert worker() != first


def test_a_process_that_hangs_is_not_waited_for_and_then_left_alone(
    roads: Roads, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    known, new = [SOUTH_WEST, NORTH_EAST], [corner(1, 1), corner(3, 3)]
    before = roads.matrix(known)
    monkeypatch.setattr(roads_module, "_TABLE_SECONDS", 0.5)
    os.kill(worker(), signal.SIGSTOP)
    began = time.monotonic()
    late = roads.matrix([*known, *new])
    assert time.monotonic() - began < 5
    assert late.estimated[2:].all()
    assert (late.seconds[2:] == travel.matrix([*known, *new]).seconds[2:]).all()
    assert "rides are estimated for 30 s" in caplog.text
    again = roads.matrix(known)  # what was asked before is still known while the engine is left alone
    assert (again.seconds == before.seconds).all()
    assert not again.estimated.any()
    assert roads.matrix(new).estimated.tolist() == [[True, True], [True, True]]


def test_a_page_does_not_wait_and_shows_the_line_the_next_time(roads: Roads, monkeypatch: pytest.MonkeyPatch) -> None:
    known, new = [SOUTH_WEST, NORTH_EAST], [corner(1, 1), corner(3, 3)]
    drawn = roads.line(known)
    monkeypatch.setattr(roads_module, "_PAGE_SECONDS", 0.2)
    os.kill(worker(), signal.SIGSTOP)
    began = time.monotonic()
    assert roads.lines([known, new]) == [drawn, (new, True)]
    assert time.monotonic() - began < 2
    os.kill(worker(), signal.SIGCONT)
    assert wait_for(lambda: not roads.line(new).is_estimated, seconds=10)


@pytest.mark.parametrize("end", ["killed", "finished"])
def test_it_ends_with_the_process_that_started_it(town: Path, tmp_path: Path, end: str) -> None:
    """Whoever is killed leaves nobody behind, and whoever forgets to stop it can end."""
    script = tmp_path / "rider.py"
    script.write_text(
        "import multiprocessing, sys, time\n"
        "from pathlib import Path\n"
        "from services.dispatch.travel import open_roads\n"
        "if __name__ == '__main__':\n"
        "    roads = open_roads('', Path(sys.argv[1]))\n"
        "    assert not roads.matrix([(-1.56, 47.21), (-1.5587, 47.2109)]).estimated.any()\n"
        "    print(multiprocessing.active_children()[0].pid, flush=True)\n"
        "    time.sleep(float(sys.argv[2]))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    command = [sys.executable, str(script), str(town), "60" if end == "killed" else "0"]
    parent = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    if end == "killed":
        parent.kill()
    try:
        parent.wait(15)
    finally:
        parent.kill()
    parent.stdout.close()
    assert wait_for(lambda: not Path(f"/proc/{child}").exists() or _is_zombie(child), seconds=10)


def _is_zombie(process_id: int) -> bool:
    return "State:\tZ" in Path(f"/proc/{process_id}/status").read_text()


def test_after_the_end_everything_is_estimated_and_nothing_starts(roads: Roads) -> None:
    roads.matrix([SOUTH_WEST, NORTH_EAST])
    roads.stop()
    assert roads.matrix([corner(1, 2), corner(3, 1)]).estimated.all()
    assert roads.line([corner(1, 2), corner(3, 1)]).is_estimated
    assert not [child for child in multiprocessing.active_children() if child.name == "streets"]


def test_a_new_network_is_taken_up_while_running(roads: Roads, town: Path, tmp_path: Path) -> None:
    points = [corner(0, 2), corner(4, 2), ISLAND[0]]
    before, line = roads.matrix(points), roads.line(points[:2])
    import_network(write_town(tmp_path / "new.osm", bridge=True, closed_rows=[2]), town, BOUNDS)
    after = roads.matrix(points)
    assert after.metres[0, 1] == pytest.approx(before.metres[0, 1] + 200, abs=10)
    assert before.estimated[0, 2]
    assert not after.estimated.any()
    assert roads.line(points[:2]) != line


def test_whoever_asks_while_the_network_changes_is_told_no_estimate(roads: Roads, town: Path, tmp_path: Path) -> None:
    """Answers over the old streets or the new ones; the process that is ended in the middle of a question shows not."""
    is_over = Event()
    told: tuple[list[bool], list[bool]] = ([], [])

    def ask(asker: int) -> None:
        generator = np.random.default_rng(asker)
        while not is_over.is_set():
            points = [corner(x, y) for x, y in generator.uniform(0, 4, (40, 2)).tolist()]
            told[asker].append(bool(roads.matrix(points).estimated.any()))

    def wait_for_answers(count: int) -> None:
        before = [len(answers) for answers in told]
        assert wait_for(
            lambda: all(len(answers) >= so_many + count for answers, so_many in zip(told, before, strict=True)),
            seconds=60,
        )

    with ThreadPoolExecutor(2) as threads:
        asking = [threads.submit(ask, asker) for asker in range(2)]
        try:
            wait_for_answers(1)
            for closed in (1, 2):
                import_network(write_town(tmp_path / "new.osm", closed_rows=[closed]), town, BOUNDS)
                wait_for_answers(2)  # The first may have been asked before the change.
        finally:
            is_over.set()
        for answers in asking:
            answers.result()
    assert not any(map(any, told))


def test_rides_are_remembered_over_restarts(town: Path, opened: Opened) -> None:
    known = [SOUTH_WEST, NORTH_EAST]
    first = opened("", town)
    before = first.matrix(known)
    first.stop()
    network_in_force = network.current(town)
    assert network_in_force is not None
    shutil.rmtree(network.data_file(town, network_in_force).parent)
    after = opened("", town).matrix([*known, SOUTH_EAST])
    assert (after.seconds[:2, :2] == before.seconds).all()
    assert not after.estimated[:2, :2].any()
    assert after.estimated[2].all()  # there is nothing left that could be asked


def test_without_osrm_or_without_a_network_everything_is_estimated(
    town: Path, opened: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    roads = opened("", tmp_path / "empty")
    assert roads.info().engine == "crow-fly"
    assert roads.matrix([SOUTH_WEST, NORTH_EAST]).estimated.all()
    assert roads.line([SOUTH_WEST, NORTH_EAST]) == ([SOUTH_WEST, NORTH_EAST], True)
    assert roads.snap(SOUTH_WEST) == Snap(SOUTH_WEST, 0.0, is_estimated=True)
    assert not (tmp_path / "empty").exists()
    monkeypatch.setitem(sys.modules, "osrm", None)  # what Python 3.11 sees
    assert opened("", town).matrix([SOUTH_WEST, NORTH_EAST]).estimated.all()


def test_an_unreadable_pointer_is_no_network(town: Path, opened: Opened) -> None:
    for content in ("", "[]", '{"name": "x"}', '{"name": 1, "bounds": null}'):
        network.pointer(town).write_text(content)
        assert opened("", town).info().engine == "crow-fly"


def test_real_streets_of_nantes(shared_folder: Path, osrm: Path, tmp_path: Path, opened: Opened) -> None:
    """A genuine extract: most places are on the map, and rides are longer than the crow flies."""
    bounds = (-1.5750, 47.1990, -1.5360, 47.2220)
    import_network(shared_folder / "geo" / "nantes-centre-2014.osm.pbf", tmp_path, bounds)
    generator = np.random.default_rng(1)
    longitudes, latitudes = generator.uniform(-1.570, -1.541, 60), generator.uniform(47.205, 47.219, 60)
    points = list(zip(longitudes.tolist(), latitudes.tolist(), strict=True))
    ridden, guess = opened("", tmp_path).matrix(points), travel.matrix(points)
    assert ridden.estimated.mean() < 0.1
    far = guess.metres > 1000
    assert 0.8 < float(np.median(guess.seconds[far] / ridden.seconds[far])) < 1.2
    assert (ridden.seconds != ridden.seconds.T).mean() > 0.5
