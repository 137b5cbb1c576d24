"""A dispatcher readjusts a published day: says what happened, reads what is proposed, accepts it."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Annotated, Any, Protocol
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict

from services.dispatch.domain.delivery import DeliveryState
from services.dispatch.domain.errors import NothingToReadjust
from services.dispatch.domain.reach import Reach
from services.dispatch.domain.replan import (
    ChangeKind,
    CourierLate,
    DeliveryChange,
    Happened,
    Replan,
    ShiftLost,
    SiteShut,
    Strictness,
    require_open,
)
from services.dispatch.domain.round import RoundState
from services.dispatch.pages import pages
from services.dispatch.pages.crew import DayForm, refusals_of
from services.dispatch.queries.board import read_board
from services.dispatch.queries.replans import told
from services.dispatch.repository import crew, replans
from services.dispatch.use_cases import crew as crew_stories
from services.dispatch.use_cases.access import reach_of
from services.dispatch.use_cases.replans import accept
from services.kit.database import Database, View
from services.kit.errors import DomainError
from services.kit.http.edge import FIRST_DAY, LAST_DAY, Caller, Now, OwnDatabase, ReadView, needs

Reader = Annotated[Caller, needs("dispatch:read")]
Writer = Annotated[Caller, needs("dispatch:write")]

STRICTNESS = {
    Strictness.LOOSE: ("Souple", "la meilleure journée, même si beaucoup change"),
    Strictness.MEASURED: ("Mesuré", "ne change que ce qui fait gagner nettement"),
    Strictness.STRICT: ("Strict", "ne touche qu'à ce qui ne peut pas rester"),
}
TITLES = {
    ChangeKind.MOVED: "Changent de tournée",
    ChangeKind.RETIMED: "Changent d'horaire",
    ChangeKind.ADDED: "Entrent dans une tournée",
    ChangeKind.DROPPED: "Sortent de leur tournée",
    ChangeKind.ABOARD: "Sont à bord d'un vélo qui ne roule plus",
    ChangeKind.LEFT_OUT: "Restent sans tournée",
}


class Propose(Protocol):
    """Computes and keeps a proposal."""

    def __call__(
        self, database: Database, day: date, happened: Happened, reach: Reach, *, requested_by: str, at: datetime
    ) -> Replan: ...


class ReplanForm(BaseModel):
    """What happened; each part may be empty. Times of day are the city's."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    date: date
    lost_shift: str = ""
    lost_since: str = ""
    late_shift: str = ""
    late_minutes: str = ""
    closed_site: str = ""
    closed_until: str = ""
    with_new: bool = False
    strictness: Strictness = Strictness.MEASURED


class FormFault(DomainError):
    """A form says only half of something."""

    code = "form-incomplete"
    title = "Formulaire incomplet"


@dataclass(frozen=True, slots=True)
class CourierPart:
    """What changes for one courier: what comes in, what goes out, what is at another time."""

    name: str
    arriving: list[DeliveryChange]
    leaving: list[DeliveryChange]
    retimed: list[DeliveryChange]


def replan_pages(propose: Propose, zone: ZoneInfo) -> APIRouter:
    """Return the pages; times of day are those of `zone`."""
    router = APIRouter(include_in_schema=False)

    def ask(request: Request, view: View, day: date, reach: Reach, now: datetime, **more: Any) -> HTMLResponse:
        board = read_board(view, day, reach)
        open_rows = [
            row
            for row in board.rows
            if row.round and row.round.state in (RoundState.PUBLISHED, RoundState.UNDER_WAY, RoundState.CLOSED)
        ]
        nothing = ""
        try:
            require_open(day, [row.round for row in open_rows if row.round], today=now.astimezone(zone).date())
        except NothingToReadjust as refusal:
            open_rows, nothing = [], refusal.detail
        stops = [stop for row in open_rows if row.round for stop in row.round.stops if not stop.has_ended]
        sites = {}
        for stop in stops:
            delivery = board.around.deliveries[stop.delivery_id]
            visit = delivery.pickup if stop.kind == "pickup" else delivery.drop
            sites[visit.site_id] = visit.site_name
        return pages.render(
            request,
            "reajustement.html",
            day=day,
            rows=open_rows,
            nothing=nothing,
            sites=sorted(sites.items(), key=lambda both: both[1]),
            lost=[row for row in board.rows if row.shift.lost_since],
            new=sum(waiting.delivery.state is DeliveryState.PLANNABLE for waiting in board.waiting),
            strictness=STRICTNESS,
            **{"refusals": [], "given": ReplanForm(date=day, with_new=True), **more},
        )

    def show(request: Request, view: View, replan: Replan, reach: Reach, **more: Any) -> HTMLResponse:
        words = told(view, replan, reach)
        parts = []
        for shift_id, name in sorted(words.couriers.items(), key=lambda both: (both[1], both[0])):
            parts.append(
                CourierPart(
                    name,
                    [c for c in replan.changes if c.to_shift == shift_id and c.from_shift != shift_id],
                    [
                        c
                        for c in (*replan.of_kind(ChangeKind.MOVED), *replan.of_kind(ChangeKind.DROPPED))
                        if c.from_shift == shift_id
                    ],
                    [c for c in replan.of_kind(ChangeKind.RETIMED) if c.to_shift == shift_id],
                )
            )
        return pages.render(
            request,
            "proposition.html",
            replan=replan,
            words=words,
            parts=parts,
            lists=[(title, kind, replan.of_kind(kind)) for kind, title in TITLES.items()],
            strictness=STRICTNESS,
            **{"refusals": [], **more},
        )

    @router.get("/tableau/reajustement")
    def read_form(
        request: Request,
        caller: Reader,
        view: ReadView,
        now: Now,
        jour: Annotated[date | None, Query(alias="date", ge=FIRST_DAY, le=LAST_DAY)] = None,
    ) -> HTMLResponse:
        """Ask what happened."""
        return ask(request, view, jour or now.astimezone(zone).date(), reach_of(caller), now)

    @router.post("/tableau/reajustement")
    def request_replan(
        request: Request, caller: Writer, database: OwnDatabase, now: Now, form: Annotated[ReplanForm, Form()]
    ) -> Response:
        """Compute a proposal and lead to it."""
        reach = reach_of(caller)
        try:
            happened = _happened(form, zone, now)
            replan = propose(database, form.date, happened, reach, requested_by=caller.name, at=now)
        except DomainError as refusal:
            with database.view() as view:
                return ask(request, view, form.date, reach, now, refusals=refusals_of(refusal), given=form, status=409)
        return RedirectResponse(f"/tableau/reajustement/{replan.id}", status_code=303)

    @router.post("/tableau/reajustement/vacations/{shift_id}/reprise")
    def ride_again(
        request: Request,
        shift_id: str,
        caller: Writer,
        database: OwnDatabase,
        now: Now,
        form: Annotated[DayForm, Form()],
    ) -> Response:
        """Let a shift that was lost be ridden again."""
        reach = reach_of(caller)
        try:
            with database.transaction() as tx:
                crew_stories.ride_again(tx, crew.shift(tx, shift_id, reach, lock=True))
        except DomainError as refusal:
            with database.view() as view:
                return ask(request, view, form.date, reach, now, refusals=refusals_of(refusal), status=409)
        return RedirectResponse(f"/tableau/reajustement?date={form.date}", status_code=303)

    @router.get("/tableau/reajustement/{replan_id}")
    def read_proposal(request: Request, replan_id: str, caller: Reader, view: ReadView) -> HTMLResponse:
        """Show a proposal."""
        reach = reach_of(caller)
        return show(request, view, replans.get(view, replan_id, reach), reach)

    @router.post("/tableau/reajustement/{replan_id}")
    def accept_proposal(request: Request, replan_id: str, caller: Writer, database: OwnDatabase, now: Now) -> Response:
        """Change the published rounds as proposed."""
        reach = reach_of(caller)
        try:
            with database.transaction() as tx:
                replan = accept(tx, replan_id, reach, at=now)
        except DomainError as refusal:
            with database.view() as view:
                found = replans.get(view, replan_id, reach)
                return show(request, view, found, reach, refusals=refusals_of(refusal), status=409)
        return RedirectResponse(f"/tableau?date={replan.day}&fait=reajustement", status_code=303)

    return router


def _happened(form: ReplanForm, zone: ZoneInfo, now: datetime) -> Happened:
    """Return what a form says. Raises FormFault."""
    lost = (ShiftLost(form.lost_shift, _instant(form.lost_since, form.date, zone, now)),) if form.lost_shift else ()
    if bool(form.late_shift) != bool(form.late_minutes):
        raise FormFault("Pour un retard, choisissez qui et donnez les minutes.")
    if form.late_minutes and not (form.late_minutes.isascii() and form.late_minutes.isdigit()):
        raise FormFault("Donnez le retard en minutes entières.")
    late = (CourierLate(form.late_shift, int(form.late_minutes)),) if form.late_shift else ()
    if bool(form.closed_site) != bool(form.closed_until):
        raise FormFault("Pour un site fermé, choisissez lequel et jusqu'à quelle heure.")
    shut = (SiteShut(form.closed_site, _instant(form.closed_until, form.date, zone, now)),) if form.closed_site else ()
    return Happened(lost, late, shut, form.with_new, (), form.strictness)


def _instant(text: str, day: date, zone: ZoneInfo, now: datetime) -> datetime:
    """Return a time of day of that day; now, or the day's beginning if that is later, without one. Raises FormFault."""
    if not text:
        return max(now, datetime.combine(day, time.min, zone))
    try:
        clock = time.fromisoformat(text)
    except ValueError:
        raise FormFault("Écrivez une heure comme 14:30.") from None
    return datetime.combine(day, clock, zone) + timedelta(0)
