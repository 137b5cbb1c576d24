"""Sites, as deliveries name them: dispatch keeps no register of its own."""

from datetime import date
from zoneinfo import ZoneInfo

from sqlalchemy import func, select, union_all

from services.dispatch.domain.closure import Closure, falling_in
from services.dispatch.domain.delivery import Delivery
from services.dispatch.domain.reach import Reach
from services.dispatch.domain.round import RoundState
from services.dispatch.repository import closures, rounds
from services.dispatch.repository import deliveries as stored
from services.dispatch.repository.crew import is_holder
from services.dispatch.tables import deliveries
from services.kit.database import View


def list_sites(view: View, reach: Reach, date_from: date, date_to: date) -> list[tuple[str, str]]:
    """Return the sites of deliveries within reach in a span of days, as id and what they were called last, by name."""
    called = [
        select(
            deliveries.c.service_date,
            visit["site_id"].as_string().label("id"),
            visit["site_name"].as_string().label("name"),
        ).where(deliveries.c.service_date >= date_from, deliveries.c.service_date <= date_to)
        for visit in (deliveries.c.pickup, deliveries.c.drop)
    ]
    if not reach.is_everything:
        called = [one.where(is_holder(deliveries.c.contract_id, reach)) for one in called]
    calls = union_all(*called).subquery()
    rows = view.execute(
        select(calls.c.id, calls.c.name)
        .group_by(calls.c.id, calls.c.name)
        .order_by(func.max(calls.c.service_date), calls.c.name)
    )
    return sorted({row.id: row.name for row in rows}.items(), key=lambda both: (both[1], both[0]))


def shut_stops(view: View, day: date, reach: Reach, zone: ZoneInfo) -> list[tuple[Closure, Delivery]]:
    """Return the stops of published rounds, still to be made, that would begin while their site is closed."""
    shut = closures.of_day(view, day, zone)
    if not shut:
        return []
    stops = [
        (stop.delivery_id, stop.kind, stop.starts_at)
        for round_ in rounds.of_day(view, day, reach)
        if round_.state in (RoundState.PUBLISHED, RoundState.UNDER_WAY)
        for stop in round_.stops
        if not stop.has_ended
    ]
    return falling_in(shut, stops, stored.by_id(view, {id_ for id_, _, _ in stops}))
