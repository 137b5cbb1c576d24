"""When the time has come: months are closed, statements printed ahead, and holds nobody speaks of given back."""

from collections.abc import Mapping
from datetime import timedelta

from services.billing import documents, queries, use_cases
from services.billing.documents.validation import warm_up
from services.billing.domain.errors import PrintingUnavailable, RulesUnavailable
from services.billing.queries.invoicing import list_unprinted
from services.billing.repository import Contracts
from services.billing.settings import BillingSettings
from services.billing.use_cases import approvals, expiry, invoicing
from services.kit.clock import utc_now
from services.kit.database import Database
from services.kit.errors import DomainError
from services.kit.jobs import Job


def close_due_months(database: Database, *, delay_days: int) -> Mapping[str, object]:
    """Close every month that is due, oldest first, each in a transaction of its own; return how many, and refusals.

    Closing by hand at the same time is harmless: a month is closed once.
    """
    with database.view() as view:
        contract_ids = Contracts(view).ids()
    if contract_ids:
        warm_up()  # before a transaction is open
    months = statements = 0
    refused: dict[str, str] = {}
    for contract_id in contract_ids:
        while True:
            try:
                with database.transaction() as tx:
                    now = utc_now()
                    month = use_cases.next_due(tx, contract_id, delay_days=delay_days, at=now)
                    if month is None:
                        break
                    closing = use_cases.close_month(tx, contract_id, month, at=now)
            except DomainError as refusal:  # one contract's fault is not another's
                refused[contract_id] = refusal.detail
                break
            months += 1
            statements += len(closing.statements)
    return {"months": months, "statements": statements, **({"refused": refused} if refused else {})}


def print_statements(database: Database) -> Mapping[str, object]:
    """Print every statement that was not printed yet, so that nobody waits for paper; return how many.

    Where the machine cannot print, nothing fails: whoever asks for the PDF is told what to install.
    """
    printed = 0
    while True:
        with database.view() as view:
            waiting = queries.list_without(view, "pdf", limit=1)
            is_printed = bool(waiting) and waiting[0].legs <= documents.MOST_PRINTED_LEGS
            charges = queries.lines_of(view, waiting[0].id) if is_printed else []
        if not waiting:
            return {"printed": printed}
        try:
            content = documents.as_pdf(waiting[0], charges)
        except PrintingUnavailable as refusal:
            return {"printed": printed, "unavailable": refusal.detail}
        with database.transaction() as tx:
            use_cases.keep_document(tx, waiting[0].id, "pdf", content, at=utc_now())
        printed += 1


MOST_PRINTED_AT_ONCE = 500


def print_invoices(database: Database) -> Mapping[str, object]:
    """Print the e-invoices that were not printed yet and keep those that pass every layer; return how many."""
    with database.view() as view:
        waiting = list_unprinted(view, limit=MOST_PRINTED_AT_ONCE)
    printed = 0
    refused: dict[str, str] = {}
    for statement in waiting:
        try:
            with database.view() as view:
                content = invoicing.print_invoice(view, statement)
        except (PrintingUnavailable, RulesUnavailable) as refusal:
            return {"printed": printed, "unavailable": refusal.detail}
        except DomainError as refusal:
            refused[statement.id] = refusal.detail
            continue
        with database.transaction() as tx:
            invoicing.keep_invoice(tx, statement.id, content, at=utc_now())
        printed += 1
    return {"printed": printed, **({"refused": refused} if refused else {})}


MOST_EXPIRED = 500
"""In one transaction."""


def tidy_holds(database: Database, *, expiry_days: int) -> Mapping[str, object]:
    """Give back holds that nothing was heard of for so many days, refuse orders that waited too long; return counts."""
    with database.view() as view:
        contracts = Contracts(view)
        days = {id_: contracts.get(id_).local_date(utc_now()) for id_ in contracts.ids()}
    expired = refused = 0
    for contract_id, today in days.items():
        more = MOST_EXPIRED
        while more == MOST_EXPIRED:
            with database.transaction() as tx:
                before = today - timedelta(days=expiry_days)
                more = expiry.expire_holds(tx, contract_id, before=before, at=utc_now(), limit=MOST_EXPIRED)
            expired += more
        more = MOST_EXPIRED
        while more == MOST_EXPIRED:
            with database.transaction() as tx:
                more = approvals.refuse_late(tx, contract_id, today=today, at=utc_now(), limit=MOST_EXPIRED)
            refused += more
    return {"expired": expired, "refused": refused}


def jobs(settings: BillingSettings) -> tuple[Job, ...]:
    """Return what billing does by itself."""

    def close_months(database: Database) -> Mapping[str, object]:
        return close_due_months(database, delay_days=settings.closing_delay_days)

    def tidy(database: Database) -> Mapping[str, object]:
        return tidy_holds(database, expiry_days=settings.expiry_days)

    return (
        Job("close-months", settings.closing_every_seconds, close_months),
        Job("tidy-holds", settings.tidying_every_seconds, tidy),
        Job("print-statements", settings.printing_every_seconds, print_statements),
        Job("print-invoices", settings.printing_every_seconds, print_invoices),
    )
