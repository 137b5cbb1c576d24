"""Lists of deliveries. A cooperative sees those of the contracts it holds."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Select, func, select, tuple_

from services.dispatch.domain.delivery import Delivery
from services.dispatch.domain.errors import DeliveryNotFound
from services.dispatch.domain.events import DeliveryId
from services.dispatch.domain.reach import Reach
from services.dispatch.repository.crew import is_holder
from services.dispatch.repository.deliveries import from_row
from services.dispatch.tables import deliveries
from services.kit.database import View


@dataclass(frozen=True, slots=True)
class DeliveryFilter:
    """Which deliveries are looked for."""

    reach: Reach
    date_from: date | None = None
    date_to: date | None = None
    states: Sequence[str] = ()


Place = tuple[date, str, int]


def list_deliveries(view: View, wanted: DeliveryFilter, *, after: Place | None, limit: int | None) -> list[Delivery]:
    """Return deliveries by date, then order and leg."""
    place = (deliveries.c.service_date, deliveries.c.order_id, deliveries.c.leg)
    chosen = _within(select(deliveries), wanted.reach).order_by(*place).limit(limit)
    if wanted.date_from is not None:
        chosen = chosen.where(deliveries.c.service_date >= wanted.date_from)
    if wanted.date_to is not None:
        chosen = chosen.where(deliveries.c.service_date <= wanted.date_to)
    if wanted.states:
        chosen = chosen.where(deliveries.c.state.in_(wanted.states))
    if after is not None:
        chosen = chosen.where(tuple_(*place) > tuple_(*after))
    return [from_row(row) for row in view.execute(chosen)]


def get_delivery(view: View, delivery_id: DeliveryId, reach: Reach) -> Delivery:
    """Return a delivery within reach. Raises DeliveryNotFound."""
    row = view.execute(
        _within(select(deliveries), reach).where(
            deliveries.c.order_id == delivery_id.order_id, deliveries.c.leg == delivery_id.leg
        )
    ).one_or_none()
    if row is None:
        raise DeliveryNotFound(str(delivery_id))
    return from_row(row)


def count_by_state(view: View, day: date, reach: Reach) -> dict[str, int]:
    """Return how many of a day's deliveries are in each state."""
    rows = view.execute(
        _within(select(deliveries.c.state, func.count().label("how_many")), reach)
        .where(deliveries.c.service_date == day)
        .group_by(deliveries.c.state)
    )
    return {row.state: row.how_many for row in rows}


def _within(chosen: Select[Any], reach: Reach) -> Select[Any]:
    return chosen if reach.is_everything else chosen.where(is_holder(deliveries.c.contract_id, reach))
