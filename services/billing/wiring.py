"""Billing put together."""

from pathlib import Path

from services.billing import api, pages
from services.billing.handlers import HEARS
from services.billing.jobs import jobs
from services.billing.pages import after_closing, explanation, month, penalties
from services.billing.settings import BillingSettings
from services.billing.tables import metadata
from services.kit.database import Database
from services.kit.service import Link, Service

ROLE_SCOPES = {
    "finance": frozenset({"invoices:read", "billing:read", "billing:write", "charges:accept", "penalties:contest"}),
    "dispatcher": frozenset({"invoices:read", "penalties:contest"}),
    "department": frozenset({"charges:accept"}),
    "administrator": frozenset(
        {"invoices:read", "billing:read", "billing:write", "billing:admin", "charges:accept", "penalties:contest"}
    ),
}


def billing(settings: BillingSettings) -> Service:
    """Return the billing service."""
    return Service(
        name="billing",
        database=Database(settings.database_url, metadata),
        routers=[*api.routers, pages.router, month.router, after_closing.router, penalties.router, explanation.router],
        hears=HEARS,
        jobs=jobs(settings),
        problems=api.PROBLEMS,
        role_scopes=ROLE_SCOPES,
        static=Path(__file__).parent / "static",
        links=[Link("/finances", "Finances", "invoices:read")],
    )
