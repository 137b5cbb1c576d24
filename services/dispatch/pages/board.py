"""The dispatcher's board, and a round on paper."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict

from services.dispatch import travel
from services.dispatch.domain.courier import Shift
from services.dispatch.domain.events import StopKind
from services.dispatch.domain.reach import Reach
from services.dispatch.domain.round import Round
from services.dispatch.pages import pages
from services.dispatch.queries.board import Board, Row, read_board
from services.dispatch.queries.rounds import around
from services.dispatch.repository import rounds
from services.dispatch.use_cases import moves, plans
from services.dispatch.use_cases.access import reach_of
from services.kit.clock import utc_now
from services.kit.database import Database, View
from services.kit.errors import DomainError
from services.kit.http.answers import etag_of, not_modified
from services.kit.http.edge import Caller, Now, OwnDatabase, ReadView, needs

Reader = Annotated[Caller, needs("dispatch:read")]
Writer = Annotated[Caller, needs("dispatch:write")]

DONE = {
    "plan": "Le calcul est demandé : les tournées proposées s'afficheront ici.",
    "publication": "Les tournées sont publiées : les coursiers les voient.",
    "retrait": "La tournée est retirée : ses livraisons sont de nouveau à planifier.",
    "deplacement": "Le déplacement est fait et vérifié.",
}


class FormBody(BaseModel):
    """A form; fields it does not have are refused."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


class PlanForm(FormBody):
    """Ask for a plan."""

    date: date
    seconds: float


class WithdrawalForm(FormBody):
    """Take a round back."""

    reason: str


class MoveForm(FormBody):
    """Move a delivery; without a shift it is taken out."""

    delivery_id: str
    shift_id: str = ""
    pickup_position: int | None = None
    drop_position: int | None = None


@dataclass(frozen=True, slots=True)
class Bar:
    """A shift drawn as a bar, in units of the board's width; `ticks` are stops: where, what, in words."""

    start: float
    width: float
    round_start: float
    round_width: float
    ticks: list[tuple[float, str, str]]


BAR_WIDTH = 600


def board_router(default_seconds: float, zone: ZoneInfo, wake: Callable[[Database], None]) -> APIRouter:
    """Return the board's pages; `wake` is called when there is a plan to compute."""
    router = APIRouter(include_in_schema=False)

    def show(request: Request, view: View, day: date, reach: Reach, **more: Any) -> HTMLResponse:
        board = read_board(view, day, reach)
        return pages.render(
            request,
            "tableau.html",
            board=board,
            bars={row.shift.id: _bar(row, _span(board, zone), zone) for row in board.rows},
            hours=_hours(_span(board, zone)),
            carte=_map(board),
            previous_day=day - timedelta(days=1),
            next_day=day + timedelta(days=1),
            today=utc_now().astimezone(zone).date(),
            default_seconds=default_seconds,
            is_everything=reach.is_everything,
            **{"refusal": "", "done": "", "moved": "", **more},
        )

    @router.get("/tableau")
    def read(
        request: Request,
        caller: Reader,
        view: ReadView,
        now: Now,
        jour: Annotated[date | None, Query(alias="date")] = None,
        fait: Annotated[str, Query(max_length=20)] = "",
        deplacer: Annotated[str, Query(max_length=60)] = "",
    ) -> Response:
        """Show the board of a day."""
        day = jour or now.astimezone(zone).date()
        answer = show(request, view, day, reach_of(caller), done=DONE.get(fait, ""), moved=deplacer)
        # The time of day in the footer is not news: it is left out of the comparison.
        etag = etag_of(bytes(answer.body).rpartition(b"<footer>")[0])
        answer.headers["ETag"] = etag
        return not_modified(request, etag) or answer

    @router.post("/tableau/plans")
    def request_plan(
        request: Request, caller: Writer, database: OwnDatabase, now: Now, form: Annotated[PlanForm, Form()]
    ) -> Response:
        """Ask for a plan."""
        reach = reach_of(caller)

        def act() -> None:
            with database.transaction() as tx:
                plans.request_plan(tx, reach, form.date, seconds=form.seconds, requested_by=caller.name, at=now)
                tx.after_commit(lambda: wake(database))

        return _after(request, act, database, form.date, reach, "plan")

    @router.post("/tableau/plans/{plan_id}/publication")
    def publish(request: Request, plan_id: str, caller: Writer, database: OwnDatabase, now: Now) -> Response:
        """Publish the caller's rounds of a plan."""
        reach = reach_of(caller)
        with database.view() as view:
            day = plans.require_plan(view, plan_id, reach).day

        def act() -> None:
            with database.transaction() as tx:
                plans.publish_plan(tx, plan_id, reach, at=now)

        return _after(request, act, database, day, reach, "publication")

    @router.post("/tableau/plans/{plan_id}/deplacements")
    def move(
        request: Request,
        plan_id: str,
        caller: Writer,
        database: OwnDatabase,
        form: Annotated[MoveForm, Form()],
    ) -> Response:
        """Move a delivery of a draft."""
        reach = reach_of(caller)
        with database.view() as view:
            day = plans.require_plan(view, plan_id, reach).day
        wanted = moves.Move(form.delivery_id, form.shift_id or None, form.pickup_position, form.drop_position)

        def act() -> None:
            with database.view() as view:
                scene = moves.read_scene(view, plan_id, wanted, reach, zone)
            ridden = travel.matrix(scene.places)
            with database.transaction() as tx:
                moves.move_delivery(tx, wanted, scene, ridden.seconds, ridden.metres)

        return _after(request, act, database, day, reach, "deplacement", moved=form.delivery_id)

    @router.get("/tableau/tournees/{round_id}")
    def read_round(request: Request, round_id: str, caller: Reader, view: ReadView) -> HTMLResponse:
        """Show a round to print."""
        return show_round(request, view, round_id, reach_of(caller))

    @router.post("/tableau/tournees/{round_id}/retrait")
    def withdraw(
        request: Request,
        round_id: str,
        caller: Writer,
        database: OwnDatabase,
        now: Now,
        form: Annotated[WithdrawalForm, Form()],
    ) -> Response:
        """Take a round back."""
        reach = reach_of(caller)
        with database.view() as view:
            day = rounds.get(view, round_id, reach).day

        def act() -> None:
            with database.transaction() as tx:
                plans.withdraw_round(tx, round_id, reach, form.reason, at=now)

        return _after(request, act, database, day, reach, "retrait")

    def show_round(request: Request, view: View, round_id: str, reach: Reach) -> HTMLResponse:
        round_ = rounds.get(view, round_id, reach)
        facts = around(view, [round_])
        return pages.render(request, "tournee.html", round=round_, around=facts)

    def _after(
        request: Request,
        act: Callable[[], None],
        database: Database,
        day: date,
        reach: Reach,
        done: str,
        **more: Any,
    ) -> Response:
        """Do it and show the board again, or show the board with why it was refused."""
        try:
            act()
        except DomainError as refusal:
            with database.view() as view:
                return show(request, view, day, reach, refusal=refusal.detail, status=409, **more)
        return RedirectResponse(f"/tableau?date={day}&fait={done}", status_code=303)

    return router


def _span(board: Board, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Return from when until when the board draws: whole hours around every shift."""
    if not board.rows:
        start = datetime.combine(board.day, datetime.min.time(), zone)
        return start + timedelta(hours=7), start + timedelta(hours=19)
    first = min(row.shift.terms.starts_at for row in board.rows).astimezone(zone)
    last = max(row.shift.terms.ends_at for row in board.rows).astimezone(zone)
    return first.replace(minute=0, second=0, microsecond=0), last + timedelta(minutes=59 - last.minute)


def _hours(span: tuple[datetime, datetime]) -> list[tuple[float, str]]:
    """Return where the board's hours stand; every second one when there are many."""
    start, end = span
    count = int((end - start) / timedelta(hours=1)) + 1
    return [
        (_at(start + timedelta(hours=hour), span), f"{(start + timedelta(hours=hour)).hour}h")
        for hour in range(0, count, 1 if count <= 9 else 2)
    ]


def _at(instant: datetime, span: tuple[datetime, datetime]) -> float:
    start, end = span
    return round(BAR_WIDTH * ((instant - start) / (end - start)), 1)


def _bar(row: Row, span: tuple[datetime, datetime], zone: ZoneInfo) -> Bar:
    start, end = (_at(instant, span) for instant in (row.shift.terms.starts_at, row.shift.terms.ends_at))
    if row.round is None:
        return Bar(start, end - start, 0, 0, [])
    first, last = (_at(instant, span) for instant in (row.round.starts_at, row.round.ends_at))
    ticks = [
        (
            _at(stop.starts_at, span),
            stop.state.value,
            f"{'Enlèvement' if stop.kind is StopKind.PICKUP else 'Livraison'} à "
            f"{stop.starts_at.astimezone(zone):%H:%M}",
        )
        for stop in row.round.stops
    ]
    return Bar(start, end - start, first, max(last - first, 1), ticks)


def _map(board: Board) -> dict[str, Any]:
    """Return the day for the map: lines of rounds, stops, what is left out, where shifts begin."""
    shifts = {row.shift.id: row for row in board.rows}
    lines = []
    stops: list[dict[str, Any]] = []
    depots = {}
    for round_ in board.rounds:
        row = shifts[round_.shift_id]
        lines.append(
            {
                "id": round_.id,
                "label": row.courier_name,
                "line": travel.line(_points(row.shift, round_, board)),
                "estimated": True,
            }
        )
        for position, stop in enumerate(round_.stops, start=1):
            delivery = board.around.deliveries[stop.delivery_id]
            visit = delivery.pickup if stop.kind is StopKind.PICKUP else delivery.drop
            stops.append(
                {
                    "round": round_.id,
                    "number": position,
                    "kind": stop.kind.value,
                    "label": visit.site_name,
                    "longitude": visit.longitude,
                    "latitude": visit.latitude,
                    "href": f"#arret-{stop.id}",
                }
            )
    for row in board.rows:
        for point in (row.shift.terms.start, row.shift.terms.end):
            depots[point.longitude, point.latitude] = point.name or "Dépôt"
    for (longitude, latitude), name in depots.items():
        stops.append(_marker("depot", name, longitude, latitude, None))
    for waiting in board.waiting:
        visit = waiting.delivery.pickup
        label = f"{waiting.delivery.reference}, {visit.site_name}"
        stops.append(_marker("left-out", label, visit.longitude, visit.latitude, f"#livraison-{waiting.delivery.id}"))
    return {"rounds": lines, "stops": stops}


def _marker(kind: str, label: str, longitude: float, latitude: float, href: str | None) -> dict[str, Any]:
    return {
        "round": None,
        "number": None,
        "kind": kind,
        "label": label,
        "longitude": longitude,
        "latitude": latitude,
        "href": href,
    }


def _points(shift: Shift, round_: Round, board: Board) -> list[travel.Point]:
    """Return every place a round rides through, in order."""
    visits = [
        delivery.pickup if stop.kind is StopKind.PICKUP else delivery.drop
        for stop in round_.stops
        for delivery in [board.around.deliveries[stop.delivery_id]]
    ]
    start, end = shift.terms.start, shift.terms.end
    return [
        (start.longitude, start.latitude),
        *((visit.longitude, visit.latitude) for visit in visits),
        (end.longitude, end.latitude),
    ]
