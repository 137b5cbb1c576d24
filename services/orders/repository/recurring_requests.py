"""Recurring requests and the dates they have made, in and out."""

from collections.abc import Collection
from datetime import date, time
from typing import Any

from sqlalchemy import Row, delete, insert, or_, select, update

from services.kit.database import Transaction, View, insert_new
from services.orders import tables
from services.orders.domain.errors import NotFound
from services.orders.domain.load import AskedLoad
from services.orders.domain.order import Flow
from services.orders.domain.recurrence import HolidayPolicy, Pause, Recurrence
from services.orders.domain.recurring_request import LegTemplate, RecurringRequest, RequestTerms, VisitTemplate
from services.orders.domain.window import LocalWindow


class RecurringRequests:
    """The recurring requests of all departments."""

    def __init__(self, view: View) -> None:
        self._view = view

    def get(self, request_id: str, department_id: str | None, *, for_update: bool = False) -> RecurringRequest:
        """Return a recurring request of this department (of any, with None). Raises NotFound."""
        query = select(tables.recurring_requests).where(tables.recurring_requests.c.id == request_id)
        if department_id is not None:
            query = query.where(tables.recurring_requests.c.department_id == department_id)
        row = self._view.execute(query.with_for_update() if for_update else query).one_or_none()
        if row is None:
            raise NotFound(
                "Cette demande récurrente n'existe pas ; vérifiez son identifiant.", recurring_request_id=request_id
            )
        return recurring_request_of(row)

    def running(self, today: date) -> list[str]:
        """Return the ids of those that have not ended."""
        columns = tables.recurring_requests.c
        return list(
            self._view.execute(
                select(columns.id).where(or_(columns.ends_on.is_(None), columns.ends_on >= today)).order_by(columns.id)
            ).scalars()
        )

    def claimed(self, request_id: str, since: date) -> dict[date, str]:
        """Return the occurrence dates from `since` on that were made into orders, each with its order's id."""
        columns = tables.occurrences.c
        rows = self._view.execute(
            select(columns.occurrence_date, columns.order_id).where(
                columns.recurring_request_id == request_id, columns.occurrence_date >= since
            )
        )
        return {row.occurrence_date: row.order_id for row in rows}

    def claim(self, tx: Transaction, request_id: str, orders: dict[date, str]) -> set[date]:
        """Claim dates for these orders; return the dates that nobody had claimed before."""
        if not orders:
            return set()
        rows = [
            {"recurring_request_id": request_id, "occurrence_date": day, "order_id": order_id}
            for day, order_id in orders.items()
        ]
        return set(insert_new(tx, tables.occurrences, rows, tables.occurrences.c.occurrence_date).scalars())

    def give_up(self, tx: Transaction, request_id: str, days: Collection[date]) -> None:
        """Let these dates be made again, should they fall due again."""
        columns = tables.occurrences.c
        tx.execute(
            delete(tables.occurrences).where(
                columns.recurring_request_id == request_id, columns.occurrence_date.in_(days)
            )
        )

    def add(self, tx: Transaction, request: RecurringRequest) -> None:
        """Keep a new recurring request."""
        tx.execute(insert(tables.recurring_requests).values(_row(request)))

    def save(self, tx: Transaction, request: RecurringRequest) -> None:
        """Keep a changed recurring request."""
        key = tables.recurring_requests.c.id == request.id
        tx.execute(update(tables.recurring_requests).where(key).values(_row(request)))


def recurring_request_of(row: Row[Any]) -> RecurringRequest:
    """Return the recurring request in this row."""
    return RecurringRequest(row.id, row.department_id, _terms_of(row), row.created_at, row.version, row.problem)


def _row(request: RecurringRequest) -> dict[str, Any]:
    terms = request.terms
    recurrence = terms.recurrence
    return {
        "id": request.id,
        "department_id": request.department_id,
        "title": terms.title,
        "ends_on": recurrence.ends_on,
        "created_at": request.created_at,
        "version": request.version,
        "problem": request.problem,
        "terms": {
            "flow": str(terms.flow),
            "contract_id": terms.contract_id,
            "note": terms.note,
            "legs": [
                {
                    "pickup": _visit_body(leg.pickup),
                    "drop": _visit_body(leg.drop),
                    "loads": [[load.kind, load.count] for load in leg.loads],
                }
                for leg in terms.legs
            ],
            "start_on": recurrence.start_on.isoformat(),
            "zone": recurrence.zone,
            "rule": recurrence.rule,
            "holidays": str(recurrence.holidays),
            "alsace_moselle": recurrence.alsace_moselle,
            "closed_days": [day.isoformat() for day in recurrence.closed_days],
            "exception_dates": [day.isoformat() for day in recurrence.exception_dates],
            "extra_dates": [day.isoformat() for day in recurrence.extra_dates],
            "pauses": [
                [pause.since.isoformat(), pause.until and pause.until.isoformat()] for pause in recurrence.pauses
            ],
        },
    }


def _terms_of(row: Row[Any]) -> RequestTerms:
    terms = row.terms
    recurrence = Recurrence(
        start_on=date.fromisoformat(terms["start_on"]),
        zone=terms["zone"],
        rule=terms["rule"],
        holidays=HolidayPolicy(terms["holidays"]),
        alsace_moselle=terms["alsace_moselle"],
        closed_days=_days(terms["closed_days"]),
        exception_dates=_days(terms["exception_dates"]),
        extra_dates=_days(terms["extra_dates"]),
        pauses=tuple(
            Pause(date.fromisoformat(since), until and date.fromisoformat(until)) for since, until in terms["pauses"]
        ),
        ends_on=row.ends_on,
    )
    legs = tuple(
        LegTemplate(_visit_of(leg["pickup"]), _visit_of(leg["drop"]), tuple(AskedLoad(*each) for each in leg["loads"]))
        for leg in terms["legs"]
    )
    return RequestTerms(row.title, Flow(terms["flow"]), legs, recurrence, terms["contract_id"], terms["note"])


def _days(texts: list[str]) -> tuple[date, ...]:
    return tuple(date.fromisoformat(text) for text in texts)


def _visit_body(visit: VisitTemplate) -> list[Any]:
    window = visit.window
    return [visit.site_id, window.start.isoformat(), window.end.isoformat(), window.day_offset]


def _visit_of(body: list[Any]) -> VisitTemplate:
    site_id, start, end, day_offset = body
    return VisitTemplate(site_id, LocalWindow(time.fromisoformat(start), time.fromisoformat(end), day_offset))
