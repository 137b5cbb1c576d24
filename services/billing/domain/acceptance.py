"""The buyer's verification of what was delivered: accept, dispute, cut the price, reject; each decision is added.

A leg goes on a statement when it was accepted, or when the contract's delay passed in silence. Until it is on one, what
was said may be said otherwise, except that a cut or a rejection is final: it gave back a part of the ceiling.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from services.billing.domain.charge import Acceptance, Charge, Cut
from services.billing.domain.errors import (
    CutIsRejection,
    CutTooHigh,
    DecidedForGood,
    LegInvoiced,
    LegNotSettled,
    LineNotCharged,
    NothingDue,
)
from services.kit.errors import DomainError, refuse_all


@dataclass(frozen=True, slots=True)
class Decider:
    """Who decides for the buyer."""

    account_id: str
    name: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What the buyer decided about a leg, the `number`-th time; `given_back_cents` returned to the ceiling."""

    order_id: str
    leg: int
    number: int
    acceptance: Acceptance
    reason: str
    cuts: tuple[Cut, ...]
    given_back_cents: int
    decided_by: Decider
    decided_at: datetime


def accept(charge: Charge, *, by: Decider, at: datetime, pointer: str | None = None) -> Decision | None:
    """Accept a leg at its full price; None when it was accepted before.

    Raises
    ------
    LegNotSettled, NothingDue, LegInvoiced, DecidedForGood
    """
    check_open(charge, pointer)
    if charge.acceptance is Acceptance.ACCEPTED:
        return None
    return _decision(charge, Acceptance.ACCEPTED, "", by, at)


def dispute(charge: Charge, reason: str, *, by: Decider, at: datetime) -> Decision:
    """Keep a leg off all statements until it is decided. Raises what `accept` does."""
    check_open(charge)
    return _decision(charge, Acceptance.DISPUTED, reason, by, at)


def reduce(charge: Charge, cuts: Sequence[Cut], *, by: Decider, at: datetime) -> Decision:
    """Accept a leg at a lower price, line by line; all faults at once.

    Raises
    ------
    LegNotSettled, NothingDue, LegInvoiced, DecidedForGood
    LineNotCharged, CutTooHigh, CutIsRejection, or Refusals with several of them
    """
    check_open(charge)
    assert charge.settlement is not None
    coefficient = charge.estimate.coefficient
    lines = {
        line.code: coefficient.cents(line.quantity, line.unit_price_cents) if coefficient else line.amount_cents
        for line in charge.settlement.lines
    }
    faults: list[DomainError] = []
    for index, cut in enumerate(cuts):
        line_cents = lines.pop(cut.code, None)
        if line_cents is None:
            faults.append(LineNotCharged(cut.code, f"/lines/{index}/code"))
        elif not 0 < cut.amount_cents <= line_cents:
            faults.append(CutTooHigh(cut.code, line_cents, f"/lines/{index}/cut"))
    cut_cents = sum(cut.amount_cents for cut in cuts)
    if not faults and not 0 < cut_cents < charge.due_cents:
        faults.append(CutIsRejection())
    refuse_all(faults)
    reason = " ; ".join(dict.fromkeys(cut.reason for cut in cuts))
    decision = _decision(charge, Acceptance.REDUCED, reason, by, at)
    decision = replace(decision, cuts=tuple(cuts))
    given_back_cents = charge.standing_cents - decided(charge, decision).standing_cents
    return replace(decision, given_back_cents=given_back_cents)


def reject(charge: Charge, reason: str, *, by: Decider, at: datetime) -> Decision:
    """Owe nothing for a leg and give back all of it. Raises what `accept` does."""
    check_open(charge)
    return replace(_decision(charge, Acceptance.REJECTED, reason, by, at), given_back_cents=charge.standing_cents)


def decided(charge: Charge, decision: Decision) -> Charge:
    """Return the charge after a decision."""
    return replace(charge, acceptance=decision.acceptance, cuts=charge.cuts + decision.cuts, decisions=decision.number)


def check_open(charge: Charge, pointer: str | None = None) -> None:
    """Refuse to decide about what is not settled, not due, invoiced, or decided for good.

    Raises
    ------
    LegNotSettled, NothingDue, LegInvoiced, DecidedForGood
    """
    if charge.settlement is None:
        raise LegNotSettled(charge.reference, charge.leg, pointer)
    if not charge.settlement.is_billable:
        raise NothingDue(charge.reference, charge.leg, pointer)
    if charge.statement_id:
        raise LegInvoiced(charge.reference, charge.leg, charge.statement_id, pointer)
    if charge.acceptance in (Acceptance.REDUCED, Acceptance.REJECTED):
        raise DecidedForGood(charge.reference, charge.leg, pointer)


def silence_ends_on(settled_on: date, verification_days: int) -> date:
    """Return the first day on which silence has accepted a leg: the whole delay has passed since its delivery."""
    return settled_on + timedelta(days=verification_days + 1)


def silent_until(today: date, verification_days: int) -> date:
    """Return the latest day of delivery that silence has accepted by `today`: the inverse of `silence_ends_on`."""
    return today - timedelta(days=verification_days + 1)


def is_billable(charge: Charge, *, verification_days: int, today: date) -> bool:
    """Return whether a leg may go on a statement: settled, something due, and accepted or past the silence."""
    settlement = charge.settlement
    if settlement is None or not settlement.is_billable or charge.statement_id:
        return False
    match charge.acceptance:
        case Acceptance.ACCEPTED | Acceptance.REDUCED:
            return True
        case Acceptance.DELIVERED:
            return silence_ends_on(settlement.settled_on, verification_days) <= today
        case Acceptance.DISPUTED | Acceptance.REJECTED:
            return False


def _decision(charge: Charge, acceptance: Acceptance, reason: str, by: Decider, at: datetime) -> Decision:
    return Decision(charge.order_id, charge.leg, charge.decisions + 1, acceptance, reason, (), 0, by, at)
