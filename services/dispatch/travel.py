"""How long a ride takes: seconds and metres between points, from calibrated straight lines."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.kit.errors import DomainError

Point = tuple[float, float]
"""Longitude and latitude in WGS 84 degrees."""


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

    Raises PointOffTheMap.
    """
    raise NotImplementedError


def line(points: Sequence[Point]) -> list[Point]:
    """Return the line to draw for a ride through these points: straight from one to the next."""
    raise NotImplementedError
