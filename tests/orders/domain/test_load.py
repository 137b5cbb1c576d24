from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kit.errors import DomainError, Refusals
from services.orders.domain.errors import OutOfBounds
from services.orders.domain.load import DEFAULT_KINDS, AskedLoad, load_kind, weigh
from tests.orders.builders import CATALOGUE, codes


def weighed(*asked: AskedLoad) -> tuple[int, int, bool, list[tuple[str, str | None]]]:
    faults: list[DomainError] = []
    loads, needs_trailer = weigh(asked, CATALOGUE, pointer="/loads", faults=faults)
    return sum(load.grams for load in loads), sum(load.millilitres for load in loads), needs_trailer, codes(faults)


def test_weight_volume_and_trailer_come_from_the_catalogue() -> None:
    assert weighed(AskedLoad("ballot-linge", 3), AskedLoad("caisse-outils", 1)) == (42_000, 180_000, False, [])
    assert weighed(AskedLoad("outil-long", 1))[2] is True


def test_kinds_share_a_bike_in_proportion() -> None:
    half_and_half = AskedLoad("ballot-linge", 5), AskedLoad("caisse-outils", 2)
    assert weighed(*half_and_half)[3] == []
    assert weighed(*half_and_half, AskedLoad("panneau", 1))[3] == [("too-much-for-one-bike", "/loads")]


def test_a_kind_listed_twice_is_refused() -> None:
    assert weighed(AskedLoad("panneau", 1), AskedLoad("panneau", 1))[3] == [("repeated-load-kind", "/loads/1/kind")]


@given(st.sampled_from(DEFAULT_KINDS), st.integers(1, 1_000))
def test_up_to_its_maximum_each_kind_fits_and_beyond_it_never(kind: object, count: int) -> None:
    known = next(each for each in DEFAULT_KINDS if each is kind)
    assert (weighed(AskedLoad(known.code, count))[3] == []) == (count <= known.max_per_bike)


@pytest.mark.parametrize("changes", [{"unit_grams": 0}, {"unit_grams": 200_000}, {"unit_millilitres": 0}])
def test_a_kind_that_no_bike_carries_is_refused(changes: dict[str, int]) -> None:
    figures = {"unit_grams": 1_000, "unit_millilitres": 1_000, **changes}
    with pytest.raises(OutOfBounds):
        load_kind(code="x", label="x", needs_trailer=False, max_per_bike=1, **figures)


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"unit_seconds": -1}, "/unit_seconds"),
        ({"unit_seconds": 601}, "/unit_seconds"),
        ({"longest_ride_seconds": 599}, "/longest_ride_seconds"),
        ({"longest_ride_seconds": 86_401}, "/longest_ride_seconds"),
    ],
)
def test_times_that_cannot_be_meant_are_refused(changes: dict[str, int], pointer: str) -> None:
    usual: dict[str, Any] = {"code": "x", "label": "x", "needs_trailer": False, "max_per_bike": 1}
    usual |= {"unit_grams": 1_000, "unit_millilitres": 1_000, "unit_seconds": 600, "longest_ride_seconds": 600}
    load_kind(**usual)
    with pytest.raises(OutOfBounds) as refusal:
        load_kind(**usual | changes)
    assert refusal.value.pointer == pointer


def test_all_faults_of_a_kind_are_told_together() -> None:
    with pytest.raises(Refusals) as refusal:
        load_kind(
            code="x",
            label="x",
            unit_grams=0,
            unit_millilitres=0,
            needs_trailer=False,
            max_per_bike=1,
            unit_seconds=-1,
            longest_ride_seconds=0,
        )
    assert len(refusal.value.errors) == 4


def test_a_load_knows_the_times_of_its_kind() -> None:
    meals = replace(CATALOGUE["panneau"], unit_seconds=20, longest_ride_seconds=2_700)
    (load,), _ = weigh([AskedLoad("panneau", 2)], {"panneau": meals}, pointer="", faults=[])
    assert (load.unit_seconds, load.longest_ride_seconds) == (20, 2_700)
