"""What corrects a closed statement: a credit note, by leg, at the tax rate each leg was invoiced at; never an edit.

A transmitted note has a number of the seller's own sequence. A statement that the platform refused never took effect:
an internal note, numbered in a series of its own, cancels it whole and is sent to nobody.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from services.billing.domain.charge import CREDIT_CODE, Charge
from services.billing.domain.contract import Buyer, Contract, Cooperative
from services.billing.domain.errors import CreditNotWhole, CreditTooHigh, LegNotOnStatement
from services.billing.domain.money import Tax, taxes, totals_by_rate
from services.billing.domain.price_list import Unit
from services.billing.domain.statement import Item, Month, Statement
from services.kit.errors import DomainError, refuse_all


@dataclass(frozen=True, slots=True)
class Asked:
    """A leg to credit; without an amount, all that is left of it."""

    order_id: str
    leg: int
    amount_cents: int | None = None


@dataclass(frozen=True, slots=True)
class CreditedLeg:
    """What is given back for one leg; `service_date` names the period whose ceiling gets it."""

    order_id: str
    leg: int
    department_id: str
    reference: str
    service_date: date
    vat_permille: int
    amount_cents: int


@dataclass(frozen=True, slots=True)
class CreditNote:
    """A frozen note, with copies of what it corrects.

    `is_internal` notes are sent to nobody. With `is_billed_anew` the legs are owed again and go on another statement,
    so that as much stays committed; otherwise the ceiling gets the amounts back.
    """

    id: str
    number: str
    statement_id: str
    statement_number: str
    statement_issued_on: date
    contract_id: str
    contract_reference: str
    contract_title: str
    buyer: Buyer
    seller: Cooperative
    month: Month
    reason: str
    is_internal: bool
    is_billed_anew: bool
    issued_on: date
    issued_at: datetime
    items: tuple[Item, ...]
    taxes: tuple[Tax, ...]
    legs: tuple[CreditedLeg, ...]

    @property
    def net_cents(self) -> int:
        """Total excluding tax, above zero."""
        return sum(item.amount_cents for item in self.items)

    @property
    def tax_cents(self) -> int:
        """Total tax."""
        return sum(tax.tax_cents for tax in self.taxes)

    @property
    def gross_cents(self) -> int:
        """Total including tax."""
        return self.net_cents + self.tax_cents


def internal_number_text(year: int, count: int) -> str:
    """Return the number of a seller's count-th internal note of a year, such as "INT-2026-00001"."""
    return f"INT-{year:04d}-{count:05d}"


def choose(
    statement: Statement, charges: Mapping[tuple[str, int], Charge], asked: Sequence[Asked], *, is_billed_anew: bool
) -> tuple[CreditedLeg, ...]:
    """Return what is credited of the statement's `charges`, all faults at once.

    Raises
    ------
    LegNotOnStatement, CreditTooHigh, CreditNotWhole, or Refusals with several of them.
    """
    faults: list[DomainError] = []
    chosen: dict[tuple[str, int], CreditedLeg] = {}
    for index, one in enumerate(asked):
        charge = charges.get((one.order_id, one.leg))
        pointer = f"/legs/{index}"
        if charge is None or charge.settlement is None or (one.order_id, one.leg) in chosen:
            faults.append(LegNotOnStatement(one.order_id, one.leg, statement.number, pointer))
            continue
        if is_billed_anew and one.amount_cents is not None:
            faults.append(CreditNotWhole(charge.reference, charge.leg, f"{pointer}/amount"))
        amount_cents = charge.due_cents if one.amount_cents is None else one.amount_cents
        if not 0 < amount_cents <= charge.due_cents:
            faults.append(CreditTooHigh(charge.reference, charge.leg, charge.due_cents, f"{pointer}/amount"))
        chosen[one.order_id, one.leg] = credited(charge, amount_cents)
    refuse_all(faults)
    return tuple(chosen.values())


def credited(charge: Charge, amount_cents: int) -> CreditedLeg:
    """Return a leg's part of a note, at the rate it was invoiced at. Raises ValueError when it was never settled."""
    if charge.settlement is None:
        raise ValueError(f"not settled: {charge.order_id}, leg {charge.leg}")
    return CreditedLeg(
        charge.order_id,
        charge.leg,
        charge.department_id,
        charge.reference,
        charge.service_date,
        charge.settlement.vat_permille,
        amount_cents,
    )


def issue(
    contract: Contract,
    statement: Statement,
    legs: Sequence[CreditedLeg],
    *,
    note_id: str,
    number: str,
    reason: str,
    is_internal: bool,
    is_billed_anew: bool,
    at: datetime,
) -> CreditNote:
    """Freeze a note over these legs: one item per tax rate, legs in the order of their dates."""
    sums = totals_by_rate((leg.vat_permille, leg.amount_cents) for leg in legs)
    return CreditNote(
        id=note_id,
        number=number,
        statement_id=statement.id,
        statement_number=statement.number,
        statement_issued_on=statement.issued_on,
        contract_id=statement.contract_id,
        contract_reference=statement.contract_reference,
        contract_title=statement.contract_title,
        buyer=statement.buyer,
        seller=statement.seller,
        month=statement.month,
        reason=reason,
        is_internal=is_internal,
        is_billed_anew=is_billed_anew,
        issued_on=contract.local_date(at),
        issued_at=at,
        items=tuple(
            Item(
                CREDIT_CODE,
                f"Avoir sur l'état n° {statement.number}",
                Unit.LEG,
                0,
                sum(leg.vat_permille == permille for leg in legs),
                None,
                permille,
                amount_cents,
            )
            for permille, amount_cents in sorted(sums.items(), reverse=True)
        ),
        taxes=taxes(sums),
        legs=tuple(sorted(legs, key=lambda leg: (leg.service_date, leg.reference, leg.order_id, leg.leg))),
    )
