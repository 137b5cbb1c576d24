"""Settings -> the orders service."""

from pathlib import Path

from services.kit.database import Database
from services.kit.service import Link, Service
from services.orders import api, handlers, jobs, pages, tables
from services.orders.settings import OrdersSettings

ROLE_SCOPES = {
    "department": frozenset({"orders:read", "orders:write"}),
    "administrator": frozenset({"orders:read", "orders:write", "orders:admin"}),
}
LINKS = (Link("/demandes", "Demandes", "orders:read"), Link("/calendrier", "Calendrier", "orders:read"))


def orders(settings: OrdersSettings) -> Service:
    """Return the service that owns departments' sites and requests."""
    return Service(
        name="orders",
        database=Database(settings.database_url, tables.metadata),
        routers=[*api.routers(settings), *pages.routers(settings)],
        hears=handlers.HEARS,
        jobs=jobs.jobs(settings),
        problems={**api.PROBLEMS, **pages.PROBLEMS},
        role_scopes=ROLE_SCOPES,
        static=Path(__file__).with_name("static"),
        links=LINKS,
    )
