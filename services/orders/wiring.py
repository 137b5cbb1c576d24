"""Settings -> the orders service."""

from services.kit.database import Database
from services.kit.service import Service
from services.orders import api, handlers, jobs, tables
from services.orders.settings import OrdersSettings

ROLE_SCOPES = {
    "department": frozenset({"orders:read", "orders:write"}),
    "administrator": frozenset({"orders:read", "orders:write", "orders:admin"}),
}


def orders(settings: OrdersSettings) -> Service:
    """Return the service that owns departments' sites and requests."""
    return Service(
        name="orders",
        database=Database(settings.database_url, tables.metadata),
        routers=api.routers(settings),
        hears=handlers.HEARS,
        jobs=jobs.jobs(settings),
        problems=api.PROBLEMS,
        role_scopes=ROLE_SCOPES,
    )
