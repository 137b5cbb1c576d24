"""Recurring requests over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

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
    CreatedRequestOut,
    EndBody,
    InterruptedRequestOut,
    OrderRefOut,
    PauseBody,
    PreviewOut,
    RecurringRequestBody,
    RecurringRequestOut,
    ResumptionBody,
)
from services.orders.domain.recurring_request import RecurringRequest
from services.orders.repository import RecurringRequests
from services.orders.settings import OrdersSettings
from services.orders.use_cases import recurring_requests as use_cases
from services.orders.use_cases.access import department_of, ordering_for
from services.orders.use_cases.recurring_requests import Interrupted, Unfolded

Reader = Annotated[Caller, needs("orders:read")]
Writer = Annotated[Caller, needs("orders:write")]
Count = Annotated[int, Query(ge=1, le=60, description="How many dates.")]


def make_router(settings: OrdersSettings) -> APIRouter:
    """Return the routes; how far ahead orders are made comes from the settings."""
    router = APIRouter(tags=["recurring requests"])

    @router.post("/v1/recurring-requests/preview")
    def preview(body: RecurringRequestBody, caller: Writer, view: ReadView, now: Now, count: Count = 10) -> PreviewOut:
        """Say a recurring request in French and return its next dates; every check is run, nothing is created."""
        terms = body.terms()
        department_id = ordering_for(caller, body.department_id)
        return PreviewOut.of(terms, use_cases.preview(view, department_id, terms, count=count, at=now))

    @router.post("/v1/recurring-requests", status_code=201, response_model=CreatedRequestOut)
    def create(body: RecurringRequestBody, caller: Writer, tx: Tx, now: Now, once: Once) -> Response:
        """Register a recurring request; the orders within the horizon are made at once."""
        if (kept := once.replay()) is not None:
            return kept
        request, unfolded = use_cases.create(
            tx,
            ordering_for(caller, body.department_id),
            body.terms(),
            horizon_days=settings.horizon_days,
            at=now,
        )
        headers = {"Location": f"/v1/recurring-requests/{request.id}", "ETag": _etag(request)}
        return once.keep(201, headers, _created(request, unfolded))

    @router.get("/v1/recurring-requests")
    def read_all(
        caller: Reader,
        view: ReadView,
        request: Request,
        response: Response,
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = None,
    ) -> Page[RecurringRequestOut]:
        """List recurring requests by age."""
        after = decode_cursor(cursor, str)[0] if cursor else None
        found = queries.list_recurring_requests(view, department_of(caller), after=after, limit=limit + 1)
        following = encode_cursor(found[limit - 1].id) if len(found) > limit else None
        return page_answer(request, response, [RecurringRequestOut.of(each) for each in found[:limit]], following)

    @router.get("/v1/recurring-requests/{request_id}", response_model=RecurringRequestOut)
    def read(request_id: str, caller: Reader, view: ReadView, request: Request) -> Response:
        """Return a recurring request."""
        found = RecurringRequests(view).get(request_id, department_of(caller))
        if (unchanged := not_modified(request, _etag(found))) is not None:
            return unchanged
        body = RecurringRequestOut.of(found).model_dump_json()
        return Response(body, media_type="application/json", headers={"ETag": _etag(found)})

    @router.get("/v1/recurring-requests/{request_id}/dates")
    def dates(request_id: str, caller: Reader, view: ReadView, now: Now, count: Count = 10) -> PreviewOut:
        """Return the next dates, each kept, moved or skipped, and what stands in its way."""
        found = RecurringRequests(view).get(request_id, department_of(caller))
        foreseen = use_cases.foresee(view, found.department_id, found.terms, count=count, at=now)
        return PreviewOut.of(found.terms, foreseen)

    @router.post("/v1/recurring-requests/{request_id}/pause", response_model=InterruptedRequestOut)
    def pause(
        request_id: str, body: PauseBody, caller: Writer, tx: Tx, now: Now, once: Once, request: Request
    ) -> Response:
        """Make no orders in a span; those made for it are cancelled as far as that is free, the others named."""
        if (kept := once.replay()) is not None:
            return kept
        found = _to_change(tx, request_id, caller, request)
        return _interrupted(once, use_cases.pause(tx, found, body.pause(), at=now))

    @router.post("/v1/recurring-requests/{request_id}/resumption", response_model=CreatedRequestOut)
    def resume(
        request_id: str, body: ResumptionBody, caller: Writer, tx: Tx, now: Now, once: Once, request: Request
    ) -> Response:
        """Lift the present or next pause from a day on; orders that fall due again are made at once."""
        if (kept := once.replay()) is not None:
            return kept
        found = _to_change(tx, request_id, caller, request)
        resumed, unfolded = use_cases.resume(tx, found, body.on, horizon_days=settings.horizon_days, at=now)
        return once.keep(200, {"ETag": _etag(resumed)}, _created(resumed, unfolded))

    @router.post("/v1/recurring-requests/{request_id}/end", response_model=InterruptedRequestOut)
    def end(request_id: str, body: EndBody, caller: Writer, tx: Tx, now: Now, once: Once, request: Request) -> Response:
        """Make no orders after a day; those made for later are cancelled as far as that is free, the others named."""
        if (kept := once.replay()) is not None:
            return kept
        found = _to_change(tx, request_id, caller, request)
        return _interrupted(once, use_cases.end(tx, found, body.last_date, at=now))

    return router


def _to_change(tx: Tx, request_id: str, caller: Caller, request: Request) -> RecurringRequest:
    found = RecurringRequests(tx).get(request_id, department_of(caller), for_update=True)
    check_if_match(request, _etag(found))
    return found


def _created(request: RecurringRequest, unfolded: Unfolded) -> CreatedRequestOut:
    orders = [OrderRefOut.of(order) for order in unfolded.orders]
    return CreatedRequestOut(**dict(RecurringRequestOut.of(request)), orders=orders)


def _interrupted(once: Once, done: Interrupted) -> Response:
    body = InterruptedRequestOut(
        **dict(RecurringRequestOut.of(done.request)),
        cancelled=[OrderRefOut.of(order) for order in done.cancelled],
        kept=[OrderRefOut.of(order) for order in done.kept],
    )
    return once.keep(200, {"ETag": _etag(done.request)}, body)


def _etag(request: RecurringRequest) -> str:
    return etag_of(request.id, request.version)
