from datetime import date, time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kit.errors import Refusals
from services.orders.domain.errors import OutOfBounds, UnknownSite
from services.orders.domain.load import AskedLoad
from services.orders.domain.order import Status
from services.orders.pages.form import Form
from services.orders.pages.orders import place_of
from services.orders.pages.words import STATUSES


def test_values_are_read_as_people_type_them() -> None:
    form = Form(
        {
            "day": "24/12/2026",
            "iso": "2026-12-24",
            "clock": "08:30",
            "north": "47,2184",
            "days": "24/12/2026\n2026-12-31, ",
        }
    )
    assert form.day("day") == form.day("iso") == date(2026, 12, 24)
    assert form.clock("clock") == time(8, 30)
    assert form.degrees("north") == 47.2184
    assert form.days("days") == (date(2026, 12, 24), date(2026, 12, 31))
    assert form.faults == {}


def test_what_cannot_be_read_is_told_at_its_field() -> None:
    form = Form({"day": "31/02/2026", "clock": "25:00", "north": "nord", "count": "-1"})
    assert (form.day("day"), form.clock("clock"), form.degrees("north"), form.whole("count", 1, 9)) == (None,) * 4
    assert form.day("absent") is None
    assert set(form.faults) == {"day", "clock", "north", "count", "absent"}


def test_only_from_an_evening_to_a_morning_may_a_window_end_on_the_next_day() -> None:
    night = Form({"pickup_start": "22:00", "pickup_end": "02:00"})
    assert night.window("pickup") is not None
    slip = Form({"pickup_start": "09:00", "pickup_end": "07:00"})
    assert slip.window("pickup") is None
    assert list(slip.faults) == ["pickup_end"]


def test_empty_rows_of_loads_are_none_but_one_is_needed() -> None:
    form = Form({"load_kind_1": "", "load_kind_2": "panneau", "load_count_2": "3"})
    assert form.loads() == (AskedLoad("panneau", 3),)
    empty = Form({})
    assert empty.loads() == ()
    assert list(empty.faults) == ["load_kind_1"]


def test_refusals_go_to_their_fields_once_and_not_where_nothing_could_be_read() -> None:
    form = Form({})
    form.fault("from_site", "Choisissez le site d'enlèvement.")
    too_much = OutOfBounds("Trop.", pointer="/legs/0/loads")
    again = OutOfBounds("Trop.", pointer="/legs/1/loads")
    form.refused(Refusals([UnknownSite("", pointer="/legs/0/pickup/site_id"), too_much, again]), place_of)
    assert form.faults == {"from_site": ["Choisissez le site d'enlèvement."], "load_kind_1": ["Trop."]}


@pytest.mark.parametrize(
    ("pointer", "field"),
    [
        ("/legs/0/drop/site_id", "to_site"),
        ("/legs/1/pickup/site_id", "return_site"),
        ("/legs/0/pickup/window/end", "pickup_start"),
        ("/legs/1/drop/window", "return_drop_start"),
        ("/legs/0/loads/2/kind", "load_kind_3"),
        ("/legs", "flow"),
        ("/client_reference", "client_reference"),
        ("/rule", "rule"),
        ("/exception_dates/0", "exception_dates"),
        ("", "flow"),
    ],
)
def test_every_pointer_finds_its_field(pointer: str, field: str) -> None:
    assert place_of(pointer) == field


@given(st.text(max_size=12))
def test_no_text_breaks_the_reading_of_a_form(text: str) -> None:
    form = Form({"x": text, "load_kind_1": text, "load_count_1": text})
    form.day("x")
    form.clock("x")
    form.degrees("x")
    form.whole("x", 0, 10)
    form.days("x")
    form.loads()


def test_every_status_has_a_sign_of_its_own() -> None:
    assert set(STATUSES) == set(Status)
    assert len({badge.sign for badge in STATUSES.values()}) == len(STATUSES)
    assert STATUSES[Status.DELIVERED].masculine == "livré"
