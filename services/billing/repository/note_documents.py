"""The e-invoices of credit notes, kept as bytes and never written again."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select

from services.billing.domain.errors import CreditInvoiceNotFound
from services.billing.tables import credit_note_documents
from services.kit.database import Transaction, View, insert_new


@dataclass(frozen=True, slots=True)
class NoteDocument:
    """A note's bytes in a format; `made_with` names what wrote and judged them."""

    note_id: str
    format: str
    sha256: str
    content: bytes
    made_with: str


def find(view: View, note_id: str, format_: str) -> NoteDocument | None:
    """Return a note's document in a format, if it has one."""
    kept = credit_note_documents
    row = view.execute(select(kept).where(kept.c.note_id == note_id, kept.c.format == format_)).one_or_none()
    return _document(row) if row is not None else None


def all_of(view: View, note_id: str) -> list[NoteDocument]:
    """Return everything that is kept of a note, by format."""
    kept = credit_note_documents
    return [
        _document(row) for row in view.execute(select(kept).where(kept.c.note_id == note_id).order_by(kept.c.format))
    ]


def _document(row: Row[Any]) -> NoteDocument:
    return NoteDocument(row.note_id, row.format, row.sha256, row.content, row.made_with)


def keep_first(tx: Transaction, document: NoteDocument, *, at: datetime) -> NoteDocument:
    """Keep these bytes unless others were kept before; return the ones that are kept."""
    row = {
        "note_id": document.note_id,
        "format": document.format,
        "sha256": document.sha256,
        "content": document.content,
        "made_with": document.made_with,
        "rendered_at": at,
    }
    if insert_new(tx, credit_note_documents, [row], credit_note_documents.c.format).all():
        return document
    kept = find(tx, document.note_id, document.format)
    if kept is None:
        raise CreditInvoiceNotFound(document.note_id)
    return kept
