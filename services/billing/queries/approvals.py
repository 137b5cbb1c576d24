"""Orders that wait for a named person, and those that did."""

from sqlalchemy import select

from services.billing.domain.approval import Approval
from services.billing.domain.ceiling_errors import ApprovalNotFound
from services.billing.domain.errors import ContractNotFound
from services.billing.queries import Sight, get_contract
from services.billing.repository.approvals import approval_of
from services.billing.tables import approvals
from services.kit.database import View


def list_approvals(
    view: View, contract_id: str, *, is_waiting: bool | None = None, after: str | None = None, limit: int
) -> list[Approval]:
    """Return a contract's orders that wait, or waited, by order id (which sorts by age), after the id `after`."""
    conditions = [approvals.c.contract_id == contract_id]
    if is_waiting is not None:
        is_open = approvals.c.is_approved.is_(None)
        conditions.append(is_open if is_waiting else ~is_open)
    if after is not None:
        conditions.append(approvals.c.order_id > after)
    rows = view.execute(select(approvals).where(*conditions).order_by(approvals.c.order_id).limit(limit))
    return [approval_of(row) for row in rows]


def get_approval(view: View, sight: Sight, order_id: str) -> Approval:
    """Return an order that waits or waited. Raises ApprovalNotFound, also for one that is not the caller's."""
    row = view.execute(select(approvals).where(approvals.c.order_id == order_id)).one_or_none()
    if row is None:
        raise ApprovalNotFound(order_id)
    try:
        get_contract(view, sight, row.contract_id)
    except ContractNotFound:
        raise ApprovalNotFound(order_id) from None
    return approval_of(row)
