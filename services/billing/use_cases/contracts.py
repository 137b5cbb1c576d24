"""What changes a contract after it was registered: amendments, and decisions about its periods."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime

from services.billing import messages
from services.billing.domain import amendment as amending
from services.billing.domain.amendment import Amendment
from services.billing.domain.ceiling_errors import (
    AmendmentChangesNothing,
    AmendmentNotNext,
    AmountsDisagree,
    DatesReversed,
    DecisionTooLate,
    LegalDecisionMissing,
    LotUnknown,
    MaximumMissing,
    PeriodDecided,
    PeriodInUse,
    PeriodUnknown,
)
from services.billing.domain.contract import Contract
from services.billing.domain.legal import LegalRow
from services.billing.domain.structure import Decision, Lot, Period, Structure
from services.billing.repository import Ceilings
from services.billing.use_cases import keep
from services.kit.database import Transaction
from services.kit.errors import DomainError, refuse_all
from services.kit.events import outbox
from services.kit.ids import new_id


def amend_contract(
    tx: Transaction, contract_id: str, amendment: Amendment, *, rows: Sequence[LegalRow], at: datetime
) -> tuple[Contract, list[str]]:
    """Put an amendment in force; return the contract as it stands now and the legal thresholds that were touched.

    Raises
    ------
    ContractNotFound, MaximumBelowCommitted, or any of these, or Refusals with several of them:
    AmendmentNotNext, AmendmentChangesNothing, AmountsDisagree, DatesReversed, PeriodUnknown, LotUnknown, MaximumMissing
    LegalDecisionMissing
        When a legal threshold is touched and nobody recorded why it may be.
    """
    tx.write_gathered()
    ceilings = Ceilings(tx)
    locked = ceilings.lock(contract_id)
    contract = locked.terms.contract
    amendment = _placed(contract, amendment)
    refuse_all(_faults(contract, amendment))
    touched = amending.warnings(
        amendment, contract.amendments, initial_cents=contract.initial_ceiling_cents, award=contract.award, rows=rows
    )
    if touched and not amendment.legal_decision.strip():
        raise LegalDecisionMissing(touched)
    keys = [part.key for part in contract.structure if _is_meant(part, amendment)]
    moved = locked.ceiling.amend(
        amendment.delta_cents, dict.fromkeys(keys, amendment.delta_cents), cause=f"amendment:{amendment.number}"
    )
    ends_on = amendment.ends_on or contract.ends_on
    amended = replace(
        contract,
        ends_on=ends_on,
        ceiling_cents=contract.ceiling_cents + amendment.delta_cents,
        structure=_amended(contract.structure, amendment, ends_on),
        amendments=(*contract.amendments, amendment),
    )
    ceilings.replace_contract(amended, terms_id=new_id())
    keep(tx, moved, at=at)
    outbox.add(tx, messages.contract_registered(amended, at=at))
    return amended, touched


def _placed(contract: Contract, amendment: Amendment) -> Amendment:
    """Return the amendment with the period and the lot it means: that of its signature, and the only one."""
    period, lot = amendment.period, amendment.lot
    if not period and contract.structure.periods:
        days = min(max(amendment.signed_on, contract.starts_on), contract.ends_on)
        found = contract.structure.period_on(days)
        period = found.number if found else 0
    if not lot and len(contract.structure.lots) == 1:
        lot = contract.structure.lots[0].number
    previous = contract.ends_on if amendment.ends_on else None
    return replace(amendment, period=period, lot=lot, previous_ends_on=previous)


def _faults(contract: Contract, amendment: Amendment) -> list[DomainError]:
    faults: list[DomainError] = []
    structure = contract.structure
    expected = len(contract.amendments) + 1
    if amendment.number != expected:
        faults.append(AmendmentNotNext(amendment.number, expected))
    if not amendment.delta_cents and amendment.ends_on is None:
        faults.append(AmendmentChangesNothing())
    if amendment.new_maximum_cents != contract.ceiling_cents + amendment.delta_cents:
        faults.append(AmountsDisagree(contract.ceiling_cents + amendment.delta_cents))
    if amendment.notified_on < amendment.signed_on:
        faults.append(
            DatesReversed("Un avenant est notifié après sa signature : corrigez l'une des dates.", "/notified_on")
        )
    if amendment.ends_on is not None and amendment.ends_on <= contract.ends_on:
        faults.append(
            DatesReversed(
                f"Un avenant prolonge le marché au-delà du {contract.ends_on:%d/%m/%Y} : corrigez la date de fin.",
                "/ends_on",
            )
        )
    if amendment.period not in {period.number for period in structure.periods} | (set() if structure.periods else {0}):
        faults.append(PeriodUnknown(amendment.period))
    if amendment.delta_cents and amendment.lot not in {lot.number for lot in structure.lots} | (
        set() if structure.lots else {0}
    ):
        faults.append(LotUnknown())
    lowered = [("marché entier", contract.ceiling_cents)]
    lowered += [(part.name, part.maximum_cents) for part in structure if _is_meant(part, amendment)]
    faults.extend(
        MaximumMissing(name, "/delta")
        for name, cents in lowered
        if amendment.delta_cents and cents + amendment.delta_cents <= 0
    )
    return faults


def _is_meant(part: object, amendment: Amendment) -> bool:
    return (isinstance(part, Period) and part.number == amendment.period) or (
        isinstance(part, Lot) and part.number == amendment.lot
    )


def _amended(structure: Structure, amendment: Amendment, ends_on: date) -> Structure:
    raised = [
        replace(period, maximum_cents=period.maximum_cents + amendment.delta_cents)
        if period.number == amendment.period
        else period
        for period in structure.periods
    ]
    return replace(
        structure,
        periods=(*raised[:-1], *(replace(last, ends_on=ends_on) for last in raised[-1:])),
        lots=tuple(
            replace(lot, maximum_cents=lot.maximum_cents + amendment.delta_cents)
            if lot.number == amendment.lot
            else lot
            for lot in structure.lots
        ),
    )


def decide_period(
    tx: Transaction, contract_id: str, number: int, *, is_renewed: bool, decided_on: date, at: datetime
) -> Contract:
    """Renew a period, or decline it and all that would follow; the same decision again changes nothing.

    Raises
    ------
    ContractNotFound, PeriodUnknown, PeriodDecided, DecisionTooLate
    PeriodInUse
        When orders stand in what is declined.
    """
    tx.write_gathered()
    ceilings = Ceilings(tx)
    locked = ceilings.lock(contract_id)
    contract = locked.terms.contract
    period = contract.structure.period(number)
    if period.is_decided:
        if (period.decision is not Decision.DECLINED) == is_renewed and period.decided_on == decided_on:
            return contract
        raise PeriodDecided(period.name)
    if decided_on >= period.starts_on:
        raise DecisionTooLate(period.name, period.starts_on)
    concerned = [one for one in contract.structure.periods if one.number == number]
    if not is_renewed:
        concerned = [one for one in contract.structure.periods if one.number >= number]
        standing = [(one, locked.ceiling.scope(one.key).committed_cents) for one in concerned]
        refuse_all([PeriodInUse(one.name, committed) for one, committed in standing if committed])
    periods = tuple(
        replace(one, decision=one.decision if is_renewed else Decision.DECLINED, decided_on=decided_on)
        if one in concerned
        else one
        for one in contract.structure.periods
    )
    decided = replace(contract, structure=replace(contract.structure, periods=periods))
    ceilings.replace_contract(decided, terms_id=new_id())
    outbox.add(tx, messages.contract_registered(decided, at=at))
    return decided
