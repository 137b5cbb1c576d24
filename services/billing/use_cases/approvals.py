"""An order that waits is approved or refused by a named person, or refused when its day has come."""

from datetime import date, datetime

from services.billing.domain.approval import Approval
from services.billing.domain.ceiling_errors import ApprovalDecided, ApprovalRefused, ApprovalTooLate
from services.billing.domain.charge import HoldDecision
from services.billing.repository import Ceilings, Charges
from services.billing.repository.approvals import Approvals
from services.billing.use_cases import Taker, hold_approved, refuse
from services.kit.database import Transaction
from services.kit.errors import DomainError


def approve_hold(tx: Transaction, order_id: str, *, by: Taker, note: str, at: datetime) -> HoldDecision:
    """Hold an order that waits, beyond the reserve but never beyond a maximum.

    Raises
    ------
    ApprovalNotFound, ApprovalDecided
    CeilingExceeded, or what else refuses an order, or Refusals
        When it cannot be held as things stand now. It goes on waiting.
    """
    approval = _waiting(tx, order_id)
    decision = hold_approved(tx, approval.order, at=at)
    Approvals(tx).decide(order_id, is_approved=True, by_id=by.account_id, by_name=by.name, note=note, at=at)
    return decision


def refuse_hold(tx: Transaction, order_id: str, *, by: Taker, reason: str, at: datetime) -> HoldDecision:
    """Refuse an order that waits. Raises ApprovalNotFound, ApprovalDecided."""
    approval = _waiting(tx, order_id)
    return _refuse(tx, approval, ApprovalRefused(by.name, reason), by=by, note=reason, at=at)


def refuse_late(tx: Transaction, contract_id: str, *, today: date, at: datetime, limit: int) -> int:
    """Refuse up to `limit` orders of a contract that waited until their first day had passed; return how many."""
    Ceilings(tx).lock(contract_id)
    late = Approvals(tx).late(contract_id, before=today, limit=limit)
    for approval in late:
        refusal = ApprovalTooLate(approval.first_service_date)
        _refuse(tx, approval, refusal, by=Taker("", ""), note="", at=at)
    return len(late)


def _waiting(tx: Transaction, order_id: str) -> Approval:
    """Return an order that waits, its contract locked, so that nobody else decides it now."""
    tx.write_gathered()
    approval = Approvals(tx).get(order_id)
    Ceilings(tx).lock(approval.order.contract_id)
    approval = Approvals(tx).get(order_id)  # somebody may have decided it before the lock
    if approval.is_approved is not None:
        raise ApprovalDecided(order_id, approval.decided_by_name)
    return approval


def _refuse(
    tx: Transaction, approval: Approval, refusal: DomainError, *, by: Taker, note: str, at: datetime
) -> HoldDecision:
    left_cents = Ceilings(tx).lock(approval.order.contract_id).ceiling.left_cents
    decision = refuse(tx, approval.order, refusal, left_cents=left_cents, at=at)
    Charges(tx).add([(decision, approval.order, ())])
    Approvals(tx).decide(approval.order.id, is_approved=False, by_id=by.account_id, by_name=by.name, note=note, at=at)
    return decision
