"""What a city bought: who buys, who rides, when, for how much at most, and what a failure costs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from zoneinfo import ZoneInfo, available_timezones

from services.billing.domain.advance import AdvanceTerms
from services.billing.domain.amendment import Amendment
from services.billing.domain.award import Award
from services.billing.domain.emissions import Baseline
from services.billing.domain.errors import (
    AlertLevelsInvalid,
    CeilingMissing,
    DateOutsidePeriod,
    DepartmentNotInContract,
    EngagementNumberMissing,
    InvalidSiret,
    PartyTwice,
    PeriodReversed,
    SellerNotInContract,
    ServiceCodeMissing,
    VatRateMissing,
    VatRateTwice,
    ZoneUnknown,
)
from services.billing.domain.invoicing import (
    Contact,
    DirectoryEntry,
    PostalAddress,
    VatRegime,
    dates_twice,
    entry_on,
    regime_on,
    seller_faults,
)
from services.billing.domain.penalty_terms import PenaltyTerms
from services.billing.domain.policy import HoldPolicy
from services.billing.domain.revision import RevisionTerms
from services.billing.domain.structure import Structure
from services.kit.errors import DomainError, refuse_all

DEFAULT_ALERT_PERCENTS = (50, 75, 90, 100)
LA_POSTE_SIREN = "356000000"
WHOLE = Structure()
"""One firm period and one lot: the whole life is the only scope."""
NO_POLICY = HoldPolicy()
"""Whatever fits under the ceiling passes."""


def is_siret(text: str) -> bool:
    """Return whether `text` is 14 digits with a right check digit.

    The key is Luhn's; establishments of La Poste have digits that sum to a multiple of five instead.

    Source: INSEE, SIRENE documentation of the SIRET number.
    """
    if len(text) != 14 or not (text.isascii() and text.isdigit()):
        return False
    digits = [int(character) for character in text]
    if text.startswith(LA_POSTE_SIREN) and sum(digits) % 5 == 0:
        return True
    doubled = [digit if index % 2 else digit * 2 for index, digit in enumerate(digits)]
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


class BuyerKind(StrEnum):
    """What kind of public buyer it is: the law gives each its delay to pay."""

    LOCAL_AUTHORITY = "local-authority"
    STATE = "state"
    HOSPITAL = "hospital"
    PUBLIC_ENTERPRISE = "public-enterprise"


@dataclass(frozen=True, slots=True)
class Buyer:
    """The city; service code and engagement number are what its accountant wants to read on each statement.

    An e-invoice needs the address, and what the public directory says that it must carry.
    """

    name: str
    siret: str
    service_code: str = ""
    engagement_number: str = ""
    postal_address: PostalAddress | None = None
    directory_entries: tuple[DirectoryEntry, ...] = ()
    kind: BuyerKind = BuyerKind.LOCAL_AUTHORITY


@dataclass(frozen=True, slots=True)
class Cooperative:
    """A holder of the contract, and the seller of what it rides.

    An e-invoice needs the postal address in parts, the tax regime, the legal form with its capital, and the account.
    """

    id: str
    name: str
    siret: str
    address: str
    postal_address: PostalAddress | None = None
    legal_form: str = ""
    share_capital: str = ""
    vat_regimes: tuple[VatRegime, ...] = ()
    iban: str = ""
    bic: str = ""
    contact: Contact | None = None


@dataclass(frozen=True, slots=True)
class Department:
    """A city department that may order."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class VatRate:
    """A rate in force from a day on, with where it is written. 200 per mille is 20 %."""

    valid_from: date
    permille: int
    source: str


@dataclass(frozen=True, slots=True)
class ChargeRules:
    """What is owed, in per cent of a leg's estimate, when it fails by the requester's cause or is cancelled late."""

    failure_percent: int
    late_cancellation_percent: int


@dataclass(frozen=True, slots=True)
class LoadMass:
    """What a load of a kind is taken to weigh, per unit, where nobody knows."""

    load_kind: str
    grams: int


@dataclass(frozen=True, slots=True)
class Contract:
    """A framework contract with a maximum. Its first cooperative leads; all local dates are in `zone`.

    `co2_baseline` is what its bikes are compared with: a dedicated van only where such trips were replaced.
    `verification_days` is how long the buyer has to accept or dispute a settled leg before silence accepts it.
    `ceiling_cents` is the maximum of its whole life as it stands, amendments included. `award` is None for a contract
    whose public record is kept elsewhere.
    """

    id: str
    reference: str
    title: str
    buyer: Buyer
    cooperatives: tuple[Cooperative, ...]
    departments: tuple[Department, ...]
    starts_on: date
    ends_on: date
    ceiling_cents: int
    zone: str
    cutoff_minutes: int
    rules: ChargeRules
    vat_rates: tuple[VatRate, ...]
    alert_percents: tuple[int, ...]
    registered_at: datetime
    co2_baseline: Baseline = Baseline.SHARED_VAN
    load_masses: tuple[LoadMass, ...] = ()
    verification_days: int = 0
    penalties: PenaltyTerms | None = None
    advance: AdvanceTerms | None = None
    structure: Structure = WHOLE
    policy: HoldPolicy = NO_POLICY
    amendments: tuple[Amendment, ...] = ()
    award: Award | None = None
    revision: RevisionTerms | None = None

    @property
    def initial_ceiling_cents(self) -> int:
        """The maximum as it was first signed."""
        return self.ceiling_cents - sum(amendment.delta_cents for amendment in self.amendments)

    @property
    def open_until(self) -> date:
        """The last day that may be ordered for, as far as its renewals are decided."""
        return self.structure.open_until(self.ends_on)

    @property
    def lead(self) -> Cooperative:
        """The cooperative that leads the group."""
        return self.cooperatives[0]

    def check(self) -> None:
        """Refuse terms that contradict each other, all faults at once.

        Raises
        ------
        InvalidSiret, PartyTwice, PeriodReversed, CeilingMissing, ZoneUnknown, VatRateTwice, VatRateMissing,
        AlertLevelsInvalid, IbanInvalid, BicInvalid, VatNumberInvalid, DateTwice, ServiceCodeMissing,
        EngagementNumberMissing, what `Structure.faults` and `Award.faults` find, or Refusals with several of them.
        """
        faults: list[DomainError] = []
        if not is_siret(self.buyer.siret):
            faults.append(InvalidSiret(self.buyer.siret, "/buyer/siret"))
        faults.extend(
            InvalidSiret(cooperative.siret, f"/cooperatives/{index}/siret")
            for index, cooperative in enumerate(self.cooperatives)
            if not is_siret(cooperative.siret)
        )
        for index, cooperative in enumerate(self.cooperatives):
            faults.extend(
                seller_faults(
                    cooperative.siret,
                    cooperative.vat_regimes,
                    cooperative.iban,
                    cooperative.bic,
                    f"/cooperatives/{index}",
                )
            )
        faults.extend(self.directory_faults())
        faults.extend(_named_twice([party.id for party in self.cooperatives], "/cooperatives"))
        faults.extend(_named_twice([party.id for party in self.departments], "/departments"))
        if self.ends_on < self.starts_on:
            faults.append(PeriodReversed(self.starts_on, self.ends_on))
        if self.ceiling_cents <= 0:
            faults.append(CeilingMissing())
        if self.zone not in available_timezones():
            faults.append(ZoneUnknown(self.zone))
        days = [rate.valid_from for rate in self.vat_rates]
        faults.extend(
            VatRateTwice(day, f"/vat_rates/{index}/valid_from") for index, day in enumerate(days) if day in days[:index]
        )
        if not any(day <= self.starts_on for day in days):
            faults.append(VatRateMissing(self.starts_on))
        if any(not 1 <= level <= 100 for level in self.alert_percents) or list(self.alert_percents) != sorted(
            set(self.alert_percents)
        ):
            faults.append(AlertLevelsInvalid())
        departments = [department.id for department in self.departments]
        faults.extend(self.structure.faults(self.starts_on, self.ends_on, self.ceiling_cents, departments))
        if self.award is not None:
            faults.extend(self.award.faults([cooperative.id for cooperative in self.cooperatives]))
        if self.penalties is not None:
            faults.extend(self.penalties.check())
        if self.revision is not None:
            faults.extend(self.revision.check())
        if self.advance is not None:
            faults.extend(self.advance.check())
            if self.advance.cooperative_id not in ("", *(party.id for party in self.cooperatives)):
                faults.append(SellerNotInContract(self.advance.cooperative_id, self.reference))
        refuse_all(faults)

    def check_order(self, department_id: str, service_dates: Sequence[date]) -> None:
        """Refuse an order that this contract does not cover, all faults at once.

        Raises
        ------
        DepartmentNotInContract, DateOutsidePeriod, PeriodNotOpen, or Refusals with several of them.
        """
        faults: list[DomainError] = []
        if all(department.id != department_id for department in self.departments):
            faults.append(DepartmentNotInContract(department_id, self.reference))
        faults.extend(
            DateOutsidePeriod(day, self.starts_on, self.ends_on, self.reference)
            for day in service_dates
            if not self.starts_on <= day <= self.ends_on
        )
        closed = (self.structure.day_fault(day, self.reference) for day in service_dates)
        faults.extend(fault for fault in closed if fault is not None)
        refuse_all(faults)

    def seller(self, cooperative_id: str) -> Cooperative:
        """Return the cooperative that invoices; nobody in particular means the lead. Raises SellerNotInContract."""
        if not cooperative_id:
            return self.lead
        for cooperative in self.cooperatives:
            if cooperative.id == cooperative_id:
                return cooperative
        raise SellerNotInContract(cooperative_id, self.reference)

    def vat_permille(self, day: date) -> int:
        """Return the rate in force on a day. Raises ValueError before the first one: `check` keeps that out."""
        in_force = [rate for rate in self.vat_rates if rate.valid_from <= day]
        if not in_force:
            raise ValueError(f"no VAT rate on {day}")
        return max(in_force, key=lambda rate: rate.valid_from).permille

    def vat_permille_of(self, seller: Cooperative, day: date) -> int:
        """Return what a seller charges on a day: the contract's rate, or nothing under franchise."""
        regime = regime_on(seller.vat_regimes, day)
        return 0 if regime is not None and regime.is_franchise else self.vat_permille(day)

    def directory_faults(self) -> list[DomainError]:
        """Return what the directory, as last looked up, demands of this buyer's invoices and the contract lacks."""
        entries = self.buyer.directory_entries
        faults = dates_twice([one.looked_up_on for one in entries], "/buyer/directory_entries", "looked_up_on")
        last = entry_on(entries, date.max)
        if last is not None and last.demands_service_code and not self.buyer.service_code:
            faults.append(ServiceCodeMissing(last.looked_up_on))
        if last is not None and last.demands_engagement_number and not self.buyer.engagement_number:
            faults.append(EngagementNumberMissing(last.looked_up_on))
        return faults

    def local_date(self, instant: datetime) -> date:
        """Return the calendar day of an aware instant where the contract lives."""
        return instant.astimezone(ZoneInfo(self.zone)).date()


def _named_twice(ids: Sequence[str], pointer: str) -> list[DomainError]:
    return [PartyTwice(id_, f"{pointer}/{index}/id") for index, id_ in enumerate(ids) if id_ in ids[:index]]
