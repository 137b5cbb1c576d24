"""Orders that wait for a named person."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Row, select, update

from services.billing.domain.approval import Approval
from services.billing.domain.ceiling_errors import ApprovalNotFound
from services.billing.domain.charge import Order
from services.billing.tables import approvals
from services.kit.database import Transaction, insert_new

_ORDER = TypeAdapter(Order)


class Approvals:
    """Orders that wait; each is decided once."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    def known(self, order_ids: Sequence[str]) -> set[str]:
        """Return which of these orders wait, or waited."""
        return set(self._tx.execute(select(approvals.c.order_id).where(approvals.c.order_id.in_(order_ids))).scalars())

    def add(self, approval: Approval) -> None:
        """Let an order wait; one that does already is left as it is."""
        row = {
            "order_id": approval.order.id,
            "contract_id": approval.order.contract_id,
            "department_id": approval.order.department_id,
            "reference": approval.order.reference,
            "content": _ORDER.dump_python(approval.order, mode="json"),
            "first_service_date": approval.first_service_date,
            "asked_cents": approval.asked_cents,
            "reason_code": approval.reason_code,
            "reason": approval.reason,
            "asked_at": approval.asked_at,
        }
        insert_new(self._tx, approvals, [row])

    def get(self, order_id: str) -> Approval:
        """Return an order that waits or waited. Raises ApprovalNotFound."""
        row = self._tx.execute(select(approvals).where(approvals.c.order_id == order_id)).one_or_none()
        if row is None:
            raise ApprovalNotFound(order_id)
        return approval_of(row)

    def late(self, contract_id: str, *, before: date, limit: int) -> list[Approval]:
        """Return orders of a contract that wait and whose first day is before `before`, the oldest first."""
        rows = self._tx.execute(
            select(approvals)
            .where(
                approvals.c.contract_id == contract_id,
                approvals.c.is_approved.is_(None),
                approvals.c.first_service_date < before,
            )
            .order_by(approvals.c.asked_at, approvals.c.order_id)
            .limit(limit)
        )
        return [approval_of(row) for row in rows]

    def decide(self, order_id: str, *, is_approved: bool, by_id: str, by_name: str, note: str, at: datetime) -> None:
        """Keep who decided what."""
        self._tx.execute(
            update(approvals)
            .where(approvals.c.order_id == order_id)
            .values(is_approved=is_approved, decided_by_id=by_id, decided_by_name=by_name, note=note, decided_at=at)
        )


def approval_of(row: Row[Any]) -> Approval:
    """Read a row of `approvals`."""
    return Approval(
        order=_ORDER.validate_python(row.content),
        first_service_date=row.first_service_date,
        asked_cents=row.asked_cents,
        reason_code=row.reason_code,
        reason=row.reason,
        asked_at=row.asked_at,
        is_approved=row.is_approved,
        decided_by_name=row.decided_by_name,
        note=row.note,
        decided_at=row.decided_at,
    )
