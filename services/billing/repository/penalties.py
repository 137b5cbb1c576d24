"""Penalties and what was done about them; a contract's penalty and advance terms as JSON."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import Row, insert, select

from services.billing.domain.advance import AdvanceTerms
from services.billing.domain.charge import Charge, Source
from services.billing.domain.errors import PenaltyNotFound
from services.billing.domain.penalty import Cause, Penalty, Status, Step
from services.billing.domain.penalty_terms import CapBase, PenaltyRule, PenaltyTerms, Trigger
from services.billing.domain.statement import Month
from services.billing.tables import charges, penalties, penalty_steps, statements
from services.kit.database import Transaction, View

Json = dict[str, Any]


class Penalties:
    """Penalties that were computed, and their steps."""

    def __init__(self, view: View) -> None:
        self._view = view

    def get(self, penalty_id: str) -> Penalty:
        """Return a penalty. Raises PenaltyNotFound."""
        found = self._read(penalties.c.id == penalty_id)
        if not found:
            raise PenaltyNotFound(penalty_id)
        return found[0]

    def until(self, contract_id: str, month: Month) -> list[Penalty]:
        """Return a contract's penalties up to and of a month, oldest first."""
        return self._read((penalties.c.contract_id == contract_id) & (penalties.c.month <= str(month)))

    def of_leg(self, order_id: str, leg: int) -> list[Penalty]:
        """Return what one leg cost."""
        return self._read((penalties.c.order_id == order_id) & (penalties.c.leg == leg))

    def _read(self, condition: Any) -> list[Penalty]:
        rows = list(self._view.execute(select(penalties).where(condition).order_by(penalties.c.month, penalties.c.id)))
        steps: dict[str, list[Step]] = {}
        wanted = select(penalties.c.id).where(condition)
        for row in self._view.execute(
            select(penalty_steps)
            .where(penalty_steps.c.penalty_id.in_(wanted))
            .order_by(penalty_steps.c.penalty_id, penalty_steps.c.number)
        ):
            steps.setdefault(row.penalty_id, []).append(_step(row))
        return [replace(_penalty(row), steps=tuple(steps.get(row.id, ()))) for row in rows]


class NewPenalties(Penalties):
    """Adds penalties and steps."""

    def __init__(self, tx: Transaction) -> None:
        super().__init__(tx)
        self._tx = tx

    def add(self, computed: Sequence[Penalty], *, at: datetime) -> None:
        """Add penalties that were just computed."""
        if computed:
            self._tx.execute(insert(penalties), [_from_penalty(penalty, at) for penalty in computed])

    def add_step(self, penalty: Penalty) -> None:
        """Add the latest step of a penalty whose contract is locked."""
        step = penalty.steps[-1]
        self._tx.execute(
            insert(penalty_steps).values(
                penalty_id=penalty.id,
                number=len(penalty.steps),
                status=step.status.value,
                amount_cents=step.amount_cents,
                by=step.by,
                at=step.at,
                content={
                    "text": step.text,
                    "cause": step.cause and step.cause.value,
                    "evidence": list(step.evidence),
                    "payment": step.payment,
                },
            )
        )


def rows_to_assess(view: View, contract_id: str, *, since: date, until: date) -> list[Row[Any]]:
    """Return the rows of legs settled from a day to a day, both included, that were not assessed before."""
    assessed = select(penalties.c.id).where(
        penalties.c.order_id == charges.c.order_id, penalties.c.leg == charges.c.leg
    )
    return list(
        view.execute(
            select(charges)
            .where(
                charges.c.contract_id == contract_id,
                charges.c.settled_on.between(since, until),
                ~assessed.exists(),
            )
            .order_by(charges.c.service_date, charges.c.reference, charges.c.order_id, charges.c.leg)
        )
    )


def order_cents(view: View, found: Sequence[Charge]) -> dict[str, int]:
    """Return what the whole orders of these legs come to at base price."""
    ids = sorted({charge.order_id for charge in found})
    sums: dict[str, int] = {}
    for start in range(0, len(ids), 500):
        rows = view.execute(
            select(charges.c.order_id, charges.c.estimate).where(charges.c.order_id.in_(ids[start : start + 500]))
        )
        for row in rows:
            leg_cents = sum(line["quantity"] * line["unit_price_cents"] for line in row.estimate)
            sums[row.order_id] = sums.get(row.order_id, 0) + leg_cents
    return sums


def prepaid_by_statement(view: View, contract_id: str) -> dict[str, int]:
    """Return what each of a contract's statements took back of its advance, in cents; those that took some."""
    rows = view.execute(
        select(statements.c.id, statements.c.prepaid_cents).where(
            statements.c.contract_id == contract_id, statements.c.prepaid_cents > 0
        )
    )
    return {row.id: row.prepaid_cents for row in rows}


# Rows and JSON <-> domain


def _from_penalty(penalty: Penalty, at: datetime) -> Json:
    return {
        "id": penalty.id,
        "contract_id": penalty.contract_id,
        "order_id": penalty.order_id,
        "leg": penalty.leg,
        "rule_code": penalty.rule_code,
        "month": str(penalty.month),
        "cooperative_id": penalty.cooperative_id,
        "facts": {
            "reference": penalty.reference,
            "department_id": penalty.department_id,
            "service_date": penalty.service_date.isoformat(),
            "label": penalty.label,
            "trigger": penalty.trigger.value,
            "promised_until": penalty.promised_until and penalty.promised_until.isoformat(),
            "occurred_at": penalty.occurred_at.isoformat(),
            "minutes_late": penalty.minutes_late,
            "days_late": penalty.days_late,
            "reason": penalty.reason,
            "value_cents": penalty.value_cents,
            "order_cents": penalty.order_cents,
            "computed_cents": penalty.computed_cents,
            "sources": [
                {"event_id": source.event_id, "type": source.type, "occurred_at": source.occurred_at.isoformat()}
                for source in penalty.sources
            ],
        },
        "computed_at": at,
    }


def _penalty(row: Row[Any]) -> Penalty:
    facts: Json = row.facts
    return Penalty(
        **{
            **facts,
            "id": row.id,
            "contract_id": row.contract_id,
            "order_id": row.order_id,
            "leg": row.leg,
            "rule_code": row.rule_code,
            "month": Month.parse(row.month),
            "cooperative_id": row.cooperative_id,
            "service_date": date.fromisoformat(facts["service_date"]),
            "trigger": Trigger(facts["trigger"]),
            "promised_until": datetime.fromisoformat(facts["promised_until"]) if facts["promised_until"] else None,
            "occurred_at": datetime.fromisoformat(facts["occurred_at"]),
            "sources": tuple(
                Source(source["event_id"], source["type"], datetime.fromisoformat(source["occurred_at"]))
                for source in facts["sources"]
            ),
        }
    )


def _step(row: Row[Any]) -> Step:
    content: Json = row.content
    return Step(
        status=Status(row.status),
        at=row.at,
        by=row.by,
        amount_cents=row.amount_cents,
        text=content["text"],
        cause=Cause(content["cause"]) if content["cause"] else None,
        evidence=tuple(content["evidence"]),
        payment=content["payment"],
    )


def from_terms(terms: PenaltyTerms) -> Json:
    """Write a contract's penalties."""
    return {
        **asdict(terms),
        "cap_base": terms.cap_base.value,
        "rules": [
            {
                **asdict(rule),
                "trigger": rule.trigger.value,
                "valid_from": rule.valid_from.isoformat(),
                "valid_to": rule.valid_to and rule.valid_to.isoformat(),
                "reason_codes": list(rule.reason_codes),
            }
            for rule in terms.rules
        ],
    }


def terms_of(kept: Json) -> PenaltyTerms:
    """Read a contract's penalties back."""
    rules = tuple(
        PenaltyRule(
            **{
                **rule,
                "trigger": Trigger(rule["trigger"]),
                "valid_from": date.fromisoformat(rule["valid_from"]),
                "valid_to": date.fromisoformat(rule["valid_to"]) if rule["valid_to"] else None,
                "reason_codes": tuple(rule["reason_codes"]),
            }
        )
        for rule in kept["rules"]
    )
    return PenaltyTerms(**{**kept, "rules": rules, "cap_base": CapBase(kept["cap_base"])})


def from_advance(terms: AdvanceTerms) -> Json:
    """Write an advance."""
    return {**asdict(terms), "paid_on": terms.paid_on.isoformat()}


def advance_of(kept: Json) -> AdvanceTerms:
    """Read an advance back."""
    return AdvanceTerms(**{**kept, "paid_on": date.fromisoformat(kept["paid_on"])})
