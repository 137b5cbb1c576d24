"""The payment clock: when it starts, stops and ends; what a late payment costs, to the cent."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from services.billing.domain.contract import BuyerKind
from services.billing.domain.errors import LegalValueMissing
from services.billing.domain.legal import in_force, rows_of
from services.billing.domain.payment import Clock, clock
from services.billing.domain.status import Status, ToldStatus

ROWS = rows_of("payment")


def told(status: Status, day: date) -> ToldStatus:
    return ToldStatus(
        f"{status}-{day}", status, datetime(day.year, day.month, day.day, 12, tzinfo=UTC), reason="JUSTIF_ABS"
    )


def a_clock(*statuses: ToldStatus, today: date = date(2027, 1, 31), **changes: Any) -> Clock:
    """Read the clock of a statement of 3 186.84 including tax, issued on 3 October 2026 for September."""
    given: dict[str, Any] = {
        "issued_on": date(2026, 10, 3),
        "executed_on": date(2026, 9, 30),
        "buyer_kind": BuyerKind.LOCAL_AUTHORITY,
        "principal_cents": 318_684,
        "rows": ROWS,
        "local_date": datetime.date,
        "today": today,
    }
    return clock(statuses, **{**given, **changes})


def available(day: date = date(2026, 10, 5)) -> ToldStatus:
    return told(Status.AVAILABLE, day)


def test_example_h_to_the_cent() -> None:
    read = a_clock(available(), told(Status.PAYMENT_SENT, date(2026, 11, 30)))
    assert (read.started_on, read.due_on, read.paid_on) == (date(2026, 10, 5), date(2026, 11, 4), date(2026, 11, 30))
    assert read.interest is not None
    assert (read.interest.days_late, read.interest.rate_percent) == (26, Decimal("10.40"))
    assert (read.interest.interest_cents, read.interest.lump_cents, read.interest.total_cents) == (2361, 4000, 6361)
    assert read.interest.is_final


def test_the_rate_is_frozen_where_interest_began_even_over_a_new_year() -> None:
    read = a_clock(available(), told(Status.PAYMENT_SENT, date(2027, 1, 11)))
    assert read.interest is not None
    assert (read.interest.days_late, read.interest.rate_percent) == (68, Decimal("10.40"))
    assert read.interest.interest_cents == round(Decimal(318_684) * Decimal("10.40") * 68 / 36500)


@pytest.mark.parametrize(
    ("available_on", "rate"),
    [
        # Due on 29 and 30 June and on 1 July: interest begins on 30 June and on 1 and 2 July.
        (date(2026, 5, 30), "10.15"),
        (date(2026, 5, 31), "10.40"),
        (date(2026, 6, 1), "10.40"),
    ],
)
def test_the_half_year_of_the_first_day_of_interest_decides_its_rate(available_on: date, rate: str) -> None:
    read = a_clock(
        available(available_on),
        issued_on=date(2026, 5, 2),
        executed_on=date(2026, 4, 30),
        today=date(2026, 8, 1),
    )
    assert read.interest is not None
    assert read.interest.rate_percent == Decimal(rate)


def test_a_delay_runs_over_a_year_end_and_a_leap_day() -> None:
    assert a_clock(available(date(2026, 12, 15))).due_on == date(2027, 1, 14)
    leap = a_clock(available(date(2028, 2, 15)), issued_on=date(2028, 2, 3), executed_on=date(2028, 1, 31))
    assert leap.due_on == date(2028, 3, 16)


@pytest.mark.parametrize(
    ("kind", "due_on"),
    [
        (BuyerKind.LOCAL_AUTHORITY, date(2026, 11, 4)),
        (BuyerKind.STATE, date(2026, 11, 4)),
        (BuyerKind.HOSPITAL, date(2026, 11, 24)),
        (BuyerKind.PUBLIC_ENTERPRISE, date(2026, 12, 4)),
    ],
)
def test_each_kind_of_buyer_has_its_delay(kind: BuyerKind, due_on: date) -> None:
    assert a_clock(available(), buyer_kind=kind).due_on == due_on


def test_without_a_proven_day_it_starts_two_days_after_the_issue() -> None:
    read = a_clock()
    assert (read.started_on, read.is_start_proven, read.due_on) == (date(2026, 10, 5), False, date(2026, 11, 4))


def test_it_never_starts_before_the_service_was_done() -> None:
    assert a_clock(available(), executed_on=date(2026, 10, 9)).started_on == date(2026, 10, 9)


def test_the_earliest_word_that_it_is_available_counts() -> None:
    assert a_clock(available(date(2026, 10, 9)), available(date(2026, 10, 6))).started_on == date(2026, 10, 6)


def test_while_it_is_suspended_nothing_is_due() -> None:
    read = a_clock(available(), told(Status.SUSPENDED, date(2026, 10, 15)))
    assert read.suspension is not None
    assert (read.suspension.began_on, read.suspension.ended_on, read.suspension.reason) == (
        *(date(2026, 10, 15), None, "JUSTIF_ABS"),
    )
    assert (read.due_on, read.interest) == (None, None)


@pytest.mark.parametrize(
    ("kind", "due_on"),
    [
        # 20 of 30 days were left: a new delay of 30. 40 of 50 were left: these.
        (BuyerKind.LOCAL_AUTHORITY, date(2026, 12, 1)),
        (BuyerKind.HOSPITAL, date(2026, 12, 11)),
    ],
)
def test_after_a_suspension_it_runs_for_thirty_days_or_what_was_left(kind: BuyerKind, due_on: date) -> None:
    statuses = (
        available(),
        told(Status.SUSPENDED, date(2026, 10, 15)),
        told(Status.COMPLETED, date(2026, 11, 1)),
    )
    assert a_clock(*statuses, buyer_kind=kind).due_on == due_on
    assert a_clock(*reversed(statuses), buyer_kind=kind).due_on == due_on


def test_it_is_suspended_once_and_only_within_the_delay() -> None:
    first = (told(Status.SUSPENDED, date(2026, 10, 15)), told(Status.COMPLETED, date(2026, 11, 1)))
    again = told(Status.SUSPENDED, date(2026, 11, 10))
    assert a_clock(available(), *first, again).due_on == date(2026, 12, 1)
    assert a_clock(available(), told(Status.SUSPENDED, date(2026, 11, 5))).due_on == date(2026, 11, 4)


def test_a_payment_on_the_last_day_costs_nothing() -> None:
    assert a_clock(available(), told(Status.PAYMENT_SENT, date(2026, 11, 4))).interest is None
    late = a_clock(available(), told(Status.PAYMENT_SENT, date(2026, 11, 5))).interest
    assert late is not None
    assert late.days_late == 1


def test_until_it_is_paid_interest_grows() -> None:
    first, second = (a_clock(available(), today=date(2026, 11, day)).interest for day in (30, 29))
    assert first is not None
    assert second is not None
    assert (first.days_late, second.days_late, first.is_final) == (26, 25, False)


def test_what_was_refused_or_credited_whole_is_never_late() -> None:
    assert a_clock(available(), told(Status.REJECTED, date(2026, 10, 8))).due_on is None
    assert a_clock(available(), principal_cents=0).interest is None


def without(rows: Sequence[Any], kind: str) -> list[Any]:
    return [row for row in rows if row.kind != kind]


def test_a_rate_nobody_entered_is_named_and_nothing_is_invented() -> None:
    read = a_clock(available(), rows=without(ROWS, "ecb_refi_percent"))
    assert read.interest is None
    assert "ecb_refi_percent" in read.missing
    with pytest.raises(LegalValueMissing):
        a_clock(available(), rows=without(ROWS, "payment_days:local-authority"))


def test_every_legal_value_is_dated_and_sourced() -> None:
    assert all(row.source and row.status in {"in-force", "to-confirm"} for row in ROWS)
    assert all(row.valid_to is None or row.valid_from <= row.valid_to for row in ROWS)


def test_of_two_rows_in_force_the_later_counts_and_none_after_its_last_day() -> None:
    old = in_force(ROWS, "payment_days:state", date(2026, 1, 1))
    new = replace(old, valid_from=date(2027, 1, 1), valid_to=date(2027, 6, 30), value=Decimal(20))
    rows = [new, old]
    assert in_force(rows, old.kind, date(2026, 12, 31)).value == 30
    assert in_force(rows, old.kind, date(2027, 1, 1)).value == 20
    assert in_force(rows, old.kind, date(2027, 7, 1)).value == 30
    with pytest.raises(LegalValueMissing):
        in_force(rows, old.kind, date(2013, 4, 30))
