"""Worked example G: what an advance is, and how it is taken back."""

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.billing.domain.advance import AdvanceTerms, advance_cents, base_cents, recovered_cents

TERMS = AdvanceTerms(540_000, date(2026, 2, 1))
MAXIMUM = 9_000_000


def test_example_g_to_the_cent() -> None:
    assert base_cents(10_800_000, 24) == 5_400_000
    assert base_cents(10_800_000, 12) == 10_800_000
    assert [advance_cents(10_800_000, 24, rate) for rate in (100, 200)] == [540_000, 1_080_000]


@pytest.mark.parametrize(("percent", "recovered"), [(64, 0), (65, 0), (70, 180_000), (75, 360_000), (80, 540_000)])
def test_it_is_taken_back_in_a_straight_line(percent: int, recovered: int) -> None:
    executed_cents = MAXIMUM * percent // 100
    assert recovered_cents(TERMS, executed_cents=executed_cents, maximum_cents=MAXIMUM) == recovered


@given(st.integers(0, MAXIMUM), st.integers(0, MAXIMUM))
def test_more_work_never_takes_back_less_nor_more_than_was_paid(first: int, more: int) -> None:
    before, after = (
        recovered_cents(TERMS, executed_cents=executed, maximum_cents=MAXIMUM)
        for executed in (first, min(MAXIMUM, first + more))
    )
    assert 0 <= before <= after <= TERMS.paid_cents


def test_shares_that_do_not_ascend_are_refused() -> None:
    assert TERMS.check() == []
    assert replace(TERMS, from_percent=80).check() != []
    assert replace(TERMS, paid_cents=0).check() != []
