"""Amounts are read exactly, rounded half up, and tax is computed on totals."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.billing.domain.money import cents, decimal_text, in_french, percent_of, rounded, taxes, totals_by_rate

amounts = st.integers(min_value=0, max_value=10**14 - 1)


@given(amounts)
def test_text_and_cents_are_two_ways_to_write_one_amount(amount: int) -> None:
    assert cents(decimal_text(amount)) == amount


@pytest.mark.parametrize(("text", "amount"), [("0", 0), ("7", 700), ("7.5", 750), ("7.05", 705), ("1234.50", 123_450)])
def test_an_amount_may_have_up_to_two_decimals(text: str, amount: int) -> None:
    assert cents(text) == amount


@pytest.mark.parametrize(
    "text", ["", "-1", "+1", "1.005", "1,50", "1e3", " 1", "1 ", "NaN", "٣", "1.", ".5", "1_000", "1234567890123"]
)
def test_anything_else_is_no_amount(text: str) -> None:
    with pytest.raises(ValueError, match="not an amount"):
        cents(text)


def test_a_float_is_no_amount() -> None:
    with pytest.raises(ValueError, match="not an amount"):
        cents(1.5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("amount", "expected"), [("0.5", 1), ("1.5", 2), ("2.5", 3), ("2.4999", 2), ("-0.5", -1), ("-2.5", -3)]
)
def test_half_a_cent_is_rounded_away_from_zero(amount: str, expected: int) -> None:
    assert rounded(Decimal(amount)) == expected


@given(amounts, st.integers(0, 100))
def test_a_percentage_is_exact_to_half_a_cent(amount: int, percent: int) -> None:
    assert abs(percent_of(amount, percent) - Fraction(amount * percent, 100)) <= Fraction(1, 2)


@given(amounts)
def test_all_of_an_amount_is_the_amount(amount: int) -> None:
    assert percent_of(amount, 100) == amount
    assert percent_of(amount, 0) == 0


def test_tax_is_on_the_total_of_a_rate_and_not_line_by_line() -> None:
    (tax,) = taxes(totals_by_rate([(200, 1003)] * 3))
    assert (tax.base_cents, tax.tax_cents) == (3009, 602)  # 3 x 2.006 line by line would be 6.03


def test_each_rate_has_its_own_total_highest_first() -> None:
    computed = taxes(totals_by_rate([(55, 1000), (200, 500), (55, 10), (0, 99)]))
    assert [(tax.permille, tax.base_cents, tax.tax_cents) for tax in computed] == [
        (200, 500, 100),
        (55, 1010, 56),
        (0, 99, 0),
    ]


def test_an_amount_reads_well_in_a_french_sentence() -> None:
    assert in_french(123_456_789) == "1\u202f234\u202f567,89\u00a0€"
    assert in_french(-5) == "-0,05\u00a0€"
