"""Working days of a French city: Monday to Friday, no public holiday, no closed day of the department's own."""

from collections.abc import Collection
from datetime import date, timedelta
from functools import lru_cache

import holidays

FURTHEST_MOVE = 31
"""Days searched for a working day before giving up."""


@lru_cache(maxsize=256)
def _holidays_of(year: int, alsace_moselle: bool) -> dict[date, str]:
    # "57" is the Moselle; the Bas-Rhin and the Haut-Rhin have the same two days more.
    known = holidays.country_holidays("FR", subdiv="57" if alsace_moselle else None, years=year, language="fr")
    return dict(known.items())


def holiday_name(day: date, *, alsace_moselle: bool) -> str | None:
    """Return the French name of the public holiday, if it is one."""
    return _holidays_of(day.year, alsace_moselle).get(day)


def why_closed(day: date, closed_days: Collection[date], *, alsace_moselle: bool) -> str | None:
    """Return why nobody works though the calendar would let them: the holiday's name, or the department's own day."""
    if day in closed_days:
        return "jour de fermeture"
    return holiday_name(day, alsace_moselle=alsace_moselle)


def nearest_working_day(day: date, step: int, closed_days: Collection[date], *, alsace_moselle: bool) -> date | None:
    """Return the first working day after `day` (step 1) or before it (step -1), None when none is near."""
    for distance in range(1, FURTHEST_MOVE + 1):
        other = day + timedelta(days=step * distance)
        if other.weekday() < 5 and why_closed(other, closed_days, alsace_moselle=alsace_moselle) is None:
            return other
    return None
