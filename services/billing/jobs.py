"""When the time has come: months are closed some days after their end, once, whoever else closes them by hand."""

from collections.abc import Mapping

from services.billing import use_cases
from services.billing.repository import Contracts
from services.billing.settings import BillingSettings
from services.kit.clock import utc_now
from services.kit.database import Database
from services.kit.jobs import Job


def close_due_months(database: Database, *, delay_days: int) -> Mapping[str, object]:
    """Close every month that is due, oldest first, each in a transaction of its own; return the counts."""
    with database.view() as view:
        contract_ids = Contracts(view).ids()
    months = statements = 0
    for contract_id in contract_ids:
        while True:
            with database.transaction() as tx:
                now = utc_now()
                month = use_cases.next_due(tx, contract_id, delay_days=delay_days, at=now)
                if month is None:
                    break
                closing = use_cases.close_month(tx, contract_id, month, at=now)
            months += closing.is_new
            statements += len(closing.statements)
    return {"months": months, "statements": statements}


def jobs(settings: BillingSettings) -> tuple[Job, ...]:
    """Return what billing does by itself."""

    def close_months(database: Database) -> Mapping[str, object]:
        return close_due_months(database, delay_days=settings.closing_delay_days)

    return (Job("close-months", settings.closing_every_seconds, close_months),)
