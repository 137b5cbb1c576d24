"""Two drafts of a day side by side, to publish one of them."""

from datetime import date
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from services.dispatch.pages import pages
from services.dispatch.pages.crew import Reader
from services.dispatch.queries.comparison import list_drafts, read_comparison
from services.dispatch.use_cases.access import reach_of
from services.kit.http.edge import FIRST_DAY, LAST_DAY, Now, ReadView


def comparison_pages(zone: ZoneInfo) -> APIRouter:
    """Return the page; days are those of `zone`."""
    router = APIRouter(include_in_schema=False)

    @router.get("/tableau/comparaison")
    def read(
        request: Request,
        caller: Reader,
        view: ReadView,
        now: Now,
        jour: Annotated[date | None, Query(alias="date", ge=FIRST_DAY, le=LAST_DAY)] = None,
        plan: Annotated[str, Query(max_length=60)] = "",
        avec: Annotated[str, Query(max_length=60)] = "",
    ) -> HTMLResponse:
        """Show two of a day's drafts: those that are named, else the newest two."""
        day, reach = jour or now.astimezone(zone).date(), reach_of(caller)
        drafts = list_drafts(view, reach, day)
        named = {draft.id: draft for draft in drafts}
        both = [named[id_] for id_ in (plan, avec) if id_ in named]
        if len(both) < 2:
            both = drafts[1::-1]  # the older one first
        return pages.render(
            request,
            "comparaison.html",
            day=day,
            drafts=drafts,
            plans=both,
            compared=read_comparison(view, both[0], both[1], reach) if len(both) == 2 else None,
        )

    return router
