"""What plans are weighed by, as a form: in minutes of riding."""

from datetime import date
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import field_validator

from services.dispatch.domain.planning_settings import PlanningSettings
from services.dispatch.pages import pages
from services.dispatch.pages.crew import Amount, DayForm, FormBody, Reader, Writer, refusals_of
from services.dispatch.repository import planning_settings as stored
from services.dispatch.use_cases import planning_settings as use_cases
from services.kit.database import View
from services.kit.errors import DomainError
from services.kit.http.edge import FIRST_DAY, LAST_DAY, Now, OwnDatabase, ReadView

DONE = {
    "jour": "Les réglages de ce jour sont enregistrés : le prochain plan les suivra.",
    "tous": "Les réglages de tous les jours sont enregistrés : les prochains plans les suivront.",
    "retour": "Ce jour suit de nouveau les réglages de tous les jours.",
}


class SettingsForm(FormBody):
    """Prices in minutes of riding; without `ordinary` an ordinary delivery is never left out for its price."""

    date: date
    this_day_only: bool = False
    courier: Amount = 0
    balance: int = 0
    ordinary: Amount | None = None
    can_wait: Amount = 0
    tolerance: Amount = 0
    late_weight: int = 10

    @field_validator("ordinary", mode="before")
    @classmethod
    def _nothing_is_none(cls, given: object) -> object:
        return None if given == "" else given

    def settings(self) -> PlanningSettings:
        """Return them for the domain."""
        return PlanningSettings(
            _seconds(self.courier),
            self.balance,
            None if self.ordinary is None else _seconds(self.ordinary),
            _seconds(self.can_wait),
            _seconds(self.tolerance),
            self.late_weight,
        )


def settings_pages(zone: ZoneInfo) -> APIRouter:
    """Return the pages; days are those of `zone`."""
    router = APIRouter(include_in_schema=False)

    @router.get("/tableau/reglages")
    def read(
        request: Request,
        _caller: Reader,
        view: ReadView,
        now: Now,
        jour: Annotated[date | None, Query(alias="date", ge=FIRST_DAY, le=LAST_DAY)] = None,
        fait: Annotated[str, Query(max_length=20)] = "",
    ) -> HTMLResponse:
        """Show what a day's plans are weighed by."""
        return _show(request, view, jour or now.astimezone(zone).date(), done=DONE.get(fait, ""))

    @router.post("/tableau/reglages")
    def save(
        request: Request, caller: Writer, database: OwnDatabase, now: Now, form: Annotated[SettingsForm, Form()]
    ) -> Response:
        """Set them for a day, or for every day that has none of its own."""
        day = form.date if form.this_day_only else None
        try:
            with database.transaction() as tx:
                stored.lock(tx)
                use_cases.set_for(tx, day, form.settings(), set_by=caller.name, at=now)
        except DomainError as refusal:
            with database.view() as view:
                return _show(
                    request, view, form.date, settings=form.settings(), refusals=refusals_of(refusal), status=422
                )
        return _back(form.date, "jour" if day else "tous")

    @router.post("/tableau/reglages/retour")
    def forget(_caller: Writer, database: OwnDatabase, form: Annotated[DayForm, Form()]) -> Response:
        """Let a day follow the settings of every day again."""
        with database.transaction() as tx:
            stored.lock(tx)
            use_cases.forget_for(tx, form.date)
        return _back(form.date, "retour")

    return router


def _show(request: Request, view: View, day: date, **more: Any) -> HTMLResponse:
    kept = stored.in_force(view, day)
    return pages.render(
        request,
        "reglages.html",
        day=day,
        kept=kept,
        **{"settings": kept.settings, "refusals": [], "done": "", **more},
    )


def _back(day: date, done: str) -> Response:
    return RedirectResponse(f"/tableau/reglages?date={day}&fait={done}", status_code=303)


def _seconds(minutes: float) -> int:
    return round(60 * minutes)
