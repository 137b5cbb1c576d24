"""Closures of sites over HTTP."""

from datetime import date, datetime
from typing import Annotated, Self
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from services.dispatch.api.crew import Reader, Writer
from services.dispatch.api.shapes import Instant
from services.dispatch.domain.closure import Closure
from services.dispatch.repository import closures as stored
from services.dispatch.use_cases import closures as use_cases
from services.dispatch.use_cases.access import reach_of
from services.kit.http.answers import Page
from services.kit.http.edge import FIRST_DAY, LAST_DAY, Body, Now, Once, ReadView, Tx

Day = Annotated[date, Query(alias="date", ge=FIRST_DAY, le=LAST_DAY)]


class ClosureBody(Body):
    """A site where no stop begins from `starts_at` until `ends_at`, when it is open again."""

    site_id: Annotated[str, Field(min_length=1, max_length=64)]
    starts_at: Instant
    ends_at: Instant
    reason: Annotated[str, Field(max_length=300, examples=["Grève de la cantine."])]


class ClosureOut(BaseModel):
    """A closure of a site."""

    id: str
    site_id: str
    site_name: str
    starts_at: datetime
    ends_at: datetime
    reason: str
    told_by: str
    told_at: datetime

    @classmethod
    def of(cls, closure: Closure) -> Self:
        """Show a closure."""
        return cls(
            id=closure.id,
            site_id=closure.site_id,
            site_name=closure.site_name,
            starts_at=closure.starts_at,
            ends_at=closure.ends_at,
            reason=closure.reason,
            told_by=closure.told_by,
            told_at=closure.told_at,
        )


def closure_router(zone: ZoneInfo) -> APIRouter:
    """Return the routes; days are those of `zone`."""
    router = APIRouter(tags=["closures"])

    @router.get("/v1/closures")
    def read_closures(_caller: Reader, view: ReadView, on: Day) -> Page[ClosureOut]:
        """List the closures that a plan of a day may meet, from its eve to its morrow."""
        return Page(items=[ClosureOut.of(closure) for closure in stored.of_day(view, on, zone)])

    @router.post("/v1/closures", status_code=201, response_model=ClosureOut)
    def close_site(body: ClosureBody, caller: Writer, tx: Tx, now: Now, once: Once) -> Response:
        """Keep that a site is closed for a while; the next plans ride around it, published rounds stay."""
        if (kept := once.replay()) is not None:
            return kept
        closure = use_cases.close_site(
            tx,
            reach_of(caller),
            body.site_id,
            body.starts_at,
            body.ends_at,
            body.reason,
            told_by=caller.name,
            at=now,
        )
        return once.keep(201, {"Location": f"/v1/closures/{closure.id}"}, ClosureOut.of(closure))

    @router.get("/v1/closures/{closure_id}")
    def read_closure(closure_id: str, _caller: Reader, view: ReadView) -> ClosureOut:
        """Return a closure."""
        return ClosureOut.of(stored.get(view, closure_id))

    @router.delete("/v1/closures/{closure_id}", status_code=204)
    def open_site(closure_id: str, caller: Writer, tx: Tx) -> None:
        """Forget a closure: the site is open after all."""
        use_cases.open_site(tx, reach_of(caller), closure_id)

    return router
