"""When a contract's maxima would be reached."""

from datetime import date
from typing import Annotated, Self

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from services.billing import queries
from services.billing.api.shapes import fresh
from services.billing.domain.forecast import Basis, Forecast
from services.billing.domain.money import decimal_text
from services.billing.queries import Sight
from services.billing.queries.forecast import get_forecast
from services.kit.http.edge import Caller, Now, ReadView, needs

router = APIRouter(tags=["contracts"])


class RateOut(BaseModel):
    """A department's pace in euros excluding tax: a week lately, and what is held for the next seven days."""

    department_id: str
    weekly: str
    next_week_held: str
    basis: Basis


class ReachOut(BaseModel):
    """A maximum and the service date whose orders would use it up; null when that is not expected.

    `key` is empty for the whole life. `department_id` would use most of what is left until then.
    """

    key: str
    name: str
    maximum: str
    committed: str
    left: str
    committed_percent: str
    reached_on: date | None
    department_id: str | None


class ForecastOut(BaseModel):
    """An estimate: what is held ahead, and the rate of the past `window_days` where that is more."""

    contract_id: str
    today: date
    until: date
    window_days: int
    rates: list[RateOut]
    reaches: list[ReachOut]

    @classmethod
    def of(cls, contract_id: str, forecast: Forecast) -> Self:
        """Show a forecast."""
        return cls(
            contract_id=contract_id,
            today=forecast.today,
            until=forecast.until,
            window_days=forecast.window_days,
            rates=[
                RateOut(
                    department_id=rate.department_id,
                    weekly=decimal_text(rate.weekly_cents),
                    next_week_held=decimal_text(rate.next_week_cents),
                    basis=rate.basis,
                )
                for rate in forecast.rates
            ],
            reaches=[
                ReachOut(
                    key=reach.key,
                    name=reach.name,
                    maximum=decimal_text(reach.ceiling_cents),
                    committed=decimal_text(reach.committed_cents),
                    left=decimal_text(reach.left_cents),
                    committed_percent=decimal_text(reach.committed_cents * 10_000 // reach.ceiling_cents),
                    reached_on=reach.on,
                    department_id=reach.department_id or None,
                )
                for reach in forecast.reaches
            ],
        )


@router.get("/v1/contracts/{contract_id}/forecast", response_model=ForecastOut)
def read_forecast(
    request: Request, contract_id: str, caller: Annotated[Caller, needs("billing:read")], view: ReadView, now: Now
) -> Response:
    """Read when each maximum of a contract would be reached, and by which department."""
    use = queries.get_consumption(view, Sight.of(caller), contract_id)
    forecast = get_forecast(view, use, today=use.contract.local_date(now))
    return fresh(request, ForecastOut.of(contract_id, forecast))
