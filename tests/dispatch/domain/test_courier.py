from dataclasses import replace
from datetime import timedelta

import pytest

from services.dispatch.domain.courier import (
    Bike,
    BikeTerms,
    Cooperative,
    Courier,
    CourierTerms,
    Point,
    Shift,
    ShiftTerms,
    agree,
    shift_print,
)
from services.dispatch.domain.errors import OutOfBounds, OutOfService, ShiftOverlaps
from services.kit.errors import Refusals
from tests.dispatch.builders import TODAY, at

DEPOT = Point(47.218, -1.554, "Dépôt")
AMEL = Courier("amel", "erdre", CourierTerms("Amel"))
CARGO = Bike("cargo", "erdre", BikeTerms("Cargo", 160_000, 900_000))
SHIFT = Shift("shift", "erdre", ShiftTerms("amel", "cargo", TODAY, at(7), at(13), DEPOT, DEPOT))


def test_a_shift_is_agreed() -> None:
    assert agree(SHIFT, AMEL, CARGO, []) is SHIFT


def test_a_courier_and_a_bike_ride_one_shift_at_a_time() -> None:
    other = replace(SHIFT, id="other", terms=replace(SHIFT.terms, starts_at=at(12), ends_at=at(15)))
    with pytest.raises(Refusals) as refusal:
        agree(SHIFT, AMEL, CARGO, [other])
    assert [(type(error), error.pointer) for error in refusal.value.errors] == [
        (ShiftOverlaps, "/courier_id"),
        (ShiftOverlaps, "/bike_id"),
    ]


def test_one_shift_may_begin_when_another_ends() -> None:
    other = replace(SHIFT, id="other", terms=replace(SHIFT.terms, starts_at=at(13), ends_at=at(15)))
    assert agree(SHIFT, AMEL, CARGO, [other]) is SHIFT


def test_a_shift_does_not_overlap_with_what_it_was_before() -> None:
    longer = replace(SHIFT, terms=replace(SHIFT.terms, ends_at=at(14)))
    assert agree(longer, AMEL, CARGO, [SHIFT]) is longer


def test_who_left_and_what_broke_get_no_shift() -> None:
    gone = replace(AMEL, terms=replace(AMEL.terms, is_active=False))
    broken = replace(CARGO, terms=replace(CARGO.terms, is_active=False))
    with pytest.raises(Refusals) as refusal:
        agree(SHIFT, gone, broken, [])
    assert [type(error) for error in refusal.value.errors] == [OutOfService, OutOfService]


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"ends_at": at(7)}, "/ends_at"),
        ({"ends_at": at(7) + timedelta(hours=14, seconds=1)}, "/ends_at"),
        ({"start": Point(-1.554, 2.0)}, "/start/latitude"),
        ({"end": Point(47.218, 47.218)}, "/end/longitude"),
    ],
)
def test_a_shift_that_cannot_be_right_is_refused(changes: dict[str, object], pointer: str) -> None:
    with pytest.raises(OutOfBounds) as refusal:
        replace(SHIFT.terms, **changes).check()  # type: ignore[arg-type]
    assert refusal.value.pointer == pointer


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"name": " "}, "/name"),
        ({"capacity_grams": 0}, "/capacity_grams"),
        ({"capacity_grams": 500_001}, "/capacity_grams"),
        ({"capacity_millilitres": 0}, "/capacity_millilitres"),
        ({"capacity_millilitres": 3_000_001}, "/capacity_millilitres"),
    ],
)
def test_a_bike_that_cannot_be_right_is_refused(changes: dict[str, object], pointer: str) -> None:
    with pytest.raises(OutOfBounds) as refusal:
        replace(CARGO.terms, **changes).check()  # type: ignore[arg-type]
    assert refusal.value.pointer == pointer


def test_names_are_needed() -> None:
    with pytest.raises(OutOfBounds):
        CourierTerms(" ").check()
    with pytest.raises(OutOfBounds):
        Cooperative("erdre", "Erdre").renamed("")


def test_a_print_changes_with_everything_a_plan_depends_on() -> None:
    prints = {
        shift_print(SHIFT, AMEL, CARGO),
        shift_print(replace(SHIFT, terms=replace(SHIFT.terms, ends_at=at(14))), AMEL, CARGO),
        shift_print(replace(SHIFT, terms=replace(SHIFT.terms, end=Point(47.2, -1.5))), AMEL, CARGO),
        shift_print(SHIFT, replace(AMEL, id="bastien"), CARGO),
        shift_print(SHIFT, AMEL, replace(CARGO, terms=replace(CARGO.terms, has_trailer=True))),
    }
    assert len(prints) == 5
    assert shift_print(SHIFT, replace(AMEL, terms=CourierTerms("Amel B.")), CARGO) in prints
