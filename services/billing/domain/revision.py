"""Price revision as a contract words it: which index of which month moves its unit prices, and how it is rounded.

An index value is a dated row with its source, added and never edited: a provisional one is followed by the definitive
one. Where a series was replaced, the row's value is the new series' times the published link, as its source says.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from services.billing.domain.coefficient import Coefficient, IndexUse, Rounding, rounded_to
from services.billing.domain.errors import (
    ClauseIndexUnknown,
    IndexTwice,
    IndexValueDefinitive,
    IndexValueMissing,
    IndexValueRefused,
    RevisionTermInvalid,
    RevisionWeightsInvalid,
)
from services.billing.domain.month import Month
from services.kit.errors import DomainError, refuse_all


class IndexStatus(StrEnum):
    """Whether its publisher may still change it."""

    PROVISIONAL = "provisional"
    DEFINITIVE = "definitive"


@dataclass(frozen=True, slots=True)
class IndexValue:
    """What an index was in a month, as published on a day; `version` counts the rows of the same month from 1."""

    index_id: str
    month: Month
    value: Decimal
    status: IndexStatus
    published_on: date
    source: str
    version: int
    recorded_at: datetime


@dataclass(frozen=True)
class Indices:
    """The index values a contract can be revised by: of each month, the row published last counts."""

    values: tuple[IndexValue, ...] = ()
    _latest: dict[tuple[str, Month], IndexValue] = field(init=False, repr=False, compare=False)
    _first: dict[tuple[str, Month], IndexValue] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_version = sorted(self.values, key=lambda value: value.version)
        object.__setattr__(self, "_latest", {(value.index_id, value.month): value for value in by_version})
        object.__setattr__(self, "_first", {(value.index_id, value.month): value for value in reversed(by_version)})

    def known_at(self, instant: datetime) -> "Indices":
        """Return what was recorded by then: a month closed anew comes to the same, whatever was published since."""
        return Indices(tuple(value for value in self.values if value.recorded_at <= instant))

    def knows(self, index_id: str) -> bool:
        """Return whether there is any value of it."""
        return any(value.index_id == index_id for value in self.values)

    def at(self, index_id: str, month: Month) -> IndexValue | None:
        """Return the value of a month, if it is out."""
        return self._latest.get((index_id, month))

    def last_known(self, index_id: str, until: Month, *, published_by: date | None = None) -> IndexValue | None:
        """Return the value of the latest month up to `until`, among those first published by a day if one is given."""
        months = [
            month
            for (known_id, month), first in self._first.items()
            if known_id == index_id and month <= until and (published_by is None or first.published_on <= published_by)
        ]
        return self._latest[index_id, max(months)] if months else None


def check_next(known: Sequence[IndexValue], value: IndexValue) -> None:
    """Refuse a value that could not follow those of its month: after a definitive one there is no other.

    Raises
    ------
    IndexValueRefused, IndexValueDefinitive, or Refusals with both.
    """
    faults: list[DomainError] = []
    if value.value <= 0 or value.published_on < value.month.first_day:
        faults.append(IndexValueRefused(value.index_id, str(value.month)))
    if any(other.status is IndexStatus.DEFINITIVE for other in known):
        faults.append(IndexValueDefinitive(value.index_id, str(value.month)))
    refuse_all(faults)


class IndexChoice(StrEnum):
    """Which month's index a price is revised with."""

    EXECUTION = "execution"
    """The month the work was done; the last known one meanwhile, marked provisional."""
    LAST_KNOWN = "last_known"
    """The latest one published by the end of the month the work was done."""
    ORDER = "order"
    """The month of the order."""
    START = "start"
    """The contract's first month, whenever the work is done: an actualisation, once."""


class CeilingBasis(StrEnum):
    """At which prices deliveries stand under the maximum."""

    REVISED = "revised"
    BASE_PRICE = "base_price"
    """The maximum excludes what revision adds."""


@dataclass(frozen=True, slots=True)
class IndexWeight:
    """How much of the price follows an index."""

    index_id: str
    weight: Decimal


@dataclass(frozen=True, slots=True)
class RevisionTerms:
    """C = fixed + sum of weight x index / index of `base_month`; then P = P0 x C.

    The wanted month is that of `choice`, brought back to the first of its `every_months` (counted from `first_month`,
    the contract's), then `lag_months` earlier. The coefficient is rounded to `step`, the price to `price_decimals`.
    `yearly_cap_permille` is how much a coefficient may exceed that of the same month one year before (1 in the first
    year). With `only_beyond_months`, nothing moves unless more months than this lie between `base_month` and
    `first_month`: the condition of an actualisation.

    Sources: CCP R2112-13 and -14; CCAG-FCS 2021, article 10 (three months, up to the higher thousandth).
    """

    fixed: Decimal
    weights: tuple[IndexWeight, ...]
    base_month: Month
    first_month: Month
    choice: IndexChoice = IndexChoice.EXECUTION
    lag_months: int = 0
    every_months: int = 1
    rounding: Rounding = Rounding.UP
    step: Decimal = Decimal("0.001")
    price_decimals: int = 4
    yearly_cap_permille: int | None = None
    ceiling_basis: CeilingBasis = CeilingBasis.REVISED
    only_beyond_months: int = 0

    def check(self) -> list[DomainError]:
        """Return what is wrong with the terms alone: RevisionWeightsInvalid, IndexTwice, RevisionTermInvalid."""
        faults: list[DomainError] = []
        total = self.fixed + sum((part.weight for part in self.weights), Decimal(0))
        if total != 1 or self.fixed < 0 or not self.weights or any(part.weight <= 0 for part in self.weights):
            faults.append(RevisionWeightsInvalid(format(total, "f")))
        ids = [part.index_id for part in self.weights]
        faults.extend(
            IndexTwice(index_id, f"/revision/weights/{place}/index_id")
            for place, index_id in enumerate(ids)
            if index_id in ids[:place]
        )
        allowed = {
            "step": 0 < self.step <= Decimal("0.01"),
            "price_decimals": self.price_decimals in (2, 3, 4),
            "every_months": 1 <= self.every_months <= 12,
            "lag_months": 0 <= self.lag_months <= 12,
            "yearly_cap_permille": self.yearly_cap_permille is None or 0 <= self.yearly_cap_permille <= 1000,
            "only_beyond_months": 0 <= self.only_beyond_months <= 48,
        }
        faults.extend(RevisionTermInvalid(f"/revision/{name}") for name, is_right in allowed.items() if not is_right)
        return faults

    def check_indices(self, indices: Indices) -> None:
        """Refuse terms whose indices nobody recorded, all faults at once.

        Raises
        ------
        ClauseIndexUnknown, IndexValueMissing, or Refusals with several of them
        """
        faults: list[DomainError] = []
        for place, part in enumerate(self.weights):
            pointer = f"/revision/weights/{place}/index_id"
            if not indices.knows(part.index_id):
                faults.append(ClauseIndexUnknown(part.index_id, pointer))
            elif indices.at(part.index_id, self.base_month) is None:
                faults.append(IndexValueMissing(part.index_id, str(self.base_month), pointer))
        refuse_all(faults)

    @property
    def is_idle(self) -> bool:
        """Whether an actualisation's condition is not met: no price moves."""
        return months_between(self.base_month, self.first_month) < self.only_beyond_months + bool(
            self.only_beyond_months
        )

    def period(self, *, executed: Month, ordered: Month) -> Month:
        """Return which month decides about the price of work done in a month and ordered in a month."""
        return ordered if self.choice is IndexChoice.ORDER else executed

    def coefficient(self, indices: Indices, period: Month) -> Coefficient:
        """Return what the prices of a `period` are multiplied by, as known today.

        Raises
        ------
        IndexValueMissing
            When an index has no value at its base month: `check_indices` keeps that out.
        """
        uses = tuple(self._use(indices, part, period) for part in self.weights)
        exact = Fraction(self.fixed) + sum(
            (Fraction(use.weight) * Fraction(use.value) / Fraction(use.base_value) for use in uses), Fraction(0)
        )
        is_provisional = any(use.is_provisional for use in uses)
        if self.is_idle:
            exact, is_provisional = Fraction(1), False
        value = rounded_to(exact, self.step, self.rounding)
        is_capped = False
        if self.yearly_cap_permille is not None:
            before, was_provisional = self._year_before(indices, period)
            most = Fraction(before) * (1000 + self.yearly_cap_permille) / 1000
            if value > most:
                # Down, whatever the contract's rounding: rounded up it would pass the cap.
                value = rounded_to(most, self.step, Rounding.DOWN)
                is_capped, is_provisional = True, is_provisional or was_provisional
        return Coefficient(
            value=value,
            exact=exact,
            fixed=self.fixed,
            uses=uses,
            rounding=self.rounding,
            step=self.step,
            price_decimals=self.price_decimals,
            is_provisional=is_provisional,
            is_capped=is_capped,
        )

    def _year_before(self, indices: Indices, period: Month) -> tuple[Decimal, bool]:
        earlier = shifted(period, -12)
        if earlier < self.first_month:
            return Decimal(1), False
        before = self.coefficient(indices, earlier)
        return before.value, before.is_provisional

    def _use(self, indices: Indices, part: IndexWeight, period: Month) -> IndexUse:
        base = indices.at(part.index_id, self.base_month)
        if base is None:
            raise IndexValueMissing(part.index_id, str(self.base_month))
        wanted = self._wanted(period)
        if self.choice is IndexChoice.LAST_KNOWN:
            known = indices.last_known(part.index_id, wanted, published_by=period.last_day) or base
            wanted = known.month
        else:
            known = indices.last_known(part.index_id, wanted) or base
        return IndexUse(
            index_id=part.index_id,
            weight=part.weight,
            base_month=str(base.month),
            base_value=base.value,
            wanted_month=str(wanted),
            month=str(known.month),
            value=known.value,
            version=known.version,
            is_provisional=known.month != wanted or known.status is IndexStatus.PROVISIONAL,
        )

    def _wanted(self, period: Month) -> Month:
        month = self.first_month if self.choice is IndexChoice.START else period
        since = months_between(self.first_month, month)
        if since > 0:
            month = shifted(month, -(since % self.every_months))
        return shifted(month, -self.lag_months)


def months_between(earlier: Month, later: Month) -> int:
    """Return how many months `later` comes after `earlier`."""
    return (later.year - earlier.year) * 12 + later.number - earlier.number


def shifted(month: Month, count: int) -> Month:
    """Return the month so many months later."""
    year, number = divmod(month.year * 12 + month.number - 1 + count, 12)
    return Month(year, number + 1)


def index_ids(terms: Iterable[RevisionTerms]) -> set[str]:
    """Return the indices these terms follow."""
    return {part.index_id for one in terms for part in one.weights}
