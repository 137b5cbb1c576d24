"""The month to come: what goes on the next statement, what waits, what is contested; and a leg's decisions."""

from dataclasses import dataclass
from datetime import date

from sqlalchemy import case, func, select

from services.billing.domain import acceptance as verifying
from services.billing.domain.acceptance import Decision
from services.billing.domain.charge import Acceptance, Charge
from services.billing.domain.contract import Contract
from services.billing.domain.statement import Month
from services.billing.queries import Sight, charges_in_sight
from services.billing.repository import Contracts, charge_of
from services.billing.repository.acceptance import decision_of
from services.billing.tables import charges, decisions
from services.kit.database import View


@dataclass(frozen=True, slots=True)
class Verification:
    """A leg with everything that was decided about it; silence accepts it on `silence_ends_on`."""

    charge: Charge
    decisions: tuple[Decision, ...]
    silence_ends_on: date | None


def verification_of(view: View, charge: Charge) -> Verification:
    """Return what was decided about a leg, oldest first."""
    rows = view.execute(
        select(decisions)
        .where(decisions.c.order_id == charge.order_id, decisions.c.leg == charge.leg)
        .order_by(decisions.c.number)
    )
    settlement = charge.settlement
    ends_on = None
    if settlement is not None and settlement.is_billable:
        days = Contracts(view).get(charge.contract_id).verification_days
        ends_on = verifying.silence_ends_on(settlement.settled_on, days)
    return Verification(charge, tuple(decision_of(row) for row in rows), ends_on)


@dataclass(frozen=True, slots=True)
class Share:
    """How many legs, and what they come to in cents excluding tax."""

    legs: int = 0
    amount_cents: int = 0


@dataclass(frozen=True, slots=True)
class MonthToCome:
    """What closing a month today would do: `going` goes on statements, the others stay behind.

    `silent` waits for a word or the end of the contract's silence. `charges` are the first ones of the filter asked.
    """

    contract: Contract
    month: Month
    going: Share
    silent: Share
    disputed: Share
    charges: tuple[Charge, ...]


def month_to_come(
    view: View,
    sight: Sight,
    contract: Contract,
    month: Month,
    *,
    department_id: str | None = None,
    acceptance: Acceptance | None = None,
    today: date,
    limit: int,
) -> MonthToCome:
    """Return what is on no statement yet of all that was settled up to the month's end."""
    silent_until = verifying.silent_until(today, contract.verification_days)
    conditions = [
        charges_in_sight(sight),
        charges.c.contract_id == contract.id,
        charges.c.is_billable,
        charges.c.statement_id.is_(None),
        charges.c.settled_on <= month.last_day,
    ]
    if department_id is not None:
        conditions.append(charges.c.department_id == department_id)
    is_silent = charges.c.settled_on > silent_until
    place = case(
        (charges.c.acceptance == Acceptance.DISPUTED.value, "disputed"),
        ((charges.c.acceptance == Acceptance.DELIVERED.value) & is_silent, "silent"),
        else_="going",
    ).label("place")
    shares = {
        row.place: Share(row.legs, int(row.cents))
        for row in view.execute(
            select(place, func.count().label("legs"), func.sum(charges.c.amount_cents).label("cents"))
            .where(*conditions)
            .group_by(place)
        )
    }
    if acceptance is not None:
        conditions.append(charges.c.acceptance == acceptance.value)
    rows = view.execute(
        select(charges)
        .where(*conditions)
        .order_by(charges.c.service_date, charges.c.reference, charges.c.order_id, charges.c.leg)
        .limit(limit)
    )
    return MonthToCome(
        contract,
        month,
        going=shares.get("going", Share()),
        silent=shares.get("silent", Share()),
        disputed=shares.get("disputed", Share()),
        charges=tuple(charge_of(row) for row in rows),
    )
