from dataclasses import replace

import pytest

from services.dispatch.domain.courier import Bike, BikeTerms, Point, Shift, ShiftTerms
from services.dispatch.domain.errors import OutOfBounds
from services.dispatch.domain.limits import SharedEquipment, SiteLimit, check_equipment, together
from services.kit.errors import Refusals
from tests.dispatch.builders import TODAY, at

TRAILERS = SharedEquipment("erdre", "trailer", 2)


def a_shift(name: str, start: int, end: int) -> Shift:
    depot = Point(47.2, -1.55)
    return Shift(name, "erdre", ShiftTerms(name, name, TODAY, at(start), at(end), depot, depot))


def test_shifts_are_together_that_are_worked_at_one_moment() -> None:
    early, long, late = a_shift("early", 7, 10), a_shift("long", 8, 13), a_shift("late", 10, 14)
    # The early one is back when the late one leaves.
    assert together([early, long, late]) == [frozenset({"early", "long"}), frozenset({"late", "long"})]
    assert together([]) == []


def test_equipment_is_used_by_a_bike_that_is_registered_with_it() -> None:
    shift = a_shift("early", 7, 10)
    bike = Bike("bike", "erdre", BikeTerms("Cargo", 1, 1, skills=("caisson froid",)))
    assert not TRAILERS.is_used_by(shift, bike)
    assert TRAILERS.is_used_by(shift, replace(bike, terms=replace(bike.terms, has_trailer=True)))
    assert SharedEquipment("erdre", "caisson froid", 1).is_used_by(shift, bike)
    assert not SharedEquipment("loire", "caisson froid", 1).is_used_by(shift, bike)


@pytest.mark.parametrize(
    ("shared", "pointer"),
    [
        ([replace(TRAILERS, at_most=-1)], "/equipment/0/at_most"),
        ([TRAILERS, replace(TRAILERS, at_most=1)], "/equipment/1"),
        ([replace(TRAILERS, equipment="")], "/equipment/0/equipment"),
        ([replace(TRAILERS, equipment="x" * 41)], "/equipment/0/equipment"),
        ([replace(TRAILERS, equipment=str(number)) for number in range(21)], "/equipment"),
    ],
)
def test_what_cannot_be_shared_is_refused(shared: list[SharedEquipment], pointer: str) -> None:
    with pytest.raises(OutOfBounds) as refusal:
        check_equipment(shared)
    assert refusal.value.pointer == pointer


def test_all_faults_are_told_together() -> None:
    check_equipment([TRAILERS, replace(TRAILERS, equipment="caisson froid", at_most=0)])
    with pytest.raises(Refusals):
        check_equipment([replace(TRAILERS, equipment="", at_most=-1)])


def test_a_site_with_room_for_none_is_closed() -> None:
    SiteLimit("site", "Base", 1).check()
    with pytest.raises(OutOfBounds):
        SiteLimit("site", "Base", 0).check()
