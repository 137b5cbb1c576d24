"""Penalties' stories: computed when a month is closed, then notified, contested, decided, applied to a payment."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.billing.domain.contract import Contract
from services.billing.domain.penalty import Cause, Liquidation, Penalty, Status, assess, liquidate
from services.billing.domain.revision import shifted
from services.billing.domain.statement import Month
from services.billing.repository import Ceilings, charge_of
from services.billing.repository.penalties import NewPenalties, order_cents, rows_to_assess
from services.kit.database import Transaction
from services.kit.ids import new_id

LATEST_HEARD_MONTHS = 2
"""A leg's end that is heard of so many months late is still assessed."""


def compute(tx: Transaction, contract: Contract, month: Month, *, at: datetime) -> list[Penalty]:
    """Compute and keep the penalties of a month that is being closed; its contract is locked."""
    if contract.penalties is None:
        return []
    since = shifted(month, -LATEST_HEARD_MONTHS).first_day
    charges = [charge_of(row) for row in rows_to_assess(tx, contract.id, since=since, until=month.last_day)]
    computed = assess(
        contract,
        contract.penalties,
        month,
        charges,
        order_cents=order_cents(tx, charges),
        new_id=iter(new_id, ""),
    )
    NewPenalties(tx).add(computed, at=at)
    return computed


def _liquidate(contract: Contract, found: Sequence[Penalty]) -> Liquidation:
    assert contract.penalties is not None
    return liquidate(contract.penalties, contract.ceiling_cents, found)


@dataclass(frozen=True, slots=True)
class Decision:
    """What is decided about a penalty; `reduced_cents` for a reduction alone."""

    status: Status
    text: str
    reduced_cents: int | None = None
    cause: Cause | None = None
    evidence: tuple[str, ...] = ()


def notify(tx: Transaction, penalty_id: str, *, text: str, by: str, at: datetime) -> Penalty:
    """Tell the cooperative the amount and the delay. Raises PenaltyNotFound, PenaltyStepRefused."""
    return _step(tx, penalty_id, lambda penalty, _: penalty.notify(at=at, by=by, text=text))


def contest(
    tx: Transaction, penalty_id: str, *, text: str, cause: Cause, evidence: Sequence[str], by: str, at: datetime
) -> Penalty:
    """Keep the cooperative's answer. Raises PenaltyNotFound, PenaltyStepRefused."""
    return _step(
        tx,
        penalty_id,
        lambda penalty, _: penalty.contest(at=at, by=by, text=text, cause=cause, evidence=evidence),
    )


def decide(tx: Transaction, penalty_id: str, decision: Decision, *, by: str, at: datetime) -> Penalty:
    """Waive, reduce or confirm a penalty. Raises PenaltyNotFound and what `Penalty.decide` does."""

    def decided(penalty: Penalty, contract: Contract) -> Penalty:
        assert contract.penalties is not None
        return penalty.decide(
            decision.status,
            at=at,
            by=by,
            text=decision.text,
            answer_days=contract.penalties.answer_days,
            reduced_cents=decision.reduced_cents,
            cause=decision.cause,
            evidence=decision.evidence,
        )

    return _step(tx, penalty_id, decided)


def apply(tx: Transaction, penalty_id: str, *, payment: str, by: str, at: datetime) -> Penalty:
    """Deduct what is due of a penalty from a payment. Raises PenaltyNotFound, PenaltyStepRefused, PenaltyNotDue."""

    def applied(penalty: Penalty, contract: Contract) -> Penalty:
        latest = max(penalty.month, Month.of(contract.local_date(at)))
        due = _liquidate(contract, NewPenalties(tx).until(contract.id, latest)).due_cents[penalty.id]
        return penalty.apply(due, at=at, by=by, payment=payment)

    return _step(tx, penalty_id, applied)


def _step(tx: Transaction, penalty_id: str, step: Callable[[Penalty, Contract], Penalty]) -> Penalty:
    penalties = NewPenalties(tx)
    # The contract's lock first: one after the other decides, and what is due is reckoned on all its penalties.
    locked = Ceilings(tx).lock(penalties.get(penalty_id).contract_id)
    penalty = step(penalties.get(penalty_id), locked.terms.contract)
    penalties.add_step(penalty)
    return penalty
