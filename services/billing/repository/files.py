"""Documents of any size: a statement's bytes as first rendered, written and read part by part."""

from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO

from sqlalchemy import func, insert, select

from services.billing.tables import document_parts, documents
from services.kit.database import Transaction, View, insert_new

PART_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class File:
    """A kept document without its content."""

    statement_id: str
    format: str
    sha256: str
    size_bytes: int


def find(view: View, statement_id: str, format_: str) -> File | None:
    """Return a statement's document in a format, if it was rendered."""
    return next((one for one in all_of(view, statement_id) if one.format == format_), None)


def all_of(view: View, statement_id: str) -> list[File]:
    """Return everything that is kept of a statement, by format."""
    rest = (
        select(func.sum(func.length(document_parts.c.content)))
        .where(document_parts.c.statement_id == documents.c.statement_id, document_parts.c.format == documents.c.format)
        .scalar_subquery()
    )
    rows = view.execute(
        select(
            documents.c.format,
            documents.c.sha256,
            func.length(documents.c.content).label("first"),
            func.coalesce(rest, 0).label("rest"),
        )
        .where(documents.c.statement_id == statement_id)
        .order_by(documents.c.format)
    )
    return [File(statement_id, row.format, row.sha256, row.first + int(row.rest)) for row in rows]


def keep_first(
    tx: Transaction, statement_id: str, format_: str, sha256: str, content: BinaryIO, *, at: datetime
) -> None:
    """Keep these bytes unless others were kept before."""
    row = {
        "statement_id": statement_id,
        "format": format_,
        "sha256": sha256,
        "content": content.read(PART_BYTES),
        "rendered_at": at,
    }
    if not insert_new(tx, documents, [row], documents.c.format).all():
        return
    number = 1
    while part := content.read(PART_BYTES):
        tx.execute(
            insert(document_parts).values(statement_id=statement_id, format=format_, number=number, content=part)
        )
        number += 1


def part(view: View, file: File, number: int) -> bytes:
    """Return the part of a document with this number, counted from 0; nothing after the last one."""
    if number == 0:
        chosen = select(documents.c.content).where(
            documents.c.statement_id == file.statement_id, documents.c.format == file.format
        )
    else:
        chosen = select(document_parts.c.content).where(
            document_parts.c.statement_id == file.statement_id,
            document_parts.c.format == file.format,
            document_parts.c.number == number,
        )
    content: bytes | None = view.execute(chosen).scalar_one_or_none()
    return content or b""
