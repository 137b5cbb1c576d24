"""Statements as JSON, CSV and PDF; every export is logged, and gives the same bytes each time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any, Self

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel

from services.billing import documents, pack, queries, use_cases
from services.billing.api import packs
from services.billing.api.charges import ChargeOut
from services.billing.api.shapes import MonthText, percent_text
from services.billing.domain.charge import Charge
from services.billing.domain.money import decimal_text
from services.billing.domain.price_list import Unit
from services.billing.domain.statement import Month, Statement
from services.billing.queries import Sight
from services.kit.database import Database
from services.kit.http.answers import (
    DEFAULT_LIMIT,
    Cursor,
    Limit,
    Page,
    decode_cursor,
    encode_cursor,
    etag_of,
    not_modified,
    page_answer,
)
from services.kit.http.edge import Caller, Now, OwnDatabase, ReadView, needs

router = APIRouter(tags=["statements"])


class PartyOut(BaseModel):
    """A party as it was when the month was closed."""

    id: str
    name: str
    siret: str


class TaxOut(BaseModel):
    """One rate's tax on that rate's total."""

    vat_percent: str
    base: str
    tax: str


class StatementOut(BaseModel):
    """A closed statement's head; amounts as decimal text, `net` excludes tax."""

    id: str
    number: str
    month: str
    contract_id: str
    contract_reference: str
    seller: PartyOut
    buyer: PartyOut
    issued_on: date
    closed_at: datetime
    legs: int
    net: str
    tax: str
    gross: str
    prepaid: str
    due: str
    taxes: list[TaxOut]

    @classmethod
    def of(cls, statement: Statement) -> Self:
        """Show a statement's head."""
        return cls(**_head(statement))


class ItemOut(BaseModel):
    """All charged lines of one price. What a rule of the contract charges has version 0 and no unit price.

    A revised item says the month and the coefficient that revised it, and what it comes to at base price.
    """

    code: str
    label: str
    unit: Unit
    price_list_version: int
    quantity: int
    unit_price: str | None
    vat_percent: str
    amount: str
    period: str | None
    coefficient: str | None
    revised_unit_price: str | None
    base_amount: str | None
    is_provisional: bool


class AllowanceOut(BaseModel):
    """What is taken off for one reason, excluding tax."""

    reason: str
    vat_percent: str
    legs: int
    amount: str


class DepartmentTotalOut(BaseModel):
    """One department's share, excluding tax."""

    id: str
    name: str
    legs: int
    net: str


class GaugeOut(BaseModel):
    """What stood under the contract's ceiling when the month was closed."""

    ceiling: str
    invoiced: str
    owed: str
    held: str
    left: str


class StatementDetailOut(StatementOut):
    """A closed statement whole: items for the invoice, and every leg behind them."""

    contract_title: str
    service_code: str
    engagement_number: str
    seller_address: str
    items: list[ItemOut]
    departments: list[DepartmentTotalOut]
    gauge: GaugeOut
    charges: list[ChargeOut]
    allowances: list[AllowanceOut]
    replaces: str


def _head(statement: Statement) -> dict[str, Any]:
    return {
        "id": statement.id,
        "number": statement.number,
        "month": str(statement.month),
        "contract_id": statement.contract_id,
        "contract_reference": statement.contract_reference,
        "seller": PartyOut(id=statement.seller.id, name=statement.seller.name, siret=statement.seller.siret),
        "buyer": PartyOut(id=statement.buyer.siret, name=statement.buyer.name, siret=statement.buyer.siret),
        "issued_on": statement.issued_on,
        "closed_at": statement.closed_at,
        "legs": statement.legs,
        "net": decimal_text(statement.net_cents),
        "tax": decimal_text(statement.tax_cents),
        "gross": decimal_text(statement.gross_cents),
        "prepaid": decimal_text(statement.prepaid_cents),
        "due": decimal_text(statement.due_cents),
        "taxes": [
            TaxOut(
                vat_percent=percent_text(tax.permille),
                base=decimal_text(tax.base_cents),
                tax=decimal_text(tax.tax_cents),
            )
            for tax in statement.taxes
        ],
    }


def _detail(statement: Statement, charges: Sequence[Charge]) -> StatementDetailOut:
    gauge = statement.gauge
    return StatementDetailOut(
        **_head(statement),
        contract_title=statement.contract_title,
        service_code=statement.buyer.service_code,
        engagement_number=statement.buyer.engagement_number,
        seller_address=statement.seller.address,
        items=[
            ItemOut(
                code=item.code,
                label=item.label,
                unit=item.unit,
                price_list_version=item.price_list_version,
                quantity=item.quantity,
                unit_price=None if item.unit_price_cents is None else decimal_text(item.unit_price_cents),
                vat_percent=percent_text(item.vat_permille),
                amount=decimal_text(item.amount_cents),
                period=item.period or None,
                coefficient=item.coefficient or None,
                revised_unit_price=item.revised_unit_price or None,
                base_amount=None if item.base_cents is None else decimal_text(item.base_cents),
                is_provisional=item.is_provisional,
            )
            for item in statement.items
        ],
        departments=[
            DepartmentTotalOut(id=part.id, name=part.name, legs=part.legs, net=decimal_text(part.amount_cents))
            for part in statement.departments
        ],
        gauge=GaugeOut(
            ceiling=decimal_text(gauge.ceiling_cents),
            invoiced=decimal_text(gauge.invoiced_cents),
            owed=decimal_text(gauge.owed_cents),
            held=decimal_text(gauge.held_cents),
            left=decimal_text(gauge.left_cents),
        ),
        charges=[ChargeOut.of(charge) for charge in charges],
        allowances=[
            AllowanceOut(
                reason=taken.reason,
                vat_percent=percent_text(taken.vat_permille),
                legs=taken.legs,
                amount=decimal_text(taken.amount_cents),
            )
            for taken in statement.allowances
        ],
        replaces=statement.replaces,
    )


@router.get("/v1/statements", response_model=Page[StatementOut])
def list_statements(
    request: Request,
    response: Response,
    caller: Annotated[Caller, needs("invoices:read")],
    view: ReadView,
    contract: Annotated[str | None, Query(max_length=64)] = None,
    month: Annotated[MonthText | None, Query()] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Page[StatementOut]:
    """List the statements the caller may see, newest first."""
    found = queries.list_statements(
        view,
        Sight.of(caller),
        contract_id=contract,
        month=Month.parse(month) if month else None,
        after=decode_cursor(cursor, str)[0] if cursor else None,
        limit=limit + 1,
    )
    next_cursor = encode_cursor(found[limit - 1].id) if len(found) > limit else None
    return page_answer(request, response, [StatementOut.of(statement) for statement in found[:limit]], next_cursor)


@router.get(
    "/v1/statements/{statement_id}.csv", response_class=Response, responses={200: {"content": {"text/csv": {}}}}
)
def export_csv(
    request: Request,
    statement_id: str,
    caller: Annotated[Caller, needs("invoices:read")],
    database: OwnDatabase,
    now: Now,
) -> Response:
    """Take a statement as CSV: `;`, UTF-8 with its mark, French headers; the same bytes each time."""
    return packs.export(request, database, statement_id, caller, now, pack.STATEMENT_CSV)


@router.get(
    "/v1/statements/{statement_id}.pdf",
    response_class=Response,
    responses={200: {"content": {"application/pdf": {}}}, 503: {"description": "The machine cannot print."}},
)
def export_pdf(
    request: Request,
    statement_id: str,
    caller: Annotated[Caller, needs("invoices:read")],
    database: OwnDatabase,
    now: Now,
) -> Response:
    """Take a statement as PDF; the same bytes each time."""
    return _export(request, database, statement_id, caller, now, PDF)


@router.get("/v1/statements/{statement_id}", response_model=StatementDetailOut)
def export_json(
    request: Request,
    statement_id: str,
    caller: Annotated[Caller, needs("invoices:read")],
    database: OwnDatabase,
    now: Now,
) -> Response:
    """Take a statement whole as JSON, with every leg."""
    with database.view() as view:
        statement = queries.get_statement(view, Sight.of(caller), statement_id)
        charges = queries.lines_of(view, statement_id)
    content = _detail(statement, charges).model_dump_json().encode()
    etag = etag_of(content)
    if (unchanged := not_modified(request, etag)) is not None:
        return unchanged
    with database.transaction() as tx:
        use_cases.log_export(tx, statement_id, "json", content, taker=_taker(caller), at=now)
    return Response(content, media_type="application/json", headers={"ETag": etag})


@dataclass(frozen=True, slots=True)
class _Format:
    name: str
    media_type: str
    render: Callable[[Statement, Sequence[Charge]], bytes]


PDF = _Format("pdf", "application/pdf", documents.as_pdf)


def _export(
    request: Request, database: Database, statement_id: str, caller: Caller, now: datetime, wanted: _Format
) -> Response:
    with database.view() as view:
        statement = queries.get_statement(view, Sight.of(caller), statement_id)
        kept = queries.get_document(view, statement_id, wanted.name)
        # A longer month is not printed leg by leg: no need to read it whole.
        is_printed = not kept and statement.legs <= documents.MOST_PRINTED_LEGS
        charges = queries.lines_of(view, statement_id) if is_printed else []
    if kept and (unchanged := not_modified(request, f'"{kept.sha256}"')) is not None:
        return unchanged
    # Printing takes seconds: no transaction is open meanwhile.
    content = kept.content if kept else wanted.render(statement, charges)
    with database.transaction() as tx:
        document = use_cases.keep_export(tx, statement_id, wanted.name, content, taker=_taker(caller), at=now)
    name = f"etat-{statement.seller.id}-{statement.number}.{wanted.name}"
    return Response(
        document.content,
        media_type=wanted.media_type,
        headers={"ETag": f'"{document.sha256}"', "Content-Disposition": f'attachment; filename="{name}"'},
    )


def _taker(caller: Caller) -> use_cases.Taker:
    return use_cases.Taker(caller.account_id, caller.name)
