"""Closures of sites, as a list of a day and a form."""

from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import Field, NaiveDatetime, field_validator

from services.dispatch.domain.reach import Reach
from services.dispatch.pages import pages
from services.dispatch.pages.crew import DayForm, FormBody, Reader, Writer, refusals_of
from services.dispatch.queries.sites import list_sites, shut_stops
from services.dispatch.repository import closures as stored
from services.dispatch.repository.limits import of_sites
from services.dispatch.use_cases import closures as use_cases
from services.dispatch.use_cases.access import reach_of
from services.dispatch.use_cases.limits import limit_site, unlimit_site
from services.kit.database import View
from services.kit.errors import DomainError
from services.kit.http.edge import FIRST_DAY, LAST_DAY, Now, OwnDatabase, ReadView

DONE = {
    "fermeture": "La fermeture est notée : les prochains plans la contourneront.",
    "levee": "La fermeture est levée.",
    "quais": "C'est enregistré : les prochains plans en tiendront compte.",
}
DAYS_BACK, DAYS_AHEAD = 28, 60
"""Sites offered are those of deliveries around the day."""


Moment = Annotated[NaiveDatetime, Field(ge=datetime(2000, 1, 1), le=datetime(2100, 1, 1))]  # noqa: DTZ001 - local


class ClosureForm(FormBody):
    """A closure by local times."""

    date: date
    site_id: str
    starts: Moment
    ends: Moment
    reason: str = ""


class SiteLimitForm(FormBody):
    """How many bikes may call at a site in a day; without a number, as many as like."""

    date: date
    site_id: str
    at_most: int | None = None

    @field_validator("at_most", mode="before")
    @classmethod
    def _nothing_is_none(cls, given: object) -> object:
        return None if given == "" else given


def closure_pages(zone: ZoneInfo) -> APIRouter:
    """Return the pages; times of day are those of `zone`."""
    router = APIRouter(include_in_schema=False)

    def show(request: Request, view: View, day: date, reach: Reach, **more: Any) -> HTMLResponse:
        closures = stored.of_day(view, day, zone)
        return pages.render(
            request,
            "fermetures.html",
            day=day,
            closures=closures,
            own={one.id for one in closures if use_cases.reaches_site(view, reach, one.site_id)},
            sites=list_sites(view, reach, day - timedelta(days=DAYS_BACK), day + timedelta(days=DAYS_AHEAD)),
            shut=shut_stops(view, day, reach, zone),
            limits=of_sites(view),
            previous_day=day - timedelta(days=1),
            next_day=day + timedelta(days=1),
            **{"refusals": [], "done": "", "form": None, **more},
        )

    @router.get("/tableau/fermetures")
    def read(
        request: Request,
        caller: Reader,
        view: ReadView,
        now: Now,
        jour: Annotated[date | None, Query(alias="date", ge=FIRST_DAY, le=LAST_DAY)] = None,
        fait: Annotated[str, Query(max_length=20)] = "",
    ) -> HTMLResponse:
        """Show the closures of a day."""
        day = jour or now.astimezone(zone).date()
        return show(request, view, day, reach_of(caller), done=DONE.get(fait, ""))

    @router.post("/tableau/fermetures")
    def close(
        request: Request, caller: Writer, database: OwnDatabase, now: Now, form: Annotated[ClosureForm, Form()]
    ) -> Response:
        """Note a closure."""
        reach = reach_of(caller)
        starts_at, ends_at = (one.replace(tzinfo=zone).astimezone(UTC) for one in (form.starts, form.ends))
        try:
            with database.transaction() as tx:
                use_cases.close_site(
                    tx, reach, form.site_id, starts_at, ends_at, form.reason, told_by=caller.name, at=now
                )
        except DomainError as refusal:
            with database.view() as view:
                return show(request, view, form.date, reach, refusals=refusals_of(refusal), form=form, status=422)
        return _back(form.date, "fermeture")

    @router.post("/tableau/fermetures/quais")
    def limit(
        request: Request, caller: Writer, database: OwnDatabase, form: Annotated[SiteLimitForm, Form()]
    ) -> Response:
        """Say how many bikes may call at a site in a day."""
        reach = reach_of(caller)
        try:
            with database.transaction() as tx:
                if form.at_most is None:
                    unlimit_site(tx, reach, form.site_id)
                else:
                    limit_site(tx, reach, form.site_id, form.at_most)
        except DomainError as refusal:
            with database.view() as view:
                return show(request, view, form.date, reach, refusals=refusals_of(refusal), status=422)
        return _back(form.date, "quais")

    @router.post("/tableau/fermetures/{closure_id}/levee")
    def reopen(
        request: Request, closure_id: str, caller: Writer, database: OwnDatabase, form: Annotated[DayForm, Form()]
    ) -> Response:
        """Forget a closure."""
        reach = reach_of(caller)
        try:
            with database.transaction() as tx:
                use_cases.open_site(tx, reach, closure_id)
        except DomainError as refusal:
            with database.view() as view:
                return show(request, view, form.date, reach, refusals=refusals_of(refusal), status=404)
        return _back(form.date, "levee")

    return router


def _back(day: date, done: str) -> Response:
    return RedirectResponse(f"/tableau/fermetures?date={day}&fait={done}", status_code=303)
