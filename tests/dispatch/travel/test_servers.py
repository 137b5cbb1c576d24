"""Rides from a server of the house: the real `osrm-routed`; for Valhalla what a real one answered, given again."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from signal import SIGKILL
from threading import Thread
from typing import Any

import httpx
import numpy as np
import pytest
from pydantic import ValidationError

from services.dispatch import travel
from services.dispatch.settings import DispatchSettings
from services.dispatch.travel import Roads, network, open_roads
from services.dispatch.travel import roads as roads_module
from services.dispatch.travel.servers import OsrmServer
from tests.dispatch.travel.town import ISLAND, corner
from tests.servers.parts import free_port
from tests.servers.process import ServerProcess, wait_for

Opened = Callable[[str, Path], Roads]

STOPS = [corner(0, 0), corner(4, 4), corner(1, 3), *ISLAND, corner(20, 40)]
"""The last one is off the map."""


def answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/nearest/v1/bicycle/0,0", timeout=1).status_code == 200
    except httpx.HTTPError:
        return False


@pytest.fixture
def routed(town: Path, osrm: Path, tmp_path: Path) -> Iterator[tuple[str, ServerProcess]]:
    """The town's network served by `osrm-routed` as it is shipped: its address, and the process."""
    found = network.current(town)
    assert found is not None
    address = f"127.0.0.1:{free_port()}"
    ip, port = address.split(":")
    command: list[str | Path] = [osrm / "osrm-routed", "-i", ip, "-p", port, "-t", "1", network.data_file(town, found)]
    process = ServerProcess(command, log=tmp_path / "routed.log")
    try:
        assert wait_for(lambda: answers(f"http://{address}"), seconds=20), process.last_words()
        yield f"http://{address}", process
    finally:
        process.stop()


# -- OSRM --------------------------------------------------------------------------------------------------------------


def test_the_server_rides_as_the_library_does(
    routed: tuple[str, ServerProcess], town: Path, tmp_path: Path, opened: Opened
) -> None:
    served, local = opened(f"osrm+{routed[0]}", tmp_path / "served"), opened("", town)
    there, here = served.matrix(STOPS), local.matrix(STOPS)
    assert (there.seconds == here.seconds).all()
    assert (there.metres == here.metres).all()
    assert (there.estimated == here.estimated).all()
    assert not there.estimated.all()
    assert [stretch.seconds for stretch in served.route(STOPS).stretches] == [
        stretch.seconds for stretch in local.route(STOPS).stretches
    ]
    there_line, here_line = served.line(STOPS[:3]), local.line(STOPS[:3])
    assert there_line.is_estimated is here_line.is_estimated is False
    assert np.array(there_line.points) == pytest.approx(np.array(here_line.points), abs=2e-6)
    assert served.snap(STOPS[2]).point == pytest.approx(local.snap(STOPS[2]).point, abs=2e-6)
    assert served.info().engine == "osrm"


def test_more_places_than_the_server_takes_at_once_are_asked_in_parts(
    routed: tuple[str, ServerProcess], town: Path, tmp_path: Path, opened: Opened
) -> None:
    generator = np.random.default_rng(3)
    points = [corner(x, y) for x, y in generator.uniform(0, 4, (130, 2)).tolist()]
    served = opened(f"osrm+{routed[0]}", tmp_path / "served")
    there = served.matrix(points)
    assert not there.estimated.any()
    assert (there.seconds == opened("", town).matrix(points).seconds).all()
    assert len(served.route(points).stretches) == 129
    assert not served.route(points).is_estimated


def test_a_server_that_went_away_is_told_at_once_and_known_rides_stay(
    routed: tuple[str, ServerProcess], tmp_path: Path, opened: Opened
) -> None:
    served = opened(f"osrm+{routed[0]}", tmp_path / "served")
    known = served.matrix(STOPS[:2])
    routed[1].stop(SIGKILL)
    began = time.monotonic()
    late = served.matrix(STOPS[:3])
    assert time.monotonic() - began < 5
    assert (late.seconds[:2, :2] == known.seconds).all()
    assert late.estimated.tolist() == [[False, False, True], [False, False, True], [True, True, True]]
    assert (late.seconds[2] == travel.matrix(STOPS[:3]).seconds[2]).all()


def test_nobody_there(tmp_path: Path, opened: Opened) -> None:
    for kind in ("osrm", "valhalla"):
        roads = opened(f"{kind}+http://127.0.0.1:{free_port()}", tmp_path)
        assert roads.info().engine == "crow-fly"
        assert roads.matrix(STOPS).estimated.all()
        assert roads.line(STOPS) == (STOPS, True)


# -- servers that misbehave --------------------------------------------------------------------------------------------

Reply = Callable[[str, Any], tuple[int, Any]]


@pytest.fixture
def serve() -> Iterator[Callable[[Reply], str]]:
    """Serve on loopback what a function of path and body returns: a status, and JSON, bytes, or many of them slowly."""
    servers = []

    def start(reply: Reply) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status, answer = reply(self.path, json.loads(body) if body else None)
                if isinstance(answer, list) and answer and isinstance(answer[0], bytes):
                    self.send_response(status)
                    self.end_headers()
                    with suppress(OSError):
                        for part in answer:
                            self.wfile.write(part)
                            time.sleep(0.2)
                    return
                content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                with suppress(OSError):
                    self.wfile.write(content)

            do_POST = do_GET

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def table_of(durations: Any, distances: Any = ((0, 900), (900, 0)), gap: Any = 0.0) -> dict[str, Any]:
    places = [{"distance": gap, "location": [0, 0]}] * 2
    return {"code": "Ok", "durations": durations, "distances": distances, "sources": places, "destinations": places}


MISUSE = {
    "html": (200, b"<html>welcome</html>"),
    "nothing": (200, b""),
    "cut short": (200, b'{"code": "Ok", "durations": [[0, 1'),
    "no object": (200, []),
    "not found": (404, b"not here"),
    "an error": (500, {"code": "InternalError"}),
    "too big": (400, {"code": "TooBig", "message": "Too many table coordinates"}),
    "no table": (200, {"code": "Ok"}),
    "another shape": (200, table_of([[0, 300, 1]] * 3)),
    "ragged": (200, table_of([[0, 300], [0]])),
    "words": (200, table_of([["fast", "slow"], ["fast", "slow"]])),
    "nothing in cells": (200, table_of([[None, None], [None, None]], [[None, None], [None, None]])),
    "not numbers": (200, table_of([[float("nan"), float("inf")], [float("-inf"), 0]])),
    "negative": (200, table_of([[0, -300], [-300, 0]])),
    "as a rocket": (200, table_of([[0, 1], [1, 0]])),
    "shorter than straight": (200, table_of([[0, 300], [300, 0]], [[0, 5], [5, 0]])),
    "endless": (200, table_of([[0, 1e300], [1e300, 0]])),
    "for weeks": (200, table_of([[0, 20_000_000], [20_000_000, 0]])),
    "around the world": (200, table_of([[0, 300], [300, 0]], [[0, 20_000_000], [20_000_000, 0]])),
    "far from every street": (200, table_of([[0, 300], [300, 0]], gap=251)),
    "gaps unknown": (200, table_of([[0, 300], [300, 0]], gap=None)),
}


@pytest.mark.parametrize("misuse", MISUSE)
def test_whatever_a_server_says_rides_are_whole_and_believable(
    serve: Callable[[Reply], str], tmp_path: Path, opened: Opened, misuse: str
) -> None:
    roads = opened(f"osrm+{serve(lambda *_: MISUSE[misuse])}", tmp_path)
    ridden, guess = roads.matrix(STOPS[:2]), travel.matrix(STOPS[:2])
    assert ridden.estimated[0, 1]
    assert (ridden.seconds == guess.seconds).all()
    assert (ridden.metres == guess.metres).all()
    assert roads.line(STOPS[:2]) == (STOPS[:2], True)
    assert roads.route(STOPS[:2]).seconds == guess.seconds[0, 1]


def test_a_line_and_a_place_that_are_none_are_estimated(
    serve: Callable[[Reply], str], tmp_path: Path, opened: Opened
) -> None:
    leg = {"duration": 300.0, "distance": 900.0, "steps": [{"geometry": {"type": "Line"}}]}
    waypoints = [{"distance": 0.0, "location": [float("nan"), 47.2]}] * 2
    url = serve(lambda *_: (200, {"code": "Ok", "waypoints": waypoints, "routes": [{"legs": [leg]}]}))
    assert opened(f"osrm+{url}", tmp_path / "one").line(STOPS[:2]) == (STOPS[:2], True)
    snapped = opened(f"osrm+{url}", tmp_path / "other").snap(STOPS[0])
    assert snapped == roads_module.Snap(STOPS[0], 0.0, is_estimated=True)


def test_a_believable_table_is_believed(serve: Callable[[Reply], str], tmp_path: Path, opened: Opened) -> None:
    """The other side of the test before: the same answer, with nothing wrong in it."""
    roads = opened(f"osrm+{serve(lambda *_: (200, table_of([[0, 300.2], [310, 0]], gap=249)))}", tmp_path)
    ridden = roads.matrix(STOPS[:2])
    assert not ridden.estimated.any()
    assert sorted(ridden.seconds.ravel().tolist()) == [0, 0, 301, 310]


def test_a_server_that_trickles_is_not_waited_for(
    serve: Callable[[Reply], str], tmp_path: Path, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roads_module, "_TABLE_SECONDS", 0.5)

    def slowly(path: str, _: Any) -> tuple[int, Any]:
        return 200, [b" " for _ in range(25)] if "/table/" in path else {"code": "Ok", "waypoints": []}

    def late(path: str, body: Any) -> tuple[int, Any]:
        if "/table/" in path:
            time.sleep(3)
        return slowly("", body)

    for reply in (slowly, late):
        roads = opened(f"osrm+{serve(reply)}", tmp_path)
        began = time.monotonic()
        assert roads.matrix(STOPS).estimated.all()
        assert time.monotonic() - began < 2


def test_a_server_that_tells_nothing_of_its_data_is_asked_all_the_same(
    serve: Callable[[Reply], str], tmp_path: Path, opened: Opened
) -> None:
    def reply(path: str, _: Any) -> tuple[int, Any]:
        return (200, table_of([[0, 300], [300, 0]])) if "/table/" in path else (400, {"code": "NoSegment"})

    roads = opened(f"osrm+{serve(reply)}", tmp_path)
    assert not roads.matrix(STOPS[:2]).estimated.any()
    assert roads.info().data_date == ""


def test_a_network_with_another_date_is_asked_anew(
    serve: Callable[[Reply], str], tmp_path: Path, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.dispatch.travel.servers._ASK_AGAIN_AFTER_SECONDS", -1.0)
    said = {"version": "2026-10-01", "seconds": 300}
    asked = []

    def reply(path: str, _: Any) -> tuple[int, Any]:
        asked.append(path.split("/")[1])
        seconds = said["seconds"]
        return 200, {"data_version": said["version"], **table_of([[0, seconds], [seconds, 0]])}

    roads = opened(f"osrm+{serve(reply)}", tmp_path)
    assert [roads.matrix(STOPS[:2]).seconds[0, 1] for _ in range(2)] == [300, 300]
    assert asked.count("table") == 1
    assert roads.info().data_date == "2026-10-01"
    said |= {"version": "2026-11-01", "seconds": 400}
    assert roads.matrix(STOPS[:2]).seconds[0, 1] == 400


# -- Valhalla ----------------------------------------------------------------------------------------------------------

HERE, THERE, FAR = (-1.5536, 47.2181), (-1.5584, 47.2111), (3.0, 40.0)


def located(place: dict[str, float]) -> dict[str, Any]:
    """What `/locate` of Valhalla 3.9.1 said of these places of Nantes, shortened to one edge."""
    edges = {
        HERE: [{"way_id": 238120754, "correlated_lat": 47.218024, "correlated_lon": -1.553577}],
        THERE: [{"way_id": 142941368, "correlated_lat": 47.211106, "correlated_lon": -1.558405}],
    }
    at = (place["lon"], place["lat"])
    return {"input_lat": at[1], "input_lon": at[0], "edges": edges.get(at, []), "nodes": []}


def valhalla(path: str, body: Any) -> tuple[int, Any]:
    """Answer as Valhalla 3.9.1 did, limits included; it refuses what it was not asked then."""
    if path == "/status":
        return 200, {"version": "3.9.1", "tileset_last_modified": 1795669244}
    assert body["costing"] == "bicycle"
    if path == "/locate":
        return 200, [located(place) for place in body["locations"]]
    if path == "/sources_to_targets":
        if len(body["sources"]) * len(body["targets"]) > 2_500:
            return 400, {"error_code": 150, "error": "Exceeded max locations", "status_code": 400}
        if any(not located(place)["edges"] for place in body["sources"] + body["targets"]):
            return 400, {"error_code": 154, "error": "Path distance exceeds the max distance limit: 200000 meters"}
        rides = {(HERE, THERE): (364, 1.59), (THERE, HERE): (366, 1.568)}
        rows = [
            [
                dict(
                    zip(
                        ("from_index", "to_index", "time", "distance"),
                        (row, column, *rides.get(((a["lon"], a["lat"]), (b["lon"], b["lat"])), (0, 0.0))),
                        strict=True,
                    )
                )
                for column, b in enumerate(body["targets"])
            ]
            for row, a in enumerate(body["sources"])
        ]
        return 200, {"sources_to_targets": rows, "units": "kilometers", "algorithm": "timedistancematrix"}
    assert path == "/route"
    if len(body["locations"]) > 2:
        return 400, {"error_code": 442, "error": "No path could be found for input", "status_code": 400}
    leg = {"summary": {"time": 368.138, "length": 1.575}, "shape": "qu}`yApiy}AU}CC]OsBbCFzCF_A{OQsCIqA[gGdEiDnBaB~@u@"}
    return 200, {"trip": {"legs": [leg], "status": 0}}


def test_valhalla_rides(serve: Callable[[Reply], str], tmp_path: Path, opened: Opened) -> None:
    roads = opened(f"valhalla+{serve(valhalla)}/", tmp_path)
    ridden = roads.matrix([HERE, THERE, FAR])
    assert ridden.seconds[:2, :2].tolist() == [[0, 364], [366, 0]]
    assert ridden.metres[:2, :2].tolist() == [[0, 1590], [1568, 0]]
    assert ridden.estimated.tolist() == [[False, False, True], [False, False, True], [True, True, True]]
    info = roads.info()
    assert (info.engine, info.data_date[:7]) == ("valhalla", "2026-11")


def test_one_place_in_another_region_does_not_spoil_the_rides_of_all(
    serve: Callable[[Reply], str], tmp_path: Path, opened: Opened
) -> None:
    def reply(path: str, body: Any) -> tuple[int, Any]:
        if path == "/locate":  # there are streets in that region too
            return 200, [
                {"edges": [{"correlated_lat": place["lat"], "correlated_lon": place["lon"]}]}
                for place in body["locations"]
            ]
        return valhalla(path, body)

    ridden = opened(f"valhalla+{serve(reply)}", tmp_path).matrix([HERE, THERE, FAR])
    assert ridden.estimated.tolist() == [[False, False, True], [False, False, True], [True, True, True]]


def test_valhalla_draws_and_where_it_finds_no_way_every_stretch_is_asked_alone(
    serve: Callable[[Reply], str], tmp_path: Path, opened: Opened
) -> None:
    roads = opened(f"valhalla+{serve(valhalla)}", tmp_path)
    route = roads.route([HERE, THERE, FAR, HERE, THERE])
    assert [stretch.is_estimated for stretch in route.stretches] == [False, True, True, False]
    assert route.stretches[0].seconds == 369
    assert route.stretches[0].metres == 1575
    line = roads.line([HERE, THERE])
    assert line.points[1] == pytest.approx((-1.553577, 47.218025), abs=1e-5)
    assert roads.snap(THERE).point == (-1.558405, 47.211106)
    assert roads.snap(FAR).is_estimated
    assert roads.snap(HERE).metres == pytest.approx(8.6, abs=0.1)  # and it was not left alone for that


def test_valhalla_is_asked_within_its_limits(serve: Callable[[Reply], str], tmp_path: Path, opened: Opened) -> None:
    sizes = []

    def reply(path: str, body: Any) -> tuple[int, Any]:
        if path == "/sources_to_targets":
            sizes.append(len(body["sources"]) * len(body["targets"]))
            rows = [[{"time": 9_000, "distance": 30.0}] * len(body["targets"])] * len(body["sources"])
            return 200, {"sources_to_targets": rows}
        if path == "/locate":
            edges = [{"correlated_lat": place["lat"], "correlated_lon": place["lon"]} for place in body["locations"]]
            return 200, [{"edges": [edge]} for edge in edges]
        return valhalla(path, body)

    points = [corner(x, y) for x in range(12) for y in range(10)]
    ridden = opened(f"valhalla+{serve(reply)}", tmp_path).matrix(points)
    assert not ridden.estimated.any()
    assert max(sizes) <= 2_500
    assert sum(sizes) == 120 * 120


# -- the setting -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url", ["http://host:5000", "osrm+ftp://host", "graphhopper+http://host", "osrm+http://", "osrm"]
)
def test_an_address_that_is_none_is_refused_at_the_start(url: str, tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="travel_url"):
        DispatchSettings(travel_url=url)
    if url != "osrm+http://":
        with pytest.raises(ValueError, match="osrm\\+http://HOST:PORT"):
            open_roads(url, tmp_path)


def test_the_server_is_chosen_by_its_address(tmp_path: Path, opened: Opened) -> None:
    url = DispatchSettings(travel_url="osrm+https://roads.example:5000/bike/").travel_url
    roads = opened(url, tmp_path)
    assert isinstance(roads._engine, OsrmServer)
    assert roads._engine._address == "https://roads.example:5000/bike"
