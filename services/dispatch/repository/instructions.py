"""What dispatchers want of deliveries beyond what their orders say."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import Row, delete, insert, select

from services.dispatch.domain.events import DeliveryId
from services.dispatch.domain.instruction import Instruction
from services.dispatch.domain.planning_settings import Priority
from services.dispatch.tables import instructions
from services.kit.database import Transaction, View

_SLICE = 500


def of_deliveries(view: View, ids: Collection[DeliveryId]) -> dict[DeliveryId, Instruction]:
    """Return the instructions for those of these deliveries that have one."""
    found = {}
    order_ids = sorted({id_.order_id for id_ in ids})
    for start in range(0, len(order_ids), _SLICE):
        chosen = select(instructions).where(instructions.c.order_id.in_(order_ids[start : start + _SLICE]))
        for row in view.execute(chosen):
            found[DeliveryId(row.order_id, row.leg)] = _from_row(row)
    return {id_: found[id_] for id_ in ids if id_ in found}


def put(tx: Transaction, given: Instruction) -> None:
    """Keep an instruction instead of the delivery's former one."""
    remove(tx, given.delivery_id)
    tx.execute(
        insert(instructions).values(
            order_id=given.delivery_id.order_id,
            leg=given.delivery_id.leg,
            skills=list(given.skills),
            courier_ids=list(given.courier_ids),
            forbidden_courier_ids=list(given.forbidden_courier_ids),
            reason=given.reason,
            given_by=given.given_by,
            given_at=given.given_at,
            priority=given.priority,
        )
    )


def remove(tx: Transaction, delivery_id: DeliveryId) -> None:
    """Forget a delivery's instruction, if it has one."""
    tx.execute(
        delete(instructions).where(
            instructions.c.order_id == delivery_id.order_id, instructions.c.leg == delivery_id.leg
        )
    )


def _from_row(row: Row[Any]) -> Instruction:
    return Instruction(
        DeliveryId(row.order_id, row.leg),
        tuple(row.skills),
        tuple(row.courier_ids),
        tuple(row.forbidden_courier_ids),
        row.reason,
        row.given_by,
        row.given_at,
        Priority(row.priority),
    )
