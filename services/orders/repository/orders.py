"""Orders with their legs and history, in and out."""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import Row, Table, bindparam, select, text, update

from services.kit.database import Transaction, View, insert_all
from services.kit.errors import NotYet
from services.orders import tables
from services.orders.domain.errors import ClientReferenceTaken, NotFound
from services.orders.domain.load import Load
from services.orders.domain.order import (
    Change,
    CountedLoad,
    Flow,
    Leg,
    Order,
    Planning,
    Refusal,
    Settlement,
    Status,
    Step,
    Visit,
)
from services.orders.domain.window import Window

# Built once: SQLAlchemy then finds what it compiled for them without looking at them again.
_ORDER = select(tables.orders).where(tables.orders.c.id == bindparam("order_id")).with_for_update()
_LEGS = (
    select(tables.legs)
    .where(tables.legs.c.order_id.in_(bindparam("order_ids", expanding=True)))
    .order_by(tables.legs.c.order_id, tables.legs.c.number)
)
_TAKEN = select(tables.orders.c.id, tables.orders.c.reference).where(
    tables.orders.c.department_id == bindparam("department_id"),
    tables.orders.c.client_reference == bindparam("client_reference"),
)
_NEXT = text(
    "INSERT INTO reference_numbers (year, last) VALUES (:year, :count)"
    " ON CONFLICT (year) DO UPDATE SET last = reference_numbers.last + :count RETURNING last"
)
_SAVE_ORDER = update(tables.orders).where(tables.orders.c.id == bindparam("of_order"))
_SAVE_LEG = update(tables.legs).where(
    tables.legs.c.order_id == bindparam("of_order"), tables.legs.c.number == bindparam("of_leg")
)


class Orders:
    """The orders of all departments."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    def get(self, order_id: str, department_id: str | None) -> Order:
        """Return an order of this department (of any, with None) to be changed. Raises NotFound."""
        row = self._tx.execute(_ORDER, {"order_id": order_id}).one_or_none()
        if row is None or department_id not in (None, row.department_id):
            raise NotFound("Cette commande n'existe pas ; vérifiez son identifiant.", order_id=order_id)
        return orders_of(self._tx, [row])[0]

    def told_of(self, order_id: str) -> Order:
        """Return the order an event tells of, to be changed. Raises NotYet when it is not there."""
        try:
            return self.get(order_id, None)
        except NotFound:
            raise NotYet(f"order {order_id} is not known yet") from None

    def next_references(self, year: int, count: int) -> list[str]:
        """Take the next human references of a year: `CMD-2026-000123`."""
        last: int = self._tx.execute(_NEXT, {"year": year, "count": count}).scalar_one()
        return [f"CMD-{year}-{number:06d}" for number in range(last - count + 1, last + 1)]

    def check_client_reference(self, department_id: str, client_reference: str) -> None:
        """Raise ClientReferenceTaken when the department gave this reference to an order before."""
        given = {"department_id": department_id, "client_reference": client_reference}
        taken = self._tx.execute(_TAKEN, given).one_or_none()
        if taken is not None:
            raise ClientReferenceTaken(client_reference, order_id=taken.id, reference=taken.reference)

    def add(self, change: Change) -> None:
        """Keep a new order; it is written just before the commit, together with all new ones."""
        order = change.order
        self._tx.gather(_write_orders, order)
        self._tell(order, change.steps)

    def save(self, change: Change) -> None:
        """Keep a changed order and what happened to it."""
        order = change.order
        self._tx.execute(_SAVE_ORDER, {**_order_row(order), "of_order": order.id})
        rows = [{**_leg_row(order, leg), "of_order": order.id, "of_leg": leg.number} for leg in order.legs]
        self._tx.execute(_SAVE_LEG, rows)
        self._tell(order, change.steps)

    def _tell(self, order: Order, steps: Sequence[Step]) -> None:
        for place, step in enumerate(steps):
            told = (_text(step.at), step.leg, step.what, str(step.actor), step.cause)
            self._tx.gather(_write_steps, (order.id, order.version, place, *told))

    def forget_contacts(self, before: date) -> int:
        """Blank the contact persons of orders whose last day lies before a date; return how many had some."""
        columns = tables.orders.c
        rows = self._tx.execute(
            select(tables.orders).where(columns.has_contacts, columns.last_date < before).limit(500).with_for_update()
        ).all()
        for order in orders_of(self._tx, rows):
            for leg in order.legs:
                body = _leg_row(order, leg)["body"]
                for side in ("pickup", "drop"):
                    body[side]["contact"] = ""
                self._tx.execute(_SAVE_LEG, {"body": body, "of_order": order.id, "of_leg": leg.number})
        self._tx.execute(
            update(tables.orders).where(columns.id.in_([row.id for row in rows])).values(has_contacts=False)
        )
        return len(rows)


def orders_of(view: View, rows: Sequence[Row[Any]]) -> list[Order]:
    """Return the orders in these rows of `orders`, with their legs, in the same order."""
    legs = defaultdict(list)
    for row in view.execute(_LEGS, {"order_ids": [row.id for row in rows]}):
        legs[row.order_id].append(_leg_of(row))
    return [
        Order(
            id=row.id,
            reference=row.reference,
            department_id=row.department_id,
            contract_id=row.contract_id,
            flow=Flow(row.flow),
            legs=tuple(legs[row.id]),
            placed_at=row.placed_at,
            note=row.note,
            client_reference=row.client_reference,
            recurring_request_id=row.recurring_request_id,
            occurrence_date=row.occurrence_date,
            held_cents=row.held_cents,
            refusal=row.refusal and Refusal(**row.refusal),
            version=row.version,
        )
        for row in rows
    ]


def _write_orders(tx: Transaction, orders: list[Order]) -> None:
    insert_all(tx, tables.orders, [_driver_row(tables.orders, _order_row(order)) for order in orders])
    legs = [_leg_row(order, leg) for order in orders for leg in order.legs]
    insert_all(tx, tables.legs, [_driver_row(tables.legs, leg) for leg in legs])


def _write_steps(tx: Transaction, rows: list[tuple[Any, ...]]) -> None:
    insert_all(tx, tables.steps, rows)


def _driver_row(table: Table, row: dict[str, Any]) -> list[Any]:
    """Return a row in the order of the table's columns, as a driver takes it."""
    return [_driver_value(row[name]) for name in table.columns.keys()]  # noqa: SIM118 (a collection of columns)


def _driver_value(value: Any) -> Any:
    match value:
        case datetime():
            return value.astimezone(UTC).isoformat(timespec="microseconds")
        case date():
            return value.isoformat()
        case dict():
            return json.dumps(value, ensure_ascii=False)
    return value


def _order_row(order: Order) -> dict[str, Any]:
    days = [leg.service_date for leg in order.legs]
    return {
        "id": order.id,
        "reference": order.reference,
        "department_id": order.department_id,
        "contract_id": order.contract_id,
        "flow": str(order.flow),
        "status": str(order.status),
        "note": order.note,
        "client_reference": order.client_reference,
        "recurring_request_id": order.recurring_request_id,
        "occurrence_date": order.occurrence_date,
        "placed_at": order.placed_at,
        "first_date": min(days),
        "last_date": max(days),
        "held_cents": order.held_cents,
        "refusal": order.refusal and asdict(order.refusal),
        "version": order.version,
        "has_contacts": any(leg.pickup.contact or leg.drop.contact for leg in order.legs),
    }


def _leg_row(order: Order, leg: Leg) -> dict[str, Any]:
    return {
        "order_id": order.id,
        "number": leg.number,
        "service_date": leg.service_date,
        "status": str(leg.status),
        "pickup_site_id": leg.pickup.site_id,
        "drop_site_id": leg.drop.site_id,
        "body": {
            "pickup": _visit_body(leg.pickup),
            "drop": _visit_body(leg.drop),
            "loads": [
                [
                    load.kind,
                    load.label,
                    load.count,
                    load.unit_grams,
                    load.unit_millilitres,
                    load.unit_seconds,
                    load.longest_ride_seconds,
                ]
                for load in leg.loads
            ],
            "needs_trailer": leg.needs_trailer,
            "planning": leg.planning
            and [
                leg.planning.round_id,
                leg.planning.cooperative_id,
                _text(leg.planning.pickup_at),
                _text(leg.planning.drop_at),
            ],
            "planning_heard": _text(leg.planning_heard),
            "left_out": leg.left_out,
            "cooperative_id": leg.cooperative_id,
            "collected_at": _text(leg.collected_at),
            "ended_at": _text(leg.ended_at),
            "counted": [[each.kind, each.announced, each.counted] for each in leg.counted],
            "remark": leg.remark,
            "proof_ids": list(leg.proof_ids),
            "is_late_cancellation": leg.is_late_cancellation,
            "settlement": leg.settlement
            and [leg.settlement.outcome, leg.settlement.amount_cents, _text(leg.settlement.at)],
        },
    }


def _leg_of(row: Row[Any]) -> Leg:
    body = row.body
    planning, settlement = body["planning"], body["settlement"]
    return Leg(
        number=row.number,
        service_date=row.service_date,
        pickup=_visit_of(row.pickup_site_id, body["pickup"]),
        drop=_visit_of(row.drop_site_id, body["drop"]),
        loads=tuple(Load(*each) for each in body["loads"]),
        needs_trailer=body["needs_trailer"],
        status=Status(row.status),
        planning=planning
        and Planning(
            planning[0], planning[1], datetime.fromisoformat(planning[2]), datetime.fromisoformat(planning[3])
        ),
        planning_heard=_instant(body["planning_heard"]),
        left_out=body["left_out"],
        cooperative_id=body["cooperative_id"],
        collected_at=_instant(body["collected_at"]),
        ended_at=_instant(body["ended_at"]),
        counted=tuple(CountedLoad(*each) for each in body["counted"]),
        remark=body["remark"],
        proof_ids=tuple(body["proof_ids"]),
        is_late_cancellation=body["is_late_cancellation"],
        settlement=settlement and Settlement(settlement[0], settlement[1], datetime.fromisoformat(settlement[2])),
    )


def _visit_body(visit: Visit) -> dict[str, Any]:
    return {
        "site_name": visit.site_name,
        "address": visit.address,
        "latitude": visit.latitude,
        "longitude": visit.longitude,
        "access_note": visit.access_note,
        "contact": visit.contact,
        "service_seconds": visit.service_seconds,
        "window": [_text(visit.window.start), _text(visit.window.end)],
    }


def _visit_of(site_id: str, body: dict[str, Any]) -> Visit:
    start, end = (datetime.fromisoformat(text) for text in body["window"])
    return Visit(
        site_id=site_id,
        site_name=body["site_name"],
        address=body["address"],
        latitude=body["latitude"],
        longitude=body["longitude"],
        access_note=body["access_note"],
        contact=body["contact"],
        service_seconds=body["service_seconds"],
        window=Window(start, end),
    )


def _text(instant: datetime | None) -> str | None:
    return None if instant is None else instant.astimezone(UTC).isoformat(timespec="microseconds")


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
