"""A contract's terms agree with each other, or every fault is told at once."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.billing.domain.contract import Contract, VatRate, is_siret
from services.billing.domain.errors import (
    AlertLevelsInvalid,
    CeilingMissing,
    DateOutsidePeriod,
    DepartmentNotInContract,
    InvalidSiret,
    PartyTwice,
    PeriodReversed,
    SellerNotInContract,
    VatRateMissing,
    VatRateTwice,
    ZoneUnknown,
)
from services.kit.errors import Refusals
from tests.billing.builders import BUYER, ERDRE, LOIRE, PROPRETE, a_contract


@pytest.mark.parametrize("siret", ["73282932000074", "90000010000017", "35600000000048", "35600000009075"])
def test_a_right_check_digit_makes_a_siret(siret: str) -> None:
    assert is_siret(siret)


@pytest.mark.parametrize(
    "siret", ["73282932000075", "7328293200007", "732829320000744", "7328293200007a", "", "35600000009076", "٧" * 14]
)
def test_anything_else_is_no_siret(siret: str) -> None:
    assert not is_siret(siret)


@given(st.integers(0, 13), st.integers(1, 9))
def test_one_wrong_digit_is_always_noticed(place: int, change: int) -> None:
    good = "73282932000074"
    wrong = str((int(good[place]) + change) % 10)
    assert not is_siret(good[:place] + wrong + good[place + 1 :])


def test_the_default_contract_is_in_order() -> None:
    a_contract().check()


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"ends_on": date(2025, 12, 31)}, PeriodReversed),
        ({"ceiling_cents": 0}, CeilingMissing),
        ({"zone": "Europe/Nantes"}, ZoneUnknown),
        ({"zone": "../etc/passwd"}, ZoneUnknown),
        ({"cooperatives": (ERDRE, ERDRE)}, PartyTwice),
        ({"departments": (PROPRETE, PROPRETE)}, PartyTwice),
        ({"vat_rates": (VatRate(date(2026, 2, 1), 200, "CGI"),)}, VatRateMissing),
        ({"vat_rates": (VatRate(date(2020, 1, 1), 200, "CGI"), VatRate(date(2020, 1, 1), 100, "?"))}, VatRateTwice),
        ({"alert_percents": (75, 50)}, AlertLevelsInvalid),
        ({"alert_percents": (50, 50)}, AlertLevelsInvalid),
        ({"alert_percents": (0, 50)}, AlertLevelsInvalid),
        ({"alert_percents": (50, 101)}, AlertLevelsInvalid),
    ],
)
def test_terms_that_contradict_each_other_are_refused(changes: dict[str, Any], refusal: type[Exception]) -> None:
    with pytest.raises(refusal):
        a_contract(**changes).check()


def test_all_faults_are_told_at_once_and_say_where_they_are() -> None:
    wrong = ERDRE.__class__("loire", "X", "12345678901234", "Y")
    contract = a_contract(
        buyer=BUYER.__class__("Ville", "1"), cooperatives=(LOIRE, wrong), ceiling_cents=0, ends_on=date(2020, 1, 1)
    )
    with pytest.raises(Refusals) as refused:
        contract.check()
    assert [(type(error), error.pointer) for error in refused.value.errors] == [
        (InvalidSiret, "/buyer/siret"),
        (InvalidSiret, "/cooperatives/1/siret"),
        (PartyTwice, "/cooperatives/1/id"),
        (PeriodReversed, "/ends_on"),
        (CeilingMissing, "/ceiling"),
    ]


def test_an_order_within_the_contract_passes() -> None:
    a_contract().check_order("voirie", [date(2026, 1, 1), date(2027, 12, 31)])


def test_an_order_outside_the_contract_is_refused_for_each_reason() -> None:
    with pytest.raises(Refusals) as refused:
        a_contract().check_order("police", [date(2025, 12, 31), date(2026, 5, 1), date(2028, 1, 1)])
    kinds = [type(error) for error in refused.value.errors]
    assert kinds == [DepartmentNotInContract, DateOutsidePeriod, DateOutsidePeriod]


def test_the_lead_sells_what_nobody_in_particular_rode() -> None:
    contract = a_contract()
    assert contract.seller("") == ERDRE
    assert contract.seller("loire") == LOIRE
    with pytest.raises(SellerNotInContract):
        contract.seller("garonne")


def test_the_rate_that_started_last_is_in_force() -> None:
    rates = (VatRate(date(2027, 1, 1), 210, "future"), VatRate(date(2014, 1, 1), 200, "CGI"))
    contract: Contract = a_contract(vat_rates=rates)
    assert contract.vat_permille(date(2026, 12, 31)) == 200
    assert contract.vat_permille(date(2027, 1, 1)) == 210
    with pytest.raises(ValueError, match="no VAT rate"):
        contract.vat_permille(date(2013, 12, 31))


def test_a_day_is_the_contracts_own_and_not_that_of_utc() -> None:
    assert a_contract().local_date(datetime(2026, 11, 30, 23, 30, tzinfo=UTC)) == date(2026, 12, 1)
    assert a_contract().local_date(datetime(2026, 7, 31, 22, 0, tzinfo=UTC)) == date(2026, 8, 1)
