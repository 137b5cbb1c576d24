"""Dated unit prices: a leg becomes priced lines that name the version of the list they come from.

Each load kind a leg carries must have its own line, 0.00 where carrying it is included: nothing is free by accident.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from services.billing.domain.coefficient import Coefficient
from services.billing.domain.errors import (
    LoadCountInvalid,
    LoadKindMisplaced,
    LoadNotPriced,
    NoPriceList,
    PriceLineTwice,
    PriceListDateTaken,
)
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


@dataclass(frozen=True, slots=True)
class PriceLine:
    """A unit price excluding tax. `load_kind` is set for Unit.LOAD and empty otherwise."""

    code: str
    label: str
    unit: Unit
    unit_price_cents: int
    load_kind: str = ""


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
        PriceLineTwice, LoadKindMisplaced, or Refusals with several of them.
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
        refuse_all(faults)

    def price(self, leg: LegToPrice) -> Estimate:
        """Price a leg, lines in the list's order.

        Raises
        ------
        LoadNotPriced, LoadCountInvalid, or Refusals with several of them.
        """
        priced_kinds = {line.load_kind for line in self.lines}
        faults: list[DomainError] = []
        for load in leg.loads:
            if load.kind not in priced_kinds:
                faults.append(LoadNotPriced(load.kind, load.label, self.version))
            if not 1 <= load.count <= MOST_LOADS:
                faults.append(LoadCountInvalid(load.kind, load.label, load.count, MOST_LOADS))
        refuse_all(faults)
        counts: dict[str, int] = {}
        for load in leg.loads:
            counts[load.kind] = counts.get(load.kind, 0) + load.count
        quantities = {Unit.LEG: 1, Unit.TRAILER: int(leg.needs_trailer)}
        lines = []
        for line in self.lines:
            quantity = counts.get(line.load_kind, 0) if line.unit is Unit.LOAD else quantities[line.unit]
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


def estimate(price_lists: Sequence[PriceList], legs: Sequence[LegToPrice]) -> tuple[Estimate, ...]:
    """Price every leg with the list in force on its service date, all faults at once.

    Raises
    ------
    NoPriceList, LoadNotPriced, or Refusals with several of them.
    """
    estimates: list[Estimate] = []
    faults: list[DomainError] = []
    for leg in legs:
        try:
            estimates.append(in_force(price_lists, leg.service_date).price(leg))
        except DomainError as fault:
            faults.append(fault)
    refuse_all(faults)
    return tuple(estimates)
