"""Penalties: what late or missed deliveries cost their cooperative, by the contract's rules, from facts, until decided.

A penalty compensates a harm: it is no price. It stands outside VAT and outside the maximum, is never an item of a
statement, and is deducted when the buyer pays, by a statement of its own (état liquidatif).

Sources: CCAG-FCS 2021, article 14; BOI 3 B-1-06 of 2006-01-25 (outside VAT).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from fractions import Fraction

from services.billing.domain.charge import Charge, FactKind, Rule, Source
from services.billing.domain.coefficient import rounded_cents, shared
from services.billing.domain.contract import Contract
from services.billing.domain.errors import (
    PenaltyDecisionTooEarly,
    PenaltyNotDue,
    PenaltyReductionInvalid,
    PenaltyStepRefused,
)
from services.billing.domain.penalty_terms import CapBase, PenaltyRule, PenaltyTerms, Trigger
from services.billing.domain.statement import Month


class Status(StrEnum):
    """How far a penalty has come."""

    COMPUTED = "computed"
    NOTIFIED = "notified"
    CONTESTED = "contested"
    WAIVED = "waived"
    REDUCED = "reduced"
    CONFIRMED = "confirmed"
    APPLIED = "applied"


DECISIONS = frozenset({Status.WAIVED, Status.REDUCED, Status.CONFIRMED})


class Cause(StrEnum):
    """Why it may not be the courier's doing."""

    BUYER_ABSENT = "buyer-absent"
    WRONG_ADDRESS = "wrong-address"
    FORCE_MAJEURE = "force-majeure"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Step:
    """What somebody did about a penalty. `amount_cents` is what it stands at from then on; `payment` where it went."""

    status: Status
    at: datetime
    by: str
    amount_cents: int
    text: str = ""
    cause: Cause | None = None
    evidence: tuple[str, ...] = ()
    payment: str = ""


@dataclass(frozen=True, slots=True)
class Penalty:
    """What one delivery cost under one rule, the facts that prove it, and what was done about it since.

    `value_cents` is the delivery at base price, `order_cents` its whole order; `minutes_late` and `days_late` are 0
    when it was missed.
    """

    id: str
    contract_id: str
    order_id: str
    leg: int
    reference: str
    department_id: str
    cooperative_id: str
    month: Month
    service_date: date
    rule_code: str
    label: str
    trigger: Trigger
    promised_until: datetime | None
    occurred_at: datetime
    minutes_late: int
    days_late: int
    reason: str
    value_cents: int
    order_cents: int
    computed_cents: int
    sources: tuple[Source, ...]
    steps: tuple[Step, ...] = ()

    @property
    def status(self) -> Status:
        """How far it has come."""
        return self.steps[-1].status if self.steps else Status.COMPUTED

    @property
    def amount_cents(self) -> int:
        """What it stands at: as computed, as decided, or as applied."""
        return self.steps[-1].amount_cents if self.steps else self.computed_cents

    def notify(self, *, at: datetime, by: str, text: str = "") -> "Penalty":
        """Tell the cooperative the amount and the delay. Raises PenaltyStepRefused when that was done before."""
        self._check({Status.COMPUTED}, Status.NOTIFIED)
        return self._then(Step(Status.NOTIFIED, at, by, self.computed_cents, text))

    def contest(self, *, at: datetime, by: str, text: str, cause: Cause, evidence: Sequence[str]) -> "Penalty":
        """Answer with a cause and its evidence. Raises PenaltyStepRefused unless it is notified and undecided."""
        self._check({Status.NOTIFIED, Status.CONTESTED}, Status.CONTESTED)
        return self._then(Step(Status.CONTESTED, at, by, self.computed_cents, text, cause, tuple(evidence)))

    def decide(
        self,
        decision: Status,
        *,
        at: datetime,
        by: str,
        text: str,
        answer_days: int,
        reduced_cents: int | None = None,
        cause: Cause | None = None,
        evidence: Sequence[str] = (),
    ) -> "Penalty":
        """Waive, reduce or confirm it; until it is applied, another decision may follow.

        Raises
        ------
        PenaltyStepRefused
            When it was not notified, or is applied already.
        PenaltyDecisionTooEarly
            When the cooperative may still answer.
        PenaltyReductionInvalid
            When a reduction does not say an amount below the computed one, or another decision says one.
        """
        self._check({Status.NOTIFIED, Status.CONTESTED, *DECISIONS}, decision)
        if self.status is Status.NOTIFIED and at < (until := self.steps[-1].at + timedelta(days=answer_days)):
            raise PenaltyDecisionTooEarly(until)
        if decision is Status.REDUCED:
            if reduced_cents is None or not 0 < reduced_cents < self.computed_cents:
                raise PenaltyReductionInvalid(self.computed_cents)
            amount_cents = reduced_cents
        elif reduced_cents is not None:
            raise PenaltyReductionInvalid(self.computed_cents)
        else:
            amount_cents = 0 if decision is Status.WAIVED else self.computed_cents
        return self._then(Step(decision, at, by, amount_cents, text, cause, tuple(evidence)))

    def apply(self, due_cents: int, *, at: datetime, by: str, payment: str) -> "Penalty":
        """Deduct what is due of it from a payment. Raises PenaltyStepRefused before a decision, PenaltyNotDue for 0."""
        self._check({Status.REDUCED, Status.CONFIRMED}, Status.APPLIED)
        if not due_cents:
            raise PenaltyNotDue()
        return self._then(Step(Status.APPLIED, at, by, due_cents, payment=payment))

    def _check(self, allowed: set[Status], wanted: Status) -> None:
        if self.status not in allowed:
            raise PenaltyStepRefused(self.status.value, wanted.value)

    def _then(self, step: Step) -> "Penalty":
        return replace(self, steps=(*self.steps, step))


def assess(
    contract: Contract,
    terms: PenaltyTerms,
    month: Month,
    charges: Iterable[Charge],
    *,
    order_cents: Mapping[str, int],
    new_id: Iterable[str],
) -> list[Penalty]:
    """Return what settled legs cost by the rules in force on their service dates, each with its facts.

    Deliveries equally many days late under one rule are one part of the order: the formula is rounded on all of them,
    and they share it to the cent. `order_cents` are whole orders at base price.
    """
    ids = iter(new_id)
    found: list[tuple[Penalty, PenaltyRule]] = []
    for charge in charges:
        for rule in terms.rules:
            penalty = _assess_one(contract, month, charge, rule, order_cents.get(charge.order_id, 0))
            if penalty is not None:
                found.append((penalty, rule))
    exact: dict[tuple[str, str, int], list[Fraction]] = {}
    for penalty, rule in found:
        by_day = Fraction(penalty.value_cents * penalty.days_late * rule.permille_per_day, 1000)
        exact.setdefault(_part(penalty), []).append(by_day or Fraction(rule.amount_cents))
    shares = {part: iter(shared(amounts)) for part, amounts in exact.items()}
    penalties = [replace(penalty, id=next(ids), computed_cents=next(shares[_part(penalty)])) for penalty, _ in found]
    return [penalty for penalty in penalties if penalty.computed_cents]


def _part(penalty: Penalty) -> tuple[str, str, int]:
    return penalty.rule_code, penalty.cooperative_id, penalty.days_late


def _assess_one(
    contract: Contract, month: Month, charge: Charge, rule: PenaltyRule, order_cents: int
) -> Penalty | None:
    settlement = charge.settlement
    if settlement is None or not rule.is_in_force(charge.service_date):
        return None
    minutes_late = days_late = 0
    if rule.trigger is Trigger.MISSED:
        is_missed = settlement.fact is FactKind.LAPSED or (
            settlement.rule is Rule.FAILURE_NOT_BILLABLE and settlement.reason_code in rule.reason_codes
        )
        if not is_missed:
            return None
    else:
        promised = charge.promised_until
        if settlement.fact is not FactKind.HANDED_OVER or promised is None:
            return None
        delay = settlement.occurred_at - promised
        days_late = max(0, (contract.local_date(settlement.occurred_at) - contract.local_date(promised)).days)
        if delay <= timedelta(minutes=rule.grace_minutes) or (rule.trigger is Trigger.LATE_PER_DAY and not days_late):
            return None
        minutes_late = delay // timedelta(minutes=1)
    return Penalty(
        id="",
        contract_id=contract.id,
        order_id=charge.order_id,
        leg=charge.leg,
        reference=charge.reference,
        department_id=charge.department_id,
        cooperative_id=settlement.cooperative_id,
        month=month,
        service_date=charge.service_date,
        rule_code=rule.code,
        label=rule.label,
        trigger=rule.trigger,
        promised_until=charge.promised_until,
        occurred_at=settlement.occurred_at,
        minutes_late=minutes_late,
        days_late=days_late,
        reason=settlement.reason,
        value_cents=charge.base_held_cents if rule.trigger is Trigger.MISSED else settlement.base_cents,
        order_cents=order_cents,
        computed_cents=0,
        sources=(*charge.sources, Source(settlement.event_id, settlement.fact.value, settlement.occurred_at)),
    )


@dataclass(frozen=True, slots=True)
class Liquidation:
    """What is due of a contract's penalties, by penalty; `cap_cents` is the contract's cap, None without one."""

    due_cents: Mapping[str, int]
    total_cents: int
    is_exempt: bool
    cap_cents: int | None
    is_cap_reached: bool


def liquidate(terms: PenaltyTerms, ceiling_cents: int, penalties: Sequence[Penalty]) -> Liquidation:
    """Return what is due of penalties in the order of their facts: caps cut the last ones, the exemption spares all.

    What was applied to a payment stays applied, whatever is waived later. `ceiling_cents` is the contract's maximum.
    """
    in_order = sorted(penalties, key=lambda one: (one.status is not Status.APPLIED, one.occurred_at, one.id))
    cap_cents: int | None = None
    left_by_order: dict[str, int] = {}
    due: dict[str, int] = {}
    is_cap_reached = False
    for penalty in in_order:
        amount_cents = penalty.amount_cents
        if terms.cap_permille is not None and terms.cap_base is CapBase.ORDER and penalty.status is not Status.APPLIED:
            cap_of_order = rounded_cents(Fraction(penalty.order_cents * terms.cap_permille, 1000))
            amount_cents = min(amount_cents, left_by_order.get(penalty.order_id, cap_of_order))
            left_by_order[penalty.order_id] = left_by_order.get(penalty.order_id, cap_of_order) - amount_cents
            is_cap_reached = is_cap_reached or amount_cents < penalty.amount_cents
        due[penalty.id] = amount_cents
    applied = {one.id for one in penalties if one.status is Status.APPLIED}
    if sum(due.values()) <= terms.exemption_cents:
        spared = {id_: cents if id_ in applied else 0 for id_, cents in due.items()}
        is_exempt = any(due.values())
        return Liquidation(spared, sum(spared.values()), is_exempt, None, is_cap_reached=False)
    if terms.cap_permille is not None and terms.cap_base is CapBase.CONTRACT:
        cap_cents = left_cents = rounded_cents(Fraction(ceiling_cents * terms.cap_permille, 1000))
        for id_, amount_cents in due.items():
            if id_ not in applied:
                due[id_] = min(amount_cents, max(0, left_cents))
            left_cents -= due[id_]
            is_cap_reached = is_cap_reached or due[id_] < amount_cents
    return Liquidation(due, sum(due.values()), is_exempt=False, cap_cents=cap_cents, is_cap_reached=is_cap_reached)


@dataclass(frozen=True, slots=True)
class PenaltyStatement:
    """A month's penalties under one contract, those of earlier months that are still to apply, and what is due.

    The liquidation is of all penalties up to the month, also of those a cooperative does not see.
    """

    contract: Contract
    month: Month
    penalties: tuple[Penalty, ...]
    earlier: tuple[Penalty, ...]
    liquidation: Liquidation

    @property
    def to_apply_cents(self) -> int:
        """What is due of the penalties shown and was not applied to a payment yet."""
        return sum(
            self.liquidation.due_cents[one.id]
            for one in (*self.earlier, *self.penalties)
            if one.status is not Status.APPLIED
        )
