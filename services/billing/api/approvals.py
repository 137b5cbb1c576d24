"""Orders that wait for a named person: who asks, why, and the answer."""

from datetime import date, datetime
from typing import Annotated, Self

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, StringConstraints

from services.billing import queries
from services.billing.domain.approval import Approval
from services.billing.domain.charge import HoldDecision
from services.billing.domain.money import decimal_text
from services.billing.queries import Sight
from services.billing.queries import approvals as waiting
from services.billing.use_cases import Taker
from services.billing.use_cases import approvals as deciding
from services.kit.http.answers import DEFAULT_LIMIT, Cursor, Limit, Page, decode_cursor, encode_cursor, page_answer
from services.kit.http.edge import Body, Caller, Now, Once, ReadView, Tx, needs

router = APIRouter(tags=["holds"])


class ApprovalBody(Body):
    """A remark kept with the approval."""

    note: Annotated[str, StringConstraints(max_length=500)] = ""


class RefusalBody(Body):
    """Why the order is refused; the department reads it."""

    reason: Annotated[str, StringConstraints(min_length=1, max_length=500, strip_whitespace=True)]


class ApprovalOut(BaseModel):
    """An order that waits (`is_approved` is null) or waited; the amount excludes tax, nothing is held meanwhile."""

    order_id: str
    reference: str
    contract_id: str
    department_id: str
    first_service_date: date
    asked: str
    reason_code: str
    reason: str
    asked_at: datetime
    is_approved: bool | None
    decided_by: str
    note: str
    decided_at: datetime | None

    @classmethod
    def of(cls, approval: Approval) -> Self:
        """Show an approval."""
        return cls(
            order_id=approval.order.id,
            reference=approval.order.reference,
            contract_id=approval.order.contract_id,
            department_id=approval.order.department_id,
            first_service_date=approval.first_service_date,
            asked=decimal_text(approval.asked_cents),
            reason_code=approval.reason_code,
            reason=approval.reason,
            asked_at=approval.asked_at,
            is_approved=approval.is_approved,
            decided_by=approval.decided_by_name,
            note=approval.note,
            decided_at=approval.decided_at,
        )


class HoldOut(BaseModel):
    """What was decided about an order; amounts exclude tax."""

    order_id: str
    is_held: bool
    asked: str
    left: str
    reason: str
    decided_by: str

    @classmethod
    def of(cls, decision: HoldDecision, decided_by: str) -> Self:
        """Show a decision."""
        return cls(
            order_id=decision.order_id,
            is_held=decision.is_held,
            asked=decimal_text(decision.asked_cents),
            left=decimal_text(decision.left_cents),
            reason=decision.refusal,
            decided_by=decided_by,
        )


@router.get("/v1/contracts/{contract_id}/approvals", response_model=Page[ApprovalOut])
def list_approvals(
    request: Request,
    response: Response,
    contract_id: str,
    caller: Annotated[Caller, needs("billing:read")],
    view: ReadView,
    waiting_only: bool = True,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Page[ApprovalOut]:
    """List the orders of a contract that wait, or all that ever did, oldest first."""
    queries.get_contract(view, Sight.of(caller), contract_id)
    after = decode_cursor(cursor, str)[0] if cursor else None
    found = waiting.list_approvals(
        view, contract_id, is_waiting=True if waiting_only else None, after=after, limit=limit + 1
    )
    next_cursor = encode_cursor(found[limit - 1].order.id) if len(found) > limit else None
    return page_answer(request, response, [ApprovalOut.of(one) for one in found[:limit]], next_cursor)


@router.post("/v1/holds/{order_id}/approval", response_model=HoldOut)
def approve(
    order_id: str,
    body: ApprovalBody,
    caller: Annotated[Caller, needs("billing:write")],
    tx: Tx,
    now: Now,
    once: Once,
) -> Response:
    """Approve an order that waits: it is held now, if every maximum still has room for it."""
    if (answer := once.replay()) is not None:
        return answer
    waiting.get_approval(tx, Sight.of(caller), order_id)
    taker = Taker(caller.account_id, caller.name)
    decision = deciding.approve_hold(tx, order_id, by=taker, note=body.note, at=now)
    return once.keep(200, {}, HoldOut.of(decision, caller.name))


@router.post("/v1/holds/{order_id}/refusal", response_model=HoldOut)
def refuse(
    order_id: str,
    body: RefusalBody,
    caller: Annotated[Caller, needs("billing:write")],
    tx: Tx,
    now: Now,
    once: Once,
) -> Response:
    """Refuse an order that waits; its department reads by whom and why."""
    if (answer := once.replay()) is not None:
        return answer
    waiting.get_approval(tx, Sight.of(caller), order_id)
    taker = Taker(caller.account_id, caller.name)
    decision = deciding.refuse_hold(tx, order_id, by=taker, reason=body.reason, at=now)
    return once.keep(200, {}, HoldOut.of(decision, caller.name))
