"""The dispatcher's board, and a round on paper."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from services.dispatch.domain.courier import Shift
from services.dispatch.domain.delivery import Delivery
from services.dispatch.domain.errors import DeliveryNotFound
from services.dispatch.domain.events import DeliveryId, StopKind
from services.dispatch.domain.instruction import Instruction
from services.dispatch.domain.plan import Mark
from services.dispatch.domain.planning_settings import Priority
from services.dispatch.domain.reach import Reach
from services.dispatch.domain.round import Round
from services.dispatch.pages import pages
from services.dispatch.pages.crew import refusals_of
from services.dispatch.queries.board import Board, Row, read_board, read_obstacles
from services.dispatch.queries.crew import list_couriers
from services.dispatch.queries.deliveries import get_delivery
from services.dispatch.queries.reasons import reasons_told, remedies_told
from services.dispatch.queries.rounds import around
from services.dispatch.queries.sites import shut_stops
from services.dispatch.repository import rounds
from services.dispatch.travel import Point, Roads
from services.dispatch.use_cases import instructions, moves, plans
from services.dispatch.use_cases.access import reach_of
from services.kit.clock import utc_now
from services.kit.database import Database, View
from services.kit.errors import DomainError
from services.kit.http.answers import etag_of, not_modified
from services.kit.http.edge import FIRST_DAY, LAST_DAY, Caller, Now, OwnDatabase, ReadView, needs

Reader = Annotated[Caller, needs("dispatch:read")]
Writer = Annotated[Caller, needs("dispatch:write")]

DONE = {
    "plan": "Le calcul est demandé : les tournées proposées s'afficheront ici.",
    "arret": "Le calcul s'arrête : le meilleur plan trouvé devient le brouillon.",
    "consigne": "La consigne est enregistrée : le prochain plan la suivra.",
    "levee": "La consigne est levée.",
    "publication": "Les tournées sont publiées : les coursiers les voient.",
    "retrait": "La tournée est retirée : ses livraisons sont de nouveau à planifier.",
    "deplacement": "Le déplacement est fait et vérifié.",
    "reajustement": "La journée est réajustée : les coursiers le voient à leur prochaine mise à jour.",
}


class FormBody(BaseModel):
    """A form; fields it does not have are refused."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


class PlanForm(FormBody):
    """Ask for a plan."""

    date: date
    seconds: float


class PublicationForm(FormBody):
    """Publish these rounds of a plan, or none of them; without any all of the plan's."""

    round_id: list[str] = Field(default_factory=list)


class InstructionForm(FormBody):
    """Say who may ride a delivery and what it is worth; skills are separated by commas."""

    delivery_id: str
    skills: str = ""
    courier_id: str = ""
    forbidden_courier_id: str = ""
    reason: str = ""
    priority: Priority = Priority.ORDINARY


class DeliveryForm(FormBody):
    """Mean a delivery."""

    delivery_id: str


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
    """A shift drawn as a bar, in units of the board's width; `ticks` are stops: where, what, in words; `breaks` are
    rests: from where, how wide, in words.
    """

    start: float
    width: float
    round_start: float
    round_width: float
    ticks: list[tuple[float, str, str]]
    breaks: list[tuple[float, float, str]]


@dataclass(frozen=True, slots=True)
class Curve:
    """How a computation went, drawn: points of two lines in a box, and the few marks that a table tells."""

    deliveries: str
    metres: str
    marks: list[Mark]


BAR_WIDTH = 600
CURVE_WIDTH, CURVE_HEIGHT = 600, 120
MOST_MARKS_TOLD = 8


def board_router(default_seconds: float, zone: ZoneInfo, wake: Callable[[Database], None], roads: Roads) -> APIRouter:
    """Return the board's pages; `wake` is called when there is a plan to compute."""
    router = APIRouter(include_in_schema=False)

    def show(request: Request, view: View, day: date, reach: Reach, **more: Any) -> HTMLResponse:
        board = read_board(view, day, reach)
        return pages.render(
            request,
            "tableau.html",
            board=board,
            obstacles=read_obstacles(view, board, at=utc_now()),
            told={
                waiting.delivery.id: (
                    reasons_told(waiting.left_out, board.shift_names),
                    remedies_told(waiting.left_out, board.shift_names, zone),
                )
                for waiting in board.waiting
                if waiting.left_out
            },
            curve=_curve(board.computation.marks),
            elapsed=_elapsed(board),
            couriers=list_couriers(view, reach, is_active=True),
            shut=shut_stops(view, day, reach, zone),
            bars={row.shift.id: _bar(row, _span(board, zone), zone) for row in board.rows},
            hours=_hours(_span(board, zone)),
            carte=_map(board, roads),
            previous_day=day - timedelta(days=1),
            next_day=day + timedelta(days=1),
            today=utc_now().astimezone(zone).date(),
            default_seconds=default_seconds,
            is_everything=reach.is_everything,
            **{"refusals": [], "done": "", "moved": "", **more},
        )

    @router.get("/tableau")
    def read(
        request: Request,
        caller: Reader,
        view: ReadView,
        now: Now,
        jour: Annotated[date | None, Query(alias="date", ge=FIRST_DAY, le=LAST_DAY)] = None,
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

    @router.post("/tableau/plans/{plan_id}/arret")
    def stop(request: Request, plan_id: str, caller: Writer, database: OwnDatabase) -> Response:
        """End the computation with the best plan found so far."""
        reach = reach_of(caller)
        with database.view() as view:
            day = plans.require_plan(view, plan_id, reach).day

        def act() -> None:
            with database.transaction() as tx:
                plans.stop_plan(tx, plan_id, reach)

        return _after(request, act, database, day, reach, "arret")

    @router.post("/tableau/plans/{plan_id}/publication")
    def publish(
        request: Request,
        plan_id: str,
        caller: Writer,
        database: OwnDatabase,
        now: Now,
        form: Annotated[PublicationForm, Form()],
    ) -> Response:
        """Publish the caller's rounds of a plan that were shown to be publishable."""
        reach = reach_of(caller)
        with database.view() as view:
            day = plans.require_plan(view, plan_id, reach).day

        def act() -> None:
            with database.transaction() as tx:
                plans.publish_plan(tx, plan_id, reach, at=now, only=form.round_id or None)

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
            ridden = roads.matrix(scene.day.places)
            with database.transaction() as tx:
                moves.move_delivery(tx, wanted, scene, ridden.seconds, ridden.metres)

        return _after(request, act, database, day, reach, "deplacement", moved=form.delivery_id)

    @router.post("/tableau/consignes")
    def instruct(
        request: Request, caller: Writer, database: OwnDatabase, now: Now, form: Annotated[InstructionForm, Form()]
    ) -> Response:
        """Say who may ride a delivery."""
        reach = reach_of(caller)
        delivery = _delivery(database, form.delivery_id, reach)
        wanted = Instruction(
            delivery.id,
            tuple(form.skills.split(",")),
            (form.courier_id,) if form.courier_id else (),
            (form.forbidden_courier_id,) if form.forbidden_courier_id else (),
            form.reason,
            caller.name,
            now,
            form.priority,
        )

        def act() -> None:
            with database.transaction() as tx:
                instructions.instruct(tx, delivery, wanted, reach)

        return _after(request, act, database, delivery.service_date, reach, "consigne")

    @router.post("/tableau/consignes/levee")
    def withdraw_instruction(
        request: Request, caller: Writer, database: OwnDatabase, form: Annotated[DeliveryForm, Form()]
    ) -> Response:
        """Let a delivery be ridden as its order says."""
        reach = reach_of(caller)
        delivery = _delivery(database, form.delivery_id, reach)

        def act() -> None:
            with database.transaction() as tx:
                instructions.withdraw_instruction(tx, delivery)

        return _after(request, act, database, delivery.service_date, reach, "levee")

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
        round_ = rounds.get(view, round_id, reach).as_ridden
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
        """Do it and show the board again, or show the board with everything that was refused."""
        try:
            act()
        except DomainError as refusal:
            with database.view() as view:
                return show(request, view, day, reach, refusals=refusals_of(refusal), status=409, **more)
        return RedirectResponse(f"/tableau?date={day}&fait={done}", status_code=303)

    return router


def _delivery(database: Database, delivery_id: str, reach: Reach) -> Delivery:
    with database.view() as view:
        try:
            return get_delivery(view, DeliveryId.parse(delivery_id), reach)
        except ValueError:
            raise DeliveryNotFound(delivery_id) from None


def _elapsed(board: Board) -> int:
    """Return for how many seconds the board's plan has been computed, at most as long as it was given."""
    plan = board.plan
    if plan is None or plan.began_at is None:
        return 0
    return max(0, min(int(plan.seconds), int((utc_now() - plan.began_at).total_seconds())))


def _curve(marks: Sequence[Mark]) -> Curve | None:
    """Draw a computation: deliveries placed and metres ridden, each against its most, over the time."""
    if len(marks) < 2:
        return None
    end = max(mark.seconds for mark in marks) or 1.0

    def line(values: Sequence[int]) -> str:
        most = max(values) or 1
        points, before = [], values[0]
        for mark, value in zip(marks, values, strict=True):
            x = round(CURVE_WIDTH * mark.seconds / end, 1)
            # A better plan is there at once: steps, not slopes.
            points += [(x, before), (x, value)]
            before = value
        return " ".join(f"{x},{round(CURVE_HEIGHT * (1 - value / most), 1)}" for x, value in points)

    every = -(-len(marks) // MOST_MARKS_TOLD)
    told = [mark for number, mark in enumerate(marks) if number % every == 0 or number == len(marks) - 1]
    return Curve(line([mark.deliveries for mark in marks]), line([mark.metres for mark in marks]), told)


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
        return Bar(start, end - start, 0, 0, [], [])
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
    breaks = [
        (
            _at(rest.starts_at, span),
            round(_at(rest.ends_at, span) - _at(rest.starts_at, span), 1),
            f"Pause de {rest.starts_at.astimezone(zone):%H:%M} à {rest.ends_at.astimezone(zone):%H:%M}",
        )
        for rest in row.round.breaks
    ]
    return Bar(start, end - start, first, max(last - first, 1), ticks, breaks)


def _map(board: Board, roads: Roads) -> dict[str, Any]:
    """Return the day for the map: lines of rounds, stops, what is left out, where shifts begin."""
    shifts = {row.shift.id: row for row in board.rows}
    stops: list[dict[str, Any]] = []
    depots = {}
    drawn = roads.lines([_points(shifts[round_.shift_id].shift, round_, board) for round_ in board.rounds])
    lines = [
        {
            "id": round_.id,
            "label": shifts[round_.shift_id].courier_name,
            "line": line.points,
            "estimated": line.is_estimated,
        }
        for round_, line in zip(board.rounds, drawn, strict=True)
    ]
    for round_ in board.rounds:
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


def _points(shift: Shift, round_: Round, board: Board) -> list[Point]:
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
