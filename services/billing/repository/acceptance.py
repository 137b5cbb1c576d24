"""The buyer's decisions: added beside the charges, whose row keeps what the last one says."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import Row, bindparam, insert, select, update

from services.billing.domain.acceptance import Decider, Decision
from services.billing.domain.charge import Acceptance, Charge, Cut
from services.billing.repository import charge_of
from services.billing.tables import charges, decisions
from services.kit.database import Transaction


class Decisions:
    """What was decided about each leg; its contract is locked whenever one is added."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    def add(self, charge: Charge, decision: Decision) -> None:
        """Add a decision; `charge` is the leg as it is after it."""
        self._tx.execute(insert(decisions).values(**_from_decision(decision)))
        self._tx.execute(
            update(charges)
            .where(charges.c.order_id == charge.order_id, charges.c.leg == charge.leg)
            .values(
                acceptance=charge.acceptance.value,
                cuts=[_from_cut(cut) for cut in charge.cuts],
                decisions=charge.decisions,
                amount_cents=charge.standing_cents,
                # A statement has no line for what is not due.
                is_billable=charge.acceptance is not Acceptance.REJECTED,
            )
        )

    def waiting(self, contract_id: str, first_day: date, last_day: date, department_id: str | None) -> list[Charge]:
        """Return the legs settled within these days, on no statement, about which nobody said anything."""
        conditions = [
            charges.c.contract_id == contract_id,
            charges.c.is_billable,
            charges.c.statement_id.is_(None),
            charges.c.settled_on.between(first_day, last_day),
            charges.c.acceptance == Acceptance.DELIVERED.value,
        ]
        if department_id is not None:
            conditions.append(charges.c.department_id == department_id)
        rows = self._tx.execute(select(charges).where(*conditions).order_by(charges.c.order_id, charges.c.leg))
        return [charge_of(row) for row in rows]

    def add_all(self, accepted: Sequence[Decision]) -> None:
        """Add decisions that change nothing but the acceptance: many of them at once."""
        if not accepted:
            return
        self._tx.execute(insert(decisions), [_from_decision(decision) for decision in accepted])
        self._tx.execute(
            _ACCEPT,
            [
                {"at_order": decision.order_id, "at_leg": decision.leg, "new_number": decision.number}
                for decision in accepted
            ],
        )


_ACCEPT = (
    update(charges)
    .where((charges.c.order_id == bindparam("at_order")) & (charges.c.leg == bindparam("at_leg")))
    .values(acceptance=Acceptance.ACCEPTED.value, decisions=bindparam("new_number"))
)


def decision_of(row: Row[Any]) -> Decision:
    """Read a row of `decisions`."""
    decided_at: datetime = row.decided_at
    return Decision(
        order_id=row.order_id,
        leg=row.leg,
        number=row.number,
        acceptance=Acceptance(row.acceptance),
        reason=row.reason,
        cuts=tuple(Cut(**cut) for cut in row.cuts),
        given_back_cents=row.given_back_cents,
        decided_by=Decider(row.account_id, row.account_name),
        decided_at=decided_at,
    )


def _from_decision(decision: Decision) -> dict[str, Any]:
    return {
        "order_id": decision.order_id,
        "leg": decision.leg,
        "number": decision.number,
        "acceptance": decision.acceptance.value,
        "reason": decision.reason,
        "cuts": [_from_cut(cut) for cut in decision.cuts],
        "given_back_cents": decision.given_back_cents,
        "account_id": decision.decided_by.account_id,
        "account_name": decision.decided_by.name,
        "decided_at": decision.decided_at,
    }


def _from_cut(cut: Cut) -> dict[str, Any]:
    return {"code": cut.code, "amount_cents": cut.amount_cents, "reason": cut.reason}
