"""Dated unit prices: a leg becomes priced lines that name the version of the list they come from.

Each load kind a leg carries must have its own line, 0.00 where carrying it is included: nothing is free by accident.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from itertools import pairwise

from services.billing.domain.coefficient import Coefficient
from services.billing.domain.errors import (
    DistanceNotPriced,
    LoadCountInvalid,
    LoadKindMisplaced,
    LoadNotPriced,
    NoPriceList,
    PriceBandInvalid,
    PriceLineTwice,
    PriceListDateTaken,
)
from services.billing.domain.leg_facts import NOTHING_TOLD, LegFacts, is_public_holiday
from services.kit.errors import DomainError, refuse_all

MOST_LOADS = 100_000
"""Of one kind on one leg; with the largest unit price, still far inside 64 bits."""


class Unit(StrEnum):
    """What one unit of a price is."""

    LEG = "leg"
    """One trip, whatever it carries."""
    TRAILER = "trailer"
    """One trip that needs a trailer, on top."""
    LOAD = "load"
    """One unit of a load kind."""
    ORDER = "order"
    """One order, on its first trip."""
    STOP = "stop"
    """One stop; a trip has two."""
    DISTANCE = "distance"
    """One trip of a distance within the band, in metres as the crow flies."""
    HOURS = "hours"
    """One trip whose pickup window starts within the band, in minutes after local midnight, on top."""
    SATURDAY_OR_SUNDAY = "weekend"
    """One trip on a Saturday or a Sunday that is no public holiday, on top."""
    PUBLIC_HOLIDAY = "public_holiday"
    """One trip on a public holiday, on top."""
    URGENT = "urgent"
    """One trip ordered so few minutes before its pickup window as the band says, on top."""


BANDS = {Unit.DISTANCE: 1_000_000, Unit.HOURS: 24 * 60, Unit.URGENT: 60 * 24 * 31}
"""The units whose lines have a band, and where it ends at most."""


BY_FACTS = frozenset((*BANDS, Unit.ORDER))
"""The units that depend on a leg's facts."""


@dataclass(frozen=True, slots=True)
class PriceLine:
    """A unit price excluding tax. `load_kind` is set for Unit.LOAD and empty otherwise.

    A unit with a band applies from `at_least` on and below `below`; both are 0 otherwise.
    """

    code: str
    label: str
    unit: Unit
    unit_price_cents: int
    load_kind: str = ""
    at_least: int = 0
    below: int = 0

    def is_within(self, value: int | None) -> bool:
        """Return whether a value is in the band; one that is not known never is."""
        return value is not None and self.at_least <= value < self.below


@dataclass(frozen=True, slots=True)
class Load:
    """How many of a load kind a leg carries; `label` is what people call it."""

    kind: str
    label: str
    count: int


@dataclass(frozen=True, slots=True)
class LegToPrice:
    """What of a leg decides its price."""

    number: int
    service_date: date
    needs_trailer: bool
    loads: tuple[Load, ...]
    facts: LegFacts = NOTHING_TOLD


@dataclass(frozen=True, slots=True)
class PricedLine:
    """A line of an estimate: quantity times unit price, whole cents."""

    code: str
    label: str
    unit: Unit
    quantity: int
    unit_price_cents: int
    load_kind: str = ""

    @property
    def amount_cents(self) -> int:
        """Exact: both factors are whole numbers."""
        return self.quantity * self.unit_price_cents


@dataclass(frozen=True, slots=True)
class Estimate:
    """What one leg is expected to cost, and by which list; `coefficient` is set where it is held at revised prices."""

    leg: int
    price_list_id: str
    price_list_version: int
    lines: tuple[PricedLine, ...]
    coefficient: Coefficient | None = None

    @property
    def base_cents(self) -> int:
        """The sum of the lines at the list's prices."""
        return sum(line.amount_cents for line in self.lines)

    @property
    def amount_cents(self) -> int:
        """The sum of the lines, each at its revised price when there is a coefficient."""
        if self.coefficient is None:
            return self.base_cents
        return sum(self.coefficient.cents(line.quantity, line.unit_price_cents) for line in self.lines)


@dataclass(frozen=True, slots=True)
class PriceList:
    """A version of the contract's price list, in force from a day until the next one starts."""

    id: str
    contract_id: str
    version: int
    valid_from: date
    lines: tuple[PriceLine, ...]
    published_at: datetime

    def check(self) -> None:
        """Refuse a list that prices a thing twice or names no load kind where it must, all faults at once.

        Raises
        ------
        PriceLineTwice, LoadKindMisplaced, PriceBandInvalid, or Refusals with several of them.
        """
        faults: list[DomainError] = []
        codes: set[str] = set()
        kinds: set[str] = set()
        for index, line in enumerate(self.lines):
            pointer = f"/lines/{index}"
            if line.code in codes:
                faults.append(PriceLineTwice(line.code, f"{pointer}/code"))
            codes.add(line.code)
            if (line.unit is Unit.LOAD) != bool(line.load_kind):
                faults.append(LoadKindMisplaced(line.code, f"{pointer}/load_kind", is_missing=not line.load_kind))
            elif line.load_kind in kinds:
                faults.append(PriceLineTwice(line.load_kind, f"{pointer}/load_kind"))
            if line.load_kind:
                kinds.add(line.load_kind)
            most = BANDS.get(line.unit, 0)
            is_band = 0 <= line.at_least < line.below <= most
            if not is_band if most else (line.at_least or line.below):
                faults.append(PriceBandInvalid(line.code, f"{pointer}/below", most))
        faults.extend(
            PriceBandInvalid(later.code, f"/lines/{self.lines.index(later)}/at_least", BANDS[Unit.DISTANCE])
            for earlier, later in pairwise(
                sorted((line for line in self.lines if line.unit is Unit.DISTANCE), key=lambda line: line.at_least)
            )
            if later.at_least < earlier.below
        )
        refuse_all(faults)

    @property
    def is_priced_by_facts(self) -> bool:
        """Whether a leg's price may depend on what its order tells of it beyond its loads."""
        return any(line.unit in BY_FACTS for line in self.lines)

    def price(self, leg: LegToPrice, zone: str = "Europe/Paris") -> Estimate:
        """Price a leg, lines in the list's order; `zone` is where the contract's local hours are.

        Raises
        ------
        LoadNotPriced, LoadCountInvalid, DistanceNotPriced, or Refusals with several of them.
        """
        priced_kinds = {line.load_kind for line in self.lines}
        faults: list[DomainError] = []
        for load in leg.loads:
            if load.kind not in priced_kinds:
                faults.append(LoadNotPriced(load.kind, load.label, self.version))
            if not 1 <= load.count <= MOST_LOADS:
                faults.append(LoadCountInvalid(load.kind, load.label, load.count, MOST_LOADS))
        by_distance = [line for line in self.lines if line.unit is Unit.DISTANCE]
        if by_distance and not any(line.is_within(leg.facts.metres) for line in by_distance):
            faults.append(DistanceNotPriced(leg.facts.metres, self.version))
        refuse_all(faults)
        counts: dict[str, int] = {}
        for load in leg.loads:
            counts[load.kind] = counts.get(load.kind, 0) + load.count
        is_holiday = is_public_holiday(leg.service_date)
        quantities = {
            Unit.LEG: 1,
            Unit.TRAILER: int(leg.needs_trailer),
            Unit.ORDER: int(leg.facts.is_first),
            Unit.STOP: 2,
            Unit.SATURDAY_OR_SUNDAY: int(leg.service_date.weekday() >= 5 and not is_holiday),
            Unit.PUBLIC_HOLIDAY: int(is_holiday),
        }
        in_bands = {
            Unit.DISTANCE: leg.facts.metres,
            Unit.HOURS: leg.facts.minute_of_day(zone),
            Unit.URGENT: leg.facts.minutes_ahead,
        }
        lines = []
        for line in self.lines:
            if line.unit is Unit.LOAD:
                quantity = counts.get(line.load_kind, 0)
            elif line.unit in in_bands:
                quantity = int(line.is_within(in_bands[line.unit]))
            else:
                quantity = quantities[line.unit]
            if quantity:
                lines.append(
                    PricedLine(line.code, line.label, line.unit, quantity, line.unit_price_cents, line.load_kind)
                )
        return Estimate(leg.number, self.id, self.version, tuple(lines))


def check_next(price_lists: Sequence[PriceList], valid_from: date) -> date | None:
    """Refuse a second list of the same day; return the day on which an already published list ends this one.

    Raises
    ------
    PriceListDateTaken
    """
    for price_list in price_lists:
        if price_list.valid_from == valid_from:
            raise PriceListDateTaken(valid_from, price_list.version)
    return min((one.valid_from for one in price_lists if one.valid_from > valid_from), default=None)


def in_force(price_lists: Sequence[PriceList], service_date: date) -> PriceList:
    """Return the list in force on a day: the one that started last. Raises NoPriceList."""
    started = [price_list for price_list in price_lists if price_list.valid_from <= service_date]
    if not started:
        raise NoPriceList(service_date)
    return max(started, key=lambda price_list: price_list.valid_from)


def estimate(
    price_lists: Sequence[PriceList], legs: Sequence[LegToPrice], zone: str = "Europe/Paris"
) -> tuple[Estimate, ...]:
    """Price every leg with the list in force on its service date, all faults at once.

    Raises
    ------
    NoPriceList, LoadNotPriced, or Refusals with several of them.
    """
    estimates: list[Estimate] = []
    faults: list[DomainError] = []
    for leg in legs:
        try:
            estimates.append(in_force(price_lists, leg.service_date).price(leg, zone))
        except DomainError as fault:
            faults.append(fault)
    refuse_all(faults)
    return tuple(estimates)
