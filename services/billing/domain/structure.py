"""How a contract is cut: periods, lots and budgets, each with a maximum of its own, and in which of them a leg counts.

The whole life is no part: its maximum is the contract's ceiling. A contract without parts has that one alone.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from services.billing.domain.ceiling_errors import (
    BudgetForEverything,
    FirmPeriodMisplaced,
    LegInNoLot,
    MaximaDisagree,
    MaximumMissing,
    NamedTwice,
    PartyUnknown,
    PeriodNotOpen,
    PeriodsNotInSequence,
    PeriodUnknown,
)
from services.kit.errors import DomainError

A_DAY = timedelta(days=1)


class Decision(StrEnum):
    """How a period comes to run."""

    FIRM = "firm"
    """The first one: it runs."""
    TACIT = "tacit"
    """A renewal that runs unless it is declined before it begins."""
    EXPLICIT = "explicit"
    """A renewal that runs once it is decided, which its decision date says."""
    DECLINED = "declined"
    """A renewal that will not run."""


@dataclass(frozen=True, slots=True)
class Period:
    """A span of service dates, both ends included, with a maximum excluding tax."""

    number: int
    starts_on: date
    ends_on: date
    maximum_cents: int
    decision: Decision
    decided_on: date | None = None

    @property
    def key(self) -> str:
        """Its name among the scopes."""
        return f"period:{self.number}"

    @property
    def name(self) -> str:
        """What people call it, in French."""
        return "période ferme" if self.number == 1 else f"reconduction n° {self.number - 1}"

    @property
    def is_open(self) -> bool:
        """Whether its days may be ordered for."""
        if self.decision is Decision.EXPLICIT:
            return self.decided_on is not None
        return self.decision is not Decision.DECLINED

    @property
    def is_decided(self) -> bool:
        """Whether there is nothing left to decide."""
        return self.decision in (Decision.FIRM, Decision.DECLINED) or self.decided_on is not None


@dataclass(frozen=True, slots=True)
class Lot:
    """A part of what was bought. Empty `departments` or `load_kinds` mean all of them."""

    number: int
    title: str
    cpv: str
    maximum_cents: int
    departments: tuple[str, ...] = ()
    load_kinds: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Its name among the scopes."""
        return f"lot:{self.number}"

    @property
    def name(self) -> str:
        """What people call it, in French."""
        return f"lot n° {self.number} {self.title}"

    def covers(self, department_id: str, load_kinds: Collection[str]) -> bool:
        """Return whether it takes a department's leg with all these loads."""
        is_theirs = not self.departments or department_id in self.departments
        return is_theirs and (not self.load_kinds or all(kind in self.load_kinds for kind in load_kinds))


@dataclass(frozen=True, slots=True)
class Budget:
    """The most that a department, a fiscal year or a department in a year may commit, excluding tax.

    A leg counts in the year of its service date: the budget year of a French local authority is the calendar year.
    """

    maximum_cents: int
    department_id: str = ""
    year: int | None = None

    @property
    def key(self) -> str:
        """Its name among the scopes."""
        return f"budget:{self.department_id}:{self.year or ''}"

    @property
    def name(self) -> str:
        """What people call it, in French."""
        whose = f" du service « {self.department_id} »" if self.department_id else ""
        return f"budget{whose}{f', exercice {self.year}' if self.year else ''}"

    def covers(self, department_id: str, day: date) -> bool:
        """Return whether a department's leg of a day counts in it."""
        return self.department_id in ("", department_id) and self.year in (None, day.year)


Part = Period | Lot | Budget


@dataclass(frozen=True, slots=True)
class Structure:
    """The parts of a contract."""

    periods: tuple[Period, ...] = ()
    lots: tuple[Lot, ...] = ()
    budgets: tuple[Budget, ...] = ()

    def __iter__(self) -> Iterator[Part]:
        yield from self.periods
        yield from self.lots
        yield from self.budgets

    def faults(
        self, starts_on: date, ends_on: date, ceiling_cents: int, departments: Collection[str]
    ) -> list[DomainError]:
        """Return all that contradicts the contract, or another part of it."""
        faults = self._period_faults(starts_on, ends_on)
        for what, french, parts in (("periods", "périodes", self.periods), ("lots", "lots", self.lots)):
            maxima = [part.maximum_cents for part in parts]
            if maxima and (sum(maxima) < ceiling_cents or max(maxima) > ceiling_cents):
                faults.append(
                    MaximaDisagree(french, sum_cents=sum(maxima), ceiling_cents=ceiling_cents, pointer=f"/{what}")
                )
        named: set[str] = set()
        for pointer, part in self._pointed():
            if part.maximum_cents <= 0:
                faults.append(MaximumMissing(part.name, f"{pointer}/maximum"))
            if part.key in named and not isinstance(part, Period):
                faults.append(NamedTwice(part.name, pointer))
            named.add(part.key)
            theirs = part.departments if isinstance(part, Lot) else ()
            if isinstance(part, Budget):
                theirs = (part.department_id,) if part.department_id else ()
                if part.key == Budget(0).key:
                    faults.append(BudgetForEverything(pointer))
            faults.extend(PartyUnknown(one, pointer) for one in theirs if one not in departments)
        return faults

    def _pointed(self) -> Iterator[tuple[str, Part]]:
        yield from ((f"/periods/{index}", period) for index, period in enumerate(self.periods))
        yield from ((f"/lots/{index}", lot) for index, lot in enumerate(self.lots))
        yield from ((f"/budgets/{index}", budget) for index, budget in enumerate(self.budgets))

    def _period_faults(self, starts_on: date, ends_on: date) -> list[DomainError]:
        faults: list[DomainError] = []
        due = starts_on
        for index, period in enumerate(self.periods):
            pointer = f"/periods/{index}"
            is_last = index == len(self.periods) - 1
            is_right = period.number == index + 1 and period.starts_on == due and period.ends_on >= period.starts_on
            if not is_right or (is_last and period.ends_on != ends_on):
                faults.append(PeriodsNotInSequence(index + 1, due, ends_on if is_last else None, pointer))
            if (period.decision is Decision.FIRM) != (index == 0):
                faults.append(FirmPeriodMisplaced(f"{pointer}/decision", is_first=index == 0))
            due = period.ends_on + A_DAY
        return faults

    def period_on(self, day: date) -> Period | None:
        """Return the period a service date is in; None when the contract is not cut into periods."""
        return next((period for period in self.periods if period.starts_on <= day <= period.ends_on), None)

    def period(self, number: int) -> Period:
        """Return a period. Raises PeriodUnknown."""
        for period in self.periods:
            if period.number == number:
                return period
        raise PeriodUnknown(number)

    def open_until(self, ends_on: date) -> date:
        """Return the last day that may be ordered for, of a contract that ends on `ends_on`."""
        last = ends_on
        for period in self.periods:
            if not period.is_open:
                return period.starts_on - A_DAY
            last = period.ends_on
        return last

    def day_fault(self, day: date, reference: str) -> DomainError | None:
        """Return why a day in the contract's span may not be ordered for, if it may not."""
        period = self.period_on(day)
        if period is None or period.is_open:
            return None
        return PeriodNotOpen(day, period.name, reference, is_declined=period.decision is Decision.DECLINED)

    def lot_of(self, leg: int, department_id: str, load_kinds: Collection[str]) -> int:
        """Return the number of the first lot that takes a leg; 0 when the contract has no lots. Raises LegInNoLot."""
        if not self.lots:
            return 0
        for lot in self.lots:
            if lot.covers(department_id, load_kinds):
                return lot.number
        raise LegInNoLot(leg, department_id)

    def scopes_of(self, department_id: str, day: date, lot: int) -> tuple[str, ...]:
        """Return the keys of all parts in which a department's leg of a day and lot counts."""
        period = self.period_on(day)
        return (
            *([period.key] if period else ()),
            *(one.key for one in self.lots if one.number == lot),
            *(budget.key for budget in self.budgets if budget.covers(department_id, day)),
        )
