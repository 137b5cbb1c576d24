"""Estimated rides: whole, never missing, never faster than a bike, as calibrated."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.dispatch.travel import Point, PointOffTheMap, line, matrix
from services.kit.errors import Refusals

HOTEL_DE_VILLE, TALENSAC, BEAUJOIRE = (-1.55360, 47.21810), (-1.55840, 47.22110), (-1.52780, 47.25560)

points = st.lists(st.tuples(st.floats(-180, 180), st.floats(-90, 90)), max_size=6)
metres_per_degree_of_latitude = 111_195.08


def straight(source: Point, target: Point) -> float:
    """Great-circle metres by another formula: the angle between two unit vectors."""

    def vector(point: Point) -> np.ndarray:
        longitude, latitude = np.radians(point)
        return np.array([np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude)])

    one, other = vector(source), vector(target)
    return 6_371_008.8 * float(np.arctan2(np.linalg.norm(np.cross(one, other)), one @ other))


@given(points, points)
def test_every_cell_is_whole_there_and_no_faster_than_25_km_an_hour(sources: list[Point], targets: list[Point]) -> None:
    travel = matrix(sources, targets)
    shape = (len(sources), len(targets))
    assert travel.seconds.shape == travel.metres.shape == travel.estimated.shape == shape
    assert travel.seconds.dtype == travel.metres.dtype == np.int64
    assert travel.estimated.all()
    for row, source in enumerate(sources):
        for column, target in enumerate(targets):
            distance = straight(source, target)
            assert travel.seconds[row, column] >= distance / (25 / 3.6) - 1e-6
            assert travel.metres[row, column] >= distance - 1e-6


@given(points)
def test_without_targets_the_sources_ride_among_themselves(sources: list[Point]) -> None:
    travel, same = matrix(sources), matrix(sources, sources)
    assert (travel.seconds == same.seconds).all()
    assert (np.diagonal(travel.seconds) == 0).all()
    assert (np.diagonal(travel.metres) == 0).all()


@pytest.mark.parametrize(("crow_metres", "metres"), [(100, 198), (400, 702), (1_000, 1_522), (5_000, 6_350)])
def test_the_calibrated_formula(crow_metres: float, metres: int) -> None:
    travel = matrix([(0.0, 0.0)], [(0.0, crow_metres / metres_per_degree_of_latitude)])
    assert travel.metres[0, 0] == pytest.approx(metres, abs=1)
    assert travel.seconds[0, 0] == pytest.approx(metres / 13.5 * 3.6, abs=1)


def test_rides_in_nantes_are_believable() -> None:
    travel = matrix([HOTEL_DE_VILLE, TALENSAC, BEAUJOIRE])
    assert 600 < travel.metres[0, 1] < 1_200
    assert 5_000 < travel.metres[0, 2] < 7_000
    assert 20 * 60 < travel.seconds[0, 2] < 32 * 60


def test_points_that_are_none_are_all_named() -> None:
    with pytest.raises(Refusals) as refused:
        matrix([HOTEL_DE_VILLE, (200.0, 0.0), (float("nan"), 0.0)])
    assert [type(error) for error in refused.value.errors] == [PointOffTheMap, PointOffTheMap]
    with pytest.raises(PointOffTheMap, match="Corrigez la position"):
        line([(0.0, 90.5)])


def test_the_line_goes_straight_through_the_points() -> None:
    assert line([HOTEL_DE_VILLE, TALENSAC, BEAUJOIRE]) == [HOTEL_DE_VILLE, TALENSAC, BEAUJOIRE]
