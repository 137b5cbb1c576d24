"""A month is closed at revised prices, and what earlier ones were billed with provisional coefficients is corrected."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime

from services.billing.domain.adjustment import Correction, LineId, Revised, RevisedLine
from services.billing.domain.ceiling import Ceiling, LegAmount, Movement
from services.billing.domain.charge import Charge, leg_amount
from services.billing.domain.coefficient import Coefficient
from services.billing.domain.contract import Contract
from services.billing.domain.errors import CeilingExceeded
from services.billing.domain.ledger import Account
from services.billing.domain.money import in_french
from services.billing.domain.month import Month
from services.billing.domain.price_list import Estimate
from services.billing.domain.revised_month import (
    Leg,
    cents_by_leg,
    changes_of,
    corrected_already,
    period_of,
    regularise,
    revise,
)
from services.billing.domain.revision import CeilingBasis, Indices, RevisionTerms
from services.billing.domain.statement import REGULARISATION, Statement
from services.billing.repository import Contracts, Terms, indices_of
from services.billing.repository.credit_notes import CreditNotes, billed_on
from services.billing.repository.revision import Applied, NewRevisions, Revisions
from services.kit.database import Transaction
from services.kit.errors import DomainError, Refusals


def held_at(terms: Terms, estimate: Estimate, service_date: date, ordered_at: datetime | None) -> Estimate:
    """Return the estimate at the coefficient known today, where the maximum is consumed at revised prices."""
    contract = terms.contract
    if contract.revision is None or contract.revision.ceiling_basis is not CeilingBasis.REVISED:
        return estimate
    period = period_of(contract, contract.revision, service_date, ordered_at)
    return replace(estimate, coefficient=contract.revision.coefficient(terms.indices, period))


@dataclass
class RevisedMonth:
    """A month at revised prices, seller by seller; the charges alone for a contract without a revision clause.

    `touched` are the legs of earlier statements that are corrected; `dealt_with` the coefficients that no later
    closing needs to look at.
    """

    charges: dict[str, list[Charge]]
    lines: dict[LineId, RevisedLine] = field(default_factory=dict)
    corrections: dict[str, list[Correction]] = field(default_factory=dict)
    applied: dict[str, list[Applied]] = field(default_factory=dict)
    touched: list[Charge] = field(default_factory=list)
    dealt_with: list[Applied] = field(default_factory=list)

    def keep(self, tx: Transaction, statement: Statement) -> None:
        """Write which coefficients a seller's new statement was made with, what its legs came to, what it corrects."""
        revisions, seller_id = NewRevisions(tx), statement.seller.id
        revisions.apply(
            [
                replace(one, statement_id=statement.id, billed_on_id=one.billed_on_id or statement.id)
                for one in self.applied.get(seller_id, ())
            ]
        )
        period_by_leg = {(order_id, leg): line.period for (order_id, leg, _), line in self.lines.items()}
        revisions.freeze(statement.id, self.charges.get(seller_id, ()), period_by_leg)
        revisions.regularise(statement.id, statement.contract_id, self.corrections.get(seller_id, ()))

    def keep_corrected(self, tx: Transaction, *, at: datetime) -> None:
        """Write what legs of earlier statements came to now."""
        revisions = NewRevisions(tx)
        revisions.write(self.touched)
        revisions.deal_with(self.dealt_with, at=at)


def revise_month(
    tx: Transaction,
    contract: Contract,
    ceiling: Ceiling,
    by_seller: Mapping[str, Sequence[Charge]],
    month: Month,
    *,
    at: datetime,
) -> tuple[RevisedMonth, Movement]:
    """Put a month's legs at revised prices, and correct what earlier ones were billed with provisional coefficients.

    Indices are as they were known `at` the closing. Where the maximum is consumed at revised prices, what revision
    adds moves under it, in the scopes of each leg's own day; what no longer fits is not charged, and told.
    """
    result = RevisedMonth({seller_id: list(charges) for seller_id, charges in by_seller.items()})
    moved = Movement(ceiling, ())
    if contract.revision is None:
        return result, moved
    indices = indices_of(tx, contract).known_at(at)
    for seller_id in sorted(by_seller):
        moved = _revise(result, contract, contract.revision, indices, seller_id, moved, cause=f"revision:{month}")
    return result, _regularise(tx, result, contract, contract.revision, indices, moved, month)


def revise_anew(
    tx: Transaction, contract: Contract, ceiling: Ceiling, seller_id: str, charges: Sequence[Charge], *, at: datetime
) -> tuple[RevisedMonth, Movement]:
    """Put legs that are billed anew at the prices of the coefficients now in force for their days."""
    result = RevisedMonth({seller_id: list(charges)})
    moved = Movement(ceiling, ())
    if contract.revision is None or not charges:
        return result, moved
    indices = indices_of(tx, contract).known_at(at)
    return result, _revise(result, contract, contract.revision, indices, seller_id, moved, cause="revision:anew")


def is_correction_due(tx: Transaction, contract: Contract) -> bool:
    """Return whether something was billed with a provisional coefficient that is definitive now."""
    terms = contract.revision
    if terms is None:
        return False
    indices = indices_of(tx, contract)
    return any(
        not terms.coefficient(indices, Month.parse(one.period)).is_provisional
        for one in Revisions(tx).provisional(contract.id)
    )


def _revise(
    result: RevisedMonth,
    contract: Contract,
    terms: RevisionTerms,
    indices: Indices,
    seller_id: str,
    moved: Movement,
    *,
    cause: str,
) -> Movement:
    """Revise one seller's legs in `result`; return the movement with what that did to the ceiling."""
    coefficients: dict[str, Coefficient] = {}

    def revision_of(charge: Charge) -> tuple[str, Coefficient]:
        period = str(_period_of(contract, terms, charge))
        if period not in coefficients:
            coefficients[period] = terms.coefficient(indices, Month.parse(period))
        return period, coefficients[period]

    charges = result.charges[seller_id]
    lines = revise(charges, revision_of)
    full_cents = cents_by_leg(lines)
    at_base = terms.ceiling_basis is CeilingBasis.BASE_PRICE
    revised = {
        (charge.order_id, charge.leg): replace(
            charge,
            revised=Revised(
                full_cents[charge.order_id, charge.leg],
                at_base,
                given_back_cents=charge.revised.given_back_cents if charge.revised else 0,
            ),
        )
        for charge in charges
    }
    changes = []
    for charge in charges:
        change_cents = revised[charge.order_id, charge.leg].standing_cents - charge.standing_cents
        if change_cents:
            changes.append(leg_amount(contract, charge, change_cents))
    step, beyond = what_fits(moved.ceiling, changes, lambda now, some: now.adjust(Account.OWED, some, cause=cause))
    for change, text in beyond.values():
        charge = revised[change.order_id, change.leg]
        assert charge.revised is not None
        revised[change.order_id, change.leg] = replace(
            charge, revised=replace(charge.revised, beyond_cents=change.amount_cents, beyond=text)
        )
    if already := corrected_already(charges):
        result.corrections.setdefault(seller_id, []).extend(already)
    result.charges[seller_id] = list(revised.values())
    result.lines.update(lines)
    result.applied[seller_id] = [
        Applied("", "", "", period, contract.id, seller_id, coefficient)
        for period, coefficient in sorted(coefficients.items())
    ]
    return _both(moved, step)


def _period_of(contract: Contract, terms: RevisionTerms, charge: Charge) -> Month:
    assert charge.settlement is not None
    return period_of(contract, terms, charge.settlement.settled_on, charge.ordered_at)


def _regularise(
    tx: Transaction,
    result: RevisedMonth,
    contract: Contract,
    terms: RevisionTerms,
    indices: Indices,
    moved: Movement,
    month: Month,
) -> Movement:
    for one in Revisions(tx).provisional(contract.id):
        definitive = terms.coefficient(indices, Month.parse(one.period))
        if definitive.is_provisional:
            continue
        result.dealt_with.append(one)
        if definitive.value == one.coefficient.value:
            continue
        periods = {leg: period for leg, (period, _) in Revisions(tx).legs_of(one.billed_on_id).items()}
        billed = [
            charge
            for charge in billed_on(tx, one.billed_on_id)
            if periods.get((charge.order_id, charge.leg)) == one.period
        ]
        present = CreditNotes(tx).charges_on(one.billed_on_id)
        changes = changes_of(billed, present, period=one.period, before=one.coefficient, definitive=definitive)
        amounts = _by_leg(contract, present, changes) if terms.ceiling_basis is CeilingBasis.REVISED else []
        step, beyond = what_fits(
            moved.ceiling,
            amounts,
            lambda now, some: now.adjust(Account.INVOICED, some, cause=f"regularisation:{month}"),
        )
        moved = _both(moved, step)
        corrections = regularise(
            billed,
            changes,
            beyond,
            number=one.number,
            period=one.period,
            before=one.coefficient,
            definitive=definitive,
            beyond_text=next((text for _, text in beyond.values()), ""),
        )
        if corrections:
            result.corrections.setdefault(one.cooperative_id, []).extend(corrections)
            result.applied.setdefault(one.cooperative_id, []).append(replace(one, coefficient=definitive))
        corrected_cents: dict[Leg, int] = {}
        for share in (share for correction in corrections for share in correction.shares):
            leg = share.order_id, share.leg
            corrected_cents[leg] = corrected_cents.get(leg, 0) + share.amount_cents
        for leg, cents in corrected_cents.items():
            revised = present[leg].revised
            assert revised is not None
            corrected = replace(revised, corrected_cents=revised.corrected_cents + cents)
            result.touched.append(replace(present[leg], revised=corrected))
    return moved


def _by_leg(contract: Contract, now: Mapping[Leg, Charge], changes: Mapping[LineId, int]) -> list[LegAmount]:
    sums: dict[Leg, int] = {}
    for (order_id, leg, _), cents in changes.items():
        sums[order_id, leg] = sums.get((order_id, leg), 0) + cents
    return [leg_amount(contract, now[leg], cents) for leg, cents in sums.items() if cents]


def what_fits(
    ceiling: Ceiling, changes: Sequence[LegAmount], move: Callable[[Ceiling, Sequence[LegAmount]], Movement]
) -> tuple[Movement, dict[Leg, tuple[LegAmount, str]]]:
    """`move` all changes, or else those that fit one after the other, what is given back first.

    Returns what was done, and by leg the changes left out with a French text that names each exhausted scope and what
    is left of it.
    """
    try:
        return move(ceiling, changes), {}
    except (CeilingExceeded, Refusals):
        pass
    steps = []
    refused: dict[Leg, tuple[LegAmount, tuple[str, ...]]] = {}
    for change in sorted(changes, key=lambda one: one.amount_cents > 0):
        try:
            step = move(ceiling, [change])
        except (CeilingExceeded, Refusals) as refusal:
            refused[change.order_id, change.leg] = change, _exhausted(refusal)
        else:
            steps.append(step)
            ceiling = step.ceiling
    moved = Movement(
        ceiling,
        tuple(entry for step in steps for entry in step.entries),
        tuple(crossed for step in steps for crossed in step.crossed),
    )
    left = {name: in_french(one.left_cents) for name, one in ceiling.everywhere}
    texts = {leg: (change, _beyond_text(names, left)) for leg, (change, names) in refused.items()}
    return moved, texts


def _exhausted(refusal: DomainError) -> tuple[str, ...]:
    faults = refusal.errors if isinstance(refusal, Refusals) else (refusal,)
    return tuple(fault.scope_name or "marché entier" for fault in faults if isinstance(fault, CeilingExceeded))


def _beyond_text(names: Sequence[str], left: Mapping[str, str]) -> str:
    told = ", ".join(f"{name} : reste {left[name]}" for name in names)
    return f"part de la révision au-delà du montant maximum ({told})"


def _both(first: Movement, then: Movement) -> Movement:
    return replace(then, entries=first.entries + then.entries, crossed=first.crossed + then.crossed)


def carried_from(tx: Transaction, statement: Statement) -> list[Correction]:
    """Return the corrections of a statement that the platform refused: they go on one that bills it anew, once."""
    if Revisions(tx).are_carried(statement.id):
        return []
    items = [item for item in statement.items if item.code == REGULARISATION]
    shares = Revisions(tx).shares_of(statement.id)
    shares += [()] * (len(items) - len(shares))
    return [
        Correction(item.code, item.label, item.vat_permille, parts) for item, parts in zip(items, shares, strict=True)
    ]


def contracts_following(tx: Transaction, index_id: str) -> list[Contract]:
    """Return the contracts whose prices follow an index, oldest first."""
    contracts = Contracts(tx)
    following = []
    for contract_id in contracts.ids():
        contract = contracts.get(contract_id)
        if contract.revision is not None and any(part.index_id == index_id for part in contract.revision.weights):
            following.append(contract)
    return following
