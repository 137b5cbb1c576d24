"""What an e-invoice needs to know of its parties, beyond what a contract needs: addresses, accounts, tax regimes.

All of it may be missing while a contract is used; a month is only closed when it is there. What changes in time is a
dated row.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from services.billing.domain.errors import BicInvalid, DateTwice, IbanInvalid, VatNumberInvalid
from services.kit.errors import DomainError

_BIC = re.compile(r"[A-Z]{6}[A-Z0-9]{2}(?:[A-Z0-9]{3})?", re.ASCII)
_IBAN = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}", re.ASCII)
FRENCH_IBAN_LENGTH = 27


@dataclass(frozen=True, slots=True)
class PostalAddress:
    """An address in parts: up to three lines, then postcode and town. `country_code` is ISO 3166-1 alpha-2."""

    lines: tuple[str, ...]
    postcode: str
    city: str
    country_code: str = "FR"


@dataclass(frozen=True, slots=True)
class Contact:
    """Whom to ask about an invoice; a document names one at most."""

    name: str
    phone: str = ""
    email: str = ""


@dataclass(frozen=True, slots=True)
class VatRegime:
    """A seller's tax regime from a day on: liable with its VAT number, or under franchise (no number, no VAT)."""

    valid_from: date
    vat_number: str
    source: str

    @property
    def is_franchise(self) -> bool:
        """Whether the seller charges no VAT."""
        return not self.vat_number


@dataclass(frozen=True, slots=True)
class DirectoryEntry:
    """What the public directory said of a buyer's establishment on the day it was looked up."""

    looked_up_on: date
    demands_service_code: bool
    demands_engagement_number: bool


def is_iban(text: str) -> bool:
    """Return whether `text` is an IBAN without blanks whose check digits are right. Source: ISO 13616, ISO 7064."""
    if not _IBAN.fullmatch(text) or (text.startswith("FR") and len(text) != FRENCH_IBAN_LENGTH):
        return False
    return int("".join(str(int(character, 36)) for character in text[4:] + text[:4])) % 97 == 1


def is_bic(text: str) -> bool:
    """Return whether `text` has the form of a BIC. Source: ISO 9362."""
    return _BIC.fullmatch(text) is not None


def vat_number_of(siren: str) -> str:
    """Return the French VAT number of a company: FR, a key of two digits, its SIREN."""
    return f"FR{(12 + 3 * (int(siren) % 97)) % 97:02d}{siren}"


def regime_on(regimes: Iterable[VatRegime], day: date) -> VatRegime | None:
    """Return the regime in force on a day: the one that began last; None when none is known."""
    return max((one for one in regimes if one.valid_from <= day), key=lambda one: one.valid_from, default=None)


def entry_on(entries: Iterable[DirectoryEntry], day: date) -> DirectoryEntry | None:
    """Return what the directory last said up to a day; None when it was not looked up."""
    return max((one for one in entries if one.looked_up_on <= day), key=lambda one: one.looked_up_on, default=None)


def seller_faults(siret: str, vat_regimes: Sequence[VatRegime], iban: str, bic: str, pointer: str) -> list[DomainError]:
    """Return what is wrong in a seller's own figures; empty ones are missing, not wrong."""
    faults: list[DomainError] = []
    if iban and not is_iban(iban):
        faults.append(IbanInvalid(iban, f"{pointer}/iban"))
    if bic and not is_bic(bic):
        faults.append(BicInvalid(bic, f"{pointer}/bic"))
    faults.extend(
        VatNumberInvalid(one.vat_number, siret[:9], f"{pointer}/vat_regimes/{index}/vat_number")
        for index, one in enumerate(vat_regimes)
        if one.vat_number and siret.isdecimal() and one.vat_number != vat_number_of(siret[:9])
    )
    faults.extend(dates_twice([one.valid_from for one in vat_regimes], f"{pointer}/vat_regimes", "valid_from"))
    return faults


def dates_twice(days: Sequence[date], pointer: str, member: str) -> list[DomainError]:
    """Return a fault for each row whose day an earlier row has already."""
    return [DateTwice(day, f"{pointer}/{index}/{member}") for index, day in enumerate(days) if day in days[:index]]
