"""Credit notes as they were sent: XML in two syntaxes and a PDF that carries it; every export is logged."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response

from services.billing import use_cases
from services.billing.documents.issue import PDF
from services.billing.domain.errors import CreditInvoiceNotFound
from services.billing.queries import Sight, after_closing
from services.billing.use_cases import invoicing
from services.kit.database import Database
from services.kit.http.answers import not_modified
from services.kit.http.edge import Caller, Now, OwnDatabase, needs

router = APIRouter(tags=["invoices"])

LOGGED_AS = {"cii": "av-cii", "ubl": "av-ubl", PDF: "av-pdf"}
"""How an export of a note stands among those of its statement."""


@router.get(
    "/v1/credit-notes/{note_id}/invoice.xml",
    response_class=Response,
    responses={200: {"content": {"application/xml": {}}}, 404: {"description": "No such note, or no e-invoice."}},
)
def export_xml(
    request: Request,
    note_id: str,
    caller: Annotated[Caller, needs("invoices:read")],
    database: OwnDatabase,
    now: Now,
    syntax: Annotated[Literal["cii", "ubl"], Query()] = "cii",
) -> Response:
    """Take the e-invoice of a credit note as XML; the bytes that were judged when it was issued."""
    return _export(request, database, note_id, caller, now, syntax, "application/xml")


@router.get(
    "/v1/credit-notes/{note_id}/invoice.pdf",
    response_class=Response,
    responses={200: {"content": {"application/pdf": {}}}, 503: {"description": "The machine cannot print."}},
)
def export_pdf(
    request: Request,
    note_id: str,
    caller: Annotated[Caller, needs("invoices:read")],
    database: OwnDatabase,
    now: Now,
) -> Response:
    """Take the e-invoice of a credit note as PDF/A-3 with its XML inside; the same bytes each time."""
    return _export(request, database, note_id, caller, now, PDF, "application/pdf")


def _export(
    request: Request, database: Database, note_id: str, caller: Caller, now: datetime, format_: str, media_type: str
) -> Response:
    with database.view() as view:
        note, statement = after_closing.find_credit_note(view, Sight.of(caller), note_id)
        kept = after_closing.get_note_document(view, note_id, format_)
        if kept is None and format_ != PDF:
            raise CreditInvoiceNotFound(note_id)
        drawn = b"" if kept else invoicing.print_credit(view, note, statement)
    if kept and (unchanged := not_modified(request, f'"{kept.sha256}"')) is not None:
        return unchanged
    with database.transaction() as tx:
        document = kept or invoicing.keep_credit(tx, note_id, drawn, at=now)
        taker = use_cases.Taker(caller.account_id, caller.name)
        use_cases.log_taken(tx, statement.id, LOGGED_AS[format_], document.sha256, taker=taker, at=now)
    name = f"avoir-{note.seller.id}-{note.number}"
    suffix = "pdf" if format_ == PDF else f"{format_}.xml"
    return Response(
        document.content,
        media_type=media_type,
        headers={"ETag": f'"{document.sha256}"', "Content-Disposition": f'attachment; filename="{name}.{suffix}"'},
    )
