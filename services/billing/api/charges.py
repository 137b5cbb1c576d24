"""Charges: what each leg of each order was held at and came to, for reconciliation line by line."""

from datetime import date, datetime
from typing import Annotated, Self

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from services.billing import queries
from services.billing.api.shapes import MonthText, percent_text
from services.billing.domain.charge import Acceptance, Charge, ChargedLine, Outcome, Rule
from services.billing.domain.money import decimal_text
from services.billing.domain.price_list import PricedLine, Unit
from services.billing.domain.statement import Month
from services.billing.queries import ChargeFilter, Sight
from services.kit.http.answers import (
    DEFAULT_LIMIT,
    Cursor,
    Limit,
    Page,
    decode_cursor,
    encode_cursor,
    page_answer,
)
from services.kit.http.edge import Caller, ReadView, needs

router = APIRouter(tags=["charges"])


class PlaceOut(BaseModel):
    """A site as the order named it."""

    site_id: str
    name: str


class EstimateLineOut(BaseModel):
    """A line of what was held."""

    code: str
    label: str
    unit: Unit
    quantity: int
    unit_price: str
    amount: str

    @classmethod
    def of(cls, line: PricedLine) -> Self:
        """Show an estimate's line."""
        return cls(
            code=line.code,
            label=line.label,
            unit=line.unit,
            quantity=line.quantity,
            unit_price=decimal_text(line.unit_price_cents),
            amount=decimal_text(line.amount_cents),
        )


class ChargedLineOut(BaseModel):
    """A line of what is owed; `announced` and `counted` explain its quantity, `note` says it in French."""

    code: str
    label: str
    unit: Unit
    announced: int
    counted: int
    quantity: int
    unit_price: str
    amount: str
    note: str

    @classmethod
    def of(cls, line: ChargedLine) -> Self:
        """Show a charged line."""
        return cls(
            code=line.code,
            label=line.label,
            unit=line.unit,
            announced=line.announced,
            counted=line.counted,
            quantity=line.quantity,
            unit_price=decimal_text(line.unit_price_cents),
            amount=decimal_text(line.amount_cents),
            note=line.note,
        )


class SettlementOut(BaseModel):
    """How the leg ended and why it came to its amount; with the estimate, enough to compute it again."""

    outcome: Outcome
    rule: Rule
    rule_percent: int
    cooperative_id: str
    vat_percent: str
    fact: str
    occurred_at: datetime
    settled_at: datetime
    settled_on: date
    reason_code: str
    reason: str
    note: str
    proof_ids: list[str]
    lines: list[ChargedLineOut]


class ChargeOut(BaseModel):
    """One leg of an order. Amounts exclude tax; `settled` is null while the leg is held.

    `due` is what is left of it after price cuts and credit notes; `acceptance` is null while nothing is to be accepted.
    Lines are at base prices; `settled` is at revised ones where the leg was held so, `invoiced` is what its statement
    charges before anything is taken off, and `corrected` what later ones added or gave back.
    """

    order_id: str
    leg: int
    reference: str
    contract_id: str
    department_id: str
    service_date: date
    origin: PlaceOut
    destination: PlaceOut
    price_list_id: str
    price_list_version: int
    held: str
    held_at: datetime
    estimate: list[EstimateLineOut]
    settled: str | None
    invoiced: str | None
    corrected: str
    settlement: SettlementOut | None
    statement_id: str | None
    statement_number: str | None = Field(examples=["2026-00042"])
    acceptance: Acceptance | None
    due: str

    @classmethod
    def of(cls, charge: Charge) -> Self:
        """Show a charge."""
        settlement = charge.settlement
        return cls(
            order_id=charge.order_id,
            leg=charge.leg,
            reference=charge.reference,
            contract_id=charge.contract_id,
            department_id=charge.department_id,
            service_date=charge.service_date,
            origin=PlaceOut(site_id=charge.origin.site_id, name=charge.origin.name),
            destination=PlaceOut(site_id=charge.destination.site_id, name=charge.destination.name),
            price_list_id=charge.estimate.price_list_id,
            price_list_version=charge.estimate.price_list_version,
            held=decimal_text(charge.held_cents),
            held_at=charge.held_at,
            estimate=[EstimateLineOut.of(line) for line in charge.estimate.lines],
            settled=decimal_text(settlement.amount_cents) if settlement else None,
            invoiced=decimal_text(charge.full_cents) if charge.statement_id else None,
            corrected=decimal_text(charge.revised.corrected_cents if charge.revised else 0),
            settlement=SettlementOut(
                outcome=settlement.outcome,
                rule=settlement.rule,
                rule_percent=settlement.percent,
                cooperative_id=settlement.cooperative_id,
                vat_percent=percent_text(settlement.vat_permille),
                fact=settlement.fact.value,
                occurred_at=settlement.occurred_at,
                settled_at=settlement.settled_at,
                settled_on=settlement.settled_on,
                reason_code=settlement.reason_code,
                reason=settlement.reason,
                note=settlement.note,
                proof_ids=list(settlement.proof_ids),
                lines=[ChargedLineOut.of(line) for line in settlement.lines],
            )
            if settlement
            else None,
            statement_id=charge.statement_id or None,
            statement_number=charge.statement_number or None,
            acceptance=charge.acceptance if settlement and settlement.is_billable else None,
            due=decimal_text(charge.due_cents),
        )


Filter = Annotated[str | None, Query(max_length=64)]


@router.get("/v1/charges", response_model=Page[ChargeOut])
def list_charges(
    request: Request,
    response: Response,
    caller: Annotated[Caller, needs("billing:read", "charges:accept")],
    view: ReadView,
    contract: Filter = None,
    month: Annotated[
        MonthText | None, Query(description="Mois du constat, ou de service tant que rien n'est constaté")
    ] = None,
    department: Filter = None,
    order: Filter = None,
    statement: Filter = None,
    state: Annotated[Acceptance | None, Query(description="Où en est l'acceptation de ce qui est constaté")] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Page[ChargeOut]:
    """List charges by age of their order."""
    order_id, leg = decode_cursor(cursor, str, int) if cursor else ("", 0)
    wanted = ChargeFilter(contract, Month.parse(month) if month else None, department, order, statement, state)
    found = queries.list_charges(
        view, Sight.of(caller), wanted, after=(order_id, leg) if cursor else None, limit=limit + 1
    )
    last = found[limit - 1] if len(found) > limit else None
    next_cursor = encode_cursor(last.order_id, last.leg) if last else None
    return page_answer(request, response, [ChargeOut.of(charge) for charge in found[:limit]], next_cursor)
