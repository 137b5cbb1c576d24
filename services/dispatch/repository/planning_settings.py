"""What plans are weighed by: one document for every day, and one for each day that has its own."""

from datetime import date

from pydantic import TypeAdapter
from sqlalchemy import delete, select

from services.dispatch.domain.planning_settings import KeptSettings, PlanningSettings
from services.dispatch.tables import planning_settings
from services.kit.database import Transaction, View, insert_new, put

_CONTENT = TypeAdapter(PlanningSettings)
_EVERY_DAY = ""


def in_force(view: View, day: date | None) -> KeptSettings:
    """Return a day's own settings, else those of every day; with None always these."""
    keys = [_EVERY_DAY] if day is None else [day.isoformat(), _EVERY_DAY]
    chosen = select(planning_settings).where(planning_settings.c.day.in_(keys)).order_by(planning_settings.c.day.desc())
    row = view.execute(chosen.limit(1)).one_or_none()
    if row is None:
        return KeptSettings(PlanningSettings())
    return KeptSettings(
        _CONTENT.validate_python(row.content),
        date.fromisoformat(row.day) if row.day else None,
        row.set_by,
        row.set_at,
        row.version,
    )


def lock(tx: Transaction) -> None:
    """Let nobody else change settings until the transaction ends."""
    nothing = {
        "day": _EVERY_DAY,
        "content": _CONTENT.dump_python(PlanningSettings(), mode="json"),
        "set_by": "",
        "set_at": None,
        "version": 0,
    }
    insert_new(tx, planning_settings, [nothing])
    tx.execute(select(planning_settings.c.day).where(planning_settings.c.day == _EVERY_DAY).with_for_update())


def save(tx: Transaction, kept: KeptSettings) -> None:
    """Keep settings instead of the former ones of the same day, or of every day."""
    row = {
        "day": kept.day.isoformat() if kept.day else _EVERY_DAY,
        "content": _CONTENT.dump_python(kept.settings, mode="json"),
        "set_by": kept.set_by,
        "set_at": kept.set_at,
        "version": kept.version,
    }
    put(tx, planning_settings, row)


def forget(tx: Transaction, day: date) -> None:
    """Let a day have no settings of its own."""
    tx.execute(delete(planning_settings).where(planning_settings.c.day == day.isoformat()))
