"""What orders does by itself: unfold recurring requests, forget old contact persons."""

import logging
from collections.abc import Mapping, Sequence
from datetime import timedelta

from services.kit.clock import utc_now
from services.kit.database import Database
from services.kit.jobs import Job
from services.orders.repository import Orders, RecurringRequests
from services.orders.settings import OrdersSettings
from services.orders.use_cases.recurring_requests import unfold_by_id

logger = logging.getLogger(__name__)


class NotAllUnfolded(Exception):
    """Some recurring requests could not be unfolded; the others were."""


def jobs(settings: OrdersSettings) -> Sequence[Job]:
    """Return the jobs of orders."""

    def generate(database: Database) -> Mapping[str, object]:
        return generate_orders(database, horizon_days=settings.horizon_days)

    def forget(database: Database) -> Mapping[str, object]:
        return forget_contacts(database, kept_days=settings.contacts_kept_days)

    return (
        Job("generate-orders", settings.generate_every_seconds, generate),
        Job("forget-contacts", 86_400, forget),
    )


def generate_orders(database: Database, *, horizon_days: int) -> Mapping[str, object]:
    """Unfold every recurring request up to the horizon, each in a transaction of its own.

    Raises
    ------
    NotAllUnfolded
        At the end, when one could not be unfolded by a fault of ours; what was made stays.
    """
    now = utc_now()
    with database.view() as view:
        # A zone ahead of UTC may have begun another day; a request that ended yesterday is then looked at in vain.
        requests = RecurringRequests(view).running((now - timedelta(days=1)).date())
    made, problems, failed = 0, 0, 0
    for request_id in requests:
        try:
            with database.transaction() as tx:
                unfolded = unfold_by_id(tx, request_id, horizon_days=horizon_days, at=now)
        except Exception:
            logger.exception("a recurring request could not be unfolded", extra={"facts": {"request": request_id}})
            failed += 1
            continue
        made += len(unfolded.orders)
        problems += bool(unfolded.problem)
    if failed:
        raise NotAllUnfolded(f"{failed} of {len(requests)} recurring requests; {made} orders were made")
    return {"requests": len(requests), "orders": made, "with_problems": problems}


def forget_contacts(database: Database, *, kept_days: int) -> Mapping[str, object]:
    """Blank the contact persons of orders that ended long ago."""
    before = (utc_now() - timedelta(days=kept_days)).date()
    forgotten = 0
    while True:
        with database.transaction() as tx:
            found = Orders(tx).forget_contacts(before)
        forgotten += found
        if not found:
            return {"orders": forgotten}
