"""The e-invoice of a statement: written and judged in the closing, printed afterwards, never written again."""

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256

from services.billing import documents
from services.billing.documents import facturx
from services.billing.documents.credit import credit_of
from services.billing.documents.invoice import Invoice
from services.billing.documents.issue import CARRIED, CII, PDF, issue, made_with
from services.billing.documents.month import MOST_ATTACHED_BYTES, invoice_of
from services.billing.documents.reading import Reading
from services.billing.documents.validation import fatal
from services.billing.domain.charge import Charge
from services.billing.domain.credit_note import CreditNote
from services.billing.domain.errors import CreditInvoiceNotFound, InvoiceNotFound, InvoiceNotValid
from services.billing.domain.statement import Statement
from services.billing.repository import Document, Documents, NewDocuments, note_documents
from services.billing.repository.note_documents import NoteDocument
from services.kit.database import Transaction, View


def issue_invoice(tx: Transaction, statement: Statement, charges: Sequence[Charge], *, at: datetime) -> None:
    """Keep the invoice of a statement that is being closed. What is refused here undoes the whole closing.

    Raises
    ------
    InvoiceDataMissing, InvoiceNotValid, RulesUnavailable
    """
    invoice = invoice_of(statement, documents.as_csv(statement, charges, most_bytes=MOST_ATTACHED_BYTES))
    kept = NewDocuments(tx)
    for format_, content in issue(invoice).items():
        kept.keep_first(Document(statement.id, format_, sha256(content).hexdigest(), content, made_with()), at=at)


def print_invoice(view: View, statement: Statement) -> bytes:
    """Draw a statement's invoice as a PDF that carries the kept XML, and judge it from its bytes. Keeps nothing.

    Raises
    ------
    InvoiceNotFound
        When the statement was closed before there were invoices.
    InvoiceNotValid, PrintingUnavailable, RulesUnavailable
    """
    kept = Documents(view)
    carried = kept.get(statement.id, CARRIED) or kept.get(statement.id, CII)
    if carried is None:
        raise InvoiceNotFound(statement.id)
    # The page only names the list that the XML carries: it is not written again.
    is_list_carried = bool(Reading.of(carried.content).all("BT-125-2"))
    return _print(invoice_of(statement, b"carried" if is_list_carried else b""), carried.content)


def keep_invoice(tx: Transaction, statement_id: str, content: bytes, *, at: datetime) -> Document:
    """Keep a drawn invoice unless one was kept before; return the kept one."""
    drawn = Document(statement_id, PDF, sha256(content).hexdigest(), content, made_with())
    return NewDocuments(tx).keep_first(drawn, at=at)


def issue_credit(tx: Transaction, note: CreditNote, statement: Statement, *, at: datetime) -> None:
    """Keep the e-invoice of a note that is being issued; what is refused here undoes the note too.

    A statement from before there were e-invoices is credited without one.

    Raises
    ------
    InvoiceDataMissing, InvoiceNotValid, RulesUnavailable
    """
    if Documents(tx).get(statement.id, CII) is None:
        return
    for format_, content in issue(credit_of(note, statement)).items():
        note_documents.keep_first(tx, _note_document(note.id, format_, content), at=at)


def print_credit(view: View, note: CreditNote, statement: Statement) -> bytes:
    """Draw a note's e-invoice as a PDF that carries the kept XML, and judge it from its bytes. Keeps nothing.

    Raises
    ------
    CreditInvoiceNotFound, InvoiceNotValid, PrintingUnavailable, RulesUnavailable
    """
    carried = note_documents.find(view, note.id, CARRIED) or note_documents.find(view, note.id, CII)
    if carried is None:
        raise CreditInvoiceNotFound(note.id)
    return _print(credit_of(note, statement), carried.content)


def keep_credit(tx: Transaction, note_id: str, content: bytes, *, at: datetime) -> NoteDocument:
    """Keep a drawn note unless one was kept before; return the kept one."""
    return note_documents.keep_first(tx, _note_document(note_id, PDF, content), at=at)


def _print(invoice: Invoice, xml: bytes) -> bytes:
    content = facturx.as_pdf(invoice, xml)
    findings = fatal(facturx.pdf_findings(content, xml))
    if findings:
        raise InvoiceNotValid(invoice.number, list(map(str, findings)))
    return content


def _note_document(note_id: str, format_: str, content: bytes) -> NoteDocument:
    return NoteDocument(note_id, format_, sha256(content).hexdigest(), content, made_with())
