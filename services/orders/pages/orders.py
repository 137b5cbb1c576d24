"""The pages of orders: list, one order with its history and cancellation, and the form of a one-off order."""

from datetime import date, datetime, time, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query, Request, Response

from services.kit.database import View
from services.kit.errors import DomainError
from services.kit.http.answers import Cursor, decode_cursor, encode_cursor
from services.kit.http.edge import Caller, Now, ReadView, Tx
from services.kit.ids import is_id, new_id
from services.orders import queries
from services.orders.domain.asking import AskedLeg, AskedVisit
from services.orders.domain.contract import Contract
from services.orders.domain.errors import NotFound
from services.orders.domain.order import Actor, Flow, Order, Status
from services.orders.domain.window import LocalWindow, Window
from services.orders.pages.edge import Choices, Reader, Writer, own_department, pages, see_other
from services.orders.pages.form import Form, Submitted
from services.orders.pages.words import FLOWS
from services.orders.queries import OrderFilter
from services.orders.repository import Contracts, Orders
from services.orders.use_cases import orders as use_cases
from services.orders.use_cases.access import department_of
from services.orders.use_cases.orders import Asked

router = APIRouter(include_in_schema=False)

PAGE = 50
A_MORNING = LocalWindow(time(8), time(12))
Text = Annotated[str, Query(max_length=100)]


@router.get("/demandes")
def show_all(
    request: Request,
    caller: Reader,
    view: ReadView,
    now: Now,
    etat: Text = "",
    site: Text = "",
    du: Text | None = None,
    au: Text = "",
    recurrente: Text = "",
    reference: Text = "",
    cursor: Cursor = None,
) -> Response:
    """List orders, from today on unless asked otherwise; a reference is looked for on any day."""
    department_id = department_of(caller)
    today = now.astimezone(request.app.state.zone).date()
    typed = {"etat": etat, "site": site, "au": au, "reference": reference.strip().upper()}
    typed["du"] = today.isoformat() if du is None else du
    form = Form(typed)
    wanted = OrderFilter(
        department_id=department_id,
        statuses=[etat] if etat in {str(status) for status in Status} else (),
        site_id=site or None,
        date_from=None if typed["reference"] else form.day("du", ""),
        date_to=None if typed["reference"] else form.day("au", ""),
        recurring_request_id=recurrente or None,
        reference=typed["reference"] or None,
    )
    after = queries.order_place(*decode_cursor(cursor, str, str)) if cursor else None
    orders = queries.list_orders(view, wanted, after=after, limit=PAGE + 1)
    following = None
    if len(orders) > PAGE:
        last = orders[PAGE - 1]
        following = encode_cursor(min(leg.service_date for leg in last.legs).isoformat(), last.id)
    shown = orders[:PAGE]
    return pages.render(
        request,
        "demandes.html",
        orders=shown,
        counts=queries.count_by_status(view, wanted),
        form=form,
        typed={**typed, "recurrente": recurrente},
        following=following,
        sites=queries.list_sites(view, department_id),
        titles=queries.titles_of(view, {order.recurring_request_id for order in shown if order.recurring_request_id}),
        warned=[each for each in queries.list_contracts(view, department_id) if each.warning is not None],
        departments=_department_names(view) if department_id is None else {},
        can_write=bool(department_id and caller.has("orders:write")),
    )


@router.get("/demandes/ponctuelle")
def show_form(request: Request, caller: Writer, view: ReadView, now: Now, comme: Text = "") -> Response:
    """Show the form of a one-off order, empty or filled like another order."""
    department_id = own_department(caller)
    today = now.astimezone(request.app.state.zone).date()
    values = {
        "id": new_id(),
        "flow": Flow.ONE_WAY,
        "date": (today + timedelta(days=2)).isoformat(),
        "pickup_start": "08:00",
        "pickup_end": "10:00",
        "drop_start": "09:00",
        "drop_end": "12:00",
        "return_date": (today + timedelta(days=2)).isoformat(),
        "return_pickup_start": "09:00",
        "return_pickup_end": "12:00",
        "return_drop_start": "10:00",
        "return_drop_end": "17:00",
        "load_count_1": "1",
    }
    if comme:
        values |= _values_like(queries.get_order(view, comme, department_id), request.app.state.zone)
    return _form(request, view, department_id, Form(values))


@router.post("/demandes/ponctuelle")
def place(request: Request, caller: Writer, tx: Tx, now: Now, submitted: Submitted) -> Response:
    """Place a one-off order; the same form sent twice is one order."""
    department_id = own_department(caller)
    form = Form(submitted)
    order_id = form.value("id")
    existing = _existing(tx, order_id)
    if existing is not None and existing.department_id == department_id:
        return see_other(f"/demandes/{existing.id}")
    if existing is not None or not is_id(order_id):
        order_id = new_id()
    zone: ZoneInfo = request.app.state.zone
    asked = _asked(form, department_id, zone, now.astimezone(zone).date())
    try:
        if not form.faults:
            order, _ = use_cases.place_order(tx, asked, actor=Actor.DEPARTMENT, at=now, order_id=order_id)
            return see_other(f"/demandes/{order.id}?fait=passee")
        use_cases.check_order(tx, asked, at=now)  # so that everything wrong is told together
    except DomainError as refusal:
        form.refused(refusal, place_of)
    return _form(request, tx, department_id, form)


@router.get("/demandes/{order_id}")
def show(order_id: str, request: Request, caller: Reader, view: ReadView, now: Now, fait: Text = "") -> Response:
    """Show an order, its history, and what cancelling it would mean now."""
    order = queries.get_order(view, order_id, department_of(caller))
    return _order(request, view, caller, order, now, done=fait)


@router.post("/demandes/{order_id}/annulation")
def cancel(order_id: str, request: Request, caller: Writer, tx: Tx, now: Now, submitted: Submitted) -> Response:
    """Ask to cancel an order or one of its legs, unless it has changed since it was shown."""
    order = Orders(tx).get(order_id, department_of(caller))
    form = Form(submitted)
    reason = form.text("reason", longest=500)
    leg = form.value("leg")
    if form.value("version") != str(order.version):
        form.fault("reason", "La commande a changé entre-temps ; relisez-la avant de l'annuler.")
    if not form.faults:
        try:
            use_cases.cancel_order(tx, order, [int(leg)] if leg in ("1", "2") else None, reason, at=now)
            return see_other(f"/demandes/{order.id}?fait=annulation")
        except DomainError as refusal:
            form.refused(refusal, lambda _pointer: "reason")
    return _order(request, tx, caller, order, now, form=form)


@router.post("/demandes/{order_id}/modification")
def amend(order_id: str, request: Request, caller: Writer, tx: Tx, now: Now, submitted: Submitted) -> Response:
    """Change windows and the note before the cut-off, unless the order has changed since it was shown."""
    order = Orders(tx).get(order_id, department_of(caller))
    form = Form(submitted)
    note = form.text("note", longest=1_000)
    zone: ZoneInfo = request.app.state.zone
    windows: dict[int, tuple[Window | None, Window | None]] = {}
    for leg in order.legs:
        if form.value(f"leg_{leg.number}"):
            prefix = "" if leg.number == 1 else "return_"
            pickup, drop = form.window(f"{prefix}pickup"), form.window(f"{prefix}drop")
            drop_day = leg.drop.window.start.astimezone(zone).date()
            windows[leg.number] = (
                pickup.on(leg.service_date, zone) if pickup else None,
                drop.on(drop_day, zone) if drop else None,
            )
    if form.value("version") != str(order.version):
        form.fault("note", "La commande a changé entre-temps ; relisez-la avant de la modifier.")
    if not form.faults:
        try:
            use_cases.amend_order(tx, order, windows, note, at=now)
            return see_other(f"/demandes/{order.id}?fait=modifiee")
        except DomainError as refusal:
            form.refused(refusal, lambda pointer: place_of(pointer) if pointer else "note")
    return _order(request, tx, caller, order, now, amendment=form)


def _existing(view: View, order_id: str) -> Order | None:
    try:
        return queries.get_order(view, order_id, None)
    except NotFound:
        return None


def _order(
    request: Request,
    view: View,
    caller: Caller,
    order: Order,
    now: datetime,
    *,
    done: str = "",
    form: Form | None = None,
    amendment: Form | None = None,
) -> Response:
    contract = Contracts(view).get(order.contract_id)
    shown = {"note": order.note, **_windows(order, request.app.state.zone)}
    open_legs = [leg for leg in order.legs if not leg.status.is_end and leg.status is not Status.CANCELLING]
    return pages.render(
        request,
        "commande.html",
        status=422 if any(each is not None and each.faults for each in (form, amendment)) else 200,
        order=order,
        history=queries.history(view, order.id),
        contract=contract,
        title=queries.titles_of(view, [order.recurring_request_id]).get(order.recurring_request_id)
        if order.recurring_request_id
        else None,
        done=done,
        form=form or Form({}),
        amendment=amendment or Form(shown),
        amendable=[
            leg
            for leg in order.legs
            if leg.status in (Status.REQUESTED, Status.ACCEPTED) and now <= contract.cutoff_at(leg.pickup.window.start)
        ]
        if caller.has("orders:write")
        else [],
        cancellable=[leg for leg in open_legs if leg.status is not Status.COLLECTED]
        if caller.has("orders:write")
        else [],
        late={leg.number for leg in open_legs if now > contract.cutoff_at(leg.pickup.window.start)},
        can_write=bool(department_of(caller) and caller.has("orders:write")),
    )


def _form(request: Request, view: View, department_id: str, form: Form) -> Response:
    return pages.render(
        request,
        "ponctuelle.html",
        status=422 if form.faults else 200,
        form=form,
        choices=Choices(view, department_id),
    )


def _asked(form: Form, department_id: str, zone: ZoneInfo, today: date) -> Asked:
    """Read an order; what could not be read is a fault of the form, and something possible stands in its place."""
    flow = Flow(form.choice("flow", {str(flow): None for flow in FLOWS}, "Choisissez un type de flux."))
    start = form.text("from_site", longest=36, needed="Choisissez le site d'enlèvement.")
    end = form.text("to_site", longest=36, needed="Choisissez le site de livraison.")
    loads = form.loads()
    ways = [
        ("", start, end, form.day("date"), form.day("drop_date", "")),
        ("return_", end, form.value("return_site") or start, None, None),
    ]
    if flow is not Flow.ONE_WAY:
        ways[1] = (
            *ways[1][:3],
            form.day("return_date", "Indiquez la date du retour."),
            form.day("return_drop_date", ""),
        )
    legs = []
    for prefix, pickup_site, drop_site, day, drop_day in ways[: flow.legs]:
        pickup, drop = form.window(f"{prefix}pickup"), form.window(f"{prefix}drop")
        day = day or today + timedelta(days=1)
        legs.append(
            AskedLeg(
                AskedVisit(pickup_site, (pickup or drop or A_MORNING).on(day, zone)),
                AskedVisit(drop_site, (drop or pickup or A_MORNING).on(drop_day or day, zone)),
                loads,
            )
        )
    return Asked(
        department_id,
        flow,
        tuple(legs),
        form.value("contract_id") or None,
        form.text("client_reference", longest=100) or None,
        form.text("note", longest=1_000),
    )


def place_of(pointer: str) -> str:
    """Return the field of a form that a JSON Pointer of an order or a recurring request speaks of."""
    match pointer.split("/")[1:]:
        case ["legs", "0", "pickup", "site_id"]:
            return "from_site"
        case ["legs", "0", "drop", "site_id"]:
            return "to_site"
        case ["legs", "1", _, "site_id"]:
            return "return_site"
        case ["legs", number, "pickup" | "drop" as side, "window", *_]:
            return f"{'return_' if number == '1' else ''}{side}_start"
        case ["legs", _, "loads", row, *_] if row.isdigit():
            return f"load_kind_{int(row) + 1}"
        case ["legs", _, "loads"]:
            return "load_kind_1"
        case ["legs", *_]:
            return "flow"
        case [name, *_] if name:
            return name
    return "flow"


def _values_like(order: Order, zone: ZoneInfo) -> dict[str, str]:
    """Return the fields of a form that would ask for such an order again, on a day to be chosen."""
    values = {"flow": str(order.flow), "note": order.note, "from_site": order.legs[0].pickup.site_id}
    values["to_site"] = order.legs[0].drop.site_id
    for row, load in enumerate(order.legs[0].loads, 1):
        values |= {f"load_kind_{row}": load.kind, f"load_count_{row}": str(load.count)}
    return values | _windows(order, zone)


def _windows(order: Order, zone: ZoneInfo) -> dict[str, str]:
    """Return the fields of a form that tell an order's windows."""
    values = {}
    for leg in order.legs:
        prefix = "" if leg.number == 1 else "return_"
        for side, visit in (("pickup", leg.pickup), ("drop", leg.drop)):
            values[f"{prefix}{side}_start"] = f"{visit.window.start.astimezone(zone):%H:%M}"
            values[f"{prefix}{side}_end"] = f"{visit.window.end.astimezone(zone):%H:%M}"
    return values


def _department_names(view: View) -> dict[str, str]:
    contracts: list[Contract] = queries.list_contracts(view, None)
    return {department.id: department.name for contract in contracts for department in contract.departments}
