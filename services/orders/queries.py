"""Rows for lists and pages; reads only."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Select, and_, func, or_, select, tuple_

from services.kit.database import View
from services.kit.http.answers import BadCursor
from services.orders import tables
from services.orders.domain.contract import Contract
from services.orders.domain.errors import NotFound
from services.orders.domain.order import Actor, Flow, Order, Status, Step
from services.orders.domain.recurring_request import RecurringRequest
from services.orders.domain.site import Site
from services.orders.repository import Contracts, orders_of
from services.orders.repository.recurring_requests import recurring_request_of
from services.orders.repository.registers import site_of


@dataclass(frozen=True, slots=True)
class OrderFilter:
    """Which orders to list; what is None or empty does not narrow. Dates are those of any leg, both included."""

    department_id: str | None = None
    statuses: Sequence[str] = ()
    site_id: str | None = None
    date_from: date | None = None
    date_to: date | None = None
    recurring_request_id: str | None = None
    client_reference: str | None = None
    reference: str | None = None


def list_orders(
    view: View, wanted: OrderFilter, *, after: tuple[date, str] | None = None, limit: int = 50
) -> list[Order]:
    """Return orders by first service date, then by age; `after` is the place of the last one seen."""
    columns = tables.orders.c
    query = _narrowed(select(tables.orders), wanted)
    if after is not None:
        query = query.where(tuple_(columns.first_date, columns.id) > tuple_(*after))
    rows = view.execute(query.order_by(columns.first_date, columns.id).limit(limit)).all()
    return orders_of(view, rows)


def order_place(first_date: str, order_id: str) -> tuple[date, str]:
    """Return the place in the list that a cursor names. Raises BadCursor when there is none such."""
    try:
        return date.fromisoformat(first_date), order_id
    except ValueError:
        raise BadCursor("Reprenez la liste depuis le début, puis suivez la valeur « next » telle quelle.") from None


def count_by_status(view: View, wanted: OrderFilter) -> dict[str, int]:
    """Return how many orders stand where."""
    status = tables.orders.c.status
    query = _narrowed(select(status, func.count().label("orders")), wanted).group_by(status)
    return {row.status: row.orders for row in view.execute(query)}


def _narrowed(query: Select[Any], wanted: OrderFilter) -> Select[Any]:
    columns, leg = tables.orders.c, tables.legs.c
    for column, value in (
        (columns.department_id, wanted.department_id),
        (columns.recurring_request_id, wanted.recurring_request_id),
        (columns.client_reference, wanted.client_reference),
        (columns.reference, wanted.reference),
    ):
        if value is not None:
            query = query.where(column == value)
    if wanted.statuses:
        query = query.where(columns.status.in_(wanted.statuses))
    if wanted.date_from is not None:
        query = query.where(columns.last_date >= wanted.date_from)
    if wanted.date_to is not None:
        query = query.where(columns.first_date <= wanted.date_to)
    on_leg = []
    if wanted.site_id is not None:
        on_leg.append(or_(leg.pickup_site_id == wanted.site_id, leg.drop_site_id == wanted.site_id))
    if wanted.date_from is not None:
        on_leg.append(leg.service_date >= wanted.date_from)
    if wanted.date_to is not None:
        on_leg.append(leg.service_date <= wanted.date_to)
    if on_leg:
        query = query.where(select(leg.order_id).where(leg.order_id == columns.id, and_(*on_leg)).exists())
    return query


def get_order(view: View, order_id: str, department_id: str | None) -> Order:
    """Return an order of this department (of any, with None). Raises NotFound."""
    columns = tables.orders.c
    query = select(tables.orders).where(columns.id == order_id)
    if department_id is not None:
        query = query.where(columns.department_id == department_id)
    rows = view.execute(query).all()
    if not rows:
        raise NotFound("Cette commande n'existe pas ; vérifiez son identifiant.", order_id=order_id)
    return orders_of(view, rows)[0]


def history(view: View, order_id: str) -> list[Step]:
    """Return what happened to an order, by time."""
    columns = tables.steps.c
    rows = view.execute(
        select(tables.steps).where(columns.order_id == order_id).order_by(columns.at, columns.version, columns.place)
    )
    return [Step(row.at, row.what, Actor(row.actor), row.leg, row.cause) for row in rows]


@dataclass(frozen=True, slots=True)
class CalendarEntry:
    """One leg on its day, for a calendar."""

    order_id: str
    reference: str
    department_id: str
    leg: int
    flow: Flow
    status: Status
    day: date
    pickup_start: datetime
    pickup_site: str
    drop_site: str


def calendar(
    view: View, department_id: str | None, first: date, last: date, *, site_id: str | None = None
) -> list[CalendarEntry]:
    """Return the legs of these days, both included, by the opening of their pickup window."""
    order, leg = tables.orders.c, tables.legs.c
    query = (
        select(order.id, order.reference, order.department_id, order.flow, tables.legs)
        .join(tables.legs, leg.order_id == order.id)
        .where(leg.service_date >= first, leg.service_date <= last)
    )
    if department_id is not None:
        query = query.where(order.department_id == department_id)
    if site_id is not None:
        query = query.where(or_(leg.pickup_site_id == site_id, leg.drop_site_id == site_id))
    entries = [
        CalendarEntry(
            order_id=row.id,
            reference=row.reference,
            department_id=row.department_id,
            leg=row.number,
            flow=Flow(row.flow),
            status=Status(row.status),
            day=row.service_date,
            pickup_start=datetime.fromisoformat(row.body["pickup"]["window"][0]),
            pickup_site=row.body["pickup"]["site_name"],
            drop_site=row.body["drop"]["site_name"],
        )
        for row in view.execute(query)
    ]
    return sorted(entries, key=lambda entry: (entry.day, entry.pickup_start, entry.drop_site, entry.order_id))


def list_sites(
    view: View, department_id: str | None, *, after: tuple[str, str] | None = None, limit: int = 1_000
) -> list[Site]:
    """Return sites by name."""
    columns = tables.sites.c
    query = select(tables.sites)
    if department_id is not None:
        query = query.where(columns.department_id == department_id)
    if after is not None:
        query = query.where(tuple_(columns.name, columns.id) > tuple_(*after))
    return [site_of(row) for row in view.execute(query.order_by(columns.name, columns.id).limit(limit))]


def list_recurring_requests(
    view: View, department_id: str | None, *, after: str | None = None, limit: int = 1_000
) -> list[RecurringRequest]:
    """Return recurring requests by age."""
    columns = tables.recurring_requests.c
    query = select(tables.recurring_requests)
    if department_id is not None:
        query = query.where(columns.department_id == department_id)
    if after is not None:
        query = query.where(columns.id > after)
    return [recurring_request_of(row) for row in view.execute(query.order_by(columns.id).limit(limit))]


def titles_of(view: View, request_ids: Collection[str]) -> dict[str, str]:
    """Return the titles of these recurring requests."""
    columns = tables.recurring_requests.c
    rows = view.execute(select(columns.id, columns.title).where(columns.id.in_(request_ids)))
    return {row.id: row.title for row in rows}


def list_contracts(view: View, department_id: str | None) -> list[Contract]:
    """Return the contracts this department may order under (every one, with None), by reference."""
    contracts = Contracts(view).all()
    return [contract for contract in contracts if department_id is None or contract.is_open_to(department_id)]
