"""What a ride takes as the crow flies: calibrated, always there, and flagged as the estimate it is."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.kit.errors import DomainError, refuse_all

Point = tuple[float, float]
"""Longitude and latitude in WGS 84 degrees."""

Degrees = NDArray[np.float64]
"""Points as an array, (n, 2): longitude and latitude."""

EARTH_RADIUS_METRES = 6_371_008.8
RIDING_METRES_PER_SECOND = 13.5 / 3.6
FASTEST_METRES_PER_SECOND = 25 / 3.6
"""No cargo bike covers the straight distance faster, whatever an engine says: assistance ends at 25 km/h."""
DETOUR = 1.2
SHORT_DETOUR_METRES = 350.0
SHORT_DETOUR_FADES_OVER_METRES = 400.0
"""Streets are straight over kilometres and crooked over blocks: the second term is what short rides add."""


class PointOffTheMap(DomainError):
    """A position is no longitude and latitude in degrees."""

    code = "point-off-the-map"
    title = "Position impossible"


@dataclass(frozen=True, slots=True, eq=False)
class Travel:
    """Ride times and distances, whole, (sources, targets); `estimated` marks cells that no street network backs."""

    seconds: NDArray[np.int64]
    metres: NDArray[np.int64]
    estimated: NDArray[np.bool_]


def matrix(sources: Sequence[Point], targets: Sequence[Point] | None = None) -> Travel:
    """Return seconds and metres of each ride from a source to a target (None: the sources themselves).

    Straight-line distance d becomes 1.2 d + 350 (1 - exp(-d / 400)) metres at 13.5 km/h, fitted to two street networks
    and within 10 % of the engines on a third; always estimated, never faster than d at 25 km/h, rounded up.
    Raises PointOffTheMap.
    """
    starts = as_degrees(sources)
    ends = starts if targets is None else as_degrees(targets)
    return estimated(straight_metres(starts[:, None], ends[None, :]), are_apart(starts[:, None], ends[None, :]))


def line(points: Sequence[Point]) -> list[Point]:
    """Return the line to draw for a ride through these points: straight from one to the next. Raises PointOffTheMap."""
    as_degrees(points)
    return list(points)


def estimated(straight: NDArray[np.float64], apart: NDArray[np.bool_]) -> Travel:
    """Return the estimate of rides over these straight metres; between two distinct points it is a second at least."""
    ridden = DETOUR * straight - SHORT_DETOUR_METRES * np.expm1(-straight / SHORT_DETOUR_FADES_OVER_METRES)
    return Travel(
        seconds=np.maximum(_up(ridden / RIDING_METRES_PER_SECOND), apart),
        metres=np.maximum(_up(ridden), apart),
        estimated=np.ones(straight.shape, dtype=np.bool_),
    )


def at_least(
    seconds: NDArray[np.int32], metres: NDArray[np.int32], straight: NDArray[np.float64], apart: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return rides raised to what the straight line takes at 25 km/h; engines ride from the street, not from the door.

    Zero where the points are the same, a second and a metre at least where they are not.
    """
    lower_seconds = np.maximum(_up(straight / FASTEST_METRES_PER_SECOND), apart)
    lower_metres = np.maximum(_up(straight), apart)
    return np.maximum(seconds, lower_seconds) * apart, np.maximum(metres, lower_metres) * apart


def as_degrees(points: Sequence[Point]) -> Degrees:
    """Return the points as an array. Raises PointOffTheMap for every point that is none."""
    refuse_all(
        [
            PointOffTheMap(
                f"Corrigez la position {longitude}, {latitude} : ce n'est pas un point de la Terre en degrés."
            )
            for longitude, latitude in points
            if not (-180 <= longitude <= 180 and -90 <= latitude <= 90)
        ]
    )
    return np.array(points, dtype=np.float64).reshape(-1, 2)


def straight_metres(starts: Degrees, ends: Degrees) -> NDArray[np.float64]:
    """Return great-circle metres between points (..., 2), broadcast against each other, by the haversine formula."""
    starts, ends = np.radians(starts), np.radians(ends)
    across, up = ends[..., 0] - starts[..., 0], ends[..., 1] - starts[..., 1]
    half_chord = np.sin(up / 2) ** 2 + np.cos(starts[..., 1]) * np.cos(ends[..., 1]) * np.sin(across / 2) ** 2
    # Rounding may carry antipodes a hair beyond one, where the arc sine has no answer.
    angle: NDArray[np.float64] = 2 * np.arcsin(np.sqrt(np.minimum(half_chord, 1.0)))
    return EARTH_RADIUS_METRES * angle


def are_apart(starts: Degrees, ends: Degrees) -> NDArray[np.bool_]:
    """Return whether points (..., 2), broadcast against each other, are distinct."""
    apart: NDArray[np.bool_] = (starts != ends).any(axis=-1)
    return apart


def _up(values: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.ceil(values).astype(np.int64)
