"""Ride times, distances and lines for everybody in dispatch: an engine's where it has one to give, else estimated.

Whoever asks always gets an answer, whole numbers everywhere, and sees what is estimated.
"""

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLate
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from threading import Lock
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from services.dispatch.travel.cache import NO_WAY, UNKNOWN, Keys, RideCache, keys_of, points_of
from services.dispatch.travel.engines import Engine, EngineBusy, EngineFailed, EngineSwitched, Info, NoWay, Ride
from services.dispatch.travel.estimate import (
    FASTEST_METRES_PER_SECOND,
    Degrees,
    Point,
    Travel,
    are_apart,
    as_degrees,
    at_least,
    estimated,
    straight_metres,
)
from services.dispatch.travel.servers import OsrmServer, ValhallaServer
from services.dispatch.travel.streets import LocalStreets

log = logging.getLogger(__name__)

FARTHEST_FROM_A_STREET_METRES = 250.0
"""A point farther away is off the engine's map: its rides are estimated."""

CROW_FLY = Info("crow-fly", "calibrated", "crow-fly")

_LONGEST_RIDE = 10_000_000
"""Seconds or metres; an engine that says more is mistaken."""
_TABLE_SECONDS = 10.0
_CELLS_PER_SECOND = 20_000
"""What a slow engine on a busy machine still does, tens of times less than measured."""
_ROUTE_SECONDS = 10.0
_PAGE_SECONDS = 1.5
_REST_SECONDS = 30.0
_TRIES = 5
"""How often a network may be exchanged under one question."""
_KEPT_RIDES = 20_000

_Rides = dict[tuple[int, int], Ride | None]
"""An engine's rides by the keys of both ends; None where there is no way."""

Answer = TypeVar("Answer")


class Line(NamedTuple):
    """What to draw for a ride through some points; `is_estimated` when any part is straight for want of a way."""

    points: list[Point]
    is_estimated: bool


@dataclass(frozen=True, slots=True)
class Stretch:
    """The ride from one stop to the next; its line begins and ends at the stops themselves."""

    seconds: int
    metres: int
    line: tuple[Point, ...]
    is_estimated: bool


@dataclass(frozen=True, slots=True)
class Route:
    """A ride through stops, stretch by stretch."""

    stretches: tuple[Stretch, ...]

    @property
    def seconds(self) -> int:
        """Ride time alone, without what is done at stops."""
        return sum(stretch.seconds for stretch in self.stretches)

    @property
    def metres(self) -> int:
        """Metres ridden."""
        return sum(stretch.metres for stretch in self.stretches)

    @property
    def is_estimated(self) -> bool:
        """Whether any stretch is."""
        return any(stretch.is_estimated for stretch in self.stretches)


@dataclass(frozen=True, slots=True)
class Snap:
    """A point put on the nearest street, and how many metres away that is; where it was when nobody knows streets."""

    point: Point
    metres: float
    is_estimated: bool


def open_roads(url: str, data_dir: Path) -> "Roads":
    """Return the roads that an operator chose: a server by its address, else the network imported into the folder.

    `osrm+http://HOST:PORT`, `valhalla+https://HOST/PATH`; empty for none. Raises ValueError for any other address.
    """
    kind, plus, address = url.partition("+")
    engine: Engine
    if not url:
        engine = LocalStreets(data_dir)
    elif plus and kind in ("osrm", "valhalla") and address.startswith(("http://", "https://")):
        engine = OsrmServer(address) if kind == "osrm" else ValhallaServer(address)
    else:
        raise ValueError(f"{url!r} is no address like osrm+http://HOST:PORT or valhalla+http://HOST:PORT")
    return Roads(engine, RideCache(data_dir / "rides.db"))


class Roads:
    """Ride times, distances and lines, never missing. Safe to use from several threads.

    Without an engine, and wherever the engine has no answer that can be believed, they are estimated and marked so: no
    way between the points, a point off its map, the engine away or late. After it failed it is left alone for half a
    minute, so that nobody waits for it again and again.
    """

    def __init__(self, engine: Engine | None = None, cache: RideCache | None = None) -> None:
        self._engine = engine
        self._cache = cache or RideCache()
        self._lock = Lock()
        self._rests_until = 0.0
        self._known = CROW_FLY
        self._rides_kept: OrderedDict[tuple[str, int, int], Ride | None] = OrderedDict()
        self._aside = ThreadPoolExecutor(max_workers=4, thread_name_prefix="lines")

    def info(self) -> Info:
        """Return what is ridden on now; `CROW_FLY` when everything is estimated.

        While the engine rests it is what it last was: what it said then is still known.
        """
        with suppress(EngineFailed):
            self._known = self._ask(lambda engine: engine.info()) or CROW_FLY
        return self._known

    def matrix(self, sources: Sequence[Point], targets: Sequence[Point] | None = None) -> Travel:
        """Return seconds and metres of each ride from a source to a target (None: the sources themselves).

        Ride time only, of a bike whose factor is one; not symmetric. Never faster than the straight line at 25 km/h,
        at least a second between distinct points, zero from a point to itself. Raises PointOffTheMap.
        """
        starts = as_degrees(sources)
        ends = starts if targets is None else as_degrees(targets)
        straight = straight_metres(starts[:, None], ends[None, :])
        apart = are_apart(starts[:, None], ends[None, :])
        guess = estimated(straight, apart)
        for _ in range(_TRIES):
            info = self.info()
            if info is CROW_FLY or not straight.size:
                return guess
            with suppress(EngineSwitched):
                said_seconds, said_metres = self._ridden(info.dataset, keys_of(starts), keys_of(ends))
                break
        else:
            return guess
        is_known = said_seconds >= 0
        seconds, metres = at_least(said_seconds, said_metres, straight, apart)
        return Travel(np.where(is_known, seconds, guess.seconds), np.where(is_known, metres, guess.metres), ~is_known)

    def route(self, stops: Sequence[Point]) -> Route:
        """Return the ride through these stops, stretch by stretch; none for fewer than two. Raises PointOffTheMap."""
        points = as_degrees(stops)
        rides = self._rides([points])
        return Route(_stretches(points, rides))

    def line(self, points: Sequence[Point]) -> Line:
        """Return what to draw for a ride through these points; see `lines`. Raises PointOffTheMap."""
        return self.lines([points])[0]

    def lines(self, routes: Sequence[Sequence[Point]]) -> list[Line]:
        """Return what to draw for each of these rides: for a page, which never waits more than a second or two.

        What is not there by then is drawn straight, as estimated, and will be there the next time. One call for the
        whole page: stretches are kept, and those that are missing are asked for together. Raises PointOffTheMap.
        """
        points = [as_degrees(route) for route in routes]
        try:
            rides = self._aside.submit(self._rides, points).result(timeout=_PAGE_SECONDS)
        except (TooLate, RuntimeError):  # the latter: stopped, nobody draws this any more
            rides = self._kept(self._known.dataset, _pairs(points))
        drawn = []
        for stops in points:
            stretches = _stretches(stops, rides)
            line = [point for stretch in stretches for point in stretch.line] or _tuples(stops)
            once = [point for point, before in zip(line, [None, *line], strict=False) if point != before]
            drawn.append(Line(once if len(once) > 1 else line, any(stretch.is_estimated for stretch in stretches)))
        return drawn

    def snap(self, point: Point) -> Snap:
        """Return the point put on the nearest street. Raises PointOffTheMap."""
        as_degrees([point])
        if self.info() is not CROW_FLY:
            with suppress(EngineFailed, NoWay):
                found, metres = self._ask(lambda engine: engine.snap(point, seconds=_ROUTE_SECONDS))
                if np.isfinite((*found, metres)).all():
                    return Snap(found, metres, is_estimated=False)
        return Snap(point, 0.0, is_estimated=True)

    def stop(self) -> None:
        """Let go of the engine; whatever is asked later is estimated."""
        self._aside.shutdown(wait=False, cancel_futures=True)
        self._cache.close()
        if self._engine is not None:
            self._engine.stop()

    # -- asking the engine -------------------------------------------------------------------------------------------

    def _ask(self, question: Callable[[Engine], Answer]) -> Answer:
        """Ask the engine, unless it rests. Raises EngineFailed."""
        if self._engine is None or time.monotonic() < self._rests_until:
            raise EngineFailed("at rest")
        try:
            return question(self._engine)
        except (EngineBusy, EngineSwitched):
            raise
        except EngineFailed as error:
            self._rests_until = time.monotonic() + _REST_SECONDS
            log.warning("rides are estimated for %.0f s: %s", _REST_SECONDS, error)
            raise

    def _ridden(self, dataset: str, starts: Keys, ends: Keys) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Return what the engine says of these rides, from the cache or by asking; negative where it says nothing.

        Raises EngineSwitched.
        """
        sources, row_of = np.unique(starts, return_inverse=True)
        targets, column_of = np.unique(ends, return_inverse=True)
        seconds, metres = self._cache.read(dataset, sources, targets)
        try:
            for rows, columns in _missing(seconds == UNKNOWN):
                self._fill(dataset, sources, targets, rows, columns, seconds, metres)
        except EngineSwitched:
            raise
        except EngineFailed:
            pass  # what it had answered until then stands
        cells = np.ix_(row_of, column_of)
        return seconds[cells], metres[cells]

    def _fill(
        self,
        dataset: str,
        sources: Keys,
        targets: Keys,
        rows: NDArray[np.intp],
        columns: NDArray[np.intp],
        seconds: NDArray[np.int32],
        metres: NDArray[np.int32],
    ) -> None:
        """Ask for the rides of these rows and columns, block by block, and keep them. Raises EngineFailed."""
        assert self._engine is not None
        size = self._engine.largest_table
        deadline = time.monotonic() + _TABLE_SECONDS + rows.size * columns.size / _CELLS_PER_SECOND
        found = np.full((2, rows.size, columns.size), UNKNOWN, dtype=np.int32)
        try:
            for first in range(0, rows.size, size):
                for left in range(0, columns.size, size):
                    down, across = slice(first, first + size), slice(left, left + size)
                    found[:, down, across] = self._block(
                        dataset, points_of(sources[rows[down]]), points_of(targets[columns[across]]), deadline
                    )
        finally:
            cells = np.ix_(rows, columns)
            seconds[cells], metres[cells] = found
            whole = (found[0] != UNKNOWN).all(axis=1)
            if whole.any():
                self._cache.write(dataset, sources[rows[whole]], targets[columns], found[0, whole], found[1, whole])

    def _block(self, dataset: str, sources: Degrees, targets: Degrees, deadline: float) -> NDArray[np.int32]:
        """Return (2, sources, targets) seconds and metres, NO_WAY where the answer cannot be believed."""
        if len(sources) == len(targets) == 1 and not are_apart(sources, targets).any():
            return np.zeros((2, 1, 1), dtype=np.int32)  # engines refuse a table of one place
        left = deadline - time.monotonic()
        table = self._ask(lambda engine: engine.table(sources, targets, seconds=max(left, 0.0)))
        if table.dataset not in ("", dataset):
            raise EngineSwitched
        good = _is_believable(
            table.seconds,
            table.metres,
            straight_metres(sources[:, None], targets[None, :]),
            table.source_gaps[:, None],
            table.target_gaps[None, :],
        )
        both = np.stack([table.seconds, table.metres])
        return np.where(good, np.ceil(np.where(good, both, 0)), NO_WAY).astype(np.int32)

    def _rides(self, routes: Sequence[Degrees]) -> _Rides:
        """Return the engine's rides along these routes; absent is what it could not be asked."""
        info = self.info()
        found = self._kept(info.dataset, _pairs(routes))
        if info is not CROW_FLY:
            with suppress(EngineFailed):
                for points in routes:
                    for chain in _chains(keys_of(points).tolist(), found):
                        self._follow(info.dataset, chain, found)
        return found

    def _kept(self, dataset: str, pairs: set[tuple[int, int]]) -> _Rides:
        """Return those of the rides that were asked for before."""
        with self._lock:
            found = {pair: self._rides_kept[dataset, *pair] for pair in pairs if (dataset, *pair) in self._rides_kept}
            for pair in found:
                self._rides_kept.move_to_end((dataset, *pair))
        return found

    def _follow(self, dataset: str, chain: list[int], found: _Rides) -> None:
        """Ask for the rides of a chain of stops, in halves where somewhere there is no way. Raises EngineFailed."""
        assert self._engine is not None
        size = self._engine.largest_route
        if len(chain) > size:
            for first in range(0, len(chain) - 1, size - 1):
                self._follow(dataset, chain[first : first + size], found)
            return
        rides: Sequence[Ride | None]
        try:
            stops = points_of(np.array(chain, dtype=np.int64))
            rides = self._ask(lambda engine: engine.route(stops, seconds=_ROUTE_SECONDS))
        except NoWay:
            if len(chain) > 2:
                middle = len(chain) // 2
                self._follow(dataset, chain[: middle + 1], found)
                self._follow(dataset, chain[middle:], found)
                return
            rides = [None]
        with self._lock:
            for pair, ride in zip(pairwise(chain), rides, strict=True):
                found[pair] = self._rides_kept[dataset, *pair] = ride
            while len(self._rides_kept) > _KEPT_RIDES:
                self._rides_kept.popitem(last=False)


def _missing(unknown: NDArray[np.bool_]) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Return rows and columns to ask for so that every unknown cell is among them: first new sources, then new targets.

    A source of which less than half is known is new.
    """
    is_new = unknown.sum(axis=1) * 2 > unknown.shape[1]
    parts = []
    for rows in (np.flatnonzero(is_new), np.flatnonzero(~is_new & unknown.any(axis=1))):
        columns = np.flatnonzero(unknown[rows].any(axis=0))
        if columns.size:
            parts.append((rows, columns))
    return parts


def _pairs(routes: Sequence[Degrees]) -> set[tuple[int, int]]:
    """Return the ends of every stretch, where they are apart."""
    keys = [keys_of(points).tolist() for points in routes]
    return {pair for stops in keys for pair in pairwise(stops) if pair[0] != pair[1]}


def _chains(stops: list[int], found: _Rides) -> list[list[int]]:
    """Return the stretches of a ride of which nothing is found yet."""
    chains: list[list[int]] = []
    for pair in pairwise(stops):
        if pair[0] == pair[1] or pair in found:
            continue
        if chains and chains[-1][-1] == pair[0]:
            chains[-1].append(pair[1])
        else:
            chains.append(list(pair))
    return chains


def _is_believable(
    seconds: NDArray[np.float64],
    metres: NDArray[np.float64],
    straight: NDArray[np.float64],
    source_gaps: NDArray[np.float64],
    target_gaps: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """Return which rides a bike can have: both ends near a street, and no shorter or faster than possible between.

    A hundredth and a unit are left for how engines round and measure the earth.
    """
    with np.errstate(invalid="ignore"):
        between = np.maximum(straight - source_gaps - target_gaps, 0) * 0.99 - 1
        near = (source_gaps <= FARTHEST_FROM_A_STREET_METRES) & (target_gaps <= FARTHEST_FROM_A_STREET_METRES)
        possible = (metres >= between) & (seconds >= between / FASTEST_METRES_PER_SECOND - 1)
        there = (seconds >= 0) & (metres >= 0) & (seconds <= _LONGEST_RIDE) & (metres <= _LONGEST_RIDE)
    good: NDArray[np.bool_] = near & possible & there
    return good


def _stretches(stops: Degrees, rides: _Rides) -> tuple[Stretch, ...]:
    """Return the stretches between stops: the engine's where it can be believed, else straight and estimated."""
    starts, ends = stops[:-1], stops[1:]
    straight, apart = straight_metres(starts, ends), are_apart(starts, ends)
    guess = estimated(straight, apart)
    keys = keys_of(stops).tolist()
    found = [rides.get(pair) for pair in pairwise(keys)]
    facts = np.array(
        [(ride.seconds, ride.metres, ride.start_gap, ride.end_gap) if ride else (np.nan,) * 4 for ride in found]
    ).reshape(-1, 4)
    good = _is_believable(facts[:, 0], facts[:, 1], straight, facts[:, 2], facts[:, 3])
    whole = np.where(good[:, None], np.ceil(facts), 0).astype(np.int32)
    seconds, metres = at_least(whole[:, 0], whole[:, 1], straight, apart)
    seconds, metres = np.where(good, seconds, guess.seconds), np.where(good, metres, guess.metres)
    points = _tuples(stops)
    return tuple(
        Stretch(
            int(seconds[number]),
            int(metres[number]),
            (points[number], *(ride.line if ride and good[number] else ()), points[number + 1]),
            is_estimated=bool(~good[number] & apart[number]),
        )
        for number, ride in enumerate(found)
    )


def _tuples(points: Degrees) -> list[Point]:
    return [(longitude, latitude) for longitude, latitude in points.tolist()]
