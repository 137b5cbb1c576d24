"""An OSRM or a Valhalla server of the house, over HTTP; bounded in time and within the servers' shipped limits."""

import json
import time
from contextlib import suppress
from datetime import UTC, datetime
from itertools import pairwise
from threading import Lock
from typing import Any

import httpx
import numpy as np

from services.dispatch.travel.engines import (
    EngineFailed,
    Info,
    NoWay,
    Ride,
    Table,
    checked,
    decoded,
    joined,
    read_osrm_table,
    thinned,
)
from services.dispatch.travel.estimate import Degrees, Point, as_degrees, straight_metres

ATTRIBUTION = "© OpenStreetMap contributors"
_CONNECT_SECONDS = 2.0
_ASK_AGAIN_AFTER_SECONDS = 600.0
_REGION_METRES = 90_000.0
"""Half of what Valhalla's matrix may span, 200 km, is more."""
_NO_WAY_CODES = frozenset({"NoRoute", 442})
"""OSRM's; Valhalla's "No path could be found for input"."""


class _Refused(EngineFailed):
    """The server is there and does not do this."""


class _Server:
    """What both have in common: requests that end in time, and a look at their data now and then."""

    _engine: str

    def __init__(self, address: str) -> None:
        self._address = address.rstrip("/")
        self._client = httpx.Client()
        self._lock = Lock()
        self._info: Info | None = None
        self._info_until = 0.0

    def info(self) -> Info | None:
        """Return what it rides on, as far as it says. Raises EngineFailed."""
        with self._lock:
            if self._info is None or time.monotonic() > self._info_until:
                data_date = ""
                with suppress(_Refused):
                    data_date = self._data_date()
                # Who does not say how old its data is, is asked everything anew each month.
                age = data_date or f"{datetime.now(UTC):%Y-%m}"
                dataset = f"{self._engine} {self._address} {age}"
                self._info = Info(self._engine, "bicycle", dataset, data_date, None, ATTRIBUTION)
                self._info_until = time.monotonic() + _ASK_AGAIN_AFTER_SECONDS
            return self._info

    def stop(self) -> None:
        """Close the connections."""
        self._client.close()

    def _data_date(self) -> str:
        """Return what the server says of its data's age, or nothing. Raises EngineFailed."""
        raise NotImplementedError

    def _ask(self, path: str, body: object = None, *, seconds: float) -> Any:
        """Return the answer's JSON. Raises NoWay, EngineFailed; also when it trickles in too slowly."""
        deadline = time.monotonic() + seconds
        timeout = httpx.Timeout(seconds, connect=min(_CONNECT_SECONDS, seconds))
        content = bytearray()
        method = "GET" if body is None else "POST"
        try:
            with self._client.stream(method, self._address + path, json=body, timeout=timeout) as answer:
                for part in answer.iter_bytes():
                    content += part
                    if time.monotonic() > deadline:
                        raise EngineFailed(f"{self._address} does not answer in time")
            found = json.loads(content)
        except (httpx.HTTPError, httpx.InvalidURL, RuntimeError, ValueError) as error:
            raise EngineFailed(f"{self._address}: {error!r}") from error
        if answer.status_code == httpx.codes.OK:
            return found
        code = (found.get("code") or found.get("error_code")) if isinstance(found, dict) else None
        if code in _NO_WAY_CODES:
            raise NoWay(str(code))
        raise _Refused(f"{self._address} answers {answer.status_code}, {code}")


class OsrmServer(_Server):
    """`osrm-routed`, as it is shipped: a table has at most a hundred points, in the address of the request."""

    _engine = "osrm"
    largest_table = 50
    largest_route = 100

    def _data_date(self) -> str:
        answer = self._ask("/nearest/v1/bicycle/0,0?generate_hints=false", seconds=_CONNECT_SECONDS)
        said = answer.get("data_version") if isinstance(answer, dict) else None
        return said if isinstance(said, str) else ""

    def table(self, sources: Degrees, targets: Degrees, *, seconds: float) -> Table:
        """Return the matrix. Raises EngineFailed."""
        places, where = np.unique(np.concatenate([sources, targets]), axis=0, return_inverse=True)
        query = (
            f"annotations=duration,distance&generate_hints=false&sources={_list(where[: len(sources)])}"
            f"&destinations={_list(where[len(sources) :])}"
        )
        try:
            answer = self._ask(f"/table/v1/bicycle/{_path(places)}?{query}", seconds=seconds)
        except NoWay as error:
            raise EngineFailed(str(error)) from error
        return read_osrm_table(answer, (len(sources), len(targets)))

    def route(self, stops: Degrees, *, seconds: float) -> list[Ride]:
        """Return the ride from each stop to the next. Raises NoWay, EngineFailed."""
        query = "steps=true&geometries=polyline6&overview=false&generate_hints=false"
        return _read_route(self._ask(f"/route/v1/bicycle/{_path(stops)}?{query}", seconds=seconds))

    def snap(self, point: Point, *, seconds: float) -> tuple[Point, float]:
        """Return the nearest point on a street and how many metres away it is. Raises EngineFailed."""
        answer = self._ask(f"/nearest/v1/bicycle/{_path(as_degrees([point]))}", seconds=seconds)
        try:
            longitude, latitude = answer["waypoints"][0]["location"]
            return (float(longitude), float(latitude)), float(answer["waypoints"][0]["distance"])
        except (LookupError, TypeError, ValueError) as error:
            raise EngineFailed(f"no place in the answer: {error!r}") from error


def _read_route(answer: Any) -> list[Ride]:
    """Return OSRM's route, asked for with steps and polyline6, stretch by stretch. Raises EngineFailed."""
    try:
        gaps = [float(point["distance"]) for point in answer["waypoints"]]
        legs = list(answer["routes"][0]["legs"])
        rides = [
            Ride(
                float(leg["duration"]),
                float(leg["distance"]),
                thinned(joined([decoded(step["geometry"]) for step in leg["steps"]])),
                *gap,
            )
            for leg, gap in zip(legs, pairwise(gaps), strict=True)
        ]
    except (LookupError, TypeError, ValueError) as error:
        raise EngineFailed(f"no route in the answer: {error!r}") from error
    return rides


class ValhallaServer(_Server):
    """`valhalla_service`, as it is shipped: 2,500 pairs in a bicycle's matrix, 50 stops in its route.

    It refuses a matrix with a point far from every street, so points are located first.
    """

    _engine = "valhalla"
    largest_table = 50
    largest_route = 20
    """It allows 50; twenty take it a quarter of a second."""

    def _data_date(self) -> str:
        answer = self._ask("/status", seconds=_CONNECT_SECONDS)
        built = answer.get("tileset_last_modified") if isinstance(answer, dict) else None
        return f"{datetime.fromtimestamp(built, UTC):%Y-%m-%dT%H:%M}" if isinstance(built, int) else ""

    def table(self, sources: Degrees, targets: Degrees, *, seconds: float) -> Table:
        """Return the matrix. Raises EngineFailed."""
        deadline = time.monotonic() + seconds
        _, source_gaps = self._located(sources, seconds)
        _, target_gaps = self._located(targets, seconds)
        # One place in another region would have it refuse the whole matrix.
        middle = np.median(np.concatenate([sources, targets]), axis=0)
        rows, columns = (
            np.flatnonzero(np.isfinite(gaps) & (straight_metres(points, middle) < _REGION_METRES))
            for points, gaps in ((sources, source_gaps), (targets, target_gaps))
        )
        found = np.full((2, len(sources), len(targets)), np.nan)
        if rows.size and columns.size:
            body = {"sources": _places(sources[rows]), "targets": _places(targets[columns])}
            try:
                answer = self._ask(
                    "/sources_to_targets", body | _BICYCLE, seconds=max(deadline - time.monotonic(), 0.01)
                )
                cells = [[(cell["time"], cell["distance"]) for cell in row] for row in answer["sources_to_targets"]]
                found[:, rows[:, None], columns] = np.moveaxis(np.array(cells, dtype=np.float64), -1, 0)
            except NoWay:
                pass
            except (LookupError, TypeError, ValueError) as error:
                raise EngineFailed(f"no matrix in the answer: {error!r}") from error
        table = Table(found[0], found[1] * 1000, source_gaps, target_gaps)
        return checked(table, (len(sources), len(targets)))

    def route(self, stops: Degrees, *, seconds: float) -> list[Ride]:
        """Return the ride from each stop to the next. Raises NoWay, EngineFailed."""
        deadline = time.monotonic() + seconds
        _, gaps = self._located(stops, seconds)
        if not np.isfinite(gaps).all():
            raise NoWay("a stop is far from every street")
        body = {"locations": _places(stops), "directions_type": "none"}
        answer = self._ask("/route", body | _BICYCLE, seconds=max(deadline - time.monotonic(), 0.01))
        try:
            return [
                Ride(
                    float(leg["summary"]["time"]),
                    float(leg["summary"]["length"]) * 1000,
                    thinned(decoded(leg["shape"])),
                    *gap,
                )
                for leg, gap in zip(answer["trip"]["legs"], pairwise(gaps.tolist()), strict=True)
            ]
        except (LookupError, TypeError, ValueError) as error:
            raise EngineFailed(f"no route in the answer: {error!r}") from error

    def snap(self, point: Point, *, seconds: float) -> tuple[Point, float]:
        """Return the nearest point on a street and how many metres away it is. Raises NoWay, EngineFailed."""
        ((longitude, latitude),), (gap,) = self._located(as_degrees([point]), seconds)
        if not np.isfinite(gap):
            raise NoWay("no street near the point")
        return (float(longitude), float(latitude)), float(gap)

    def _located(self, points: Degrees, seconds: float) -> tuple[Degrees, Any]:
        """Return where points are put on a street, and the metres to there: infinite where there is no street near."""
        body = {"locations": _places(points), "costing": "bicycle", "verbose": False}
        answer = self._ask("/locate", body, seconds=seconds)
        try:
            nearest = [
                (edges[0]["correlated_lon"], edges[0]["correlated_lat"]) if edges else (np.nan, np.nan)
                for edges in (place.get("edges") for place in answer)
            ]
            snapped = np.array(nearest, dtype=np.float64).reshape(len(points), 2)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise EngineFailed(f"no places in the answer: {error!r}") from error
        return snapped, np.nan_to_num(straight_metres(points, snapped), nan=np.inf)


_BICYCLE = {"costing": "bicycle", "units": "kilometers"}


def _places(points: Degrees) -> list[dict[str, float]]:
    return [{"lon": longitude, "lat": latitude} for longitude, latitude in points.tolist()]


def _path(points: Degrees) -> str:
    return ";".join(f"{longitude:.5f},{latitude:.5f}" for longitude, latitude in points.tolist())


def _list(numbers: Any) -> str:
    return ";".join(map(str, numbers.tolist()))
