"""Orders over HTTP."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from services.kit.database import View
from services.kit.http.answers import (
    DEFAULT_LIMIT,
    Cursor,
    Limit,
    Page,
    check_if_match,
    decode_cursor,
    encode_cursor,
    etag_of,
    not_modified,
    page_answer,
)
from services.kit.http.edge import Caller, Now, Once, ReadView, Tx, needs
from services.orders import queries
from services.orders.api.bodies import (
    AmendmentBody,
    CancellationBody,
    CheckedOrderOut,
    Day,
    DepartmentId,
    Id,
    OrderBody,
    OrderDetailOut,
    OrderOut,
    StepOut,
)
from services.orders.domain.contract import Contract
from services.orders.domain.order import Actor, Order, Status
from services.orders.queries import OrderFilter
from services.orders.repository import Contracts, Orders
from services.orders.use_cases import orders as use_cases
from services.orders.use_cases.access import department_of, ordering_for

router = APIRouter(tags=["orders"])

Reader = Annotated[Caller, needs("orders:read")]
Writer = Annotated[Caller, needs("orders:write")]


@router.post(
    "/v1/orders",
    status_code=201,
    response_model=OrderOut,
    responses={200: {"model": CheckedOrderOut, "description": "With `dry_run`: every check passed."}},
)
def place(body: OrderBody, caller: Writer, tx: Tx, now: Now, once: Once, dry_run: bool = False) -> Response:
    """Place a one-off order. With `dry_run` every check is run and nothing is created."""
    if (kept := once.replay()) is not None:
        return kept
    asked = body.asked(ordering_for(caller, body.department_id))
    if dry_run:
        judged = use_cases.check_order(tx, asked, at=now)
        return _json(CheckedOrderOut.of(asked, judged))
    order, contract = use_cases.place_order(tx, asked, actor=Actor.DEPARTMENT, at=now)
    headers = {"Location": f"/v1/orders/{order.id}", "ETag": etag(order)}
    return once.keep(201, headers, OrderOut.of(order, {contract.id: contract}))


@router.get("/v1/orders")
def read_all(
    caller: Reader,
    view: ReadView,
    request: Request,
    response: Response,
    status: Annotated[list[Status] | None, Query(description="May be repeated.")] = None,
    site_id: Id | None = None,
    date_from: Day | None = None,
    date_to: Day | None = None,
    recurring_request_id: Id | None = None,
    client_reference: Annotated[str | None, Query(max_length=100)] = None,
    reference: Annotated[str | None, Query(max_length=32)] = None,
    department_id: DepartmentId | None = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Page[OrderOut]:
    """List orders by first service date, then by age; a date range holds when any leg falls into it."""
    own = department_of(caller)
    if own is not None and department_id not in (None, own):
        return page_answer(request, response, [], None)
    wanted = OrderFilter(
        department_id=own if own is not None else department_id,
        statuses=[str(each) for each in status or ()],
        site_id=site_id,
        date_from=date_from,
        date_to=date_to,
        recurring_request_id=recurring_request_id,
        client_reference=client_reference,
        reference=reference,
    )
    after = queries.order_place(*decode_cursor(cursor, str, str)) if cursor else None
    orders = queries.list_orders(view, wanted, after=after, limit=limit + 1)
    contracts = _contracts(view)
    shown = orders[:limit]
    following = None
    if len(orders) > limit:
        last = shown[-1]
        following = encode_cursor(min(leg.service_date for leg in last.legs).isoformat(), last.id)
    return page_answer(request, response, [OrderOut.of(order, contracts) for order in shown], following)


@router.get("/v1/orders/{order_id}", response_model=OrderDetailOut)
def read(order_id: str, caller: Reader, view: ReadView, request: Request) -> Response:
    """Return an order with its history."""
    order = queries.get_order(view, order_id, department_of(caller))
    current = etag(order)
    if (unchanged := not_modified(request, current)) is not None:
        return unchanged
    told = OrderOut.of(order, _contracts(view))
    history = [StepOut.of(step) for step in queries.history(view, order_id)]
    return _json(OrderDetailOut(**dict(told), history=history), {"ETag": current})


@router.patch("/v1/orders/{order_id}", response_model=OrderOut)
def amend(order_id: str, body: AmendmentBody, caller: Writer, tx: Tx, now: Now, request: Request) -> Response:
    """Change windows or the note before the cut-off; If-Match names the version that was read."""
    order = Orders(tx).get(order_id, department_of(caller))
    check_if_match(request, etag(order))
    amended = use_cases.amend_order(tx, order, body.windows(), body.note, at=now)
    return _json(OrderOut.of(amended, _contracts(tx)), {"ETag": etag(amended)})


@router.post("/v1/orders/{order_id}/cancellation", response_model=OrderOut)
def cancel(
    order_id: str, body: CancellationBody, caller: Writer, tx: Tx, now: Now, once: Once, request: Request
) -> Response:
    """Ask to cancel an order or some of its legs; If-Match names the version that was read.

    After the contract's cut-off it is late and may be charged. The answer shows `cancelling`; once dispatch has
    confirmed, the status is `cancelled`, or what the courier did in the meantime.
    """
    if (kept := once.replay()) is not None:
        return kept
    order = Orders(tx).get(order_id, department_of(caller))
    check_if_match(request, etag(order))
    cancelled = use_cases.cancel_order(tx, order, body.legs, body.reason, at=now)
    return once.keep(200, {"ETag": etag(cancelled)}, OrderOut.of(cancelled, _contracts(tx)))


def etag(order: Order) -> str:
    """Return the ETag of an order."""
    return etag_of(order.id, order.version)


def _contracts(view: View) -> dict[str, Contract]:
    return {contract.id: contract for contract in Contracts(view).all()}


def _json(body: Any, headers: dict[str, str] | None = None) -> Response:
    return Response(body.model_dump_json(), media_type="application/json", headers=headers)
