"""The legs of a statement one after the other, for documents of any length: nothing but the present row is held."""

from collections.abc import Iterator

from sqlalchemy import ColumnElement, select, tuple_

from services.billing.domain.charge import Charge
from services.billing.domain.emissions import Ridden, RoundTotal
from services.billing.repository import charge_of
from services.billing.repository.credit_notes import as_closed
from services.billing.repository.emissions import ridden_of
from services.billing.tables import charges, credited_legs, rides
from services.kit.database import View

ROWS_AT_ONCE = 500


def on_statement(view: View, statement_id: str) -> ColumnElement[bool]:
    """Return which charges a statement was closed with, also those that notes took off it since."""
    wanted: ColumnElement[bool] = charges.c.statement_id == statement_id
    credited = select(credited_legs.c.order_id, credited_legs.c.leg).where(credited_legs.c.statement_id == statement_id)
    if view.execute(credited.limit(1)).first() is None:
        return wanted
    on_it = select(charges.c.order_id, charges.c.leg).where(wanted)
    return tuple_(charges.c.order_id, charges.c.leg).in_(on_it.union(credited))


def stream_charges(view: View, statement_id: str) -> Iterator[Charge]:
    """Yield a statement's charges as it was closed with them, in the order of their dates: the same each time."""
    restored = as_closed(view, statement_id)
    chosen = select(charges).where(on_statement(view, statement_id)).order_by(*_BY_DATE)
    for row in view.execute(chosen.execution_options(yield_per=ROWS_AT_ONCE)):
        yield restored(charge_of(row))


def stream_lines(view: View, statement_id: str) -> Iterator[tuple[Charge, Ridden | None, RoundTotal | None]]:
    """Yield a statement's charges in the same order, with how they were ridden and their round as frozen with it."""
    ridden = [column for column in rides.c if column.name not in ("order_id", "leg")]
    same_leg = (rides.c.order_id == charges.c.order_id) & (rides.c.leg == charges.c.leg)
    chosen = (
        select(charges, *ridden)
        .join_from(charges, rides, same_leg, isouter=True)
        .where(on_statement(view, statement_id))
        .order_by(*_BY_DATE)
    )
    restored = as_closed(view, statement_id)
    for row in view.execute(chosen.execution_options(yield_per=ROWS_AT_ONCE)):
        yield restored(charge_of(row)), *ridden_of(row)


_BY_DATE = (charges.c.service_date, charges.c.reference, charges.c.order_id, charges.c.leg)
