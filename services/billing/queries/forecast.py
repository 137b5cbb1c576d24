"""What billing knows of the weeks behind and ahead of a contract."""

from datetime import date

from sqlalchemy import case, func, select

from services.billing.domain import forecast as forecasting
from services.billing.domain.forecast import Forecast, Served
from services.billing.queries import Consumption
from services.billing.queries.scopes import list_scopes
from services.billing.tables import charges
from services.kit.database import View


def get_forecast(view: View, use: Consumption, *, today: date) -> Forecast:
    """Return when each maximum of a contract would be reached, as of a day."""
    contract = use.contract
    amount = func.sum(case((charges.c.outcome.is_(None), charges.c.held_cents), else_=charges.c.amount_cents))
    rows = view.execute(
        select(charges.c.department_id, charges.c.lot, charges.c.service_date, amount.label("cents"))
        .where(
            charges.c.contract_id == contract.id,
            charges.c.service_date >= forecasting.window_start(contract, today),
        )
        .group_by(charges.c.department_id, charges.c.lot, charges.c.service_date)
    )
    served = [Served(row.department_id, row.lot, row.service_date, int(row.cents)) for row in rows]
    scopes = tuple(part.scope for part in list_scopes(view, contract))
    return forecasting.forecast(contract, use.ceiling.within(scopes), served, today=today)
