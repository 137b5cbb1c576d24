"""The e-invoice of a statement: written and judged in the closing, printed afterwards, never written again."""

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256

from services.billing import documents
from services.billing.documents import facturx
from services.billing.documents.issue import CARRIED, CII, PDF, issue, made_with
from services.billing.documents.month import invoice_of
from services.billing.documents.validation import fatal
from services.billing.domain.charge import Charge
from services.billing.domain.errors import InvoiceNotFound, InvoiceNotValid
from services.billing.domain.statement import Statement
from services.billing.repository import Document, Documents, NewDocuments
from services.kit.database import Transaction, View


def issue_invoice(tx: Transaction, statement: Statement, charges: Sequence[Charge], *, at: datetime) -> None:
    """Keep the invoice of a statement that is being closed. What is refused here undoes the whole closing.

    Raises
    ------
    InvoiceDataMissing, InvoiceNotValid, RulesUnavailable
    """
    invoice = invoice_of(statement, documents.as_csv(statement, charges))
    kept = NewDocuments(tx)
    for format_, content in issue(invoice).items():
        kept.keep_first(Document(statement.id, format_, sha256(content).hexdigest(), content, made_with()), at=at)


def print_invoice(view: View, statement: Statement, charges: Sequence[Charge]) -> bytes:
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
    invoice = invoice_of(statement, documents.as_csv(statement, charges))
    content = facturx.as_pdf(invoice, carried.content)
    findings = fatal(facturx.pdf_findings(content, carried.content))
    if findings:
        raise InvoiceNotValid(statement.number, list(map(str, findings)))
    return content


def keep_invoice(tx: Transaction, statement_id: str, content: bytes, *, at: datetime) -> Document:
    """Keep a drawn invoice unless one was kept before; return the kept one."""
    drawn = Document(statement_id, PDF, sha256(content).hexdigest(), content, made_with())
    return NewDocuments(tx).keep_first(drawn, at=at)
