"""Account numbers, tax numbers and dated rows of the parties."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.billing.domain.invoicing import (
    DirectoryEntry,
    VatRegime,
    entry_on,
    is_bic,
    is_iban,
    regime_on,
    seller_faults,
    vat_number_of,
)


@pytest.mark.parametrize("text", ["FR7630001007941234567890185", "DE89370400440532013000", "BE68539007547034"])
def test_an_iban_is_known_by_its_check_digits(text: str) -> None:
    assert is_iban(text)
    for wrong in (text[:-1], text + "0", text.lower(), f" {text}", text[:4] + " " + text[4:], ""):
        assert not is_iban(wrong)


@given(st.integers(4, 26), st.integers(1, 9))
def test_no_single_wrong_digit_passes(place: int, by: int) -> None:
    iban = "FR7630001007941234567890185"
    wrong = iban[:place] + str((int(iban[place]) + by) % 10) + iban[place + 1 :]
    assert not is_iban(wrong)


def test_a_french_iban_has_27_characters() -> None:
    number = "3000100794123456789018"
    moved = int(number + "1527" + "00") % 97
    assert not is_iban(f"FR{98 - moved:02d}{number}")


def test_a_bic_has_8_or_11_characters() -> None:
    assert [is_bic(text) for text in ("BDFEFRPP", "BDFEFRPPCCT", "BDFEFRPPC", "bdfefrpp", "")] == [
        *(True, True),
        *(False, False, False),
    ]


def test_a_vat_number_has_its_companys_siren_and_key() -> None:
    assert vat_number_of("900000019") == "FR25900000019"


def test_the_row_that_began_last_is_in_force() -> None:
    franchise = VatRegime(date(2025, 1, 1), "", "CGI, art. 293 B")
    liable = VatRegime(date(2026, 7, 1), "FR74900000100", "CGI, art. 293 D")
    regimes = (liable, franchise)
    assert regime_on(regimes, date(2024, 12, 31)) is None
    assert regime_on(regimes, date(2026, 6, 30)) == franchise
    assert regime_on(regimes, date(2026, 7, 1)) == liable
    assert (franchise.is_franchise, liable.is_franchise) == (True, False)
    entries = (DirectoryEntry(date(2026, 1, 5), False, False), DirectoryEntry(date(2026, 9, 1), True, True))
    assert entry_on(entries, date(2026, 1, 4)) is None
    assert entry_on(entries, date(2026, 8, 31)) == entries[0]
    assert entry_on(entries, date(2026, 9, 1)) == entries[1]


def test_all_that_is_wrong_with_a_seller_is_said_with_its_place() -> None:
    regimes = [
        VatRegime(date(2026, 1, 1), "FR00900000100", "CGI"),
        VatRegime(date(2026, 1, 1), "", "CGI"),
    ]
    faults = seller_faults("90000010000017", regimes, "FR00", "X", "/cooperatives/0")
    assert {(fault.code, fault.pointer) for fault in faults} == {
        ("iban-invalid", "/cooperatives/0/iban"),
        ("bic-invalid", "/cooperatives/0/bic"),
        ("vat-number-invalid", "/cooperatives/0/vat_regimes/0/vat_number"),
        ("date-twice", "/cooperatives/0/vat_regimes/1/valid_from"),
    }
    assert seller_faults("90000010000017", [], "", "", "") == []
