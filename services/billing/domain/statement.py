"""A closed month of one seller under one contract: numbered, summed up, never changed again.

Numbers are counted per seller's SIRET and calendar year without a gap; the count is taken in the closing transaction.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from types import MappingProxyType

from services.billing.domain.adjustment import Correction, LineId, RevisedLine
from services.billing.domain.ceiling import Ceiling, Scope
from services.billing.domain.charge import Acceptance, Charge, ChargedLine, Rule
from services.billing.domain.contract import Buyer, Contract, Cooperative
from services.billing.domain.errors import LaterMonthClosed, MonthBeforeContract, MonthNotOver
from services.billing.domain.money import Tax, taxes, totals_by_rate
from services.billing.domain.month import Month as Month
from services.billing.domain.price_list import Unit

REGULARISATION = "REGUL"
"""Item code of what corrects an earlier statement; it stands in no price list."""


@dataclass(frozen=True, slots=True)
class Item:
    """All charged lines of one price at one tax rate.

    What a rule of the contract charges has `price_list_version` 0 and no unit price: each leg has its own. A revised
    item says its coefficient and revised unit price in euros, as text, the month that decided them, and what it would
    come to at base price; `amount_cents` is then quantity times the revised price, rounded once.
    """

    code: str
    label: str
    unit: Unit
    price_list_version: int
    quantity: int
    unit_price_cents: int | None
    vat_permille: int
    amount_cents: int
    period: str = ""
    coefficient: str = ""
    revised_unit_price: str = ""
    base_cents: int | None = None
    is_provisional: bool = False


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
    revised: Mapping[LineId, RevisedLine] = MappingProxyType({}),
    corrections: Sequence[Correction] = (),
) -> Statement:
    """Sum up a seller's settled legs into the month's statement. Items stand in a stable order: code, version, price.

    Items show full prices; what the buyer cut is taken off below them, by reason and tax rate. Lines named in `revised`
    stand at their revised prices. Corrections come last, one item each; with them alone, the statement has no legs and
    its days are the month's.

    Raises
    ------
    ValueError
        When a charge is not settled, not the seller's, not billable, contested, or later than the month.
    """
    allowances: dict[tuple[str, int], Allowance] = {}
    items: dict[ItemKey, Item] = {}
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
        for place, line in enumerate(settlement.lines):
            new = revised.get((charge.order_id, charge.leg, place))
            key = item_key(charge, line, new.period if new else "")
            item = items.get(key) or _empty_item(charge, line, new)
            items[key] = replace(
                item,
                quantity=item.quantity + line.quantity,
                amount_cents=item.amount_cents + (new.amount_cents if new else line.amount_cents),
                base_cents=None if item.base_cents is None else item.base_cents + line.amount_cents,
            )
        for reason, amount_cents in _taken_off(charge).items():
            taken = allowances.get((reason, settlement.vat_permille)) or Allowance(
                reason, settlement.vat_permille, 0, 0
            )
            allowances[reason, settlement.vat_permille] = replace(
                taken, legs=taken.legs + 1, amount_cents=taken.amount_cents + amount_cents
            )
    corrected = [
        Item(one.code, one.label, Unit.LEG, 0, 1, None, one.vat_permille, one.amount_cents) for one in corrections
    ]
    all_items = [*(items[key] for key in sorted(items)), *corrected]
    bases = [(item.vat_permille, item.amount_cents) for item in all_items]
    bases.extend((taken.vat_permille, -taken.amount_cents) for taken in allowances.values())
    names = {department.id: department.name for department in contract.departments}
    legs: dict[str, int] = {}
    net_cents: dict[str, int] = {}
    for charge in charges:
        legs[charge.department_id] = legs.get(charge.department_id, 0) + 1
        net_cents[charge.department_id] = net_cents.get(charge.department_id, 0) + charge.due_cents
    for share in (share for correction in corrections for share in correction.shares):
        net_cents[share.department_id] = net_cents.get(share.department_id, 0) + share.amount_cents
    departments = [
        DepartmentTotal(id_, names.get(id_, id_), legs.get(id_, 0), cents) for id_, cents in sorted(net_cents.items())
    ]
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
        items=tuple(all_items),
        taxes=taxes(totals_by_rate(bases)),
        departments=tuple(departments),
        legs=len(charges),
        first_day=min(days, default=month.first_day),
        last_day=max(days, default=month.last_day),
        gauge=gauge,
        allowances=tuple(allowances[key] for key in sorted(allowances)),
        replaces=replaces,
        scopes=tuple(scopes),
    )


ItemKey = tuple[str, int, int, int, str, str]
"""Code, price list version, unit price in cents, tax rate per mille, label, period."""


def item_key(charge: Charge, line: ChargedLine, period: str = "") -> ItemKey:
    """Return what lines have in common that stand as one item; a rule's lines have neither version nor price."""
    assert charge.settlement is not None
    by_list = charge.settlement.rule is Rule.AS_COUNTED
    version = charge.estimate.price_list_version if by_list else 0
    price_cents = line.unit_price_cents if by_list else 0
    return line.code, version, price_cents, charge.settlement.vat_permille, line.label, period


def _empty_item(charge: Charge, line: ChargedLine, new: RevisedLine | None) -> Item:
    code, version, _, permille, label, _ = item_key(charge, line)
    price_cents = line.unit_price_cents if version else None
    item = Item(code, label, line.unit, version, 0, price_cents, permille, 0)
    if new is None:
        return item
    return replace(
        item,
        period=new.period,
        coefficient=format(new.coefficient.value, "f"),
        revised_unit_price="" if price_cents is None else format(new.coefficient.unit_price(price_cents), "f"),
        base_cents=0,
        is_provisional=new.coefficient.is_provisional,
    )


def _taken_off(charge: Charge) -> dict[str, int]:
    """Return cents by reason: one entry for all cuts of one reason, so that a leg counts once for it."""
    by_reason: dict[str, int] = {}
    for cut in charge.taken_off:
        by_reason[cut.reason] = by_reason.get(cut.reason, 0) + cut.amount_cents
    return by_reason
