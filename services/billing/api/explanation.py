"""Explanations: from any cent of a leg or a statement back to events, prices, indices, decisions and entries."""

from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Self

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from services.billing.api.acceptance import DecisionOut
from services.billing.api.charges import ChargeOut
from services.billing.api.penalties import PenaltyOut, SourceOut
from services.billing.api.shapes import fresh, percent_text
from services.billing.api.statements import StatementOut
from services.billing.domain.coefficient import Coefficient, exact_text
from services.billing.domain.money import decimal_text
from services.billing.domain.price_list import PriceList
from services.billing.domain.statement import Item
from services.billing.queries import Sight
from services.billing.queries import explanation as queries
from services.billing.queries.explanation import ChargeExplanation, StatementExplanation
from services.kit.http.edge import Caller, ReadView, needs

router = APIRouter(tags=["explanations"])


class IndexUseOut(BaseModel):
    """One index in a coefficient. `month` differs from `wanted_month` when the wanted value was not out."""

    index_id: str
    weight: str
    base_month: str
    base_value: str
    wanted_month: str
    month: str
    value: str
    version: int
    is_provisional: bool


class CoefficientOut(BaseModel):
    """A coefficient and how it came about; `exact` is a fraction, before rounding."""

    value: str
    exact: str
    fixed: str
    indices: list[IndexUseOut]
    rounding: str
    step: str
    price_decimals: int
    is_provisional: bool
    is_capped: bool

    @classmethod
    def of(cls, coefficient: Coefficient) -> Self:
        """Show a coefficient."""
        return cls(
            value=format(coefficient.value, "f"),
            exact=str(coefficient.exact),
            fixed=format(coefficient.fixed, "f"),
            indices=[
                IndexUseOut(
                    index_id=use.index_id,
                    weight=format(use.weight, "f"),
                    base_month=use.base_month,
                    base_value=format(use.base_value, "f"),
                    wanted_month=use.wanted_month,
                    month=use.month,
                    value=format(use.value, "f"),
                    version=use.version,
                    is_provisional=use.is_provisional,
                )
                for use in coefficient.uses
            ],
            rounding=coefficient.rounding.value,
            step=format(coefficient.step, "f"),
            price_decimals=coefficient.price_decimals,
            is_provisional=coefficient.is_provisional,
            is_capped=coefficient.is_capped,
        )


class PriceListRef(BaseModel):
    """The version of the price list."""

    id: str
    version: int
    valid_from: date
    published_at: datetime

    @classmethod
    def of(cls, price_list: PriceList) -> Self:
        """Name a version."""
        return cls(
            id=price_list.id,
            version=price_list.version,
            valid_from=price_list.valid_from,
            published_at=price_list.published_at,
        )


class ExplainedLineOut(BaseModel):
    """A line: quantity times base price, and what it is at the revised price before any rounding."""

    code: str
    label: str
    announced: int
    counted: int
    quantity: int
    base_price: str
    base_amount: str
    revised_price: str | None
    exact_amount: str
    note: str


class EntryOut(BaseModel):
    """A ledger entry."""

    id: int
    source: str
    target: str
    amount: str
    cause: str
    booked_at: datetime


class CorrectionOut(BaseModel):
    """What a later statement corrected."""

    statement_id: str
    number: str
    amount: str


class TakenOffOut(BaseModel):
    """What is taken off the full price: a price cut, an earlier credit note, what found no room under the maximum."""

    code: str
    reason: str
    amount: str


class CreditedOut(BaseModel):
    """What a credit note gave back; one that bills anew made the leg owed again."""

    credit_note_id: str
    number: str
    statement_id: str
    is_billed_anew: bool
    amount: str


class ChargeExplanationOut(BaseModel):
    """Everything a leg's amount rests on.

    full = sum of the exact amounts + rounding: items are rounded as a whole and their legs share it. due = full, less
    what is taken off, with the corrections of later statements.
    """

    charge: ChargeOut
    events: list[SourceOut]
    price_list: PriceListRef | None
    lines: list[ExplainedLineOut]
    rule: str | None
    rule_percent: int | None
    held_with: CoefficientOut | None
    period: str | None
    billed_with: CoefficientOut | None
    full: str
    rounding: str
    taken_off: list[TakenOffOut]
    vat_percent: str | None
    corrections: list[CorrectionOut]
    decisions: list[DecisionOut]
    credits: list[CreditedOut]
    due: str
    penalties: list[PenaltyOut]
    entries: list[EntryOut]

    @classmethod
    def of(cls, found: ChargeExplanation) -> Self:
        """Show an explanation."""
        charge, settlement = found.charge, found.charge.settlement
        held_with = charge.estimate.coefficient
        return cls(
            charge=ChargeOut.of(charge),
            events=[
                SourceOut(event_id=one.event_id, type=one.type, occurred_at=one.occurred_at) for one in found.events
            ],
            price_list=PriceListRef.of(found.price_list) if found.price_list else None,
            lines=[
                ExplainedLineOut(
                    code=line.code,
                    label=line.label,
                    announced=line.announced,
                    counted=line.counted,
                    quantity=line.quantity,
                    base_price=decimal_text(line.base_price_cents),
                    base_amount=decimal_text(line.base_cents),
                    revised_price=line.revised_price or None,
                    exact_amount=exact_text(line.exact_cents),
                    note=line.note,
                )
                for line in found.lines
            ],
            rule=settlement.rule.value if settlement else None,
            rule_percent=settlement.percent if settlement else None,
            held_with=CoefficientOut.of(held_with) if held_with else None,
            period=found.period or None,
            billed_with=CoefficientOut.of(found.billed_with) if found.billed_with else None,
            full=decimal_text(charge.full_cents),
            rounding=exact_text(found.rounding_cents),
            taken_off=[
                TakenOffOut(code=cut.code, reason=cut.reason, amount=decimal_text(cut.amount_cents))
                for cut in charge.taken_off
            ],
            vat_percent=percent_text(settlement.vat_permille) if settlement else None,
            corrections=[
                CorrectionOut(statement_id=one.statement_id, number=one.number, amount=decimal_text(one.amount_cents))
                for one in found.corrections
            ],
            decisions=[DecisionOut.of(one) for one in found.decisions],
            credits=[
                CreditedOut(
                    credit_note_id=one.note_id,
                    number=one.number,
                    statement_id=one.statement_id,
                    is_billed_anew=one.is_billed_anew,
                    amount=decimal_text(one.amount_cents),
                )
                for one in found.credits
            ],
            due=decimal_text(charge.due_cents),
            penalties=[PenaltyOut.of(one) for one in found.penalties],
            entries=[
                EntryOut(
                    id=one.id,
                    source=one.source,
                    target=one.target,
                    amount=decimal_text(one.amount_cents),
                    cause=one.cause,
                    booked_at=one.booked_at,
                )
                for one in found.entries
            ],
        )


class ExplainedItemOut(BaseModel):
    """An item: quantity times unit price before rounding, and its amount. Without a price, legs have their own."""

    code: str
    label: str
    price_list_version: int
    quantity: int
    base_price: str | None
    base_amount: str | None
    period: str | None
    coefficient: str | None
    revised_price: str | None
    exact_amount: str | None
    amount: str
    is_provisional: bool

    @classmethod
    def of(cls, item: Item) -> Self:
        """Show an item's arithmetic."""
        exact: str | None = None
        if item.revised_unit_price:
            exact = format(item.quantity * Decimal(item.revised_unit_price), "f")
        elif item.unit_price_cents is not None:
            exact = decimal_text(item.quantity * item.unit_price_cents)
        return cls(
            code=item.code,
            label=item.label,
            price_list_version=item.price_list_version,
            quantity=item.quantity,
            base_price=None if item.unit_price_cents is None else decimal_text(item.unit_price_cents),
            base_amount=None if item.base_cents is None else decimal_text(item.base_cents),
            period=item.period or None,
            coefficient=item.coefficient or None,
            revised_price=item.revised_unit_price or None,
            exact_amount=exact,
            amount=decimal_text(item.amount_cents),
            is_provisional=item.is_provisional,
        )


class AppliedOut(BaseModel):
    """A coefficient the statement was made with; `corrects` is the number of the earlier one it is about."""

    period: str
    corrects: str | None
    coefficient: CoefficientOut


class TaxStepOut(BaseModel):
    """One rate's tax: on the total of the rate, before and after rounding."""

    vat_percent: str
    base: str
    exact: str
    tax: str


class StatementExplanationOut(BaseModel):
    """What a statement's totals rest on; each of its legs is explained at its own address."""

    statement: StatementOut
    items: list[ExplainedItemOut]
    coefficients: list[AppliedOut]
    taxes: list[TaxStepOut]
    price_lists: list[PriceListRef]
    entries: int
    invoiced: str
    charges: str

    @classmethod
    def of(cls, found: StatementExplanation) -> Self:
        """Show an explanation."""
        statement = found.statement
        return cls(
            statement=StatementOut.of(statement),
            items=[ExplainedItemOut.of(item) for item in statement.items],
            coefficients=_applied(found),
            taxes=[
                TaxStepOut(
                    vat_percent=percent_text(tax.permille),
                    base=decimal_text(tax.base_cents),
                    exact=exact_text(Fraction(tax.base_cents * tax.permille, 1000)),
                    tax=decimal_text(tax.tax_cents),
                )
                for tax in statement.taxes
            ],
            price_lists=[PriceListRef.of(one) for one in found.price_lists],
            entries=found.entries,
            invoiced=decimal_text(found.invoiced_cents),
            charges=f"/v1/charges?statement={statement.id}",
        )


def _applied(found: StatementExplanation) -> list[AppliedOut]:
    return [
        AppliedOut(
            period=one.period,
            corrects=one.number if one.billed_on_id != found.statement.id else None,
            coefficient=CoefficientOut.of(one.coefficient),
        )
        for one in found.applied
    ]


@router.get("/v1/charges/{order_id}/{leg}/explanation", response_model=ChargeExplanationOut)
def explain_charge(
    request: Request, order_id: str, leg: int, caller: Annotated[Caller, needs("billing:read")], view: ReadView
) -> Response:
    """Explain what a leg came to."""
    return fresh(request, ChargeExplanationOut.of(queries.explain_charge(view, Sight.of(caller), order_id, leg)))


@router.get("/v1/statements/{statement_id}/explanation", response_model=StatementExplanationOut)
def explain_statement(
    request: Request, statement_id: str, caller: Annotated[Caller, needs("invoices:read")], view: ReadView
) -> Response:
    """Explain a statement's totals."""
    return fresh(request, StatementExplanationOut.of(queries.explain_statement(view, Sight.of(caller), statement_id)))
