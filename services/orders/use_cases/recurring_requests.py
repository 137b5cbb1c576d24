"""Recurring requests: registering, previewing, pausing, ending, and unfolding them into dated orders."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from services.kit.database import Transaction, View
from services.kit.errors import DomainError, refuse_all
from services.kit.ids import new_id
from services.orders.domain.contract import choose
from services.orders.domain.errors import UnknownDepartment
from services.orders.domain.order import Actor, Order, Status, place
from services.orders.domain.recurrence import Occurrence, Pause
from services.orders.domain.recurring_request import RecurringRequest, RequestTerms, check_terms
from services.orders.domain.working_day import FURTHEST_MOVE
from services.orders.repository import Contracts, Orders, RecurringRequests
from services.orders.use_cases.orders import Asked, Registers, add, judge, save

LONGEST_PREVIEW = timedelta(days=3 * 366)


@dataclass(frozen=True, slots=True)
class Unfolded:
    """What became of a recurring request's dates: the new orders, and why others are held up (French, or empty)."""

    orders: tuple[Order, ...]
    problem: str


@dataclass(frozen=True, slots=True)
class Interrupted:
    """What a pause or an end did: orders being cancelled for free, and orders kept because it is too late for that."""

    request: RecurringRequest
    cancelled: tuple[Order, ...]
    kept: tuple[Order, ...]


@dataclass(frozen=True, slots=True)
class Foreseen:
    """An occurrence to come; `problem` is why it could not become an order today (French, or empty)."""

    occurrence: Occurrence
    problem: str


def check_request(view: View, department_id: str, terms: RequestTerms, *, at: datetime) -> None:
    """Refuse terms that cannot be right, all faults together."""
    faults: list[DomainError] = []
    registers = Registers.read(view, department_id, terms.legs)
    if not department_id:
        faults.append(UnknownDepartment("Indiquez pour quel service vous commandez.", pointer="/department_id"))
    check_terms(terms, registers.sites, registers.catalogue, faults)
    if not faults:
        coming = next((each for each in _coming(terms, at) if each.day is not None), None)
        if coming is not None and coming.day is not None:
            try:
                choose(
                    registers.contracts,
                    department_id=department_id,
                    day=coming.day,
                    contract_id=terms.contract_id,
                )
            except DomainError as refusal:
                faults.append(refusal)
    refuse_all(faults)


def preview(view: View, department_id: str, terms: RequestTerms, *, count: int, at: datetime) -> list[Foreseen]:
    """Return the next dates of terms not registered yet, at most `count`. Raises as `check_request`."""
    check_request(view, department_id, terms, at=at)
    return foresee(view, department_id, terms, count=count, at=at)


def foresee(view: View, department_id: str, terms: RequestTerms, *, count: int, at: datetime) -> list[Foreseen]:
    """Return the next dates of a recurring request, at most `count`, each with what stands in its way."""
    registers = Registers.read(view, department_id, terms.legs)
    foreseen = []
    for occurrence in _coming(terms, at):
        problem = ""
        if occurrence.day is not None:
            faults: list[DomainError] = []
            judge(_asked(department_id, terms, occurrence.day), registers, at=at, faults=faults)
            problem = faults[0].detail if faults else ""
        foreseen.append(Foreseen(occurrence, problem))
        if len(foreseen) == count:
            break
    return foreseen


def _coming(terms: RequestTerms, at: datetime) -> Iterator[Occurrence]:
    """Yield the occurrences from today on that are not over, for about three years."""
    today = at.astimezone(terms.recurrence.zone_info).date()
    first = max(today, terms.recurrence.start_on)
    end = first + LONGEST_PREVIEW
    while first < end:
        last = first + timedelta(days=91)
        for occurrence in terms.recurrence.occurrences(first, last):
            if occurrence.day is None or terms.legs_on(occurrence.day)[0].pickup.window.end > at:
                yield occurrence
        first = last + timedelta(days=1)


def create(
    tx: Transaction,
    department_id: str,
    terms: RequestTerms,
    *,
    horizon_days: int,
    at: datetime,
    request_id: str | None = None,
) -> tuple[RecurringRequest, Unfolded]:
    """Register a recurring request, under an id of its own unless one is given, and unfold its first orders at once.

    Raises as `check_request`.
    """
    check_request(tx, department_id, terms, at=at)
    request = RecurringRequest(request_id or new_id(), department_id, terms, at)
    RecurringRequests(tx).add(tx, request)
    unfolded = unfold(tx, request, horizon_days=horizon_days, at=at)
    return replace(request, problem=unfolded.problem), unfolded


def unfold(tx: Transaction, request: RecurringRequest, *, horizon_days: int, at: datetime) -> Unfolded:
    """Make orders of the occurrences up to the horizon that have none yet.

    However often, late, interrupted or concurrent: a date is claimed by the transaction that places its order, and can
    be claimed once. Occurrences whose first pickup window is over are left alone.
    """
    requests = RecurringRequests(tx)
    terms = request.terms
    today = at.astimezone(terms.recurrence.zone_info).date()
    # A date moved forward by a holiday is done days after its own; one with an evening before needs a day's margin.
    first = today - timedelta(days=FURTHEST_MOVE + 1)
    claimed = requests.claimed(request.id, first)
    due = {
        occurrence.due_on: asked
        for occurrence in terms.recurrence.occurrences(first, today + timedelta(days=horizon_days))
        if occurrence.day is not None and occurrence.due_on not in claimed
        for asked in (_asked(request.department_id, terms, occurrence.day),)
        if asked.legs[0].pickup.window.end > at
    }
    problem = ""
    judged = {}
    if due:
        registers = Registers.read(tx, request.department_id, terms.legs)
        for due_on, asked in due.items():
            faults: list[DomainError] = []
            found = judge(asked, registers, at=at, faults=faults)
            if found is None:
                problem = problem or f"{due_on:%d/%m/%Y} : {faults[0].detail}"
            else:
                judged[due_on] = found
    ids = {due_on: new_id() for due_on in judged}
    new = sorted(requests.claim(tx, request.id, ids))
    references = Orders(tx).next_references(at.year, len(new)) if new else []
    orders = tuple(
        add(
            tx,
            place(
                Order(
                    id=ids[due_on],
                    reference=reference,
                    department_id=request.department_id,
                    contract_id=judged[due_on].contract.id,
                    flow=terms.flow,
                    legs=judged[due_on].legs,
                    placed_at=at,
                    note=terms.note,
                    recurring_request_id=request.id,
                    occurrence_date=due_on,
                ),
                actor=Actor.RECURRENCE,
            ),
        )
        for due_on, reference in zip(new, references, strict=True)
    )
    if problem != request.problem:
        requests.save(tx, replace(request, problem=problem))
    return Unfolded(orders, problem)


def unfold_by_id(tx: Transaction, request_id: str, *, horizon_days: int, at: datetime) -> Unfolded:
    """Unfold a recurring request, one run at a time. Raises as `unfold`, and NotFound."""
    request = RecurringRequests(tx).get(request_id, None, for_update=True)
    return unfold(tx, request, horizon_days=horizon_days, at=at)


def pause(tx: Transaction, request: RecurringRequest, span: Pause, *, at: datetime) -> Interrupted:
    """Make no orders in a span, and cancel those made for it, as far as that is free. Raises as `Recurrence.paused`."""
    paused = request.paused(span)
    RecurringRequests(tx).save(tx, paused)
    claimed = RecurringRequests(tx).claimed(request.id, span.since - timedelta(days=FURTHEST_MOVE))
    made = request.terms.recurrence.occurrences(min(claimed), max(claimed)) if claimed else ()
    days = {occurrence.due_on for occurrence in made if occurrence.day is not None and span.holds(occurrence.day)}
    return _interrupt(tx, paused, days, "Demande récurrente suspendue", at=at)


def resume(
    tx: Transaction, request: RecurringRequest, on: date, *, horizon_days: int, at: datetime
) -> tuple[RecurringRequest, Unfolded]:
    """Lift a pause from a day on, and unfold what falls due again. Raises as `Recurrence.resumed`."""
    resumed = request.resumed(on)
    RecurringRequests(tx).save(tx, resumed)
    unfolded = unfold(tx, resumed, horizon_days=horizon_days, at=at)
    return replace(resumed, problem=unfolded.problem), unfolded


def end(tx: Transaction, request: RecurringRequest, last: date, *, at: datetime) -> Interrupted:
    """Make no orders after a day, and cancel those made for later, as far as that is free. The past stays.

    Raises as `Recurrence.ended`.
    """
    ended = request.ended(last)
    requests = RecurringRequests(tx)
    requests.save(tx, ended)
    days = set(requests.claimed(request.id, last + timedelta(days=1)))
    return _interrupt(tx, ended, days, "Demande récurrente terminée", at=at)


def _interrupt(
    tx: Transaction, request: RecurringRequest, days: set[date], reason: str, *, at: datetime
) -> Interrupted:
    requests, orders = RecurringRequests(tx), Orders(tx)
    contracts = {contract.id: contract for contract in Contracts(tx).all()}
    cancelled: dict[date, Order] = {}
    kept = []
    claimed = requests.claimed(request.id, min(days)) if days else {}
    for day in sorted(days & claimed.keys()):
        order = orders.get(claimed[day], None)
        if order.status.is_end or order.status is Status.CANCELLING:
            continue
        contract = contracts[order.contract_id]
        try:
            change = order.cancel(None, reason, contract, at=at, actor=Actor.DEPARTMENT)
        except DomainError:
            kept.append(order)
            continue
        if any(leg.is_late_cancellation for leg in change.order.legs) or any(leg.status.is_end for leg in order.legs):
            kept.append(order)
        else:
            cancelled[day] = save(tx, change)
    if cancelled:
        requests.give_up(tx, request.id, cancelled.keys())
    return Interrupted(request, tuple(cancelled.values()), tuple(kept))


def _asked(department_id: str, terms: RequestTerms, day: date) -> Asked:
    return Asked(department_id, terms.flow, terms.legs_on(day), terms.contract_id, note=terms.note)
