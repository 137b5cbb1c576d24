"""Closures of sites, as dispatchers hear of them; plans ride around them."""

from datetime import datetime

from services.dispatch.domain.closure import Closure
from services.dispatch.domain.errors import SiteNotFound
from services.dispatch.domain.reach import Reach
from services.dispatch.repository import closures
from services.kit.database import Transaction, View
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


def open_site(tx: Transaction, reach: Reach, closure_id: str) -> None:
    """Forget a closure of a site within reach: it is open after all. Raises ClosureNotFound, SiteNotFound."""
    closure = closures.get(tx, closure_id)
    if not reaches_site(tx, reach, closure.site_id):
        raise SiteNotFound(closure.site_id)
    closures.remove(tx, closure.id)


def reaches_site(view: View, reach: Reach, site_id: str) -> bool:
    """Return whether what was said of a site may be taken back: a delivery within reach names it, as for saying it.

    The administration may also where no delivery names it any more.
    """
    return reach.is_everything or closures.site_name(view, site_id, reach) is not None
