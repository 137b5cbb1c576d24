"""Deliveries over HTTP: a cooperative sees those of the contracts it holds."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from services.dispatch.api.crew import Reader, day_of_cursor
from services.dispatch.api.shapes import DeliveryOut
from services.dispatch.domain.delivery import DeliveryState
from services.dispatch.domain.errors import DeliveryNotFound
from services.dispatch.domain.events import DeliveryId
from services.dispatch.queries.crew import cooperative_names
from services.dispatch.queries.deliveries import DeliveryFilter, get_delivery, list_deliveries
from services.dispatch.use_cases.access import reach_of
from services.kit.http.answers import (
    DEFAULT_LIMIT,
    Cursor,
    Limit,
    Page,
    decode_cursor,
    encode_cursor,
    page_answer,
)
from services.kit.http.edge import ReadView

router = APIRouter(tags=["deliveries"])


@router.get("/v1/deliveries")
def read_all(
    caller: Reader,
    view: ReadView,
    request: Request,
    response: Response,
    on: Annotated[date | None, Query(alias="date", description="Un seul jour.")] = None,
    date_from: date | None = None,
    date_to: date | None = None,
    state: Annotated[list[DeliveryState] | None, Query(description="Peut être répété.")] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Page[DeliveryOut]:
    """List deliveries by service date."""
    after = None
    if cursor:
        day, order_id, leg = decode_cursor(cursor, str, str, int)
        after = (day_of_cursor(day), order_id, leg)
    reach = reach_of(caller)
    wanted = DeliveryFilter(reach, on or date_from, on or date_to, state or ())
    found = list_deliveries(view, wanted, after=after, limit=limit + 1)
    names = cooperative_names(view)
    following = None
    if len(found) > limit:
        last = found[limit - 1]
        following = encode_cursor(last.service_date.isoformat(), last.id.order_id, last.id.leg)
    shown = [DeliveryOut.of(delivery, reach, names) for delivery in found[:limit]]
    return page_answer(request, response, shown, following)


@router.get("/v1/deliveries/{delivery_id}")
def read(delivery_id: str, caller: Reader, view: ReadView) -> DeliveryOut:
    """Return a delivery."""
    reach = reach_of(caller)
    try:
        wanted = DeliveryId.parse(delivery_id)
    except ValueError:
        raise DeliveryNotFound(delivery_id) from None
    return DeliveryOut.of(get_delivery(view, wanted, reach), reach, cooperative_names(view))
