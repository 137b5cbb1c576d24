"""The buyer verifies what was delivered: accepts, disputes, cuts a price, rejects; one leg, a list or a month."""

from collections.abc import Sequence
from datetime import datetime

from services.billing import messages
from services.billing.domain import acceptance as verifying
from services.billing.domain.acceptance import Decider, Decision
from services.billing.domain.charge import Charge, Cut, leg_amount
from services.billing.domain.errors import ChargeNotFound
from services.billing.domain.statement import Month
from services.billing.repository import Ceilings, Charges
from services.billing.repository.acceptance import Decisions
from services.kit.database import Transaction
from services.kit.errors import DomainError, refuse_all
from services.kit.events import outbox


def lock(tx: Transaction, order_id: str, leg: int) -> Charge:
    """Return a leg that nobody else decides about until this transaction ends. Raises ChargeNotFound."""
    charges = Charges(tx)
    found = charges.look_up(order_id, leg)
    if found is None:
        raise ChargeNotFound(order_id, leg)
    Ceilings(tx).lock(found[0].contract_id)
    return charges.find([order_id])[order_id, leg]


def accept(tx: Transaction, charge: Charge, *, by: Decider, at: datetime) -> Charge:
    """Accept a locked leg; accepting it again is harmless. Raises what `domain.acceptance.accept` does."""
    decision = verifying.accept(charge, by=by, at=at)
    return charge if decision is None else _keep(tx, charge, decision)


def dispute(tx: Transaction, charge: Charge, reason: str, *, by: Decider, at: datetime) -> Charge:
    """Dispute a locked leg: it waits. Raises what `domain.acceptance.dispute` does."""
    return _keep(tx, charge, verifying.dispute(charge, reason, by=by, at=at))


def reduce(tx: Transaction, charge: Charge, cuts: Sequence[Cut], *, by: Decider, at: datetime) -> Charge:
    """Accept a locked leg at a lower price. Raises what `domain.acceptance.reduce` does."""
    return _keep(tx, charge, verifying.reduce(charge, cuts, by=by, at=at))


def reject(tx: Transaction, charge: Charge, reason: str, *, by: Decider, at: datetime) -> Charge:
    """Reject a locked leg: nothing is due. Raises what `domain.acceptance.reject` does."""
    return _keep(tx, charge, verifying.reject(charge, reason, by=by, at=at))


def accept_month(
    tx: Transaction, contract_id: str, month: Month, *, department_id: str | None, by: Decider, at: datetime
) -> int:
    """Accept all legs settled in a month about which nobody said anything; return how many. What is disputed stays.

    Raises
    ------
    ContractNotFound
    """
    Ceilings(tx).lock(contract_id)
    waiting = Decisions(tx).waiting(contract_id, month.first_day, month.last_day, department_id)
    return _keep_accepted(tx, [(charge, verifying.accept(charge, by=by, at=at)) for charge in waiting])


def accept_list(
    tx: Transaction,
    contract_id: str,
    legs: Sequence[tuple[str, int]],
    *,
    department_id: str | None,
    by: Decider,
    at: datetime,
) -> int:
    """Accept these legs of a contract, all or none; return how many were not accepted before.

    Raises
    ------
    ContractNotFound
    ChargeNotFound, or what `domain.acceptance.accept` raises, or Refusals with several of them
    """
    Ceilings(tx).lock(contract_id)
    found = Charges(tx).find({order_id for order_id, _ in legs})
    faults: list[DomainError] = []
    accepted: list[tuple[Charge, Decision | None]] = []
    for index, (order_id, leg) in enumerate(dict.fromkeys(legs)):
        charge = found.get((order_id, leg))
        is_theirs = charge is not None and department_id in (None, charge.department_id)
        if charge is None or charge.contract_id != contract_id or not is_theirs:
            faults.append(ChargeNotFound(order_id, leg, f"/legs/{index}"))
            continue
        try:
            accepted.append((charge, verifying.accept(charge, by=by, at=at, pointer=f"/legs/{index}")))
        except DomainError as fault:
            faults.append(fault)
    refuse_all(faults)
    return _keep_accepted(tx, accepted)


def _keep_accepted(tx: Transaction, accepted: Sequence[tuple[Charge, Decision | None]]) -> int:
    decided = [(charge, decision) for charge, decision in accepted if decision is not None]
    Decisions(tx).add_all([decision for _, decision in decided])
    for charge, decision in decided:
        outbox.add(tx, messages.charge_decided(verifying.decided(charge, decision), decision))
    return len(decided)


def _keep(tx: Transaction, charge: Charge, decision: Decision) -> Charge:
    after = verifying.decided(charge, decision)
    Decisions(tx).add(after, decision)
    if decision.given_back_cents:
        ceilings = Ceilings(tx)
        locked = ceilings.lock(charge.contract_id)
        moved = locked.ceiling.reduce(
            charge.order_id,
            charge.leg,
            decision.given_back_cents,
            cause=f"acceptance:{decision.acceptance.value}",
            scopes=leg_amount(locked.terms.contract, charge, 0).scopes,
        )
        # Less is committed: no level is crossed upwards, and those above what is left are armed again.
        ceilings.save(moved, at=decision.decided_at)
    outbox.add(tx, messages.charge_decided(after, decision))
    return after
