"""Closures of sites, as dispatchers hear of them; plans ride around them."""

from datetime import datetime

from services.dispatch.domain.closure import Closure
from services.dispatch.domain.errors import SiteNotFound
from services.dispatch.domain.reach import Reach
from services.dispatch.repository import closures
from services.kit.database import Transaction
from services.kit.ids import new_id


def close_site(
    tx: Transaction,
    reach: Reach,
    site_id: str,
    starts_at: datetime,
    ends_at: datetime,
    reason: str,
    *,
    told_by: str,
    at: datetime,
) -> Closure:
    """Keep that a site of a delivery within reach is closed for a while.

    Drafts that would call there meanwhile become stale; published rounds stay, and can be readjusted.

    Raises
    ------
    SiteNotFound, OutOfBounds
        Or Refusals with several of the latter.
    """
    name = closures.site_name(tx, site_id, reach)
    if name is None:
        raise SiteNotFound(site_id)
    closure = Closure(new_id(), site_id, name, starts_at, ends_at, reason.strip(), told_by, at)
    closure.check()
    closures.add(tx, closure)
    return closure


def open_site(tx: Transaction, closure_id: str) -> None:
    """Forget a closure: the site is open after all. Raises ClosureNotFound."""
    closures.remove(tx, closures.get(tx, closure_id).id)
