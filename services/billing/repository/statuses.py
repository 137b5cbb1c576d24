"""What the platform said of each statement, kept by its own ids."""

from datetime import datetime
from typing import Any

from sqlalchemy import Row, select

from services.billing.domain.errors import StatusIdTaken
from services.billing.domain.status import Status, ToldStatus
from services.billing.tables import statuses
from services.kit.database import Transaction, View, insert_new


class Statuses:
    """Statuses of statements, in the order of their own times."""

    def __init__(self, view: View) -> None:
        self._view = view

    def of(self, statement_id: str) -> list[ToldStatus]:
        """Return everything that was told of a statement."""
        rows = self._view.execute(
            select(statuses)
            .where(statuses.c.statement_id == statement_id)
            .order_by(statuses.c.occurred_at, statuses.c.id)
        )
        return [_told(row) for row in rows]


class NewStatuses(Statuses):
    """Adds statuses; none is ever edited."""

    def __init__(self, tx: Transaction) -> None:
        super().__init__(tx)
        self._tx = tx

    def add(self, statement_id: str, told: ToldStatus, *, at: datetime) -> bool:
        """Add a status; return False when it is known.

        Raises
        ------
        StatusIdTaken
            When its id is known with another content.
        """
        row = {
            "statement_id": statement_id,
            "id": told.id,
            "status": told.status.value,
            "occurred_at": told.occurred_at,
            "reason_code": told.reason_code,
            "reason": told.reason,
            "heard_at": at,
        }
        if insert_new(self._tx, statuses, [row], statuses.c.id).all():
            return True
        if told not in self.of(statement_id):
            raise StatusIdTaken(told.id)
        return False


def _told(row: Row[Any]) -> ToldStatus:
    return ToldStatus(row.id, Status(row.status), row.occurred_at, row.reason_code, row.reason)
