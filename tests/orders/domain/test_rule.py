from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kit.errors import DomainError
from services.orders.domain.errors import BadRule, RuleNeverHappens, UnsupportedRulePart
from services.orders.domain.rule import DAYS, UNSUPPORTED, dates, first_date, read
from tests.orders.builders import codes

START = date(2026, 11, 24)  # a Tuesday


def test_a_weekly_rule_gives_its_days() -> None:
    found = dates("FREQ=WEEKLY;BYDAY=TU,FR", START, START, date(2026, 12, 5))
    assert [day.isoformat() for day in found] == ["2026-11-24", "2026-11-27", "2026-12-01", "2026-12-04"]


def test_a_start_that_the_rule_does_not_give_is_no_occurrence() -> None:
    assert first_date("FREQ=WEEKLY;BYDAY=MO", START) == date(2026, 11, 30)


def test_every_other_week_counts_weeks_from_the_start() -> None:
    found = dates("FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,TU;WKST=MO", START, START, date(2026, 12, 31))
    assert [day.isoformat() for day in found] == ["2026-11-24", "2026-12-07", "2026-12-08", "2026-12-21", "2026-12-22"]


def test_the_last_working_day_of_a_month() -> None:
    rule = "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1"
    read(rule)
    assert dates(rule, START, START, date(2027, 1, 31)) == (date(2026, 11, 30), date(2026, 12, 31), date(2027, 1, 29))


def test_a_month_without_the_day_is_skipped() -> None:
    found = dates("FREQ=MONTHLY;BYMONTHDAY=31", START, START, date(2027, 3, 31))
    assert found == (date(2026, 12, 31), date(2027, 1, 31), date(2027, 3, 31))


def test_until_includes_its_day_and_count_ends() -> None:
    assert dates("FREQ=DAILY;UNTIL=20261126", START, START, date(2027, 1, 1))[-1] == date(2026, 11, 26)
    assert len(dates("FREQ=DAILY;COUNT=10", START, START, date(2027, 1, 1))) == 10


@pytest.mark.parametrize("part", [*UNSUPPORTED, "BYMOON"])
def test_every_other_part_is_refused_by_its_name(part: str) -> None:
    with pytest.raises(UnsupportedRulePart) as refused:
        read(f"FREQ=DAILY;{part}=1")
    assert refused.value.facts["part"] == part
    assert part in refused.value.detail


@pytest.mark.parametrize(
    ("rule", "part"),
    [
        ("FREQ=HOURLY", "FREQ"),
        ("FREQ=DAILY;COUNT=3;UNTIL=20270101", "COUNT"),
        ("FREQ=WEEKLY;BYMONTHDAY=1", "BYMONTHDAY"),
        ("FREQ=WEEKLY;BYDAY=1MO", "BYDAY"),
        ("FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13", "BYMONTHDAY"),
        ("FREQ=YEARLY;BYDAY=20MO", None),
        ("FREQ=YEARLY;BYDAY=1MO", "BYMONTH"),
        ("FREQ=DAILY;INTERVAL=7;BYDAY=MO", "INTERVAL"),
        ("FREQ=DAILY;BYDAY=MO;BYSETPOS=2", "BYSETPOS"),
        ("FREQ=MONTHLY;WKST=SU", "WKST"),
        ("FREQ=WEEKLY;INTERVAL=54", "INTERVAL"),
    ],
)
def test_combinations_that_would_surprise_are_refused_by_name(rule: str, part: str | None) -> None:
    with pytest.raises((UnsupportedRulePart, BadRule)) as refused:
        read(rule)
    assert refused.value.facts.get("part") == part


@pytest.mark.parametrize(
    "rule",
    [
        "", "WEEKLY", "BYDAY=MO", "FREQ=WEEKLY;BYDAY=LU", "FREQ=WEEKLY;BYDAY=MO,MO", "FREQ=WEEKLY;INTERVAL=0",
        "FREQ=WEEKLY;INTERVAL=²", "FREQ=DAILY;COUNT=100000", "FREQ=DAILY;UNTIL=20261301",
        "FREQ=DAILY;UNTIL=20261231T000000Z", "FREQ=DAILY;FREQ=DAILY", "FREQ=MONTHLY;BYMONTHDAY=0",
        "FREQ=MONTHLY;BYMONTHDAY=32", "FREQ=MONTHLY;BYMONTH=13", "RRULE:FREQ=DAILY;BYDAY=",
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused(rule: str) -> None:
    with pytest.raises(DomainError):
        read(rule)


def test_all_faults_of_a_rule_are_told_together() -> None:
    with pytest.raises(DomainError) as refused:
        read("FREQ=SECONDLY;BYHOUR=8;BYDAY=XX")
    assert sorted(code for code, _ in codes(refused.value)) == [
        "bad-rule", "unsupported-rule-part", "unsupported-rule-part"
    ]  # fmt: skip


def test_a_rule_that_can_never_happen_is_refused() -> None:
    with pytest.raises(RuleNeverHappens):
        read("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30")
    assert first_date("FREQ=MONTHLY;INTERVAL=12;BYMONTH=3", START) is None


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        read(text)
    except DomainError as refusal:
        assert refusal.detail


_words = st.sampled_from(
    ["FREQ=DAILY", "FREQ=WEEKLY", "FREQ=MONTHLY", "FREQ=YEARLY", "INTERVAL=2", "COUNT=3", "UNTIL=20300101",
     "BYDAY=MO,TU", "BYDAY=-1FR", "BYDAY=5SU", "BYMONTHDAY=29", "BYMONTHDAY=-1", "BYMONTH=2", "BYSETPOS=-1", "WKST=SU"]
)  # fmt: skip


@given(st.lists(_words, min_size=1, max_size=5).map(";".join))
def test_what_is_accepted_can_be_expanded(rule: str) -> None:
    try:
        parsed = read(rule)
    except DomainError:
        return
    found = dates(rule, START, START, date(2031, 12, 31))
    assert list(found) == sorted(set(found))
    assert all(not parsed.months or day.month in parsed.months for day in found)
    assert all(not parsed.days or any(day.weekday() == weekday for _, weekday in parsed.days) for day in found)
    assert DAYS[0] == "MO"
