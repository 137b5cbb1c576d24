"""Closures of sites, and the sites that they may be of: dispatch knows those that deliveries name."""

from collections.abc import Collection
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Row, delete, insert, or_, select

from services.dispatch.domain.closure import Closure
from services.dispatch.domain.errors import ClosureNotFound
from services.dispatch.domain.reach import Reach
from services.dispatch.repository.crew import is_holder
from services.dispatch.tables import closures, deliveries
from services.kit.database import Transaction, View


def between(view: View, start: datetime, end: datetime) -> list[Closure]:
    """Return the closures that last at some moment of a span, in the order of their beginnings."""
    rows = view.execute(
        select(closures)
        .where(closures.c.starts_at < end, closures.c.ends_at > start)
        .order_by(closures.c.starts_at, closures.c.id)
    )
    return [_from_row(row) for row in rows]


def around(view: View, times: Collection[datetime]) -> list[Closure]:
    """Return the closures that last at some moment from the first of these times to the last."""
    return between(view, min(times), max(times) + timedelta(seconds=1)) if times else []


def of_day(view: View, day: date, zone: ZoneInfo) -> list[Closure]:
    """Return the closures that a plan of a day may meet: windows may begin on its eve and end on its morrow."""
    midnight = datetime.combine(day, time.min, zone)
    return between(view, midnight - timedelta(days=1), midnight + timedelta(days=2))


def get(view: View, closure_id: str) -> Closure:
    """Return a closure. Raises ClosureNotFound."""
    row = view.execute(select(closures).where(closures.c.id == closure_id)).one_or_none()
    if row is None:
        raise ClosureNotFound(closure_id)
    return _from_row(row)


def add(tx: Transaction, new: Closure) -> None:
    """Keep a closure."""
    tx.execute(
        insert(closures).values(
            id=new.id,
            site_id=new.site_id,
            site_name=new.site_name,
            starts_at=new.starts_at,
            ends_at=new.ends_at,
            reason=new.reason,
            told_by=new.told_by,
            told_at=new.told_at,
        )
    )


def remove(tx: Transaction, closure_id: str) -> None:
    """Forget a closure."""
    tx.execute(delete(closures).where(closures.c.id == closure_id))


def site_name(view: View, site_id: str, reach: Reach) -> str | None:
    """Return what a site was called last by a delivery within reach, None where none names it."""
    pickup_id, drop_id = (column["site_id"].as_string() for column in (deliveries.c.pickup, deliveries.c.drop))
    chosen = (
        select(deliveries.c.pickup, deliveries.c.drop)
        .where(or_(pickup_id == site_id, drop_id == site_id))
        .order_by(deliveries.c.service_date.desc(), deliveries.c.order_id.desc())
        .limit(1)
    )
    if not reach.is_everything:
        chosen = chosen.where(is_holder(deliveries.c.contract_id, reach))
    row = view.execute(chosen).one_or_none()
    if row is None:
        return None
    return str(next(visit["site_name"] for visit in (row.pickup, row.drop) if visit["site_id"] == site_id))


def _from_row(row: Row[Any]) -> Closure:
    return Closure(row.id, row.site_id, row.site_name, row.starts_at, row.ends_at, row.reason, row.told_by, row.told_at)
