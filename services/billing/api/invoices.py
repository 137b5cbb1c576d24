"""E-invoices as they were issued: XML in two syntaxes and a PDF that carries it; every export is logged."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response

from services.billing import queries, use_cases
from services.billing.documents.issue import PDF
from services.billing.domain.errors import InvoiceNotFound
from services.billing.domain.statement import Statement
from services.billing.queries import Sight
from services.billing.use_cases import invoicing
from services.kit.database import Database, View
from services.kit.http.answers import not_modified
from services.kit.http.edge import Caller, Now, OwnDatabase, needs

router = APIRouter(tags=["invoices"])


@router.get(
    "/v1/statements/{statement_id}/invoice.xml",
    response_class=Response,
    responses={200: {"content": {"application/xml": {}}}, 404: {"description": "No such statement, or no e-invoice."}},
)
def export_xml(
    request: Request,
    statement_id: str,
    caller: Annotated[Caller, needs("invoices:read")],
    database: OwnDatabase,
    now: Now,
    syntax: Annotated[Literal["cii", "ubl"], Query()] = "cii",
) -> Response:
    """Take the e-invoice of a statement as XML; the bytes that were judged when the month was closed."""

    def absent(_: View, statement: Statement) -> bytes:
        raise InvoiceNotFound(statement.id)

    return _export(request, database, statement_id, caller, now, syntax, "application/xml", absent)


@router.get(
    "/v1/statements/{statement_id}/invoice.pdf",
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
    """Take the e-invoice of a statement as PDF/A-3 with its XML inside; the same bytes each time."""
    return _export(request, database, statement_id, caller, now, PDF, "application/pdf", invoicing.print_invoice)


def _export(
    request: Request,
    database: Database,
    statement_id: str,
    caller: Caller,
    now: datetime,
    format_: str,
    media_type: str,
    make: Callable[[View, Statement], bytes],
) -> Response:
    with database.view() as view:
        statement = queries.get_statement(view, Sight.of(caller), statement_id)
        kept = queries.get_document(view, statement_id, format_)
        content = kept.content if kept else make(view, statement)
    if kept and (unchanged := not_modified(request, f'"{kept.sha256}"')) is not None:
        return unchanged
    taker = use_cases.Taker(caller.account_id, caller.name)
    with database.transaction() as tx:
        if kept is None:
            content = invoicing.keep_invoice(tx, statement_id, content, at=now).content
        document = use_cases.log_export(tx, statement_id, format_, content, taker=taker, at=now)
    name = f"facture-{statement.seller.id}-{statement.number}"
    suffix = "pdf" if format_ == PDF else f"{format_}.xml"
    return Response(
        document.content,
        media_type=media_type,
        headers={"ETag": f'"{document.sha256}"', "Content-Disposition": f'attachment; filename="{name}.{suffix}"'},
    )
