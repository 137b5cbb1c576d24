"""A closed month of one seller under one contract: numbered, summed up, never changed again.

Numbers are counted per seller's SIRET and calendar year without a gap; the count is taken in the closing transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from services.billing.domain.ceiling import Ceiling, Scope
from services.billing.domain.charge import Acceptance, Charge, Rule
from services.billing.domain.contract import Buyer, Contract, Cooperative
from services.billing.domain.errors import LaterMonthClosed, MonthBeforeContract, MonthNotOver
from services.billing.domain.money import Tax, taxes, totals_by_rate
from services.billing.domain.price_list import Unit


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """A calendar month."""

    year: int
    number: int

    @classmethod
    def parse(cls, text: str) -> "Month":
        """Read "2026-11". Raises ValueError for anything else."""
        day = date.fromisoformat(f"{text}-01")
        return cls(day.year, day.month)

    @classmethod
    def of(cls, day: date) -> "Month":
        """Return the month a day is in."""
        return cls(day.year, day.month)

    @property
    def first_day(self) -> date:
        """Its first day."""
        return date(self.year, self.number, 1)

    @property
    def last_day(self) -> date:
        """Its last day."""
        return self.next.first_day - timedelta(days=1)

    @property
    def next(self) -> "Month":
        """The month after it."""
        return Month(self.year + 1, 1) if self.number == 12 else Month(self.year, self.number + 1)

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.number:02d}"


@dataclass(frozen=True, slots=True)
class Item:
    """All charged lines of one price at one tax rate.

    What a rule of the contract charges has `price_list_version` 0 and no unit price: each leg has its own.
    """

    code: str
    label: str
    unit: Unit
    price_list_version: int
    quantity: int
    unit_price_cents: int | None
    vat_permille: int
    amount_cents: int


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is taken off a statement at one tax rate for one reason: price cuts of the buyer, earlier credits."""

    reason: str
    vat_permille: int
    legs: int
    amount_cents: int


@dataclass(frozen=True, slots=True)
class DepartmentTotal:
    """One department's share of a statement, excluding tax, for the city's internal accounts."""

    id: str
    name: str
    legs: int
    amount_cents: int


@dataclass(frozen=True, slots=True)
class Gauge:
    """What stood under the ceiling once this month was closed, in cents excluding tax."""

    ceiling_cents: int
    invoiced_cents: int
    owed_cents: int
    held_cents: int

    @classmethod
    def of(cls, ceiling: Ceiling | Scope) -> "Gauge":
        """Take the figures of a ceiling, or of one scope of it."""
        return cls(ceiling.ceiling_cents, ceiling.invoiced_cents, ceiling.owed_cents, ceiling.held_cents)

    @property
    def committed_cents(self) -> int:
        """Held, owed and invoiced together."""
        return self.invoiced_cents + self.owed_cents + self.held_cents

    @property
    def left_cents(self) -> int:
        """What may still be ordered."""
        return self.ceiling_cents - self.committed_cents


@dataclass(frozen=True, slots=True)
class ScopeGauge:
    """What stood under the maximum of one part of the contract: a period, a lot or a budget."""

    key: str
    name: str
    gauge: Gauge

    @classmethod
    def all_of(cls, ceiling: Ceiling) -> "tuple[ScopeGauge, ...]":
        """Take the figures of every part."""
        return tuple(cls(scope.key, scope.name, Gauge.of(scope)) for scope in ceiling.scopes)


@dataclass(frozen=True, slots=True)
class Statement:
    """A month's account as it was frozen; parties are copies, so that later changes of a contract leave it alone.

    `replaces` is the number of the refused statement that this one bills anew, empty for any other. `scopes` are the
    gauges of the contract's parts, frozen with its own.
    """

    id: str
    contract_id: str
    contract_reference: str
    contract_title: str
    buyer: Buyer
    seller: Cooperative
    number: str
    month: Month
    issued_on: date
    closed_at: datetime
    items: tuple[Item, ...]
    taxes: tuple[Tax, ...]
    departments: tuple[DepartmentTotal, ...]
    legs: int
    first_day: date
    last_day: date
    gauge: Gauge
    allowances: tuple[Allowance, ...] = ()
    replaces: str = ""
    scopes: tuple[ScopeGauge, ...] = ()
    prepaid_cents: int = 0
    """What of it was paid in advance (BT-113); no line, and no part of any total."""

    @property
    def due_cents(self) -> int:
        """What is left to pay, including tax."""
        return self.gross_cents - self.prepaid_cents

    @property
    def net_cents(self) -> int:
        """Total excluding tax."""
        allowed_cents = sum(allowance.amount_cents for allowance in self.allowances)
        return sum(item.amount_cents for item in self.items) - allowed_cents

    @property
    def tax_cents(self) -> int:
        """Total tax."""
        return sum(tax.tax_cents for tax in self.taxes)

    @property
    def gross_cents(self) -> int:
        """Total including tax."""
        return self.net_cents + self.tax_cents


def number_text(year: int, count: int) -> str:
    """Return the number of a seller's count-th statement of a year, such as "2026-00042"."""
    return f"{year:04d}-{count:05d}"


def check_month(contract: Contract, month: Month, *, latest_closed: Month | None, today: date) -> None:
    """Refuse to close a month that is not over, before the contract, or overtaken by a later closing.

    Raises
    ------
    MonthNotOver, MonthBeforeContract, LaterMonthClosed
    """
    if today <= month.last_day:
        raise MonthNotOver(str(month))
    if month.last_day < contract.starts_on:
        raise MonthBeforeContract(str(month), contract.starts_on)
    if latest_closed is not None and month < latest_closed:
        raise LaterMonthClosed(str(month), str(latest_closed))


def next_due(
    contract: Contract, *, latest_closed: Month | None, has_unbilled: bool, today: date, delay_days: int
) -> Month | None:
    """Return the month a schedule should close now: the oldest open one that ended more than `delay_days` ago.

    After the contract's last month there is one more only when something came too late (`has_unbilled`).
    """
    month = latest_closed.next if latest_closed else Month.of(contract.starts_on)
    is_wanted = month <= Month.of(contract.ends_on) or has_unbilled
    return month if is_wanted and month.last_day + timedelta(days=delay_days) < today else None


def close(
    contract: Contract,
    seller: Cooperative,
    month: Month,
    charges: Sequence[Charge],
    *,
    statement_id: str,
    number: str,
    gauge: Gauge,
    at: datetime,
    replaces: str = "",
    scopes: Sequence[ScopeGauge] = (),
) -> Statement:
    """Sum up a seller's settled legs into the month's statement. Items stand in a stable order: code, version, price.

    Items show full prices; what the buyer cut is taken off below them, by reason and tax rate.

    Raises
    ------
    ValueError
        When a charge is not settled, not the seller's, not billable, contested, or later than the month.
    """
    allowances: dict[tuple[str, int], Allowance] = {}
    items: dict[tuple[str, int, int, int, str], Item] = {}
    for charge in charges:
        settlement = charge.settlement
        if (
            settlement is None
            or not settlement.is_billable
            or settlement.cooperative_id != seller.id
            or settlement.settled_on > month.last_day
            or charge.statement_id
            or charge.acceptance in (Acceptance.DISPUTED, Acceptance.REJECTED)
        ):
            raise ValueError(f"not a charge of {seller.id} in {month}: {charge.order_id}, leg {charge.leg}")
        by_list = settlement.rule is Rule.AS_COUNTED
        for line in settlement.lines:
            version = charge.estimate.price_list_version if by_list else 0
            price_cents = line.unit_price_cents if by_list else None
            key = (line.code, version, price_cents or 0, settlement.vat_permille, line.label)
            item = items.get(key) or Item(
                line.code, line.label, line.unit, version, 0, price_cents, settlement.vat_permille, 0
            )
            items[key] = replace(
                item, quantity=item.quantity + line.quantity, amount_cents=item.amount_cents + line.amount_cents
            )
        for reason, amount_cents in _taken_off(charge).items():
            taken = allowances.get((reason, settlement.vat_permille)) or Allowance(
                reason, settlement.vat_permille, 0, 0
            )
            allowances[reason, settlement.vat_permille] = replace(
                taken, legs=taken.legs + 1, amount_cents=taken.amount_cents + amount_cents
            )
    bases = [(item.vat_permille, item.amount_cents) for item in items.values()]
    bases.extend((taken.vat_permille, -taken.amount_cents) for taken in allowances.values())
    names = {department.id: department.name for department in contract.departments}
    departments = []
    for department_id in sorted({charge.department_id for charge in charges}):
        amounts = [charge.due_cents for charge in charges if charge.department_id == department_id]
        name = names.get(department_id, department_id)
        departments.append(DepartmentTotal(department_id, name, len(amounts), sum(amounts)))
    days = [charge.settlement.settled_on for charge in charges if charge.settlement]
    return Statement(
        id=statement_id,
        contract_id=contract.id,
        contract_reference=contract.reference,
        contract_title=contract.title,
        buyer=contract.buyer,
        seller=seller,
        number=number,
        month=month,
        issued_on=contract.local_date(at),
        closed_at=at,
        items=tuple(items[key] for key in sorted(items)),
        taxes=taxes(totals_by_rate(bases)),
        departments=tuple(departments),
        legs=len(charges),
        first_day=min(days),
        last_day=max(days),
        gauge=gauge,
        allowances=tuple(allowances[key] for key in sorted(allowances)),
        replaces=replaces,
        scopes=tuple(scopes),
    )


def _taken_off(charge: Charge) -> dict[str, int]:
    """Return cents by reason: one entry for all cuts of one reason, so that a leg counts once for it."""
    by_reason: dict[str, int] = {}
    for cut in charge.taken_off:
        by_reason[cut.reason] = by_reason.get(cut.reason, 0) + cut.amount_cents
    return by_reason
