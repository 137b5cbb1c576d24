"""Coefficients are exact to the thousandth, prices to the contract's decimals, and shares add up to the line."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import ROUND_CEILING, Decimal, localcontext
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.billing.domain.coefficient import Rounding, rounded_cents, rounded_to, shared
from services.billing.domain.errors import ClauseIndexUnknown, IndexTwice, IndexValueDefinitive, IndexValueMissing
from services.billing.domain.revision import (
    IndexChoice,
    IndexStatus,
    IndexValue,
    IndexWeight,
    Indices,
    RevisionTerms,
    check_next,
    shifted,
)
from services.billing.domain.statement import Month
from services.kit.errors import Refusals

JANUARY = Month(2026, 1)
NOVEMBER = Month(2026, 11)


def a_value(month: Month, value: str, *, index_id: str = "ICHT", **changes: Any) -> IndexValue:
    published = shifted(month, 1).last_day
    row = IndexValue(
        index_id, month, Decimal(value), IndexStatus.DEFINITIVE, published, "INSEE", 1, datetime(2026, 1, 1, tzinfo=UTC)
    )
    return replace(row, **changes)


def some_terms(**changes: Any) -> RevisionTerms:
    terms = RevisionTerms(
        Decimal("0.15"), (IndexWeight("ICHT", Decimal("0.85")),), base_month=JANUARY, first_month=Month(2026, 2)
    )
    return replace(terms, **changes)


def value_of(terms: RevisionTerms, *values: IndexValue, executed: Month = NOVEMBER, ordered: Month = NOVEMBER) -> str:
    period = terms.period(executed=executed, ordered=ordered)
    return format(terms.coefficient(Indices(values), period).value, "f")


def test_example_d_to_the_cent() -> None:
    values = a_value(JANUARY, "124.3"), a_value(NOVEMBER, "128.9")
    up = some_terms().coefficient(Indices(values), NOVEMBER)
    assert up.exact.numerator * 10**7 // up.exact.denominator == 10_314_561
    assert (up.value, up.unit_price(945), up.cents(182, 945)) == (Decimal("1.032"), Decimal("9.7524"), 177_494)
    cheap = replace(up, price_decimals=2)
    assert (cheap.unit_price(945), cheap.cents(182, 945)) == (Decimal("9.75"), 177_450)
    nearest = some_terms(rounding=Rounding.NEAREST).coefficient(Indices(values), NOVEMBER)
    assert (nearest.value, nearest.cents(182, 945)) == (Decimal("1.031"), 177_323)
    assert 182 * 945 == 171_990


def test_example_e_is_corrected_by_the_difference_alone() -> None:
    definitive = some_terms().coefficient(Indices((a_value(JANUARY, "124.3"), a_value(NOVEMBER, "128.9"))), NOVEMBER)
    provisional = replace(definitive, value=Decimal("1.027"))
    assert provisional.unit_price(945) == Decimal("9.7052")  # 9.70515, half up
    assert provisional.cents(182, 945) == 176_635
    assert definitive.cents(182, 945) - provisional.cents(182, 945) == 859


def test_a_coefficient_exactly_on_a_thousandth_is_not_rounded_up_again() -> None:
    assert 0.15 + 0.85 * 127.4 / 110.5 > 1.13, "the trap: floats are a hair above"
    assert value_of(some_terms(), a_value(JANUARY, "110.5"), a_value(NOVEMBER, "127.4")) == "1.130"


weights = st.integers(0, 99).map(lambda percent: Decimal(percent).scaleb(-2))
indices_of = st.integers(500, 5000).map(lambda tenths: Decimal(tenths).scaleb(-1))


@given(weights, indices_of, indices_of)
def test_the_coefficient_is_the_naive_formula_done_with_many_digits(
    fixed: Decimal, first: Decimal, now: Decimal
) -> None:
    terms = some_terms(fixed=fixed, weights=(IndexWeight("ICHT", 1 - fixed),))
    exact = value_of(terms, a_value(JANUARY, str(first)), a_value(NOVEMBER, str(now)))
    with localcontext() as context:
        context.prec = 60
        naive = fixed + (1 - fixed) * now / first
        # 60 digits cannot tell a thousandth from what lies 1e-55 above it; a fraction can.
        naive = naive.quantize(Decimal("1e-50"))
        assert Decimal(exact) == naive.quantize(Decimal("0.001"), rounding=ROUND_CEILING)


@given(st.fractions(min_value=0, max_value=3), st.sampled_from([Decimal("0.001"), Decimal("0.0001"), Decimal("0.01")]))
def test_a_rounded_coefficient_is_a_number_of_steps_less_than_one_step_away(exact: Fraction, step: Decimal) -> None:
    for rounding, least, most in ((Rounding.UP, 0, 1), (Rounding.DOWN, -1, 0), (Rounding.NEAREST, -1, 1)):
        value = Fraction(rounded_to(exact, step, rounding))
        assert (value / Fraction(step)).denominator == 1
        assert least <= (value - exact) / Fraction(step) <= most
        assert abs(value - exact) < Fraction(step)


@given(st.lists(st.fractions(min_value=-10_000, max_value=10_000), max_size=30))
def test_shares_sum_to_the_rounded_total_and_none_is_a_cent_off(amounts: list[Fraction]) -> None:
    shares = shared(amounts)
    assert sum(shares) == rounded_cents(sum(amounts, Fraction(0)))
    assert all(abs(share - amount) <= 1 for share, amount in zip(shares, amounts, strict=True))


def test_several_indices_weigh_as_the_contract_says() -> None:
    terms = some_terms(
        fixed=Decimal("0.10"), weights=(IndexWeight("ICHT", Decimal("0.70")), IndexWeight("ELEC", Decimal("0.20")))
    )
    values = (
        a_value(JANUARY, "100"),
        a_value(NOVEMBER, "103"),
        a_value(JANUARY, "80", index_id="ELEC"),
        a_value(NOVEMBER, "76", index_id="ELEC"),
    )
    assert value_of(terms, *values) == "1.011"  # 0.10 + 0.721 + 0.19


def test_what_is_not_out_yet_is_the_last_known_value_and_marked_provisional() -> None:
    known = Indices((a_value(JANUARY, "100"), a_value(Month(2026, 9), "102"), a_value(Month(2026, 12), "150")))
    coefficient = some_terms().coefficient(known, NOVEMBER)
    (use,) = coefficient.uses
    assert (coefficient.value, coefficient.is_provisional) == (Decimal("1.017"), True)
    assert (use.wanted_month, use.month) == ("2026-11", "2026-09")


def test_a_value_published_provisionally_gives_a_provisional_coefficient() -> None:
    base, early = a_value(JANUARY, "100"), a_value(NOVEMBER, "102", status=IndexStatus.PROVISIONAL)
    definitive = a_value(NOVEMBER, "104", version=2)
    first = some_terms().coefficient(Indices((base, early)), NOVEMBER)
    then = some_terms().coefficient(Indices((base, definitive, early)), NOVEMBER)
    assert (first.value, first.is_provisional) == (Decimal("1.017"), True)
    assert (then.value, then.is_provisional) == (Decimal("1.034"), False)


def test_the_last_known_index_is_what_was_out_when_the_month_ended() -> None:
    values = [a_value(JANUARY, "100"), a_value(Month(2026, 9), "102"), a_value(Month(2026, 10), "104")]
    terms = some_terms(choice=IndexChoice.LAST_KNOWN)
    assert value_of(terms, *values) == "1.034"  # October came out on 30 November
    late = [*values[:2], replace(values[2], published_on=date(2026, 12, 1))]
    assert value_of(terms, *late) == "1.017"
    assert not terms.coefficient(Indices(tuple(late)), NOVEMBER).is_provisional


def test_the_month_of_the_order_may_decide() -> None:
    values = a_value(JANUARY, "100"), a_value(Month(2026, 10), "102"), a_value(NOVEMBER, "110")
    assert value_of(some_terms(choice=IndexChoice.ORDER), *values, ordered=Month(2026, 10)) == "1.017"


def test_between_two_revisions_nothing_moves() -> None:
    terms = some_terms(every_months=3, first_month=JANUARY)
    values = a_value(JANUARY, "100"), a_value(Month(2026, 10), "102"), a_value(NOVEMBER, "110")
    assert {value_of(terms, *values, executed=Month(2026, number)) for number in (10, 11, 12)} == {"1.017"}
    assert value_of(some_terms(lag_months=1), *values) == "1.017"


def test_an_actualisation_happens_once_and_only_after_three_months() -> None:
    terms = some_terms(
        fixed=Decimal(0),
        weights=(IndexWeight("ICHT", Decimal(1)),),
        choice=IndexChoice.START,
        lag_months=3,
        only_beyond_months=3,
        first_month=Month(2026, 5),
    )
    values = a_value(JANUARY, "100"), a_value(Month(2026, 2), "100.05"), a_value(NOVEMBER, "120")
    assert {value_of(terms, *values, executed=Month(2026, number)) for number in (5, 11)} == {"1.001"}
    assert value_of(replace(terms, first_month=Month(2026, 4)), *values) == "1.000"


def test_the_safeguard_holds_a_year_to_its_share_of_the_year_before() -> None:
    values = a_value(JANUARY, "100"), a_value(NOVEMBER, "110"), a_value(Month(2027, 11), "120")
    terms = some_terms(yearly_cap_permille=25)
    first = terms.coefficient(Indices(values), NOVEMBER)
    assert (first.value, first.is_capped) == (Decimal("1.025"), True)
    assert value_of(terms, *values, executed=Month(2027, 11)) == "1.050"  # 1.025 x 1.025 = 1.050625, down
    assert value_of(some_terms(yearly_cap_permille=200), *values) == "1.085"


def test_terms_that_cannot_be_computed_are_refused_all_at_once() -> None:
    wrong = some_terms(weights=(IndexWeight("A", Decimal("0.5")), IndexWeight("A", Decimal("0.4"))), step=Decimal(1))
    assert {type(fault).__name__ for fault in wrong.check()} == {
        "RevisionWeightsInvalid",
        "IndexTwice",
        "RevisionTermInvalid",
    }
    assert some_terms().check() == []
    assert any(isinstance(fault, IndexTwice) for fault in wrong.check())


def test_an_index_that_nobody_recorded_is_refused_by_name() -> None:
    terms = some_terms(weights=(IndexWeight("ICHT", Decimal("0.45")), IndexWeight("CNR", Decimal("0.40"))))
    with pytest.raises(Refusals) as refusals:
        terms.check_indices(Indices((a_value(NOVEMBER, "100"),)))
    assert [type(fault) for fault in refusals.value.errors] == [IndexValueMissing, ClauseIndexUnknown]
    terms.check_indices(Indices((a_value(JANUARY, "100"), a_value(JANUARY, "90", index_id="CNR"))))


def test_a_definitive_value_is_the_last_one_of_its_month() -> None:
    early = a_value(NOVEMBER, "102", status=IndexStatus.PROVISIONAL)
    check_next([early], a_value(NOVEMBER, "104", version=2))
    with pytest.raises(IndexValueDefinitive):
        check_next([early, a_value(NOVEMBER, "104", version=2)], a_value(NOVEMBER, "105", version=3))
    with pytest.raises(Refusals):
        check_next([a_value(NOVEMBER, "1")], a_value(NOVEMBER, "0", published_on=date(2026, 1, 1)))
