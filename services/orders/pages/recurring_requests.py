"""The pages of recurring requests: list, form with its first dates, one request with its pauses and its end."""

import hashlib
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from services.kit.database import View
from services.kit.errors import DomainError
from services.kit.http.edge import Caller, Now, ReadView, Tx
from services.kit.ids import is_id, new_id
from services.orders import queries
from services.orders.domain.errors import NotFound
from services.orders.domain.order import Flow, Order, Status
from services.orders.domain.plain_french import say
from services.orders.domain.recurrence import HolidayPolicy, Pause, Recurrence
from services.orders.domain.recurring_request import LegTemplate, RecurringRequest, RequestTerms, VisitTemplate
from services.orders.domain.rule import DAYS
from services.orders.pages.edge import Choices, Reader, Writer, own_department, pages, see_other
from services.orders.pages.form import Form, Submitted
from services.orders.pages.orders import place_of
from services.orders.pages.words import FLOWS, HOLIDAYS
from services.orders.queries import OrderFilter
from services.orders.repository import RecurringRequests
from services.orders.settings import OrdersSettings
from services.orders.use_cases import recurring_requests as use_cases
from services.orders.use_cases.access import department_of
from services.orders.use_cases.recurring_requests import Foreseen

FIRST_DATES = 5
NEXT_DATES = 10
RHYTHMS = {
    "weekly": "Chaque semaine",
    "fortnightly": "Une semaine sur deux",
    "monthly": "Chaque mois, à un jour du mois",
    "rule": "Autre : règle RFC 5545",
}
Text = Annotated[str, Query(max_length=200)]


@dataclass(frozen=True, slots=True)
class Done:
    """What was just done to a recurring request: to how many orders, and how many it was too late for."""

    what: str
    orders: int
    kept: int


def make_router(settings: OrdersSettings) -> APIRouter:
    """Return the pages; how far ahead orders are made comes from the settings."""
    router = APIRouter(include_in_schema=False)

    @router.get("/demandes/recurrentes")
    def show_all(request: Request, caller: Reader, view: ReadView, now: Now) -> Response:
        """List recurring requests."""
        department_id = department_of(caller)
        requests = queries.list_recurring_requests(view, department_id)
        return pages.render(
            request,
            "recurrentes.html",
            requests=[(each, sentence_of(each.terms)) for each in requests],
            sites={site.id: site.terms.name for site in queries.list_sites(view, department_id)},
            today=now.astimezone(request.app.state.zone).date(),
            can_write=bool(department_id and caller.has("orders:write")),
        )

    @router.get("/demandes/recurrente")
    def show_form(request: Request, caller: Writer, view: ReadView, now: Now) -> Response:
        """Show the empty form."""
        department_id = own_department(caller)
        tomorrow = now.astimezone(request.app.state.zone).date() + timedelta(days=1)
        values = {
            "id": new_id(),
            "flow": Flow.EXCHANGE,
            "rhythm": "weekly",
            "start_on": tomorrow.isoformat(),
            "holidays": HolidayPolicy.SKIP,
            "pickup_start": "08:00",
            "pickup_end": "10:00",
            "drop_start": "09:00",
            "drop_end": "12:00",
            "return_pickup_start": "09:00",
            "return_pickup_end": "12:00",
            "return_drop_start": "10:00",
            "return_drop_end": "17:00",
            "return_days": "0",
            "load_count_1": "1",
        }
        return _form(request, view, department_id, Form(values))

    @router.post("/demandes/recurrente")
    def submit(request: Request, caller: Writer, tx: Tx, now: Now, submitted: Submitted) -> Response:
        """Show the first dates, or save what was shown with them; the same form saved twice is one request."""
        department_id = own_department(caller)
        form = Form(submitted)
        request_id = form.value("id")
        existing = _existing(tx, request_id)
        if existing is not None and existing.department_id == department_id:
            return see_other(f"/demandes/recurrentes/{existing.id}")
        if existing is not None or not is_id(request_id):
            request_id = new_id()
        terms = _terms(form, settings.zone)
        foreseen: list[Foreseen] = []
        if terms is not None:
            try:
                foreseen = use_cases.preview(tx, department_id, terms, count=FIRST_DATES, at=now)
                if form.value("action") == "save" and form.value("shown") == _digest(terms):
                    use_cases.create(
                        tx, department_id, terms, horizon_days=settings.horizon_days, at=now, request_id=request_id
                    )
                    return see_other(f"/demandes/recurrentes/{request_id}?fait=enregistree")
            except DomainError as refusal:
                form.refused(refusal, _place)
        return _form(request, tx, department_id, form, terms if not form.faults else None, foreseen)

    @router.get("/demandes/recurrentes/{request_id}")
    def show(
        request_id: str,
        request: Request,
        caller: Reader,
        view: ReadView,
        now: Now,
        fait: Text = "",
        nombre: int = 0,
        gardees: int = 0,
    ) -> Response:
        """Show a recurring request, its next dates, and what was just done to it."""
        found = RecurringRequests(view).get(request_id, department_of(caller))
        return _request(request, view, caller, found, now, done=Done(fait, nombre, gardees))

    @router.post("/demandes/recurrentes/{request_id}/suspension")
    def pause(request_id: str, request: Request, caller: Writer, tx: Tx, now: Now, submitted: Submitted) -> Response:
        """Suspend."""
        found, form = _to_change(tx, request_id, caller, submitted)
        since = form.day("since", "Indiquez le premier jour de la suspension.")
        until = form.day("until", "")
        if since is not None and not form.faults:
            try:
                done = use_cases.pause(tx, found, Pause(since, until), at=now)
                return see_other(_counted(request_id, "suspendue", len(done.cancelled), len(done.kept)))
            except DomainError as refusal:
                form.refused(refusal, lambda pointer: pointer.removeprefix("/") or "since")
        return _request(request, tx, caller, found, now, form=form)

    @router.post("/demandes/recurrentes/{request_id}/reprise")
    def resume(request_id: str, request: Request, caller: Writer, tx: Tx, now: Now, submitted: Submitted) -> Response:
        """Resume."""
        found, form = _to_change(tx, request_id, caller, submitted)
        on = form.day("on", "Indiquez le jour de la reprise.")
        if on is not None and not form.faults:
            try:
                _, unfolded = use_cases.resume(tx, found, on, horizon_days=settings.horizon_days, at=now)
                return see_other(_counted(request_id, "reprise", len(unfolded.orders), 0))
            except DomainError as refusal:
                form.refused(refusal, lambda _pointer: "on")
        return _request(request, tx, caller, found, now, form=form)

    @router.post("/demandes/recurrentes/{request_id}/fin")
    def end(request_id: str, request: Request, caller: Writer, tx: Tx, now: Now, submitted: Submitted) -> Response:
        """End."""
        found, form = _to_change(tx, request_id, caller, submitted)
        last = form.day("last_date", "Indiquez le dernier jour.")
        if last is not None and not form.faults:
            try:
                done = use_cases.end(tx, found, last, at=now)
                return see_other(_counted(request_id, "terminee", len(done.cancelled), len(done.kept)))
            except DomainError as refusal:
                form.refused(refusal, lambda _pointer: "last_date")
        return _request(request, tx, caller, found, now, form=form)

    return router


def sentence_of(terms: RequestTerms) -> str:
    """Say when a recurring request falls due."""
    return say(terms.recurrence, terms.legs[0].pickup.window)


def _to_change(tx: Tx, request_id: str, caller: Caller, submitted: Submitted) -> tuple[RecurringRequest, Form]:
    found = RecurringRequests(tx).get(request_id, department_of(caller), for_update=True)
    form = Form(submitted)
    if form.value("version") != str(found.version):
        form.fault("version", "La demande a changé entre-temps ; relisez-la, puis recommencez.")
    return found, form


def _counted(request_id: str, done: str, orders: int, kept: int) -> str:
    return f"/demandes/recurrentes/{request_id}?fait={done}&nombre={orders}&gardees={kept}"


def _existing(view: View, request_id: str) -> RecurringRequest | None:
    try:
        return RecurringRequests(view).get(request_id, None)
    except NotFound:
        return None


def _digest(terms: RequestTerms) -> str:
    return hashlib.sha256(repr(terms).encode()).hexdigest()[:24]


def _form(
    request: Request,
    view: View,
    department_id: str,
    form: Form,
    terms: RequestTerms | None = None,
    foreseen: list[Foreseen] | None = None,
) -> Response:
    return pages.render(
        request,
        "recurrente.html",
        status=422 if form.faults else 200,
        form=form,
        choices=Choices(view, department_id),
        rhythms=RHYTHMS,
        day_codes=DAYS,
        terms=terms,
        sentence=sentence_of(terms) if terms else "",
        shown=_digest(terms) if terms else "",
        foreseen=foreseen or [],
    )


def _request(
    request: Request,
    view: View,
    caller: Caller,
    found: RecurringRequest,
    now: datetime,
    *,
    done: Done | None = None,
    form: Form | None = None,
) -> Response:
    today = now.astimezone(found.terms.recurrence.zone_info).date()
    recurrence = found.terms.recurrence
    return pages.render(
        request,
        "demande_recurrente.html",
        status=422 if form is not None and form.faults else 200,
        found=found,
        sentence=sentence_of(found.terms),
        foreseen=use_cases.foresee(view, found.department_id, found.terms, count=NEXT_DATES, at=now),
        sites={site.id: site.terms.name for site in queries.list_sites(view, found.department_id)},
        kinds={kind.code: kind.label for kind in Choices(view, found.department_id).kinds},
        made={each.occurrence_date: each for each in _orders_made(view, found, today)},
        done=done,
        form=form or Form({}),
        today=today,
        has_ended=found.has_ended(today),
        is_paused=any(pause.until is None or pause.until >= today for pause in recurrence.pauses),
        can_write=bool(department_of(caller) and caller.has("orders:write")),
    )


def _orders_made(view: View, found: RecurringRequest, today: date) -> list[Order]:
    wanted = OrderFilter(recurring_request_id=found.id, date_from=today - timedelta(days=7))
    return [
        order
        for order in queries.list_orders(view, wanted, limit=100)
        if order.status not in (Status.CANCELLED, Status.CANCELLING)
    ]


def _terms(form: Form, zone: str) -> RequestTerms | None:
    title = form.text("title", longest=200, needed="Donnez un nom à la demande, par exemple « Linge de l'école ».")
    flow = Flow(form.choice("flow", {str(flow): None for flow in FLOWS}, "Choisissez un type de flux."))
    start = form.text("from_site", longest=36, needed="Choisissez le site d'enlèvement.")
    end = form.text("to_site", longest=36, needed="Choisissez le site de livraison.")
    loads = form.loads()
    rule = _rule(form)
    start_on = form.day("start_on", "Indiquez la date de début.")
    policies = {str(policy): None for policy in HOLIDAYS}
    holidays = HolidayPolicy(form.choice("holidays", policies, "Choisissez que faire des jours fériés."))
    pickup = form.window("pickup", -1 if form.value("pickup_day") == "before" else 0)
    drop = form.window("drop", 1 if form.value("drop_day") == "after" else 0)
    legs = [(start, pickup, end, drop)]
    if flow is not Flow.ONE_WAY:
        days = form.whole("return_days", 0, 90, default=0) or 0
        back = form.value("return_site") or start
        legs.append((end, form.window("return_pickup", days), back, form.window("return_drop", days)))
    recurrence = Recurrence(
        start_on=start_on or date(2020, 1, 1),
        zone=zone,
        rule=rule,
        holidays=holidays,
        alsace_moselle=bool(form.value("alsace_moselle")),
        closed_days=form.days("closed_days"),
        exception_dates=form.days("exception_dates"),
        ends_on=form.day("ends_on", ""),
    )
    note = form.text("note", longest=1_000)
    if form.faults:
        return None
    templates = tuple(
        LegTemplate(VisitTemplate(pickup_site, first), VisitTemplate(drop_site, second), loads)
        for pickup_site, first, drop_site, second in legs
        if first is not None and second is not None
    )
    return RequestTerms(title, flow, templates, recurrence, form.value("contract_id") or None, note)


def _rule(form: Form) -> str:
    rhythm = form.choice("rhythm", RHYTHMS, "Choisissez un rythme.")
    if rhythm == "rule":
        return form.text("rule", longest=300, needed="Écrivez la règle, par exemple FREQ=WEEKLY;BYDAY=TU,FR.")
    if rhythm == "monthly":
        return f"FREQ=MONTHLY;BYMONTHDAY={form.whole('month_day', 1, 31) or 1}"
    days = [day for day in DAYS if day in form.values("weekday")]
    if not days:
        form.fault("weekday", "Cochez au moins un jour de la semaine.")
    return f"FREQ=WEEKLY;{'INTERVAL=2;' if rhythm == 'fortnightly' else ''}BYDAY={','.join(days)}"


def _place(pointer: str) -> str:
    name = place_of(pointer)
    return "holidays" if name == "alsace_moselle" else name
