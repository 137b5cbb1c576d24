"""Published rounds over HTTP, and why a stop may fail."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from services.dispatch.api.crew import Reader, Writer, day_and_id
from services.dispatch.api.shapes import FailureReasonOut, Id, RoundOut
from services.dispatch.domain.failure import FAILURE_REASONS
from services.dispatch.domain.round import RoundState
from services.dispatch.queries.rounds import RoundFilter, around, list_rounds
from services.dispatch.repository import rounds
from services.dispatch.use_cases.access import reach_of
from services.dispatch.use_cases.plans import withdraw_round
from services.kit.http.answers import (
    DEFAULT_LIMIT,
    Cursor,
    Limit,
    Page,
    encode_cursor,
    etag_of,
    not_modified,
    page_answer,
)
from services.kit.http.edge import FIRST_DAY, LAST_DAY, Body, Caller, Now, ReadView, Tx, needs

router = APIRouter(tags=["rounds"])


class WithdrawalBody(Body):
    """Why a round is taken back: a sentence that the courier and the departments read."""

    reason: Annotated[str, Field(min_length=1, max_length=300, examples=["Une coursière est malade."])]


@router.get("/v1/rounds")
def read_all(
    caller: Reader,
    view: ReadView,
    request: Request,
    response: Response,
    on: Annotated[date | None, Query(alias="date", ge=FIRST_DAY, le=LAST_DAY, description="Un seul jour.")] = None,
    date_from: date | None = None,
    date_to: date | None = None,
    state: Annotated[list[RoundState] | None, Query(description="Peut être répété.")] = None,
    courier_id: Id | None = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Page[RoundOut]:
    """List published rounds by day; drafts are in their plan."""
    wanted = RoundFilter(reach_of(caller), on or date_from, on or date_to, state or (), courier_id)
    found = list_rounds(view, wanted, after=day_and_id(cursor), limit=limit + 1)
    shown = found[:limit]
    following = encode_cursor(shown[-1].day.isoformat(), shown[-1].id) if len(found) > limit else None
    facts = around(view, shown)
    return page_answer(request, response, [RoundOut.of(round_, facts) for round_ in shown], following)


@router.get("/v1/rounds/{round_id}", response_model=RoundOut)
def read(round_id: str, caller: Reader, view: ReadView, request: Request) -> Response:
    """Return a published round with what was reported of its stops."""
    round_ = rounds.get(view, round_id, reach_of(caller))
    told = RoundOut.of(round_, around(view, [round_])).model_dump_json()
    etag = etag_of(told)
    return not_modified(request, etag) or Response(told, media_type="application/json", headers={"ETag": etag})


@router.post("/v1/rounds/{round_id}/withdrawal")
def withdraw(round_id: str, body: WithdrawalBody, caller: Writer, tx: Tx, now: Now) -> RoundOut:
    """Take a round back that nobody started; its deliveries can be planned again. Doing it twice is harmless."""
    round_ = withdraw_round(tx, round_id, reach_of(caller), body.reason, at=now)
    return RoundOut.of(round_, around(tx, [round_]))


@router.get("/v1/failure-reasons")
def read_failure_reasons(_caller: Annotated[Caller, needs("dispatch:read", "rides:read")]) -> list[FailureReasonOut]:
    """List the reasons for which a stop may fail."""
    return [FailureReasonOut.of(reason) for reason in FAILURE_REASONS.values()]
