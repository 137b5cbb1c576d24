from dataclasses import replace
from datetime import timedelta

import pytest

from services.dispatch.domain.courier import (
    Bike,
    BikeTerms,
    Break,
    Cooperative,
    Courier,
    CourierTerms,
    Point,
    Share,
    Shift,
    ShiftTerms,
    agree,
    as_skills,
    check_shares,
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
        ({"breaks": (Break(at(10), at(11), 0),)}, "/breaks/0/length_seconds"),
        ({"breaks": (Break(at(10), at(11), 4 * 3600 + 1),)}, "/breaks/0/length_seconds"),
        ({"breaks": (Break(at(11), at(10), 600),)}, "/breaks/0/window_end"),
        ({"breaks": (Break(at(6), at(8), 600),)}, "/breaks/0/window_start"),
        ({"breaks": (Break(at(12), at(13), 600),)}, "/breaks/0/window_start"),
        ({"breaks": (Break(at(10), at(10), 1800), Break(at(10), at(10, 29), 600))}, "/breaks/1/window_start"),
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
        ({"capacity_pieces": 0}, "/capacity_pieces"),
        ({"speed_percent": 24}, "/speed_percent"),
        ({"range_metres": 0}, "/range_metres"),
        ({"skills": ("x" * 41,)}, "/skills"),
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
        shift_print(SHIFT, AMEL, replace(CARGO, terms=replace(CARGO.terms, capacity_pieces=10))),
        shift_print(SHIFT, AMEL, replace(CARGO, terms=replace(CARGO.terms, speed_percent=110))),
        shift_print(SHIFT, AMEL, replace(CARGO, terms=replace(CARGO.terms, range_metres=10))),
        shift_print(SHIFT, AMEL, replace(CARGO, terms=replace(CARGO.terms, skills=("froid",)))),
        shift_print(SHIFT, replace(AMEL, terms=replace(AMEL.terms, skills=("clés",))), CARGO),
        shift_print(replace(SHIFT, terms=replace(SHIFT.terms, breaks=(Break(at(10), at(11), 1800),))), AMEL, CARGO),
    }
    assert len(prints) == 11
    assert shift_print(SHIFT, replace(AMEL, terms=CourierTerms("Amel B.")), CARGO) in prints


def test_skills_are_compared_in_small_letters_each_once() -> None:
    assert as_skills(["Froid", " clés  du musée", "froid", ""]) == ("clés du musée", "froid")


def test_two_breaks_that_leave_room_for_each_other_are_agreed() -> None:
    breaks = (Break(at(10), at(10, 30), 1800), Break(at(10), at(11), 600))
    replace(SHIFT.terms, breaks=breaks).check()


@pytest.mark.parametrize(
    "shares",
    [
        [Share("erdre", 600, 500)],
        [Share("erdre", 0, 1001)],
        [Share("erdre", 600), Share("loire", 401)],
        [Share("erdre", 0, 500), Share("loire", 0, 499)],
        [Share("erdre"), Share("erdre")],
    ],
)
def test_shares_that_cannot_all_be_kept_are_refused(shares: list[Share]) -> None:
    with pytest.raises((OutOfBounds, Refusals)):
        check_shares(shares, ["erdre", "loire"])


def test_a_holder_without_a_share_takes_what_the_others_may_not() -> None:
    check_shares([Share("erdre", 0, 300)], ["erdre", "loire"])
