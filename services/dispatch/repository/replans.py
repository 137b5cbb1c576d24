"""Readjustments, whole, as one document each."""

from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Row, insert, select, update

from services.dispatch.domain.errors import ReplanNotFound
from services.dispatch.domain.reach import Reach
from services.dispatch.domain.replan import DeliveryChange, Happened, Replan, RoundProposed, SoFar
from services.dispatch.tables import replans
from services.kit.database import Transaction, View


@dataclass(frozen=True)
class _Content:
    """What was told and what is proposed."""

    happened: Happened
    rounds: tuple[RoundProposed, ...]
    changes: tuple[DeliveryChange, ...]
    kept: int
    seen: dict[str, str]
    ridden: dict[str, SoFar] = field(default_factory=dict)


_CONTENT = TypeAdapter(_Content)


def add(tx: Transaction, new: Replan) -> None:
    """Keep a proposal."""
    content = _Content(new.happened, new.rounds, new.changes, new.kept, dict(new.seen), dict(new.ridden))
    tx.execute(
        insert(replans).values(
            id=new.id,
            day=new.day,
            cooperative_id=new.cooperative_id,
            requested_by=new.requested_by,
            requested_at=new.requested_at,
            accepted_at=new.accepted_at,
            content=_CONTENT.dump_python(content, mode="json"),
        )
    )


def get(view: View, replan_id: str, reach: Reach, *, lock: bool = False) -> Replan:
    """Return a readjustment within reach. Raises ReplanNotFound."""
    chosen = select(replans).where(replans.c.id == replan_id)
    row = view.execute(chosen.with_for_update() if lock else chosen).one_or_none()
    if row is None or not (found := _from_row(row)).concerns(reach):
        raise ReplanNotFound(replan_id)
    return found


def save(tx: Transaction, changed: Replan) -> None:
    """Keep that it was accepted."""
    tx.execute(update(replans).where(replans.c.id == changed.id).values(accepted_at=changed.accepted_at))


def _from_row(row: Row[Any]) -> Replan:
    content = _CONTENT.validate_python(row.content)
    return Replan(
        id=row.id,
        day=row.day,
        cooperative_id=row.cooperative_id,
        requested_by=row.requested_by,
        requested_at=row.requested_at,
        happened=content.happened,
        rounds=content.rounds,
        changes=content.changes,
        kept=content.kept,
        seen=content.seen,
        ridden=content.ridden,
        accepted_at=row.accepted_at,
    )
