"""A statement after it was closed: what the platform said, what was credited, and when it must be paid."""

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import func, select

from services.billing.documents.issue import CII
from services.billing.domain import payment as paying
from services.billing.domain.credit_note import CreditNote
from services.billing.domain.errors import StatementNotFound
from services.billing.domain.legal import rows_of
from services.billing.domain.payment import Clock
from services.billing.domain.statement import Statement
from services.billing.domain.status import Life, ToldStatus, life_of
from services.billing.queries import Sight, get_statement
from services.billing.repository import Contracts, note_documents
from services.billing.repository.credit_notes import credit_note_of
from services.billing.repository.note_documents import NoteDocument
from services.billing.repository.statuses import Statuses
from services.billing.tables import credit_note_documents, credit_notes, statements
from services.kit.database import View


@dataclass(frozen=True, slots=True)
class Told:
    """Everything the platform said of a statement, by its own times, and where that puts it."""

    life: Life
    statuses: tuple[ToldStatus, ...]


def told_of(view: View, sight: Sight, statement_id: str) -> Told:
    """Return what the platform said of a statement. Raises StatementNotFound."""
    get_statement(view, sight, statement_id)
    statuses = tuple(Statuses(view).of(statement_id))
    return Told(life_of(statuses), statuses)


def list_credit_notes(view: View, sight: Sight, statement_id: str) -> list[CreditNote]:
    """Return the notes that correct a statement, oldest first. Raises StatementNotFound."""
    get_statement(view, sight, statement_id)
    rows = view.execute(
        select(credit_notes).where(credit_notes.c.statement_id == statement_id).order_by(credit_notes.c.id)
    ).all()
    return [credit_note_of(view, row) for row in rows]


def get_credit_note(view: View, sight: Sight, statement_id: str, note_id: str) -> CreditNote:
    """Return one note of a statement. Raises StatementNotFound, also for a note that is none of its."""
    get_statement(view, sight, statement_id)
    row = view.execute(
        select(credit_notes).where(credit_notes.c.id == note_id, credit_notes.c.statement_id == statement_id)
    ).one_or_none()
    if row is None:
        raise StatementNotFound(note_id)
    return credit_note_of(view, row)


def find_credit_note(view: View, sight: Sight, note_id: str) -> tuple[CreditNote, Statement]:
    """Return a note and the statement it corrects. Raises StatementNotFound."""
    row = view.execute(select(credit_notes).where(credit_notes.c.id == note_id)).one_or_none()
    if row is None:
        raise StatementNotFound(note_id)
    statement = get_statement(view, sight, row.statement_id)
    return credit_note_of(view, row), statement


def get_note_document(view: View, note_id: str, format_: str) -> NoteDocument | None:
    """Return a note's e-invoice in a format, if it is kept."""
    return note_documents.find(view, note_id, format_)


def with_invoice(view: View, statement_id: str) -> set[str]:
    """Return the ids of a statement's notes that have an e-invoice."""
    rows = view.execute(
        select(credit_note_documents.c.note_id)
        .join(credit_notes, credit_notes.c.id == credit_note_documents.c.note_id)
        .where(credit_notes.c.statement_id == statement_id, credit_note_documents.c.format == CII)
    )
    return set(rows.scalars())


def corrected_by(view: View, statement_id: str) -> list[tuple[str, str]]:
    """Return id and number of the statements that bill this one anew."""
    rows = view.execute(
        select(statements.c.id, statements.c.number)
        .where(statements.c.replaces_id == statement_id)
        .order_by(statements.c.id)
    )
    return [(row.id, row.number) for row in rows]


def today_of(view: View, sight: Sight, statement_id: str, now: datetime) -> date:
    """Return the day it is where a statement's contract lives. Raises StatementNotFound."""
    statement = get_statement(view, sight, statement_id)
    return Contracts(view).get(statement.contract_id).local_date(now)


def payment_of(view: View, sight: Sight, statement_id: str, *, on: date) -> Clock:
    """Return a statement's payment clock as it stands on a day; what was credited is not part of the principal.

    Raises
    ------
    StatementNotFound, LegalValueMissing
    """
    statement = get_statement(view, sight, statement_id)
    return _clock(view, statement, on)


def _clock(view: View, statement: Statement, today: date) -> Clock:
    credited_cents: int = view.execute(
        select(func.coalesce(func.sum(credit_notes.c.net_cents + credit_notes.c.tax_cents), 0)).where(
            credit_notes.c.statement_id == statement.id
        )
    ).scalar_one()
    return paying.clock(
        Statuses(view).of(statement.id),
        issued_on=statement.issued_on,
        executed_on=statement.last_day,
        buyer_kind=statement.buyer.kind,
        principal_cents=max(0, statement.due_cents - int(credited_cents)),
        rows=rows_of("payment"),
        local_date=Contracts(view).get(statement.contract_id).local_date,
        today=today,
    )
