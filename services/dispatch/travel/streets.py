"""OSRM beside this process, over the network that was imported; the only file that knows `osrm`.

Its tables hold the interpreter's lock for their whole run, so it works in a process of its own.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from itertools import chain, pairwise
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from services.dispatch.travel import network
from services.dispatch.travel.engines import (
    EngineBusy,
    EngineFailed,
    EngineSwitched,
    Info,
    NoWay,
    Ride,
    Table,
    decoded,
    read_osrm_table,
    thinned,
)
from services.dispatch.travel.estimate import Degrees, Point
from services.dispatch.worker import Worker, WorkerBusy, WorkerDied, WorkerStopped

ATTRIBUTION = "© OpenStreetMap contributors"
_TRIAL_SECONDS = 60.0
_KEPT_HINTS = 20_000


class LocalStreets:
    """OSRM over the network in force in a data folder; takes up a new one at the next question."""

    largest_table = 500
    """A larger one keeps others waiting, and OSRM spends some 300 bytes a cell."""
    largest_route = 200

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._lock = Lock()
        self._seen: tuple[int, int] | None = None
        self._network: network.Network | None = None
        self._worker: Worker | None = None
        self._is_stopped = False

    def info(self) -> Info | None:
        """Return what it rides on now; None while nothing was imported, or OSRM is not installed."""
        found, _ = self._in_force()
        if found is None:
            return None
        return Info("osrm", found.profile, found.dataset, found.data_date, found.bounds, ATTRIBUTION)

    def table(self, sources: Degrees, targets: Degrees, *, seconds: float) -> Table:
        """Return the matrix. Raises EngineFailed."""
        found, worker = self._in_force()
        table = _ask(worker, ("table", sources, targets), seconds)
        assert isinstance(table, Table)
        return replace(table, dataset=found.dataset if found else "")

    def route(self, stops: Degrees, *, seconds: float) -> list[Ride]:
        """Return the ride from each stop to the next. Raises NoWay, EngineFailed."""
        rides = _ask(self._in_force()[1], ("route", stops), seconds)
        assert isinstance(rides, list)
        return rides

    def snap(self, point: Point, *, seconds: float) -> tuple[Point, float]:
        """Return the nearest point on a street and how many metres away it is. Raises EngineFailed."""
        snapped = _ask(self._in_force()[1], ("snap", point), seconds)
        assert isinstance(snapped, tuple)
        return snapped

    def stop(self) -> None:
        """End the process."""
        with self._lock:
            self._is_stopped = True
            if self._worker is not None:
                self._worker.stop()
            self._worker = None

    def _in_force(self) -> tuple[network.Network | None, Worker | None]:
        """Return the network in force and who rides on it, changing both when another was imported."""
        try:
            stat = network.pointer(self._data_dir).stat()
            seen = (stat.st_mtime_ns, stat.st_ino)
        except OSError:
            seen = None
        with self._lock:
            if seen != self._seen:
                self._seen = seen
                self._network = network.current(self._data_dir) if seen and network.can_build() else None
                if self._worker is not None:
                    self._worker.stop()
                self._worker = None
            if self._network is not None and self._worker is None and not self._is_stopped:
                self._worker = Worker("streets", load, network.data_file(self._data_dir, self._network))
            return self._network, self._worker


def import_network(extract: Path, data_dir: Path, bounds: network.Bounds) -> network.Network:
    """Build the network of an OpenStreetMap extract with these bounds, ride on it, and put it in force in one step.

    Raises NetworkNotBuilt; the network in force stays then.
    """
    with network.built(extract, data_dir) as folder:
        return network.put_in_force(folder, extract, data_dir, bounds, _try_out(folder, extract, bounds))


def _try_out(folder: Path, extract: Path, bounds: network.Bounds) -> str:
    """Ride on a network in a process of its own and return what its data says of its age. Raises NetworkNotBuilt.

    From sixteen points all over its bounds, each put on the nearest street, there must be a way to another.
    """
    west, south, east, north = bounds
    fractions = (np.arange(4) + 0.5) / 4
    grid = np.array([(west + x * (east - west), south + y * (north - south)) for x in fractions for y in fractions])
    worker = Worker("streets on trial", load, folder / network.FILE)
    try:
        table = _ask(worker, ("table", grid, grid), _TRIAL_SECONDS)
    except EngineFailed as error:
        raise network.unusable(extract) from error
    finally:
        worker.stop()
    assert isinstance(table, Table)
    if not (np.isfinite(table.seconds) & (table.seconds > 0)).any():
        raise network.unusable(extract)
    return table.dataset


def _ask(worker: Worker | None, request: object, seconds: float) -> object:
    if worker is None:
        raise EngineFailed("no network was imported")
    try:
        return worker.ask(request, seconds=seconds)
    except WorkerBusy as error:
        raise EngineBusy(str(error)) from error
    except WorkerStopped as error:
        raise EngineSwitched(str(error)) from error
    except WorkerDied as error:
        raise EngineFailed(str(error)) from error


# -- in the worker's process -----------------------------------------------------------------------------------------


def load(file: Path) -> Callable[[Any], object]:
    """Return what answers from the network in these files. Raises EngineFailed."""
    import osrm

    try:
        engine = osrm.OSRM(
            storage_config=str(file),
            algorithm="CH",
            use_shared_memory=False,
            verbosity="NONE",
            max_locations_distance_table=-1,
            max_locations_viaroute=-1,
        )
    except RuntimeError as error:
        raise EngineFailed(str(error)) from error

    hints: dict[Point, str] = {}

    def table(sources: Degrees, targets: Degrees) -> Table:
        # The same points are put on streets once, also from one question to the next: half of the work of a new row.
        places, where = np.unique(np.concatenate([sources, targets]), axis=0, return_inverse=True)
        answer = engine.Table(
            osrm.TableParameters(
                coordinates=(points := _tuples(places)),
                hints=[hints.get(point) for point in points],
                sources=where[: len(sources)].tolist(),
                destinations=where[len(sources) :].tolist(),
                annotations=["duration", "distance"],
            )
        )
        if len(hints) > _KEPT_HINTS:
            hints.clear()
        for number, place in zip(where.tolist(), chain(answer["sources"], answer["destinations"]), strict=True):
            hints[points[number]] = place["hint"]
        return read_osrm_table(answer, (len(sources), len(targets)), _data_version(answer))

    def route(stops: Degrees) -> list[Ride]:
        # One by one: cheaper than one route with the steps that tell where each begins.
        return [ride(*ends) for ends in pairwise(_tuples(stops))]

    def ride(start: Point, end: Point) -> Ride:
        answer = engine.Route(
            osrm.RouteParameters(
                coordinates=[start, end], geometries="polyline6", overview="full", generate_hints=False
            )
        )
        found, gaps = answer["routes"][0], [place["distance"] for place in answer["waypoints"]]
        return Ride(found["duration"], found["distance"], thinned(decoded(found["geometry"])), *gaps)

    def snap(point: Point) -> tuple[Point, float]:
        answer = engine.Nearest(osrm.NearestParameters(coordinates=[point]))
        nearest = answer["waypoints"][0]
        longitude, latitude = nearest["location"]
        return (longitude, latitude), nearest["distance"]

    answers: dict[str, Callable[..., object]] = {"table": table, "route": route, "snap": snap}

    def answer_to(request: Any) -> object:
        what, *about = request
        try:
            return answers[what](*about)
        except RuntimeError as error:
            if str(error).startswith("NoRoute"):
                raise NoWay(str(error)) from error
            raise EngineFailed(str(error)) from error

    return answer_to


def _tuples(points: Degrees) -> list[tuple[float, float]]:
    return [(longitude, latitude) for longitude, latitude in points.tolist()]


def _data_version(answer: Any) -> str:
    with suppress(LookupError, RuntimeError):
        return str(answer["data_version"])
    return ""
