from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.orders.domain.window import LocalWindow
from tests.orders.builders import local_window

PARIS = ZoneInfo("Europe/Paris")
SPRING, AUTUMN = date(2026, 3, 29), date(2026, 10, 25)
ZONES = st.sampled_from(["Europe/Paris", "Indian/Reunion", "America/Martinique", "Australia/Lord_Howe"]).map(ZoneInfo)


def clock(instant: datetime, zone: ZoneInfo = PARIS) -> str:
    return f"{instant.astimezone(zone):%d %H:%M}"


def test_wall_clock_time_is_kept_across_the_clock_change() -> None:
    window = local_window("08:00", "10:00")
    before, after = window.on(SPRING - timedelta(days=1), PARIS), window.on(SPRING, PARIS)
    assert (before.start.astimezone(UTC).hour, after.start.astimezone(UTC).hour) == (7, 6)
    assert clock(after.start) == "29 08:00"


def test_a_window_may_be_the_evening_before_or_go_over_midnight() -> None:
    evening = local_window("18:00", "20:00", -1).on(date(2026, 11, 26), PARIS)
    assert (clock(evening.start), clock(evening.end)) == ("25 18:00", "25 20:00")
    night = local_window("22:00", "02:00").on(date(2026, 11, 26), PARIS)
    assert (clock(night.start), clock(night.end)) == ("26 22:00", "27 02:00")


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("02:30", "04:00", ("29 03:00", "29 04:00")),
        ("01:00", "02:30", ("29 01:00", "29 03:30")),
        ("02:10", "02:50", ("29 03:00", "29 03:50")),
    ],
)
def test_a_time_that_does_not_exist_is_the_jump_or_as_much_later(
    start: str, end: str, expected: tuple[str, str]
) -> None:
    window = local_window(start, end).on(SPRING, PARIS)
    assert (clock(window.start), clock(window.end)) == expected


def test_a_time_that_happens_twice_counts_from_its_first_until_its_second_passing() -> None:
    window = local_window("02:15", "02:45").on(AUTUMN, PARIS)
    assert (window.start.isoformat(), window.end.isoformat()) == (
        "2026-10-25T00:15:00+00:00",
        "2026-10-25T01:45:00+00:00",
    )


@given(
    st.dates(date(2020, 1, 1), date(2030, 12, 31)),
    st.times(),
    st.times(),
    st.integers(-3, 3),
    ZONES,
)
def test_a_window_is_never_empty_and_keeps_every_existing_wall_clock_time(
    day: date, start: time, end: time, offset: int, zone: ZoneInfo
) -> None:
    window = LocalWindow(start, end, offset).on(day, zone)
    assert window.start < window.end
    for instant, wanted, first_day in (
        (window.start, start, day + timedelta(days=offset)),
        (window.end, end, day + timedelta(days=offset + (end <= start))),
    ):
        local = datetime.combine(first_day, wanted, zone)
        exists = local.astimezone(UTC).astimezone(zone).replace(tzinfo=None) == local.replace(tzinfo=None)
        if exists:
            assert instant.astimezone(zone).replace(tzinfo=None, fold=0) == datetime.combine(first_day, wanted)
