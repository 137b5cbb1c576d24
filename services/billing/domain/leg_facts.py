"""What an order tells of a leg beyond its loads, as far as a price can depend on it: how far, when, how soon.

Distances are straight lines between the sites' positions: the order carries them, so that a price is known at once and
is the same whenever and by whomever it is reckoned. What the courier rode is not what the city pays for.
"""

import math
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

import holidays

EARTH_METRES = 6_371_008.8


@dataclass(frozen=True, slots=True)
class LegFacts:
    """`metres` is None where a site's position is unknown; `is_first` says that it is the first leg of its order."""

    metres: int | None = None
    pickup_at: datetime | None = None
    """The start of the pickup's window, aware."""
    placed_at: datetime | None = None
    is_first: bool = True

    def minute_of_day(self, zone: str) -> int | None:
        """Return how many minutes after local midnight the pickup's window starts."""
        if self.pickup_at is None:
            return None
        local = self.pickup_at.astimezone(ZoneInfo(zone))
        return local.hour * 60 + local.minute

    @property
    def minutes_ahead(self) -> int | None:
        """How many whole minutes before its pickup's window it was ordered; 0 when after."""
        if self.pickup_at is None or self.placed_at is None:
            return None
        return max(0, int((self.pickup_at - self.placed_at).total_seconds()) // 60)


NOTHING_TOLD = LegFacts()


@lru_cache(maxsize=64)
def _holidays_of(year: int) -> frozenset[date]:
    return frozenset(holidays.country_holidays("FR", years=year))


def is_public_holiday(day: date) -> bool:
    """Return whether it is a public holiday in all of metropolitan France."""
    return day in _holidays_of(day.year)


def straight_metres(from_latitude: float, from_longitude: float, to_latitude: float, to_longitude: float) -> int:
    """Return the great-circle distance between two points in WGS 84 degrees, to the metre, by the haversine formula."""
    start, end = math.radians(from_latitude), math.radians(to_latitude)
    across = math.radians(to_longitude - from_longitude)
    half = math.sin((end - start) / 2) ** 2 + math.cos(start) * math.cos(end) * math.sin(across / 2) ** 2
    return round(2 * EARTH_METRES * math.asin(math.sqrt(min(1.0, half))))
