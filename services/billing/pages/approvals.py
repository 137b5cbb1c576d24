"""Finance answers an order that waits, from its page."""

from typing import Annotated

from fastapi import APIRouter, Form
from fastapi.responses import RedirectResponse, Response

from services.billing.queries import Sight
from services.billing.queries.approvals import get_approval
from services.billing.use_cases import Taker
from services.billing.use_cases import approvals as deciding
from services.kit.http.edge import Caller, Now, Tx, needs

router = APIRouter(include_in_schema=False)


@router.post("/finances/engagements/{order_id}/accord")
def approve(
    order_id: str,
    caller: Annotated[Caller, needs("billing:write")],
    tx: Tx,
    now: Now,
    note: Annotated[str, Form(max_length=500)] = "",
) -> Response:
    """Approve an order that waits and show the finance page again."""
    get_approval(tx, Sight.of(caller), order_id)
    deciding.approve_hold(tx, order_id, by=Taker(caller.account_id, caller.name), note=note, at=now)
    return RedirectResponse("/finances?accord=donne", status_code=303)


@router.post("/finances/engagements/{order_id}/refus")
def refuse(
    order_id: str,
    caller: Annotated[Caller, needs("billing:write")],
    tx: Tx,
    now: Now,
    reason: Annotated[str, Form(min_length=1, max_length=500)],
) -> Response:
    """Refuse an order that waits and show the finance page again."""
    get_approval(tx, Sight.of(caller), order_id)
    deciding.refuse_hold(tx, order_id, by=Taker(caller.account_id, caller.name), reason=reason.strip(), at=now)
    return RedirectResponse("/finances?accord=refuse", status_code=303)
