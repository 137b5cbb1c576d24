"""Sites, as deliveries name them: dispatch keeps no register of its own."""

from datetime import date
from zoneinfo import ZoneInfo

from services.dispatch.domain.closure import Closure, falling_in
from services.dispatch.domain.delivery import Delivery
from services.dispatch.domain.reach import Reach
from services.dispatch.domain.round import RoundState
from services.dispatch.queries.deliveries import DeliveryFilter, list_deliveries
from services.dispatch.repository import closures, deliveries, rounds
from services.kit.database import View


def list_sites(view: View, reach: Reach, date_from: date, date_to: date) -> list[tuple[str, str]]:
    """Return the sites of deliveries within reach in a span of days, as id and name, by name."""
    found: dict[str, str] = {}
    for delivery in list_deliveries(view, DeliveryFilter(reach, date_from, date_to), after=None, limit=None):
        for visit in (delivery.pickup, delivery.drop):
            found[visit.site_id] = visit.site_name
    return sorted(found.items(), key=lambda both: (both[1], both[0]))


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
    return falling_in(shut, stops, deliveries.by_id(view, {id_ for id_, _, _ in stops}))
