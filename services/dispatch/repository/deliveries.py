"""Deliveries."""

from collections.abc import Collection, Iterable
from datetime import date
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Row, bindparam, select, tuple_, update

from services.dispatch.domain.delivery import Cancellation, Delivery, DeliveryState, Load, Visit
from services.dispatch.domain.events import DeliveryId
from services.dispatch.tables import deliveries
from services.kit.database import Transaction, View, insert_new

_VISIT = TypeAdapter(Visit)
_LOADS = TypeAdapter(tuple[Load, ...])
_CANCELLATION = TypeAdapter(Cancellation)
_SLICE = 400
"""SQLite takes some thousands of values in one statement, and each delivery is named by two."""


def add(tx: Transaction, new: Iterable[Delivery]) -> None:
    """Keep new deliveries; those already known stay as they are."""
    rows = [{"order_id": one.id.order_id, "leg": one.id.leg, **_terms(one), **_progress(one)} for one in new]
    if rows:
        insert_new(tx, deliveries, rows)


def of_order(view: View, order_id: str, *, lock: bool = False) -> list[Delivery]:
    """Return the deliveries of an order, by leg; none when the order is not known."""
    chosen = select(deliveries).where(deliveries.c.order_id == order_id).order_by(deliveries.c.leg)
    return [from_row(row) for row in view.execute(chosen.with_for_update() if lock else chosen)]


def by_id(view: View, ids: Collection[DeliveryId], *, lock: bool = False) -> dict[DeliveryId, Delivery]:
    """Return those of these deliveries that are known."""
    found: dict[DeliveryId, Delivery] = {}
    wanted = sorted(set(ids))
    for start in range(0, len(wanted), _SLICE):
        chosen = (
            select(deliveries)
            .where(tuple_(deliveries.c.order_id, deliveries.c.leg).in_(wanted[start : start + _SLICE]))
            .order_by(deliveries.c.order_id, deliveries.c.leg)
        )
        for row in view.execute(chosen.with_for_update() if lock else chosen):
            delivery = from_row(row)
            found[delivery.id] = delivery
    return found


def plannable(view: View, day: date) -> list[Delivery]:
    """Return what may be planned for a day, in a stable order."""
    rows = view.execute(
        select(deliveries)
        .where(deliveries.c.service_date == day, deliveries.c.state == DeliveryState.PLANNABLE)
        .order_by(deliveries.c.order_id, deliveries.c.leg)
    )
    return [from_row(row) for row in rows]


def waiting_before(view: View, day: date) -> list[DeliveryId]:
    """Return what is plannable for a day before this one, and in no round."""
    rows = view.execute(
        select(deliveries.c.order_id, deliveries.c.leg)
        .where(deliveries.c.service_date < day, deliveries.c.state == DeliveryState.PLANNABLE)
        .order_by(deliveries.c.order_id, deliveries.c.leg)
    )
    return [DeliveryId(row.order_id, row.leg) for row in rows]


def save(tx: Transaction, changed: Delivery) -> None:
    """Keep what became of a delivery."""
    tx.execute(
        update(deliveries)
        .where(deliveries.c.order_id == changed.id.order_id, deliveries.c.leg == changed.id.leg)
        .values(**_progress(changed))
    )


def save_terms(tx: Transaction, changed: Delivery) -> None:
    """Keep a delivery whose terms changed."""
    tx.execute(
        update(deliveries)
        .where(deliveries.c.order_id == changed.id.order_id, deliveries.c.leg == changed.id.leg)
        .values(**_terms(changed), **_progress(changed))
    )


def save_distances(tx: Transaction, measured: Collection[tuple[DeliveryId, int, bool]]) -> None:
    """Keep metres from pickup to drop, and whether they are estimated."""
    if measured:
        tx.execute(
            update(deliveries)
            .where(deliveries.c.order_id == bindparam("at_order"), deliveries.c.leg == bindparam("at_leg"))
            .values(direct_metres=bindparam("metres"), is_direct_estimated=bindparam("estimated")),
            [
                {"at_order": id_.order_id, "at_leg": id_.leg, "metres": metres, "estimated": estimated}
                for id_, metres, estimated in sorted(measured)  # in the order in which everybody locks them
            ],
        )


def from_row(row: Row[Any]) -> Delivery:
    """Make a delivery of a row with all columns."""
    return Delivery(
        id=DeliveryId(row.order_id, row.leg),
        reference=row.reference,
        contract_id=row.contract_id,
        department_id=row.department_id,
        service_date=row.service_date,
        pickup=_VISIT.validate_python(row.pickup),
        drop=_VISIT.validate_python(row.drop),
        loads=_LOADS.validate_python(row.loads),
        needs_trailer=row.needs_trailer,
        note=row.note,
        state=DeliveryState(row.state),
        edition=row.edition,
        cancellation=_CANCELLATION.validate_python(row.cancellation) if row.cancellation else None,
        round_id=row.round_id,
        cooperative_id=row.cooperative_id,
        direct_metres=row.direct_metres,
        is_direct_estimated=row.is_direct_estimated,
    )


def _terms(delivery: Delivery) -> dict[str, Any]:
    return {
        "reference": delivery.reference,
        "contract_id": delivery.contract_id,
        "department_id": delivery.department_id,
        "service_date": delivery.service_date,
        "pickup": _VISIT.dump_python(delivery.pickup, mode="json"),
        "drop": _VISIT.dump_python(delivery.drop, mode="json"),
        "loads": _LOADS.dump_python(delivery.loads, mode="json"),
        "needs_trailer": delivery.needs_trailer,
        "note": delivery.note,
    }


def _progress(delivery: Delivery) -> dict[str, Any]:
    cancellation = delivery.cancellation
    return {
        "state": delivery.state,
        "edition": delivery.edition,
        "cancellation": _CANCELLATION.dump_python(cancellation, mode="json") if cancellation else None,
        "round_id": delivery.round_id,
        "cooperative_id": delivery.cooperative_id,
    }
