"""What every street engine can be asked, and how their answers are read; which engine it is, others know."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from services.dispatch.travel.estimate import Degrees, Point

_METRES_PER_DEGREE = 111_195.0
_LONGEST_NUMBER = 6
"""Characters after the first: more than 35 bits are no coordinate."""
_THINNINGS = 4


class EngineFailed(Exception):
    """The engine is away, too slow, or its answer cannot be used."""


class EngineBusy(EngineFailed):
    """The engine is well and others came first until the time was over."""


class EngineSwitched(EngineFailed):
    """Another network was put in force meanwhile: whoever asks again is answered over that."""


class NoWay(Exception):
    """The engine answered: somewhere along these stops there is no way."""


@dataclass(frozen=True, slots=True)
class Info:
    """What an engine rides on; `dataset` is another one whenever its answers may differ.

    `data_date` is what the data says of its age, empty where it says nothing; `bounds` are west, south, east, north in
    degrees where known.
    """

    engine: str
    profile: str
    dataset: str
    data_date: str = ""
    bounds: tuple[float, float, float, float] | None = None
    attribution: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """An engine's own matrix: seconds and metres (sources, targets), not a number where there is no way.

    A point is put on the nearest street; the gaps say how many metres away that is.
    """

    seconds: NDArray[np.float64]
    metres: NDArray[np.float64]
    source_gaps: NDArray[np.float64]
    target_gaps: NDArray[np.float64]
    dataset: str = ""


@dataclass(frozen=True, slots=True)
class Ride:
    """An engine's own ride from one stop to the next, with its line on the street and both ends' gaps in metres."""

    seconds: float
    metres: float
    line: tuple[Point, ...]
    start_gap: float
    end_gap: float


class Engine(Protocol):
    """An engine over a street network. Every method may raise EngineFailed, and takes at most about `seconds`."""

    largest_table: int
    """How many sources, and how many targets, one table may have."""
    largest_route: int
    """How many stops one route may have."""

    def info(self) -> Info | None:
        """Return what it rides on now; None while it has no streets."""

    def table(self, sources: Degrees, targets: Degrees, *, seconds: float) -> Table:
        """Return the matrix of at most `largest_table` sources and targets."""

    def route(self, stops: Degrees, *, seconds: float) -> list[Ride]:
        """Return the ride from each stop to the next. Raises NoWay."""

    def snap(self, point: Point, *, seconds: float) -> tuple[Point, float]:
        """Return the nearest point on a street and how many metres away it is. Raises NoWay where none is near."""

    def stop(self) -> None:
        """Let go of what it holds."""


def read_osrm_table(answer: Mapping[str, Any], shape: tuple[int, int], dataset: str = "") -> Table:
    """Return OSRM's table, from its HTTP service or its library alike. Raises EngineFailed."""
    try:
        table = Table(
            seconds=np.array([list(row) for row in answer["durations"]], dtype=np.float64),
            metres=np.array([list(row) for row in answer["distances"]], dtype=np.float64),
            source_gaps=np.array([point["distance"] for point in answer["sources"]], dtype=np.float64),
            target_gaps=np.array([point["distance"] for point in answer["destinations"]], dtype=np.float64),
            dataset=dataset,
        )
    except (LookupError, TypeError, ValueError) as error:
        raise EngineFailed(f"no table in the answer: {error!r}") from error
    return checked(table, shape)


def checked(table: Table, shape: tuple[int, int]) -> Table:
    """Return the table when it has this shape. Raises EngineFailed."""
    found = (table.seconds.shape, table.metres.shape, (len(table.source_gaps), len(table.target_gaps)))
    if found != (shape, shape, shape):
        raise EngineFailed(f"a table of {found} instead of {shape}")
    return table


def decoded(polyline: str) -> list[Point]:
    """Return the points of an encoded polyline with six decimals.

    Source: Encoded Polyline Algorithm Format, Google; five bits a character, differences with the sign in the last bit.
    Raises ValueError.
    """
    if not isinstance(polyline, str):  # a server's answer may be anything
        raise ValueError("no polyline, but something else")  # noqa: TRY004 - whoever reads answers expects this one
    chunks = np.frombuffer(polyline.encode(), dtype=np.uint8).astype(np.int64) - 63
    ends = np.flatnonzero(chunks < 32)
    starts = np.concatenate([[0], ends[:-1] + 1]).astype(np.int64)
    if ((chunks < 0) | (chunks > 63)).any() or (chunks.size and chunks[-1] >= 32) or len(ends) % 2:
        raise ValueError("no polyline, or one cut short")
    if not ends.size:
        return []
    places = np.arange(chunks.size) - np.repeat(starts, ends - starts + 1)
    if places.max() > _LONGEST_NUMBER:
        raise ValueError("no polyline: a number of too many characters")
    values = np.add.reduceat((chunks & 31) << (5 * places), starts)
    numbers = np.where(values & 1, ~(values >> 1), values >> 1)
    latitudes, longitudes = np.cumsum(numbers[0::2]) / 1e6, np.cumsum(numbers[1::2]) / 1e6
    return list(zip(longitudes.tolist(), latitudes.tolist(), strict=True))


def joined(lines: Sequence[Sequence[Point]]) -> tuple[Point, ...]:
    """Return one line through all of them in order, no point twice in a row."""
    points = [point for line in lines for point in line]
    return tuple(point for point, before in zip(points, [None, *points], strict=False) if point != before)


def thinned(line: Sequence[Point]) -> tuple[Point, ...]:
    """Return the line without points that lie within a metre of the straight line between their neighbours.

    Every second one at most goes at a time, until none does: what is drawn stays within a few metres of the street.
    """
    degrees = np.array(line, dtype=np.float64).reshape(-1, 2)
    places = degrees * _METRES_PER_DEGREE
    places[:, 0] *= np.cos(np.radians(degrees[:, 1]))
    kept, parity = np.arange(len(line)), 0
    for _ in range(_THINNINGS):
        before, here, after = places[kept[:-2]], places[kept[1:-1]], places[kept[2:]]
        along = after - before
        length = np.maximum((along**2).sum(axis=1), 1e-9)
        share = np.clip(((here - before) * along).sum(axis=1) / length, 0, 1)
        beside = ((here - before - share[:, None] * along) ** 2).sum(axis=1)
        goes = (beside < 1) & (np.arange(len(here)) % 2 == parity)
        kept = np.delete(kept, np.flatnonzero(goes) + 1)
        parity = 1 - parity
    return tuple(line[number] for number in kept.tolist())
