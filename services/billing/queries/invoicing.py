"""Which invoices wait to be printed."""

from sqlalchemy import exists, select

from services.billing.documents.issue import CII, PDF
from services.billing.domain.statement import Statement
from services.billing.repository import statement_of
from services.billing.tables import documents, statements
from services.kit.database import View


def list_unprinted(view: View, *, limit: int) -> list[Statement]:
    """Return the oldest statements that have an e-invoice and no print of it."""
    kept = documents.c.statement_id == statements.c.id
    rows = view.execute(
        select(statements)
        .where(exists().where(kept, documents.c.format == CII), ~exists().where(kept, documents.c.format == PDF))
        .order_by(statements.c.id)
        .limit(limit)
    )
    return [statement_of(row) for row in rows]
