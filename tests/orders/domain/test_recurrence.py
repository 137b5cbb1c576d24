from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.kit.errors import DomainError
from services.orders.domain.errors import BadPause, HasEnded, NotPaused
from services.orders.domain.recurrence import HolidayPolicy, Occurrence, Pause, Recurrence, Verdict, check
from services.orders.domain.working_day import why_closed
from tests.orders.builders import a_recurrence, codes

YEAR = (date(2026, 1, 1), date(2026, 12, 31))


def faults_of(recurrence: Recurrence) -> list[tuple[str, str | None]]:
    faults: list[DomainError] = []
    check(recurrence, faults)
    return codes(faults)


def days_of(recurrence: Recurrence, first: date = YEAR[0], last: date = YEAR[1]) -> dict[str, Occurrence]:
    return {found.due_on.isoformat(): found for found in recurrence.occurrences(first, last)}


def daily(policy: HolidayPolicy, **changes: Any) -> Recurrence:
    return a_recurrence("FREQ=DAILY", start_on=date(2026, 1, 1), holidays=policy, **changes)


def test_a_kept_holiday_stays() -> None:
    assert days_of(daily(HolidayPolicy.KEEP))["2026-12-25"].verdict is Verdict.KEPT


def test_a_skipped_holiday_says_its_name() -> None:
    christmas = days_of(daily(HolidayPolicy.SKIP))["2026-12-25"]
    assert (christmas.verdict, christmas.day, christmas.cause) == (Verdict.SKIPPED, None, "Noël")


def test_a_holiday_moves_to_the_next_or_previous_working_day() -> None:
    fridays = a_recurrence("FREQ=WEEKLY;BYDAY=FR", start_on=date(2026, 1, 1), holidays=HolidayPolicy.NEXT)
    moved = days_of(fridays)["2026-12-25"]
    assert (moved.verdict, moved.day, moved.cause) == (Verdict.MOVED, date(2026, 12, 28), "Noël")
    earlier = a_recurrence("FREQ=WEEKLY;BYDAY=FR", start_on=date(2026, 1, 1), holidays=HolidayPolicy.PREVIOUS)
    assert days_of(earlier)["2026-12-25"].day == date(2026, 12, 24)


def test_nothing_moves_onto_a_date_of_its_own() -> None:
    christmas = days_of(daily(HolidayPolicy.NEXT))["2026-12-25"]
    assert christmas.verdict is Verdict.SKIPPED
    assert "autre échéance" in christmas.cause


def test_of_two_holidays_that_move_to_one_day_the_first_does() -> None:
    both = a_recurrence(
        "FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=25,26",
        start_on=date(2026, 1, 1),
        holidays=HolidayPolicy.NEXT,
        alsace_moselle=True,
    )
    found = days_of(both)
    assert found["2026-12-25"].day == date(2026, 12, 28)
    assert found["2026-12-26"].verdict is Verdict.SKIPPED


def test_alsace_moselle_has_two_days_more() -> None:
    assert days_of(daily(HolidayPolicy.SKIP, alsace_moselle=True))["2026-04-03"].cause == "Vendredi saint"
    assert days_of(daily(HolidayPolicy.SKIP))["2026-04-03"].verdict is Verdict.KEPT


def test_closed_days_of_the_department_count_as_holidays() -> None:
    closed = daily(HolidayPolicy.SKIP, closed_days=(date(2026, 3, 10),))
    assert days_of(closed)["2026-03-10"].cause == "jour de fermeture"


def test_exceptions_are_left_out_and_extra_dates_are_kept_even_on_holidays() -> None:
    bent = a_recurrence(
        start_on=date(2026, 12, 1),
        exception_dates=(date(2026, 12, 4),),
        extra_dates=(date(2026, 12, 25), date(2026, 12, 5)),
    )
    found = days_of(bent)
    assert found["2026-12-04"].cause == "exception"
    assert found["2026-12-05"].verdict is Verdict.KEPT
    assert found["2026-12-25"].verdict is Verdict.KEPT


def test_a_pause_skips_the_days_in_it_and_resuming_brings_the_rest_back() -> None:
    paused = a_recurrence().paused(Pause(date(2026, 12, 1)))
    assert days_of(paused)["2026-12-01"].cause == "suspension"
    resumed = paused.resumed(date(2026, 12, 10))
    found = days_of(resumed)
    assert found["2026-12-08"].verdict is Verdict.SKIPPED
    assert found["2026-12-11"].verdict is Verdict.KEPT
    assert a_recurrence().paused(Pause(date(2026, 12, 1))).resumed(date(2026, 11, 30)).pauses == ()


def test_pauses_do_not_overlap_and_only_a_pause_can_be_lifted() -> None:
    paused = a_recurrence().paused(Pause(date(2026, 12, 1), date(2026, 12, 10)))
    with pytest.raises(BadPause):
        paused.paused(Pause(date(2026, 12, 10)))
    with pytest.raises(BadPause):
        paused.paused(Pause(date(2026, 12, 20), date(2026, 12, 19)))
    with pytest.raises(NotPaused):
        paused.resumed(date(2026, 12, 11))
    assert len(paused.paused(Pause(date(2026, 12, 11), date(2026, 12, 12))).pauses) == 2


def test_after_its_end_nothing_falls_due_and_it_cannot_end_later() -> None:
    ended = a_recurrence().ended(date(2026, 12, 1))
    assert days_of(ended)["2026-12-04"].cause == "après la fin de la demande"
    with pytest.raises(HasEnded):
        ended.ended(date(2026, 12, 2))
    with pytest.raises(HasEnded):
        ended.paused(Pause(date(2026, 12, 2)))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"zone": "Europe/Nantes"}, ("unknown-zone", "/zone")),
        ({"start_on": date(1999, 1, 1)}, ("out-of-bounds", "/start_on")),
        ({"rule": "FREQ=WEEKLY;BYHOUR=3"}, ("unsupported-rule-part", "/rule")),
        ({"rule": "FREQ=DAILY;UNTIL=20200101"}, ("rule-never-happens", "/rule")),
        ({"exception_dates": (date(2026, 11, 25),)}, ("not-an-occurrence", "/exception_dates/0")),
        ({"extra_dates": (date(2026, 11, 1),)}, ("out-of-bounds", "/extra_dates/0")),
        ({"extra_dates": (date(2027, 1, 2), date(2027, 1, 2))}, ("without-effect", "/extra_dates/1")),
        ({"holidays": HolidayPolicy.KEEP, "alsace_moselle": True}, ("without-effect", "/alsace_moselle")),
        ({"holidays": HolidayPolicy.KEEP, "closed_days": (date(2026, 12, 1),)}, ("without-effect", "/closed_days")),
    ],
)
def test_what_cannot_be_right_is_refused(changes: dict[str, Any], expected: tuple[str, str]) -> None:
    assert faults_of(a_recurrence(**changes)) == [expected]


def test_a_sound_recurrence_has_no_fault() -> None:
    assert faults_of(a_recurrence(exception_dates=(date(2026, 11, 27),))) == []


_rules = st.sampled_from(
    ["FREQ=DAILY", "FREQ=WEEKLY;BYDAY=MO,FR", "FREQ=DAILY;INTERVAL=3", "FREQ=MONTHLY;BYDAY=1MO",
     "FREQ=MONTHLY;BYMONTHDAY=1,-1",     "FREQ=WEEKLY;INTERVAL=2;BYDAY=TH", "FREQ=DAILY;COUNT=90"]
)  # fmt: skip
_days = st.dates(date(2026, 1, 1), date(2027, 6, 30))
_recurrences = st.builds(
    Recurrence,
    start_on=st.dates(date(2026, 1, 1), date(2026, 6, 1)),
    zone=st.just("Europe/Paris"),
    rule=_rules,
    holidays=st.sampled_from(HolidayPolicy),
    alsace_moselle=st.booleans(),
    closed_days=st.lists(_days, max_size=8, unique=True).map(tuple),
    exception_dates=st.lists(_days, max_size=4, unique=True).map(tuple),
    extra_dates=st.lists(_days, max_size=4, unique=True).map(tuple),
    pauses=st.lists(_days, max_size=1).map(lambda days: tuple(Pause(day, day + timedelta(days=20)) for day in days)),
    ends_on=st.none() | _days,
)


@settings(max_examples=100, deadline=None)
@given(_recurrences, _days, st.integers(1, 9))
def test_any_split_of_a_span_gives_the_same_occurrences(recurrence: Recurrence, first: date, step: int) -> None:
    last = first + timedelta(days=119)
    pieces: list[Occurrence] = []
    for offset in range(0, 120, step):
        start = first + timedelta(days=offset)
        pieces.extend(recurrence.occurrences(start, min(last, start + timedelta(days=step - 1))))
    assert tuple(pieces) == recurrence.occurrences(first, last)


@settings(max_examples=60, deadline=None)
@given(_recurrences)
def test_no_day_is_served_twice_and_moved_ones_land_on_working_days(recurrence: Recurrence) -> None:
    found = recurrence.occurrences(date(2026, 1, 1), date(2027, 6, 30))
    done = [occurrence.day for occurrence in found if occurrence.day is not None]
    assert len(done) == len(set(done))
    for occurrence in found:
        if occurrence.verdict is Verdict.MOVED:
            assert occurrence.day is not None
            assert occurrence.day.weekday() < 5
            closed = why_closed(occurrence.day, recurrence.closed_days, alsace_moselle=recurrence.alsace_moselle)
            assert closed is None
            assert occurrence.cause
        if occurrence.verdict is Verdict.KEPT:
            assert occurrence.day == occurrence.due_on
        assert (occurrence.day is None) == (occurrence.verdict is Verdict.SKIPPED)
