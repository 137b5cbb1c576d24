"""What plans are weighed by, as dispatchers set it."""

from datetime import date, datetime

from services.dispatch.domain.planning_settings import KeptSettings, PlanningSettings
from services.dispatch.repository import planning_settings
from services.kit.database import Transaction


def set_for(
    tx: Transaction, day: date | None, settings: PlanningSettings, *, set_by: str, at: datetime
) -> KeptSettings:
    """Let plans that are asked for from now on be weighed like that: of one day or, with None, of every other day.

    Whoever compares versions first locks the settings. Raises OutOfBounds, or Refusals with several of them.
    """
    settings.check()
    known = planning_settings.in_force(tx, day)
    kept = KeptSettings(settings, day, set_by, at, known.version + 1)
    planning_settings.save(tx, kept)
    return kept


def forget_for(tx: Transaction, day: date) -> None:
    """Weigh a day's plans as every other day's again. Doing it twice is harmless."""
    planning_settings.forget(tx, day)
