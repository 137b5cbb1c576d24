"""What bikes share, as dispatchers say it; the next plans keep to it."""

from collections.abc import Sequence
from dataclasses import replace

from services.dispatch.domain.courier import as_skills
from services.dispatch.domain.errors import SiteNotFound
from services.dispatch.domain.limits import SharedEquipment, SiteLimit, check_equipment
from services.dispatch.domain.reach import Reach
from services.dispatch.repository import closures, limits
from services.dispatch.use_cases.closures import reaches_site
from services.kit.database import Transaction


def share_equipment(
    tx: Transaction, cooperative_id: str, shared: Sequence[SharedEquipment]
) -> tuple[SharedEquipment, ...]:
    """Keep what a cooperative shares instead of what was kept before. Raises OutOfBounds, or Refusals."""
    known = tuple(replace(one, equipment="".join(as_skills([one.equipment]))) for one in shared)
    check_equipment(known)
    limits.save_equipment(tx, cooperative_id, known)
    return tuple(limits.equipment_of(tx, [cooperative_id]))


def limit_site(tx: Transaction, reach: Reach, site_id: str, at_most: int) -> SiteLimit:
    """Keep how many bikes may call in a day at a site of a delivery within reach. Raises SiteNotFound, OutOfBounds."""
    name = closures.site_name(tx, site_id, reach)
    if name is None:
        raise SiteNotFound(site_id)
    limit = SiteLimit(site_id, name, at_most)
    limit.check()
    limits.save_site(tx, limit)
    return limit


def unlimit_site(tx: Transaction, reach: Reach, site_id: str) -> None:
    """Let any number of bikes call at a site within reach. Doing it twice is harmless. Raises SiteNotFound."""
    if not reaches_site(tx, reach, site_id):
        raise SiteNotFound(site_id)
    limits.remove_site(tx, site_id)
