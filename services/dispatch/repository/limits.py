"""What bikes share: equipment of cooperatives, and room at sites."""

from collections.abc import Collection, Sequence

from sqlalchemy import delete, insert, select

from services.dispatch.domain.limits import SharedEquipment, SiteLimit
from services.dispatch.tables import shared_equipment, site_limits
from services.kit.database import Transaction, View, put


def equipment_of(view: View, cooperative_ids: Collection[str]) -> list[SharedEquipment]:
    """Return what these cooperatives share, by cooperative and equipment."""
    rows = view.execute(
        select(shared_equipment)
        .where(shared_equipment.c.cooperative_id.in_(list(cooperative_ids)))
        .order_by(shared_equipment.c.cooperative_id, shared_equipment.c.equipment)
    )
    return [SharedEquipment(row.cooperative_id, row.equipment, row.at_most) for row in rows]


def save_equipment(tx: Transaction, cooperative_id: str, shared: Sequence[SharedEquipment]) -> None:
    """Keep what a cooperative shares, instead of what was kept before."""
    tx.execute(delete(shared_equipment).where(shared_equipment.c.cooperative_id == cooperative_id))
    if shared:
        tx.execute(
            insert(shared_equipment),
            [{"cooperative_id": cooperative_id, "equipment": one.equipment, "at_most": one.at_most} for one in shared],
        )


def of_sites(view: View) -> list[SiteLimit]:
    """Return every site with room for a few, by name."""
    rows = view.execute(select(site_limits).order_by(site_limits.c.site_name, site_limits.c.site_id))
    return [SiteLimit(row.site_id, row.site_name, row.at_most) for row in rows]


def save_site(tx: Transaction, limit: SiteLimit) -> None:
    """Keep how many bikes may call at a site, instead of what was kept before."""
    put(tx, site_limits, {"site_id": limit.site_id, "site_name": limit.site_name, "at_most": limit.at_most})


def remove_site(tx: Transaction, site_id: str) -> None:
    """Let any number of bikes call at a site."""
    tx.execute(delete(site_limits).where(site_limits.c.site_id == site_id))
